//! Media frames and links from strangers: nothing opens, nothing panics, and what reads is written the same way again.

use gloaming_room::{Codec, FrameOpener, FrameSealer, Invite};

/// See the module.
pub fn check(input: (u8, Vec<u8>, String)) {
    let (codec, frame, fragment) = input;
    let codec = [Codec::Vp8, Codec::Vp9, Codec::Opus][usize::from(codec) % 3];
    assert!(FrameOpener::default().open(0, codec, &frame).is_err());
    assert!(FrameSealer::default().seal(0, codec, &frame).is_err());
    if let Ok(invite) = Invite::from_fragment(&fragment) {
        assert_eq!(*invite.to_fragment(), fragment);
    }
}
