//! As much of STUN (RFC 8489) as it takes to tell whose a request is, and to answer one that is nobody's.
//!
//! A request with a username is a connectivity check of a peer, and str0m answers it. One without is a browser of a
//! mesh that asks for its own address; the answer is one attribute long.

use std::net::{IpAddr, SocketAddr};

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const USERNAME: u16 = 0x0006;
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];

/// What a datagram asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stun<'a> {
    /// A connectivity check, for the peer with this local username fragment.
    Check { ufrag: &'a str },
    /// Which address do you see?
    WhoAmI { transaction: [u8; 12] },
    /// An answer, an indication, or nothing of ours.
    Other,
}

/// Reads a datagram whose first byte is 0 or 1.
pub(crate) fn read(datagram: &[u8]) -> Stun<'_> {
    let Some((header, attributes)) = datagram.split_at_checked(HEADER) else { return Stun::Other };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE || length != attributes.len() {
        return Stun::Other;
    }
    match username(attributes) {
        Ok(Some(name)) => name.split(':').next().map_or(Stun::Other, |ufrag| Stun::Check { ufrag }),
        Ok(None) => Stun::WhoAmI { transaction: header[8..].try_into().expect("a header is 20 bytes") },
        Err(()) => Stun::Other,
    }
}

fn username(mut attributes: &[u8]) -> Result<Option<&str>, ()> {
    while let Some((head, rest)) = attributes.split_at_checked(4) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = rest.get(..length).ok_or(())?;
        if u16::from_be_bytes([head[0], head[1]]) == USERNAME {
            return std::str::from_utf8(value).map(Some).map_err(|_| ());
        }
        attributes = rest.get(length.next_multiple_of(4)..).ok_or(())?;
    }
    if attributes.is_empty() { Ok(None) } else { Err(()) }
}

/// The answer to [`Stun::WhoAmI`].
pub(crate) fn answer(transaction: [u8; 12], seen: SocketAddr) -> Vec<u8> {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&COOKIE);
    mask[4..].copy_from_slice(&transaction);
    let (family, mut address) = match seen.ip() {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    address.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    let port = seen.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);

    let value = u16::try_from(4 + address.len()).expect("an address is 4 or 16 bytes");
    let mut out = Vec::with_capacity(HEADER + 8 + address.len());
    out.extend_from_slice(&BINDING_SUCCESS);
    out.extend_from_slice(&(value + 4).to_be_bytes());
    out.extend_from_slice(&mask);
    out.extend_from_slice(&XOR_MAPPED_ADDRESS);
    out.extend_from_slice(&value.to_be_bytes());
    out.extend_from_slice(&[0, family]);
    out.extend_from_slice(&port.to_be_bytes());
    out.extend_from_slice(&address);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect")]

    use proptest::prelude::*;

    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut out = BINDING_REQUEST.to_vec();
        out.extend_from_slice(&u16::try_from(attributes.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&COOKIE);
        out.extend_from_slice(&[7; 12]);
        out.extend_from_slice(attributes);
        out
    }

    #[test]
    fn a_check_names_its_peer_and_a_bare_request_asks_for_an_address() {
        let name = b"\x00\x06\x00\x07abc:wxy\x00";
        assert_eq!(read(&request(name)), Stun::Check { ufrag: "abc" });
        assert_eq!(read(&request(&[])), Stun::WhoAmI { transaction: [7; 12] });
        assert_eq!(read(&request(b"\x00\x06\x00\x08abc:wxy")), Stun::Other, "longer than the message");
        assert_eq!(read(&request(name)[..30]), Stun::Other, "cut short");
    }

    /// RFC 5769 §2.2: the address of the sample response.
    #[test]
    fn an_answer_is_that_of_the_rfc() {
        let transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let answer = answer(transaction, "192.0.2.1:32853".parse().unwrap());
        let attribute = [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        assert_eq!(answer[..4], [0x01, 0x01, 0x00, 0x0c]);
        assert_eq!(answer[HEADER..], attribute);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..80), fix: bool) {
            let mut bytes = bytes;
            if fix && bytes.len() >= HEADER {
                let length = u16::try_from(bytes.len() - HEADER).unwrap();
                bytes[..2].copy_from_slice(&BINDING_REQUEST);
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[4..8].copy_from_slice(&COOKIE);
            }
            read(&bytes);
        }
    }
}
