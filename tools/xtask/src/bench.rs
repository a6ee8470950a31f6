//! `./x bench` and `./x soak`.

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};

use crate::{
    build, needs, place,
    run::{self, cargo, run},
    test,
};

/// So long each fuzz target runs in `./x soak`.
const FUZZ: Duration = Duration::from_secs(2 * 60 * 60);

/// Measures. With names, only those benchmarks.
pub(crate) fn bench(names: &[String]) -> Result<ExitCode> {
    needs::bring(&[&needs::FFMPEG])?;
    let binary = build::binary()?;
    let mut bench = cargo();
    bench.args(["bench", "--locked", "--profile", "dev", "-p", "gloaming-tests"]);
    if names.is_empty() {
        bench.arg("--benches");
    }
    bench.args(names.iter().flat_map(|name| ["--bench", name]));
    bench.env("GLOAMING_BIN", binary).env("GLOAMING_SCRATCH", test::scratch("bench")?);
    run(&mut bench)?;
    if names.is_empty() || names.iter().any(|name| name == "seal") {
        // The same film, sealed by the page's core with WebCrypto.
        let core = build::core_with("bench")?;
        let film = test::scratch("bench")?.join("film-760.mp4");
        run(run::command("node")
            .current_dir(place::web())
            .arg("bench/seal.mjs")
            .arg(core)
            .arg(film)
            .arg("3"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What takes hours.
pub(crate) fn soak(names: &[String]) -> Result<ExitCode> {
    const ALL: &[&str] = &["fuzz", "kill"];
    if let Some(unknown) = names.iter().find(|name| !ALL.contains(&name.as_str())) {
        bail!("{unknown:?} is nothing to soak in, which are: {}", ALL.join(" "));
    }
    let chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    if chosen("kill") {
        let binary = build::binary()?;
        let mut kills = cargo();
        kills.args(["test", "--locked", "-p", "gloaming-tests", "--test", "kill", "--", "--nocapture"]);
        kills.env("GLOAMING_BIN", binary).env("GLOAMING_KILLS", "60");
        run(&mut kills)?;
    }
    if chosen("fuzz") {
        test::cargo_fuzz()?;
        for target in test::fuzz_targets()? {
            println!("fuzz {target}, for {} hours", FUZZ.as_secs() / 3600);
            test::fuzz_one(&target, FUZZ)?;
        }
    }
    println!("Done. What was found is under {}", build::shown(&place::root().join("fuzz/artifacts")));
    Ok(ExitCode::SUCCESS)
}
