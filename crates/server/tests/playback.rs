//! Watching under a share: what is granted, what is refused, and what stands in the log afterwards.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::time::Duration;

use common::{viewer::*, *};
use gloaming_api::{
    Bytes,
    playback::{PlaybackRefresh, PlaybackRefreshed, PlaybackReport},
    share::{PlayList, Policy, ShareInfo, ShareKind, ShareList},
    video::SignedDownloads,
};
use gloaming_grants::exchange::{Answer, Offer};
use gloaming_ids::{ObjectId, ShareId, UnixMillis, VideoId};
use gloaming_server::{Admin, Config};
use reqwest::Method;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A video with a link to it, on these terms.
async fn shared(owner: &Person<'_>, policy: Policy) -> (VideoId, Vec<ObjectId>) {
    let (info, objects) = owner.publish(video(1), &[b"the index", b"a pack"]).await;
    owner.share(&request(ShareKind::Link, share(1), info.video, policy)).await;
    (info.video, objects)
}

fn until(home: &Home, seconds: u64) -> Policy {
    Policy { until: Some(home.now() + SECOND * u32::try_from(seconds).unwrap()), ..Policy::default() }
}

#[tokio::test]
async fn a_link_plays_and_every_grant_is_in_the_log() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    assert_eq!(viewer.started.video_id, film);
    assert_eq!(viewer.started.sealed.0, [5; 200]);
    assert_eq!(viewer.started.view_share, None);
    assert_eq!(viewer.started.epoch_seconds, 20);
    assert!(
        viewer.set_cookie.ends_with("; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax"),
        "{}",
        viewer.set_cookie
    );
    let index = home.request(Method::GET, &viewer.started.index.url).send().await.unwrap();
    assert_eq!(index.bytes().await.unwrap(), "the index".as_bytes());

    assert_eq!(viewer.watch(picture(), 0, 8).await.grants.len(), 8);
    assert_eq!(viewer.watch(sound(), 0, 8).await.grants.len(), 8);
    home.later(SECOND * 50);
    assert_eq!(viewer.watch(picture(), 96, 8).await.grants.len(), 4, "the track ends");
    let one = format!("/v1/key?video_id={film}&rend={}&seg_idx=3", picture());
    assert_eq!(viewer.get(&one).await.status(), 200);
    let report = PlaybackReport { startup_ms: Some(321), stalls: 2 };
    assert_eq!(viewer.post("/v1/session/report", &report).await.status(), 204);

    let log = owner.verified_log(film).await;
    assert_eq!(log.count, 21);
    let segments: Vec<u32> = log.rows.iter().filter(|r| r.track == picture()).map(|r| r.segment).collect();
    assert_eq!(segments, [0, 1, 2, 3, 4, 5, 6, 7, 96, 97, 98, 99, 3]);
    assert_eq!((log.rows[0].network.as_str(), log.rows[0].agent.as_str()), ("127.0.0.0/24", "A Browser/1"));
    let plays: PlayList = read(owner.get(&format!("/v1/videos/{film}/plays")).await).await;
    let play = &plays.plays[0];
    assert_eq!((plays.plays.len(), play.grants, play.furthest_ms, play.watching), (1, 21, 400_000, true));
    assert_eq!((play.startup_ms, play.stalls), (Some(321), 2));
    assert_eq!(by_playback(&log), [(play.playback, 21)].into());
    let info: ShareInfo = read(owner.get(&format!("/v1/shares/{}", share(1))).await).await;
    assert_eq!((info.viewers, info.plays, info.watching), (1, 1, 1));
    assert!(info.watched_at.is_some());
}

#[tokio::test]
async fn a_share_is_made_once_and_its_owner_alone_sees_it() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let again = request(ShareKind::Link, share(1), film, Policy::default());
    assert_eq!(owner.share(&again).await.share, share(1));
    let other = request(ShareKind::Link, share(1), film, until(&home, 5));
    assert_eq!(refusal(owner.post("/v1/shares", &other).await).await, (409, "wrong_state".into()));
    let list: ShareList = read(owner.get("/v1/shares").await).await;
    assert_eq!(list.shares.len(), 1);

    let friend = home.register("Bob", &owner.invite(None).await).await;
    for path in [
        format!("/v1/shares/{}", share(1)),
        format!("/v1/videos/{film}/grants"),
        format!("/v1/videos/{film}/plays"),
    ] {
        assert_eq!(refusal(friend.get(&path).await).await, (404, "not_found".into()), "{path}");
    }
    for path in ["policy", "revoke"] {
        let path = format!("/v1/shares/{}/{path}", share(1));
        assert_eq!(refusal(friend.post(&path, &Policy::default()).await).await.0, 404, "{path}");
    }
    let theirs = request(ShareKind::Link, share(2), film, Policy::default());
    assert_eq!(refusal(friend.post("/v1/shares", &theirs).await).await.0, 404, "another's video");
    assert_eq!(refusal(home.post("/v1/shares", &theirs).await).await.0, 401);
}

