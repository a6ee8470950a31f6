//! A track that somebody sends.

use std::time::{Duration, Instant};

use str0m::media::{Mid, Rid};

use crate::{gate::Gate, peer::PeerKey};

/// A layer is there if a packet of it came within this.
const THERE: Duration = Duration::from_millis(1_500);

/// Between two requests for a key frame of one layer: a key frame costs as much as a second of picture.
pub(crate) const BETWEEN_KEY_FRAMES: Duration = Duration::from_millis(500);

/// Which track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceKey(pub(crate) u64);

/// A track, its layers and who gets it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) owner: PeerKey,
    pub(crate) mid: Mid,
    pub(crate) track: u16,
    pub(crate) video: bool,
    /// Lowest first.
    pub(crate) layers: Vec<Layer>,
    /// Who receives it, and which of their routes it is.
    pub(crate) subscribers: Vec<(PeerKey, usize)>,
    /// Its frames were not sealed: nothing more is taken of it.
    pub(crate) refused: bool,
}

/// One stream: a simulcast layer, or all there is of a track.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) rid: Option<Rid>,
    pub(crate) gate: Gate,
    pub(crate) rate: Rate,
    pub(crate) keys: KeyFrames,
}

impl Layer {
    pub(crate) fn new(rid: Option<Rid>) -> Self {
        Self { rid, gate: Gate::default(), rate: Rate::default(), keys: KeyFrames::default() }
    }
}

/// How many bits a second come in.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    bytes: u64,
    since: Option<Instant>,
    last: Option<Instant>,
    bits_per_second: u64,
}

impl Rate {
    pub(crate) fn count(&mut self, bytes: usize, now: Instant) {
        self.bytes += bytes as u64;
        self.last = Some(now);
        self.since.get_or_insert(now);
    }

    /// Called every so often.
    pub(crate) fn roll(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let passed = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        if passed < 100 {
            return;
        }
        let measured = self.bytes.saturating_mul(8_000) / passed;
        // A key frame is many times the size of the frames around it.
        self.bits_per_second =
            if self.bits_per_second == 0 { measured } else { (self.bits_per_second * 3 + measured) / 4 };
        (self.bytes, self.since) = (0, Some(now));
        if !self.is_there(now) {
            *self = Self::default();
        }
    }

    fn is_there(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) < THERE)
    }

    /// At least 1 for a layer that is there, 0 for one that is not.
    pub(crate) fn bits_per_second(&self, now: Instant) -> u64 {
        if self.is_there(now) { self.bits_per_second.max(1) } else { 0 }
    }
}

/// Requests for key frames of one layer, however many viewers want one.
#[derive(Debug, Default)]
pub(crate) struct KeyFrames {
    wanted: bool,
    asked: Option<Instant>,
}

impl KeyFrames {
    /// Somebody cannot go on without.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether to ask for one now.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let soon = self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < BETWEEN_KEY_FRAMES);
        let due = self.wanted && !soon;
        if due {
            (self.wanted, self.asked) = (false, Some(now));
        }
        due
    }

    /// Here is one.
    pub(crate) fn came(&mut self) {
        self.wanted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_ask_one_key_frame_is_asked_for_at_a_time() {
        let (mut keys, start) = (KeyFrames::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!keys.due(at(0)));
        keys.want();
        assert!(keys.due(at(0)));
        keys.want();
        assert!(!keys.due(at(100)), "one was asked for just now");
        assert!(keys.due(at(500)), "and did not come");
        keys.want();
        keys.came();
        assert!(!keys.due(at(2_000)), "it came meanwhile");
    }

    #[test]
    fn a_rate_is_measured_and_silence_is_noticed() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        for ms in 0..1_000 {
            rate.count(125, start + Duration::from_millis(ms));
            if ms % 200 == 199 {
                rate.roll(start + Duration::from_millis(ms));
            }
        }
        let end = start + Duration::from_secs(1);
        assert!((900_000..1_100_000).contains(&rate.bits_per_second(end)), "{}", rate.bits_per_second(end));
        rate.roll(end + Duration::from_secs(2));
        assert_eq!(rate.bits_per_second(end + Duration::from_secs(2)), 0);
    }
}
