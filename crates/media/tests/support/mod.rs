//! Files made with ffmpeg, and the ways to compare them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "test support: each test uses a part of it, and may panic"
)]

pub mod boxes;
pub mod films;

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use gloaming_media::{
    Demuxer, Extent, Fragment, MediaError, Movie, Piece, Plan, PlanOptions, Planner, TrackInfo, TrackKind,
    mp4_out::{self, Mp4Writer, Stretch},
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

/// What ffmpeg says about timestamps while it decodes everything; `None` where it has no decoder.
pub fn decode_warnings(path: &Path) -> Option<String> {
    decode_warnings_of_map(path, "0")
}

/// The same for one stream.
pub fn decode_warnings_of(path: &Path, stream: usize) -> Option<String> {
    decode_warnings_of_map(path, &format!("0:{stream}"))
}

fn decode_warnings_of_map(path: &Path, map: &str) -> Option<String> {
    let out = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "warning", "-i"])
        .arg(path)
        .args(["-map", map, "-c:s", "copy", "-f", "null", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    // Addresses differ from run to run.
    let lines = text.lines().map(|line| line.rsplit_once("] ").map_or(line, |(_, said)| said));
    out.status.success().then(|| lines.collect::<Vec<_>>().join("\n"))
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

/// (dts, pts, duration, size, hash) of a packet.
pub type Row = [String; 5];

/// A stream's time base, and its packets.
#[derive(Debug)]
pub struct Frames {
    pub time_base: String,
    pub rows: Vec<Row>,
}

/// The packets of every stream.
pub fn frames(path: &Path, before: &[&str]) -> Vec<Frames> {
    let path = path.to_str().unwrap();
    let args =
        [before, &["-copyts", "-i", path, "-map", "0", "-c", "copy", "-f", "framehash", "-hash", "md5", "-"]]
            .concat();
    let mut streams: Vec<Frames> = Vec::new();
    for line in ffmpeg(&args).lines() {
        if let Some((_, time_base)) = line.strip_prefix("#tb ").and_then(|rest| rest.split_once(": ")) {
            streams.push(Frames { time_base: time_base.to_owned(), rows: Vec::new() });
        }
        if !line.starts_with('#') {
            let cells: Vec<String> = line.split(',').map(|cell| cell.trim().to_owned()).collect();
            let stream: usize = cells[0].parse().unwrap();
            streams[stream].rows.push(cells[1..6].to_vec().try_into().unwrap());
        }
    }
    streams
}

fn number(cell: &str) -> i64 {
    cell.parse().unwrap()
}

/// (first decode time, last one's end, bytes) of each stretch of packets without a gap.
fn stretches(rows: &[Row]) -> Vec<(i64, i64, i64)> {
    let mut out: Vec<(i64, i64, i64)> = Vec::new();
    for [dts, _, duration, size, _] in rows {
        let (dts, duration, size) = (number(dts), number(duration), number(size));
        match out.last_mut() {
            Some((_, end, bytes)) if *end == dts => (*end, *bytes) = (dts + duration, *bytes + size),
            _ => out.push((dts, dts + duration, size)),
        }
    }
    out
}

/// What is compared with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Progressive {
        /// The source is fragmented, so that it may have gaps.
        gaps: bool,
    },
    Fragments,
}