#[tokio::test]
async fn a_share_that_makes_no_sense_is_refused() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let good = request(ShareKind::Link, share(2), film, Policy::default());
    let open = request(ShareKind::Open, share(2), film, Policy::default());
    let mut bad = vec![good.clone(); 12];
    bad[0].token_hash = None;
    bad[1].token_hash = Some(Bytes(vec![1; 31]));
    bad[2].recipient = Some(owner.opened.account);
    bad[3].sealed = Bytes::default();
    bad[4].videos.clear();
    bad[5].videos.push(good.videos[0].clone());
    bad[6].videos[0].grant_share.as_mut().unwrap().0.pop();
    bad[7].videos[0].view_share = Some(Bytes(VIEW.to_vec()));
    bad[8].videos[0].tracks[0].charged = false;
    bad[9].videos[0].tracks[1].track = picture();
    bad[10].policy.max_plays = Some(0);
    bad[11].policy.embed_origins = vec!["https://a.example/; script-src *".into()];
    bad.push(gloaming_api::share::ShareRequest { sealed: Bytes::default(), ..open.clone() });
    let mut blind = open;
    blind.videos[0].view_share = None;
    bad.push(blind);
    for (n, bad) in bad.iter().enumerate() {
        assert_eq!(refusal(owner.post("/v1/shares", bad).await).await, (400, "bad_request".into()), "{n}");
    }
    owner.post(&format!("/v1/videos/{film}/trash"), &()).await;
    assert_eq!(refusal(owner.post("/v1/shares", &good).await).await, (409, "wrong_state".into()));
}

#[tokio::test]
async fn who_lacks_the_link_or_the_account_does_not_begin() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let friend = home.register("Bob", &owner.invite(None).await).await;
    let stranger = home.register("Eve", &owner.invite(None).await).await;
    let mut loan = request(ShareKind::Lent, share(2), film, Policy::default());
    loan.recipient = Some(friend.opened.account);
    owner.share(&loan).await;
    owner.share(&request(ShareKind::Open, share(3), film, Policy::default())).await;

    let refused = async |begin: Begin<'_>| refusal(home.try_begin(begin).await.1).await;
    let link = by_link(share(1));
    assert_eq!(refused(Begin { token: Some(&[8; 32]), ..link.clone() }).await, (403, "link_refused".into()));
    assert_eq!(refused(Begin { token: None, ..link.clone() }).await, (403, "link_refused".into()));
    assert_eq!(refused(by_link(share(77))).await, (403, "link_refused".into()), "no such share");
    assert_eq!(refused(Begin { video: Some(video(9)), ..link.clone() }).await, (404, "not_found".into()));
    let lent = Begin { token: None, ..by_link(share(2)) };
    assert_eq!(refused(lent.clone()).await, (401, "signed_out".into()));
    let eve = Begin { bearer: Some(&stranger.token), ..lent.clone() };
    assert_eq!(refused(eve).await, (404, "not_found".into()));
    let mut bob = home.begin(Begin { bearer: Some(&friend.token), ..lent }).await;
    bob.watch(picture(), 0, 4).await;
    let mut anyone = home.begin(Begin { token: None, ..by_link(share(3)) }).await;
    assert_eq!(anyone.started.view_share, Some(Bytes(VIEW.to_vec())));
    anyone.watch(picture(), 0, 4).await;

    // Tokens cannot be guessed for long, and the right one waits as well, from there.
    let wrong = Begin { token: Some(&[8; 32]), ..link.clone() };
    let mut last = String::new();
    for _ in 0..12 {
        last = refused(wrong.clone()).await.1;
    }
    assert_eq!(last, "slow_down");
    assert_eq!(refused(link.clone()).await.1, "slow_down");
    home.later(SECOND * 16);
    home.begin(link).await;
}

