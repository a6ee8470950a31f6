//! The browser, as the client wants it: files, WebCrypto, the network, IndexedDB.

use std::{cell::RefCell, ops::Range, time::Duration};

use gloaming_api::video::{SignedDownload, SignedUpload};
use gloaming_client::platform::{
    ApiRequest, ApiResponse, NotGenuine, Offline, OpenJob, Platform, SealJob, SealedFragment, Shelf,
    SourceFailure, SourceStamp, StoreFailure,
};
use gloaming_ids::UnixMillis;
use gloaming_keys::SegmentKey;
use gloaming_media::Extent;
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Blob, Crypto, CryptoKey, Performance};

use crate::{
    bulk::{JsBytes, position},
    host::Host,
    source::FileSource,
};

const NONCE: u32 = 12;
const TAG: u32 = 16;
/// `getRandomValues` gives no more at once (Web Cryptography API, 10.1.1).
const MAX_RANDOM: u32 = 65_536;

/// A worker of a browser (or, for measuring, Node).
pub struct Browser {
    host: Host,
    crypto: Crypto,
    clock: Performance,
    /// Where a fragment's plaintext is put together. WebCrypto copies its input when it is called, so that one is
    /// enough however many operations are under way.
    scratch: RefCell<Uint8Array>,
}

impl Browser {
    /// With what `host` lends.
    pub fn new(host: Host) -> Self {
        let global =
            |name: &str| Reflect::get(&js_sys::global(), &name.into()).expect("a global object can be read");
        Self {
            host,
            crypto: global("crypto").unchecked_into(),
            clock: global("performance").unchecked_into(),
            scratch: RefCell::new(Uint8Array::new_with_length(0)),
        }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// The first `len` bytes of the scratch buffer, grown to hold them.
    fn room(&self, len: u32) -> Uint8Array {
        let mut scratch = self.scratch.borrow_mut();
        if scratch.length() < len {
            *scratch = Uint8Array::new_with_length(len);
        }
        scratch.subarray(0, len)
    }

    /// A key that can be used, and never read.
    async fn import(&self, key: &SegmentKey, usage: &str) -> Result<CryptoKey, JsValue> {
        let bytes = Uint8Array::from(key.expose().as_slice());
        let usages = Array::of1(&usage.into());
        let imported = self.crypto.subtle().import_key_with_str("raw", &bytes, "AES-GCM", false, &usages);
        // It was copied when the call was made.
        bytes.fill(0, 0, bytes.length());
        Ok(JsFuture::from(imported?).await?.unchecked_into())
    }

    async fn encrypt(
        &self,
        source: &FileSource,
        job: &SealJob,
        key: &CryptoKey,
    ) -> Result<SealedFragment<JsBytes>, Stopped> {
        let nonce = self.random(NONCE);
        // From here to the call nothing waits: the scratch buffer is ours.
        let plaintext = self.room(position(job.plaintext_len));
        source.gather(&self.host, &job.pieces, &plaintext).map_err(Stopped::Source)?;
        let algorithm = aes_gcm(&nonce, &job.aad);
        let subtle = self.crypto.subtle();
        let sealing = subtle
            .encrypt_with_object_and_buffer_source(&algorithm, key, &plaintext)
            .map_err(Stopped::Crypto)?;
        let text = Uint8Array::new(&JsFuture::from(sealing).await.map_err(Stopped::Crypto)?);
        let sealed = Uint8Array::new_with_length(NONCE + text.length());
        sealed.set(&nonce, 0);
        sealed.set(&text, NONCE);
        let sha256 = self.sha256(&sealed).await.map_err(Stopped::Crypto)?;
        Ok(SealedFragment { bytes: JsBytes(sealed), sha256 })
    }

    async fn decrypt(&self, sealed: &Uint8Array, job: &OpenJob) -> Result<Option<Uint8Array>, JsValue> {
        if sealed.length() < NONCE + TAG || self.sha256(sealed).await? != job.sha256 {
            return Ok(None);
        }
        let key = self.import(&job.key, "decrypt").await?;
        let algorithm = aes_gcm(&sealed.slice(0, NONCE), &job.aad);
        let text = sealed.subarray(NONCE, sealed.length());
        let opening = self.crypto.subtle().decrypt_with_object_and_buffer_source(&algorithm, &key, &text)?;
        Ok(Some(Uint8Array::new(&JsFuture::from(opening).await?)))
    }

    async fn sha256(&self, bytes: &Uint8Array) -> Result<[u8; 32], JsValue> {
        let digesting = self.crypto.subtle().digest_with_str_and_buffer_source("SHA-256", bytes)?;
        let mut digest = [0; 32];
        Uint8Array::new(&JsFuture::from(digesting).await?).copy_to(&mut digest);
        Ok(digest)
    }

    fn random(&self, len: u32) -> Uint8Array {
        let bytes = Uint8Array::new_with_length(len);
        for start in (0..len).step_by(MAX_RANDOM as usize) {
            let part = bytes.subarray(start, len.min(start + MAX_RANDOM));
            self.crypto
                .get_random_values_with_array_buffer_view(&part)
                .expect("a browser always has random bytes");
        }
        bytes
    }
}

enum Stopped {
    Source(SourceFailure),
    Crypto(JsValue),
}

fn aes_gcm(nonce: &Uint8Array, aad: &[u8]) -> Object {
    let algorithm = Object::new();
    let fields: [(&str, &JsValue); 3] = [
        ("name", &"AES-GCM".into()),
        ("iv", nonce.as_ref()),
        ("additionalData", &Uint8Array::from(aad).into()),
    ];
    for (name, value) in fields {
        Reflect::set(&algorithm, &name.into(), value).expect("a new object takes properties");
    }
    algorithm
}

/// Ends a transfer whose result nobody waits for any more.
struct StopWhenDropped(AbortController);

impl StopWhenDropped {
    fn new() -> Self {
        Self(AbortController::new().expect("browsers that have fetch have this"))
    }
}

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Platform for Browser {
    type Bytes = JsBytes;
    type Source = FileSource;

    fn now(&self) -> UnixMillis {
        UnixMillis(js_sys::Date::now() as u64)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs_f64(self.clock.now().max(0.0) / 1000.0)
    }

    fn fill_random(&self, out: &mut [u8]) {
        let len = u32::try_from(out.len()).expect("nobody asks for gigabytes of randomness");
        self.random(len).copy_to(out);
    }

    async fn sleep(&self, duration: Duration) {
        sleep(duration).await;
    }

    async fn call(&self, request: ApiRequest) -> Result<ApiResponse, Offline> {
        let body = request.body.map(|body| Uint8Array::from(body.as_slice()));
        let answer = self
            .host
            .call(request.method, &request.path, body, request.proof)
            .await
            .map_err(|_| Offline { reason: "the server does not answer".into() })?;
        Ok(ApiResponse {
            status: answer.status(),
            body: answer.body().to_vec(),
            retry_after: answer.retry_after().map(|seconds| seconds as u64),
        })
    }

    fn wants_token(&self) -> bool {
        false
    }

    async fn keep_token(&self, _token: Option<&str>) {}

    async fn stamp(&self, source: &FileSource) -> Result<SourceStamp, SourceFailure> {
        Ok(source.stamp())
    }

    async fn read(&self, source: &FileSource, extent: Extent) -> Result<Vec<u8>, SourceFailure> {
        source.read(&self.host, extent)
    }

    async fn seal(
        &self,
        source: &FileSource,
        job: SealJob,
    ) -> Result<SealedFragment<JsBytes>, SourceFailure> {
        let sealed = async {
            let key = self.import(&job.key, "encrypt").await.map_err(Stopped::Crypto)?;
            self.encrypt(source, &job, &key).await
        };
        sealed.await.map_err(|stopped| match stopped {
            Stopped::Source(failure) => failure,
            // Only out of memory: keys and lengths are ours.
            Stopped::Crypto(error) => SourceFailure::Unreadable(format!(
                "the browser could not encrypt a part of it: {}",
                message(&error)
            )),
        })
    }

    async fn open(&self, sealed: JsBytes, job: OpenJob) -> Result<JsBytes, NotGenuine> {
        // WebCrypto says no more than "operation failed", on purpose.
        self.decrypt(&sealed.0, &job).await.ok().flatten().map(JsBytes).ok_or(NotGenuine)
    }

    async fn put(
        &self,
        upload: &SignedUpload,
        parts: &[JsBytes],
        padding: u64,
        sent: &dyn Fn(u64),
    ) -> Result<(), StoreFailure> {
        let pieces: Array = parts.iter().map(|part| &part.0).collect();
        pieces.push(&self.random(position(padding)));
        let body = Blob::new_with_u8_array_sequence(&pieces)
            .map_err(|_| StoreFailure::Offline("the browser has no memory left".into()))?;
        let headers: Array = upload
            .headers
            .iter()
            .map(|header| Array::of2(&header.name.as_str().into(), &header.value.as_str().into()))
            .collect();
        let stop = StopWhenDropped::new();
        // The callback may not borrow, so it leaves the number where the wait below finds it.
        let progress = std::rc::Rc::new(std::cell::Cell::new(0_u64));
        let heard = std::rc::Rc::clone(&progress);
        let callback = Closure::<dyn Fn(f64)>::new(move |bytes: f64| heard.set(bytes as u64));
        let function: &Function = callback.as_ref().unchecked_ref();
        let signal = stop.0.signal();
        let sending = self.host.put(&upload.url, &headers, &body, function, &signal);
        let status = reporting(sending, &progress, sent)
            .await
            .map_err(|error| StoreFailure::Offline(message(&error)))?;
        match status.as_f64().unwrap_or_default() as u16 {
            200..=299 => Ok(()),
            401 | 403 => Err(StoreFailure::Expired),
            412 => Err(StoreFailure::AlreadyThere),
            status => Err(refusal(status)),
        }
    }

    async fn get(&self, download: &SignedDownload, range: Range<u64>) -> Result<JsBytes, StoreFailure> {
        let stop = StopWhenDropped::new();
        let signal = stop.0.signal();
        let answer = self
            .host
            .get(&download.url, range.start as f64, range.end as f64, &signal)
            .await
            .map_err(|error| StoreFailure::Offline(message(&error)))?;
        match answer.status() {
            200 | 206 if u64::from(answer.body().length()) == range.end - range.start => {
                Ok(JsBytes(answer.body()))
            }
            200 | 206 | 416 => Err(StoreFailure::WrongLength),
            401 | 403 => Err(StoreFailure::Expired),
            status => Err(refusal(status)),
        }
    }

    async fn load(&self, shelf: Shelf, name: &str) -> Option<Vec<u8>> {
        let value = self.host.load(shelf_name(shelf), name).await.ok()?;
        value.dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec())
    }

