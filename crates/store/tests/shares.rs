//! What the store promises of shares and of the log of their grants.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and one tells what it measured"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use gloaming_api::{
    Bytes,
    account::Stretching,
    keyring::{SealedKeyring, UnlockMethod, Wrap},
    share::{Policy, ShareKind, SharedTrack},
    video::{Commit, DraftRequest},
};
use gloaming_grants::log::{log_next, log_start};
use gloaming_ids::{
    AccountId, InviteId, ObjectId, PlaybackId, SessionId, ShareId, TrackId, UnixMillis, VideoId,
};
use gloaming_store::{
    Envelope, GrantRequest, LogPart, NewAccount, NewInvite, NewSession, NewShare, NewSharedVideo, Place,
    PlayStart, Reservation, Store, StoreError,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const VIDEO: VideoId = VideoId::from_bytes([2; 16]);
const SHARE: ShareId = ShareId::from_bytes([3; 16]);
const TRACK: TrackId = TrackId::from_bytes([4; 16]);
const PLAY: PlaybackId = PlaybackId::from_bytes([5; 16]);
const HOUR: Duration = Duration::from_secs(3600);

fn place() -> Place {
    Place { network: "192.0.2.0/24".into(), agent: "A Browser/1".into() }
}

fn new_share(id: ShareId, key_id: &str, policy: Policy) -> NewShare {
    NewShare {
        share: id,
        kind: ShareKind::Link,
        recipient: None,
        token_hash: Some([7; 32]),
        sealed: vec![8; 100],
        policy,
        videos: vec![NewSharedVideo {
            video: VIDEO,
            grant_share: Some(vec![9; 60]),
            view_share: None,
            tracks: vec![SharedTrack { track: TRACK, charged: true, segments: 1_000_000, nominal_ms: 4000 }],
        }],
        key_id: key_id.into(),
        request: [10; 32],
    }
}

/// An account with one kept video and a link to it, and somebody who watches.
async fn home() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("gloaming.db")).unwrap();
    let invite = NewInvite {
        invite: InviteId::from_bytes([1; 16]),
        account: ACCOUNT,
        token_hash: [1; 32],
        label: String::new(),
        quota_bytes: None,
        expires_at: NOW + HOUR,
    };
    store.create_invite(invite, NOW).await.unwrap();
    let wrap = |method| Wrap { method, sealed: Bytes(vec![1; 48]) };
    let account = NewAccount {
        token_hash: [1; 32],
        account: ACCOUNT,
        name: "Ada".into(),
        name_key: "ada".into(),
        opaque_record: vec![1; 192],
        stretching: Stretching { memory_kib: 131_072, passes: 3, lanes: 1 },
        keyring: SealedKeyring {
            version: 1,
            sealed: Bytes(vec![1; 100]),
            wraps: vec![wrap(UnlockMethod::Password), wrap(UnlockMethod::Recovery)],
        },
        recovery_key: [1; 32],
        session: NewSession {
            session: SessionId::from_bytes([1; 16]),
            token_hash: [2; 32],
            device: String::new(),
        },
    };
    store.create_account(account, NOW).await.unwrap();
    let index = ObjectId::from_bytes([1; 16]);
    store.begin_video(ACCOUNT, VIDEO, DraftRequest { sealed_secret: Bytes(vec![1]) }, NOW).await.unwrap();
    store.reserve_objects(ACCOUNT, VIDEO, vec![Reservation { object: index, length: 9 }], NOW).await.unwrap();
    store.mark_stored(ACCOUNT, vec![index]).await.unwrap();
    let commit = Commit {
        expected_version: 0,
        index_version: 1,
        index,
        card: None,
        poster: None,
        objects: vec![index],
    };
    store.commit_video(ACCOUNT, VIDEO, commit, NOW).await.unwrap();
    store.create_share(ACCOUNT, new_share(SHARE, "k1", Policy::default()), NOW).await.unwrap();
    store.start_play(start(PLAY, 1), NOW).await.unwrap();
    (dir, store)
}

fn start(playback: PlaybackId, browser: u8) -> PlayStart {
    PlayStart {
        share: SHARE,
        video: VIDEO,
        playback,
        browser: [browser; 32],
        viewer: [browser; 32],
        place: place(),
        idle: HOUR / 2,
    }
}

fn ask(from: u32, count: u32) -> GrantRequest {
    GrantRequest { share: SHARE, video: VIDEO, play: PLAY, track: TRACK, from, count, place: place() }
}