#[tokio::test]
async fn a_request_that_is_not_the_viewers_own_and_new_is_refused() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, objects) = shared(&owner, Policy::default()).await;
    let (other, _) = owner.publish(video(2), &[b"another"]).await;
    owner.share(&request(ShareKind::Link, share(2), other.video, Policy::default())).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    let thief = home.begin(by_link(share(1))).await;
    let target = key_target(film, picture(), 0, 4);
    let get = Method::GET;

    // The cookie alone; and with a proof by other keys.
    let bare = home.request(get.clone(), &target).header("cookie", format!("vp_session={}", viewer.cookie));
    assert_eq!(refusal(bare.send().await.unwrap()).await, (401, "bad_proof".into()));
    let mut stolen = home.begin(Begin { cookie: Some(&viewer.cookie), ..by_link(share(2)) }).await;
    let forged = stolen.prove(&get, &target, b"").to_string();
    let (own, other_id) = (stolen.purpose.playback.to_string(), viewer.purpose.playback.to_string());
    let forged = forged.replace(&own, &other_id);
    assert_eq!(
        refusal(viewer.send(get.clone(), &target, vec![], &forged).await).await,
        (401, "bad_proof".into())
    );
    // The proof without the cookie.
    let proof = viewer.prove(&get, &target, b"").to_string();
    assert_eq!(
        refusal(thief.send(get.clone(), &target, vec![], &proof).await).await,
        (401, "session_gone".into())
    );
    // Of another request.
    let more = key_target(film, picture(), 0, 64);
    assert_eq!(
        refusal(viewer.send(get.clone(), &more, vec![], &proof).await).await,
        (401, "bad_proof".into())
    );
    // Once, and not again.
    assert_eq!(viewer.send(get.clone(), &target, vec![], &proof).await.status(), 200);
    assert_eq!(
        refusal(viewer.send(get.clone(), &target, vec![], &proof).await).await,
        (409, "counter_used".into())
    );
    // Another video's session, another video's objects.
    let crossed = key_target(other.video, picture(), 0, 4);
    assert_eq!(refusal(viewer.get(&crossed).await).await, (404, "not_found".into()));
    let urls = format!("/v1/urls?video_id={}&objects={}", other.video, objects[1]);
    assert_eq!(refusal(stolen.get(&urls).await).await, (404, "not_found".into()));
    // A track or a segment that there is not.
    let none = gloaming_ids::TrackId::from_bytes([1; 16]);
    assert_eq!(refusal(viewer.key(none, 0, 1).await).await.0, 404);
    assert_eq!(refusal(viewer.key(picture(), 100, 1).await).await.0, 404);
    assert_eq!(refusal(viewer.key(picture(), 0, 65).await).await.0, 400);
    assert_eq!(refusal(viewer.key(picture(), 0, 0).await).await.0, 400);
    assert_eq!(owner.verified_log(film).await.count, 4, "one request was granted, and is in the log");
    assert_eq!(owner.verified_log(other.video).await.count, 0);
}

#[tokio::test]
async fn an_epoch_that_is_over_is_over_for_proofs_and_for_recorded_answers() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    let recorded = viewer.watch(picture(), 0, 1).await;
    let target = key_target(film, picture(), 1, 1);
    let old = viewer.prove(&Method::GET, &target, b"").to_string();
    home.later(SECOND * 39);
    assert_eq!(viewer.send(Method::GET, &target, vec![], &old).await.status(), 200, "one epoch late");
    let old = viewer.prove(&Method::GET, &target, b"").to_string();
    home.later(SECOND);
    let late = viewer.send(Method::GET, &target, vec![], &old).await;
    let body = show(late).await;
    assert!(body.starts_with("409") && body.contains(r#""epoch":2"#), "{body}");
    viewer.keep_time();
    for epoch in [1, 2] {
        assert!(viewer.epochs.keys(epoch).unwrap().unwrap(&recorded.grants[0].wdek_b64.0).is_err());
    }
    // A viewer whose clock is ahead is told the epoch as well, and goes on with it.
    viewer.epochs.advance(3);
    let ahead = viewer.prove(&Method::GET, &target, b"").to_string();
    assert_eq!(refusal(viewer.send(Method::GET, &target, vec![], &ahead).await).await.1, "epoch_mismatch");
}

#[tokio::test]
async fn a_refresh_goes_on_for_half_an_hour_and_twelve_hours_are_the_end() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    let started = viewer.started.now;
    for _ in 0..28 {
        home.later(MINUTE * 25);
        let offer = Offer::new(&mut entropy);
        let body = PlaybackRefresh { client_pubkey_b64: Bytes(offer.public_key().to_vec()) };
        let response = viewer.post("/v1/session/refresh", &body).await;
        assert!(response.headers()["set-cookie"].to_str().unwrap().contains(&viewer.cookie));
        let refreshed: PlaybackRefreshed = read(response).await;
        let answer = Answer {
            ciphertext: refreshed.kem_ciphertext_b64.0,
            nonce: refreshed.nonce_b64.0.try_into().unwrap(),
        };
        let purpose = viewer.purpose;
        let from = offer.accept_refresh(&mut viewer.epochs, &purpose, &answer).unwrap();
        assert_eq!(from, refreshed.epoch);
        home.later(SECOND * 20);
        viewer.watch(picture(), 0, 1).await;
    }
    let twelve_hours = started + MINUTE * 720;
    home.later(twelve_hours.since(home.now()));
    assert_eq!(refusal(viewer.key(picture(), 0, 1).await).await, (401, "session_gone".into()));
    assert_eq!(owner.verified_log(film).await.count, 28);
}

