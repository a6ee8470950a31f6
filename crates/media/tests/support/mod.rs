//! Files made with ffmpeg, and the ways to compare them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "test support: each test uses a part of it, and may panic"
)]

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use gloaming_media::{
    Demuxer, Extent, Fragment, MediaError, Movie, Piece, Plan, PlanOptions, Planner, mp4_out::Mp4Writer,
};

/// Whether ffmpeg is here. Without it tests are skipped aloud, except in CI, where that is a failure.
pub fn have_ffmpeg(test: &str) -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok_and(|out| out.status.success());
    if !found {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "ffmpeg is missing in CI");
        eprintln!("SKIPPED {test}: ffmpeg is not installed (apt install ffmpeg, or brew install ffmpeg)");
    }
    found
}

/// A directory that is removed in the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("gloaming-media-{}-{name}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs ffmpeg with these arguments and a path at the end; what it says on standard output.
pub fn ffmpeg(args: &[&str]) -> String {
    let out = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error", "-y"])
        .args(args)
        .output()
        .unwrap();
    assert!(out.status.success(), "ffmpeg {args:?}\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// What ffmpeg says about timestamps while it decodes everything.
pub fn decode_warnings(path: &Path) -> String {
    decode_warnings_of_map(path, "0")
}

/// The same for one stream.
pub fn decode_warnings_of(path: &Path, stream: usize) -> String {
    decode_warnings_of_map(path, &format!("0:{stream}"))
}

fn decode_warnings_of_map(path: &Path, map: &str) -> String {
    let out = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "warning", "-i"])
        .arg(path)
        .args(["-map", map, "-c:s", "copy", "-f", "null", "-"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // Addresses differ from run to run.
    let text = String::from_utf8(out.stderr).unwrap();
    text.lines()
        .map(|line| line.rsplit_once("] ").map_or(line, |(_, said)| said))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Writes the movie back as a progressive file, and once more with an interruption, which must change nothing.
pub fn write_progressive(path: &Path, movie: &Movie, fragments: &[(Fragment, Vec<u8>)]) {
    let inits: Vec<&[u8]> = movie.tracks().iter().map(|track| &track.init[..]).collect();
    let total = fragments.iter().map(|(fragment, _)| fragment.media_bytes).sum();
    let writer = || Mp4Writer::new(&inits, total).unwrap().with_source_header(movie.source_header()).unwrap();
    let mut whole = writer();
    let mut bytes = whole.begin();
    for (fragment, plaintext) in fragments {
        for range in whole.segment(fragment.track, plaintext).unwrap() {
            bytes.extend_from_slice(&plaintext[range]);
        }
        assert_eq!(bytes.len() as u64, whole.position());
    }
    let moov = whole.finish().unwrap();

    let mut resumed = writer();
    let half = fragments.len() / 2;
    for (number, (fragment, plaintext)) in fragments.iter().enumerate() {
        if number < half {
            let Piece::Literal(headers) = &fragment.pieces[0] else {
                panic!("a fragment begins with its boxes")
            };
            assert_eq!(resumed.segment_headers(fragment.track, headers).unwrap(), fragment.media_bytes);
        } else {
            resumed.segment(fragment.track, plaintext).unwrap();
        }
    }
    assert!(moov == resumed.finish().unwrap(), "a resumed file has another index");
    bytes.extend_from_slice(&moov);
    std::fs::write(path, bytes).unwrap();
}

/// Payload of one stream, hashed.
pub fn stream_hash(path: &Path, stream: usize, before: &[&str]) -> String {
    let map = format!("0:{stream}");
    let path = path.to_str().unwrap();
    let args =
        [before, &["-i", path, "-map", &map, "-c", "copy", "-f", "streamhash", "-hash", "sha256", "-"]]
            .concat();
    let text = ffmpeg(&args);
    text.rsplit_once('=').unwrap().1.trim().to_owned()
}

/// (dts, pts, duration, size, hash) of each packet of one stream, after its time base.
pub fn frames(path: &Path, stream: usize, before: &[&str]) -> Vec<Vec<String>> {
    let map = format!("0:{stream}");
    let path = path.to_str().unwrap();
    let args = [
        before,
        &["-copyts", "-i", path, "-map", &map, "-c", "copy", "-f", "framehash", "-hash", "md5", "-"],
    ]
    .concat();
    ffmpeg(&args)
        .lines()
        .filter(|line| !line.starts_with('#') || line.starts_with("#tb"))
        .map(|line| line.split(',').skip(1).take(5).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>())
        .map(|row| if row.is_empty() { vec!["tb".to_owned()] } else { row })
        .collect()
}

/// The same rows on a timeline that begins with the first decode time.
pub fn from_zero(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let number = |cell: &String| cell.parse::<i64>().ok();
    let first = rows.iter().find_map(|row| row.first().and_then(number)).unwrap();
    for row in &mut rows {
        for cell in row.iter_mut().take(2) {
            if let Some(time) = number(cell) {
                *cell = (time - first).to_string();
            }
        }
    }
    rows
}

/// Frame rows must be equal, except for durations in three places: of the last packet, which ffmpeg trims by the edit
/// list in a progressive file only; in a `progressive` file of a packet before a gap, which lasts to the gap's end; and
/// in fragments where ffmpeg (in its own files as well) says 0 for codecs without a fixed frame size.
pub fn assert_same_frames(name: &str, source: &[Vec<String>], output: &[Vec<String>], progressive: bool) {
    assert_eq!(source.len(), output.len(), "{name}: number of packets");
    let dts = |row: Option<&Vec<String>>| row?.first()?.parse::<i64>().ok();
    for (number, (a, b)) in source.iter().zip(output).enumerate() {
        let last = number + 1 == source.len();
        let to_next =
            dts(output.get(number + 1)).zip(dts(Some(b))).map(|(next, this)| (next - this).to_string());
        let stretched = progressive && to_next.is_some() && b.get(2) == to_next.as_ref();
        let unsaid = !progressive && b.get(2).is_some_and(|duration| duration == "0");
        let excused = last || stretched || unsaid;
        let same = a == b || (excused && [0, 1, 3, 4].iter().all(|&cell| a.get(cell) == b.get(cell)));
        assert!(same, "{name}: packet {number} differs\nsource {a:?}\noutput {b:?}");
    }
}

fn read(file: &mut File, extent: Extent) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(extent.len).unwrap()];
    file.seek(SeekFrom::Start(extent.offset)).unwrap();
    file.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads what a file is.
pub fn demux(path: &Path) -> Result<Movie, MediaError> {
    let mut file = File::open(path).unwrap();
    let mut demuxer = Demuxer::new(file.metadata().unwrap().len());
    while let Some(extent) = demuxer.need() {
        assert!(extent.len > 0 && extent.len <= 8 << 20);
        demuxer.feed(extent.offset, &read(&mut file, extent))?;
    }
    demuxer.finish()
}

/// All fragments with their bytes, checked for what every plan promises.
pub fn plan(path: &Path, movie: Movie, options: PlanOptions) -> Result<Vec<(Fragment, Vec<u8>)>, MediaError> {
    let mut file = File::open(path).unwrap();
    let tracks = movie.tracks().to_vec();
    let mut planner = Planner::new(movie, options)?;
    let mut out: Vec<(Fragment, Vec<u8>)> = Vec::new();
    loop {
        match planner.next()? {
            Plan::Need(extent) => {
                assert!(extent.len > 0 && extent.len <= 8 << 20);
                planner.feed(extent.offset, &read(&mut file, extent))?;
            }
            Plan::Fragment(fragment) => {
                let mut bytes = Vec::new();
                for piece in &fragment.pieces {
                    match piece {
                        Piece::Source(extent) => bytes.extend_from_slice(&read(&mut file, *extent)),
                        Piece::Literal(literal) => bytes.extend_from_slice(literal),
                    }
                }
                assert_eq!(bytes.len() as u64, fragment.len);
                out.push((fragment, bytes));
            }
            Plan::Done => break,
        }
    }
    for (number, track) in tracks.iter().enumerate() {
        let fragments: Vec<&Fragment> = out.iter().map(|(f, _)| f).filter(|f| f.track == number).collect();
        let (mut segment, mut next) = (0, 0);
        for fragment in &fragments {
            assert_eq!((fragment.segment, fragment.number), (segment, next), "numbers are gapless");
            assert!(fragment.len <= options.max_fragment || fragment.samples == 1);
            (segment, next) = if fragment.last_in_segment { (segment + 1, 0) } else { (segment, next + 1) };
        }
        assert_eq!(next, 0, "the last segment has an end");
        let sum = |f: fn(&Fragment) -> u64| fragments.iter().map(|fragment| f(fragment)).sum::<u64>();
        assert_eq!(sum(|f| u64::from(f.samples)), track.samples);
        assert_eq!(sum(|f| f.media_bytes), track.bytes);
        assert_eq!(sum(|f| f.duration), track.duration);
    }
    Ok(out)
}

/// Init and segments of each track, one file per track.
pub fn write_tracks(dir: &Scratch, movie: &Movie, fragments: &[(Fragment, Vec<u8>)]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (number, track) in movie.tracks().iter().enumerate() {
        let path = dir.path(&format!("track{number}.mp4"));
        let mut file = File::create(&path).unwrap();
        file.write_all(&track.init).unwrap();
        for (_, bytes) in fragments.iter().filter(|(fragment, _)| fragment.track == number) {
            file.write_all(bytes).unwrap();
        }
        paths.push(path);
    }
    paths
}
