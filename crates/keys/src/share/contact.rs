//! A contact link: by its fingerprint a person is known, whatever a server says of them.
//!
//! ```text
//! link     = <server> "/c/" account "#" fragment
//! fragment = base64url( version(1) = 1 ‖ fingerprint(32) ‖ check(2) )
//! check    = the first bytes of SHA-256( context "contact-link", 1, account, fingerprint )
//! ```
//!
//! Nothing in it is a secret. It must come from the person, by a way that the server cannot change: that is what it is for.
//! The check finds a slip of the hand, and a fragment that was put behind another account; it proves nothing.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gloaming_ids::{AccountId, Context};

use super::{Fingerprint, LinkError};
use crate::digest::sha256;

const VERSION: u8 = 1;
const CHECK: usize = 2;

/// What a contact link says: an account, and by which keys it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactLink {
    /// Whose.
    pub account: AccountId,
    /// To be pinned.
    pub fingerprint: Fingerprint,
}

impl ContactLink {
    /// What stands behind the `#`.
    pub fn to_fragment(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.fingerprint.0);
        bytes.extend(self.check());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what stands behind `/c/`, and behind the `#`.
    pub fn new(account: &str, fragment: &str) -> Result<Self, LinkError> {
        let account = account.parse().map_err(|_| LinkError::Incomplete)?;
        let bytes = URL_SAFE_NO_PAD.decode(fragment.trim()).map_err(|_| LinkError::Incomplete)?;
        let body = match bytes.split_first() {
            Some((&VERSION, body)) => body,
            Some((newer, _)) if *newer > VERSION => return Err(LinkError::TooNew),
            _ => return Err(LinkError::Incomplete),
        };
        let (fingerprint, check) = body.split_first_chunk().ok_or(LinkError::Incomplete)?;
        let link = Self { account, fingerprint: Fingerprint(*fingerprint) };
        if check == link.check() { Ok(link) } else { Err(LinkError::Incomplete) }
    }

    /// From a whole link: `https://host/c/<account>#…`.
    pub fn parse(link: &str) -> Result<Self, LinkError> {
        let (address, fragment) = link.trim().split_once('#').ok_or(LinkError::Incomplete)?;
        let path = address.split('?').next().unwrap_or_default().trim_end_matches('/');
        let (before, account) = path.rsplit_once('/').ok_or(LinkError::Incomplete)?;
        if before == "/c" || before.ends_with("/c") {
            Self::new(account, fragment)
        } else {
            Err(LinkError::Incomplete)
        }
    }

    fn check(&self) -> [u8; CHECK] {
        let context =
            Context::new("contact-link").number(VERSION).field(self.account).field(self.fingerprint.0);
        *sha256(context.as_bytes()).first_chunk().expect("a digest is longer")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn link() -> ContactLink {
        ContactLink {
            account: AccountId::from_bytes([7; 16]),
            fingerprint: Fingerprint(std::array::from_fn(|n| n as u8)),
        }
    }

    #[test]
    fn a_contact_link_is_read_as_it_is_written() {
        let (link, fragment) = (link(), link().to_fragment());
        // Frozen: a link that was printed is good for ever.
        assert_eq!(fragment, "AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fvQY");
        for text in [
            format!("https://films.example/c/{}#{fragment}", link.account),
            format!(" http://127.0.0.1:8080/c/{}/?from=here#{fragment}\n", link.account),
            format!("/c/{}#{fragment}", link.account),
        ] {
            assert_eq!(ContactLink::parse(&text), Ok(link), "{text}");
        }
    }

    #[test]
    fn a_contact_link_that_was_cut_bent_or_mixed_up_is_refused() {
        let (link, fragment) = (link(), link().to_fragment());
        let other = AccountId::from_bytes([8; 16]);
        let bytes = URL_SAFE_NO_PAD.decode(&fragment).unwrap();
        let spell = |bytes: &[u8]| format!("https://h/c/{}#{}", link.account, URL_SAFE_NO_PAD.encode(bytes));
        for bit in 8..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ContactLink::parse(&spell(&bent)), Err(LinkError::Incomplete), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(ContactLink::parse(&spell(&bytes[..len])), Err(LinkError::Incomplete), "{len} bytes");
        }
        for bad in [
            format!("https://h/c/{other}#{fragment}"),
            format!("https://h/v/{}#{fragment}", link.account),
            format!("https://h/c/{}", link.account),
            format!("https://h/c/{}#{fragment}A", link.account),
            String::new(),
        ] {
            assert_eq!(ContactLink::parse(&bad), Err(LinkError::Incomplete), "{bad}");
        }
        let newer = [&[2], &bytes[1..]].concat();
        assert_eq!(ContactLink::parse(&spell(&newer)), Err(LinkError::TooNew));
    }
}