#[tokio::test]
async fn a_clock_that_jumps_an_hour_costs_one_exchange_and_gives_nothing_away() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, until(&home, 2 * 3600)).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    viewer.watch(picture(), 0, 1).await;
    home.later(MINUTE * 60);
    assert_eq!(refusal(viewer.key(picture(), 1, 1).await).await, (401, "session_gone".into()));
    let cookie = viewer.cookie.clone();
    let mut viewer = home.begin(Begin { cookie: Some(&cookie), ..by_link(share(1)) }).await;
    viewer.watch(picture(), 1, 1).await;
    home.later(MINUTE * 60);
    let refused = refusal(home.try_begin(by_link(share(1))).await.1).await;
    assert_eq!(refused, (403, "share_expired".into()));
    assert_eq!(owner.verified_log(film).await.count, 2);
}

#[tokio::test]
async fn a_restart_costs_one_exchange_and_the_same_playback_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    let (film, _) =
        shared(&owner, Policy { max_plays: Some(1), max_viewers: Some(1), ..Policy::default() }).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    viewer.watch(picture(), 0, 3).await;
    let (cookie, playback) = (viewer.cookie.clone(), viewer.purpose.playback);
    let (token, opened) = (owner.token.clone(), owner.opened.clone());
    home.stop().await;

    let home = home_in(dir.path(), |_| {}).await;
    let owner = Person { home: &home, name: "Ada".into(), token, opened };
    let stale = home.request(Method::GET, &key_target(film, picture(), 3, 1));
    let proof = format!("{playback}.0.9.{}", "A".repeat(43));
    let stale = stale.header("cookie", format!("vp_session={cookie}")).header("x-gloaming-proof", proof);
    assert_eq!(refusal(stale.send().await.unwrap()).await, (401, "session_gone".into()));
    let mut viewer = home.begin(Begin { cookie: Some(&cookie), ..by_link(share(1)) }).await;
    assert_eq!(viewer.cookie, cookie);
    viewer.watch(picture(), 3, 3).await;
    let log = owner.verified_log(film).await;
    assert_eq!(by_playback(&log), [(playback, 6)].into(), "one playback, though there were two sessions");
    let refused = refusal(home.try_begin(by_link(share(1))).await.1).await;
    assert_eq!(refused, (403, "share_used_up".into()), "another browser is another playback");
}

#[tokio::test]
async fn viewers_playbacks_and_browsers_at_once_are_counted() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    shared(&owner, Policy { max_at_once: Some(1), max_plays: Some(3), ..Policy::default() }).await;
    let refused = async |begin: Begin<'_>| refusal(home.try_begin(begin).await.1).await;
    let mut first = home.begin(by_link(share(1))).await;
    first.watch(picture(), 0, 1).await;
    assert_eq!(refused(by_link(share(1))).await, (403, "too_many_at_once".into()));
    let cookie = first.cookie.clone();
    let mut reloaded = home.begin(Begin { cookie: Some(&cookie), ..by_link(share(1)) }).await;
    reloaded.watch(picture(), 1, 1).await;
    // Who pauses for a minute makes room, and then waits for it in turn.
    home.later(SECOND * 61);
    let mut second = home.begin(by_link(share(1))).await;
    second.watch(picture(), 0, 1).await;
    assert_eq!(refusal(first.key(picture(), 2, 1).await).await, (403, "too_many_at_once".into()));
    // More places hold from the next grant on.
    owner.set_policy(share(1), &Policy { max_plays: Some(3), ..Policy::default() }).await;
    first.watch(picture(), 2, 1).await;
    home.begin(by_link(share(1))).await;
    assert_eq!(refused(by_link(share(1))).await, (403, "share_used_up".into()));
    owner.set_policy(share(1), &Policy { max_viewers: Some(4), ..Policy::default() }).await;
    home.begin(by_link(share(1))).await;
    assert_eq!(refused(by_link(share(1))).await, (403, "share_used_up".into()));
    let info: ShareInfo = read(owner.get(&format!("/v1/shares/{}", share(1))).await).await;
    assert_eq!((info.viewers, info.plays, info.watching), (4, 4, 4));
}

