//! What the fragment of a room's link holds, and what is derived from it.
//!
//! ```text
//! fragment = base64url( version(1) ‖ flags(1) ‖ number(4) ‖ room secret(32) ‖ host's Ed25519 key(32) )
//!            flags: 1 = lobby
//! psk      = HKDF(room secret, "psk", group id, number, host, flags)       part of every epoch's key
//! proof    = HMAC(room secret, "join", group id, SHA-256(KeyPackage))      who knocks has the link
//! pass     = HKDF(room secret, "room-door", room id, number)               shown to the server, which knows its SHA-256
//! about    = HKDF(room secret, "room-about", room id, number)              seals the room's name for whoever has the link
//! next     = MLS exporter of the epoch that a host's removal began         the room secret of new links
//! ```
//!
//! * The host's key and the lobby are under the link too: whoever hands out a link with another host or without the lobby
//!   leads people into a group of their own, never into this one.
//! * The pass lets the server tell those with the link from strangers, and is all of the link that it ever sees. Nothing
//!   else is derived from it, and from one of HKDF's outputs nobody gets another.
//! * `number` counts the removals by the host. An old link's secret proves nothing to those who went on, and the removed
//!   member cannot derive the next one: it comes from an epoch that they were never in.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gloaming_ids::{Context, Entropy, GroupId, RoomId};
use gloaming_room_log::{Door, Pass};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const LOBBY: u8 = 1;
const LENGTH: usize = 1 + 1 + 4 + 32 + 32;

gloaming_grants::secret! {
    /// What everybody in a room shares, and the server never has.
    RoomSecret;
}

/// A fragment that is no invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInvite {
    /// The remedy is an update.
    #[error("this link is of a newer version")]
    TooNew,
    /// Cut short, or not a link to a room.
    #[error("this link is not complete")]
    Malformed,
}

/// What lets somebody into a room.
#[derive(Debug)]
pub struct Invite {
    /// The room secret.
    pub secret: RoomSecret,
    /// How many removals by the host came before it.
    pub number: u32,
    /// The host's public key: whose admissions and removals count.
    pub host: [u8; 32],
    /// Whether the host admits everybody one by one.
    pub lobby: bool,
}

impl Invite {
    /// The first link of a new room.
    pub fn generate(host: [u8; 32], lobby: bool, entropy: &mut dyn Entropy) -> Self {
        Self { secret: RoomSecret::generate(entropy), number: 0, host, lobby }
    }

