//! As much of MLS (RFC 9420) as a server can check without a key: the shape of commits and of sealed messages.
//!
//! ```text
//! commit  = MLSMessage { mls10, public_message, group id, epoch, member leaf, authenticated data, Commit, signature, tags }
//! Commit  = proposals by value only: Add | Remove | PreSharedKey (external); and always a path
//! message = MLSMessage { mls10, private_message, group id, epoch, application, … }
//! ```
//!
//! * A server that takes nothing else into its log cannot be talked into ordering an external commit, a reinitialisation
//!   or a proposal by reference, and knows which seats a commit seats and unseats from the commit itself.
//! * It can *not* check that signatures and tags are right, nor that the key behind the pre-shared key's name is the
//!   room's. Members do.

use gloaming_ids::{GroupId, SeatId};

/// The one ciphersuite of this protocol version: X-Wing (ML-KEM-768 and X25519), AES-128-GCM, SHA-256, Ed25519; the
/// provisional code point of draft-ietf-mls-pq-ciphersuites.
pub const SUITE: u16 = 0x004f;

const MLS10: u16 = 1;
const PUBLIC_MESSAGE: u16 = 1;
const PRIVATE_MESSAGE: u16 = 2;
const KEY_PACKAGE: u16 = 5;

/// Bytes that are not the MLS message that they should be, or one that this protocol has no use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no MLS message of a room")]
pub struct NotACommit;

/// Whom a KeyPackage seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddedLeaf {
    /// The seat that its credential names.
    pub seat: SeatId,
}

impl AddedLeaf {
    /// Reads an `MLSMessage` that holds a KeyPackage of our suite.
    pub fn parse(message: &[u8]) -> Result<Self, NotACommit> {
        let mut r = Reader(message);
        r.expect_u16(MLS10)?;
        r.expect_u16(KEY_PACKAGE)?;
        let leaf = r.key_package()?;
        r.end()?;
        Ok(leaf)
    }
}

/// A commit, as far as one without keys can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicCommit {
    /// The group.
    pub group: GroupId,
    /// The epoch that the commit ends.
    pub epoch: u64,
    /// The committer's leaf.
    pub leaf: u32,
    /// Leaves that it removes.
    pub removed: Vec<u32>,
    /// How many external pre-shared keys it carries: one, in every commit of this protocol.
    pub pre_shared_keys: usize,
    /// Whom it adds. They take the free leaves from the left, after the removals.
    pub added: Vec<AddedLeaf>,
}

impl PublicCommit {
    /// Reads an `MLSMessage` that holds a commit by a member which adds, removes, renews and carries external pre-shared
    /// keys, and nothing else. That it carries one is for the caller to ask, who may want to say so.
    pub fn parse(message: &[u8]) -> Result<Self, NotACommit> {
        let mut r = Reader(message);
        r.expect_u16(MLS10)?;
        r.expect_u16(PUBLIC_MESSAGE)?;
        let group = r.group()?;
        let epoch = r.u64()?;
        r.expect_u8(1)?; // sender: member
        let leaf = r.u32()?;
        r.vector()?; // authenticated data
        r.expect_u8(3)?; // content: commit
        let (mut removed, mut added, mut pre_shared_keys) = (Vec::new(), Vec::new(), 0);
        let mut proposals = Reader(r.vector()?);
        while !proposals.0.is_empty() {
            proposals.expect_u8(1)?; // by value
            match proposals.u16()? {
                1 => added.push(proposals.key_package()?),
                3 => removed.push(proposals.u32()?),
                4 => {
                    proposals.expect_u8(1)?; // external
                    proposals.vector()?; // id
                    proposals.vector()?; // nonce
                    pre_shared_keys += 1;
                }
                _ => return Err(NotACommit),
            }
        }
        r.expect_u8(1)?; // a path follows
        r.leaf_node()?;
        r.vector()?; // its nodes
        r.vector()?; // signature
        r.vector()?; // confirmation tag
        r.vector()?; // membership tag
        r.end()?;
        Ok(Self { group, epoch, leaf, removed, pre_shared_keys, added })
    }
}

/// The envelope of something that a member says to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivateEnvelope {
    /// The group.
    pub group: GroupId,
    /// The epoch that it is sealed in.
    pub epoch: u64,
}

