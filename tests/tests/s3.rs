//! The promises of an object store, kept by S3: against SeaweedFS, started on loopback by the test.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{SystemTime, UNIX_EPOCH};

use gloaming_blobs::{BlobConfig, BlobError, Blobs, S3Config};
use gloaming_ids::{ObjectId, UnixMillis};
use gloaming_tests::weed::{Weed, free_ports};
use reqwest::{Client, Method, StatusCode, header};

fn now() -> UnixMillis {
    UnixMillis(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap())
}

fn object(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 16])
}

async fn put(http: &Client, blobs: &Blobs, object: ObjectId, length: u64, body: Vec<u8>) -> StatusCode {
    let upload = blobs.sign_put(object, length, now());
    let mut request = http.put(upload.url).body(body);
    for header in upload.headers {
        request = request.header(header.name, header.value);
    }
    request.send().await.unwrap().status()
}

/// One SeaweedFS for everything: it takes seconds to start.
#[tokio::test]
async fn an_s3_store_does_what_a_disk_does() {
    let Some(weed) = Weed::start().await else { return };
    let http = Client::new();
    for prefix in ["", "gloaming/"] {
        let blobs = weed.blobs(prefix);
        objects_are_written_once_read_by_range_and_deleted(&http, &blobs).await;
        urls_serve_their_own_purpose_only(&http, &blobs).await;
    }
    a_page_of_the_allowed_origin_may_reach_the_store(&http, &weed).await;
    clients_may_know_the_store_by_another_address(&http, &weed).await;
    a_clock_that_is_an_hour_off_is_named(&weed).await;
    wrong_keys_are_refused_and_a_dead_store_is_unavailable(&weed).await;
}

async fn clients_may_know_the_store_by_another_address(http: &Client, weed: &Weed) {
    let public = weed.origin().replace("127.0.0.1", "localhost");
    let config = S3Config { public_endpoint: Some(public.parse().unwrap()), ..weed.config() };
    let blobs = Blobs::open(BlobConfig::S3(config)).unwrap();
    assert_eq!(blobs.store_origins(), std::slice::from_ref(&public));
    assert!(blobs.sign_put(object(5), 4, now()).url.starts_with(&public));
    assert_eq!(put(http, &blobs, object(5), 4, b"abcd".to_vec()).await, StatusCode::OK);
    assert_eq!(blobs.stored_length(object(5)).await.unwrap(), Some(4), "by the server's own address");
    let url = blobs.sign_get(object(5), 4, now()).url;
    assert!(url.starts_with(&public));
    assert_eq!(http.get(url).send().await.unwrap().bytes().await.unwrap(), "abcd");
    blobs.delete(object(5)).await.unwrap();
}

/// A server whose clock is behind signs what is over already. (One that is ahead is let in by this store.)
async fn a_clock_that_is_an_hour_off_is_named(weed: &Weed) {
    let behind = || UnixMillis(now().0 - 3_600_000);
    let blobs = weed.blobs("").with_clock(std::sync::Arc::new(behind));
    match blobs.stored_length(object(1)).await {
        Err(error @ BlobError::Clock { minutes: 59..=60 }) => assert!(error.to_string().contains("clock")),
        other => panic!("{other:?}"),
    }
}

