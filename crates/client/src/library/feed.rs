//! Following the feed: a hash chain that this device recomputes and remembers.
//!
//! The state is kept sealed, as the server sent it, so that the next start asks only for what is new:
//!
//! ```text
//! library/<account> = CBOR { v: 1, seq, head, heads, rows: [{ record, version, seq, sealed?, withheld }] }
//! ```
//!
//! Checks, each against a server that lies:
//! * positions and versions grow by one;
//! * the head this device computes is the head the server claims: another history than was seen before is a *fork*;
//! * the feed is no shorter than it was: else it was *rolled back*;
//! * what the writer of a record had seen is on this chain too.
//!
//! Those stop everything, and the snapshot stays as it was. One record that is withheld, is not the bytes of its digest,
//! or does not open at its place and version (an older one served again, say) does not take the rest of the library with
//! it: it becomes [`Record::Unreadable`], of which the person is told, and is asked for again each time, since whoever
//! runs the server may have mended it.

use std::collections::VecDeque;

use gloaming_api::library::{Entry, Feed, MAX_FEED, next_head, record_digest};
use gloaming_ids::RecordId;
use gloaming_keys::{KeyError, Keyring};
use serde::{Deserialize, Serialize};

use super::snapshot::{Row, Snapshot};
use crate::{
    ClientError, Platform, Session,
    account::save,
    platform::Shelf,
    records::{Digest, Fault, Record, Seen},
};

