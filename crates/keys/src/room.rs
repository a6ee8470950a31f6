//! What an account brings into rooms. Rooms themselves, their links and what is said in them are `gloaming-room`'s.
//!
//! ```text
//! device = HKDF(identity's Ed25519 seed, "room-device")       vouches for the account's seats, the same in every room
//! ```

use gloaming_ids::Context;

use crate::{Identity, derive::derive};

gloaming_grants::secret! {
    /// What a room's host signs with: admissions, removals, the end. Kept in the library of whoever made the room.
    RoomHostSeed;
    /// What an account's device signs its seats with.
    RoomDeviceSeed;
}

impl RoomDeviceSeed {
    /// The account's own. It leads back to nothing else of the account's.
    pub fn of(identity: &Identity) -> Self {
        Self::from_bytes(derive(identity.ed25519.expose(), &Context::new("room-device")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keyring;

    #[test]
    fn an_account_is_the_same_device_in_every_room_and_another_after_a_new_identity() {
        let mut n = 0_u8;
        let mut dice = move |out: &mut [u8]| {
            out.iter_mut().for_each(|byte| {
                n = n.wrapping_mul(5).wrapping_add(1);
                *byte = n;
            });
        };
        let keyring = Keyring::create(&mut dice);
        let device = RoomDeviceSeed::of(keyring.identity());
        assert_eq!(device.expose(), RoomDeviceSeed::of(keyring.identity()).expose());
        assert_ne!(device.expose(), keyring.identity().ed25519.expose());
        assert_ne!(device.expose(), RoomDeviceSeed::of(keyring.rotate(&mut dice).identity()).expose());
    }
}
