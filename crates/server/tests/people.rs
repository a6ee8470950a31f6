//! Gifts and loans to accounts, and the keys by which they are known: who gets them, and who does not.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{viewer::*, *};
use gloaming_api::{
    Bytes,
    people::{GiftObjects, GiftOpened, GiftWish, PublicKeys, ReceivedList},
    share::{Policy, ShareKind, ShareList, ShareRequest},
    video::SignedDownloads,
};
use gloaming_ids::{AccountId, ObjectId, ShareId, VideoId};
use gloaming_server::{Admin, Config};
use reqwest::{Method, Response};

fn keys(fill: u8) -> PublicKeys {
    PublicKeys { x_wing: Bytes(vec![fill; 1216]), ed25519: Bytes(vec![fill; 32]) }
}

/// A gift: nothing in it is for the server.
fn gift(id: ShareId, video: VideoId, to: AccountId) -> ShareRequest {
    let mut gift = request(ShareKind::Given, id, video, Policy::default());
    gift.recipient = Some(to);
    gift.videos[0].grant_share = None;
    gift.videos[0].tracks.clear();
    gift
}

fn loan(id: ShareId, video: VideoId, to: AccountId, policy: Policy) -> ShareRequest {
    ShareRequest { recipient: Some(to), ..request(ShareKind::Lent, id, video, policy) }
}

async fn received(person: &Person<'_>) -> ReceivedList {
    read(person.get("/v1/received").await).await
}

async fn open(person: &Person<'_>, share: ShareId, video: VideoId) -> Response {
    person.post(&format!("/v1/received/{share}/open"), &GiftWish { video_id: video }).await
}

async fn urls(person: &Person<'_>, share: ShareId, video: VideoId, objects: &[ObjectId]) -> Response {
    let wish = GiftObjects { video_id: video, objects: objects.to_vec() };
    person.post(&format!("/v1/received/{share}/urls"), &wish).await
}

/// An owner with a film, a friend, and a stranger.
async fn three(home: &Home) -> (Person<'_>, Person<'_>, Person<'_>, VideoId, Vec<ObjectId>) {
    let owner = home.owner().await;
    let (info, objects) = owner.publish(video(1), &[b"the index", b"a pack"]).await;
    let friend = home.register("Bob", &owner.invite(None).await).await;
    let stranger = home.register("Eve", &owner.invite(None).await).await;
    (owner, friend, stranger, info.video, objects)
}

#[tokio::test]
async fn an_accounts_keys_are_what_its_devices_said_last() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let (owner, friend, ..) = three(&home).await;
    let path = format!("/v1/people/{}", friend.opened.account);
    assert_eq!(refusal(owner.get(&path).await).await, (404, "not_found".into()), "nothing said yet");
    for fill in [1, 2, 2] {
        assert_eq!(friend.put("/v1/identity", &keys(fill)).await.status(), 204);
        assert_eq!(read::<PublicKeys>(owner.get(&path).await).await, keys(fill));
        assert_eq!(read::<PublicKeys>(friend.get(&path).await).await, keys(fill));
    }
    let nobody = format!("/v1/people/{}", AccountId::from_bytes([9; 16]));
    assert_eq!(refusal(owner.get(&nobody).await).await.0, 404);
    assert_eq!(refusal(home.request(Method::GET, &path).send().await.unwrap()).await.0, 401);
    let unsigned = home.request(Method::PUT, "/v1/identity").json(&keys(3)).send().await.unwrap();
    assert_eq!(refusal(unsigned).await.0, 401);
    for (x_wing, ed25519) in [(1215, 32), (1217, 32), (1216, 31), (0, 0)] {
        let bad = PublicKeys { x_wing: Bytes(vec![3; x_wing]), ed25519: Bytes(vec![3; ed25519]) };
        assert_eq!(refusal(friend.put("/v1/identity", &bad).await).await, (400, "bad_request".into()));
    }
    let admin = Admin::open(Config::new(dir.path().join("data"))).unwrap();
    admin.set_disabled("Bob", true).await.unwrap();
    assert_eq!(refusal(owner.get(&path).await).await.0, 404, "disabled");
    assert_eq!(refusal(friend.put("/v1/identity", &keys(3)).await).await, (401, "signed_out".into()));
}

