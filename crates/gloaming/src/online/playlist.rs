use clap::{Args, Subcommand};
use serde_json::json;

use super::{block_on, remote::Remote};
use crate::{Run, failure::Failure, terminal::Terminal};

/// Make playlists, fill them, order them
#[derive(Debug, Args)]
pub(crate) struct Playlist {
    #[command(flatten)]
    remote: Remote,

    #[command(subcommand)]
    verb: PlaylistVerb,
}

#[derive(Debug, Subcommand)]
enum PlaylistVerb {
    /// Make an empty playlist
    Create {
        /// Its name
        name: String,
    },
    /// List the playlists
    Ls,
    /// Put videos at its end
    Add {
        /// Name, path or id of the playlist
        list: String,
        /// Ids, beginnings of ids, or exact titles
        #[arg(required = true)]
        videos: Vec<String>,
    },
    /// Take videos out of it; they stay in the library
    Remove {
        /// Name, path or id of the playlist
        list: String,
        /// Ids, beginnings of ids, or exact titles
        #[arg(required = true)]
        videos: Vec<String>,
    },
    /// Move a video to another place in it
    Move {
        /// Name, path or id of the playlist
        list: String,
        /// Id, the beginning of one, or exact title
        video: String,
        /// The place, counted from 1
        to: usize,
    },
    /// Give it another name
    Rename {
        /// Name, path or id of the playlist
        list: String,
        /// The new name
        name: String,
    },
    /// Delete it; its videos stay in the library
    Delete {
        /// Name, path or id of the playlist
        list: String,
    },
}

impl Run for Playlist {
    fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        block_on(async {
            let library = self.remote.open().await?.library();
            let find = |videos: &[String]| {
                videos.iter().map(|name| library.find_video(name)).collect::<Result<Vec<_>, _>>()
            };
            match self.verb {
                PlaylistVerb::Create { name } => {
                    let id = library.create_playlist(&name, None).await?;
                    terminal.print(&json!({ "playlist": id, "name": name }), |_| format!("{id}\n"));
                }
                PlaylistVerb::Ls => {
                    let lists = library.playlists();
                    let data = lists.iter().map(|list| {
                        json!({ "playlist": list.id, "name": list.name, "path": list.path, "videos": list.items })
                    });
                    terminal.print(&data.collect::<Vec<_>>(), |_| {
                        let line = |list: &gloaming_client::library::Playlist| {
                            let name = list.path.as_deref().unwrap_or(&list.name);
                            format!("{}  {:>5}  {name}\n", list.id, list.items.len())
                        };
                        lists.iter().map(line).collect()
                    });
                }
                PlaylistVerb::Add { list, videos } => {
                    library.add_to_playlist(library.find_playlist(&list)?, &find(&videos)?).await?;
                }
                PlaylistVerb::Remove { list, videos } => {
                    library.remove_from_playlist(library.find_playlist(&list)?, &find(&videos)?).await?;
                }
                PlaylistVerb::Move { list, video, to } => {
                    let (list, video) = (library.find_playlist(&list)?, library.find_video(&video)?);
                    library.move_in_playlist(list, video, to.saturating_sub(1)).await?;
                }
                PlaylistVerb::Rename { list, name } => {
                    library.rename_playlist(library.find_playlist(&list)?, &name).await?;
                }
                PlaylistVerb::Delete { list } => {
                    library.delete_playlist(library.find_playlist(&list)?).await?
                }
            }
            Ok(())
        })
    }
}
