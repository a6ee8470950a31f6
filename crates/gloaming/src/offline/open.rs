use std::path::{Path, PathBuf};

use clap::Args;
use gloaming_media::mp4_out::Mp4Writer;
use gloaming_package::{Index, Part, dash, hls};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    Run,
    failure::Failure,
    native::{NewDir, NewFile, SealedDir},
    terminal::Terminal,
};

/// Open a sealed folder with its key: as one MP4 file, or for a web server as HLS or DASH.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gloaming open holiday.sealed --key holiday.sealed.key --mp4 holiday.mp4
  gloaming open holiday.sealed --key holiday.sealed.key --hls /var/www/holiday")]
pub(crate) struct Open {
    /// The sealed folder.
    dir: PathBuf,
    /// Its key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// What to make of it.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Output {
    /// One MP4 file, with every packet of the original.
    #[arg(long, value_name = "FILE")]
    mp4: Option<PathBuf>,
    /// A folder of HLS playlists and clear segments.
    #[arg(long, value_name = "DIR")]
    hls: Option<PathBuf>,
    /// A folder with a DASH manifest and clear segments.
    #[arg(long, value_name = "DIR")]
    dash: Option<PathBuf>,
}

#[derive(Serialize)]
struct Opened {
    output: PathBuf,
    bytes: u64,
}

impl Run for Open {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let mut sealed = SealedDir::open(&self.dir, &self.key)?;
        let total = sealed.index().tracks().map(|track| track.media_bytes).sum();
        let progress = terminal.progress("Opening", total);
        let (output, bytes) = match self.output {
            Output { mp4: Some(path), .. } => (path.clone(), mp4(&mut sealed, &path, &progress)?),
            Output { hls: Some(path), .. } => {
                (path.clone(), export(&mut sealed, &path, playlists, &progress)?)
            }
            Output { dash: Some(path), .. } => {
                (path.clone(), export(&mut sealed, &path, manifest, &progress)?)
            }
            Output { mp4: None, hls: None, dash: None } => unreachable!("one of them is required"),
        };
        progress.finish_and_clear();
        terminal.print(&Opened { output, bytes }, |opened| {
            format!("Opened into {} ({} bytes).\n", opened.output.display(), opened.bytes)
        });
        Ok(())
    }
}

/// Everything in one progressive MP4; answers its length.
fn mp4(sealed: &mut SealedDir, path: &Path, progress: &ProgressBar) -> Result<u64, Failure> {
    let mut out = NewFile::create(path)?;
    let mut buf = Vec::new();
    let mut header = Vec::new();
    if let Some(track) = sealed.index().source_header() {
        for segment in 0..sealed.index().segment_count(track) {
            sealed.segment(track, segment, &mut buf, |plain| {
                header.extend_from_slice(plain);
                Ok(())
            })?;
        }
    }
    let inits = sealed.index().inits();
    let media_bytes = sealed.index().media_bytes();
    let mut writer = Mp4Writer::new(&inits, media_bytes)?;
    if !header.is_empty() {
        writer = writer.with_source_header(&header)?;
    }
    out.write(&writer.begin())?;
    let order: Vec<_> = sealed.index().in_time_order().collect();
    for (track, segment) in order {
        sealed.segment(track, segment, &mut buf, |plain| {
            for range in writer.segment(usize::from(track), plain)? {
                out.write(&plain[range])?;
            }
            progress.inc(plain.len() as u64);
            Ok(())
        })?;
    }
    let position = writer.position();
    let end = writer.finish()?;
    out.write(&end)?;
    out.keep(false)?;
    Ok(position + end.len() as u64)
}

/// Clear segments, and the manifests over them; answers how many bytes.
fn export(
    sealed: &mut SealedDir,
    path: &Path,
    manifests: fn(&Index) -> Vec<(Part, String)>,
    progress: &ProgressBar,
) -> Result<u64, Failure> {
    let out = NewDir::create(path)?;
    let (mut buf, mut whole, mut bytes) = (Vec::new(), Vec::new(), 0);
    for track in sealed.index().playable() {
        let init = sealed.index().track(track).map(|about| about.init.clone()).unwrap_or_default();
        out.write(&Part::Init(track).to_string(), &init)?;
        for segment in 0..sealed.index().segment_count(track) {
            whole.clear();
            sealed.segment(track, segment, &mut buf, |plain| {
                whole.extend_from_slice(plain);
                Ok(())
            })?;
            out.write(&Part::Segment(track, segment).to_string(), &whole)?;
            bytes += whole.len() as u64;
            progress.inc(whole.len() as u64);
        }
    }
    for (part, text) in manifests(sealed.index()) {
        out.write(&part.to_string(), text.as_bytes())?;
        bytes += text.len() as u64;
    }
    out.keep()?;
    Ok(bytes)
}

fn playlists(index: &Index) -> Vec<(Part, String)> {
    let media = index.playable().into_iter().filter_map(|t| Some((Part::Playlist(t), hls::media(index, t)?)));
    media.chain([(Part::Master, hls::master(index))]).collect()
}

fn manifest(index: &Index) -> Vec<(Part, String)> {
    vec![(Part::Manifest, dash::mpd(index, ""))]
}
