//! Times as people type them: "7d" from now, or a date.

use gloaming_ids::UnixMillis;

use super::now;

/// A moment: `30m`, `12h`, `7d` or `2w` from now, or a date and time (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    In(u64),
    At(UnixMillis),
}

impl When {
    pub(super) fn resolve(self) -> UnixMillis {
        match self {
            When::In(millis) => UnixMillis(now().0.saturating_add(millis)),
            When::At(at) => at,
        }
    }
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{text:?} is no time; write 30m, 12h, 7d or 2w, or a date like 2026-12-24 or 2026-12-24T18:00 (UTC)"
            )
        };
        let text = text.trim();
        if let Some(unit) = text.chars().last().filter(char::is_ascii_alphabetic) {
            let seconds: u64 = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                'w' => 7 * 86_400,
                _ => return Err(bad()),
            };
            let count: u64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
            return Ok(When::In(count.saturating_mul(seconds * 1000)));
        }
        date(text).map(When::At).ok_or_else(bad)
    }
}

/// `2026-12-24`, `2026-12-24T18:00`, `2026-12-24 18:00`.
fn date(text: &str) -> Option<UnixMillis> {
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut parts = day.splitn(3, '-').map(str::parse::<u64>);
    let (year, month, date) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let (hour, minute) = time.split_once(':')?;
    let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_days = *days.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    if !(1970..=9999).contains(&year) || !(1..=month_days).contains(&date) || hour > 23 || minute > 59 {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let y = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (y / 400, y % 400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + date - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let days = (era * 146_097 + doe).checked_sub(719_468)?;
    Some(UnixMillis((days * 1440 + hour * 60 + minute) * 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them() {
        assert_eq!("90m".parse::<When>(), Ok(When::In(5_400_000)));
        assert_eq!("7d".parse::<When>(), Ok(When::In(604_800_000)));
        assert_eq!("1970-01-01".parse::<When>(), Ok(When::At(UnixMillis(0))));
        assert_eq!("2024-02-29T12:00".parse::<When>(), Ok(When::At(UnixMillis(1_709_208_000_000))));
        assert_eq!("2026-11-22 03:19".parse::<When>(), Ok(When::At(UnixMillis(1_795_317_540_000))));
        for bad in ["", "d", "7x", "-3d", "soon", "2026-13-01", "2026-02-29", "2026-01-01T24:00", "7 d", "é"]
        {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_date_is_the_same_written_and_read() {
        for days in [0, 59, 60, 365, 11_016, 20_000, 50_000] {
            let at = UnixMillis(days * 86_400_000);
            assert_eq!(super::super::date(at).parse::<When>(), Ok(When::At(at)));
        }
    }
}