#[tokio::test]
async fn nobody_is_granted_more_than_four_times_real_time() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    let part = viewer.watch(picture(), 0, 64).await;
    assert_eq!((part.grants.len(), part.retry_after_ms), (30, Some(1000)), "two minutes at once");
    let refused = viewer.key(picture(), 30, 1).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refusal(refused).await, (429, "slow_down".into()));
    assert_eq!(viewer.watch(sound(), 0, 64).await.grants.len(), 64, "sound is not charged");
    home.later(SECOND * 10);
    assert_eq!(viewer.watch(picture(), 30, 64).await.grants.len(), 10);
    // Another tab has no other bucket.
    let cookie = viewer.cookie.clone();
    let mut tab = home.begin(Begin { cookie: Some(&cookie), ..by_link(share(1)) }).await;
    assert_eq!(refusal(tab.key(picture(), 40, 1).await).await.0, 429);
    owner.set_policy(share(1), &Policy { speed_tenths: Some(10), ..Policy::default() }).await;
    home.later(SECOND * 8);
    assert_eq!(viewer.watch(picture(), 40, 64).await.grants.len(), 2, "real time only");
    assert_eq!(owner.verified_log(film).await.count, 30 + 64 + 10 + 2);
}

#[tokio::test]
async fn a_limit_of_requests_holds_where_it_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |config| {
        config.playback.request_limit = Some((5, SECOND * 10));
    })
    .await;
    let owner = home.owner().await;
    shared(&owner, Policy::default()).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    for index in 0..5 {
        viewer.watch(picture(), index, 1).await;
    }
    assert_eq!(refusal(viewer.key(picture(), 5, 1).await).await, (429, "slow_down".into()));
    home.later(SECOND * 2);
    viewer.watch(picture(), 5, 1).await;
}

#[tokio::test]
async fn a_batch_does_not_reach_past_the_end_of_the_share() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, until(&home, 60)).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    home.later(SECOND * 56);
    // Four seconds are left: at the fastest, sixteen seconds of video.
    assert_eq!(viewer.watch(picture(), 0, 64).await.grants.len(), 4);
    home.later(SECOND * 4);
    assert_eq!(refusal(viewer.key(picture(), 4, 1).await).await, (403, "share_expired".into()));
    let offer = Offer::new(&mut entropy);
    let body = PlaybackRefresh { client_pubkey_b64: Bytes(offer.public_key().to_vec()) };
    assert_eq!(refusal(viewer.post("/v1/session/refresh", &body).await).await.1, "share_expired");
    owner.set_policy(share(1), &Policy { from: Some(home.now() + MINUTE), ..Policy::default() }).await;
    let early = show(viewer.key(picture(), 4, 1).await).await;
    assert!(early.starts_with("403") && early.contains("share_not_yet") && early.contains("from"), "{early}");
    owner.set_policy(share(1), &Policy::default()).await;
    viewer.watch(picture(), 4, 1).await;
    assert_eq!(owner.verified_log(film).await.count, 5);
}

