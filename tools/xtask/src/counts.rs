//! How many tests passed, failed and were skipped, read from what the test runners print.

use std::{fmt, ops::AddAssign};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) const PASSED: Counts = Counts { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Counts = Counts { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Counts = Counts { passed: 0, failed: 0, skipped: 1 };
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Adds up what Rust's test harness prints: `test result: ok. 3 passed; 0 failed; 1 ignored; …`. A test that skips
/// itself has passed for the harness; it writes a line `SKIPPED …` straight to stderr, past the harness's capture.
#[derive(Default)]
pub(crate) struct RustTests {
    told: Counts,
    skipped_themselves: u64,
}

impl RustTests {
    pub(crate) fn see(&mut self, line: &str) {
        if let Some(result) = line.trim_start().strip_prefix("test result: ") {
            self.told += Counts {
                passed: before(result, " passed"),
                failed: before(result, " failed"),
                skipped: before(result, " ignored"),
            };
        }
        if line.starts_with("SKIPPED") {
            self.skipped_themselves += 1;
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            passed: self.told.passed.saturating_sub(self.skipped_themselves),
            failed: self.told.failed,
            skipped: self.told.skipped + self.skipped_themselves,
        }
    }
}

/// Reads Playwright's summary: lines of `  3 failed`, `  11 passed (1.2m)`, `  2 skipped`, `  1 did not run`. Also reads
/// the one line with which our own runners end: `3 passed, 0 failed, 1 skipped`.
#[derive(Default)]
pub(crate) struct PageTests(pub(crate) Counts);

impl PageTests {
    pub(crate) fn see(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [passed, "passed,", failed, "failed,", skipped, "skipped"] = words[..] {
            let number = |text: &str| text.parse().unwrap_or(0);
            self.0 += Counts { passed: number(passed), failed: number(failed), skipped: number(skipped) };
            return;
        }
        let Some(count) = words.first().and_then(|word| word.parse::<u64>().ok()) else { return };
        match words[1..] {
            ["passed", ..] => self.0.passed += count,
            // One that passed at the second try has failed once: that is a fault, here or there.
            ["failed" | "flaky" | "interrupted"] | ["did", "not", "run"] => self.0.failed += count,
            ["skipped"] => self.0.skipped += count,
            _ => {}
        }
    }
}

/// The number in front of a word.
fn before(text: &str, word: &str) -> u64 {
    let Some((front, _)) = text.split_once(word) else { return 0 };
    front.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(lines: &[&str]) -> Counts {
        let mut tests = RustTests::default();
        lines.iter().for_each(|line| tests.see(line));
        tests.counts()
    }

    fn page(lines: &[&str]) -> Counts {
        let mut tests = PageTests::default();
        lines.iter().for_each(|line| tests.see(line));
        tests.0
    }

    #[test]
    fn rust_results_add_up_and_a_test_that_skipped_itself_did_not_pass() {
        let counts = rust(&[
            "running 2 tests",
            "test a::passed ... ok",
            "SKIPPED S3: no SeaweedFS",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.53s",
            "test result: FAILED. 2 passed; 10 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.53s",
        ]);
        assert_eq!(counts, Counts { passed: 13, failed: 10, skipped: 1 + 1 });
        assert_eq!(counts.to_string(), "13 passed, 10 failed, 2 skipped");
    }

    #[test]
    fn what_playwright_prints_is_read() {
        let counts = page(&[
            "Running 16 tests using 1 worker",
            "  ✓  1 [chromium] › a.spec.ts:3:1 › 12 passed (1.0s)",
            "  1 failed",
            "    [chromium] › a.spec.ts:3:1 › signs in",
            "  1 flaky",
            "  2 skipped",
            "  3 did not run",
            "  9 passed (1.2m)",
        ]);
        assert_eq!(counts, Counts { passed: 9, failed: 5, skipped: 2 });
        assert_eq!(page(&["3 passed, 1 failed, 0 skipped"]), Counts { passed: 3, failed: 1, skipped: 0 });
    }
}
