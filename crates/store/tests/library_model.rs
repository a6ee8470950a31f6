//! The library against a model that is obviously right: a map of records and a list of changes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use gloaming_api::{
    Bytes,
    account::Stretching,
    keyring::SealedKeyring,
    library::{Change, EMPTY_HEAD, Entry, next_head, record_digest},
};
use gloaming_ids::{AccountId, InviteId, RecordId, SessionId, UnixMillis};
use gloaming_store::{NewAccount, NewSession, Store, StoreError};
use proptest::prelude::*;

const NOW: UnixMillis = UnixMillis(1);

#[derive(Default)]
struct Model {
    /// Version and sealed bytes; none for a tombstone.
    records: BTreeMap<RecordId, (u64, Option<Vec<u8>>)>,
    log: Vec<(RecordId, u64, Option<Vec<u8>>)>,
}

impl Model {
    fn write(&mut self, changes: &[Change]) -> bool {
        let current = |record| self.records.get(record).map_or(0, |(version, _)| *version);
        if changes.iter().any(|change| current(&change.record) != change.expected) {
            return false;
        }
        for change in changes {
            let sealed = change.sealed.as_ref().map(|bytes| bytes.0.clone());
            self.records.insert(change.record, (change.expected + 1, sealed.clone()));
            self.log.push((change.record, change.expected + 1, sealed));
        }
        true
    }

    fn entries(&self) -> Vec<Entry> {
        let newest = |record, version| self.records[record].0 == version;
        (1..)
            .zip(&self.log)
            .map(|(seq, (record, version, sealed))| Entry {
                seq,
                record: *record,
                version: *version,
                digest: record_digest(sealed.as_deref().unwrap_or_default()).to_vec().into(),
                sealed: sealed.clone().filter(|_| newest(record, *version)).map(Bytes),
                deleted: sealed.is_none(),
            })
            .collect()
    }
}

fn head(entries: &[Entry]) -> Vec<u8> {
    entries.iter().fold(EMPTY_HEAD, |head, entry| next_head(&head, entry)).to_vec()
}

/// A few records, changed from a guess of their version that is right often enough.
fn batch() -> impl Strategy<Value = Vec<Change>> {
    let change = (0u8..5, 0u64..4, proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)));
    proptest::collection::btree_map(0u8..5, change, 1..4).prop_map(|changes| {
        changes
            .into_iter()
            .map(|(n, (_, expected, sealed))| Change {
                record: RecordId::from_bytes([n; 16]),
                expected,
                sealed: sealed.map(Bytes),
            })
            .collect()
    })
}

async fn library() -> (tempfile::TempDir, Store, AccountId) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("test.db")).unwrap();
    let account = AccountId::from_bytes([1; 16]);
    store.offer_setup([1; 32], InviteId::from_bytes([1; 16]), account, NOW).await.unwrap();
    let new = NewAccount {
        token_hash: [1; 32],
        account,
        name: "ada".into(),
        name_key: "ada".into(),
        opaque_record: vec![],
        stretching: Stretching { memory_kib: 1, passes: 1, lanes: 1 },
        keyring: SealedKeyring { version: 1, sealed: Bytes(vec![]), wraps: vec![] },
        recovery_key: [0; 32],
        session: NewSession {
            session: SessionId::from_bytes([1; 16]),
            token_hash: [1; 32],
            device: String::new(),
        },
    };
    store.create_account(new, NOW).await.unwrap();
    (dir, store, account)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_library_does_what_a_map_and_a_list_would(
        batches in proptest::collection::vec(batch(), 1..25),
        page in 1u32..7,
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (_dir, store, account) = library().await;
            let mut model = Model::default();
            for changes in batches {
                let accepted = model.write(&changes);
                match store.write_library(account, changes).await {
                    Ok(written) => {
                        prop_assert!(accepted);
                        prop_assert_eq!(written.last, model.log.len() as u64);
                        prop_assert_eq!(written.head.0, head(&model.entries()));
                    }
                    Err(StoreError::RecordConflict { record, current }) => {
                        prop_assert!(!accepted);
                        prop_assert_eq!(model.records.get(&record).map_or(0, |(version, _)| *version), current);
                    }
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }

            let all = model.entries();
            let mut read = Vec::new();
            loop {
                let feed = store.feed(account, read.len() as u64, page).await.unwrap();
                prop_assert_eq!(feed.last, all.len() as u64);
                if feed.entries.is_empty() {
                    prop_assert_eq!(feed.head.0, head(&read));
                    break;
                }
                read.extend(feed.entries);
                prop_assert_eq!(feed.head.0, head(&read), "the head of every page");
            }
            prop_assert_eq!(read, all);
            Ok(())
        })?;
    }
}
