//! The page's headers, and what a browser is told where the page cannot work.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::*;
use reqwest::{Method, Response, StatusCode};

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn only_a_rooms_page_may_ask_for_a_camera_a_microphone_or_a_screen() {
    let (_dir, home) = home().await;
    let page = home.request(Method::GET, "/r/0198c3a2-0000-7000-8000-000000000000").send().await.unwrap();
    for feature in ["camera=(self)", "microphone=(self)", "display-capture=(self)", "geolocation=()"] {
        assert!(header(&page, "permissions-policy").contains(feature), "{feature}");
    }
}

#[tokio::test]
async fn the_page_runs_only_its_own_scripts_and_speaks_only_to_its_own_server() {
    let (_dir, home) = home().await;
    for path in ["/", "/setup", "/video/0198c3a2-0000-7000-8000-000000000000"] {
        let page = home.request(Method::GET, path).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        assert_eq!(header(&page, "referrer-policy"), "no-referrer");
        assert_eq!(header(&page, "cross-origin-opener-policy"), "same-origin");
        assert!(header(&page, "permissions-policy").contains("camera=()"));
        let csp = header(&page, "content-security-policy").to_owned();
        assert!(csp.starts_with("default-src 'none';"), "{csp}");
        assert!(csp.contains("frame-ancestors 'none'") && csp.contains("base-uri 'none'"), "{csp}");
        assert!(
            !csp.contains("unsafe-inline") && !csp.contains("'unsafe-eval'") && !csp.contains("http"),
            "{csp}"
        );
        if !page.text().await.unwrap().contains("The page is not built") {
            for part in [
                "script-src 'self' 'wasm-unsafe-eval';",
                "connect-src 'self';",
                "media-src 'self' blob:;",
                "frame-src 'self';",
                "require-trusted-types-for 'script'",
            ] {
                assert!(csp.contains(part), "{part} in {csp}");
            }
        }
    }
}

#[tokio::test]
async fn the_policy_names_the_object_store() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |config| {
        config.s3 = Some(gloaming_server::S3Config {
            public_endpoint: None,
            endpoint: "http://127.0.0.1:9".parse().unwrap(),
            region: "us-east-1".into(),
            bucket: "films".into(),
            prefix: String::new(),
            access_key: "key".into(),
            secret_key: "secret".into(),
            path_style: true,
        });
    })
    .await;
    let page = home.request(Method::GET, "/no-such-file.txt").send().await.unwrap();
    assert!(header(&page, "content-security-policy").contains("connect-src 'self' http://127.0.0.1:9;"));
}

#[tokio::test]
async fn answers_of_the_api_are_never_kept_nor_run() {
    let (_dir, home) = home().await;
    for path in ["/v1/server", "/v1/account", "/v1/nothing", "/v1/openapi.json"] {
        let answer = home.request(Method::GET, path).send().await.unwrap();
        assert_eq!(header(&answer, "cache-control"), "no-store", "{path}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert!(header(&answer, "content-security-policy").starts_with("default-src 'none'"));
        assert_eq!(header(&answer, "x-request-id").len(), 16);
        assert_eq!(header(&answer, "access-control-allow-origin"), "", "no other site reads it");
    }
}

#[tokio::test]
async fn over_plain_http_from_another_machine_the_page_says_why_it_cannot_work() {
    let (_dir, home) = home().await;
    for host in ["192.168.1.2:8420", "video.example.org"] {
        let page = home.request(Method::GET, "/").header("host", host).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::FORBIDDEN);
        assert!(!header(&page, "content-security-policy").contains("script-src"));
        let text = page.text().await.unwrap();
        assert!(text.contains("not secure enough") && text.contains("--tls self-signed"), "{text}");
        assert!(!text.contains("<script"));
    }
    let spoofed = home.request(Method::GET, "/").header("host", "video.example.org");
    let spoofed = spoofed.header("x-forwarded-proto", "https").send().await.unwrap();
    assert_eq!(spoofed.status(), StatusCode::FORBIDDEN, "nobody said that this proxy may be believed");
}

#[tokio::test]
async fn behind_a_trusted_proxy_with_https_the_page_is_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let home =
        home_in(dir.path(), |config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let get = |proto: &'static str| {
        let request = home.request(Method::GET, "/").header("host", "video.example.org");
        request.header("x-forwarded-proto", proto).send()
    };
    assert_eq!(get("https").await.unwrap().status(), StatusCode::OK);
    assert_eq!(get("http").await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_write() {
    let (_dir, home) = home().await;
    let start = serde_json::json!({ "username": "ada" });
    let post = |name: &'static str, value: String| {
        home.request(Method::POST, "/v1/recovery").json(&start).header(name, value).send()
    };
    let own = format!("http://{}", home.address);
    assert_eq!(post("origin", own).await.unwrap().status(), StatusCode::OK);
    assert_eq!(post("sec-fetch-site", "same-origin".into()).await.unwrap().status(), StatusCode::OK);
    let refused = post("origin", "https://evil.example".into()).await.unwrap();
    insta::assert_snapshot!(
        show(refused).await,
        @r#"403 {"code":"cross_origin","message":"This request came from another site's page, so it was refused."}"#
    );
    assert_eq!(refusal(post("sec-fetch-site", "same-site".into()).await.unwrap()).await.0, 403);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_the_page() {
    let (_dir, home) = home().await;
    for path in ["/assets/main-123.js", "/favicon.ico", "/../Cargo.toml", "/assets/..%2f..%2fCargo.toml"] {
        let answer = home.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let posted = home.request(Method::POST, "/").send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}
