//! An S3 store. Bytes go between clients and the store; the server signs URLs, asks for lengths, and deletes.
//!
//! * `PUT` is signed with `content-length` (a browser sets it from the body, nobody can choose it) and
//!   `if-none-match: *`, so a URL writes one object of one length, once. Stores must know `If-None-Match` on `PUT`:
//!   Amazon since 2024, SeaweedFS since 4.
//! * Clients may reach the store under another address than the server does: what they get is signed for that one.
//! * URLs are quantised: the same for ten minutes, so that a cache in front of the store can know them again.

use std::{error::Error as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gloaming_api::video::{Header, SignedDownload, SignedUpload};
use gloaming_ids::{ObjectId, UnixMillis};
use jiff::Timestamp;
use reqwest::StatusCode;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{BlobError, S3Config, quantised};

/// URLs of the server's own requests are used at once.
const OWN_LIFETIME: Duration = Duration::from_secs(60);
/// How far clocks may be apart before that is the likely reason of a refusal. Stores allow 15 minutes at most.
const APART: Duration = Duration::from_secs(300);

pub(crate) struct S3 {
    bucket: Bucket,
    /// The same bucket, as clients reach it.
    public: Bucket,
    credentials: Credentials,
    prefix: String,
    http: reqwest::Client,
}

impl S3 {
    pub(crate) fn open(config: &S3Config) -> Result<Self, BlobError> {
        let wrong = |reason: String| BlobError::Config { reason };
        if !config.prefix.is_empty() && (!config.prefix.ends_with('/') || config.prefix.starts_with('/')) {
            return Err(wrong(format!(
                "the prefix {:?} must end in a slash and not begin with one",
                config.prefix
            )));
        }
        let style = if config.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = |endpoint: &Url| {
            Bucket::new(endpoint.clone(), style, config.bucket.clone(), config.region.clone())
                .map_err(|e| wrong(e.to_string()))
        };
        let public = bucket(config.public_endpoint.as_ref().unwrap_or(&config.endpoint))?;
        let bucket = bucket(&config.endpoint)?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| wrong(e.to_string()))?;
        let credentials = Credentials::new(config.access_key.clone(), config.secret_key.clone());
        Ok(Self { bucket, public, credentials, prefix: config.prefix.clone(), http })
    }

    fn name(&self, object: ObjectId) -> String {
        format!("{}{object}", self.prefix)
    }

    pub(crate) fn sign_put(&self, object: ObjectId, length: u64, now: UnixMillis) -> SignedUpload {
        let name = self.name(object);
        let mut put = self.public.put_object(Some(&self.credentials), &name);
        put.headers_mut().insert("content-length", length.to_string());
        put.headers_mut().insert("if-none-match", "*");
        let (from, lifetime) = quantised(now);
        let url = put.sign_with_time(lifetime, &timestamp(from)).into();
        // Content-Length is signed but not listed: browsers refuse to set it, and it follows from the body.
        let headers = vec![Header { name: "if-none-match".into(), value: "*".into() }];
        SignedUpload { object, length, url, headers, expires_at: from + lifetime }
    }

    pub(crate) fn sign_get(
        &self,
        object: ObjectId,
        length: u64,
        (from, lifetime): (UnixMillis, Duration),
    ) -> SignedDownload {
        let name = self.name(object);
        let mut get = self.public.get_object(Some(&self.credentials), &name);
        get.query_mut().insert("response-cache-control", "private, max-age=31536000, immutable");
        get.query_mut().insert("response-content-disposition", "attachment");
        get.query_mut().insert("response-content-type", "application/octet-stream");
        let url = get.sign_with_time(lifetime, &timestamp(from)).into();
        SignedDownload { object, length, url, expires_at: from + lifetime }
    }

    pub(crate) async fn stored_length(
        &self,
        object: ObjectId,
        now: UnixMillis,
    ) -> Result<Option<u64>, BlobError> {
        let name = self.name(object);
        let head = self.bucket.head_object(Some(&self.credentials), &name);
        let response = self.send(self.http.head(head.sign_with_time(OWN_LIFETIME, &timestamp(now)))).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                let length = response.headers().get(reqwest::header::CONTENT_LENGTH);
                let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
                length
                    .map(Some)
                    .ok_or_else(|| BlobError::Unavailable { reason: "no length in its answer".into() })
            }
            _ => Err(refused(&response, now)),
        }
    }

    pub(crate) async fn delete(&self, object: ObjectId, now: UnixMillis) -> Result<(), BlobError> {
        let name = self.name(object);
        let delete = self.bucket.delete_object(Some(&self.credentials), &name);
        let response =
            self.send(self.http.delete(delete.sign_with_time(OWN_LIFETIME, &timestamp(now)))).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(refused(&response, now)),
        }
    }

    pub(crate) async fn check(&self, now: UnixMillis) -> Result<(), BlobError> {
        let head = self.bucket.head_bucket(Some(&self.credentials));
        let response = self.send(self.http.head(head.sign_with_time(OWN_LIFETIME, &timestamp(now)))).await?;
        if response.status().is_success() { Ok(()) } else { Err(refused(&response, now)) }
    }

    pub(crate) fn origin(&self) -> String {
        self.public.base_url().origin().ascii_serialization()
    }

    pub(crate) async fn put_bucket_cors(&self, origin: &str, now: UnixMillis) -> Result<(), BlobError> {
        let origin = Url::parse(origin)
            .map_err(|e| BlobError::Config { reason: format!("{origin:?} is no origin: {e}") })?
            .origin()
            .ascii_serialization();
        // An origin in ASCII has none of the characters that XML would want escaped.
        let body = format!(
            "<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><CORSRule>\
             <AllowedOrigin>{origin}</AllowedOrigin>\
             <AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><AllowedMethod>PUT</AllowedMethod>\
             <AllowedHeader>content-type</AllowedHeader><AllowedHeader>if-none-match</AllowedHeader>\
             <AllowedHeader>range</AllowedHeader>\
             <ExposeHeader>Content-Length</ExposeHeader><ExposeHeader>Content-Range</ExposeHeader>\
             <ExposeHeader>ETag</ExposeHeader>\
             <MaxAgeSeconds>3600</MaxAgeSeconds>\
             </CORSRule></CORSConfiguration>"
        );
        // Amazon takes bucket settings only with a checksum.
        let checksum = STANDARD.encode(Sha256::digest(body.as_bytes()));
        let mut bucket_url = self.bucket.base_url().clone();
        if !bucket_url.path().ends_with('/') {
            bucket_url.set_path(&format!("{}/", bucket_url.path()));
        }
        let url = rusty_s3::signing::sign(
            &timestamp(now),
            rusty_s3::Method::Put,
            bucket_url,
            self.credentials.key(),
            self.credentials.secret(),
            self.credentials.token(),
            self.bucket.region(),
            OWN_LIFETIME.as_secs(),
            [("cors", "")].into_iter(),
            [("x-amz-checksum-sha256", checksum.as_str())].into_iter(),
        );
        let response =
            self.send(self.http.put(url).header("x-amz-checksum-sha256", &checksum).body(body)).await?;
        if response.status().is_success() { Ok(()) } else { Err(refused(&response, now)) }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, BlobError> {
        let response = request.send().await.map_err(|error| {
            // Without its URL, which is signed; with its source, which says what happened.
            let error = error.without_url();
            let mut cause = error.source();
            while let Some(deeper) = cause.and_then(|cause| cause.source()) {
                cause = Some(deeper);
            }
            let cause = cause.map(ToString::to_string);
            BlobError::Unavailable { reason: cause.unwrap_or_else(|| error.to_string()) }
        })?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(BlobError::Unavailable { reason: format!("it answered {}", status.as_u16()) });
        }
        Ok(response)
    }
}

fn refused(response: &reqwest::Response, now: UnixMillis) -> BlobError {
    // A `HEAD` is refused without a word, so the clock is read from the answer itself.
    let date = response.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let there = date.and_then(|date| u64::try_from(date.timestamp().as_millisecond()).ok()).map(UnixMillis);
    let apart = there.map_or(Duration::ZERO, |there| there.since(now).max(now.since(there)));
    if response.status() == StatusCode::FORBIDDEN && apart > APART {
        return BlobError::Clock { minutes: apart.as_secs() / 60 };
    }
    BlobError::Refused { status: response.status().as_u16() }
}

fn timestamp(at: UnixMillis) -> Timestamp {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
