//! The one kind of `Range` we answer: a single range of bytes (RFC 9110, section 14).

use std::ops::Range;

/// What a `Range` header asks of an object of some length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: there is no header, or one that RFC 9110 lets us ignore (another unit, several ranges, nonsense).
    Whole,
    /// This part.
    Part(Range<u64>),
    /// A well-formed range that lies outside the object.
    Unsatisfiable,
}

/// Reads a `Range` header.
pub(crate) fn parse(header: &str, length: u64) -> Asked {
    let Some(spec) = header.trim().strip_prefix("bytes=") else { return Asked::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::Whole };
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(suffix)) => {
            if suffix == 0 || length == 0 {
                Asked::Unsatisfiable
            } else {
                Asked::Part(length.saturating_sub(suffix)..length)
            }
        }
        (_, Some(first), "", _) => part(first, length, length),
        (_, Some(first), _, Some(last)) if first <= last => part(first, last.saturating_add(1), length),
        _ => Asked::Whole,
    }
}

fn part(start: u64, end: u64, length: u64) -> Asked {
    if start < length { Asked::Part(start..end.min(length)) } else { Asked::Unsatisfiable }
}

/// Digits only: `str::parse` would take a sign. A number too large for us lies past any end.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (header, asked) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=0-99", Asked::Part(0..100)),
            ("bytes=0-100", Asked::Part(0..100)),
            ("bytes=99-", Asked::Part(99..100)),
            ("bytes=-1", Asked::Part(99..100)),
            ("bytes=-1000", Asked::Part(0..100)),
            ("bytes=5-99999999999999999999999", Asked::Part(5..100)),
            ("bytes=100-", Asked::Unsatisfiable),
            ("bytes=100-200", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=99999999999999999999999-", Asked::Unsatisfiable),
            ("bytes=5-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=1", Asked::Whole),
            ("lines=0-1", Asked::Whole),
        ] {
            assert_eq!(parse(header, 100), asked, "{header}");
        }
        assert_eq!(parse("bytes=-5", 0), Asked::Unsatisfiable);
        assert_eq!(parse("bytes=0-", 0), Asked::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_a_part_lies_inside(header in ".*", length: u64) {
            for header in [header.clone(), format!("bytes={header}")] {
                if let Asked::Part(part) = parse(&header, length) {
                    prop_assert!(part.start < part.end && part.end <= length);
                }
            }
        }

        #[test]
        fn a_range_of_two_numbers_is_that_range(first in 0..1000u64, last in 0..1000u64, length in 1..1000u64) {
            let asked = parse(&format!("bytes={first}-{last}"), length);
            let expected = if first > last {
                Asked::Whole
            } else if first >= length {
                Asked::Unsatisfiable
            } else {
                Asked::Part(first..(last + 1).min(length))
            };
            prop_assert_eq!(asked, expected);
        }
    }
}
