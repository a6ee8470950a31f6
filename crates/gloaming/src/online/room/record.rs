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
    connection::Clock,
    ivf::{Ivf, RATE},
    ogg::{self, Ogg},
    signal::SLOTS,
    visit::Opened,
};
use crate::failure::Failure;

/// Sound that is missing is bridged as long as the clock on the wall says that it can be.
const SLACK: Duration = Duration::from_secs(1);
/// Samples of a packet of usual length: no more than that passes from one packet to the next where none is missing.
const PACKET: i128 = 960;

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
    /// By which what comes is timed, until it comes another way.
    clock: Clock,
    heard: Instant,
    file: Kind,
}

#[derive(Debug)]
enum Kind {
    /// `first` is the time of the frame at the beginning of the file.
    Picture { ivf: Ivf<BufWriter<File>>, first: i128, last: Option<u64> },
    /// `next` is the time at which the next packet should begin.
    Sound { ogg: Ogg<BufWriter<File>>, next: i128 },
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
                Kind::Sound { ogg, next: frame.time.into() }
            } else {
                let ivf = Ivf::new(file, frame.codec, frame.bytes).map_err(bad)?;
                Kind::Picture { ivf, first: frame.time.into(), last: None }
            };
            return Ok(Track { path, codec: frame.codec, clock: frame.clock, heard: now, file });
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
        let since = now - self.heard;
        let another_clock = std::mem::replace(&mut self.clock, frame.clock) != frame.clock;
        self.heard = now;
        let time = i128::from(frame.time);
        let ticks = |time: Duration, rate: u32| {
            i128::try_from(time.as_micros()).unwrap_or(i128::MAX) * i128::from(rate) / 1_000_000
        };
        match &mut self.file {
            Kind::Picture { ivf, first, last } => {
                if another_clock {
                    // What passed meanwhile is what the clock on the wall says.
                    *first = time - i128::from(last.unwrap_or(0)) - ticks(since, RATE);
                }
                // Players want times that grow.
                let time = u64::try_from(time - *first).unwrap_or(0);
                let time = last.map_or(time, |last| time.max(last + 1));
                *last = Some(time);
                ivf.write(time, frame.bytes)
            }
            Kind::Sound { ogg, next } => {
                if another_clock {
                    *next = time - (ticks(since, ogg::RATE) - PACKET).max(0);
                }
                let missing = (time - *next).clamp(0, ticks(since + SLACK, ogg::RATE));
                ogg.bridge(u64::try_from(missing).unwrap_or(0), frame.bytes)?;
                let samples = match ogg.write(frame.bytes) {
                    // No packet of Opus: left out, as a decoder would.
                    Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(()),
                    written => written?,
                };
                *next = time + i128::from(samples);
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
        let clock = Clock { connection: 1, place: 0 };
        Opened { seat, slot: 0, codec: Codec::Opus, time, clock, key: true, whole: true, bytes: &[0xf8, 1] }
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

    /// The times of an IVF file's frames.
    fn times(path: &Path) -> Vec<u64> {
        let bytes = fs::read(path).unwrap();
        let (mut at, mut times) = (32, Vec::new());
        while at < bytes.len() {
            let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            times.push(u64::from_le_bytes(bytes[at + 4..at + 12].try_into().unwrap()));
            at += 12 + usize::try_from(length).unwrap();
        }
        times
    }

    #[test]
    fn what_comes_by_another_connection_goes_on_where_the_first_one_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::new(folder.path()).unwrap();
        let now = Instant::now();
        let picture = |connection, time| Opened {
            slot: 1,
            codec: Codec::Vp8,
            clock: Clock { connection, place: 1 },
            bytes: &[0x10],
            ..opus(time)
        };
        let path = recorder.write("Ana", &picture(1, 1 << 30), now).unwrap().unwrap();
        let mut write = |frame: &Opened<'_>, millis| {
            assert!(recorder.write("Ana", frame, now + Duration::from_millis(millis)).unwrap().is_none());
        };
        write(&picture(1, (1 << 30) + 9_000), 100);
        // Two tenths of a second later, by a clock that begins anew; and by a third one that is far ahead.
        write(&picture(2, 0), 300);
        write(&picture(2, 9_000), 400);
        write(&picture(3, 1 << 40), 500);
        recorder.finish().unwrap();
        assert_eq!(times(&path), [0, 9_000, 27_000, 36_000, 45_000]);
    }
}
