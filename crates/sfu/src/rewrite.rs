//! One unbroken stream out of several: a viewer sees one sequence of packets, whichever layer they come from.
//!
//! Inside one run of packets every number is shifted by the same amount, so that gaps stay gaps, and a late packet finds
//! its place. A new run begins with a key frame (or any packet, for sound): its numbers go on where the last run ended.

use std::time::Instant;

use crate::payload::Shape;

/// What numbers a packet came with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// The sequence number, without its wrapping around.
    pub(crate) seq: u64,
    /// The RTP time.
    pub(crate) time: u32,
    /// Its ticks in a second.
    pub(crate) rate: u32,
    pub(crate) captured: Instant,
}

/// And with what numbers it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renumbered {
    pub(crate) seq: u64,
    pub(crate) time: u32,
    /// The picture's number and TL0PICIDX, where they are others than it came with.
    pub(crate) picture: Option<(u16, u8)>,
}

#[derive(Debug, Default)]
pub(crate) struct Rewriter {
    run: Option<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    /// The first packet of the run; what came before it belongs to another.
    from: u64,
    seq: u64,
    time: u32,
    picture: u16,
    tl0: u8,
    /// What the newest packet left with.
    last: Last,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    seq: u64,
    time: u32,
    captured: Instant,
    picture: u16,
    tl0: u8,
}

impl Rewriter {
    /// Begins a new run with this packet.
    pub(crate) fn begin(&mut self, numbers: &Numbers, shape: &Shape) {
        let picture = shape.picture.map_or(0, |id| id.value);
        let tl0 = shape.tl0.map_or(0, |field| field.value);
        self.run = Some(match self.run {
            // SRTP counts how often the sequence number has wrapped around, and both sides begin at none.
            None => {
                let seq = 0u64.wrapping_sub(numbers.seq).wrapping_add(1);
                let last = Last { seq: 0, time: numbers.time, captured: numbers.captured, picture, tl0 };
                Run { from: numbers.seq, seq, time: 0, picture: 0, tl0: 0, last }
            }
            Some(Run { last, .. }) => {
                let passed = numbers.captured.saturating_duration_since(last.captured).as_secs_f64();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "seconds, not negative"
                )]
                let ticks = (passed * f64::from(numbers.rate)) as u64;
                #[expect(clippy::cast_possible_truncation, reason = "RTP time is counted modulo 2³²")]
                let time = last.time.wrapping_add(ticks.max(1) as u32);
                Run {
                    from: numbers.seq,
                    seq: (last.seq + 1).wrapping_sub(numbers.seq),
                    time: time.wrapping_sub(numbers.time),
                    picture: last.picture.wrapping_add(1).wrapping_sub(picture),
                    tl0: last.tl0.wrapping_add(1).wrapping_sub(tl0),
                    last,
                }
            }
        });
    }

    /// The numbers of the next packet; `None` for one from before the run.
    pub(crate) fn renumber(&mut self, numbers: &Numbers, shape: &Shape) -> Option<Renumbered> {
        let run = self.run.as_mut().filter(|run| numbers.seq >= run.from)?;
        let seq = numbers.seq.wrapping_add(run.seq);
        let time = numbers.time.wrapping_add(run.time);
        let picture =
            shape.picture.map_or(run.last.picture, |id| id.value.wrapping_add(run.picture) & 0x7fff);
        let tl0 = shape.tl0.map_or(run.last.tl0, |field| field.value.wrapping_add(run.tl0));
        if seq > run.last.seq {
            run.last = Last { seq, time, captured: numbers.captured, picture, tl0 };
        }
        let changed = (run.picture != 0 && shape.picture.is_some()) || (run.tl0 != 0 && shape.tl0.is_some());
        Some(Renumbered { seq, time, picture: changed.then_some((picture, tl0)) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect")]

    use std::time::Duration;

    use super::*;
    use crate::payload::Codec;

    fn at(seq: u64, time: u32, captured: Instant) -> Numbers {
        Numbers { seq, time, rate: 90_000, captured }
    }

    fn vp8(picture: u16) -> Shape {
        let [high, low] = picture.to_be_bytes();
        Shape::read(Codec::Vp8, &[0x90, 0x80, 0x80 | high, low, 0x10]).unwrap()
    }

    #[test]
    fn the_first_run_begins_at_one_and_keeps_its_gaps() {
        let (mut rewriter, now) = (Rewriter::default(), Instant::now());
        rewriter.begin(&at(70_000, 5, now), &vp8(9));
        let mut seq = |n| rewriter.renumber(&at(n, 5, now), &vp8(9)).map(|out| out.seq);
        assert_eq!([seq(70_000), seq(70_003), seq(70_001), seq(69_999)], [Some(1), Some(4), Some(2), None]);
    }

    #[test]
    fn a_switch_goes_on_where_the_last_layer_ended() {
        let (mut rewriter, now) = (Rewriter::default(), Instant::now());
        rewriter.begin(&at(100, 1_000, now), &vp8(0x7fff));
        let first = rewriter.renumber(&at(100, 1_000, now), &vp8(0x7fff)).unwrap();
        assert_eq!(first, Renumbered { seq: 1, time: 1_000, picture: None });
        // Half a second later, of a layer with quite other numbers.
        let later = now + Duration::from_millis(500);
        rewriter.begin(&at(9, u32::MAX, later), &vp8(300));
        let second = rewriter.renumber(&at(9, u32::MAX, later), &vp8(300)).unwrap();
        assert_eq!(second, Renumbered { seq: 2, time: 46_000, picture: Some((0, 0)) });
        let third = rewriter.renumber(&at(10, 3_000 - 1, later), &vp8(301)).unwrap();
        assert_eq!(third, Renumbered { seq: 3, time: 49_000, picture: Some((1, 0)) });
        assert_eq!(rewriter.renumber(&at(8, 0, later), &vp8(299)), None, "from before the switch");
    }
}