#[tokio::test]
async fn a_gift_is_for_one_account_and_ends_with_its_revocation() {
    let (_dir, home) = home().await;
    let (owner, friend, stranger, film, objects) = three(&home).await;
    let (other, others) = owner.publish(video(2), &[b"another index"]).await;
    owner.share(&gift(share(1), film, friend.opened.account)).await;

    let list = received(&friend).await;
    let row = &list.received[0];
    assert_eq!((list.received.len(), list.more), (1, false));
    assert_eq!((row.share, row.sender, row.kind), (share(1), owner.opened.account, ShareKind::Given));
    assert_eq!(row.sealed.0, [5; 200]);
    for nobody in [&owner, &stranger] {
        assert!(received(nobody).await.received.is_empty());
        assert_eq!(refusal(open(nobody, share(1), film).await).await, (404, "not_found".into()));
        assert_eq!(refusal(urls(nobody, share(1), film, &objects).await).await, (404, "not_found".into()));
    }
    assert_eq!(refusal(home.request(Method::GET, "/v1/received").send().await.unwrap()).await.0, 401);

    let opened: GiftOpened = read(open(&friend, share(1), film).await).await;
    assert_eq!((opened.video_id, opened.index_version), (film, 1));
    let index = home.request(Method::GET, &opened.index.url).send().await.unwrap();
    assert_eq!(index.bytes().await.unwrap(), "the index".as_bytes());
    let signed: SignedDownloads = read(urls(&friend, share(1), film, &objects).await).await;
    assert_eq!(signed.downloads.len(), 2);
    let pack = home.request(Method::GET, &signed.downloads[1].url).send().await.unwrap();
    assert_eq!(pack.bytes().await.unwrap(), "a pack".as_bytes());

    // Nothing beside it: no other video, none of another's objects, not too many at once, and no grants.
    assert_eq!(refusal(open(&friend, share(1), other.video).await).await.0, 404);
    assert_eq!(refusal(urls(&friend, share(1), film, &others).await).await.0, 404);
    assert_eq!(refusal(urls(&friend, share(1), film, &[objects[0]; 65]).await).await.0, 400);
    assert_eq!(refusal(urls(&friend, share(1), film, &[]).await).await.0, 400);
    let session = Begin { token: None, bearer: Some(&friend.token), ..by_link(share(1)) };
    assert_eq!(refusal(home.try_begin(session).await.1).await, (404, "not_found".into()));
    assert_eq!(owner.verified_log(film).await.count, 0, "nobody counts what was given");
    let path = format!("/v1/shares/{}/policy", share(1));
    assert_eq!(refusal(owner.post(&path, &Policy::default()).await).await, (409, "wrong_state".into()));

    assert!(owner.revoke(share(1)).await.revoked_at.is_some());
    assert!(received(&friend).await.received.is_empty());
    assert_eq!(refusal(open(&friend, share(1), film).await).await, (403, "share_revoked".into()));
    assert_eq!(refusal(urls(&friend, share(1), film, &objects).await).await, (403, "share_revoked".into()));
    home.later(std::time::Duration::from_secs(5 * 60 + 1));
    let late = home.request(Method::GET, &signed.downloads[1].url).send().await.unwrap();
    assert_eq!(late.status(), 403, "an address that was given out before is good for five minutes at most");
    let shares: ShareList = read(owner.get("/v1/shares").await).await;
    assert_eq!(
        (shares.shares[0].kind, shares.shares[0].recipient),
        (ShareKind::Given, Some(friend.opened.account))
    );
}

#[tokio::test]
async fn what_was_given_or_lent_is_there_while_it_is_kept_and_its_owner_may_use_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let (owner, friend, _, film, objects) = three(&home).await;
    owner.share(&gift(share(1), film, friend.opened.account)).await;
    owner.share(&loan(share(2), film, friend.opened.account, Policy::default())).await;
    let count = async || received(&friend).await.received.len();
    assert_eq!(count().await, 2);

    owner.post(&format!("/v1/videos/{film}/trash"), &()).await;
    assert_eq!(count().await, 0);
    assert_eq!(refusal(open(&friend, share(1), film).await).await.0, 404);
    owner.post(&format!("/v1/videos/{film}/restore"), &()).await;
    assert_eq!(count().await, 2);

    let admin = Admin::open(Config::new(dir.path().join("data"))).unwrap();
    admin.set_disabled("Ada", true).await.unwrap();
    assert_eq!(count().await, 0);
    assert_eq!(refusal(urls(&friend, share(1), film, &objects).await).await.0, 404);
    admin.set_disabled("Ada", false).await.unwrap();
    read::<GiftOpened>(open(&friend, share(1), film).await).await;

    admin.set_disabled("Bob", true).await.unwrap();
    assert_eq!(refusal(friend.get("/v1/received").await).await, (401, "signed_out".into()));
}

