//! Videos over the wire, with ciphertext on a real disk.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{path::Path, time::Duration};

use common::*;
use gloaming_api::{
    Bytes,
    account::AccountInfo,
    video::{
        DraftRequest, ObjectIds, ObjectsRequest, SignedDownloads, SignedUploads, StoredObjects, VideoInfo,
        VideoList, VideoOpened, VideoState,
    },
};
use gloaming_ids::ObjectId;
use reqwest::{Method, StatusCode};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Objects that lie in the data folder.
fn on_disk(dir: &Path) -> usize {
    let shards = std::fs::read_dir(dir.join("data/blobs/objects")).unwrap();
    shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}

async fn used(person: &Person<'_>) -> u64 {
    read::<AccountInfo>(person.get("/v1/account").await).await.used_bytes
}

#[tokio::test]
async fn a_video_goes_in_and_comes_back() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (info, objects) = owner.publish(video(1), &[b"the index", b"a pack", b"another pack"]).await;
    assert_eq!((info.state, info.index_version, info.object_count), (VideoState::Kept, 1, 3));
    assert_eq!((info.stored_bytes, used(&owner).await), (27, 27));
    assert_eq!(info.sealed_secret, Bytes(vec![7; 120]));

    let opened: VideoOpened = read(owner.get(&format!("/v1/videos/{}", video(1))).await).await;
    assert_eq!(opened.info, info);
    let index = home.request(Method::GET, &opened.index.unwrap().url).send().await.unwrap();
    assert_eq!(index.bytes().await.unwrap(), "the index");

    let ask = ObjectIds { objects: vec![objects[2], objects[1]] };
    let urls: SignedDownloads = read(owner.post("/v1/urls", &ask).await).await;
    assert_eq!(urls.downloads.iter().map(|d| d.object).collect::<Vec<_>>(), ask.objects);
    let part = home.request(Method::GET, &urls.downloads[0].url).header("range", "bytes=8-11");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), "pack");

    let list: VideoList = read(owner.get("/v1/videos?state=kept").await).await;
    assert_eq!((list.videos, list.more), (vec![info.clone()], false));
    let again = owner.post(&format!("/v1/videos/{}/commit", video(1)), &commit(1, &objects)).await;
    assert_eq!(read::<VideoInfo>(again).await, info);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_stopped() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let path = format!("/v1/videos/{}", video(1));
    let begun: VideoInfo = read(owner.put(&path, &draft()).await).await;
    assert_eq!(begun.state, VideoState::Draft);
    let uploads = owner.reserve(video(1), &[4, 4]).await;
    assert!(home.upload(&uploads[0], b"one.".to_vec()).await.status().is_success());

    // After a crash the client begins again, and finds its draft and what it stored.
    assert_eq!(read::<VideoInfo>(owner.put(&path, &draft()).await).await.created_at, begun.created_at);
    let stored: StoredObjects = read(owner.get(&format!("{path}/objects")).await).await;
    assert_eq!(stored.objects.iter().map(|o| o.stored).collect::<Vec<_>>(), [true, false]);
    let ids: Vec<ObjectId> = uploads.iter().map(|u| u.object).collect();
    let early = owner.post(&format!("{path}/commit"), &commit(1, &ids)).await;
    let text = show(early).await.replace(&ids[1].to_string(), "SECOND");
    insta::assert_snapshot!(
        text,
        @r#"409 {"code":"objects_missing","detail":{"missing":["SECOND"]},"message":"Parts of this video have not arrived. Upload them, then try again."}"#
    );

    // The URL ran out meanwhile.
    home.later(Duration::from_secs(2 * 60 * 60));
    assert!(!home.upload(&uploads[1], b"two.".to_vec()).await.status().is_success());
    let ask = ObjectIds { objects: vec![ids[1]] };
    let fresh: SignedUploads = read(owner.post(&format!("{path}/objects/renew"), &ask).await).await;
    assert!(home.upload(&fresh.uploads[0], b"two.".to_vec()).await.status().is_success());
    let done: VideoInfo = read(owner.post(&format!("{path}/commit"), &commit(1, &ids)).await).await;
    assert_eq!(done.state, VideoState::Kept);
}

