//! The other side of `web/src/core/host.ts`: what the core asks of the browser, and the conversions on the way.

use js_sys::{Array, Function, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, Blob};

#[wasm_bindgen]
extern "C" {
    /// Files, the network, a place to keep things.
    #[wasm_bindgen(typescript_type = "import('../core/host').Host")]
    pub type Host;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) fn read(this: &Host, file: &JsValue, offset: f64, length: f64) -> Result<Uint8Array, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn call(
        this: &Host,
        method: &str,
        path: &str,
        body: Option<Uint8Array>,
        proof: Option<String>,
    ) -> Result<Answer, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn get(
        this: &Host,
        url: &str,
        from: f64,
        to: f64,
        signal: &AbortSignal,
    ) -> Result<Answer, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn put(
        this: &Host,
        url: &str,
        headers: &Array,
        body: &Blob,
        sent: &Function,
        signal: &AbortSignal,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn load(this: &Host, shelf: &str, name: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn save(
        this: &Host,
        shelf: &str,
        name: &str,
        value: &JsValue,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn forget(this: &Host, shelf: &str, name: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn names(this: &Host, shelf: &str, prefix: &str) -> Result<JsValue, JsValue>;

    /// Width and height of a picture.
    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn size(this: &Host, image: &Blob) -> Result<JsValue, JsValue>;

    /// Takes something for this worker, if no other has it; true if it is ours now.
    #[wasm_bindgen(method, structural, catch)]
    pub(crate) async fn claim(this: &Host, name: &str) -> Result<JsValue, JsValue>;

    /// What a server or a store answered.
    pub(crate) type Answer;

    #[wasm_bindgen(method, structural, getter)]
    pub(crate) fn status(this: &Answer) -> u16;

    #[wasm_bindgen(method, structural, getter, js_name = retryAfter)]
    pub(crate) fn retry_after(this: &Answer) -> Option<f64>;

    #[wasm_bindgen(method, structural, getter)]
    pub(crate) fn body(this: &Answer) -> Uint8Array;
}
