//! Only frames that look sealed pass.
//!
//! A frame passes if, where its sealed part begins, there is a well-formed SFrame header whose key id names the sender's
//! own leaf, the number it gave the track, and an epoch of the room's. A sender who seals and has fallen behind the group
//! is not taken for one who does not. That catches mistakes, a transform that was not attached above all; it is no defence
//! against a sender who wants to send in the clear, for whom nine bytes in front of a frame are no obstacle.

use gloaming_room_log::{KeyId, PAST_EPOCHS, SFrameHeader};

/// So many frames in a row that are not sealed, and nothing more is taken of a track.
const PATIENCE: u32 = 10;

/// What the key id of a track's frames must say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) track: u16,
    pub(crate) leaf: u32,
    /// The room's newest epoch; members lag behind for a few seconds.
    pub(crate) epoch: u64,
}

/// How a frame begins.
enum Beginning {
    /// As it must.
    Sealed,
    /// With a key of an epoch that is over, or not there yet: its sender has fallen behind the group, where many come at once.
    OtherEpoch,
    NotSealed,
}

impl Expected {
    fn read(&self, sealed: &[u8]) -> Beginning {
        let Ok((header, length)) = SFrameHeader::parse(sealed) else { return Beginning::NotSealed };
        let Some(KeyId { track, leaf, epoch }) = header.key_id() else { return Beginning::NotSealed };
        if track != self.track || leaf != self.leaf || sealed.len() <= length {
            return Beginning::NotSealed;
        }
        let behind = self.epoch.to_le_bytes()[0].wrapping_sub(epoch);
        let known = u64::from(behind) <= PAST_EPOCHS.min(self.epoch);
        if known { Beginning::Sealed } else { Beginning::OtherEpoch }
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// This frame is not sealed, or of another epoch, or it is not known yet whether this sender seals at all.
    Drop,
    /// This was once too often.
    Refuse,
}

/// Watches one stream: a track, or one layer of it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The last frame whose beginning was seen was sealed.
    open: bool,
    /// The timestamp of the last frame that was not.
    bad: Option<u32>,
    in_a_row: u32,
}

impl Gate {
    /// Judges a packet of the frame with this timestamp; `sealed` is what follows the clear part, if a frame begins here.
    pub(crate) fn judge(&mut self, time: u32, sealed: Option<&[u8]>, expected: &Expected) -> Verdict {
        let Some(sealed) = sealed else {
            // The rest of a frame goes the way of its beginning, or, should that be late, of the frame before.
            return if self.open && self.bad != Some(time) { Verdict::Pass } else { Verdict::Drop };
        };
        let beginning = expected.read(sealed);
        if let Beginning::Sealed = beginning {
            self.open = true;
            self.in_a_row = 0;
            return Verdict::Pass;
        }
        self.open = false;
        self.bad = Some(time);
        if let Beginning::OtherEpoch = beginning {
            return Verdict::Drop;
        }
        self.in_a_row += 1;
        if self.in_a_row >= PATIENCE { Verdict::Refuse } else { Verdict::Drop }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect")]

    use super::*;

    const EXPECTED: Expected = Expected { track: 2, leaf: 5, epoch: 257 };

    fn sealed(track: u16, leaf: u32, epoch: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let kid = KeyId::new(track, leaf, epoch).unwrap().to_u64();
        SFrameHeader { kid, counter: 9 }.encode_into(&mut out);
        out.extend_from_slice(&[0x5a; 30]);
        out
    }

    fn judge(frame: &[u8]) -> Verdict {
        Gate::default().judge(0, Some(frame), &EXPECTED)
    }

    #[test]
    fn the_epoch_the_leaf_and_the_track_must_be_the_senders() {
        assert_eq!(judge(&sealed(2, 5, 257)), Verdict::Pass);
        assert_eq!(judge(&sealed(2, 5, 257 - PAST_EPOCHS)), Verdict::Pass, "members lag behind");
        assert_eq!(judge(&sealed(2, 5, 256 - PAST_EPOCHS)), Verdict::Drop, "too old");
        assert_eq!(judge(&sealed(2, 5, 258)), Verdict::Drop, "not there yet");
        assert_eq!(judge(&sealed(2, 4, 257)), Verdict::Drop, "somebody else's leaf");
        assert_eq!(judge(&sealed(3, 5, 257)), Verdict::Drop, "another track's key");
        assert_eq!(judge(&[0x5a; 40]), Verdict::Drop);
        assert_eq!(judge(&[]), Verdict::Drop);
        let header = sealed(2, 5, 257);
        assert_eq!(judge(&header[..header.len() - 30]), Verdict::Drop, "nothing behind the header");
    }

    #[test]
    fn in_the_first_epochs_there_is_none_before_zero() {
        let expected = Expected { epoch: 1, ..EXPECTED };
        assert_eq!(Gate::default().judge(0, Some(&sealed(2, 5, 255)), &expected), Verdict::Drop);
        assert_eq!(Gate::default().judge(0, Some(&sealed(2, 5, 0)), &expected), Verdict::Pass);
    }

    #[test]
    fn the_rest_of_a_frame_goes_the_way_of_its_beginning() {
        let mut gate = Gate::default();
        assert_eq!(
            gate.judge(10, None, &EXPECTED),
            Verdict::Drop,
            "nothing passes before a sealed frame did"
        );
        assert_eq!(gate.judge(20, Some(&sealed(2, 5, 257)), &EXPECTED), Verdict::Pass);
        assert_eq!(gate.judge(20, None, &EXPECTED), Verdict::Pass);
        assert_eq!(gate.judge(30, Some(&[0; 40]), &EXPECTED), Verdict::Drop);
        assert_eq!(gate.judge(30, None, &EXPECTED), Verdict::Drop);
        assert_eq!(gate.judge(40, Some(&sealed(2, 5, 257)), &EXPECTED), Verdict::Pass);
        assert_eq!(gate.judge(30, None, &EXPECTED), Verdict::Drop, "late, and still of the bad one");
    }

    #[test]
    fn patience_ends() {
        let mut gate = Gate::default();
        for time in 1..PATIENCE {
            assert_eq!(gate.judge(time, Some(&[0; 40]), &EXPECTED), Verdict::Drop);
        }
        assert_eq!(gate.judge(PATIENCE, Some(&[0; 40]), &EXPECTED), Verdict::Refuse);
    }

    #[test]
    fn who_falls_behind_is_waited_for() {
        let mut gate = Gate::default();
        for time in 1..3 * PATIENCE {
            assert_eq!(gate.judge(time, Some(&sealed(2, 5, 250)), &EXPECTED), Verdict::Drop);
        }
        assert_eq!(gate.judge(99, Some(&sealed(2, 5, 257)), &EXPECTED), Verdict::Pass);
    }
}
