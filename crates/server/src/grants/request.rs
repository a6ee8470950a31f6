use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, Uri},
};
use gloaming_grants::proof::{self, PROOF_HEADER, Proof};
use gloaming_store::Place;
use serde::de::DeserializeOwned;

use super::{Browser, place};
use crate::{app::App, client::Client, error::ApiError, extract::whole_body};

/// A request that proves itself, as it was received.
pub(crate) struct Asked {
    method: String,
    /// Path and query.
    target: String,
    query: String,
    body: Bytes,
    pub(super) proof: Option<Proof>,
    pub(super) browsers: Vec<Browser>,
    pub(super) client: Client,
    pub(super) place: Place,
}

impl Asked {
    pub(super) fn as_proved(&self) -> proof::Asked<'_> {
        proof::Asked { method: &self.method, target: &self.target, body: &self.body }
    }

    /// The query, read.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let uri: Uri = format!("/?{}", self.query).parse().map_err(|_| unread_query())?;
        let read = axum::extract::Query::<T>::try_from_uri(&uri);
        read.map(|query| query.0).map_err(|_| unread_query())
    }

    /// The body, read.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| ApiError::bad_request("The body does not read as what this route takes."))
    }

    /// Whether the browser speaks HTTPS.
    pub(crate) fn https(&self) -> bool {
        self.client.https
    }

    /// The browser that this session is of.
    pub(crate) fn browser(&self, hash: &[u8; 32]) -> Option<&Browser> {
        self.browsers.iter().find(|browser| browser.is(hash))
    }
}

fn unread_query() -> ApiError {
    ApiError::bad_request("The question mark's part of the address does not read.")
}

impl FromRequest<App> for Asked {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let client = request.extensions().get::<Client>().expect("identified before").clone();
        let method = request.method().as_str().to_owned();
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let headers: HeaderMap = request.headers().clone();
        let proof =
            headers.get(PROOF_HEADER).and_then(|proof| proof.to_str().ok()).and_then(|p| p.parse().ok());
        let place = place(&client, &headers);
        let body = whole_body(request, app).await?;
        Ok(Self { method, target, query, body, proof, browsers: Browser::all(&headers), client, place })
    }
}