    async fn save(&self, shelf: Shelf, name: &str, bytes: &[u8]) -> Result<(), String> {
        let value = Uint8Array::from(bytes);
        let saved = self.host.save(shelf_name(shelf), name, &value).await;
        saved.map(drop).map_err(|error| message(&error))
    }

    async fn forget(&self, shelf: Shelf, name: &str) {
        // Nothing can be forgotten only where nothing can be kept.
        let _ = self.host.forget(shelf_name(shelf), name).await;
    }

    async fn names(&self, shelf: Shelf, prefix: &str) -> Vec<String> {
        let Ok(names) = self.host.names(shelf_name(shelf), prefix).await else { return Vec::new() };
        Array::from(&names).iter().filter_map(|name| name.as_string()).collect()
    }
}

fn shelf_name(shelf: Shelf) -> &'static str {
    match shelf {
        Shelf::Notes => "notes",
        Shelf::Keys => "keys",
    }
}

fn refusal(status: u16) -> StoreFailure {
    match status {
        404 | 410 => StoreFailure::Missing,
        429 | 502..=504 => StoreFailure::Busy,
        507 => StoreFailure::Full,
        status => StoreFailure::Status(status),
    }
}

/// Waits for `work`, and tells of `progress` whenever it moved, a few times a second at most.
async fn reporting<T>(
    work: impl Future<Output = T>,
    progress: &std::cell::Cell<u64>,
    tell: &dyn Fn(u64),
) -> T {
    use futures::future::{Either, select};
    const TICK: Duration = Duration::from_millis(200);
    let mut work = std::pin::pin!(work);
    let mut told = 0;
    loop {
        match select(work.as_mut(), std::pin::pin!(sleep(TICK))).await {
            Either::Left((result, _)) => {
                if progress.get() != told {
                    tell(progress.get());
                }
                return result;
            }
            Either::Right(_) if progress.get() != told => {
                told = progress.get();
                tell(told);
            }
            Either::Right(_) => {}
        }
    }
}

/// By the worker's own timer.
pub(crate) async fn sleep(duration: Duration) {
    let millis = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
    let waiting = Promise::new(&mut |done, _| {
        let timer: Function = Reflect::get(&js_sys::global(), &"setTimeout".into())
            .expect("a global object can be read")
            .unchecked_into();
        timer.call2(&JsValue::NULL, &done, &millis.into()).expect("a timer can always be set");
    });
    // This promise never fails.
    let _ = JsFuture::from(waiting).await;
}

/// An exception's own words.
pub(crate) fn message(error: &JsValue) -> String {
    let text = Reflect::get(error, &"message".into()).ok().and_then(|text| text.as_string());
    text.unwrap_or_else(|| "the browser does not say why".into())
}