impl PrivateEnvelope {
    /// Reads an `MLSMessage` that holds a sealed application message.
    pub fn parse(message: &[u8]) -> Result<Self, NotACommit> {
        let mut r = Reader(message);
        r.expect_u16(MLS10)?;
        r.expect_u16(PRIVATE_MESSAGE)?;
        let (group, epoch) = (r.group()?, r.u64()?);
        r.expect_u8(1)?; // content: application
        r.vector()?; // authenticated data
        r.vector()?; // sealed sender data
        r.vector()?; // ciphertext
        r.end()?;
        Ok(Self { group, epoch })
    }
}

/// The presentation language of RFC 9420 §2.1, as far as it is needed here.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], NotACommit> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(NotACommit)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NotACommit> {
        Ok(self.take(N)?.try_into().expect("as long as was asked for"))
    }

    fn u8(&mut self) -> Result<u8, NotACommit> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, NotACommit> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, NotACommit> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, NotACommit> {
        self.array().map(u64::from_be_bytes)
    }

    fn expect_u8(&mut self, expected: u8) -> Result<(), NotACommit> {
        if self.u8()? == expected { Ok(()) } else { Err(NotACommit) }
    }

    fn expect_u16(&mut self, expected: u16) -> Result<(), NotACommit> {
        if self.u16()? == expected { Ok(()) } else { Err(NotACommit) }
    }

    /// `opaque <V>`: a length of one, two or four bytes whose first two bits say which, in its shortest spelling.
    fn vector(&mut self) -> Result<&'a [u8], NotACommit> {
        let first = *self.0.first().ok_or(NotACommit)?;
        let (length, least) = match first >> 6 {
            0 => (u32::from(self.u8()?), 0),
            1 => (u32::from(self.u16()? & 0x3fff), 1 << 6),
            2 => (self.u32()? & 0x3fff_ffff, 1 << 14),
            _ => return Err(NotACommit),
        };
        if length < least {
            return Err(NotACommit);
        }
        self.take(usize::try_from(length).map_err(|_| NotACommit)?)
    }

    fn group(&mut self) -> Result<GroupId, NotACommit> {
        self.vector()?.try_into().map(GroupId::from_bytes).map_err(|_| NotACommit)
    }

    fn key_package(&mut self) -> Result<AddedLeaf, NotACommit> {
        self.expect_u16(MLS10)?;
        self.expect_u16(SUITE)?;
        self.vector()?; // init key
        let seat = self.leaf_node()?;
        self.vector()?; // extensions
        self.vector()?; // signature
        Ok(AddedLeaf { seat })
    }

    fn leaf_node(&mut self) -> Result<SeatId, NotACommit> {
        self.vector()?; // encryption key
        self.vector()?; // signature key
        self.expect_u16(1)?; // credential: basic
        let seat = self.vector()?.try_into().map(SeatId::from_bytes).map_err(|_| NotACommit)?;
        for _ in 0..5 {
            self.vector()?; // capabilities: versions, suites, extensions, proposals, credentials
        }
        match self.u8()? {
            1 => drop(self.take(16)?), // from a key package: lifetime
            2 => {}                    // from an update
            3 => drop(self.vector()?), // from a commit: parent hash
            _ => return Err(NotACommit),
        }
        self.vector()?; // extensions
        self.vector()?; // signature
        Ok(seat)
    }

    fn end(&self) -> Result<(), NotACommit> {
        if self.0.is_empty() { Ok(()) } else { Err(NotACommit) }
    }
}

/// Messages of the right shape and with nothing in them, for tests that need no keys. What real ones look like is
/// tested where they are made, in `gloaming-room`.
#[cfg(test)]
pub(crate) mod shapes {
    use super::*;

