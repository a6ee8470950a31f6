use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gloaming_api::playback::PLAYBACK_COOKIE;
use gloaming_store::Place;
use ipnet::{Ipv4Net, Ipv6Net};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{client::Client, data_dir};

/// Characters of a program's name that are noted.
const MAX_AGENT: usize = 120;

/// What names a viewer's browser: 32 random bytes, which only it keeps. The server keeps their SHA-256.
pub(crate) struct Browser {
    value: String,
    hash: [u8; 32],
}

impl Browser {
    fn from_cookie(value: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(value).ok().filter(|bytes| bytes.len() == 32)?;
        Some(Self { value: value.to_owned(), hash: Sha256::digest(&bytes).into() })
    }

    fn new() -> Self {
        let bytes = data_dir::random::<32>();
        Self { value: URL_SAFE_NO_PAD.encode(bytes), hash: Sha256::digest(bytes).into() }
    }

    /// All that a request names. A frame on another site has a cookie of its own, and a browser may send both.
    pub(crate) fn all(headers: &HeaderMap) -> Vec<Self> {
        let texts = headers.get_all(header::COOKIE).iter().filter_map(|text| text.to_str().ok());
        let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let named = pairs.filter(|(name, _)| *name == PLAYBACK_COOKIE);
        named.filter_map(|(_, value)| Self::from_cookie(value)).take(4).collect()
    }

    /// The one that a request names, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::all(headers).into_iter().next().unwrap_or_else(Self::new)
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    pub(crate) fn is(&self, hash: &[u8; 32]) -> bool {
        self.hash.ct_eq(hash).into()
    }
}

/// The cookie that a browser keeps for `seconds`. In a frame on another site it must say that it knows, and it is kept
/// apart for each such site.
pub(crate) fn cookie(browser: &Browser, embedded: bool, https: bool, seconds: u64) -> HeaderValue {
    let kind = match (embedded, https) {
        (true, _) => "SameSite=None; Secure; Partitioned",
        (false, true) => "SameSite=Lax; Secure",
        (false, false) => "SameSite=Lax",
    };
    let value = &browser.value;
    let text = format!("{PLAYBACK_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; {kind}");
    HeaderValue::from_str(&text).expect("base64url is ASCII")
}

/// Whence a request comes, as the log notes it: no closer than an owner needs.
pub(crate) fn place(client: &Client, headers: &HeaderMap) -> Place {
    let network = match client.address.to_canonical() {
        IpAddr::V4(address) => Ipv4Net::new(address, 24).expect("24 bits of 32").trunc().to_string(),
        IpAddr::V6(address) => Ipv6Net::new(address, 48).expect("48 bits of 128").trunc().to_string(),
    };
    let agent = headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let agent = agent.unwrap_or_default();
    let agent = agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect();
    Place { network, agent }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_browser_keeps_its_name_and_what_is_no_name_gets_a_new_one() {
        let first = Browser::of(&HeaderMap::new());
        let sent = format!("a=b; {PLAYBACK_COOKIE}={}", first.value);
        assert!(Browser::of(&headers(&[(header::COOKIE, &sent)])).is(&first.hash()));
        for wrong in ["", "x", &first.value[1..]] {
            let sent = format!("{PLAYBACK_COOKIE}={wrong}");
            assert!(!Browser::of(&headers(&[(header::COOKIE, &sent)])).is(&first.hash()), "{wrong}");
        }
    }

    #[test]
    fn a_place_is_a_network_and_a_short_name() {
        let place = |address: &str, agent: &str| {
            let client = Client { address: address.parse().unwrap(), https: true, host: String::new() };
            let place = place(&client, &headers(&[(header::USER_AGENT, agent)]));
            (place.network, place.agent)
        };
        assert_eq!(place("192.0.2.77", "Firefox"), ("192.0.2.0/24".into(), "Firefox".into()));
        assert_eq!(place("::ffff:192.0.2.77", "x").0, "192.0.2.0/24");
        assert_eq!(place("2001:db8:1:2::3", &"y".repeat(500)), ("2001:db8:1::/48".into(), "y".repeat(120)));
    }
}
