//! Keyring and library over the wire.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::*;
use gloaming_api::{
    Bytes,
    keyring::{KeyringUpdate, SealedKeyring},
    library::{Change, Changes, EMPTY_HEAD, Feed, MAX_RECORD, Written, next_head, record_digest},
};
use gloaming_ids::RecordId;
use reqwest::StatusCode;

fn change(n: u8, expected: u64, sealed: Option<&[u8]>) -> Change {
    let sealed = sealed.map(|bytes| Bytes(bytes.to_vec()));
    Change { record: RecordId::from_bytes([n; 16]), expected, sealed }
}

#[tokio::test]
async fn a_keyring_is_swapped_only_from_the_version_that_was_read() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let update = KeyringUpdate { expected: 1, keyring: keyring(2) };
    assert_eq!(owner.put("/v1/keyring", &update).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(read::<SealedKeyring>(owner.get("/v1/keyring").await).await, keyring(2));
    insta::assert_snapshot!(
        show(owner.put("/v1/keyring", &update).await).await,
        @r#"409 {"code":"version_conflict","detail":{"current":2},"message":"Another device changed this first. Fetch it, merge, and try again."}"#
    );
    // An old wrap, written by a device that missed a change of password, is no part of a new keyring.
    let mut stale = KeyringUpdate { expected: 2, keyring: keyring(3) };
    stale.keyring.wraps[0].sealed = wrap(1, 1);
    assert_eq!(refusal(owner.put("/v1/keyring", &stale).await).await, (409, "version_conflict".into()));
    let mut unwrapped = KeyringUpdate { expected: 2, keyring: keyring(3) };
    unwrapped.keyring.wraps.clear();
    assert_eq!(refusal(owner.put("/v1/keyring", &unwrapped).await).await, (400, "bad_request".into()));
    assert_eq!(read::<SealedKeyring>(owner.get("/v1/keyring").await).await, keyring(2));
}

#[tokio::test]
async fn a_library_is_a_feed_whose_chain_a_client_can_recompute() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let write = async |changes: Vec<Change>| owner.post("/v1/library", &Changes { changes }).await;
    let first: Written =
        read(write(vec![change(1, 0, Some(b"one")), change(2, 0, Some(b"two"))]).await).await;
    assert_eq!(first.last, 2);
    let second: Written = read(write(vec![change(1, 1, Some(b"uno")), change(2, 1, None)]).await).await;

    let feed: Feed = read(owner.get("/v1/library").await).await;
    assert_eq!((feed.last, feed.entries.len()), (4, 4));
    let head = feed.entries.iter().fold(EMPTY_HEAD, |head, entry| next_head(&head, entry));
    assert_eq!((&feed.head.0, &second.head.0), (&head.to_vec(), &head.to_vec()));
    assert_eq!(feed.entries[0].sealed, None, "superseded");
    assert_eq!(feed.entries[0].digest.0, record_digest(b"one"));
    assert_eq!(feed.entries[2].sealed, Some(Bytes(b"uno".to_vec())));
    assert!(feed.entries[3].deleted && feed.entries[3].sealed.is_none());

    let page: Feed = read(owner.get("/v1/library?since=1&limit=1").await).await;
    assert_eq!((page.entries.len(), page.entries[0].seq, page.last), (1, 2, 4));
    assert_eq!(page.head, first.head);
    let ahead: Feed = read(owner.get("/v1/library?since=900").await).await;
    assert_eq!((ahead.entries.len(), ahead.last), (0, 4), "a client that knows more raises the alarm");

    let stale = write(vec![change(3, 0, Some(b"three")), change(1, 1, Some(b"eins"))]).await;
    insta::assert_snapshot!(
        show(stale).await,
        @r#"409 {"code":"version_conflict","detail":{"current":2,"record":"01010101-0101-0101-0101-010101010101"},"message":"Another device changed this first. Fetch it, merge, and try again."}"#
    );
    let feed: Feed = read(owner.get("/v1/library?since=4").await).await;
    assert!(feed.entries.is_empty(), "nothing of a refused write stays");
}

#[tokio::test]
async fn nobody_reads_or_overwrites_anothers_library() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let member = home.register("Bob", &owner.invite(None).await).await;
    let write = Changes { changes: vec![change(1, 0, Some(b"mine"))] };
    read::<Written>(owner.post("/v1/library", &write).await).await;
    let feed: Feed = read(member.get("/v1/library").await).await;
    assert!(feed.entries.is_empty());
    let over = Changes { changes: vec![change(1, 1, Some(b"his"))] };
    assert_eq!(refusal(member.post("/v1/library", &over).await).await, (409, "version_conflict".into()));
    let nobody = home.request(reqwest::Method::GET, "/v1/library").send().await.unwrap();
    assert_eq!(refusal(nobody).await, (401, "signed_out".into()));
}

#[tokio::test]
async fn what_is_too_large_is_refused_in_words() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let large = vec![7; MAX_RECORD + 1];
    let record = Changes { changes: vec![change(1, 0, Some(&large))] };
    assert_eq!(refusal(owner.post("/v1/library", &record).await).await, (413, "too_large".into()));
    // Longer than the route reads at all.
    let endless = "x".repeat(16 << 20);
    let body = serde_json::json!({ "changes": [], "more": endless });
    insta::assert_snapshot!(
        show(owner.post("/v1/library", &body).await).await,
        @r#"413 {"code":"too_large","message":"This request is larger than the server takes. Send less at once."}"#
    );
    let body = serde_json::json!({ "label": "x".repeat(300 << 10), "valid_seconds": 5 });
    assert_eq!(refusal(owner.post("/v1/invites", &body).await).await, (413, "too_large".into()));
    let none = Changes { changes: vec![] };
    assert_eq!(refusal(owner.post("/v1/library", &none).await).await, (400, "bad_request".into()));
    // The largest that is allowed does fit.
    let full = vec![7; MAX_RECORD];
    let changes = (0..32).map(|n| change(n, 0, Some(&full))).collect();
    read::<Written>(owner.post("/v1/library", &Changes { changes }).await).await;
}

#[tokio::test]
async fn what_does_not_read_is_refused_without_repeating_it() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let send = async |kind: &'static str, body: &'static str| {
        let request = home.request(reqwest::Method::POST, "/v1/library").bearer_auth(&owner.token);
        request.header("content-type", kind).body(body).send().await.unwrap()
    };
    insta::assert_snapshot!(
        show(send("application/json", r#"{"changes": "a secret"}"#).await).await,
        @r#"400 {"code":"bad_request","message":"The body does not read as what this route takes (line 1, column 22)."}"#
    );
    let form = send("text/plain", r#"{"changes":[]}"#).await;
    assert_eq!(refusal(form).await, (400, "bad_request".into()));
    assert_eq!(refusal(owner.get("/v1/library?since=x").await).await, (400, "bad_request".into()));
    assert_eq!(refusal(owner.get("/v1/nothing").await).await, (404, "not_found".into()));
    assert_eq!(refusal(owner.post("/v1/keyring", &1).await).await, (400, "bad_request".into()));
}
