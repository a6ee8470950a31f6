use serde::{Serialize, de::DeserializeOwned};

use crate::{MAX_MESSAGE, PROTOCOL_VERSION};

/// Bytes that are no message of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The remedy is an update of whichever side is older.
    #[error("protocol version {found} is not the one of this build")]
    Version {
        /// The version that the frame begins with.
        found: u8,
    },
    /// Longer than [`MAX_MESSAGE`].
    #[error("the frame is longer than any message")]
    TooLong,
    /// Not CBOR of the fields that it should have, or something behind them.
    #[error("the frame is no message of a room")]
    Fields,
}

/// `version(1) ‖ CBOR`.
pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![PROTOCOL_VERSION];
    ciborium::into_writer(message, &mut bytes).expect("writing to memory does not fail");
    bytes
}

pub(crate) fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, Malformed> {
    if frame.len() > MAX_MESSAGE {
        return Err(Malformed::TooLong);
    }
    let mut rest = match frame {
        [PROTOCOL_VERSION, rest @ ..] => rest,
        [found, ..] => return Err(Malformed::Version { found: *found }),
        [] => return Err(Malformed::Fields),
    };
    let message = ciborium::from_reader(&mut rest).map_err(|_| Malformed::Fields)?;
    if rest.is_empty() { Ok(message) } else { Err(Malformed::Fields) }
}
