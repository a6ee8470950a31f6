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
    /// The names of those that failed, each with why once it was said.
    pub(crate) failed: Vec<String>,
    /// Whose output is read, among those that failed; and whether its next line is a panic's message.
    reads: Option<usize>,
    panicked: bool,
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
        if let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) {
            self.failed.push(name.to_owned());
        }
        self.reason(line);
    }

    /// Of `---- name stdout ----` and what follows: where it panicked, and with which words.
    fn reason(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----")) {
            self.reads = self.failed.iter().rposition(|failed| failed == name);
        }
        let Some(failed) = self.reads.and_then(|index| self.failed.get_mut(index)) else { return };
        if std::mem::take(&mut self.panicked) {
            *failed += &format!(": {line}");
            self.reads = None;
        } else if let Some((_, place)) = line.split_once(" panicked at ") {
            *failed += &format!(" at {}", place.trim_end_matches(':'));
            self.panicked = true;
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

/// Reads Playwright's summary: lines of `  3 failed`, `  11 passed (1.2m)`, `  2 skipped`, `  1 did not run`, the first of
/// them with names below it; and before it, for each test that failed once, a line `  1) [project] › its name ───` with the
/// reasons below. Also reads the one line with which our own runners end: `3 passed, 0 failed, 1 skipped`.
#[derive(Default)]
pub(crate) struct PageTests {
    pub(crate) counts: Counts,
    /// The names of those that failed, each with why.
    pub(crate) failed: Vec<String>,
    /// The names of those that did not pass at the first try, each with why.
    pub(crate) unsteady: Vec<String>,
    /// Why a test failed, each time that it did.
    reasons: Vec<(String, Vec<String>)>,
    under: Under,
}

/// Whose names stand below the line of the summary that was read last.
#[derive(Clone, Copy, Default)]
enum Under {
    #[default]
    Nothing,
    /// One of the tests that failed once.
    Test,
    Failed,
    Unsteady,
}

impl PageTests {
    pub(crate) fn see(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [passed, "passed,", failed, "failed,", skipped, "skipped"] = words[..] {
            let number = |text: &str| text.parse().unwrap_or(0);
            self.counts +=
                Counts { passed: number(passed), failed: number(failed), skipped: number(skipped) };
            return;
        }
        if words.first().is_some_and(|word| is_ordinal(word)) {
            self.reasons.push((name(&words[1..]), Vec::new()));
            self.under = Under::Test;
            return;
        }
        let Some(count) = summary(&words) else {
            match self.under {
                Under::Nothing => {}
                _ if words.is_empty() => {}
                Under::Test => self.reason(&words),
                Under::Failed => self.failed.push(self.with_reasons(&words)),
                Under::Unsteady => self.unsteady.push(self.with_reasons(&words)),
            }
            return;
        };
        self.under = Under::Nothing;
        match words[1..] {
            ["passed", ..] => self.counts.passed += count,
            // In CI a browser's test has other tries. Whoever needed one is named at the end, for somebody to find out why.
            ["flaky"] => {
                self.counts.passed += count;
                self.under = Under::Unsteady;
            }
            ["failed"] => {
                self.counts.failed += count;
                self.under = Under::Failed;
            }
            ["interrupted"] | ["did", "not", "run"] => self.counts.failed += count,
            ["skipped"] => self.counts.skipped += count,
            _ => {}
        }
    }

    /// Of the lines below a test's name: the error, and where in the test it was.
    fn reason(&mut self, words: &[&str]) {
        let Some((_, reasons)) = self.reasons.last_mut() else { return };
        let error = words.first().is_some_and(|word| word.ends_with("Error:"))
            || words.starts_with(&["Test", "timeout"]);
        let place =
            words.first() == Some(&"at") && words.last().is_some_and(|place| place.contains(".spec.ts:"));
        if error {
            reasons.push(words.join(" "));
        } else if let Some(reason) = reasons.last_mut().filter(|reason| place && !reason.contains(" at ")) {
            let place = words.last().expect("there are words").trim_matches(['(', ')']);
            *reason += &format!(" at {}", place.rsplit('/').next().unwrap_or(place));
        }
    }

    fn with_reasons(&self, words: &[&str]) -> String {
        let name = name(words);
        let reasons = self.reasons.iter().find(|(of, _)| *of == name).map(|(_, reasons)| reasons.join("; "));
        match reasons {
            Some(reasons) if !reasons.is_empty() => format!("{name}: {reasons}"),
            _ => name,
        }
    }
}

/// The number of a line of the summary. Lines of a test's source have one as well.
fn summary(words: &[&str]) -> Option<u64> {
    let [count, what, ..] = words else { return None };
    ["passed", "flaky", "failed", "interrupted", "did", "skipped"]
        .contains(what)
        .then(|| count.parse().ok())?
}

/// Whether this is `1)`, `2)`, …
fn is_ordinal(word: &str) -> bool {
    word.strip_suffix(')').is_some_and(|number| number.parse::<u64>().is_ok())
}

/// A test's name, without the line that fills its row up.
fn name(words: &[&str]) -> String {
    words.iter().take_while(|word| !word.starts_with('─')).copied().collect::<Vec<_>>().join(" ")
}

/// The number in front of a word.
fn before(text: &str, word: &str) -> u64 {
    let Some((front, _)) = text.split_once(word) else { return 0 };
    front.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(lines: &[&str]) -> RustTests {
        let mut tests = RustTests::default();
        lines.iter().for_each(|line| tests.see(line));
        tests
    }

    fn page(lines: &[&str]) -> PageTests {
        let mut tests = PageTests::default();
        lines.iter().for_each(|line| tests.see(line));
        tests
    }

    #[test]
    fn rust_results_add_up_and_a_test_that_skipped_itself_did_not_pass() {
        let tests = rust(&[
            "running 2 tests",
            "test a::passed ... ok",
            "test a::broken ... FAILED",
            "SKIPPED S3: no SeaweedFS",
            "---- a::broken stdout ----",
            "",
            "thread 'a::broken' (7) panicked at src/a.rs:7:5:",
            "it is not 4",
            "stack backtrace:",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.53s",
            "test result: FAILED. 2 passed; 10 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.53s",
        ]);
        assert_eq!(tests.failed, ["a::broken at src/a.rs:7:5: it is not 4"]);
        let counts = tests.counts();
        assert_eq!(counts, Counts { passed: 13, failed: 10, skipped: 1 + 1 });
        assert_eq!(counts.to_string(), "13 passed, 10 failed, 2 skipped");
    }

    #[test]
    fn what_playwright_prints_is_read() {
        let tests = page(&[
            "Running 16 tests using 1 worker",
            "  ✓  1 [chromium] › a.spec.ts:3:1 › 12 passed (1.0s)",
            "  1) [chromium] › a.spec.ts:3:1 › signs in ───────────",
            "",
            "    Error: it did not",
            "",
            "      11 |   await page.goto(there);",
            "    > 12 |   await expect(it).toBeVisible();",
            "        at person.ts:12:5",
            "        at /home/me/web/tests/a.spec.ts:3:9",
            "",
            "    Retry #1 ─────────",
            "",
            "    Test timeout of 90000ms exceeded.",
            "",
            "  1 failed",
            "    [chromium] › a.spec.ts:3:1 › signs in ──────────────",
            "  1 flaky",
            "    [chromium] › a.spec.ts:9:1 › signs out",
            "  2 skipped",
            "  3 did not run",
            "  9 passed (1.2m)",
        ]);
        assert_eq!(tests.counts, Counts { passed: 10, failed: 4, skipped: 2 });
        let why = "Error: it did not at a.spec.ts:3:9; Test timeout of 90000ms exceeded.";
        assert_eq!(tests.failed, [format!("[chromium] › a.spec.ts:3:1 › signs in: {why}")]);
        assert_eq!(tests.unsteady, ["[chromium] › a.spec.ts:9:1 › signs out"]);
        assert_eq!(
            page(&["3 passed, 1 failed, 0 skipped"]).counts,
            Counts { passed: 3, failed: 1, skipped: 0 }
        );
    }
}
