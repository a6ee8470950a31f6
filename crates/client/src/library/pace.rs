use std::time::Duration;

use gloaming_ids::UnixMillis;

/// Between two writes of a position while a video plays.
const EVERY: Duration = Duration::from_secs(20);

/// Says which positions of a playing video are worth a write: a record each second would make the feed long and tell the
/// server when somebody watches, to the second.
#[derive(Clone, Debug, Default)]
pub struct PositionPace {
    written: Option<(UnixMillis, f64)>,
}

impl PositionPace {
    /// Whether this position is to be saved now. Pausing, ending and leaving (`resting`) save whatever has changed.
    pub fn is_due(&mut self, now: UnixMillis, seconds: f64, resting: bool) -> bool {
        let due = match self.written {
            None => true,
            Some((_, before)) if resting => (seconds - before).abs() >= 1.0,
            Some((at, _)) => now.since(at) >= EVERY,
        };
        if due {
            self.written = Some((now, seconds));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_playing_is_180_writes_and_a_pause_one_more() {
        let mut pace = PositionPace::default();
        let writes =
            (0..3600).filter(|second| pace.is_due(UnixMillis(second * 1000), *second as f64, false)).count();
        assert_eq!(writes, 180);
        let end = UnixMillis(3_600_000);
        assert!(pace.is_due(end, 3600.0, true));
        assert!(!pace.is_due(end, 3600.0, true), "it rests where it was");
    }
}