#[tokio::test]
async fn videos_and_objects_of_somebody_else_do_not_exist() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let member = home.register("Bob", &owner.invite(None).await).await;
    let (_, objects) = owner.publish(video(1), &[b"the index"]).await;
    let path = format!("/v1/videos/{}", video(1));
    let not_found = (404, "not_found".to_owned());
    let lengths = ObjectsRequest { lengths: vec![5] };
    let ids = ObjectIds { objects: objects.clone() };

    assert_eq!(refusal(member.get(&path).await).await, not_found);
    assert_eq!(refusal(member.get(&format!("{path}/objects")).await).await, not_found);
    assert_eq!(refusal(member.post(&format!("{path}/objects"), &lengths).await).await, not_found);
    assert_eq!(refusal(member.post(&format!("{path}/objects/renew"), &ids).await).await, not_found);
    assert_eq!(refusal(member.post(&format!("{path}/commit"), &commit(1, &objects)).await).await, not_found);
    assert_eq!(refusal(member.post(&format!("{path}/trash"), &()).await).await, not_found);
    assert_eq!(refusal(member.post(&format!("{path}/restore"), &()).await).await, not_found);
    assert_eq!(refusal(member.delete(&path).await).await, not_found);
    assert_eq!(refusal(member.post("/v1/urls", &ids).await).await, not_found);
    assert!(read::<VideoList>(member.get("/v1/videos").await).await.videos.is_empty());

    // A commit cannot draw in another's object.
    read::<VideoInfo>(member.put(&path, &draft()).await).await;
    let uploads = member.reserve(video(1), &[4]).await;
    assert!(home.upload(&uploads[0], b"mine".to_vec()).await.status().is_success());
    let mixed = commit(1, &[uploads[0].object, objects[0]]);
    assert_eq!(
        refusal(member.post(&format!("{path}/commit"), &mixed).await).await,
        (409, "objects_missing".into())
    );
    assert_eq!(refusal(owner.get("/v1/videos/not-an-id").await).await, not_found);
    let unsigned = format!("/blobs/{}", objects[0]);
    assert!(!home.request(Method::GET, &unsigned).send().await.unwrap().status().is_success());
}

