use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use gloaming_client::open_video;
use gloaming_package::Part;
use serde_json::json;

use super::{block_on, remote::Remote};
use crate::{Run, failure::Failure, terminal::Terminal};

/// Write a video as clear DASH or HLS files, for any other tool
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    remote: Remote,

    /// Id, the beginning of one, or exact title
    video: String,

    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// Write manifest.mpd and its segments into this new folder
    #[arg(long, value_name = "DIR")]
    dash: Option<PathBuf>,

    /// Write master.m3u8, playlists and segments into this new folder
    #[arg(long, value_name = "DIR")]
    hls: Option<PathBuf>,
}

impl Run for Export {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let (folder, is_hls) = match (&self.to.dash, &self.to.hls) {
            (Some(folder), _) => (folder, false),
            (None, Some(folder)) => (folder, true),
            (None, None) => unreachable!("clap asks for one of them"),
        };
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::file(folder, &io::ErrorKind::AlreadyExists.into()));
        }
        block_on(async {
            let session = self.remote.open().await?;
            let video = open_video(&session, session.library().find_video(&self.video)?).await?;
            let index = video.index();
            let bar = terminal.progress("exporting", video.layout().len());
            let mut parts = vec![if is_hls { Part::Master } else { Part::Manifest }];
            for track in 0..index.inits().len() as u16 {
                if is_hls && gloaming_package::hls::media(index, track).is_some() {
                    parts.push(Part::Playlist(track));
                }
                parts.push(Part::Init(track));
                parts.extend((0..index.segment_count(track)).map(|segment| Part::Segment(track, segment)));
            }
            for part in &parts {
                let (bytes, _) = video.part(&part.to_string(), "").await?;
                write(&folder.join(part.to_string()), &bytes.0)?;
                bar.inc(bytes.0.len() as u64);
            }
            bar.finish_and_clear();
            let manifest = folder.join(parts[0].to_string());
            terminal.print(&json!({ "manifest": manifest, "files": parts.len() }), |_| {
                format!("{}\n", manifest.display())
            });
            Ok(())
        })
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().expect("a part is in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|error| Failure::file(path, &error))
}