#[tokio::test]
async fn revoking_stops_the_next_grant_and_forgets_the_servers_half() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    let (film, objects) = shared(&owner, Policy { speed_tenths: Some(10_000), ..Policy::default() }).await;
    // Eight browsers ask as fast as they can while the owner revokes.
    let mut viewers = Vec::new();
    for _ in 0..8 {
        viewers.push(home.begin(by_link(share(1))).await);
    }
    let urls = format!("/v1/urls?video_id={film}&objects={}", objects[1]);
    assert_eq!(viewers[0].get(&urls).await.status(), 200);
    let storm = futures::future::join_all(viewers.iter_mut().map(|viewer| async move {
        let mut granted = 0u64;
        for index in 0..90 {
            let answer = viewer.key(sound(), index, 1).await;
            if answer.status() != 200 {
                assert_eq!(refusal(answer).await, (403, "share_revoked".into()));
                break;
            }
            granted += 1;
        }
        granted
    }));
    let revoke = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let info = owner.revoke(share(1)).await;
        assert!(info.revoked_at.is_some());
        owner.verified_log(film).await.count
    };
    let (granted, count_when_revoked) = tokio::join!(storm, revoke);
    let log = owner.verified_log(film).await;
    assert_eq!(log.count, count_when_revoked, "no row after the revocation was answered");
    assert_eq!(log.count, granted.iter().sum::<u64>(), "a row for each grant, and no other");
    for viewer in &mut viewers {
        assert_eq!(refusal(viewer.get(&urls).await).await.1, "share_revoked");
    }
    assert_eq!(refusal(home.try_begin(by_link(share(1))).await.1).await.1, "share_revoked");
    assert!(owner.revoke(share(1)).await.revoked_at.is_some(), "again is the same");
    home.stop().await;
    let db = rusqlite::Connection::open(dir.path().join("data/gloaming.db")).unwrap();
    let left: u32 = db
        .query_row(
            "SELECT count(*) FROM share_videos WHERE grant_share IS NOT NULL OR key_id IS NOT NULL",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn addresses_are_of_the_video_brief_and_end_with_it() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (film, objects) = shared(&owner, Policy::default()).await;
    let (_, others) = owner.publish(video(2), &[b"another"]).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    let urls = format!("/v1/urls?video_id={film}&objects={},{}", objects[0], objects[1]);
    let signed: SignedDownloads = read(viewer.get(&urls).await).await;
    assert_eq!(signed.downloads.len(), 2);
    for download in &signed.downloads {
        let good_for = download.expires_at.since(home.now());
        assert!(good_for > MINUTE * 4 - SECOND && good_for <= MINUTE * 5, "{good_for:?}");
    }
    let pack = home.request(Method::GET, &signed.downloads[1].url).send().await.unwrap();
    assert_eq!(pack.bytes().await.unwrap(), "a pack".as_bytes());
    let foreign = format!("/v1/urls?video_id={film}&objects={},{}", objects[0], others[0]);
    assert_eq!(refusal(viewer.get(&foreign).await).await, (404, "not_found".into()));
    home.later(MINUTE * 5 + SECOND);
    let over = home.request(Method::GET, &signed.downloads[1].url).send().await.unwrap();
    assert_eq!(over.status(), 403);
    viewer.get(&urls).await.error_for_status().unwrap();

    owner.post(&format!("/v1/videos/{film}/trash"), &()).await;
    assert_eq!(refusal(viewer.get(&urls).await).await, (404, "not_found".into()));
    assert_eq!(refusal(viewer.key(picture(), 0, 1).await).await, (404, "not_found".into()));
    assert_eq!(refusal(home.try_begin(by_link(share(1))).await.1).await.0, 404);
    owner.post(&format!("/v1/videos/{film}/restore"), &()).await;
    viewer.watch(picture(), 0, 1).await;
    owner.delete(&format!("/v1/videos/{film}")).await;
    assert_eq!(refusal(viewer.key(picture(), 0, 1).await).await, (404, "not_found".into()));
    assert_eq!(owner.verified_log(film).await.count, 1, "the log outlives the video");
}

#[tokio::test]
async fn a_disabled_account_lends_and_borrows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let friend = home.register("Bob", &owner.invite(None).await).await;
    let mut loan = request(ShareKind::Lent, share(2), film, Policy::default());
    loan.recipient = Some(friend.opened.account);
    owner.share(&loan).await;
    let mut link = home.begin(by_link(share(1))).await;
    let lent = Begin { token: None, bearer: Some(&friend.token), ..by_link(share(2)) };
    let mut bob = home.begin(lent).await;
    bob.watch(picture(), 0, 1).await;
    let admin = Admin::open(Config::new(dir.path().join("data"))).unwrap();
    admin.set_disabled("Bob", true).await.unwrap();
    assert_eq!(refusal(bob.key(picture(), 1, 1).await).await, (404, "not_found".into()));
    link.watch(picture(), 0, 1).await;
    admin.set_disabled("Ada", true).await.unwrap();
    assert_eq!(refusal(link.key(picture(), 1, 1).await).await, (404, "not_found".into()));
}

