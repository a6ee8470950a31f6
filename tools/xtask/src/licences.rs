//! Which licences and sources our dependencies may have. Reads `deny.toml`'s list, so that there is one, and needs no
//! tool but cargo; `cargo deny` reads the same file where it is installed.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, bail};

use crate::{check, place};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn check() -> Result<()> {
    let deny = fs::read_to_string(place::root().join("deny.toml")).context("deny.toml")?;
    let allowed = allowed(&deny).context("deny.toml has no list `allow` under [licenses]")?;
    let metadata = check::metadata()?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let mut wrong = Vec::new();
    for package in packages {
        let name = format!(
            "{} {}",
            package["name"].as_str().unwrap_or("?"),
            package["version"].as_str().unwrap_or("?")
        );
        match package["source"].as_str() {
            None | Some(REGISTRY) => {}
            Some(other) => wrong.push(format!("{name} comes from {other}")),
        }
        match package["license"].as_str() {
            Some(licence) if permits(licence, &allowed) => {}
            licence => wrong.push(format!("{name} has licence {}", licence.unwrap_or("unknown"))),
        }
    }
    if !wrong.is_empty() {
        bail!("not in deny.toml:\n  {}", wrong.join("\n  "));
    }
    println!("      {} packages", packages.len());
    Ok(())
}

/// The strings of `allow = [ … ]`.
fn allowed(deny: &str) -> Option<BTreeSet<&str>> {
    let list = deny.split_once("\nallow = [")?.1.split_once(']')?.0;
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default());
    Some(lines.flat_map(|line| line.split('"').skip(1).step_by(2)).collect())
}

/// Whether an SPDX expression can be satisfied with the allowed licences: `OR` offers a choice, `AND` does not. An old
/// way to write `OR` is a slash.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    // An exception (`Apache-2.0 WITH LLVM-exception`) only ever permits more than its licence.
    let mut words: Vec<&str> = Vec::new();
    let mut skip = false;
    for word in spaced.split_whitespace() {
        if skip {
            skip = false;
        } else if word == "WITH" {
            skip = true;
        } else {
            words.push(word);
        }
    }
    let mut at = 0;
    either(&words, &mut at, allowed) && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut any = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        any |= both(words, at, allowed);
    }
    any
}

fn both(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut all = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        all &= one(words, at, allowed);
    }
    all
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let word = words.get(*at).copied();
    *at += 1;
    match word {
        Some("(") => {
            let inner = either(words, at, allowed);
            *at += 1;
            inner
        }
        Some(licence) => allowed.contains(licence),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_permitted_if_a_choice_of_allowed_licences_satisfies_it() {
        let allowed = BTreeSet::from(["MIT", "Apache-2.0", "ISC"]);
        for (expression, expected) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("MIT/GPL-2.0", true),
            ("MIT AND GPL-3.0", false),
            ("ISC AND (Apache-2.0 OR ISC) AND MIT", true),
            ("ISC AND (GPL-3.0 OR AGPL-3.0)", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-3.0", false),
            ("", false),
        ] {
            assert_eq!(permits(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn the_list_is_read_from_deny_toml() {
        let text = "[licenses]\nallow = [\n  \"MIT\", # fine\n  \"ISC\",\n]\n";
        assert_eq!(allowed(text).expect("a list"), BTreeSet::from(["ISC", "MIT"]));
    }
}
