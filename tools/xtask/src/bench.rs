//! `./x bench` and `./x soak`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    build, needs, place,
    run::{self, cargo, run},
    test,
};

/// So long each fuzz target runs in `./x soak`.
const FUZZ: Duration = Duration::from_secs(2 * 60 * 60);

/// How many rooms `./x soak` simulates, each with its own weather, churn and server. `./x test` has a few dozen.
const ROOMS: u32 = 1000;

/// The film of the benchmark `seal`, which makes it where it is not.
const FILM: &str = "film-760.mp4";

/// What `./x soak` seals, in megabytes: ten times the film of `./x bench`, and what WASM memory must not notice.
const LARGE: [u64; 2] = [7_600, 5_000];

/// Measures. With names, only those benchmarks.
pub(crate) fn bench(names: &[String]) -> Result<ExitCode> {
    let chosen = chosen(names, &["seal", "play", "grants", "rooms", "forwarder"])?;
    if chosen("forwarder") {
        run(cargo().args(["bench", "--locked", "-p", "gloaming-sfu", "--bench", "forwarder"]))?;
        if names == ["forwarder"] {
            return Ok(ExitCode::SUCCESS);
        }
    }
    needs::bring(&[&needs::FFMPEG])?;
    let binary = build::binary()?;
    if chosen("seal") {
        let scratch = test::scratch("bench")?;
        native_seal(&binary, &scratch)?;
        // The same film, sealed by the page's core with WebCrypto.
        let core = build::core_for_probes()?;
        wasm_seal(&core, &scratch.join(FILM), Some(&binary))?;
    }
    if chosen("play") {
        needs::bring(&[&needs::CHROMIUM, &needs::FIREFOX])?;
        let chromium = needs::chromium().context("there is no Chromium")?;
        let floors = [("GLOAMING_FLOORS", "1")];
        run(&mut page("first-frame", &binary, &chromium, &floors))?;
        run(&mut page("viewer", &binary, &chromium, &floors))?;
        let firefox = needs::firefox().context("there is no Firefox")?;
        run(&mut page_in("firefox", &firefox, "viewer", &binary, &floors))?;
    }
    if chosen("grants") {
        run(whole_system_bench("grants").env("GLOAMING_BIN", &binary))?;
        let mut growth = test::workspace_tests();
        growth.args(["--test", "shares", "--"]);
        run(growth.args(["--ignored", "--nocapture", "the_ten_millionth_grant_costs_as_much_as_the_first"]))?;
    }
    if chosen("rooms") {
        run(&mut idle_rooms())?;
        needs::bring(&[&needs::CHROMIUM])?;
        let chromium = needs::chromium().context("there is no Chromium")?;
        run(&mut page("room", &binary, &chromium, &[("GLOAMING_FLOORS", "1")]))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What thousands weigh who are in rooms and say nothing. Fails above the floor.
pub(crate) fn idle_rooms() -> Command {
    let mut rooms = test::workspace_tests();
    rooms.args(["--test", "rooms_idle", "--", "--ignored", "--nocapture", "five_thousand"]);
    rooms
}

/// What takes hours.
pub(crate) fn soak(names: &[String]) -> Result<ExitCode> {
    let chosen = chosen(names, &["kill", "seal", "play", "rooms", "fuzz"])?;
    if chosen("kill") {
        let binary = build::binary()?;
        let mut kills = test::whole_system(|name| ["kill", "grants"].contains(&name))?;
        kills.args(["--", "--nocapture"]);
        kills.env("GLOAMING_BIN", binary).env("GLOAMING_KILLS", "60");
        run(&mut kills)?;
    }
    if chosen("seal") {
        needs::bring(&[&needs::FFMPEG])?;
        soak_seal()?;
    }
    if chosen("play") {
        needs::bring(&[&needs::FFMPEG, &needs::CHROMIUM])?;
        let binary = build::binary()?;
        let chromium = needs::chromium().context("there is no Chromium")?;
        // As long as somebody says, or the whole film.
        run(&mut page("soak-play", &binary, &chromium, &[]))?;
    }
    if chosen("rooms") {
        let mut rooms = test::workspace_tests();
        run(rooms.args(["--test", "simulation"]).env("GLOAMING_ROOM_SEEDS", ROOMS.to_string()))?;
    }
    if chosen("fuzz") {
        test::cargo_fuzz()?;
        for target in test::fuzz_targets()? {
            println!("fuzz {target}, for {} hours", FUZZ.as_secs() / 3600);
            test::fuzz_one(&target, FUZZ)?;
        }
        println!("What was found is under {}", build::shown(&place::root().join("fuzz/artifacts")));
    }
    println!("Done.");
    Ok(ExitCode::SUCCESS)
}

/// Which names were chosen; all of them if none was.
fn chosen<'a>(names: &'a [String], known: &[&str]) -> Result<impl Fn(&str) -> bool + 'a> {
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("{unknown:?} is none of: {}", known.join(" "));
    }
    Ok(|name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name))
}

/// One of the page's benchmarks (`web/bench/*.bench.ts`) in Chromium.
pub(crate) fn page(name: &str, binary: &Path, chromium: &str, settings: &[(&str, &str)]) -> Command {
    page_in("chromium", chromium, name, binary, settings)
}

/// The same in another browser: its name among Playwright's projects, and where it is.
fn page_in(project: &str, browser: &str, name: &str, binary: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = build::npm();
    // With `=`: the option takes every word that follows it.
    command.args(["exec", "--", "playwright", "test", "-c", "bench", &format!("--project={project}"), name]);
    command.env(format!("GLOAMING_{}", project.to_uppercase()), browser).env("GLOAMING_BIN", binary);
    command.envs(settings.iter().copied());
    command
}

