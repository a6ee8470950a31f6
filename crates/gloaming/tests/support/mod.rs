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

    /// What ffmpeg has to say while it decodes a file. (By its whole path: ffmpeg 5's DASH reader doubles a relative
    /// folder.)
    pub(crate) fn decode(&self, file: &str) -> String {
        let file = self.path(file);
        let output = ffmpeg(self.dir.path(), &format!("-v warning -i {} -map 0 -f null -", file.display()));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{}: {said}", file.display());
        said
    }

    /// The digest of every packet of the only video and the only audio stream. Each is read alone: ffmpeg 5's DASH
    /// reader leaves out the last packet of one stream where it reads two.
    pub(crate) fn packets(&self, file: &str) -> Vec<Vec<String>> {
        let digest = |row: String| row.split(',').nth(4).unwrap().to_owned();
        let of = |map| self.rows(file, map).concat().into_iter().map(digest).collect();
        vec![of("0:v"), of("0:a")]
    }

    /// Everything about a file's packets: a digest of each stream, then (dts, pts, time to the next one, size, digest)
    /// of each packet. The time to the next one, because a fragmented source may have gaps, and a progressive file says
    /// a gap by a longer duration. The last packet has none: ffmpeg trims it by the edit list in some files only.
    pub(crate) fn streams(&self, file: &str) -> (String, Vec<Vec<String>>) {
        let mut streams = self.rows(file, "0");
        for rows in &mut streams {
            let times: Vec<i64> =
                rows.iter().map(|row| row.split(',').next().unwrap().parse().unwrap()).collect();
            for (i, row) in rows.iter_mut().enumerate() {
                let lasts = times.get(i + 1).map_or(String::new(), |next| (next - times[i]).to_string());
                let mut columns: Vec<_> = row.split(',').collect();
                columns[2] = &lasts;
                *row = columns.join(",");
            }
        }
        let hashes = self.ffmpeg(&format!("-i {file} -map 0 -c copy -f streamhash -hash sha256 -"));
        (String::from_utf8(hashes).unwrap(), streams)
    }

    /// `framehash` of each stream, without spaces and without the stream's number. (`-copyts`: ffmpeg would drop or move
    /// packets before zero, such as an encoder's priming.)
    fn rows(&self, file: &str, map: &str) -> Vec<Vec<String>> {
        let file = self.path(file);
        let out = self
            .ffmpeg(&format!("-copyts -i {} -map {map} -c copy -f framehash -hash md5 -", file.display()));
        let mut streams: Vec<Vec<String>> = Vec::new();
        for line in String::from_utf8(out).unwrap().lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<_> = line.split(',').map(str::trim).collect();
            let stream: usize = columns[0].parse().unwrap();
            streams.resize_with(streams.len().max(stream + 1), Vec::new);
            streams[stream].push(columns[1..].join(","));
        }
        streams
    }
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
