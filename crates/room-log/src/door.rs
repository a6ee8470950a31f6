//! Who may stand at a room's door: whoever shows what only its link gives.
//!
//! ```text
//! pass = HKDF(room secret, "room-door", room id, number)      shown with every Hello
//! door = SHA-256(pass)                                        deposited by the owner, and all that is kept
//! ```
//!
//! * A stranger who knows where a room is can neither knock at it nor, while nobody is there, found a group that those with
//!   the link would not get into.
//! * A pass opens nothing that is sealed: no key of the room follows from it, and members ask for a proof of their own.
//! * Whoever reads a stored door has not got the pass: it is 32 bytes that nobody can guess.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What shows the server that a socket's member has the room's link. `Debug` prints `Pass(..)` and no more.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pass(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl PartialEq for Pass {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass(..)")
    }
}

/// What the owner of a room deposits of its link, for the server to recognise a [`Pass`] by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Door(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl Door {
    /// The door that this pass opens.
    pub fn of(pass: &Pass) -> Self {
        Self(Sha256::digest(pass.0).into())
    }

    /// Whether a pass is the right one. Takes as long for a wrong one.
    pub fn opens_to(&self, pass: &Pass) -> bool {
        self.0.ct_eq(&Self::of(pass).0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_opens_to_its_pass_and_to_none_that_differs_by_a_bit() {
        let door = Door::of(&Pass([7; 32]));
        assert!(door.opens_to(&Pass([7; 32])));
        for bit in 0..256 {
            let mut other = [7; 32];
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!door.opens_to(&Pass(other)), "{bit}");
        }
        assert!(!door.opens_to(&Pass(door.0)), "who reads what is stored has not got the pass");
    }

    #[test]
    fn a_pass_does_not_print() {
        assert_eq!(format!("{:?}", Pass([7; 32])), "Pass(..)");
    }
}
