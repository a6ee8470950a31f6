//! What the store promises, one sentence each.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use gloaming_api::{
    Bytes,
    account::{Role, Stretching},
    keyring::{KeyringUpdate, SealedKeyring, UnlockMethod, Wrap},
    library::Change,
    video::{Commit, DraftRequest, VideoState},
};
use gloaming_ids::{AccountId, InviteId, ObjectId, RecordId, SessionId, UnixMillis, VideoId};
use gloaming_store::{
    DRAFT_PATIENCE, NewAccount, NewInvite, NewPassword, NewSession, Reservation, SESSION_IDLE, Store,
    StoreError,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Home {
    store: Store,
    _dir: tempfile::TempDir,
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    Home { store: Store::open(&dir.path().join("gloaming.db")).unwrap(), _dir: dir }
}

fn keyring(version: u64, fill: u8) -> SealedKeyring {
    SealedKeyring {
        version,
        sealed: Bytes(vec![fill; 100]),
        wraps: vec![
            Wrap { method: UnlockMethod::Password, sealed: wrap(version, fill) },
            Wrap { method: UnlockMethod::Recovery, sealed: wrap(version, fill + 1) },
        ],
    }
}

fn wrap(version: u64, fill: u8) -> Bytes {
    Bytes([version.to_be_bytes().as_slice(), &[fill; 40]].concat())
}

fn session(n: u8) -> NewSession {
    NewSession { session: SessionId::from_bytes([n; 16]), token_hash: [n; 32], device: format!("device {n}") }
}

fn account_n(n: u8) -> NewAccount {
    NewAccount {
        token_hash: [100 + n; 32],
        account: AccountId::from_bytes([n; 16]),
        name: format!("Person{n}"),
        name_key: format!("person{n}"),
        opaque_record: vec![n; 192],
        stretching: Stretching { memory_kib: 131_072, passes: 3, lanes: 1 },
        keyring: keyring(1, n),
        recovery_key: [n; 32],
        session: session(n),
    }
}

fn invite_n(n: u8, quota_bytes: Option<u64>) -> NewInvite {
    NewInvite {
        invite: InviteId::from_bytes([n; 16]),
        account: AccountId::from_bytes([n; 16]),
        token_hash: [100 + n; 32],
        label: format!("for {n}"),
        quota_bytes,
        expires_at: NOW + DAY,
    }
}

/// Account `n`, made through an invite.
async fn member(store: &Store, n: u8, quota: Option<u64>) -> AccountId {
    store.create_invite(invite_n(n, quota), NOW).await.unwrap();
    store.create_account(account_n(n), NOW).await.unwrap();
    AccountId::from_bytes([n; 16])
}

fn object(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 16])
}

fn video_n(n: u8) -> VideoId {
    VideoId::from_bytes([n; 16])
}

fn draft() -> DraftRequest {
    DraftRequest { sealed_secret: Bytes(vec![9; 80]) }
}

fn commit(version: u64, objects: &[u8]) -> Commit {
    Commit {
        expected_version: version - 1,
        index_version: version,
        index: object(objects[0]),
        card: None,
        poster: None,
        objects: objects.iter().map(|&n| object(n)).collect(),
    }
}

/// A draft with these objects of 100 bytes each, all stored.
async fn uploaded(store: &Store, account: AccountId, video: VideoId, objects: &[u8]) {
    store.begin_video(account, video, draft(), NOW).await.unwrap();
    reserve(store, account, video, objects).await.unwrap();
    store.mark_stored(account, objects.iter().map(|&n| object(n)).collect()).await.unwrap();
}

async fn reserve(
    store: &Store,
    account: AccountId,
    video: VideoId,
    objects: &[u8],
) -> Result<(), StoreError> {
    let reservations = objects.iter().map(|&n| Reservation { object: object(n), length: 100 }).collect();
    store.reserve_objects(account, video, reservations, NOW).await
}

async fn used(store: &Store, account: AccountId) -> u64 {
    store.account(account).await.unwrap().used_bytes
}

