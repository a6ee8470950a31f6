//! What is received, as files that every player knows: IVF for pictures, Ogg for sound. One for each person and track.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gloaming_ids::SeatId;
use gloaming_room::Codec;

use super::{
    ivf::Ivf,
    ogg::{self, Ogg},
    signal::SLOTS,
    visit::Opened,
};
use crate::failure::Failure;

/// Sound that is missing is bridged as long as the clock on the wall says that it can be.
const SLACK: Duration = Duration::from_secs(1);

/// A folder that fills with what a room's members send.
#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    tracks: BTreeMap<(SeatId, usize), Track>,
    /// All that were begun.
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug)]
struct Track {
    path: PathBuf,
    codec: Codec,
    file: Kind,
}

#[derive(Debug)]
enum Kind {
    Picture { ivf: Ivf<BufWriter<File>>, first: u64, last: Option<u64> },
    Sound { ogg: Ogg<BufWriter<File>>, next: u64, heard: Instant },
}

impl Recorder {
    pub(super) fn new(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
        Ok(Self { folder: folder.to_owned(), tracks: BTreeMap::new(), files: Vec::new() })
    }

    /// Writes a frame. Where a file begins with it: which.
    pub(super) fn write(
        &mut self,
        who: &str,
        frame: &Opened<'_>,
        now: Instant,
    ) -> Result<Option<PathBuf>, Failure> {
        // What no decoder could begin with, or go on with, is left out.
        if !frame.whole {
            return Ok(None);
        }
        let at = (frame.seat, frame.slot);
        let mut begun = None;
        if self.tracks.get(&at).is_none_or(|track| track.codec != frame.codec) {
            if !frame.key {
                return Ok(None);
            }
            if let Some(track) = self.tracks.remove(&at) {
                track.finish()?;
            }
            let track = self.begin(who, frame, now)?;
            begun = Some(track.path.clone());
            self.files.push(track.path.clone());
            self.tracks.insert(at, track);
        }
        let track = self.tracks.get_mut(&at).expect("it was begun");
        track.write(frame, now).map_err(|error| Failure::file(&track.path, &error))?;
        Ok(begun)
    }

    fn begin(&self, who: &str, frame: &Opened<'_>, now: Instant) -> Result<Track, Failure> {
        let ending = if frame.codec == Codec::Opus { "ogg" } else { "ivf" };
        let name = format!("{}-{}", file_name(who), SLOTS[frame.slot].name);
        let numbered =
            |n: u32| if n == 1 { format!("{name}.{ending}") } else { format!("{name}-{n}.{ending}") };
        for number in 1.. {
            let path = self.folder.join(numbered(number));
            let file = match File::create_new(&path) {
                Ok(file) => BufWriter::new(file),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Failure::file(&path, &error)),
            };
            let bad = |error: std::io::Error| Failure::file(&path, &error);
            let file = if frame.codec == Codec::Opus {
                let serial = u32::from_be_bytes(std::array::from_fn(|n| frame.seat.as_bytes()[n]));
                let ogg = Ogg::new(file, serial, ogg::channels(frame.bytes)).map_err(bad)?;
                Kind::Sound { ogg, next: frame.time, heard: now }
            } else {
                let ivf = Ivf::new(file, frame.codec, frame.bytes).map_err(bad)?;
                Kind::Picture { ivf, first: frame.time, last: None }
            };
            return Ok(Track { path, codec: frame.codec, file });
        }
        unreachable!("there are more numbers than files")
    }

    /// What somebody sent ends with them: who comes back is somebody new.
    pub(super) fn left(&mut self, seat: SeatId) -> Result<(), Failure> {
        let (theirs, others) =
            std::mem::take(&mut self.tracks).into_iter().partition(|((of, _), _)| *of == seat);
        self.tracks = others;
        let theirs: BTreeMap<_, Track> = theirs;
        theirs.into_values().try_for_each(Track::finish)
    }

    /// Ends every file.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        std::mem::take(&mut self.tracks).into_values().try_for_each(Track::finish)
    }
}

impl Track {
    fn write(&mut self, frame: &Opened<'_>, now: Instant) -> std::io::Result<()> {
        match &mut self.file {
            Kind::Picture { ivf, first, last } => {
                // Players want times that grow.
                let time = frame.time.saturating_sub(*first);
                let time = last.map_or(time, |last| time.max(last + 1));
                *last = Some(time);
                ivf.write(time, frame.bytes)
            }
            Kind::Sound { ogg, next, heard } => {
                let possible = (now - *heard + SLACK).as_millis() * u128::from(ogg::RATE) / 1_000;
                let missing = u128::from(frame.time.saturating_sub(*next)).min(possible);
                ogg.bridge(u64::try_from(missing).unwrap_or(0), frame.bytes)?;
                *heard = now;
                let samples = match ogg.write(frame.bytes) {
                    // No packet of Opus: left out, as a decoder would.
                    Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(()),
                    written => written?,
                };
                *next = frame.time + samples;
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        let finished = match self.file {
            Kind::Picture { ivf, .. } => ivf.finish(),
            Kind::Sound { ogg, .. } => ogg.finish(),
        };
        finished.map_err(|error| Failure::file(&self.path, &error))
    }
}

/// A name that somebody else chose, as a part of a file's name of ours.
fn file_name(name: &str) -> String {
    let fine = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let name: String = name.trim().chars().map(fine).take(40).collect();
    if name.is_empty() { "somebody".into() } else { name }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    fn opus(time: u64) -> Opened<'static> {
        let seat = SeatId::from_bytes([1; 16]);
        Opened { seat, slot: 0, codec: Codec::Opus, time, key: true, whole: true, bytes: &[0xf8, 1] }
    }

    #[test]
    fn nobodys_name_leads_out_of_the_folder_or_over_a_file() {
        assert_eq!(file_name("../../etc/passwd"), "______etc_passwd");
        assert_eq!(file_name(".."), "__");
        assert_eq!(file_name(" Ana Söder "), "Ana_Söder");
        assert_eq!(file_name(""), "somebody");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Ana-mic.ogg"), "hers").unwrap();
        let mut recorder = Recorder::new(folder.path()).unwrap();
        let begun = recorder.write("Ana", &opus(0), Instant::now()).unwrap().unwrap();
        assert_eq!(begun, folder.path().join("Ana-mic-2.ogg"));
        assert_eq!(fs::read(folder.path().join("Ana-mic.ogg")).unwrap(), b"hers");
    }

    #[test]
    fn a_time_that_jumps_does_not_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::new(folder.path()).unwrap();
        let now = Instant::now();
        let path = recorder.write("Ana", &opus(0), now).unwrap().unwrap();
        recorder.write("Ana", &opus(1 << 40), now + Duration::from_millis(20)).unwrap();
        recorder.finish().unwrap();
        // A second of packets, and not months.
        assert!(fs::metadata(path).unwrap().len() < 5_000);
    }
}
