//! The disk's routes. A signed URL is all the leave there is: no cookie is read, no session asked for.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, BodyDataStream},
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::StreamExt as _;
use gloaming_api::{ErrorBody, ErrorCode};
use gloaming_ids::ObjectId;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::{
    Clock,
    disk::{Disk, Kept},
    range::{self, Asked},
    sign::{Claims, Method, SignedQuery},
};

/// A sender silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// So long we read on after an answer is decided, so that a client that only reads once it has sent will see it.
const PATIENCE: Duration = Duration::from_secs(30);
const READ_BUFFER: usize = 256 * 1024;

/// On every answer: what is stored is never a page, a script or anything else that a browser would show.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'")),
    (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

#[derive(Clone)]
struct App {
    disk: Arc<Disk>,
    clock: Clock,
}

pub(crate) fn routes(disk: Arc<Disk>, clock: Clock) -> Router {
    Router::new()
        .route("/blobs/{object}", get(get_object).put(put_object))
        // Lengths are signed and counted here; a limit on bodies elsewhere must not cut a pack short.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(App { disk, clock })
}

/// An answer that is not the object. Never cached: the next one may differ.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: ErrorCode,
    message: &'static str,
}

impl Refusal {
    fn new(code: ErrorCode, message: &'static str) -> Self {
        let status = StatusCode::from_u16(code.status()).expect("an error code's status is a status");
        Self { status, code, message }
    }

    fn not_signed() -> Self {
        Self::new(
            ErrorCode::Forbidden,
            "This address was not signed by this server, or was changed on the way.",
        )
    }

    fn disk(error: &io::Error, doing: &'static str) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            tracing::error!("the disk is full: uploads are refused until there is room");
            return Self::new(
                ErrorCode::StorageFull,
                "The server's disk is full. Nothing was lost; once there is room, the upload can go on.",
            );
        }
        tracing::error!(%error, doing, "the disk failed");
        Self::new(ErrorCode::Internal, "The server could not use its disk. Its log says why.")
    }

    /// Somebody stored this object before.
    fn exists() -> Self {
        // 412 is what `If-None-Match: *` asks for, and what S3 answers.
        Self {
            status: StatusCode::PRECONDITION_FAILED,
            ..Self::new(ErrorCode::WrongState, "This object is stored already.")
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = ErrorBody { code: self.code, message: self.message.to_owned(), detail: None };
        let mut response = (self.status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
        response.headers_mut().extend(HEADERS);
        response
    }
}

/// What the URL allows; refused if it was not signed for this, or has expired.
fn admit(
    app: &App,
    method: Method,
    object: &str,
    query: Option<&SignedQuery>,
) -> Result<(ObjectId, Claims), Refusal> {
    let object = object.parse::<ObjectId>().map_err(|_| Refusal::not_signed())?;
    let claims =
        query.and_then(|query| app.disk.key.verify(method, object, query)).ok_or_else(Refusal::not_signed)?;
    if (app.clock)().as_secs() >= claims.expires {
        return Err(Refusal::new(ErrorCode::Forbidden, "This address has expired. Ask for a new one."));
    }
    Ok((object, claims))
}

async fn put_object(
    State(app): State<App>,
    Path(object): Path<String>,
    query: Result<Query<SignedQuery>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let query = query.ok().map(|Query(query)| query);
    let (object, claims) = match admit(&app, Method::Put, &object, query.as_ref()) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into_response(),
    };
    let announced = content_length(request.headers());
    let mut body = request.into_body().into_data_stream();
    let refusal = match store(&app, object, claims.length, announced, &mut body).await {
        Ok(()) => {
            let mut response = (StatusCode::CREATED, [(header::ETAG, etag(object))]).into_response();
            response.headers_mut().extend(HEADERS);
            return response;
        }
        Err(refusal) => refusal,
    };
    drain(&mut body, claims.length).await;
    refusal.into_response()
}