const FORMAT: u8 = 1;
/// Unreadable records that are asked for again in one go.
const AGAIN: usize = 16;

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
    #[serde(default)]
    seq: u64,
    sealed: Option<serde_bytes::ByteBuf>,
    /// There is a record, and no bytes of it that are worth keeping.
    #[serde(default)]
    withheld: Option<Fault>,
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
    let mended = ask_again(session, &keys, &mut next).await?;
    loop {
        let path = format!("/v1/library?since={}&limit={MAX_FEED}", next.seq);
        let feed: Feed = shared.server.get(&path).await?;
        if feed.last < next.seq {
            return Err(ClientError::Rollback { what: "library" });
        }
        for entry in &feed.entries {
            let checked = check(&next, entry)?;
            let head = next_head(&next.head, entry);
            let (sealed, record) = match checked {
                Checked::Deleted => (None, None),
                // If this was its newest version, the server keeps it back.
                Checked::Superseded => (None, Some(Record::Unreadable(Fault::Withheld))),
                Checked::Altered => (None, Some(Record::Unreadable(Fault::Damaged))),
                Checked::Sealed(sealed) => match open(&keys, session, entry.record, entry.version, sealed) {
                    Ok((record, seen)) => {
                        if !next.agrees(&seen) {
                            return Err(ClientError::Fork { what: "library" });
                        }
                        (Some(sealed.to_vec()), Some(record))
                    }
                    Err(fault) => (Some(sealed.to_vec()), Some(Record::Unreadable(fault))),
                },
            };
            next.set(entry.record, Row { version: entry.version, seq: entry.seq, sealed, record });
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
    if session.is_locked() {
        return Err(ClientError::Locked);
    }
    next.followed = true;
    let changed = mended || began != (true, next.seq);
    if mended || began.1 != next.seq {
        keep(session, &next).await?;
    }
    shared.library.replace(next);
    if changed {
        shared.revision.set(shared.revision.get() + 1);
    }
    Ok(changed)
}

/// What a sealed record says, if it is this version of this record.
fn open<P: Platform>(
    keys: &Keyring,
    session: &Session<P>,
    record: RecordId,
    version: u64,
    sealed: &[u8],
) -> Result<(Record, Seen), Fault> {
    let plain =
        keys.open_record(session.account(), record, version, sealed).map_err(|error| match error {
            KeyError::TooNew { .. } => Fault::TooNew,
            KeyError::Rejected | KeyError::Malformed | KeyError::UnknownGeneration { .. } => Fault::Damaged,
        })?;
    Record::decode(&plain)
}

/// Asks once more for records whose bytes were missing or wrong. Says whether one of them can be read now.
async fn ask_again<P: Platform>(
    session: &Session<P>,
    keys: &Keyring,
    next: &mut Snapshot,
) -> Result<bool, ClientError> {
    let broken: Vec<_> = next
        .unreadable()
        .filter(|broken| broken.fault != Fault::TooNew)
        .filter_map(|broken| Some((broken.record, next.rows.get(&broken.record)?.clone())))
        .filter(|(_, row)| row.seq > 0)
        .take(AGAIN)
        .collect();
    let mut mended = false;
    for (record, row) in broken {
        let path = format!("/v1/library?since={}&limit=1", row.seq - 1);
        let feed: Feed = session.0.server.get(&path).await?;
        let is_it = |entry: &&Entry| (entry.record, entry.version) == (record, row.version);
        let Some(sealed) = feed.entries.first().filter(is_it).and_then(|entry| entry.sealed.as_ref()) else {
            continue;
        };
        // Its seal binds account, record and version: nothing else vouches for it, and nothing else need.
        if let Ok((opened, seen)) = open(keys, session, record, row.version, sealed.as_ref()) {
            if !next.agrees(&seen) {
                return Err(ClientError::Fork { what: "library" });
            }
            let sealed = Some(sealed.as_ref().to_vec());
            mended |= !matches!(opened, Record::Unreadable(_));
            next.set(record, Row { sealed, record: Some(opened), ..row });
        }
    }
    Ok(mended)
}

enum Checked<'a> {
    Sealed(&'a [u8]),
    /// There is a newer version, or else it is withheld.
    Superseded,
    /// Not the bytes of its digest.
    Altered,
    Deleted,
}

/// Whether an entry is what may come next.
fn check<'a>(snapshot: &Snapshot, entry: &'a Entry) -> Result<Checked<'a>, ClientError> {
    if entry.seq != snapshot.seq + 1 || entry.version != snapshot.version(entry.record) + 1 {
        return Err(ClientError::Fork { what: "library" });
    }
    match (&entry.sealed, entry.deleted) {
        (None, true) if entry.digest.as_ref() == record_digest(b"") => Ok(Checked::Deleted),
        (None, false) => Ok(Checked::Superseded),
        (Some(sealed), false) if entry.digest.as_ref() == record_digest(sealed.as_ref()) => {
            Ok(Checked::Sealed(sealed.as_ref()))
        }
        (Some(_), false) => Ok(Checked::Altered),
        (_, true) => Err(ClientError::tampered("the library's history")),
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
    for CachedRow { record, version, seq, sealed, withheld } in cache.rows {
        let opened = match &sealed {
            Some(sealed) => match open(&keys, session, record, version, sealed) {
                Ok((record, _)) => Some(record),
                Err(fault) => Some(Record::Unreadable(fault)),
            },
            None => withheld.map(Record::Unreadable),
        };
        let sealed = sealed.map(serde_bytes::ByteBuf::into_vec);
        snapshot.set(record, Row { version, seq, sealed, record: opened });
    }
    (snapshot.seq, snapshot.head) = (cache.seq, *cache.head);
    snapshot.heads = cache.heads.as_chunks().0.iter().copied().collect::<VecDeque<_>>();
    Ok(snapshot)
}

async fn keep<P: Platform>(session: &Session<P>, snapshot: &Snapshot) -> Result<(), ClientError> {
    let rows = snapshot.rows.iter().map(|(record, row)| CachedRow {
        record: *record,
        version: row.version,
        seq: row.seq,
        sealed: row.sealed.clone().map(serde_bytes::ByteBuf::from),
        withheld: match row.record {
            Some(Record::Unreadable(fault)) if row.sealed.is_none() => Some(fault),
            _ => None,
        },
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
