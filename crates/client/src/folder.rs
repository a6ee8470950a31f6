//! A folder of films becomes playlists: which of its files are taken, in which order, and the list that each belongs to.

use gloaming_ids::{RecordId, VideoId};

use crate::{
    ClientError, Library, Platform,
    library::Edit,
    records::{Kept, PlaylistRecord, Record},
};

/// Endings of what is taken out of a folder. A file that somebody names is taken whatever it is called.
const VIDEOS: [&str; 8] = ["mp4", "mov", "m4v", "m4a", "qt", "3gp", "mj2", "cmfv"];

/// A file that is taken out of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which of the paths that were asked about.
    pub at: usize,
    /// The folder it lies in, below the one that was named, with slashes: the path of its playlist.
    pub folder: String,
}

/// The films among the files below folders, each a path with slashes that begins with the name of the folder itself.
/// In the order of their names, folder by folder; what is hidden is left alone.
pub fn take(paths: &[String]) -> Vec<Taken> {
    let mut taken: Vec<(Vec<&str>, usize)> = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let film = parts.last().is_some_and(|name| is_film(name));
        if film && parts.len() > 1 && parts[1..].iter().all(|part| !is_hidden(part)) {
            taken.push((parts, at));
        }
    }
    taken.sort();
    taken.into_iter().map(|(parts, at)| Taken { at, folder: parts[..parts.len() - 1].join("/") }).collect()
}

/// Whether a file in a folder is one to take, by its name.
pub fn is_film(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && VIDEOS.iter().any(|video| ending.eq_ignore_ascii_case(video))
    })
}

/// Whether a file or folder below the one that was named is left alone, by its name.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

impl<P: Platform> Library<P> {
    /// Puts videos at the end of the playlist that stands for a folder, those that are not in it; makes it where it is
    /// missing, with the folder's own name.
    pub async fn add_to_folder(&self, folder: &str, videos: &[VideoId]) -> Result<(), ClientError> {
        let new = RecordId::generate(&mut self.0.0.server.entropy());
        self.write(|library| {
            let there = library
                .playlists_kept()
                .find(|(_, list)| list.known.path.as_deref() == Some(folder))
                .map(|(id, list)| (id, list.clone()));
            let (id, mut list) = there.unwrap_or_else(|| {
                let name = folder.rsplit('/').next().unwrap_or(folder).to_owned();
                let list = PlaylistRecord { name, path: Some(folder.to_owned()), items: vec![] };
                (new, Kept::new(list))
            });
            let before = list.known.items.len();
            for video in videos {
                if !list.known.items.contains(video) {
                    list.known.items.push(*video);
                }
            }
            let grew = list.known.items.len() > before;
            Ok(if grew { vec![Edit::Write(id, Record::Playlist(list))] } else { vec![] })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(paths: &[&str]) -> Vec<(usize, String)> {
        let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        take(&paths).into_iter().map(|Taken { at, folder }| (at, folder)).collect()
    }

    #[test]
    fn films_are_taken_in_the_order_of_their_names_with_their_folders() {
        let found = taken(&["lake/b.MOV", "lake/sub/c.mp4", "lake/a.mp4", "lake/notes.txt", "lake/mp4"]);
        assert_eq!(found, [(2, "lake".into()), (0, "lake".into()), (1, "lake/sub".into())]);
    }

    #[test]
    fn a_folder_is_sorted_as_a_whole() {
        // By whole paths as text, "a b/…" would come between "a/…" and "a/…".
        let found = taken(&["x/a b/1.mp4", "x/a/2.mp4", "x/a/1.mp4"]);
        assert_eq!(found, [(2, "x/a".into()), (1, "x/a".into()), (0, "x/a b".into())]);
    }

    #[test]
    fn what_is_hidden_is_left_alone_unless_it_was_named() {
        assert_eq!(taken(&["x/.trash/1.mp4", "x/._1.mp4", ".x/1.mp4"]), [(2, ".x".into())]);
    }

    #[test]
    fn a_file_without_a_folder_is_none_of_a_folder() {
        assert_eq!(taken(&["1.mp4", "/1.mp4", "", "/"]), []);
    }
}