#[tokio::test]
async fn the_setup_token_makes_one_owner_and_no_second() {
    let home = home();
    let store = &home.store;
    assert!(!store.has_owner().await.unwrap());
    let owner = AccountId::from_bytes([1; 16]);
    let invite = InviteId::from_bytes([1; 16]);
    assert!(store.offer_setup([101; 32], invite, owner, NOW).await.unwrap());
    // The same token after a restart names the same account, although another id was minted for it.
    let other = AccountId::from_bytes([7; 16]);
    assert!(store.offer_setup([101; 32], InviteId::from_bytes([7; 16]), other, NOW).await.unwrap());
    assert_eq!(store.begin_registration([101; 32], "person1".into(), NOW).await.unwrap(), owner);

    store.create_account(account_n(1), NOW).await.unwrap();
    assert_eq!(store.account(owner).await.unwrap().role, Role::Owner);
    assert!(store.has_owner().await.unwrap());
    let mut replay = account_n(1);
    replay.name_key = "somebody else".into();
    assert!(matches!(store.create_account(replay, NOW).await, Err(StoreError::BadInvite)));
    assert!(!store.offer_setup([55; 32], invite, owner, NOW).await.unwrap());
}

#[tokio::test]
async fn a_new_setup_token_replaces_the_old_one() {
    let home = home();
    let store = &home.store;
    let owner = AccountId::from_bytes([1; 16]);
    store.offer_setup([1; 32], InviteId::from_bytes([1; 16]), owner, NOW).await.unwrap();
    store.offer_setup([2; 32], InviteId::from_bytes([2; 16]), owner, NOW).await.unwrap();
    assert!(matches!(store.begin_registration([1; 32], "a".into(), NOW).await, Err(StoreError::BadInvite)));
    store.begin_registration([2; 32], "a".into(), NOW).await.unwrap();
}

