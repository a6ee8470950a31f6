//! Plain data across the border, and errors as `VaultError`s.

use gloaming_client::ClientError;
use js_sys::JSON;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use wasm_bindgen::prelude::*;

use crate::wire::VaultError;

/// What every call answers.
pub(crate) type Answer<T = JsValue> = Result<T, JsValue>;

/// As JavaScript would write it; numbers are below 2^53 here.
pub(crate) fn to_js<T: Serialize>(value: &T) -> JsValue {
    let text = serde_json::to_string(value).expect("the wire's types serialise");
    JSON::parse(&text).expect("JSON reads JSON")
}

/// What the page sent, if it is what the contract says.
pub(crate) fn from_js<T: DeserializeOwned>(value: &JsValue) -> Answer<T> {
    let text = JSON::stringify(value).ok().and_then(|text| text.as_string()).unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| fault(&format!("a call was not understood: {error}")))
}

/// An id that the page got from us.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> Answer<T> {
    text.parse().map_err(|_| fault("that is not an id"))
}

pub(crate) fn ids<T: std::str::FromStr>(texts: &[String]) -> Answer<Vec<T>> {
    texts.iter().map(|text| id(text)).collect()
}

/// A mistake of the page's own.
pub(crate) fn fault(what: &str) -> JsValue {
    let message = format!("Something went wrong inside this page ({what}). Reload it and try again.");
    to_js(&VaultError { code: "fault".into(), message, detail: None })
}

/// An error without a `ClientError` behind it.
pub(crate) fn refuse(code: &str, message: &str) -> JsValue {
    to_js(&VaultError { code: code.into(), message: message.into(), detail: None })
}

pub(crate) fn thrown(error: ClientError) -> JsValue {
    to_js(&vault_error(&error))
}

pub(crate) fn vault_error(error: &ClientError) -> VaultError {
    let detail = match error {
        ClientError::QuotaExceeded { used, quota } => Some(json!({ "used": used, "quota": quota })),
        ClientError::SlowDown { seconds } => Some(json!({ "seconds": seconds })),
        _ => None,
    };
    VaultError { code: error.code().into(), message: sentence(&error.to_string()), detail }
}

/// With a capital letter and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut out: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    out.push_str(letters.as_str());
    if !out.ends_with(['.', '?', '!']) {
        out.push('.');
    }
    out
}
