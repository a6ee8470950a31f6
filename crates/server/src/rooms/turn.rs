//! Credentials for TURN servers that somebody runs beside this one (draft-uberti-behave-turn-rest-00 §2.2), which both sides
//! compute from a secret that they share.
//!
//! ```text
//! username   = Unix time of its end ‖ ":" ‖ 16 random hexadecimal digits
//! credential = base64(HMAC-SHA1(secret, username))
//! ```
//!
//! The name is random rather than the seat's: who runs the TURN server is not told which room somebody is in.

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use base64::{Engine, engine::general_purpose::STANDARD};
use gloaming_api::room::IceServer;
use gloaming_ids::UnixMillis;

use crate::{Turn, data_dir};

/// What a browser is told of the servers.
pub(super) fn ice_server(turn: &Turn, now: UnixMillis) -> IceServer {
    let end = now.0 / 1000 + turn.lifetime.as_secs();
    let username = format!("{end}:{}", hex::encode(data_dir::random::<8>()));
    let credential = credential(&turn.secret, &username);
    IceServer { urls: turn.urls.clone(), username: Some(username), credential: Some(credential) }
}

fn credential(secret: &str, username: &str) -> String {
    let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    STANDARD.encode(sign(&key, username.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::time::Duration;

    use super::*;

    /// By `printf 1433895918:ninefingers | openssl dgst -sha1 -hmac north -binary | base64`, and so by coturn with
    /// `static-auth-secret=north`.
    #[test]
    fn a_credential_is_that_of_the_convention() {
        assert_eq!(credential("north", "1433895918:ninefingers"), "jy8hTxmOO7UtEKXqSkSlvakPVYA=");
    }

    #[test]
    fn a_name_says_when_it_ends_and_is_another_each_time() {
        let urls = vec!["turn:turn.example.org".to_owned()];
        let turn = Turn { urls: urls.clone(), secret: "north".into(), lifetime: Duration::from_secs(600) };
        let [one, other] = [(); 2].map(|()| ice_server(&turn, UnixMillis(1_800_000_000_999)));
        assert_eq!(one.urls, urls);
        let name = one.username.clone().unwrap();
        let (end, random) = name.split_once(':').unwrap();
        assert_eq!((end, random.len()), ("1800000600", 16));
        assert_ne!(one.username, other.username);
        assert_eq!(one.credential.unwrap(), credential("north", &name));
    }
}
