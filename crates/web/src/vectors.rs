//! The frozen vectors of `gloaming-keys`, read where they matter most: in a browser, by the code that ships to it.
//! Fragments go through WebCrypto, as they do in a real upload.

use gloaming_client::{
    Platform,
    platform::{Bulk, OpenJob, SealJob},
};
use gloaming_keys::{
    KeyError, fragment_aad, sha256,
    vectors::{Case, Fragment, negatives, vectors},
};
use gloaming_media::Piece;
use wasm_bindgen::prelude::*;

use crate::{bulk::JsBytes, host::Host, platform::Browser, source::FileSource};

/// Makes, opens and refuses every vector. Answers with how many of each, or throws the name of the first that is wrong.
#[wasm_bindgen(js_name = checkVectors)]
pub async fn check_vectors(host: Host) -> Result<String, JsValue> {
    let browser = Browser::new(host);
    let (mut made, mut opened, mut refused) = (0, 0, 0);
    for vector in &vectors() {
        let case = Case(vector);
        let name = case.text("name");
        // A browser draws its own nonces, so a sealed fragment is checked by opening it again.
        let same = match case.text("kind") {
            "fragment" => seals_a_fragment(&case, &browser).await,
            _ => case.make() == case.wanted(),
        };
        if !same {
            return Err(format!("{name}: made something else").into());
        }
        made += 1;
        if case.only_made() {
            continue;
        }
        if open(&case, &browser, &case.sealed()).await != Ok(case.plaintext()) {
            return Err(format!("{name}: did not open").into());
        }
        opened += 1;
        for fields in negatives(vector) {
            let case = Case(&fields);
            let answer = open(&case, &browser, &case.sealed()).await;
            if answer.map_err(KeyError::code) != Err(case.text("error")) {
                return Err(format!("{name}: {}: was not refused as it should be", case.text("name")).into());
            }
            refused += 1;
        }
    }
    Ok(format!("{made} made, {opened} opened, {refused} refused"))
}

async fn seals_a_fragment(case: &Case<'_>, browser: &Browser) -> bool {
    let plaintext = case.plaintext();
    let Fragment { key, number, last } = case.fragment();
    let job = SealJob {
        plaintext_len: plaintext.len() as u64,
        pieces: vec![Piece::Literal(plaintext.clone())],
        key,
        number,
        last,
        aad: fragment_aad(number, last),
    };
    let nothing = FileSource::new(js_sys::Object::new().into());
    let sealed = browser.seal(&nothing, job).await.expect("nothing was to be read");
    let bytes = sealed.bytes.to_vec();
    sha256(&bytes) == sealed.sha256 && open(case, browser, &bytes).await == Ok(plaintext)
}

async fn open(case: &Case<'_>, browser: &Browser, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
    if case.text("kind") != "fragment" {
        return case.open(sealed).expect("it is not only made");
    }
    let Fragment { key, number, last } = case.fragment();
    let job = OpenJob { key, number, last, aad: fragment_aad(number, last), sha256: sha256(sealed) };
    let opened = browser.open(JsBytes::from_vec(sealed.to_vec()), job).await;
    opened.map(|bytes| bytes.to_vec()).map_err(|_| KeyError::Rejected)
}
