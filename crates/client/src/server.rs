//! The JSON API, typed: one call, one answer or one [`ClientError`].

use std::{rc::Rc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{ClientError, Platform, platform::ApiRequest};

/// A server, by way of a platform. Cheap to clone.
pub(crate) struct Server<P> {
    pub(crate) platform: Rc<P>,
}

impl<P> Clone for Server<P> {
    fn clone(&self) -> Self {
        Self { platform: Rc::clone(&self.platform) }
    }
}

impl<P: Platform> Server<P> {
    pub(crate) fn new(platform: Rc<P>) -> Self {
        Self { platform }
    }

    /// Random bytes of the platform, as the pure crates want them.
    pub(crate) fn entropy(&self) -> impl FnMut(&mut [u8]) + use<P> {
        let platform = Rc::clone(&self.platform);
        move |out: &mut [u8]| platform.fill_random(out)
    }

    /// Asks, a few times if the network or the server hiccups: only for what may be asked twice.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.patiently(|| self.call("GET", path, None)).await.and_then(|body| parse(&body))
    }

    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        parse(&self.call("POST", path, Some(encode(body))).await?)
    }

    /// Like [`post`](Server::post), for requests that do the same when they arrive twice.
    pub(crate) async fn post_again<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let body = encode(body);
        parse(&self.patiently(|| self.call("POST", path, Some(body.clone()))).await?)
    }

    /// For answers without a body.
    pub(crate) async fn post_quiet<B: Serialize>(&self, path: &str, body: &B) -> Result<(), ClientError> {
        self.call("POST", path, Some(encode(body))).await.map(drop)
    }

    pub(crate) async fn put<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let body = encode(body);
        parse(&self.patiently(|| self.call("PUT", path, Some(body.clone()))).await?)
    }

    /// For answers without a body.
    pub(crate) async fn put_quiet<B: Serialize>(&self, path: &str, body: &B) -> Result<(), ClientError> {
        let body = encode(body);
        self.patiently(|| self.call("PUT", path, Some(body.clone()))).await.map(drop)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.patiently(|| self.call("DELETE", path, None)).await.map(drop)
    }

    async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, ClientError> {
        self.send(ApiRequest { method, path: path.into(), body, proof: None }).await
    }

    /// Asks once.
    pub(crate) async fn send(&self, request: ApiRequest) -> Result<Vec<u8>, ClientError> {
        let answer = self.platform.call(request).await?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            Err(ClientError::from_answer(answer.status, &answer.body, answer.retry_after))
        }
    }

    /// Three tries for a person who waits. Uploads are more patient, and say so.
    async fn patiently<F, A>(&self, ask: F) -> Result<Vec<u8>, ClientError>
    where
        F: Fn() -> A,
        A: Future<Output = Result<Vec<u8>, ClientError>>,
    {
        let mut pause = Duration::from_millis(200);
        for _ in 0..2 {
            match ask().await {
                Err(ClientError::SlowDown { seconds }) if seconds <= 5 => {
                    self.platform.sleep(Duration::from_secs(seconds)).await;
                }
                Err(ClientError::Offline { .. }) => self.platform.sleep(pause).await,
                answer => return answer,
            }
            pause *= 3;
        }
        ask().await
    }
}

pub(crate) fn encode<B: Serialize>(body: &B) -> Vec<u8> {
    serde_json::to_vec(body).expect("the wire's types serialise")
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::nonsense(error.to_string()))
}
