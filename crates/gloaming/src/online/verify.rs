use std::path::PathBuf;

use clap::Args;
use gloaming_client::{Control, Progress, open_video, verify, verify_against};
use serde_json::json;

use super::{block_on, machine::LocalFile, remote::Remote, size};
use crate::{Run, failure::Failure, terminal::Terminal};

/// Read back everything that is stored of a video, check every digest and open every fragment
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    remote: Remote,

    /// Id, the beginning of one, or exact title
    video: String,

    /// Compare every packet with those of this file
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

impl Run for Verify {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let session = self.remote.open().await?;
            let id = session.library().find_video(&self.video)?;
            let video = open_video(&session, id).await?;
            let bar = terminal.progress("checking", video.index().stored_bytes());
            let listener = |progress: &Progress| bar.set_position(progress.bytes_done);
            let control = Control::default();
            let verified = match &self.against {
                None => verify(&video, &control, &listener).await?,
                Some(path) => {
                    let source = LocalFile::open(path).map_err(|error| Failure::file(path, &error))?;
                    verify_against(&video, &source, &control, &listener).await?
                }
            };
            bar.finish_and_clear();
            let data = json!({
                "video": id, "fragments": verified.fragments, "bytes": verified.bytes, "samples": verified.samples,
            });
            terminal.print(&data, |_| {
                let compared = verified
                    .samples
                    .map_or(String::new(), |n| format!(", {n} packets equal those of the file"));
                format!(
                    "Good: {} fragments, {}, all as stored{compared}.\n",
                    verified.fragments,
                    size(verified.bytes)
                )
            });
            Ok(())
        })
    }
}