    /// Reads a link's fragment, without the `#`.
    pub fn from_fragment(fragment: &str) -> Result<Self, BadInvite> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(fragment).map_err(|_| BadInvite::Malformed)?);
        let Some((&version, rest)) = bytes.split_first() else { return Err(BadInvite::Malformed) };
        if version > FORMAT {
            return Err(BadInvite::TooNew);
        }
        let rest: &[u8; LENGTH - 1] = rest.try_into().map_err(|_| BadInvite::Malformed)?;
        let (flags, number, secret, host) = (rest[0], &rest[1..5], &rest[5..37], &rest[37..]);
        if version != FORMAT || flags > LOBBY {
            return Err(BadInvite::Malformed);
        }
        Ok(Self {
            secret: RoomSecret::from_bytes(secret.try_into().expect("32 of the bytes")),
            number: u32::from_be_bytes(number.try_into().expect("4 of the bytes")),
            host: host.try_into().expect("32 of the bytes"),
            lobby: flags == LOBBY,
        })
    }

    /// The fragment of a link, without the `#`. It is the key to the room.
    pub fn to_fragment(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
        bytes.extend_from_slice(&[FORMAT, self.flags()]);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(self.secret.expose());
        bytes.extend_from_slice(&self.host);
        Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes))
    }

    /// What a socket shows so that the server of this room listens to it.
    pub fn pass(&self, room: RoomId) -> Pass {
        Pass(*self.derive(&Context::new("room-door").field(room).number(self.number)))
    }

    /// What the owner deposits: with the room, and again when the host has removed somebody and the link is another.
    pub fn door(&self, room: RoomId) -> Door {
        Door::of(&self.pass(room))
    }

    /// Seals what the link says of the room.
    pub(crate) fn about_key(&self, room: RoomId) -> Zeroizing<[u8; 32]> {
        self.derive(&Context::new("room-about").field(room).number(self.number))
    }

    /// The pre-shared key's name in the group: which link's it is, and nothing secret.
    pub(crate) fn psk_id(&self, group: GroupId) -> Vec<u8> {
        Context::new("room-psk").field(group).number(self.number).as_bytes().to_vec()
    }

    pub(crate) fn psk(&self, group: GroupId) -> Zeroizing<[u8; 32]> {
        let info = Context::new("psk").field(group).number(self.number).field(self.host).number(self.flags());
        self.derive(&info)
    }

    /// What shows that whoever made the KeyPackage with this hash has the link.
    pub(crate) fn join_proof(&self, group: GroupId, key_package_hash: &[u8; 32]) -> [u8; 32] {
        self.join_mac(group, key_package_hash).finalize().into_bytes().into()
    }

    pub(crate) fn verify_join_proof(
        &self,
        group: GroupId,
        key_package_hash: &[u8; 32],
        proof: &[u8; 32],
    ) -> bool {
        // In constant time.
        self.join_mac(group, key_package_hash).verify_slice(proof).is_ok()
    }

    /// Seals what somebody at the door says of themselves.
    pub(crate) fn card_key(&self, group: GroupId) -> Zeroizing<[u8; 32]> {
        self.derive(&Context::new("room-card").field(group).number(self.number))
    }

    fn join_mac(&self, group: GroupId, key_package_hash: &[u8; 32]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.secret.expose()).expect("HMAC takes keys of any length");
        mac.update(Context::new("join").field(group).field(key_package_hash).as_bytes());
        mac
    }

    fn derive(&self, info: &Context) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.secret.expose())
            .expand(info.as_bytes(), &mut *out)
            .expect("32 bytes is less than HKDF's 255 hashes");
        out
    }

    fn flags(&self) -> u8 {
        if self.lobby { LOBBY } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    fn invite() -> Invite {
        Invite { secret: RoomSecret::from_bytes([1; 32]), number: 7, host: [2; 32], lobby: true }
    }

    #[test]
    fn a_link_reads_back_and_a_shortened_one_does_not() {
        let fragment = invite().to_fragment();
        let back = Invite::from_fragment(&fragment).unwrap();
        assert_eq!(back.to_fragment(), fragment);
        assert_eq!((back.number, back.lobby, back.host), (7, true, [2; 32]));
        for length in 0..fragment.len() {
            assert_eq!(
                Invite::from_fragment(&fragment[..length]).err(),
                Some(BadInvite::Malformed),
                "{length}"
            );
        }
        let newer = URL_SAFE_NO_PAD.encode([&[2][..], &[0; 69]].concat());
        assert_eq!(Invite::from_fragment(&newer).err(), Some(BadInvite::TooNew));
    }

    #[test]
    fn every_part_of_a_link_makes_another_key() {
        let group = GroupId::from_bytes([3; 16]);
        let psk = invite().psk(group);
        assert_ne!(psk, Invite { number: 8, ..invite() }.psk(group));
        assert_ne!(psk, Invite { host: [9; 32], ..invite() }.psk(group));
        assert_ne!(psk, Invite { lobby: false, ..invite() }.psk(group));
        assert_ne!(psk, Invite { secret: RoomSecret::from_bytes([9; 32]), ..invite() }.psk(group));
        assert_ne!(psk, invite().psk(GroupId::from_bytes([4; 16])));
    }

    #[test]
    fn a_join_proof_is_for_one_group_and_one_key_package() {
        let group = GroupId::from_bytes([3; 16]);
        let proof = invite().join_proof(group, &[5; 32]);
        assert!(invite().verify_join_proof(group, &[5; 32], &proof));
        assert!(!invite().verify_join_proof(group, &[6; 32], &proof));
        assert!(!invite().verify_join_proof(GroupId::from_bytes([4; 16]), &[5; 32], &proof));
        let other = Invite { secret: RoomSecret::from_bytes([9; 32]), ..invite() };
        assert!(!other.verify_join_proof(group, &[5; 32], &proof));
    }

    /// Made with Python's `hmac` and `hashlib`.
    #[test]
    fn passes_and_doors_are_those_of_the_vectors() {
        let counting: [u8; 32] = std::array::from_fn(|n| n as u8);
        for (secret, room, number, pass, door) in [
            (
                [1; 32],
                [3; 16],
                0,
                "ce3d4fc0f968fff44b5816317a8c32c3d5c5c5548cd50a13848a5a8f64ec624b",
                "247cef9bb731e0cfb2c65e6786714d87aacca49d5c2172990f9fc6a1e8d572fd",
            ),
            (
                [1; 32],
                [3; 16],
                7,
                "3e884a6d8def7339ded36af56aee9c5eecd8e2d768dee40a9ac1ae5968b8afb6",
                "992be848b7c66ff081c00334abf46d57ddb59b4c27665fcde32e37cb151cec80",
            ),
            (
                counting,
                std::array::from_fn(|n| n as u8),
                1,
                "4fd704d4513d5ff825294524a7bc57e1f06bb2ae8e403c27654e9a87cb93be5e",
                "4f28df912cf205c4c1992df099d9aaafa855d00caec51f70815a722a4c30fdd5",
            ),
        ] {
            let link = Invite { secret: RoomSecret::from_bytes(secret), number, ..invite() };
            let room = RoomId::from_bytes(room);
            assert_eq!(hex::encode(link.pass(room).0), pass);
            assert_eq!(hex::encode(link.door(room).0), door);
            assert!(link.door(room).opens_to(&link.pass(room)));
        }
    }

    #[test]
    fn a_pass_is_for_one_room_and_one_link() {
        let room = RoomId::from_bytes([3; 16]);
        let door = invite().door(room);
        assert!(!door.opens_to(&invite().pass(RoomId::from_bytes([4; 16]))));
        assert!(!door.opens_to(&Invite { number: 8, ..invite() }.pass(room)));
        let other = Invite { secret: RoomSecret::from_bytes([9; 32]), ..invite() };
        assert!(!door.opens_to(&other.pass(room)));
        // Of all that is derived from the secret, the server sees this one.
        let group = GroupId::from_bytes([3; 16]);
        assert_ne!(invite().pass(room).0, *invite().psk(group));
        assert_ne!(invite().pass(room).0, *invite().card_key(group));
        assert_ne!(invite().pass(room).0, *invite().about_key(room));
    }

    #[test]
    fn a_link_does_not_print() {
        assert!(format!("{:?}", invite()).contains("RoomSecret(..)"));
    }
}