#[tokio::test]
async fn a_dump_of_everything_the_server_has_opens_nothing_but_open_shares() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    owner.share(&request(ShareKind::Audience, share(2), film, Policy::default())).await;
    home.begin(by_link(share(1))).await.watch(picture(), 0, 4).await;
    home.stop().await;
    let db = rusqlite::Connection::open(dir.path().join("data/gloaming.db")).unwrap();
    let views: u32 = db
        .query_row("SELECT count(*) FROM share_videos WHERE view_share IS NOT NULL", [], |r| r.get(0))
        .unwrap();
    assert_eq!(views, 0, "no view share is there, not even sealed under the master key");
    // Nor a grant share, a token, a cookie or a chain in the clear, in any file.
    let mut files = vec![dir.path().join("data")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for secret in [&GRANT[..], &VIEW[..], &TOKEN[..]] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn the_master_key_is_replaced_while_people_watch_and_after_an_interruption() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    owner.share(&request(ShareKind::Open, share(2), film, Policy::default())).await;
    let admin = Admin::open(Config::new(dir.path().join("data"))).unwrap();
    let before = admin.master_keys().await.unwrap();
    assert_eq!(before.envelopes, [(before.current.clone(), 2)]);
    let report = admin.rotate_master_key().await.unwrap();
    assert_eq!(report.resealed, 2);
    assert_ne!(report.key_id, before.current);

    // The server has the old key in memory, and learns of the new one both ways.
    home.begin(by_link(share(1))).await.watch(picture(), 0, 1).await;
    admin.rotate_master_key().await.unwrap();
    owner.share(&request(ShareKind::Link, share(3), film, Policy::default())).await;
    home.begin(by_link(share(3))).await.watch(picture(), 0, 1).await;

    // Killed when the new key was in place and nothing was sealed anew.
    let secrets = dir.path().join("data/secrets");
    std::fs::copy(secrets.join("master.key"), secrets.join("master.old.key")).unwrap();
    std::fs::write(secrets.join("master.key"), [0x55; 32]).unwrap();
    let mut open = home.begin(Begin { token: None, ..by_link(share(2)) }).await;
    open.watch(picture(), 0, 1).await;
    assert_eq!(open.started.view_share, Some(Bytes(VIEW.to_vec())));
    let report = admin.rotate_master_key().await.unwrap();
    assert_eq!(report.resealed, 3);
    let after = admin.master_keys().await.unwrap();
    assert_eq!(after.envelopes, [(report.key_id.clone(), 3)]);
    assert!(!secrets.join("master.old.key").exists());
    home.stop().await;

    // A restart with that key; and none without it.
    let home = home_in(dir.path(), |_| {}).await;
    home.begin(by_link(share(1))).await.watch(picture(), 0, 1).await;
    home.stop().await;
    std::fs::remove_file(secrets.join("master.key")).unwrap();
    let missing = gloaming_server::Server::open(Config::new(dir.path().join("data"))).await;
    assert!(missing.is_err_and(|error| error.to_string().contains("master.key")));
}

#[tokio::test]
async fn a_frame_has_a_cookie_of_its_own_and_only_the_sites_that_were_named() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let site = "https://course.example.org";
    let policy =
        Policy { embed_origins: vec![site.into()], until: Some(home.now() + MINUTE), ..Policy::default() };
    shared(&owner, policy).await;
    let framed = home.begin(Begin { embedded: true, ..by_link(share(1)) }).await;
    assert!(
        framed.set_cookie.ends_with("HttpOnly; SameSite=None; Secure; Partitioned"),
        "{}",
        framed.set_cookie
    );
    let ancestors = async |path: String| {
        let page = home.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        let csp = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        csp.split("frame-ancestors ").nth(1).unwrap().split(';').next().unwrap().to_owned()
    };
    assert_eq!(ancestors(format!("/embed/{}", share(1))).await, site);
    assert_eq!(ancestors(format!("/v/{}", share(1))).await, "'none'");
    assert_eq!(ancestors(format!("/embed/{}", share(9))).await, "'none'");
    assert_eq!(ancestors("/embed/x".into()).await, "'none'");
    home.later(MINUTE);
    assert_eq!(ancestors(format!("/embed/{}", share(1))).await, "'none'", "expired");
}

#[tokio::test]
async fn old_grants_are_cleared_away_and_the_rest_of_the_chain_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |config| config.playback.log_retention = Some(MINUTE * 10)).await;
    let owner = home.owner().await;
    let (film, _) = shared(&owner, Policy::default()).await;
    let mut viewer = home.begin(by_link(share(1))).await;
    viewer.watch(picture(), 0, 8).await;
    home.later(MINUTE * 8);
    viewer.watch(picture(), 0, 4).await;
    home.later(MINUTE * 5);
    home.jobs.clear_log().await;
    let log = owner.verified_log(film).await;
    assert_eq!((log.cleared, log.count, log.rows.len()), (8, 12, 4));
    home.later(MINUTE * 10);
    home.jobs.clear_log().await;
    let log = owner.verified_log(film).await;
    assert_eq!((log.cleared, log.count, log.rows.len()), (12, 12, 0));
    let mut again = home.begin(by_link(share(1))).await;
    again.watch(picture(), 0, 2).await;
    assert_eq!(owner.verified_log(film).await.rows.len(), 2);
}