async fn objects_are_written_once_read_by_range_and_deleted(http: &Client, blobs: &Blobs) {
    let body: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let length = body.len() as u64;
    assert_eq!(blobs.stored_length(object(1)).await.unwrap(), None);
    assert_eq!(put(http, blobs, object(1), length, body.clone()).await, StatusCode::OK);
    assert_eq!(blobs.stored_length(object(1)).await.unwrap(), Some(length));
    assert_eq!(
        put(http, blobs, object(1), length, vec![0; body.len()]).await,
        StatusCode::PRECONDITION_FAILED
    );

    let download = blobs.sign_get(object(1), length, now());
    let whole = http.get(&download.url).send().await.unwrap();
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.headers()[header::CONTENT_TYPE], "application/octet-stream");
    assert_eq!(whole.headers()[header::CACHE_CONTROL], "private, max-age=31536000, immutable");
    assert_eq!(whole.headers()[header::CONTENT_DISPOSITION], "attachment");
    assert_eq!(whole.bytes().await.unwrap(), body);
    for (range, part) in [("bytes=100-199", 100..200), ("bytes=-5", 999_995..1_000_000)] {
        let response = http.get(&download.url).header(header::RANGE, range).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(response.bytes().await.unwrap(), body[part]);
    }

    blobs.delete(object(1)).await.unwrap();
    blobs.delete(object(1)).await.unwrap();
    assert_eq!(blobs.stored_length(object(1)).await.unwrap(), None);
    assert_eq!(http.get(&download.url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

async fn urls_serve_their_own_purpose_only(http: &Client, blobs: &Blobs) {
    let upload = blobs.sign_put(object(2), 4, now());
    assert_eq!(
        upload.headers.iter().map(|h| (h.name.as_str(), h.value.as_str())).collect::<Vec<_>>(),
        [("if-none-match", "*")]
    );
    for body in ["abc", "abcde"] {
        let status =
            http.put(&upload.url).header("if-none-match", "*").body(body).send().await.unwrap().status();
        assert_eq!(status, StatusCode::FORBIDDEN, "another length");
    }
    let bare = http.put(&upload.url).body("abcd").send().await.unwrap().status();
    assert_eq!(bare, StatusCode::FORBIDDEN, "without If-None-Match an object could be replaced");
    let moved = upload.url.replace(&object(2).to_string(), &object(3).to_string());
    let moved = http.put(moved).header("if-none-match", "*").body("abcd").send().await.unwrap().status();
    assert_eq!(moved, StatusCode::FORBIDDEN, "another object");
    for method in [Method::GET, Method::DELETE] {
        let status = http.request(method, &upload.url).send().await.unwrap().status();
        assert_eq!(status, StatusCode::FORBIDDEN, "another method");
    }
    let old = blobs.sign_put(object(2), 4, UnixMillis(now().0 - 2 * 3_600_000));
    let old = http.put(old.url).header("if-none-match", "*").body("abcd").send().await.unwrap().status();
    assert_eq!(old, StatusCode::FORBIDDEN, "expired");
    assert_eq!(blobs.stored_length(object(2)).await.unwrap(), None);
}

async fn a_page_of_the_allowed_origin_may_reach_the_store(http: &Client, weed: &Weed) {
    const PAGE: &str = "https://video.example";

    let blobs = weed.blobs("");
    assert_eq!(blobs.store_origins(), [weed.origin()]);
    blobs.put_bucket_cors(PAGE).await.unwrap();
    let upload = blobs.sign_put(object(4), 4, now());
    let preflight = |origin: &'static str| {
        http.request(Method::OPTIONS, &upload.url)
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "PUT")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "if-none-match")
            .send()
    };
    let allowed = preflight(PAGE).await.unwrap();
    assert_eq!(allowed.status(), StatusCode::OK);
    assert_eq!(allowed.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    let refused = preflight("https://elsewhere.example").await.unwrap();
    assert_eq!(refused.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN), None);

    assert_eq!(put(http, &blobs, object(4), 4, b"abcd".to_vec()).await, StatusCode::OK);
    let url = blobs.sign_get(object(4), 4, now()).url;
    let response =
        http.get(url).header(header::ORIGIN, PAGE).header(header::RANGE, "bytes=0-1").send().await.unwrap();
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    let exposed = response.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().to_lowercase();
    assert!(exposed.contains("content-range"), "{exposed}");
}

async fn wrong_keys_are_refused_and_a_dead_store_is_unavailable(weed: &Weed) {
    let wrong = S3Config { secret_key: "wrong".into(), ..weed.config() };
    let wrong = Blobs::open(BlobConfig::S3(wrong)).unwrap();
    assert!(matches!(wrong.check().await, Err(BlobError::Refused { status: 403 })));
    assert!(matches!(wrong.delete(object(1)).await, Err(BlobError::Refused { status: 403 })));

    let [nobody] = free_ports();
    let dead = S3Config { endpoint: format!("http://127.0.0.1:{nobody}").parse().unwrap(), ..weed.config() };
    let dead = Blobs::open(BlobConfig::S3(dead)).unwrap();
    match dead.stored_length(object(1)).await {
        Err(BlobError::Unavailable { reason }) => assert!(!reason.contains("Signature"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
