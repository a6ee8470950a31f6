//! A folder to work in, the program, and ffmpeg.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub(crate) struct Work {
    dir: tempfile::TempDir,
}

pub(crate) struct Ran(pub(crate) Output);

impl Work {
    pub(crate) fn new(name: &str) -> Work {
        Work { dir: tempfile::Builder::new().prefix(&format!("gloaming-{name}-")).tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs the program here.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gloaming"));
        Ran(command.args(arguments).current_dir(self.dir.path()).output().unwrap())
    }

    /// Runs ffmpeg here, quietly.
    pub(crate) fn ffmpeg(&self, arguments: &str) -> Vec<u8> {
        let output = ffmpeg(self.dir.path(), &format!("-v error -y {arguments}"));
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// What ffmpeg has to say while it decodes a file; `None` if it cannot. (By its whole path: ffmpeg 5's DASH reader
    /// doubles a relative folder.)
    pub(crate) fn decode(&self, file: &str) -> Option<String> {
        let file = self.path(file);
        let output = ffmpeg(self.dir.path(), &format!("-v warning -i {} -map 0 -f null -", file.display()));
        output.status.success().then(|| String::from_utf8(output.stderr).unwrap())
    }

    /// The digest of every packet of the only video and the only audio stream. Each is read alone: ffmpeg 5's DASH
    /// reader leaves out the last packet of one stream where it reads two.
    pub(crate) fn packets(&self, file: &str) -> Vec<Vec<String>> {
        let digests = |map| {
            let streams = self.streams(file, map);
            streams.into_iter().flat_map(|stream| stream.rows).map(|[.., digest]| digest).collect()
        };
        vec![digests("0:v"), digests("0:a")]
    }

    /// One digest of each stream's packets, and all about each of them, are the same in both files. What may differ is
    /// the duration
    ///
    /// * of the last packet of sound: ffmpeg trims it by the edit list in some files only;
    /// * where `gaps`, because the source is fragmented: of a packet before a gap, which lasts to the gap's end in a
    ///   progressive file, for its tables have no gaps; and of the last one.
    pub(crate) fn assert_same_packets(&self, name: &str, source: &str, output: &str, gaps: bool) {
        let hashes = |file| self.ffmpeg(&format!("-i {file} -map 0 -c copy -f streamhash -hash sha256 -"));
        let (before, after) = (hashes(source), hashes(output));
        assert_eq!(String::from_utf8(before).unwrap(), String::from_utf8(after).unwrap(), "{name}");
        let (before, after) = (self.streams(source, "0"), self.streams(output, "0"));
        assert_eq!(before.len(), after.len(), "{name}: streams");
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((before.sound, before.rows.len()), (after.sound, after.rows.len()), "{name}");
            for (number, (a, b)) in before.rows.iter().zip(&after.rows).enumerate() {
                let next = after.rows.get(number + 1);
                let to_next = next.map(|next| next[0].parse::<i64>().unwrap() - b[0].parse::<i64>().unwrap());
                let excused = match to_next {
                    None => before.sound || gaps,
                    Some(ticks) => gaps && b[2] == ticks.to_string(),
                };
                let but_duration = |row: &Row| [0, 1, 3, 4].map(|column| row[column].clone());
                let same = a == b || excused && but_duration(a) == but_duration(b);
                assert!(same, "{name}: packet {number} is {b:?} and was {a:?}");
            }
        }
    }

    /// What `framehash` says of each stream. (`-copyts`: ffmpeg would drop or move packets before zero, such as an
    /// encoder's priming.)
    fn streams(&self, file: &str, map: &str) -> Vec<Stream> {
        let file = self.path(file);
        let out = self
            .ffmpeg(&format!("-copyts -i {} -map {map} -c copy -f framehash -hash md5 -", file.display()));
        let mut streams: Vec<Stream> = Vec::new();
        for line in String::from_utf8(out).unwrap().lines() {
            if let Some((_, kind)) = line.strip_prefix("#media_type ").and_then(|rest| rest.split_once(": "))
            {
                streams.push(Stream { sound: kind == "audio", rows: Vec::new() });
            }
            if !line.starts_with('#') {
                let columns: Vec<_> = line.split(',').map(|cell| cell.trim().to_owned()).collect();
                let stream: usize = columns[0].parse().unwrap();
                streams[stream].rows.push(columns[1..6].to_vec().try_into().unwrap());
            }
        }
        streams
    }
}

/// (dts, pts, duration, size, digest) of a packet.
type Row = [String; 5];

/// A stream as `framehash` sees it.
struct Stream {
    sound: bool,
    rows: Vec<Row>,
}

impl Ran {
    #[track_caller]
    pub(crate) fn succeeds(&self) -> String {
        assert!(self.0.status.success(), "{}", self.stderr());
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn fails(&self, exit: i32) -> String {
        assert_eq!(self.0.status.code(), Some(exit), "{}", self.stderr());
        self.stderr()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}

fn ffmpeg(dir: &Path, arguments: &str) -> Output {
    let mut command = Command::new("ffmpeg");
    command.arg("-nostdin").args(arguments.split_whitespace()).current_dir(dir);
    command.output().expect("these tests need ffmpeg: install it (apt install ffmpeg)")
}
