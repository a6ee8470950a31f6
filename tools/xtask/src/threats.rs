//! Whether every attack in `docs/threats.md` names tests, and whether the tests it names exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::place;

/// What a row says whose attack has nothing to attack.
const NOT_YET: &[&str] = &["does not exist yet", "do not exist yet"];

pub(crate) fn check() -> Result<()> {
    let text = fs::read_to_string(place::root().join("docs/threats.md")).context("docs/threats.md")?;
    let mut sources = Vec::new();
    for folder in ["crates", "tests", "web/tests", "fuzz"] {
        collect(&place::root().join(folder), &mut sources)?;
    }
    let (named, wrong) = faults(&text, &sources);
    if !wrong.is_empty() {
        bail!("docs/threats.md:\n  {}", wrong.join("\n  "));
    }
    println!("      {named} tests and files");
    Ok(())
}

/// A source file: its path, and what is in it.
type Source = (PathBuf, String);

fn collect(folder: &Path, into: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "corpus", "artifacts"].contains(&name.as_str()) {
                collect(&path, into)?;
            }
        } else if name.ends_with(".rs") || name.ends_with(".ts") {
            into.push((path.clone(), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// How many tests and files the rows name, and what is wrong with them.
fn faults(text: &str, sources: &[Source]) -> (usize, Vec<String>) {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| # "));
    let (mut read, mut named, mut wrong) = (0, 0, Vec::new());
    for row in rows {
        read += 1;
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, attack, defence, shown_by] = cells[..] else {
            wrong.push(format!("this row does not have four cells: {row}"));
            continue;
        };
        let (files, tests) = (between(shown_by, '`'), between(shown_by, '*'));
        if files.is_empty() && !NOT_YET.iter().any(|words| defence.contains(words)) {
            wrong.push(format!("{number} ({attack}) names no test"));
        }
        named += files.len() + tests.len();
        for file in files {
            if !sources.iter().any(|(path, _)| path_has(path, file)) {
                wrong.push(format!("{number}: there is no file {file}"));
            }
        }
        for test in tests {
            if !sources.iter().any(|(_, source)| has_test(source, test)) {
                wrong.push(format!("{number}: there is no test {test}"));
            }
        }
    }
    if read == 0 {
        wrong.push("no row was found in it: this check would pass whatever is wrong".into());
    }
    (named, wrong)
}

/// What stands between pairs of a mark.
fn between(text: &str, mark: char) -> Vec<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}

/// `keys/tests/seals.rs` is the end of a path, `fuzz/` a folder in one.
fn path_has(path: &Path, file: &str) -> bool {
    let path = format!("/{}", path.display());
    if file.ends_with('/') { path.contains(&format!("/{file}")) } else { path.ends_with(&format!("/{file}")) }
}

/// A function of this name, or whose name begins so if an ellipsis ends it; in TypeScript, a test of this title.
fn has_test(source: &str, test: &str) -> bool {
    match test.strip_suffix('…') {
        Some(start) => source.contains(&format!("fn {start}")),
        None => source.contains(&format!("fn {test}(")) || source.contains(&format!("test(\"{test}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(table: &str) -> Vec<String> {
        let source = "#[test]\nfn nothing_leaks() {}\n#[test]\nfn no_bit_can_change_at_all() {}\n";
        let sources = [(PathBuf::from("/repo/crates/keys/tests/seals.rs"), source.to_owned())];
        faults(&format!("| # | attack | defence | shown by |\n|---|---|---|---|\n{table}"), &sources).1
    }

    #[test]
    fn rows_whose_tests_exist_are_well() {
        let table = "| 1 | leaks | seals | `keys/tests/seals.rs` *nothing_leaks*, *no_bit_can…* |\n\
                     | 2 | rooms | rooms do not exist yet | |\n";
        assert_eq!(faults_of(table), Vec::<String>::new());
    }

    #[test]
    fn a_row_without_a_test_and_names_that_lead_nowhere_are_told() {
        for (row, expected) in [
            ("| 1 | leaks | seals | |", "1 (leaks) names no test"),
            ("| 1 | leaks | seals | `keys/tests/gone.rs` |", "1: there is no file keys/tests/gone.rs"),
            ("| 1 | leaks | seals | `eals.rs` |", "1: there is no file eals.rs"),
            ("| 1 | a | b | `seals.rs` *nothing_leak* |", "1: there is no test nothing_leak"),
            ("| 1 | a | b | `seals.rs` *some_bit…* |", "1: there is no test some_bit…"),
        ] {
            assert_eq!(faults_of(row), [expected], "{row}");
        }
        assert_eq!(faults_of("").len(), 1, "an empty table proves nothing");
    }
}
