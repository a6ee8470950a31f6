//! Who somebody is to the others in a room.
//!
//! ```text
//! DeviceKey (Ed25519; of an account's device, or of a guest's visit) signs "room-seat" ‖ room ‖ group ‖ seat ‖ seat's MLS key
//! card      = CBOR { name, device key, signature }        said on the group's keys, and sealed by the link at the door
//! code      = 30 digits of SHA-256("device-code", device key)   the same in every room: compared once, by voice
//! HostKey   (Ed25519) signs admissions and removals; the link names it
//! ```
//!
//! The credential in the group itself is only the seat's random id: the server sees key packages, and is not to learn from
//! them who meets whom in which rooms.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use gloaming_ids::{Context, Entropy, GroupId, RoomId, SeatId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The longest name, in bytes.
const MAX_NAME: usize = 200;

/// What a device signs its seats with.
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// From a seed that the account's keyring keeps, or that a guest drew for one visit.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// A guest's.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The code by which others know this device.
    pub fn code(&self) -> DeviceCode {
        DeviceCode(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn card(&self, name: &str, seat: &SeatContext) -> Card {
        let mut end = name.len().min(MAX_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        Card {
            name: name[..end].to_owned(),
            device: self.0.verifying_key().to_bytes(),
            signature: self.0.sign(seat.message().as_bytes()).to_bytes(),
        }
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}

/// What a host signs with. The link holds its public half.
pub struct HostKey(SigningKey);

impl HostKey {
    /// From a seed that the host's library keeps.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// What goes into links.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, order: &HostOrder<'_>) -> [u8; 64] {
        self.0.sign(order.message().as_bytes()).to_bytes()
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostKey(..)")
    }
}

/// What only a host can say.
pub(crate) enum HostOrder<'a> {
    /// Whoever made the KeyPackage with this hash may come into this group.
    Admit { group: GroupId, key_package_hash: &'a [u8; 32] },
    /// This seat is removed by the commit that ends this epoch, and with it every link so far.
    Expel { group: GroupId, epoch: u64, seat: SeatId },
    /// The meeting is over.
    End { group: GroupId },
}

impl HostOrder<'_> {
    fn message(&self) -> Context {
        match self {
            HostOrder::Admit { group, key_package_hash } => {
                Context::new("room-admit").field(group).field(key_package_hash)
            }
            HostOrder::Expel { group, epoch, seat } => {
                Context::new("room-expel").field(group).number(*epoch).field(seat)
            }
            HostOrder::End { group } => Context::new("room-end").field(group),
        }
    }

    pub(crate) fn verify(&self, host: &[u8; 32], signature: &[u8; 64]) -> bool {
        verify(host, &self.message(), signature)
    }
}

fn verify(key: &[u8; 32], message: &Context, signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key)
        .and_then(|key| key.verify_strict(message.as_bytes(), &Signature::from_bytes(signature)))
        .is_ok()
}

/// The seat that a card is for.
pub(crate) struct SeatContext {
    pub(crate) room: RoomId,
    pub(crate) group: GroupId,
    pub(crate) seat: SeatId,
    /// The seat's signature key in the group.
    pub(crate) key: Vec<u8>,
}

impl SeatContext {
    fn message(&self) -> Context {
        Context::new("room-seat").field(self.room).field(self.group).field(self.seat).field(&self.key)
    }
}

/// Who sits on a seat, in their own words, and the device that vouches for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The name that they chose. Anybody can choose any name.
    pub name: String,
    #[serde(with = "serde_bytes")]
    device: [u8; 32],
    #[serde(with = "serde_bytes")]
    signature: [u8; 64],
}

impl Card {
    /// The code of their device.
    pub fn code(&self) -> DeviceCode {
        DeviceCode(self.device)
    }

    pub(crate) fn verify(&self, seat: &SeatContext) -> bool {
        self.name.len() <= MAX_NAME && verify(&self.device, &seat.message(), &self.signature)
    }
}

/// Thirty digits that stand for a device, in six groups of five: about 99 bits, out of reach for who looks for another key
/// with the same ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceCode([u8; 32]);

impl DeviceCode {
    /// The device's public key, for pinning it.
    pub fn key(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = Sha256::digest(Context::new("device-code").field(self.0).as_bytes());
        for (n, chunk) in digest.chunks_exact(5).take(6).enumerate() {
            // Five bytes are ten million times as many as five digits, so no digit is likelier than another to notice.
            let number = chunk.iter().fold(0, |n, &b| n << 8 | u64::from(b)) % 100_000;
            write!(f, "{}{number:05}", if n == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceCode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(n: u8) -> SeatContext {
        SeatContext {
            room: RoomId::from_bytes([1; 16]),
            group: GroupId::from_bytes([2; 16]),
            seat: SeatId::from_bytes([n; 16]),
            key: vec![n; 32],
        }
    }

    #[test]
    fn a_card_is_for_one_seat() {
        let device = DeviceKey::from_seed(&[5; 32]);
        let card = device.card("Ana", &seat(3));
        assert!(card.verify(&seat(3)));
        assert!(!card.verify(&seat(4)));
        let mut renamed_device = card.clone();
        renamed_device.device = DeviceKey::from_seed(&[6; 32]).code().0;
        assert!(!renamed_device.verify(&seat(3)));
        assert_eq!(card.code(), device.code());
    }

    #[test]
    fn a_device_code_is_thirty_digits_and_another_for_another_device() {
        let code = DeviceKey::from_seed(&[5; 32]).code().to_string();
        assert_eq!(code.len(), 35);
        assert!(code.split(' ').all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit())));
        assert_ne!(code, DeviceKey::from_seed(&[6; 32]).code().to_string());
    }

    #[test]
    fn a_long_name_is_cut_between_two_characters() {
        let card = DeviceKey::from_seed(&[5; 32]).card(&"é".repeat(150), &seat(3));
        assert_eq!(card.name.len(), MAX_NAME);
        assert!(card.verify(&seat(3)));
    }

    #[test]
    fn an_order_of_the_host_is_for_one_thing_and_by_one_key() {
        let host = HostKey::from_seed(&[7; 32]);
        let (group, seat) = (GroupId::from_bytes([2; 16]), SeatId::from_bytes([3; 16]));
        let expel = HostOrder::Expel { group, epoch: 4, seat };
        let signature = host.sign(&expel);
        assert!(expel.verify(&host.public(), &signature));
        assert!(!expel.verify(&HostKey::from_seed(&[8; 32]).public(), &signature));
        assert!(!HostOrder::Expel { group, epoch: 5, seat }.verify(&host.public(), &signature));
        assert!(!HostOrder::End { group }.verify(&host.public(), &signature));
    }
}