#[tokio::test]
async fn an_invite_works_once_and_not_after_its_time() {
    let home = home();
    let store = &home.store;
    store.create_invite(invite_n(2, Some(1000)), NOW).await.unwrap();
    assert_eq!(store.invites(NOW).await.unwrap().len(), 1);
    let late = store.begin_registration([102; 32], "x".into(), NOW + DAY).await;
    assert!(matches!(late, Err(StoreError::BadInvite)));
    assert!(store.invites(NOW + DAY).await.unwrap().is_empty());

    store.create_account(account_n(2), NOW).await.unwrap();
    assert_eq!(store.account(AccountId::from_bytes([2; 16])).await.unwrap().quota_bytes, Some(1000));
    let again = store.begin_registration([102; 32], "y".into(), NOW).await;
    assert!(matches!(again, Err(StoreError::BadInvite)));
    assert!(store.invites(NOW).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_invite_makes_only_the_account_it_was_given_for() {
    let home = home();
    home.store.create_invite(invite_n(2, None), NOW).await.unwrap();
    let mut other = account_n(2);
    other.account = AccountId::from_bytes([9; 16]);
    assert!(matches!(home.store.create_account(other, NOW).await, Err(StoreError::BadInvite)));
    home.store.create_account(account_n(2), NOW).await.unwrap();
}

#[tokio::test]
async fn a_name_belongs_to_one_account() {
    let home = home();
    let store = &home.store;
    member(store, 2, None).await;
    store.create_invite(invite_n(3, None), NOW).await.unwrap();
    let mut twin = account_n(3);
    twin.name_key = "person2".into();
    assert!(matches!(
        store.begin_registration([103; 32], "person2".into(), NOW).await,
        Err(StoreError::NameTaken)
    ));
    assert!(matches!(store.create_account(twin, NOW).await, Err(StoreError::NameTaken)));
    // The refused attempt did not use the invite up.
    store.create_account(account_n(3), NOW).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_after_thirty_idle_days_and_use_prolongs_it() {
    let home = home();
    let store = &home.store;
    member(store, 2, None).await;
    let id = SessionId::from_bytes([2; 16]);
    let later = NOW + SESSION_IDLE;
    assert_eq!(store.session([2; 32], later).await.unwrap().unwrap().session, id);
    assert!(store.session([2; 32], later + Duration::from_secs(1)).await.unwrap().is_none());
    store.touch_session(id, later).await.unwrap();
    assert!(store.session([2; 32], later + DAY).await.unwrap().is_some());
    assert_eq!(store.expire_sessions(later + DAY).await.unwrap(), 0);
    assert_eq!(store.expire_sessions(later + SESSION_IDLE + DAY).await.unwrap(), 1);
}

#[tokio::test]
async fn nobody_ends_a_session_of_another_account() {
    let home = home();
    let store = &home.store;
    let (two, three) = (member(store, 2, None).await, member(store, 3, None).await);
    let of_three = SessionId::from_bytes([3; 16]);
    assert!(matches!(store.end_session(two, of_three).await, Err(StoreError::NotFound)));
    store.end_session(three, of_three).await.unwrap();
    assert!(store.session([3; 32], NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn the_two_hundred_and_first_session_ends_the_one_used_longest_ago() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    for n in 0..200u8 {
        let new = NewSession {
            session: SessionId::from_bytes([n, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            token_hash: {
                let mut hash = [77; 32];
                hash[0] = n;
                hash
            },
            device: String::new(),
        };
        store.open_session(two, new, None, NOW + Duration::from_secs(1 + u64::from(n))).await.unwrap();
    }
    assert!(store.session([2; 32], NOW).await.unwrap().is_none());
    let all = store.sessions(two, SessionId::from_bytes([0; 16]), NOW).await.unwrap();
    assert_eq!(all.len(), 200);
}

#[tokio::test]
async fn a_changed_password_changes_its_wrap_and_ends_the_other_sessions() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    store.open_session(two, session(50), None, NOW).await.unwrap();
    let new = |version| NewPassword {
        opaque_record: vec![7; 192],
        stretching: Stretching { memory_kib: 262_144, passes: 4, lanes: 1 },
        password_wrap: wrap(version, 70).0,
    };
    store.change_password(two, new(2), SessionId::from_bytes([50; 16])).await.unwrap();
    assert!(store.session([2; 32], NOW).await.unwrap().is_none());
    assert!(store.session([50; 32], NOW).await.unwrap().is_some());
    let kept = store.keyring(two).await.unwrap();
    assert_eq!(kept.wraps[0], Wrap { method: UnlockMethod::Password, sealed: wrap(2, 70) });
    assert_eq!(kept.wraps[1], keyring(1, 2).wraps[1]);
    let credentials = store.credentials("person2".into()).await.unwrap().unwrap();
    assert_eq!((credentials.opaque_record, credentials.stretching.passes), (vec![7; 192], 4));

    store.recover_account(two, new(3), session(60), NOW).await.unwrap();
    assert!(store.session([50; 32], NOW).await.unwrap().is_none());
    assert!(store.session([60; 32], NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn a_disabled_account_is_signed_out_and_marked() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    store.set_disabled("person2".into(), true).await.unwrap();
    assert!(store.session([2; 32], NOW).await.unwrap().is_none());
    assert!(store.credentials("person2".into()).await.unwrap().unwrap().disabled);
    store.set_disabled("person2".into(), false).await.unwrap();
    store.open_session(two, session(3), None, NOW).await.unwrap();
    assert!(!store.session([3; 32], NOW).await.unwrap().unwrap().disabled);
    assert!(matches!(store.set_disabled("nobody".into(), true).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_keyring_is_swapped_only_from_the_version_that_was_read() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    let update = |expected| KeyringUpdate { expected, keyring: keyring(expected + 1, 30) };
    store.replace_keyring(two, update(1)).await.unwrap();
    let lost = store.replace_keyring(two, update(1)).await;
    assert!(matches!(lost, Err(StoreError::VersionConflict { current: 2 })));
    assert_eq!(store.keyring(two).await.unwrap(), keyring(2, 30));
    let jump = KeyringUpdate { expected: 2, keyring: keyring(4, 1) };
    assert!(matches!(store.replace_keyring(two, jump).await, Err(StoreError::WrongState(_))));
    let nobody = AccountId::from_bytes([99; 16]);
    assert!(matches!(store.replace_keyring(nobody, update(0)).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn two_writers_from_the_same_keyring_leave_one_winner() {
    let home = home();
    let two = member(&home.store, 2, None).await;
    let swap =
        |fill| home.store.replace_keyring(two, KeyringUpdate { expected: 1, keyring: keyring(2, fill) });
    let (one, other) = tokio::join!(swap(10), swap(20));
    assert_eq!(one.is_ok() as u8 + other.is_ok() as u8, 1);
}

#[tokio::test]
async fn changes_to_a_library_happen_together_or_not_at_all() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    let change = |n, expected| Change {
        record: RecordId::from_bytes([n; 16]),
        expected,
        sealed: Some(Bytes(vec![n; 256])),
    };
    store.write_library(two, vec![change(1, 0)]).await.unwrap();
    let mixed = store.write_library(two, vec![change(2, 0), change(1, 0)]).await;
    let Err(StoreError::RecordConflict { record, current: 1 }) = mixed else { panic!("{mixed:?}") };
    assert_eq!(record, RecordId::from_bytes([1; 16]));
    let feed = store.feed(two, 0, 100).await.unwrap();
    assert_eq!(feed.entries.len(), 1);
    let twice = store.write_library(two, vec![change(3, 0), change(3, 1)]).await;
    assert!(matches!(twice, Err(StoreError::WrongState(_))));
}

#[tokio::test]
async fn a_library_is_invisible_to_other_accounts() {
    let home = home();
    let store = &home.store;
    let (two, three) = (member(store, 2, None).await, member(store, 3, None).await);
    let record = RecordId::from_bytes([1; 16]);
    let change = |fill| Change { record, expected: 0, sealed: Some(Bytes(vec![fill; 256])) };
    store.write_library(two, vec![change(1)]).await.unwrap();
    assert!(store.feed(three, 0, 100).await.unwrap().entries.is_empty());
    // The same record id is another record there.
    store.write_library(three, vec![change(2)]).await.unwrap();
    assert_eq!(store.feed(two, 0, 10).await.unwrap().entries[0].sealed, Some(Bytes(vec![1; 256])));
}

#[tokio::test]
async fn a_draft_asked_for_twice_is_one_draft() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    let first = store.begin_video(two, video_n(1), draft(), NOW).await.unwrap();
    let second = store.begin_video(two, video_n(1), draft(), NOW + DAY).await.unwrap();
    assert_eq!(first, second);
    let other = DraftRequest { sealed_secret: Bytes(vec![1]) };
    let other = store.begin_video(two, video_n(1), other, NOW).await;
    assert!(matches!(other, Err(StoreError::WrongState(_))));
}

#[tokio::test]
async fn a_video_is_committed_with_its_objects_and_the_rest_is_given_up() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    uploaded(store, two, video_n(1), &[1, 2, 3]).await;
    assert_eq!(used(store, two).await, 300);
    let info = store.commit_video(two, video_n(1), commit(1, &[1, 2]), NOW).await.unwrap();
    assert_eq!((info.state, info.stored_bytes, info.object_count), (VideoState::Kept, 200, 2));
    assert_eq!((info.index_version, info.index), (1, Some(object(1))));
    assert_eq!(used(store, two).await, 200);
    assert_eq!(store.orphans(NOW, 10).await.unwrap(), [object(3)]);

    let again = store.commit_video(two, video_n(1), commit(1, &[1, 2]), NOW + DAY).await.unwrap();
    assert_eq!(again, info, "the same commit again is the same");
    let other = store.commit_video(two, video_n(1), commit(1, &[2, 1]), NOW).await;
    assert!(matches!(other, Err(StoreError::VersionConflict { current: 1 })), "{other:?}");
}

#[tokio::test]
async fn a_commit_waits_for_every_object() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    store.begin_video(two, video_n(1), draft(), NOW).await.unwrap();
    reserve(store, two, video_n(1), &[1, 2]).await.unwrap();
    store.mark_stored(two, vec![object(1)]).await.unwrap();
    let early = store.commit_video(two, video_n(1), commit(1, &[1, 2]), NOW).await;
    let Err(StoreError::ObjectsMissing(missing)) = early else { panic!("{early:?}") };
    assert_eq!(missing, [object(2)]);
    assert_eq!(store.video(two, video_n(1)).await.unwrap().state, VideoState::Draft);
    assert_eq!(store.objects(two, video_n(1)).await.unwrap().len(), 2, "nothing was given up");
}

#[tokio::test]
async fn a_commit_cannot_take_objects_of_another_video_or_account() {
    let home = home();
    let store = &home.store;
    let (two, three) = (member(store, 2, None).await, member(store, 3, None).await);
    uploaded(store, two, video_n(1), &[1]).await;
    uploaded(store, two, video_n(2), &[2]).await;
    uploaded(store, three, video_n(3), &[3]).await;
    for foreign in [2, 3] {
        let taken = store.commit_video(two, video_n(1), commit(1, &[1, foreign]), NOW).await;
        assert!(matches!(taken, Err(StoreError::ObjectsMissing(_))), "{taken:?}");
    }
    store.mark_stored(three, vec![object(1)]).await.unwrap();
    let urls = store.objects_of(two, vec![object(1), object(3)]).await;
    assert!(matches!(urls, Err(StoreError::NotFound)));
    let mut outside = commit(1, &[1]);
    outside.card = Some(object(2));
    let outside = store.commit_video(two, video_n(1), outside, NOW).await;
    assert!(matches!(outside, Err(StoreError::WrongState(_))));
}

#[tokio::test]
async fn a_new_index_replaces_the_old_one_and_frees_its_object() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    uploaded(store, two, video_n(1), &[1, 2]).await;
    store.commit_video(two, video_n(1), commit(1, &[1, 2]), NOW).await.unwrap();
    reserve(store, two, video_n(1), &[3]).await.unwrap();
    store.mark_stored(two, vec![object(3)]).await.unwrap();
    let info = store.commit_video(two, video_n(1), commit(2, &[3, 2]), NOW).await.unwrap();
    assert_eq!((info.index_version, info.index, info.stored_bytes), (2, Some(object(3)), 200));
    assert_eq!(store.orphans(NOW, 10).await.unwrap(), [object(1)]);
}

#[tokio::test]
async fn videos_of_another_account_do_not_exist() {
    let home = home();
    let store = &home.store;
    let (two, three) = (member(store, 2, None).await, member(store, 3, None).await);
    uploaded(store, two, video_n(1), &[1]).await;
    assert!(matches!(store.video(three, video_n(1)).await, Err(StoreError::NotFound)));
    assert!(matches!(store.objects(three, video_n(1)).await, Err(StoreError::NotFound)));
    assert!(matches!(reserve(store, three, video_n(1), &[9]).await, Err(StoreError::NotFound)));
    assert!(matches!(store.delete_video(three, video_n(1), NOW).await, Err(StoreError::NotFound)));
    assert!(matches!(store.trash_video(three, video_n(1), NOW).await, Err(StoreError::NotFound)));
    // The same id is free for somebody else, and theirs alone.
    uploaded(store, three, video_n(1), &[5]).await;
    assert_eq!(store.objects(two, video_n(1)).await.unwrap()[0].object, object(1));
}

#[tokio::test]
async fn a_quota_counts_drafts_and_trash_and_frees_with_deletion() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, Some(300)).await;
    uploaded(store, two, video_n(1), &[1, 2]).await;
    store.commit_video(two, video_n(1), commit(1, &[1, 2]), NOW).await.unwrap();
    store.trash_video(two, video_n(1), NOW).await.unwrap();
    uploaded(store, two, video_n(2), &[3]).await;
    let over = reserve(store, two, video_n(2), &[4]).await;
    assert!(matches!(over, Err(StoreError::QuotaExceeded { used: 300, quota: 300 })), "{over:?}");
    assert_eq!(store.objects(two, video_n(2)).await.unwrap().len(), 1);
    store.delete_video(two, video_n(1), NOW).await.unwrap();
    reserve(store, two, video_n(2), &[4]).await.unwrap();
    assert_eq!(used(store, two).await, 200);
}

#[tokio::test]
async fn trash_keeps_everything_until_it_is_emptied() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    uploaded(store, two, video_n(1), &[1]).await;
    assert!(matches!(store.trash_video(two, video_n(1), NOW).await, Err(StoreError::WrongState(_))));
    store.commit_video(two, video_n(1), commit(1, &[1]), NOW).await.unwrap();
    let trashed = store.trash_video(two, video_n(1), NOW).await.unwrap();
    assert_eq!((trashed.state, trashed.trashed_at), (VideoState::Trashed, Some(NOW)));
    assert_eq!(store.trash_video(two, video_n(1), NOW + DAY).await.unwrap(), trashed);
    assert!(matches!(reserve(store, two, video_n(1), &[2]).await, Err(StoreError::WrongState(_))));
    let listed = store.videos(two, None, 10, Some(VideoState::Trashed)).await.unwrap();
    assert_eq!(listed.videos.len(), 1);
    assert!(store.videos(two, None, 10, Some(VideoState::Kept)).await.unwrap().videos.is_empty());
    let restored = store.restore_video(two, video_n(1)).await.unwrap();
    assert_eq!((restored.state, restored.trashed_at), (VideoState::Kept, None));
    assert!(store.orphans(NOW, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deleted_video_leaves_only_its_objects_bytes_to_delete() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    uploaded(store, two, video_n(1), &[1, 2]).await;
    store.delete_video(two, video_n(1), NOW).await.unwrap();
    assert!(matches!(store.video(two, video_n(1)).await, Err(StoreError::NotFound)));
    assert_eq!(store.orphans(NOW, 10).await.unwrap(), [object(1), object(2)]);

    // They are deleted twice: a URL signed before could have brought them back in between.
    store.orphans_deleted(vec![object(1), object(2)], NOW).await.unwrap();
    assert!(store.orphans(NOW, 10).await.unwrap().is_empty());
    let later = NOW + DAY;
    assert_eq!(store.orphans(later, 10).await.unwrap(), [object(1), object(2)]);
    store.orphans_deleted(vec![object(1), object(2)], later).await.unwrap();
    assert!(store.orphans(later + DAY, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_draft_is_given_up_after_seven_idle_days_and_not_before() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    uploaded(store, two, video_n(1), &[1]).await;
    uploaded(store, two, video_n(2), &[2]).await;
    store.commit_video(two, video_n(2), commit(1, &[2]), NOW).await.unwrap();
    reserve(store, two, video_n(2), &[3]).await.unwrap();
    assert_eq!(store.give_up_drafts(NOW + DRAFT_PATIENCE).await.unwrap(), 0);
    let over = NOW + DRAFT_PATIENCE + Duration::from_millis(1);
    assert_eq!(store.give_up_drafts(over).await.unwrap(), 2, "the draft, and the object for a new index");
    assert!(matches!(store.video(two, video_n(1)).await, Err(StoreError::NotFound)));
    assert_eq!(store.video(two, video_n(2)).await.unwrap().object_count, 1);
    assert_eq!(store.orphans(over, 10).await.unwrap(), [object(1), object(3)]);
    assert_eq!(used(store, two).await, 100);
    assert_eq!(store.give_up_drafts(over).await.unwrap(), 0);
}

#[tokio::test]
async fn a_list_of_videos_is_read_page_by_page() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    for n in 1..=5 {
        store.begin_video(two, video_n(n), draft(), NOW).await.unwrap();
    }
    let first = store.videos(two, None, 3, None).await.unwrap();
    assert_eq!((first.videos.len(), first.more), (3, true));
    let rest = store.videos(two, Some(first.videos[2].video), 3, None).await.unwrap();
    assert_eq!((rest.videos.len(), rest.more), (2, false));
    assert_eq!(rest.videos[0].video, video_n(4));
}

#[tokio::test]
async fn a_backup_is_whole_while_others_write() {
    let home = home();
    let store = &home.store;
    let two = member(store, 2, None).await;
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.db");
    let (backup, _) = tokio::join!(store.backup(&copy), uploaded(store, two, video_n(1), &[1, 2, 3]));
    backup.unwrap();
    Store::check_backup(&copy).unwrap();
    let restored = Store::open(&copy).unwrap();
    assert_eq!(restored.account(two).await.unwrap().username, "Person2");
}

#[tokio::test]
async fn only_its_owner_can_read_the_database_and_its_copies() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("gloaming.db")).unwrap();
    member(&store, 2, None).await;
    store.backup(&dir.path().join("copy.db")).await.unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gloaming.db");
    let store = Store::open(&path).unwrap();
    let two = member(&store, 2, None).await;
    // No clean close: the next store reads what reached the disk.
    std::mem::forget(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.account(two).await.unwrap().account, two);
}