#[tokio::test]
async fn a_video_is_trashed_restored_and_deleted_for_good() {
    let (dir, home) = home().await;
    let owner = home.owner().await;
    let (_, objects) = owner.publish(video(1), &[b"the index", b"a pack"]).await;
    let path = format!("/v1/videos/{}", video(1));
    let trashed: VideoInfo = read(owner.post(&format!("{path}/trash"), &()).await).await;
    assert_eq!((trashed.state, trashed.trashed_at), (VideoState::Trashed, Some(home.now())));
    let late = owner.post(&format!("{path}/commit"), &commit(2, &objects)).await;
    insta::assert_snapshot!(
        show(late).await,
        @r#"409 {"code":"wrong_state","message":"The video is in the trash. Restore it first."}"#
    );
    let restored: VideoInfo = read(owner.post(&format!("{path}/restore"), &()).await).await;
    assert_eq!(restored.state, VideoState::Kept);

    assert_eq!(on_disk(dir.path()), 2);
    assert_eq!(owner.delete(&path).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(refusal(owner.get(&path).await).await, (404, "not_found".into()));
    assert_eq!(used(&owner).await, 0);
    home.jobs.round().await;
    assert_eq!(on_disk(dir.path()), 0);
}

#[tokio::test]
async fn a_new_index_takes_the_place_of_the_old_one() {
    let (dir, home) = home().await;
    let owner = home.owner().await;
    let (_, objects) = owner.publish(video(1), &[b"the index", b"a pack"]).await;
    let fresh = owner.reserve(video(1), &[9]).await;
    assert!(home.upload(&fresh[0], b"new index".to_vec()).await.status().is_success());
    let path = format!("/v1/videos/{}/commit", video(1));
    let info: VideoInfo = read(owner.post(&path, &commit(2, &[fresh[0].object, objects[1]])).await).await;
    assert_eq!((info.index_version, info.index), (2, Some(fresh[0].object)));
    home.jobs.round().await;
    assert_eq!(on_disk(dir.path()), 2);
    let stale = owner.post(&path, &commit(1, &objects)).await;
    assert_eq!(refusal(stale).await, (409, "version_conflict".into()));
    let mut jump = commit(3, &objects);
    jump.index_version = 9;
    assert_eq!(refusal(owner.post(&path, &jump).await).await, (400, "bad_request".into()));
}

#[tokio::test]
async fn a_quota_holds_for_drafts_too_and_is_told_in_numbers() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let member = home.register("Bob", &owner.invite(Some(100)).await).await;
    let path = format!("/v1/videos/{}", video(1));
    read::<VideoInfo>(member.put(&path, &draft()).await).await;
    member.reserve(video(1), &[60]).await;
    let over = member.post(&format!("{path}/objects"), &ObjectsRequest { lengths: vec![30, 30] }).await;
    insta::assert_snapshot!(
        show(over).await,
        @r#"507 {"code":"quota_exceeded","detail":{"quota":100,"used":60},"message":"This does not fit in your storage. Delete something for good, or ask for more."}"#
    );
    assert_eq!(used(&member).await, 60);
    assert_eq!(member.delete(&path).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(used(&member).await, 0);
}

#[tokio::test]
async fn an_abandoned_draft_is_gone_after_seven_days() {
    let (dir, home) = home().await;
    let owner = home.owner().await;
    let path = format!("/v1/videos/{}", video(1));
    read::<VideoInfo>(owner.put(&path, &draft()).await).await;
    let uploads = owner.reserve(video(1), &[4]).await;
    assert!(home.upload(&uploads[0], b"half".to_vec()).await.status().is_success());
    home.later(7 * DAY);
    home.jobs.round().await;
    assert_eq!(owner.get(&path).await.status(), StatusCode::OK);
    home.later(Duration::from_secs(1));
    home.jobs.round().await;
    assert_eq!(owner.get(&path).await.status(), StatusCode::NOT_FOUND);
    assert_eq!((on_disk(dir.path()), used(&owner).await), (0, 0));
}

#[tokio::test]
async fn an_object_that_arrives_after_its_video_was_deleted_is_deleted_too() {
    let (dir, home) = home().await;
    let owner = home.owner().await;
    let path = format!("/v1/videos/{}", video(1));
    read::<VideoInfo>(owner.put(&path, &draft()).await).await;
    let uploads = owner.reserve(video(1), &[4]).await;
    assert_eq!(owner.delete(&path).await.status(), StatusCode::NO_CONTENT);
    home.jobs.round().await;
    // The address was signed before, and is still good.
    assert!(home.upload(&uploads[0], b"late".to_vec()).await.status().is_success());
    assert_eq!(on_disk(dir.path()), 1);
    home.later(DAY);
    assert!(!home.upload(&uploads[0], b"late".to_vec()).await.status().is_success(), "no longer");
    home.jobs.round().await;
    assert_eq!(on_disk(dir.path()), 0);
}

#[tokio::test]
async fn what_no_client_would_ask_is_refused() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let path = format!("/v1/videos/{}", video(1));
    let bad = (400, "bad_request".to_owned());
    let empty = DraftRequest { sealed_secret: Bytes(vec![]) };
    assert_eq!(refusal(owner.put(&path, &empty).await).await, bad);
    let long = DraftRequest { sealed_secret: Bytes(vec![0; 5000]) };
    assert_eq!(refusal(owner.put(&path, &long).await).await, (413, "too_large".into()));
    read::<VideoInfo>(owner.put(&path, &draft()).await).await;
    let other = DraftRequest { sealed_secret: Bytes(vec![1; 120]) };
    assert_eq!(refusal(owner.put(&path, &other).await).await, (409, "wrong_state".into()));
    for lengths in [vec![], vec![0], vec![67 * 1024 * 1024], vec![1; 257]] {
        let ask = ObjectsRequest { lengths };
        assert_eq!(refusal(owner.post(&format!("{path}/objects"), &ask).await).await, bad);
    }
    assert_eq!(refusal(owner.post("/v1/urls", &ObjectIds { objects: vec![] }).await).await, bad);
    assert_eq!(refusal(owner.post(&format!("{path}/trash"), &()).await).await, (409, "wrong_state".into()));
    assert_eq!(refusal(owner.get("/v1/videos?state=lost").await).await, bad);
    let paged: VideoList = read(owner.get("/v1/videos?limit=1").await).await;
    assert_eq!(paged.videos.len(), 1);
}

#[tokio::test]
async fn an_upload_of_another_length_is_not_the_object() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    read::<VideoInfo>(owner.put(&format!("/v1/videos/{}", video(1)), &draft()).await).await;
    let uploads = owner.reserve(video(1), &[4]).await;
    assert!(!home.upload(&uploads[0], b"longer".to_vec()).await.status().is_success());
    assert!(home.upload(&uploads[0], b"four".to_vec()).await.status().is_success());
}
