//! What people and cameras wrote into `udta` and `meta`. Nothing here can fail: a note that cannot be read is none.

use gloaming_ids::UnixMillis;

use crate::boxes::{FourCc, Reader};

/// Dates found in notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dates {
    /// `com.apple.quicktime.creationdate`.
    pub(crate) creation_date: Option<UnixMillis>,
    /// `©day`.
    pub(crate) day: Option<UnixMillis>,
}

/// The dates in a movie's `udta` or `meta`.
pub(crate) fn dates(kind: FourCc, body: Reader<'_>) -> Dates {
    if kind == *b"meta" {
        return meta_dates(body);
    }
    let mut found = Dates::default();
    let mut udta = body;
    while let Ok(Some(child)) = udta.child() {
        match &child.kind {
            b"\xa9day" => found.day = found.day.or_else(|| parse_date(quicktime_text(child.body)?)),
            b"meta" => {
                let inner = meta_dates(child.body);
                found.creation_date = found.creation_date.or(inner.creation_date);
                found.day = found.day.or(inner.day);
            }
            _ => {}
        }
    }
    found
}

fn meta_dates(body: Reader<'_>) -> Dates {
    let mut found = Dates::default();
    // ISO's `meta` is a full box, QuickTime's is not: there its first child begins at once.
    let mut meta = body;
    if body.rest().get(4..8) != Some(b"hdlr") && meta.skip(4).is_err() {
        return found;
    }
    let keys = meta.find(b"keys").ok().flatten().map(|keys| creation_key(keys.body));
    let Ok(Some(list)) = meta.find(b"ilst") else { return found };
    let mut list = list.body;
    // `child` wants letters for a type, and here the types are numbers of keys.
    while let Some((kind, item, rest)) = raw_child(list) {
        list = rest;
        let Some((b"data", mut data)) = raw_child(item).as_ref().map(|(kind, data, _)| (kind, *data)) else {
            continue;
        };
        let Some(text) = data.skip(8).ok().and_then(|()| std::str::from_utf8(data.rest()).ok()) else {
            continue;
        };
        if kind == *b"\xa9day" {
            found.day = found.day.or_else(|| parse_date(text));
        } else if keys.flatten() == Some(u32::from_be_bytes(kind)) {
            found.creation_date = found.creation_date.or_else(|| parse_date(text));
        }
    }
    found
}

/// The number, from 1, of the creation date's key.
fn creation_key(mut keys: Reader<'_>) -> Option<u32> {
    keys.skip(8).ok()?;
    let mut number = 0;
    while let Some((_, key, rest)) = raw_child(keys) {
        keys = rest;
        number += 1;
        if key.rest() == b"com.apple.quicktime.creationdate" {
            return Some(number);
        }
    }
    None
}

fn raw_child<'a>(mut list: Reader<'a>) -> Option<(FourCc, Reader<'a>, Reader<'a>)> {
    let size = list.u32().ok()? as usize;
    let kind = list.array().ok()?;
    let at = list.at();
    let body = list.take(size.checked_sub(8)?).ok()?;
    Some((kind, Reader::new(body, at), list))
}

/// A track's name: `name` is its text, `©nam` has QuickTime's length and language in front.
pub(crate) fn name(body: Reader<'_>) -> Option<String> {
    let mut udta = body;
    let mut found = None;
    while let Ok(Some(child)) = udta.child() {
        let text = match &child.kind {
            b"name" => std::str::from_utf8(child.body.rest()).ok(),
            b"\xa9nam" => quicktime_text(child.body),
            _ => None,
        };
        found = found.or(text.map(|text| text.trim_end_matches('\0').trim()).filter(|text| !text.is_empty()));
    }
    found.map(|text| text.chars().take(256).collect())
}

fn quicktime_text<'a>(mut body: Reader<'a>) -> Option<&'a str> {
    let len = body.u16().ok()?;
    body.skip(2).ok()?;
    std::str::from_utf8(body.take(usize::from(len)).ok()?).ok()
}

/// ISO 8601 as cameras write it: `2026-11-22T03:10:18+0100`, with or without zone, fraction or time. Without a zone it
/// is taken as UTC.
fn parse_date(text: &str) -> Option<UnixMillis> {
    let text = text.trim().trim_end_matches('\0');
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut seconds = days_from_civil(year, month, day) * 86_400;
    if matches!(text.as_bytes().get(10), Some(b'T' | b' ')) {
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        if hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        seconds += hour * 3600 + minute * 60 + second;
        let rest = text.get(19..)?;
        if let Some(at) = rest.find(['+', '-']) {
            let zone: String = rest.get(at + 1..)?.chars().filter(char::is_ascii_digit).collect();
            let offset = zone.get(0..2)?.parse::<i64>().ok()? * 3600
                + zone.get(2..4).map_or(Some(0), |minutes| minutes.parse::<i64>().ok())? * 60;
            seconds -= if rest[at..].starts_with('+') { offset } else { -offset };
        }
    }
    u64::try_from(seconds).ok()?.checked_mul(1000).map(UnixMillis)
}

/// Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_cameras_write_them() {
        let at = |text| parse_date(text).map(|date| date.0);
        assert_eq!(at("2026-11-22T03:10:18Z"), Some(1_795_317_018_000));
        assert_eq!(at("2026-11-22T04:10:18+0100"), Some(1_795_317_018_000));
        assert_eq!(at("2026-11-21T22:10:18.123-05:00"), Some(1_795_317_018_000));
        assert_eq!(at("2026-11-22"), Some(1_795_305_600_000));
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(at("1904-01-01T00:00:00Z"), None);
        assert_eq!(at("yesterday"), None);
        assert_eq!(at("2026-13-01"), None);
    }
}