    fn vector(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).expect("short");
        let mut out = if length < 64 {
            vec![length.to_be_bytes()[1]]
        } else {
            (length | 0x4000).to_be_bytes().to_vec()
        };
        out.extend_from_slice(bytes);
        out
    }

    fn leaf_node(seat: SeatId, source: &[u8]) -> Vec<u8> {
        [b"\x01e\x01s\0\x01", &vector(seat.as_bytes())[..], &[0; 5], source, &[0, 0]].concat()
    }

    pub(crate) fn key_package(seat: SeatId) -> Vec<u8> {
        [&[0, 1, 0, 5][..], &bare_key_package(seat)].concat()
    }

    fn bare_key_package(seat: SeatId) -> Vec<u8> {
        let source = [&[1][..], &[0; 16]].concat();
        [&[0, 1, 0, 0x4f, 1, 7][..], &leaf_node(seat, &source), &[0, 0]].concat()
    }

    pub(crate) fn add(seat: SeatId) -> Vec<u8> {
        [&[1, 0, 1][..], &bare_key_package(seat)].concat()
    }

    pub(crate) fn remove(leaf: u32) -> Vec<u8> {
        [&[1, 0, 3][..], &leaf.to_be_bytes()].concat()
    }

    pub(crate) fn psk() -> Vec<u8> {
        vec![1, 0, 4, 1, 1, 9, 1, 9]
    }

    pub(crate) fn commit(group: GroupId, epoch: u64, leaf: u32, proposals: &[Vec<u8>]) -> Vec<u8> {
        let path = [&[1][..], &leaf_node(SeatId::from_bytes([0; 16]), &[3, 0]), &[0]].concat();
        [
            &[0, 1, 0, 1][..],
            &vector(group.as_bytes()),
            &epoch.to_be_bytes(),
            &[1],
            &leaf.to_be_bytes(),
            &[0, 3],
            &vector(&proposals.concat()),
            &path,
            &[0, 0, 0],
        ]
        .concat()
    }

    pub(crate) fn private(group: GroupId, epoch: u64) -> Vec<u8> {
        [&[0, 1, 0, 2][..], &vector(group.as_bytes()), &epoch.to_be_bytes(), &[1, 0, 0, 0]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::{shapes::*, *};

    const GROUP: GroupId = GroupId::from_bytes([9; 16]);

    fn seat(n: u8) -> SeatId {
        SeatId::from_bytes([n; 16])
    }

    #[test]
    fn a_commit_says_whom_it_seats_and_unseats() {
        let message = commit(GROUP, 7, 2, &[add(seat(1)), remove(4), psk(), add(seat(2))]);
        let parsed = PublicCommit::parse(&message).expect("well-formed");
        let added = vec![AddedLeaf { seat: seat(1) }, AddedLeaf { seat: seat(2) }];
        assert_eq!(
            parsed,
            PublicCommit { group: GROUP, epoch: 7, leaf: 2, removed: vec![4], pre_shared_keys: 1, added }
        );
    }

    #[test]
    fn a_commit_with_any_other_proposal_is_refused_and_pre_shared_keys_are_counted() {
        let count = |proposals: &[Vec<u8>]| {
            PublicCommit::parse(&commit(GROUP, 7, 2, proposals)).map(|c| c.pre_shared_keys)
        };
        assert_eq!(count(&[add(seat(1))]), Ok(0));
        assert_eq!(count(&[psk(), psk()]), Ok(2));
        let refused: [&[Vec<u8>]; 6] = [
            &[psk(), vec![1, 0, 4, 2, 1, 9, 1, 9]],      // not an external one
            &[psk(), vec![1, 0, 2, 0]],                  // update
            &[psk(), vec![1, 0, 5, 0]],                  // reinit
            &[psk(), vec![1, 0, 6, 0]],                  // external init
            &[psk(), vec![1, 0, 7, 0]],                  // other extensions
            &[psk(), [&[2, 32][..], &[0; 32]].concat()], // by reference
        ];
        for proposals in refused {
            assert_eq!(
                PublicCommit::parse(&commit(GROUP, 7, 2, proposals)),
                Err(NotACommit),
                "{proposals:?}"
            );
        }
    }

    #[test]
    fn every_shortening_and_every_other_sender_is_refused() {
        let message = commit(GROUP, 7, 2, &[add(seat(1)), remove(4), psk()]);
        for length in 0..message.len() {
            assert_eq!(PublicCommit::parse(&message[..length]), Err(NotACommit), "{length}");
        }
        assert_eq!(PublicCommit::parse(&[&message[..], &[0]].concat()), Err(NotACommit));
        let sender = 4 + 17 + 8;
        for other in [0, 2, 3, 4] {
            let mut bent = message.clone();
            bent[sender] = other;
            assert_eq!(PublicCommit::parse(&bent), Err(NotACommit), "sender {other}");
        }
    }

    #[test]
    fn envelopes_and_key_packages_are_told_apart() {
        let (sealed, package) = (private(GROUP, 3), key_package(seat(5)));
        assert_eq!(PrivateEnvelope::parse(&sealed), Ok(PrivateEnvelope { group: GROUP, epoch: 3 }));
        assert_eq!(AddedLeaf::parse(&package), Ok(AddedLeaf { seat: seat(5) }));
        assert_eq!(PrivateEnvelope::parse(&package), Err(NotACommit));
        assert_eq!(AddedLeaf::parse(&sealed), Err(NotACommit));
        let mut other_suite = package;
        other_suite[7] = 1;
        assert_eq!(AddedLeaf::parse(&other_suite), Err(NotACommit));
    }
}
