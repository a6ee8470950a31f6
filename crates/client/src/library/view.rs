//! Searching and sorting, here rather than in the page, so that every client finds the same.

use std::cmp::Ordering;

use gloaming_ids::{RecordId, VideoId};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::snapshot::{Snapshot, VideoRow};

/// What to order by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When it came into the library.
    #[default]
    Added,
    /// When it was recorded; those that don't say come last.
    Captured,
    /// By title, numbers by their value.
    Title,
    /// By playing time.
    Duration,
    /// By bytes.
    Size,
    /// When it was last watched; those never watched come last.
    Watched,
}

/// What to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Within {
    /// Everything that is not in the trash.
    #[default]
    All,
    /// A playlist, in its own order.
    Playlist(RecordId),
    /// The trash.
    Trash,
    /// Begun and not finished, the last watched first.
    Continue,
}

/// A wish for videos.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Words that must all occur in title, file name, or the name of a playlist it is in; without regard to case and
    /// accents.
    pub search: String,
    /// The order. A playlist and "continue watching" keep their own.
    pub sort: Sort,
    /// The other way round.
    pub descending: bool,
    /// From where.
    pub within: Within,
}

/// Text for comparing: without case, accents, and differences in how letters are composed.
pub fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

pub(super) fn view(library: &Snapshot, query: &Query) -> Vec<VideoId> {
    let words: Vec<String> = fold(&query.search).split_whitespace().map(Into::into).collect();
    let lists = library.playlists();
    let matches = |row: &VideoRow| {
        words.is_empty() || {
            let mut text = fold(&row.title) + "\n" + &fold(&row.file_name);
            for list in lists.iter().filter(|list| list.items.contains(&row.video)) {
                text = text + "\n" + &fold(&list.name);
            }
            words.iter().all(|word| text.contains(word))
        }
    };
    if let Within::Playlist(id) = query.within {
        let items =
            lists.iter().find(|list| list.id == id).map(|list| list.items.as_slice()).unwrap_or_default();
        return items
            .iter()
            .filter_map(|video| library.video(*video))
            .filter(|row| row.trashed_at.is_none() && matches(row))
            .map(|row| row.video)
            .collect();
    }
    let mut rows: Vec<VideoRow> = library
        .videos()
        .into_iter()
        .filter(|row| match query.within {
            Within::Trash => row.trashed_at.is_some(),
            Within::Continue => {
                row.trashed_at.is_none() && !row.finished && row.position.is_some_and(|seconds| seconds > 0.0)
            }
            Within::All | Within::Playlist(_) => row.trashed_at.is_none(),
        })
        .filter(matches)
        .collect();
    match query.within {
        Within::Continue => rows.sort_by_key(|row| (std::cmp::Reverse(row.watched_at), row.video)),
        _ => sort(&mut rows, query.sort, query.descending),
    }
    rows.into_iter().map(|row| row.video).collect()
}

fn sort(rows: &mut [VideoRow], by: Sort, descending: bool) {
    let way = |order: Ordering| if descending { order.reverse() } else { order };
    // What is not known comes last, whichever way.
    let known = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => way(a.cmp(&b)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    match by {
        Sort::Added => rows.sort_by(|a, b| way((a.added_at, a.video).cmp(&(b.added_at, b.video)))),
        Sort::Captured => rows.sort_by(|a, b| {
            known(a.captured_at.map(|t| t.0), b.captured_at.map(|t| t.0)).then(a.video.cmp(&b.video))
        }),
        Sort::Watched => rows.sort_by(|a, b| {
            known(a.watched_at.map(|t| t.0), b.watched_at.map(|t| t.0)).then(a.video.cmp(&b.video))
        }),
        Sort::Duration => rows.sort_by(|a, b| way((a.duration_ms, a.video).cmp(&(b.duration_ms, b.video)))),
        Sort::Size => rows.sort_by(|a, b| way((a.size, a.video).cmp(&(b.size, b.video)))),
        Sort::Title => {
            rows.sort_by_cached_key(|row| (natural(&row.title), row.video));
            if descending {
                rows.reverse();
            }
        }
    }
}

/// A key by which "Part 2" comes before "Part 10": runs of digits compare by length, then by digits.
fn natural(title: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    for c in fold(title).chars() {
        let digit = c.is_ascii_digit();
        match parts.last_mut() {
            Some((length, part)) if digit && *length > 0 => {
                if part == "0" {
                    part.clear();
                    *length -= 1;
                }
                part.push(c);
                *length += 1;
            }
            Some((0, part)) if !digit => part.push(c),
            _ => parts.push((usize::from(digit), c.into())),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use gloaming_ids::UnixMillis;

    use super::*;
    use crate::{
        library::snapshot::Row,
        records::{Kept, PlaylistRecord, Record, fixtures::video},
    };

    #[test]
    fn search_text_has_neither_case_nor_accents() {
        assert_eq!(fold("ÉTÉ à l’Étang"), fold("ete a l’etang"));
        assert_eq!(fold("Ｆｕｌｌ"), "full");
    }

    #[test]
    fn videos_are_found_by_title_file_and_playlist_and_never_in_the_trash() {
        let mut library = Snapshot::default();
        let mut add = |n: u8, record| {
            library.set(
                RecordId::from_bytes([n; 16]),
                Row { version: 1, seq: 1, sealed: None, record: Some(record) },
            );
        };
        let ids: Vec<_> = (1..=3).map(|n| VideoId::from_bytes([n; 16])).collect();
        let titles = ["Été au port", "Part 10", "Part 2"];
        for (n, (id, title)) in ids.iter().zip(titles).enumerate() {
            let mut record = video(*id, title);
            record.trashed_at = (n == 1).then_some(UnixMillis(5));
            add(n as u8, Record::Video(Kept::new(record)));
        }
        let sea = PlaylistRecord { name: "Mer".into(), path: None, items: vec![ids[2], ids[0]] };
        add(9, Record::Playlist(Kept::new(sea)));
        let find = |search: &str, within, sort| {
            view(&library, &Query { search: search.into(), within, sort, descending: false })
        };
        assert_eq!(find("ETE PORT", Within::All, Sort::Added), [ids[0]]);
        assert_eq!(find("mvi_0001", Within::All, Sort::Title), [ids[0], ids[2]]);
        assert_eq!(find("mer part", Within::All, Sort::Title), [ids[2]]);
        assert_eq!(find("", Within::Trash, Sort::Title), [ids[1]]);
        assert_eq!(find("", Within::Playlist(RecordId::from_bytes([9; 16])), Sort::Title), [ids[2], ids[0]]);
    }

    #[test]
    fn numbers_in_titles_sort_by_value() {
        let mut titles = ["Part 10", "part 2", "Part 1", "Part 02b", "Apart"];
        titles.sort_by_key(|title| natural(title));
        assert_eq!(titles, ["Apart", "Part 1", "part 2", "Part 02b", "Part 10"]);
    }
}
