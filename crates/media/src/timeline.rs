//! Edit lists: where on the common timeline a track's samples are shown.

use crate::track::{Edit, NORMAL_SPEED};

/// How a track's media time becomes presentation time: `dts + shift + offset + bias - media_time`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// Added to every decode time.
    pub(crate) shift: i64,
    /// Added to every composition offset, so that none is negative.
    pub(crate) bias: u32,
    /// `media_time` of the init segment's edit.
    pub(crate) media_time: u64,
    /// Whether the source's edits say more than this.
    pub(crate) edited: bool,
    /// Whether the source hides the track's end.
    pub(crate) end_trimmed: bool,
}

impl Timeline {
    /// From a track's edits. `end` is the media time at which its last sample ends.
    pub(crate) fn new(
        edits: &[Edit],
        movie_timescale: u32,
        timescale: u32,
        least_offset: i32,
        end: u64,
    ) -> Timeline {
        let to_media = |time: u64| rescale(time, timescale, movie_timescale);
        let bias = least_offset.min(0).unsigned_abs();
        let leading = edits.iter().take_while(|edit| edit.media_time < 0).count();
        let (empty, rest) = edits.split_at(leading);
        let delay = to_media(empty.iter().map(|edit| edit.duration).sum());
        // Rounding to the movie's clock is worth one tick of it.
        let tick = to_media(1).max(1);
        let mut timeline = Timeline { bias, ..Timeline::default() };
        let mut start = 0;
        if let Some(first) = rest.first() {
            start = first.media_time.unsigned_abs();
            let mut expected = start;
            for edit in rest {
                let begins = edit.media_time.unsigned_abs();
                timeline.edited |=
                    edit.media_time < 0 || edit.rate != NORMAL_SPEED || begins.abs_diff(expected) > tick;
                if edit.media_time >= 0 {
                    start = start.min(begins);
                    expected = begins.saturating_add(to_media(edit.duration));
                }
            }
            let shown = rest.iter().any(|edit| edit.duration > 0);
            // Encoders end on a whole packet and say where the sound ended before: not worth a word.
            let slack = u64::from(timescale) / 10 + tick;
            timeline.end_trimmed = !timeline.edited && shown && expected.saturating_add(slack) < end;
        } else if !edits.is_empty() {
            timeline.edited = true;
        }
        let begin = i64::try_from(start).unwrap_or(i64::MAX).saturating_add(i64::from(bias));
        let delay = i64::try_from(delay).unwrap_or(i64::MAX);
        let media_time = begin.saturating_sub(delay);
        timeline.media_time = media_time.max(0).unsigned_abs();
        timeline.shift = media_time.min(0).saturating_neg();
        timeline
    }

    /// Presentation time of the media time 0.
    pub(crate) fn zero(&self) -> i64 {
        self.shift.saturating_sub_unsigned(self.media_time)
    }
}

/// `time` of one clock on another, rounded to the nearest tick.
pub(crate) fn rescale(time: u64, to: u32, from: u32) -> u64 {
    let from = u128::from(from.max(1));
    u64::try_from((u128::from(time) * u128::from(to) + from / 2) / from).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(duration: u64, media_time: i64) -> Edit {
        Edit::new(duration, media_time)
    }

    #[test]
    fn priming_stays_an_edit() {
        let timeline = Timeline::new(&[edit(10_000, 1024)], 1000, 48_000, 0, 481_024);
        assert_eq!(timeline, Timeline { media_time: 1024, ..Timeline::default() });
    }

    #[test]
    fn a_delay_is_paid_out_of_the_priming_first() {
        let late = Timeline::new(&[edit(10, -1), edit(10_000, 1024)], 1000, 48_000, 0, 480_000);
        assert_eq!((late.shift, late.media_time), (0, 544));
        let later = Timeline::new(&[edit(1000, -1), edit(10_000, 1024)], 1000, 48_000, 0, 480_000);
        assert_eq!((later.shift, later.media_time), (48_000 - 1024, 0));
    }

    #[test]
    fn negative_offsets_become_positive_and_the_edit_pays() {
        let timeline = Timeline::new(&[], 1000, 90_000, -3003, 90_000);
        assert_eq!((timeline.bias, timeline.media_time), (3003, 3003));
    }

    #[test]
    fn edits_that_continue_each_other_are_one() {
        let timeline = Timeline::new(&[edit(5000, 0), edit(5000, 240_000)], 1000, 48_000, 0, 480_000);
        assert!(!timeline.edited && !timeline.end_trimmed);
    }

    #[test]
    fn real_edits_are_noticed() {
        assert!(Timeline::new(&[edit(1000, 48_000), edit(1000, 0)], 1000, 48_000, 0, 480_000).edited);
        assert!(
            Timeline::new(&[edit(1000, 0), edit(1000, -1), edit(1000, 48_000)], 1000, 48_000, 0, 1).edited
        );
        let slow = Edit { rate: NORMAL_SPEED / 2, ..edit(1000, 0) };
        assert!(Timeline::new(&[slow], 1000, 48_000, 0, 48_000).edited);
        assert!(Timeline::new(&[edit(5000, 0)], 1000, 48_000, 0, 480_000).end_trimmed);
    }
}
