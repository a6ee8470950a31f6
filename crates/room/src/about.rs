//! What a room's link says of the room: its name, and the rules that members keep among themselves.
//!
//! ```text
//! sealed = nonce(12) ‖ AES-256-GCM( length(4, BE) ‖ CBOR ‖ zeros, to the next multiple of 256 )
//!          key: HKDF(room secret, "room-about", room id, number)
//! ```
//!
//! The server keeps it beside the [`gloaming_room_log::Door`] of the same link, and can open neither. Whoever holds the link
//! can make another, so it is a name on a door and no proof of anything.

use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead};
use gloaming_ids::{Entropy, RoomId};
use serde::{Deserialize, Serialize};

use crate::Invite;

const NONCE: usize = 12;
const LENGTH: usize = 4;
const STEP: usize = 256;

/// What whoever opens a room's link is told before they come in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// What the room is called.
    pub name: String,
    /// Whether only the host shares a screen. Pages keep it; who does not is seen by everybody.
    #[serde(default)]
    pub only_host_shares: bool,
    /// Whether members connect through the forwarder only, so that nobody learns another's address. The server is told too,
    /// and is not believed: what is sealed here decides.
    #[serde(default)]
    pub hide_addresses: bool,
}

impl Invite {
    /// Seals what is said of the room to whoever has this link.
    pub fn seal_about(&self, room: RoomId, about: &About, entropy: &mut dyn Entropy) -> Vec<u8> {
        let mut padded = vec![0; LENGTH];
        ciborium::into_writer(about, &mut padded).expect("writing to memory does not fail");
        let length = u32::try_from(padded.len() - LENGTH).expect("a name is shorter than 4 GB");
        padded[..LENGTH].copy_from_slice(&length.to_be_bytes());
        padded.resize(padded.len().next_multiple_of(STEP), 0);
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let cipher = Aes256Gcm::new((&*self.about_key(room)).into());
        let sealed =
            cipher.encrypt(&nonce.into(), padded.as_slice()).expect("it is far shorter than GCM's limit");
        [&nonce[..], &sealed].concat()
    }

    /// Opens it. Nothing where it is another link's, or was changed.
    pub fn open_about(&self, room: RoomId, sealed: &[u8]) -> Option<About> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let padded =
            Aes256Gcm::new((&*self.about_key(room)).into()).decrypt(&(*nonce).into(), sealed).ok()?;
        let (length, rest) = padded.split_first_chunk::<LENGTH>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        ciborium::from_reader(rest.get(..length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;
    use crate::RoomSecret;

    const ROOM: RoomId = RoomId::from_bytes([3; 16]);

    fn invite() -> Invite {
        Invite { secret: RoomSecret::from_bytes([1; 32]), number: 7, host: [2; 32], lobby: true }
    }

    fn about() -> About {
        About { name: "Tuesdays".into(), only_host_shares: true, hide_addresses: true }
    }

    #[test]
    fn who_has_the_link_reads_the_rooms_name_and_nobody_else_does() {
        let mut dice = |out: &mut [u8]| out.fill(9);
        let sealed = invite().seal_about(ROOM, &about(), &mut dice);
        assert_eq!(invite().open_about(ROOM, &sealed), Some(about()));
        let other = Invite { secret: RoomSecret::from_bytes([9; 32]), ..invite() };
        for (invite, room) in
            [(other, ROOM), (Invite { number: 8, ..invite() }, ROOM), (invite(), RoomId::from_bytes([4; 16]))]
        {
            assert_eq!(invite.open_about(room, &sealed), None);
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(invite().open_about(ROOM, &changed), None, "byte {at}");
        }
        for length in 0..NONCE + 1 {
            assert_eq!(invite().open_about(ROOM, &sealed[..length]), None);
        }
    }

    #[test]
    fn names_of_usual_length_are_all_as_long() {
        let mut dice = |out: &mut [u8]| out.fill(9);
        let mut length = |name: &str| {
            let about = About { name: name.into(), ..About::default() };
            invite().seal_about(ROOM, &about, &mut dice).len()
        };
        assert_eq!(length(""), length(&"n".repeat(200)));
    }
}