/// Seals a film in WebAssembly with WebCrypto, in Node. Fails above the floor of memory and, beside a native binary, above
/// that of processor time.
pub(crate) fn wasm_seal(core: &Path, film: &Path, native: Option<&Path>) -> Result<()> {
    let mut seal = run::command("node");
    seal.current_dir(place::web()).arg("bench/seal.mjs").arg(core).arg(film).env_remove("GLOAMING_BIN");
    if let Some(native) = native {
        seal.arg("3").env("GLOAMING_BIN", native).env("GLOAMING_SCRATCH", test::scratch("bench")?);
    }
    run(&mut seal)
}

/// A film of so many megabytes, made once: a short noisy one over and over, so that nothing is encoded for long. Its `moov`
/// is at the end and true.
pub(crate) fn looped_film(megabytes: u64) -> Result<PathBuf> {
    const SECONDS: u64 = 8;
    const MEGABYTES: u64 = 25;
    let dir = test::scratch("bench")?;
    let film = dir.join(format!("looped-{megabytes}.mp4"));
    if film.exists() {
        return Ok(film);
    }
    let (once, part) = (dir.join("once.mp4"), dir.join("unfinished.mp4"));
    let ffmpeg = || {
        let mut command = run::command("ffmpeg");
        command.args(["-v", "error", "-y"]);
        command
    };
    let noise = format!("testsrc2=size=1280x720:rate=25:duration={SECONDS},noise=alls=60:allf=t");
    let mut make = ffmpeg();
    make.args(["-f", "lavfi", "-i", &noise, "-f", "lavfi", "-i", "sine=frequency=220", "-shortest"]);
    make.args(["-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "nal-hrd=cbr", "-g", "50"]);
    for flag in ["-b:v", "-minrate", "-maxrate", "-bufsize"] {
        make.args([flag, "25M"]);
    }
    run(make.args(["-pix_fmt", "yuv420p", "-c:a", "aac"]).arg(&once))?;
    let times = (megabytes / MEGABYTES).to_string();
    run(ffmpeg().args(["-stream_loop", &times, "-i"]).arg(&once).args(["-c", "copy"]).arg(&part))?;
    fs::rename(&part, &film)?;
    Ok(film)
}

/// Ten times the film of `./x bench`, natively, and five gigabytes in WASM. A size for which there is no room is skipped
/// aloud, and nothing made here stays.
fn soak_seal() -> Result<()> {
    let binary = build::binary()?;
    let core = build::core_for_probes()?;
    let scratch = test::scratch("bench")?;
    for (megabytes, native) in LARGE.into_iter().zip([true, false]) {
        // The film, a copy, what is sealed of it, and air. Natively; in WASM nothing is written but the film.
        let needed = megabytes * if native { 3 } else { 1 } + 2_000;
        let free = free_megabytes(&scratch)?;
        if free < needed {
            println!("SKIPPED sealing {megabytes} MB: it needs {needed} MB of disk, and {free} are free");
            continue;
        }
        let film = looped_film(megabytes)?;
        let done = if native {
            native_seal_of(&binary, &film)
        } else {
            sparse(&film).and_then(|()| wasm_seal(&core, &film, None))
        };
        // The native run took it along.
        if film.exists() {
            fs::remove_file(&film)?;
        }
        done?;
    }
    Ok(())
}

/// The benchmark `seal`, on the film in this folder, which it makes where it is not.
fn native_seal(binary: &Path, scratch: &Path) -> Result<()> {
    run(whole_system_bench("seal").env("GLOAMING_BIN", binary).env("GLOAMING_SCRATCH", scratch))
}

/// One of the benchmarks of the real binary (`tests/benches`). Of the whole workspace, as its tests are.
fn whole_system_bench(name: &str) -> Command {
    let mut bench = cargo();
    bench.args(["bench", "--locked", "--profile", "dev", "--workspace", "--bench", name]);
    bench
}

/// The same on another film: in a folder of its own, under the name by which it looks for one.
fn native_seal_of(binary: &Path, film: &Path) -> Result<()> {
    let scratch = test::scratch("soak")?;
    let named = scratch.join(FILM);
    fs::rename(film, &named)?;
    let done = native_seal(binary, &scratch);
    // Whatever a run that failed half-way left there goes too.
    fs::remove_dir_all(&scratch)?;
    done
}

/// Makes the payload of a film a hole: its boxes stay, and its disk is free again.
fn sparse(film: &Path) -> Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = fs::File::open(film)?;
    let mut at = 0;
    loop {
        let mut header = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header).context("a film has an mdat")?;
        let short = u64::from(u32::from_be_bytes(header[..4].try_into().expect("four bytes")));
        let size =
            if short == 1 { u64::from_be_bytes(header[8..].try_into().expect("eight bytes")) } else { short };
        if &header[4..8] == b"mdat" {
            let (offset, length) = ((at + 16).to_string(), (size - 16).to_string());
            return run(run::command("fallocate")
                .args(["--punch-hole", "-o", &offset, "-l", &length])
                .arg(film));
        }
        at += size;
    }
}

fn free_megabytes(folder: &Path) -> Result<u64> {
    let folder = folder.to_str().context("its name is text")?;
    let free = place::output("df", &["--output=avail", "-B1000000", folder]).context("df does not run")?;
    free.lines().nth(1).and_then(|line| line.trim().parse().ok()).context("df says how much is free")
}
