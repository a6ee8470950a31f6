//! Following the feed: a hash chain that this device recomputes and remembers.
//!
//! The state is kept sealed, as the server sent it, so that the next start asks only for what is new:
//!
//! ```text
//! library/<account> = CBOR { v: 1, seq, head, heads, rows: [{ record, version, sealed? }] }
//! ```
//!
//! Checks, each against a server that lies:
//! * positions and versions grow by one; a record's digest is that of its bytes;
//! * the head this device computes is the head the server claims: another history than was seen before is a *fork*;
//! * the feed is no shorter than it was: else it was *rolled back*;
//! * the newest version of every record is there: nothing is withheld;
//! * what the writer of a record had seen is on this chain too.

use std::collections::{HashSet, VecDeque};

use gloaming_api::library::{Entry, Feed, MAX_FEED, next_head, record_digest};
use gloaming_ids::RecordId;
use serde::{Deserialize, Serialize};

use super::snapshot::{Row, Snapshot};
use crate::{
    ClientError, Platform, Session,
    account::save,
    platform::Shelf,
    records::{Digest, Record},
};

const FORMAT: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Cache {
    v: u8,
    seq: u64,
    head: Digest,
    heads: serde_bytes::ByteBuf,
    rows: Vec<CachedRow>,
}

#[derive(Serialize, Deserialize)]
struct CachedRow {
    record: RecordId,
    version: u64,
    sealed: Option<serde_bytes::ByteBuf>,
}

/// Brings the session's snapshot up to date, or leaves it as it is and says why. Says whether anything changed.
pub(super) async fn follow<P: Platform>(session: &Session<P>) -> Result<bool, ClientError> {
    let shared = &session.0;
    let keys = session.keys()?;
    let mut next = shared.library.borrow().clone();
    if !next.followed {
        next = restore(session).await?;
    }
    let began = (next.followed, next.seq);
    let mut missing = HashSet::new();
    loop {
        let path = format!("/v1/library?since={}&limit={MAX_FEED}", next.seq);
        let feed: Feed = shared.server.get(&path).await?;
        if feed.last < next.seq {
            return Err(ClientError::Rollback { what: "library" });
        }
        for entry in &feed.entries {
            let row = check(&next, entry)?;
            let head = next_head(&next.head, entry);
            let row = match row {
                Checked::Deleted => Row { version: entry.version, sealed: None, record: None },
                Checked::Superseded => {
                    missing.insert(entry.record);
                    next.advance(entry.seq, head);
                    next.rows
                        .entry(entry.record)
                        .and_modify(|row| row.version = entry.version)
                        .or_insert(Row { version: entry.version, sealed: None, record: None });
                    continue;
                }
                Checked::Sealed(sealed) => {
                    let plain = keys
                        .open_record(shared.account, entry.record, entry.version, sealed)
                        .map_err(|error| ClientError::sealed(error, "a record of the library"))?;
                    let (record, seen) = Record::decode(&plain)?;
                    if !next.agrees(&seen) {
                        return Err(ClientError::Fork { what: "library" });
                    }
                    Row { version: entry.version, sealed: Some(sealed.to_vec()), record: Some(record) }
                }
            };
            missing.remove(&entry.record);
            next.set(entry.record, row);
            next.advance(entry.seq, head);
        }
        if feed.head.as_ref() != next.head {
            return Err(ClientError::Fork { what: "library" });
        }
        if next.seq >= feed.last {
            break;
        }
        if feed.entries.is_empty() {
            return Err(ClientError::nonsense("a feed that ends before its end"));
        }
    }
    if !missing.is_empty() {
        return Err(ClientError::tampered(
            "the library (the server keeps the newest version of a record back)",
        ));
    }
    if session.is_locked() {
        return Err(ClientError::Locked);
    }
    next.followed = true;
    let changed = began != (true, next.seq);
    if began.1 != next.seq {
        keep(session, &next).await?;
    }
    shared.library.replace(next);
    if changed {
        shared.revision.set(shared.revision.get() + 1);
    }
    Ok(changed)
}

enum Checked<'a> {
    Sealed(&'a [u8]),
    Superseded,
    Deleted,
}

/// Whether an entry is what may come next.
fn check<'a>(snapshot: &Snapshot, entry: &'a Entry) -> Result<Checked<'a>, ClientError> {
    if entry.seq != snapshot.seq + 1 || entry.version != snapshot.version(entry.record) + 1 {
        return Err(ClientError::Fork { what: "library" });
    }
    let altered = || ClientError::tampered("a record of the library");
    match (&entry.sealed, entry.deleted) {
        (None, true) if entry.digest.as_ref() == record_digest(b"") => Ok(Checked::Deleted),
        (None, false) => Ok(Checked::Superseded),
        (Some(sealed), false) if entry.digest.as_ref() == record_digest(sealed.as_ref()) => {
            Ok(Checked::Sealed(sealed.as_ref()))
        }
        _ => Err(altered()),
    }
}

fn name<P: Platform>(session: &Session<P>) -> String {
    format!("library/{}", session.account())
}

/// What this device knew when it last looked. A note that is damaged is like none: the feed is read from its start, which
/// is why the alarm is raised by the chain and not by this.
async fn restore<P: Platform>(session: &Session<P>) -> Result<Snapshot, ClientError> {
    let mut snapshot = Snapshot::default();
    let Some(note) = session.platform().load(Shelf::Notes, &name(session)).await else { return Ok(snapshot) };
    let Ok(cache) = ciborium::from_reader::<Cache, _>(note.as_slice()) else { return Ok(snapshot) };
    if cache.v != FORMAT {
        return Ok(snapshot);
    }
    let keys = session.keys()?;
    for CachedRow { record, version, sealed } in cache.rows {
        let opened = match &sealed {
            Some(sealed) => {
                let plain = keys
                    .open_record(session.account(), record, version, sealed)
                    .map_err(|error| ClientError::sealed(error, "the library kept on this device"))?;
                Some(Record::decode(&plain)?.0)
            }
            None => None,
        };
        let sealed = sealed.map(serde_bytes::ByteBuf::into_vec);
        snapshot.set(record, Row { version, sealed, record: opened });
    }
    (snapshot.seq, snapshot.head) = (cache.seq, *cache.head);
    snapshot.heads = cache.heads.as_chunks().0.iter().copied().collect::<VecDeque<_>>();
    Ok(snapshot)
}

async fn keep<P: Platform>(session: &Session<P>, snapshot: &Snapshot) -> Result<(), ClientError> {
    let rows = snapshot.rows.iter().map(|(record, row)| CachedRow {
        record: *record,
        version: row.version,
        sealed: row.sealed.clone().map(serde_bytes::ByteBuf::from),
    });
    let cache = Cache {
        v: FORMAT,
        seq: snapshot.seq,
        head: Digest::new(snapshot.head),
        heads: snapshot.heads.iter().flatten().copied().collect::<Vec<_>>().into(),
        rows: rows.collect(),
    };
    let mut note = Vec::new();
    ciborium::into_writer(&cache, &mut note).expect("writing to memory does not fail");
    save(session.platform(), Shelf::Notes, &name(session), &note).await
}
