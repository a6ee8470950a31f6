//! Frames of a room's socket, and the MLS messages and frame headers that a server looks into: refused, or read the same way
//! again.

use gloaming_room_log::{
    AddedLeaf, ClientMessage, PrivateEnvelope, PublicCommit, SFrameHeader, ServerMessage,
};

/// See the module.
pub fn check(bytes: &[u8]) {
    if let Ok(message) = ClientMessage::decode(bytes) {
        assert_eq!(ClientMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(message) = ServerMessage::decode(bytes) {
        assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
    }
    let _ = (PublicCommit::parse(bytes), PrivateEnvelope::parse(bytes), AddedLeaf::parse(bytes));
    if let Ok((header, length)) = SFrameHeader::parse(bytes) {
        let mut again = Vec::new();
        header.encode_into(&mut again);
        assert_eq!(again, bytes[..length]);
    }
}
