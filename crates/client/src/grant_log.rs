//! The log of a video's grants, read and checked: a chain that this device recomputes, whose head the server signed, and
//! which must still contain what any of the owner's devices saw of it before.
//!
//! * The server's log key is the one that was seen first, on whichever device (it is in the library's records).
//! * A log that is shorter than it was is a *rollback*; one that differs from what was seen is a *fork*.
//! * Rows that were cleared away, as retention wants it, cannot be checked; it is told how many.

use std::collections::HashMap;

use gloaming_api::share::{GrantLog, GrantRow, MAX_LOG_ROWS};
use gloaming_grants::log::{log_next, log_start, verify_log_head};
use gloaming_ids::{PlaybackId, ShareId, UnixMillis, VideoId};
use gloaming_package::{Index, Kind, Track};

use crate::{
    ClientError, Library, Platform,
    library::Edit,
    records::{Digest, Kept, LogRecord, Record},
};

const LOG: &str = "log of grants";

/// Reads a log from its beginning, and then what is added to it.
pub struct GrantLogReader<P> {
    library: Library<P>,
    video: VideoId,
    number: u64,
    head: [u8; 32],
    cleared: u64,
    begun: bool,
}

/// What one playback watched, by the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Which.
    pub playback: PlaybackId,
    /// Under which share.
    pub share: ShareId,
    /// Its first grant.
    pub first_at: UnixMillis,
    /// Its last one.
    pub last_at: UnixMillis,
    /// Segments granted, of all tracks.
    pub grants: u64,
    /// Where the furthest of them ends, in milliseconds.
    pub furthest_ms: u64,
    /// Whence.
    pub network: String,
    /// The viewer's program.
    pub agent: String,
}

impl<P: Platform> Library<P> {
    /// The log of a video's grants, to be read from its beginning.
    pub fn grant_log(&self, video: VideoId) -> GrantLogReader<P> {
        let library = Library::new(self.0.clone());
        GrantLogReader { library, video, number: 0, head: [0; 32], cleared: 0, begun: false }
    }
}

impl<P: Platform> GrantLogReader<P> {
    /// The next rows, checked; nothing at the log's end. There what was seen is remembered, and asking again later brings
    /// what is new.
    pub async fn next(&mut self) -> Result<Option<Vec<GrantRow>>, ClientError> {
        let session = self.library.0.clone();
        let (account, video) = (session.account(), self.video);
        let path = format!("/v1/videos/{video}/grants?after={}&limit={MAX_LOG_ROWS}", self.number);
        let page: GrantLog = session.0.server.get(&path).await?;
        let cut = || ClientError::nonsense("a log of grants with keys of another length");
        let head: [u8; 32] = page.head.as_ref().try_into().map_err(|_| cut())?;
        let cleared_head: [u8; 32] = page.cleared_head.as_ref().try_into().map_err(|_| cut())?;
        let log_key: [u8; 32] = page.log_key.as_ref().try_into().map_err(|_| cut())?;
        let signature: [u8; 64] = page.signature.as_ref().try_into().map_err(|_| cut())?;
        let (pin, keys_differ) = {
            let library = session.0.library.borrow();
            let differ = library.logs().any(|known| *known.log_key != log_key);
            (library.log_kept(video).map(|record| record.known.clone()), differ)
        };
        if keys_differ {
            return Err(ClientError::Fork { what: LOG });
        }
        verify_log_head(&log_key, account, video, (page.count, &head), &signature)
            .map_err(|_| ClientError::tampered("the signature of the log of grants"))?;
        if page.count < pin.as_ref().map_or(0, |pin| pin.count).max(self.number) {
            return Err(ClientError::Rollback { what: LOG });
        }
        // What is gone by the retention that whoever runs the server chose is gone for the check too.
        if !self.begun || page.cleared > self.number {
            self.number = page.cleared;
            self.cleared = page.cleared;
            self.head = if page.cleared == 0 { log_start(account, video) } else { cleared_head };
            self.begun = true;
            self.check(pin.as_ref())?;
        }
        let rows: Vec<GrantRow> =
            page.rows.into_iter().skip_while(|row| row.number <= self.cleared).collect();
        for row in &rows {
            if row.number != self.number + 1 {
                return Err(ClientError::tampered("the log of grants (rows are missing)"));
            }
            self.head = log_next(&self.head, &row.logged());
            self.number = row.number;
            self.check(pin.as_ref())?;
        }
        if page.more && !rows.is_empty() {
            return Ok(Some(rows));
        }
        if self.number != page.count || self.head != head {
            return Err(ClientError::tampered(
                "the log of grants (it does not lead to the head that was signed)",
            ));
        }
        self.remember(LogRecord {
            video,
            log_key: Digest::new(log_key),
            count: page.count,
            head: Digest::new(head),
        })
        .await?;
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// Grants so far.
    pub fn count(&self) -> u64 {
        self.number
    }

    /// Of which so many were cleared away and not checked.
    pub fn cleared(&self) -> u64 {
        self.cleared
    }

    /// Whether this place of the chain is what was seen of it.
    fn check(&self, pin: Option<&LogRecord>) -> Result<(), ClientError> {
        match pin {
            Some(pin) if pin.count == self.number && *pin.head != self.head => {
                Err(ClientError::Fork { what: LOG })
            }
            _ => Ok(()),
        }
    }

    async fn remember(&self, seen: LogRecord) -> Result<(), ClientError> {
        let id = self.library.0.keys()?.derive_record_id("grant-log", seen.video.as_bytes());
        self.library
            .write(|library| {
                let there = library.log_kept(seen.video);
                if seen.count == 0 || there.is_some_and(|there| there.known.count >= seen.count) {
                    return Ok(vec![]);
                }
                Ok(vec![Edit::Write(id, Record::Log(Kept::over(there, seen.clone())))])
            })
            .await
    }
}

/// Adds rows to what is known of each playback.
impl Watched {
    /// Counts a row.
    pub fn count(all: &mut HashMap<PlaybackId, Watched>, index: &Index, row: &GrantRow) {
        let watched = all.entry(row.playback).or_insert_with(|| Watched {
            playback: row.playback,
            share: row.share,
            first_at: row.at,
            last_at: row.at,
            grants: 0,
            furthest_ms: 0,
            network: row.network.clone(),
            agent: row.agent.clone(),
        });
        watched.last_at = watched.last_at.max(row.at);
        watched.grants += 1;
        watched.furthest_ms = watched.furthest_ms.max(end_of(index, row).unwrap_or(0));
    }
}

/// When the granted segment ends, in milliseconds of the video.
fn end_of(index: &Index, row: &GrantRow) -> Option<u64> {
    let has_time = |about: &Track| about.kind != Kind::Attachment && about.id == row.track;
    let number = index.tracks().position(has_time)?;
    let track = u16::try_from(number).ok()?;
    let segment = index.segment(track, row.segment)?;
    let units = segment.start.saturating_add(segment.duration);
    Some(units.saturating_mul(1000) / u64::from(index.track(track)?.timescale.get()))
}