async fn whole_log(store: &Store) -> LogPart {
    store.grant_log(ACCOUNT, VIDEO, 0, u32::MAX).await.unwrap().unwrap()
}

fn verify(log: &LogPart) {
    let mut head = log.cleared_head;
    for row in &log.rows {
        head = log_next(&head, &row.logged());
    }
    assert_eq!((log.cleared + log.rows.len() as u64, head), (log.count, log.head));
}

#[tokio::test]
async fn each_grant_is_a_row_and_a_refused_batch_is_none() {
    let (_dir, store) = home().await;
    assert_eq!(store.grant(ask(0, 8), || NOW).await.unwrap().count, 8);
    assert_eq!(store.grant(ask(999_998, 8), || NOW).await.unwrap().count, 2, "the track ends");
    assert!(matches!(store.grant(ask(1_000_000, 1), || NOW).await, Err(StoreError::NotFound)));
    assert!(matches!(store.grant(ask(5, 0), || NOW).await, Err(StoreError::NotFound)));
    let stranger = GrantRequest { play: PlaybackId::from_bytes([9; 16]), ..ask(0, 1) };
    assert!(matches!(store.grant(stranger, || NOW).await, Err(StoreError::NotFound)));
    let until = Policy { until: Some(NOW + HOUR), ..Policy::default() };
    store.set_share_policy(ACCOUNT, SHARE, until).await.unwrap();
    let late = store.grant(ask(0, 1), || NOW + HOUR).await;
    assert!(matches!(late, Err(StoreError::ShareExpired)), "the time is read when it is written down");
    let log = whole_log(&store).await;
    assert_eq!(log.rows.len(), 10);
    verify(&log);
    assert_eq!(store.plays(ACCOUNT, VIDEO).await.unwrap()[0].grants, 10);
}