async fn store(
    app: &App,
    object: ObjectId,
    length: u64,
    announced: Option<u64>,
    body: &mut BodyDataStream,
) -> Result<(), Refusal> {
    const WRONG_LENGTH: &str = "The body is not as long as the address was signed for.";
    if announced.is_some_and(|announced| announced != length) {
        return Err(Refusal::new(ErrorCode::BadRequest, WRONG_LENGTH));
    }
    // Asked again when the object gets its name; asked here so that nobody sends a pack for nothing.
    match app.disk.stored_length(object).await {
        Ok(None) => {}
        Ok(Some(_)) => return Err(Refusal::exists()),
        Err(crate::BlobError::Disk { source, .. }) => {
            return Err(Refusal::disk(&source, "looking for an object"));
        }
        Err(_) => return Err(Refusal::new(ErrorCode::Internal, "The server could not use its disk.")),
    }

    let mut incoming =
        app.disk.receive(object).await.map_err(|e| Refusal::disk(&e, "beginning an object"))?;
    let mut received = 0;
    while let Some(chunk) = tokio::time::timeout(SILENCE, body.next()).await.map_err(|_| {
        Refusal::new(ErrorCode::BadRequest, "Nothing came for a minute. Send the object again.")
    })? {
        let chunk = chunk
            .map_err(|_| Refusal::new(ErrorCode::BadRequest, "The body broke off. Send the object again."))?;
        received += chunk.len() as u64;
        if received > length {
            return Err(Refusal::new(ErrorCode::BadRequest, WRONG_LENGTH));
        }
        incoming.write(&chunk).await.map_err(|e| Refusal::disk(&e, "writing an object"))?;
    }
    if received != length {
        return Err(Refusal::new(ErrorCode::BadRequest, WRONG_LENGTH));
    }
    match incoming.keep().await.map_err(|e| Refusal::disk(&e, "keeping an object"))? {
        Kept::Stored => Ok(()),
        Kept::WasThere => Err(Refusal::exists()),
    }
}

/// Reads what a client with a good URL is still sending: most read the answer only after that, and would otherwise
/// see a broken connection in place of it.
async fn drain(body: &mut BodyDataStream, length: u64) {
    let reading = async {
        let mut rest = length;
        while let Some(Ok(chunk)) = body.next().await {
            rest = rest.saturating_sub(chunk.len() as u64);
            if rest == 0 {
                break;
            }
        }
    };
    // Whoever is slower than this sees the broken connection.
    let _ = tokio::time::timeout(PATIENCE, reading).await;
}

async fn get_object(
    State(app): State<App>,
    Path(object): Path<String>,
    query: Result<Query<SignedQuery>, axum::extract::rejection::QueryRejection>,
    method: HttpMethod,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let query = query.ok().map(|Query(query)| query);
    let (object, claims) = admit(&app, Method::Get, &object, query.as_ref())?;
    let found = app.disk.read(object).await.map_err(|e| Refusal::disk(&e, "opening an object"))?;
    let Some((mut file, length)) = found else {
        return Err(Refusal::new(ErrorCode::NotFound, "This object is not stored here."));
    };
    if length != claims.length {
        // Only somebody at the disk could have done this: uploads have exactly the signed length.
        tracing::error!(%object, stored = length, signed = claims.length, "an object changed its length on the disk");
        return Err(Refusal::new(ErrorCode::NotFound, "This object is damaged on the server's disk."));
    }

    let etag = etag(object);
    let mut response = Response::new(Body::empty());
    let answer = response.headers_mut();
    answer.extend(HEADERS);
    answer.insert(header::ETAG, etag.clone());
    // Immutable: a name stands for the same bytes for ever. Private: a URL is somebody's leave to read.
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));

    if headers.get(header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &etag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));

    let same = headers.get(header::IF_RANGE).is_none_or(|tag| *tag == etag);
    let asked = match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if same => range::parse(range, length),
        _ => Asked::Whole,
    };
    let part = match asked {
        Asked::Whole => 0..length,
        Asked::Part(part) => {
            let text = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            answer.insert(header::CONTENT_RANGE, text.parse().expect("digits make a header value"));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            part
        }
        Asked::Unsatisfiable => {
            let mut response = Refusal {
                status: StatusCode::RANGE_NOT_SATISFIABLE,
                ..Refusal::new(ErrorCode::BadRequest, "The range lies outside the object.")
            }
            .into_response();
            let text = format!("bytes */{length}");
            response
                .headers_mut()
                .insert(header::CONTENT_RANGE, text.parse().expect("digits make a header value"));
            return Ok(response);
        }
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    if method == HttpMethod::HEAD {
        return Ok(response);
    }
    if part.start > 0 {
        file.seek(io::SeekFrom::Start(part.start))
            .await
            .map_err(|e| Refusal::disk(&e, "reading an object"))?;
    }
    let reader = file.take(part.end - part.start);
    *response.body_mut() = Body::from_stream(ReaderStream::with_capacity(reader, READ_BUFFER));
    Ok(response)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An object's bytes never change, so its id says which bytes they are.
fn etag(object: ObjectId) -> HeaderValue {
    format!("\"{object}\"").parse().expect("an id in quotes is a header value")
}

/// Whether `If-None-Match` names this tag.
fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(tags), Ok(etag)) = (tags.to_str(), etag.to_str()) else { return false };
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