#[tokio::test]
async fn a_deleted_film_is_given_no_more_and_nothing_to_a_disabled_account() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let (owner, friend, _, film, _) = three(&home).await;
    owner.share(&gift(share(1), film, friend.opened.account)).await;
    assert_eq!(received(&friend).await.received.len(), 1);
    owner.delete(&format!("/v1/videos/{film}")).await;
    assert_eq!(received(&friend).await.received.len(), 0);
    assert_eq!(refusal(open(&friend, share(1), film).await).await.0, 404);

    let (another, _) = owner.publish(video(2), &[b"the index", b"a pack"]).await;
    Admin::open(Config::new(dir.path().join("data"))).unwrap().set_disabled("Bob", true).await.unwrap();
    let more = gift(share(3), another.video, friend.opened.account);
    assert_eq!(refusal(owner.post("/v1/shares", &more).await).await.0, 404, "nobody is there to take it");
}

#[tokio::test]
async fn a_gift_that_makes_no_sense_is_refused() {
    let (_dir, home) = home().await;
    let (owner, friend, _, film, _) = three(&home).await;
    let good = gift(share(1), film, friend.opened.account);
    let mut bad = vec![good.clone(); 8];
    bad[0].recipient = None;
    bad[1].recipient = Some(owner.opened.account);
    bad[2].token_hash = Some(Bytes(vec![1; 32]));
    bad[3].policy.max_plays = Some(3);
    bad[4].videos[0].grant_share = Some(Bytes(GRANT.to_vec()));
    bad[5].videos[0].view_share = Some(Bytes(VIEW.to_vec()));
    bad[6].videos[0].tracks =
        request(ShareKind::Lent, share(1), film, Policy::default()).videos[0].tracks.clone();
    bad[7].sealed = Bytes::default();
    for (n, bad) in bad.iter().enumerate() {
        assert_eq!(refusal(owner.post("/v1/shares", bad).await).await, (400, "bad_request".into()), "{n}");
    }
    let mut half = request(ShareKind::Link, share(1), film, Policy::default());
    half.videos[0].grant_share = None;
    assert_eq!(refusal(owner.post("/v1/shares", &half).await).await.0, 400, "a link without its half");
    let nobody = gift(share(1), film, AccountId::from_bytes([9; 16]));
    assert_eq!(refusal(owner.post("/v1/shares", &nobody).await).await.0, 404);
    let theirs = gift(share(1), film, owner.opened.account);
    assert_eq!(refusal(friend.post("/v1/shares", &theirs).await).await.0, 404, "another's video");
    owner.share(&good).await;
    assert_eq!(owner.share(&good).await.share, share(1), "the same again is the same");
}

#[tokio::test]
async fn the_list_of_what_was_received_comes_in_pages_and_one_sender_cannot_fill_it_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let (owner, friend, stranger, film, _) = three(&home).await;
    for n in 1..=40 {
        owner.share(&gift(share(n), film, friend.opened.account)).await;
    }
    owner.share(&gift(share(41), film, stranger.opened.account)).await;
    let first = received(&friend).await;
    assert_eq!((first.received.len(), first.more), (32, true));
    assert_eq!(first.received[0].share, share(40), "the newest first");
    let next = format!("/v1/received?before={}", first.received[31].share);
    let rest: ReceivedList = read(friend.get(&next).await).await;
    assert_eq!((rest.received.len(), rest.more), (8, false));
    assert_eq!(rest.received[7].share, share(1));
    let two: ReceivedList = read(friend.get("/v1/received?limit=2").await).await;
    assert_eq!((two.received.len(), two.more), (2, true));
    let of_another: ReceivedList =
        read(friend.get(&format!("/v1/received?before={}", share(41))).await).await;
    assert!(of_another.received.is_empty(), "a place in somebody else's list is none in this one");

    let db = rusqlite::Connection::open(dir.path().join("data/gloaming.db")).unwrap();
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 960)
         INSERT INTO shares (id, account, kind, recipient, sealed, policy, request, created_at)
         SELECT randomblob(16), s.account, s.kind, s.recipient, s.sealed, s.policy, s.request, s.created_at
         FROM n, (SELECT * FROM shares WHERE recipient = ?1 LIMIT 1) s",
        [friend.opened.account.as_bytes()],
    )
    .unwrap();
    let more = gift(share(50), film, friend.opened.account);
    assert_eq!(refusal(owner.post("/v1/shares", &more).await).await, (409, "wrong_state".into()));
    owner.revoke(share(7)).await;
    owner.share(&more).await;
}
