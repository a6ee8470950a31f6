//! Running a server: health, logs, TLS, shutdown, backups.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::*;
use gloaming_server::{Admin, Config, Server, StartError, Tls};
use reqwest::{Method, StatusCode};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn health_readiness_and_counts_are_told() {
    let (_dir, home) = home().await;
    let get = async |path: &str| home.request(Method::GET, path).send().await.unwrap();
    assert_eq!(get("/healthz").await.text().await.unwrap(), "ok\n");
    assert_eq!(get("/readyz").await.text().await.unwrap(), "ready\n");
    get("/v1/server").await;
    let counts = get(&format!("http://{}/metrics", home.metrics)).await.text().await.unwrap();
    assert!(counts.contains(r#"route="/v1/server""#), "{counts}");
    assert!(get("/metrics").await.text().await.unwrap().contains("<html"), "not where everybody is");
}

/// Everything that is logged while tests of this process run.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_id_or_name_is_ever_logged() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();

    let (_dir, home) = home().await;
    let setup = home.setup_token.clone().unwrap();
    let owner = home.register("Hildegard", &setup).await;
    let invite = owner.invite(None).await;
    let (_, objects) = owner.publish(video(9), &[b"the index"]).await;
    owner.get(&format!("/v1/videos/{}?secret=planted-query", video(9))).await;
    home.request(Method::GET, "/video/planted-path").send().await.unwrap();
    home.request(Method::GET, "/v1/account")
        .header("cookie", "gloaming=planted-cookie")
        .send()
        .await
        .unwrap();
    let wrong = home.sign_in("Hildegard", "planted password").await;
    home.post("/v1/sessions/finish", &wrong).await;
    owner.post("/v1/library", &serde_json::json!({ "changes": "planted-body" })).await;

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("/v1/videos/{id}/commit") && log.contains("status=401"),
        "requests are logged: {log}"
    );
    let upload_signature = "signature=";
    for secret in [
        setup.as_str(),
        &invite,
        &owner.token,
        &video(9).to_string(),
        &objects[0].to_string(),
        "Hildegard",
        "hildegard",
        "planted",
        upload_signature,
    ] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[tokio::test]
async fn a_request_under_way_finishes_when_the_server_stops() {
    let (_dir, home) = home().await;
    let mut stream = tokio::net::TcpStream::connect(home.address).await.unwrap();
    let body = r#"{"username":"ada"}"#;
    let head = format!(
        "POST /v1/recovery HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let address = home.address;
    let stopping = tokio::spawn(home.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody new is let in");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stopping.await.unwrap();
}

#[tokio::test]
async fn headers_that_never_end_are_not_waited_for() {
    let (_dir, home) = home().await;
    let mut stream = tokio::net::TcpStream::connect(home.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: local").await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    closed.await.expect("closed within the header's time").unwrap();
}

/// A TLS connection to a server with its own certificate; the group of its key exchange.
async fn negotiate(
    home: &Home,
    cert: &std::path::Path,
    groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>,
) -> rustls::NamedGroup {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = groups;
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(home.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = connector.connect(name, stream).await.unwrap();
    tls.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK") && answer.contains("strict-transport-security"), "{answer}");
    tls.get_ref().1.negotiated_key_exchange_group().unwrap().name()
}

fn self_signed(config: &mut Config) {
    config.tls = Tls::SelfSigned;
    // rustls reads the system's clock when it checks the certificate.
    config.clock = gloaming_server::system_clock();
}

#[tokio::test]
async fn tls_prefers_the_post_quantum_group_and_keeps_its_certificate() {
    use rustls::crypto::aws_lc_rs::kx_group;
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), self_signed).await;
    let cert = dir.path().join("data/tls/cert.pem");
    let fingerprint = home.fingerprint.clone().unwrap();
    assert_eq!(fingerprint.len(), 32 * 3 - 1);
    let modern = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    assert_eq!(negotiate(&home, &cert, modern).await, rustls::NamedGroup::X25519MLKEM768);
    // A client that begins with the classical group is not made to begin again: rustls saves the round trip.
    let reluctant = vec![kx_group::X25519, kx_group::X25519MLKEM768];
    assert_eq!(negotiate(&home, &cert, reluctant).await, rustls::NamedGroup::X25519);
    assert_eq!(negotiate(&home, &cert, vec![kx_group::X25519]).await, rustls::NamedGroup::X25519);
    home.stop().await;
    let home = home_in(dir.path(), self_signed).await;
    assert_eq!(home.fingerprint.as_ref(), Some(&fingerprint));
    home.stop().await;
    let named = |config: &mut Config| {
        self_signed(config);
        config.public_url = Some("https://films.example.org".parse().unwrap());
    };
    let home = home_in(dir.path(), named).await;
    assert_ne!(home.fingerprint, Some(fingerprint), "another name, another certificate");
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let _home = home_in(dir.path(), |_| {}).await;
    let second = Server::open(Config::new(dir.path().join("data"))).await;
    assert!(matches!(second, Err(StartError::InUse(_))));
}

#[tokio::test]
async fn a_backup_taken_while_the_server_runs_makes_the_same_server_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    let (info, _) = owner.publish(video(1), &[b"the index", b"a pack"]).await;
    let admin = Admin::open(Config::new(dir.path().join("data"))).unwrap();
    let backup = dir.path().join("backup");
    let report = admin.backup(&backup).await.unwrap();
    assert_eq!((report.objects, report.copied_bytes, report.missing), (2, 15, 0));
    owner.publish(video(2), &[b"more"]).await;
    let report = admin.backup(&backup).await.unwrap();
    assert_eq!((report.objects, report.copied_bytes), (3, 4), "only what is new");
    let token = owner.token.clone();
    let in_use = Admin::restore(&Config::new(dir.path().join("data")), &backup);
    assert!(matches!(in_use, Err(StartError::InUse(_))));
    home.stop().await;
    assert!(
        Admin::restore(&Config::new(dir.path().join("data")), &backup).is_err(),
        "data is never overwritten"
    );

    let elsewhere = dir.path().join("elsewhere");
    Admin::restore(&Config::new(elsewhere.join("data")), &backup).unwrap();
    let home = home_in(&elsewhere, |_| {}).await;
    assert_eq!(home.setup_token, None);
    let path = format!("/v1/videos/{}", video(1));
    let again = home.request(Method::GET, &path).bearer_auth(token).send().await.unwrap();
    let again: gloaming_api::video::VideoOpened = read(again).await;
    assert_eq!(again.info, info);
    let index = home.request(Method::GET, &again.index.unwrap().url).send().await.unwrap();
    assert_eq!(index.status(), StatusCode::OK);
    assert_eq!(index.bytes().await.unwrap(), "the index");
}

#[tokio::test]
async fn a_damaged_backup_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("backup");
    std::fs::create_dir(&backup).unwrap();
    let target = Config::new(dir.path().join("data"));
    assert!(Admin::restore(&target, &backup).is_err(), "nothing there");
    std::fs::write(backup.join("gloaming.db"), vec![7; 8192]).unwrap();
    assert!(Admin::restore(&target, &backup).is_err());
    assert!(!dir.path().join("data/gloaming.db").exists());
}

#[tokio::test]
async fn whoever_runs_the_server_invites_counts_and_collects() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = home.owner().await;
    owner.publish(video(1), &[b"the index"]).await;
    let mut config = Config::new(dir.path().join("data"));
    let now = home.now();
    config.clock = Arc::new(move || now);
    config.public_url = Some("https://films.example.org".parse().unwrap());
    let admin = Admin::open(config).unwrap();
    let link = admin.invite("Bob", Duration::from_secs(3600), Some(10)).await.unwrap();
    let token = link.strip_prefix("https://films.example.org/join#").unwrap();
    home.register("Bob", token).await;
    let usage = admin.usage().await.unwrap();
    let names: Vec<_> =
        usage.iter().map(|one| (one.info.username.as_str(), one.info.used_bytes, one.videos)).collect();
    assert_eq!(names, [("Ada", 9, 1), ("Bob", 0, 0)]);
    owner.delete(&format!("/v1/videos/{}", video(1))).await;
    let report = admin.gc().await.unwrap();
    assert!(report.left_to_server, "the running server has the folder of objects");
    assert!(admin.set_disabled("nobody", true).await.is_err());
}