/// What a session is, for the walk below.
struct Walker<'h> {
    viewer: Viewer<'h>,
    of: usize,
}

/// Many random steps: the clock, policies, revocations, the trash; and requests of every kind by every session. What the
/// owner's rules do not give must not be granted, by any route, and what is granted must be in the log.
#[tokio::test]
async fn on_a_long_walk_no_route_grants_what_the_policy_does_not_give() {
    for seed in 0..3 {
        walk(seed).await;
    }
}

async fn walk(seed: u64) {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let mut state = seed.wrapping_add(1);
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let (one, objects) = owner.publish(video(1), &[b"the index", b"a pack"]).await;
    let (two, _) = owner.publish(video(2), &[b"the index", b"a pack"]).await;
    let films = [one.video, two.video];
    let kinds = [ShareKind::Link, ShareKind::Audience, ShareKind::Open, ShareKind::Link];
    let mut policies = vec![Policy { speed_tenths: Some(10_000), ..Policy::default() }; kinds.len()];
    let (mut revoked, mut trashed) = (vec![false; kinds.len()], [false; 2]);
    let film_of = |of: usize| of % 2;
    let id = |of: usize| -> ShareId { share(u8::try_from(of + 1).unwrap()) };
    for (of, kind) in kinds.iter().enumerate() {
        owner.share(&request(*kind, id(of), films[film_of(of)], policies[of].clone())).await;
    }
    let mut walkers: Vec<Walker<'_>> = Vec::new();
    let mut granted = [0; 2];
    for _ in 0..150 {
        let of = usize::try_from(random(kinds.len() as u64)).unwrap();
        let allowed =
            |of: usize, policies: &[Policy], revoked: &[bool], trashed: &[bool], now: UnixMillis| {
                !revoked[of]
                    && !trashed[film_of(of)]
                    && policies[of].from.is_none_or(|from| now >= from)
                    && policies[of].until.is_none_or(|until| now < until)
            };
        match random(10) {
            0 => home.later(SECOND * u32::try_from(random(90)).unwrap()),
            1 => {
                let at = |n: u64| Some(UnixMillis(home.now().0 + n * 1000 - 60_000));
                let end = random(3);
                policies[of].from = if end == 1 { at(random(120)) } else { None };
                policies[of].until = if end == 2 { at(random(120)) } else { None };
                owner.set_policy(id(of), &policies[of]).await;
            }
            2 if random(8) == 0 => {
                owner.revoke(id(of)).await;
                revoked[of] = true;
            }
            3 => {
                let film = film_of(of);
                let verb = if trashed[film] { "restore" } else { "trash" };
                owner
                    .post(&format!("/v1/videos/{}/{verb}", films[film]), &())
                    .await
                    .error_for_status()
                    .unwrap();
                trashed[film] = !trashed[film];
            }
            4 | 5 => {
                let token = (kinds[of] != ShareKind::Open).then_some(&TOKEN[..]);
                let begin = Begin { token, ..by_link(id(of)) };
                if allowed(of, &policies, &revoked, &trashed, home.now()) {
                    walkers.push(Walker { viewer: home.begin(begin).await, of });
                } else {
                    assert!(!home.try_begin(begin).await.1.status().is_success());
                }
            }
            _ if !walkers.is_empty() => {
                let n = usize::try_from(random(walkers.len() as u64)).unwrap();
                let Walker { viewer, of } = &mut walkers[n];
                let film = film_of(*of);
                let gone = home.now() >= viewer.started.expires_at;
                let may = !gone && allowed(*of, &policies, &revoked, &trashed, home.now());
                let target = match random(6) {
                    0 => format!("/v1/urls?video_id={}&objects={}", films[film], objects[1]),
                    1 => key_target(films[1 - film], picture(), 0, 1),
                    _ => key_target(films[film], sound(), u32::try_from(random(90)).unwrap(), 4),
                };
                let answer = viewer.get(&target).await;
                let own_key = target.starts_with(&format!("/v1/key?video_id={}", films[film]));
                let own_url = target.starts_with("/v1/urls") && film == 0;
                assert_eq!(
                    answer.status() == 200,
                    may && (own_key || own_url),
                    "{target} {}",
                    show(answer).await
                );
                granted[film] += if may && own_key { 4 } else { 0 };
            }
            _ => {}
        }
    }
    for (film, granted) in films.iter().zip(granted) {
        assert_eq!(owner.verified_log(*film).await.count, granted, "seed {seed}");
    }
}