/// Packets must be equal, but for a few durations:
///
/// * of a stream's last packet, where it is sound, or where one of the files is fragmented: ffmpeg trims it by the edit
///   list in progressive files only;
/// * in a progressive file, of a packet before a gap of a fragmented source: a sample table has no gaps, so the packet
///   lasts to the gap's end;
/// * in fragments: ffmpeg does not look at what they say. It guesses a picture's duration from the frame rate and that
///   of sound from the codec, or says 0. What they do say is in the progressive file, which is made of them.
///
/// `late`: how much later the source's times are.
pub fn assert_same_frames(
    name: &str,
    source: &Frames,
    output: &Frames,
    is_sound: bool,
    kind: Output,
    late: i64,
) {
    assert_eq!(source.time_base, output.time_base, "{name}");
    assert_eq!(source.rows.len(), output.rows.len(), "{name}: number of packets");
    for (position, (a, b)) in source.rows.iter().zip(&output.rows).enumerate() {
        let next = output.rows.get(position + 1).map(|next| number(&next[0]) - number(&b[0]));
        let duration = number(&b[2]);
        let excused = match (kind, next) {
            (Output::Progressive { gaps }, None) => is_sound || gaps,
            (Output::Progressive { gaps }, Some(next)) => gaps && duration == next,
            (Output::Fragments, None) => true,
            (Output::Fragments, Some(_)) => duration == 0 || !is_sound,
        };
        let times = |row: &Row, late: i64| [number(&row[0]) - late, number(&row[1]) - late];
        let same = times(a, late) == times(b, 0) && a[3..] == b[3..] && (a[2] == b[2] || excused);
        assert!(same, "{name}: packet {position} differs\nsource {a:?}\noutput {b:?}");
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

/// Makes ffmpeg show the packets that an edit list hides, too. We keep them.
pub const WHOLE: &[&str] = &["-advanced_editlist", "0"];

/// `sidx` of the merged file, so that what it says is seen by ffmpeg too.
fn seek_index(movie: &Movie, fragments: &[(Fragment, Vec<u8>)]) -> Vec<u8> {
    let main = movie.tracks().iter().position(|track| track.kind == TrackKind::Video).unwrap_or(0);
    let mut stretches: Vec<Stretch> = Vec::new();
    for (fragment, _) in fragments {
        let begins = fragment.track == main && fragment.number == 0;
        if stretches.is_empty() || (begins && fragment.segment > 0) {
            stretches.push(Stretch { len: 0, duration: 0, independent: fragment.independent });
        }
        let stretch = stretches.last_mut().unwrap();
        stretch.len += fragment.len;
        stretch.duration += if fragment.track == main { fragment.duration } else { 0 };
    }
    let start = fragments.iter().find(|(fragment, _)| fragment.track == main).unwrap().0.start;
    let timescale = movie.tracks()[main].timescale.get();
    mp4_out::segment_index(main, timescale, start, &stretches).unwrap()
}

/// Takes a file through the engine both ways, and compares.
pub fn check_file(name: &str, dir: &Scratch, source: &Path, reading: &[&str]) -> Movie {
    check_file_late(name, dir, source, reading, &|_, _| 0)
}

/// The same for a file that ffmpeg shows this much later than what is made of it, be that progressive or not.
pub fn check_file_late(
    name: &str,
    dir: &Scratch,
    source: &Path,
    reading: &[&str],
    late: &dyn Fn(&TrackInfo, bool) -> i64,
) -> Movie {
    let movie = demux(source).unwrap();
    let fragments = plan(source, movie.clone(), PlanOptions::default()).unwrap();
    let single = write_tracks(dir, &movie, &fragments);

    let inits: Vec<&[u8]> = movie.tracks().iter().map(|track| &track.init[..]).collect();
    let merged = dir.path("merged.mp4");
    let mut bytes = mp4_out::merge_inits(&inits).unwrap();
    bytes.extend(seek_index(&movie, &fragments));
    bytes.extend(fragments.iter().flat_map(|(_, bytes)| bytes.iter()));
    std::fs::write(&merged, bytes).unwrap();

    let progressive = dir.path("progressive.mp4");
    write_progressive(&progressive, &movie, &fragments);

    let gaps = movie.format() == "Fragmented MP4";
    let read = |path: &Path| frames(path, reading);
    let (before, in_merged, in_progressive) = (read(source), read(&merged), read(&progressive));
    let said = decode_warnings(source);
    assert!(before.len() <= single.len(), "{name}: {} streams", before.len());
    for (number, path) in single.iter().enumerate() {
        let track = &movie.tracks()[number];
        let alone = read(path);
        // ffmpeg makes packets of PCM chunk by chunk, and where chunks end is for the writer to choose.
        let pcm = track.kind == TrackKind::Audio && name.starts_with("pcm");
        let payload = pcm.then(|| stream_hash(source, number, reading));
        for (what, path, frames, stream, kind) in [
            ("segments", path, &alone, 0, Output::Fragments),
            ("merged", &merged, &in_merged, number, Output::Fragments),
            ("mp4", &progressive, &in_progressive, number, Output::Progressive { gaps }),
        ] {
            let name = format!("{name}, {what}, track {number}");
            if let Some(payload) = &payload {
                assert_eq!(*payload, stream_hash(path, stream, reading), "{name}: payload");
                assert_eq!(stretches(&before[number].rows), stretches(&frames[stream].rows), "{name}");
            } else {
                let is_sound = track.kind == TrackKind::Audio;
                let late = late(track, kind != Output::Fragments);
                assert_same_frames(&name, &before[number], &frames[stream], is_sound, kind, late);
            }
        }
        let of_track = if single.len() == 1 { said.clone() } else { decode_warnings_of(source, number) };
        assert_eq!(decode_warnings(path), of_track, "{name}: track {number}");
    }
    for path in [&merged, &progressive] {
        assert_eq!(decode_warnings(path), said, "{name}: {}", path.display());
    }

    // What we wrote is a file like any other.
    for path in [&merged, &progressive] {
        let again = demux(path).unwrap();
        let counted = |movie: &Movie| {
            let of = |t: &TrackInfo| (t.samples, t.bytes, t.sync_samples, t.codec.clone());
            movie.tracks().iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(counted(&again), counted(&movie), "{name}: {}", path.display());
    }
    movie
}
