//! When something was captured, on our clock.
//!
//! Browsers play a person's sound and picture in step by what their sender reports say, and each of our peers gets
//! reports of ours. So a packet's time of capture is worked out from the sender's own reports, which put all of a
//! sender's streams on one clock; the time of arrival stands in until the first report has come.

use std::time::{Duration, Instant, SystemTime};

use str0m::rtp::rtcp::SenderInfo;

/// Beyond this the reports of a sender are nonsense.
const PLAUSIBLE: Duration = Duration::from_secs(10);

/// One sender's clock against ours.
#[derive(Debug, Default)]
pub(crate) struct SenderClock {
    met: Option<(SystemTime, Instant)>,
}

impl SenderClock {
    /// A report of any of the sender's streams came.
    pub(crate) fn report(&mut self, theirs: SystemTime, ours: Instant) {
        self.met.get_or_insert((theirs, ours));
    }

    /// When the packet with this RTP time was captured. `rate` in ticks a second.
    pub(crate) fn captured(
        &self,
        time: u32,
        rate: u32,
        report: Option<&SenderInfo>,
        arrived: Instant,
    ) -> Instant {
        let known = report.and_then(|report| {
            let (theirs, ours) = self.met?;
            let reported = shifted(ours, signed_between(theirs, report.ntp_time))?;
            // The difference of two 32-bit clocks, which may go either way.
            #[expect(clippy::cast_possible_truncation, reason = "RTP time is counted modulo 2³²")]
            let ticks = time.wrapping_sub(report.rtp_time.numer() as u32).cast_signed();
            shifted(reported, f64::from(ticks) / f64::from(rate))
        });
        let plausible = |at: &Instant| {
            arrived.saturating_duration_since(*at) < PLAUSIBLE
                && at.saturating_duration_since(arrived) < PLAUSIBLE
        };
        known.filter(plausible).unwrap_or(arrived)
    }
}

fn signed_between(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(later) => later.as_secs_f64(),
        Err(earlier) => -earlier.duration().as_secs_f64(),
    }
}

fn shifted(at: Instant, seconds: f64) -> Option<Instant> {
    let by = Duration::try_from_secs_f64(seconds.abs()).ok()?;
    if seconds < 0.0 { at.checked_sub(by) } else { at.checked_add(by) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect")]

    use str0m::media::MediaTime;

    use super::*;

    fn report(at: SystemTime, rtp: u64) -> SenderInfo {
        SenderInfo {
            ssrc: 1.into(),
            ntp_time: at,
            rtp_time: MediaTime::from_90khz(rtp),
            sender_packet_count: 0,
            sender_octet_count: 0,
        }
    }

    #[test]
    fn sound_and_picture_of_one_moment_come_out_as_one_moment() {
        let (start, ours) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_000), Instant::now());
        let mut clock = SenderClock::default();
        clock.report(start, ours);
        clock.report(start + Duration::from_secs(9), ours); // a later one changes nothing
        let picture = report(start + Duration::from_secs(1), u64::from(u32::MAX - 10));
        let sound = report(start + Duration::from_secs(2), 500_000);
        // Both a second and a half after the first report; the picture's clock wraps around on the way.
        let arrived = ours + Duration::from_millis(1_700);
        let picture_at =
            clock.captured((u32::MAX - 10).wrapping_add(45_000), 90_000, Some(&picture), arrived);
        let sound_at = clock.captured(500_000 - 24_000, 48_000, Some(&sound), arrived);
        assert_eq!(picture_at, ours + Duration::from_millis(1_500));
        assert_eq!(sound_at, picture_at);
    }

    #[test]
    fn without_a_report_or_with_an_absurd_one_it_is_when_it_arrived() {
        let (start, ours) = (SystemTime::UNIX_EPOCH, Instant::now());
        let mut clock = SenderClock::default();
        let absurd = report(start + Duration::from_secs(3_600), 0);
        assert_eq!(clock.captured(0, 90_000, Some(&absurd), ours), ours);
        clock.report(start, ours);
        assert_eq!(clock.captured(0, 90_000, None, ours), ours);
        assert_eq!(clock.captured(0, 90_000, Some(&absurd), ours), ours);
    }
}
