//! What sealing costs here: a file goes through demuxer, planner and WebCrypto, and what comes out is counted and
//! dropped. For `web/bench`.

use futures::{StreamExt, stream::FuturesUnordered};
use gloaming_client::{
    Platform,
    platform::{Bulk, SealJob},
};
use gloaming_ids::VideoId;
use gloaming_keys::VideoSecret;
use gloaming_media::Demuxer;
use gloaming_package::{SealOptions, SealStep, Sealer};
use wasm_bindgen::prelude::*;

use crate::{host::Host, platform::Browser, source::FileSource};

/// Operations under way, as in an upload.
const IN_FLIGHT: usize = 3;

/// Seals all of `file`; answers with the bytes of sealed fragments.
#[wasm_bindgen(js_name = benchSeal)]
pub async fn bench_seal(host: Host, file: JsValue) -> Result<f64, JsValue> {
    let browser = Browser::new(host);
    let source = FileSource::new(file);
    let said = |error: &dyn std::fmt::Display| JsValue::from(error.to_string());
    let mut demuxer = Demuxer::new(source.stamp().len);
    while let Some(extent) = demuxer.need() {
        let bytes = browser.read(&source, extent).await.map_err(|_| "the file cannot be read")?;
        demuxer.feed(extent.offset, &bytes).map_err(|error| said(&error))?;
    }
    let movie = demuxer.finish().map_err(|error| said(&error))?;
    let mut entropy = |out: &mut [u8]| browser.fill_random(out);
    let secret = VideoSecret::generate(&mut entropy);
    let video = VideoId::generate(&mut entropy);
    let mut sealer = Sealer::new(movie, &secret, video, SealOptions::default(), &mut entropy)
        .map_err(|error| said(&error))?;
    let mut under_way = FuturesUnordered::new();
    let mut total = 0;
    loop {
        match sealer.next().map_err(|error| said(&error))? {
            SealStep::Need(extent) => {
                let bytes = browser.read(&source, extent).await.map_err(|_| "the file cannot be read")?;
                sealer.feed(extent.offset, &bytes).map_err(|error| said(&error))?;
            }
            SealStep::Fragment(job) => {
                let job = SealJob {
                    pieces: job.pieces,
                    key: job.key,
                    number: job.place.number,
                    last: job.last,
                    aad: job.aad,
                    plaintext_len: job.plaintext_len,
                };
                under_way.push(browser.seal(&source, job));
                if under_way.len() < IN_FLIGHT {
                    continue;
                }
            }
            SealStep::PackClosed(_) => continue,
            SealStep::Done => break,
        }
        if under_way.len() >= IN_FLIGHT
            && let Some(sealed) = under_way.next().await
        {
            total += sealed.map_err(|_| "a fragment could not be sealed")?.bytes.len();
        }
    }
    while let Some(sealed) = under_way.next().await {
        total += sealed.map_err(|_| "a fragment could not be sealed")?.bytes.len();
    }
    Ok(total as f64)
}