#[tokio::test]
async fn a_playback_of_another_share_gets_nothing() {
    let (_dir, store) = home().await;
    let other = ShareId::from_bytes([33; 16]);
    store.create_share(ACCOUNT, new_share(other, "k1", Policy::default()), NOW).await.unwrap();
    let crossed = GrantRequest { share: other, ..ask(0, 1) };
    assert!(matches!(store.grant(crossed, || NOW).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn nothing_is_granted_after_a_revocation_was_answered() {
    let (_dir, store) = home().await;
    let granted = Arc::new(AtomicU64::new(0));
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, granted) = (store.clone(), granted.clone());
        askers.spawn(async move {
            loop {
                match store.grant(ask(0, 4), || NOW).await {
                    Ok(done) => granted.fetch_add(done.count.into(), Ordering::SeqCst),
                    Err(StoreError::ShareRevoked) => return,
                    Err(other) => panic!("{other}"),
                };
            }
        });
    }
    while granted.load(Ordering::SeqCst) < 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    store.revoke_share(ACCOUNT, SHARE, NOW).await.unwrap();
    let count = whole_log(&store).await.count;
    while let Some(done) = askers.join_next().await {
        done.unwrap();
    }
    let log = whole_log(&store).await;
    assert_eq!((log.count, log.rows.len() as u64), (count, granted.load(Ordering::SeqCst)));
    verify(&log);
    assert!(matches!(store.shared_keys(SHARE, VIDEO).await, Err(StoreError::ShareRevoked)));
}

#[tokio::test]
async fn a_row_that_cannot_be_written_is_a_grant_that_is_refused() {
    let (dir, store) = home().await;
    let other = rusqlite::Connection::open(dir.path().join("gloaming.db")).unwrap();
    other.execute_batch("CREATE TRIGGER full BEFORE INSERT ON grants WHEN NEW.segment = 3 BEGIN SELECT RAISE(ABORT, 'no'); END").unwrap();
    assert!(matches!(store.grant(ask(0, 8), || NOW).await, Err(StoreError::Database(_))));
    let log = whole_log(&store).await;
    assert_eq!((log.count, log.rows.len()), (0, 0), "not even the rows before it");
    assert_eq!(log.head, log_start(ACCOUNT, VIDEO));
    assert_eq!(store.plays(ACCOUNT, VIDEO).await.unwrap()[0].grants, 0);
}

#[tokio::test]
async fn a_playback_goes_on_in_the_same_browser_and_counts_once() {
    let (_dir, store) = home().await;
    store.set_share_policy(ACCOUNT, SHARE, Policy { max_plays: Some(2), ..Policy::default() }).await.unwrap();
    let play = |n: u8| PlaybackId::from_bytes([n; 16]);
    let again = store.start_play(start(play(6), 1), NOW + HOUR / 2).await.unwrap();
    assert_eq!(again.play, PLAY, "half an hour later");
    let later = store.start_play(start(play(7), 1), NOW + HOUR * 2).await.unwrap();
    assert_eq!(later.play, play(7), "after a longer while it is another");
    let third = store.start_play(start(play(8), 2), NOW + HOUR * 2).await;
    assert!(matches!(third, Err(StoreError::ShareUsedUp)));
    let info = store.share(ACCOUNT, SHARE).await.unwrap();
    assert_eq!((info.viewers, info.plays), (1, 2));
}

#[tokio::test]
async fn clearing_leaves_a_chain_that_still_verifies() {
    let (_dir, store) = home().await;
    for hour in 0..5u32 {
        store.grant(ask(0, 600), move || NOW + HOUR * hour).await.unwrap();
    }
    let before = whole_log(&store).await;
    let cutoff = NOW + HOUR * 3;
    let mut cleared = 0;
    loop {
        match store.clear_grant_log(cutoff).await.unwrap() {
            0 => break,
            some => cleared += some,
        }
    }
    let log = whole_log(&store).await;
    assert_eq!((cleared, log.cleared, log.rows.len()), (1800, 1800, 1200));
    assert_eq!((log.head, log.count), (before.head, before.count));
    verify(&log);
    store.grant(ask(0, 1), move || NOW + HOUR * 9).await.unwrap();
    verify(&whole_log(&store).await);
    assert_eq!(store.plays(ACCOUNT, VIDEO).await.unwrap().len(), 1, "the playback still has grants");
}

#[tokio::test]
async fn nothing_is_sealed_under_a_retired_key_and_envelopes_change_hands_once() {
    let (_dir, store) = home().await;
    store.retire_keys("k2".into(), Some("k0".into()), NOW).await.unwrap();
    let id = ShareId::from_bytes([34; 16]);
    for old in ["k0", "k1"] {
        let refused = store.create_share(ACCOUNT, new_share(id, old, Policy::default()), NOW).await;
        assert!(matches!(refused, Err(StoreError::KeyRetired)), "{old}");
    }
    store.create_share(ACCOUNT, new_share(id, "k2", Policy::default()), NOW).await.unwrap();
    let rows = store.envelopes_not_under("k2".into(), 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    let new = Envelope { key_id: "k2".into(), grant_share: vec![11; 60], view_share: None };
    let late = Envelope { grant_share: vec![12; 60], ..new.clone() };
    store.replace_envelopes(vec![(rows[0].clone(), new.clone())]).await.unwrap();
    store.replace_envelopes(vec![(rows[0].clone(), late)]).await.unwrap();
    assert_eq!(store.shared_keys(SHARE, VIDEO).await.unwrap().envelope, new);
    assert_eq!(store.envelopes_by_key().await.unwrap(), [("k2".to_owned(), 2)]);
    store.delete_video(ACCOUNT, VIDEO, NOW).await.unwrap();
    assert!(store.envelopes_by_key().await.unwrap().is_empty(), "a deleted video's halves are gone");
}

/// Processor seconds of this process.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// What it costs is told, not judged.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes a log of ten million rows, for minutes; ./x bench grants runs it"]
async fn the_ten_millionth_grant_costs_as_much_as_the_first() {
    const ASKERS: u32 = 32;
    const BATCH: u32 = 8;
    const MILLION: u64 = 1_000_000;
    let (_dir, store) = home().await;
    for million in 1..=10 {
        let (begun, before) = (std::time::Instant::now(), used());
        let mut askers = tokio::task::JoinSet::new();
        for asker in 0..ASKERS {
            let store = store.clone();
            askers.spawn(async move {
                for n in 0..(MILLION as u32 / ASKERS / BATCH) {
                    store.grant(ask(asker * n % 900_000, BATCH), || NOW).await.unwrap();
                }
            });
        }
        askers.join_all().await;
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), used() - before);
        println!("million {million:2}: {seconds:6.1} s, {cpu:5.1} µs of a processor for each grant");
    }
    assert_eq!(
        whole_count(&store).await,
        10 * (MILLION / u64::from(ASKERS * BATCH) * u64::from(ASKERS * BATCH))
    );
}

async fn whole_count(store: &Store) -> u64 {
    store.grant_log(ACCOUNT, VIDEO, 0, 1).await.unwrap().unwrap().count
}
