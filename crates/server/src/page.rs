//! The page, embedded in the binary, and the headers that keep it to itself.

use std::{collections::HashMap, sync::LazyLock};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::{app::App, client::Client, error::ApiError};

/// The built page; empty where nobody built it.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// Says how to build the page, where it was not built.
const NOT_BUILT: &str = include_str!("page/not_built.html");
/// Says why the page cannot work over plain HTTP from another machine.
const INSECURE: &str = include_str!("page/insecure.html");

/// Whatever is not a route: a file of the page, or the page itself, which finds its way by the address.
pub(crate) async fn serve(State(app): State<App>, client: Client, request: Request) -> Response {
    let path = request.uri().path();
    let (is_frame, is_room) = (path.starts_with(FRAME), path.starts_with(ROOM));
    let is_ours = |root: &str| path == root || path.strip_prefix(root).is_some_and(|p| p.starts_with('/'));
    if is_ours("/v1") || is_ours("/blobs") {
        return ApiError::not_found().into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let ancestors = if is_frame { embedders(&app, path).await } else { Vec::new() };
    // A page that has not changed is answered without its headers.
    let no_headers = HeaderMap::new();
    let mut response = if !client.is_secure() {
        document(StatusCode::FORBIDDEN, INSECURE, &[])
    } else if let Some(file) = file(path.trim_start_matches('/'), request.headers()) {
        file
    } else if is_asset(path) {
        (StatusCode::NOT_FOUND, "There is no such file.\n").into_response()
    } else if let Some(page) = file("index.html", if is_frame { &no_headers } else { request.headers() }) {
        page
    } else {
        document(StatusCode::OK, NOT_BUILT, &ancestors)
    };
    let csp = policy(&app.blobs.store_origins(), &ancestors);
    let csp = HeaderValue::from_str(&csp).expect("origins are ASCII");
    response.headers_mut().entry(header::CONTENT_SECURITY_POLICY).or_insert(csp);
    if is_room {
        let permissions = HeaderValue::from_static(ROOM_PERMISSIONS);
        response.headers_mut().insert(HeaderName::from_static("permissions-policy"), permissions);
    }
    if is_frame {
        // Who may frame it can change at any time, while the page stays the same.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().remove(header::ETAG);
        if !ancestors.is_empty() {
            // A site that is isolated from others may frame it as well.
            let name = HeaderName::from_static("cross-origin-resource-policy");
            response.headers_mut().insert(name, HeaderValue::from_static("cross-origin"));
        }
    }
    response
}

/// Where rooms are: the only place that may ask for a camera, a microphone or a screen.
const ROOM: &str = "/r/";
const ROOM_PERMISSIONS: &str = "camera=(self), display-capture=(self), fullscreen=(self), geolocation=(), \
     microphone=(self), midi=(), payment=(), picture-in-picture=(self), screen-wake-lock=(self), usb=()";

/// Where the player for other sites' frames is.
const FRAME: &str = "/embed/";

/// Origins that may frame this path: those of a live share, while it is.
async fn embedders(app: &App, path: &str) -> Vec<String> {
    let Some(Ok(share)) = path.strip_prefix(FRAME).map(str::parse) else { return Vec::new() };
    app.store.embed_origins(share, app.now()).await.unwrap_or_else(|error| {
        tracing::error!(%error, "who may embed a share is not known");
        Vec::new()
    })
}

/// A path that names a file rather than a place in the page.
fn is_asset(path: &str) -> bool {
    path.starts_with("/assets/") || path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

/// What the page may do.
///
/// * Its own scripts, and WASM; no inline script, no `eval`, no other origin but the object store.
/// * Media only from memory (`blob:`): stored bytes are never rendered from their address.
/// * `frame-src 'self'`: a download begins in a hidden frame whose address the service worker answers.
/// * `frame-ancestors`: nobody frames the page, but for the sites that the owner of a share named, and only the player
///   under `/embed/`. The download's frame is not the page, but an attachment.
fn policy(stores: &[String], ancestors: &[String]) -> String {
    let ancestors = frame_ancestors(ancestors);
    let connect = stores.iter().fold("'self'".to_owned(), |all, store| all + " " + store);
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src {connect}; \
         img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; font-src 'self'; \
         manifest-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}; \
         require-trusted-types-for 'script'; trusted-types default svelte-trusted-html"
    )
}

fn frame_ancestors(origins: &[String]) -> String {
    if origins.is_empty() { "'none'".to_owned() } else { origins.join(" ") }
}

/// One of our own small documents: its style is inside, and the policy knows it by its hash.
fn document(status: StatusCode, html: &'static str, ancestors: &[String]) -> Response {
    let style = html
        .split_once("<style>")
        .and_then(|(_, rest)| rest.split_once("</style>"))
        .map_or("", |(style, _)| style);
    let hash = STANDARD.encode(Sha256::digest(style));
    let ancestors = frame_ancestors(ancestors);
    let csp = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors {ancestors}"
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(&csp).expect("base64 is ASCII")),
    ];
    (status, headers, html).into_response()
}

/// A file of the page, as small as the browser takes it, or word that it has not changed.
fn file(path: &str, asked: &HeaderMap) -> Option<Response> {
    let plain = Dist::get(path)?;
    let accepts = |coding: &str| {
        let text =
            asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        text.split(',').any(|offer| offer.trim() == coding)
    };
    let packed = [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(coding, _)| accepts(coding))
        .find_map(|(coding, ending)| Some((coding, Dist::get(&format!("{path}.{ending}"))?)));
    let (coding, file) = match packed {
        Some((coding, file)) => (Some(coding), file),
        None => (None, plain),
    };
    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let mut headers = HeaderMap::new();
    // What has its hash in its name never changes under it.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ETAG, HeaderValue::from_str(&etag).expect("hexadecimal digits"));
    let unchanged = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
    if unchanged {
        return Some((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Some((headers, Body::from(file.data.into_owned())).into_response())
}

/// What Vite puts into a build, and nothing that a browser would have to guess.
fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Headers of every answer.
static EVERYWHERE: LazyLock<HashMap<HeaderName, HeaderValue>> = LazyLock::new(|| {
    let fixed = HeaderValue::from_static;
    HashMap::from([
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), fixed("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin")),
        (
            HeaderName::from_static("permissions-policy"),
            fixed(
                "camera=(), display-capture=(), fullscreen=(self), geolocation=(), microphone=(), midi=(), \
                 payment=(), picture-in-picture=(self), screen-wake-lock=(self), usb=()",
            ),
        ),
    ])
});

/// Puts the headers of every answer on, where a handler did not choose its own.
pub(crate) fn put_headers(response: &mut Response, is_api: bool, https: bool) {
    let headers = response.headers_mut();
    for (name, value) in EVERYWHERE.iter() {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    }
    if https {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert(HeaderValue::from_static("max-age=31536000"));
    }
}
