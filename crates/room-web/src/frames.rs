use gloaming_room::{FrameFault, OpenJob as Opening, SealJob as Sealing};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

/// How to seal one frame with WebCrypto: AES-128-GCM, a tag of 16 bytes. The result is clear bytes, header, ciphertext and tag.
#[wasm_bindgen]
pub struct SealJob(pub(crate) Sealing);

#[wasm_bindgen]
impl SealJob {
    /// Which key: [`crate::RoomMember::seal_key`] gives it. Keys are imported once for each.
    #[wasm_bindgen(getter)]
    pub fn kid(&self) -> u64 {
        self.0.kid
    }

    /// The nonce, for this frame and no other.
    #[wasm_bindgen(getter)]
    pub fn nonce(&self) -> Uint8Array {
        Uint8Array::from(&self.0.nonce[..])
    }

    /// What is authenticated beside the ciphertext.
    #[wasm_bindgen(getter)]
    pub fn aad(&self) -> Uint8Array {
        Uint8Array::from(&self.0.aad[..])
    }

    /// How many bytes of the frame stay clear.
    #[wasm_bindgen(getter)]
    pub fn clear(&self) -> usize {
        self.0.clear
    }

    /// What goes between the clear bytes and the ciphertext.
    #[wasm_bindgen(getter)]
    pub fn header(&self) -> Uint8Array {
        Uint8Array::from(&self.0.header[..])
    }
}

/// How to open one frame with WebCrypto.
#[wasm_bindgen]
pub struct OpenJob(pub(crate) Opening);

#[wasm_bindgen]
impl OpenJob {
    /// Which key, together with the epoch.
    #[wasm_bindgen(getter)]
    pub fn kid(&self) -> u64 {
        self.0.kid
    }

    /// The epoch that the key is of.
    #[wasm_bindgen(getter)]
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The nonce.
    #[wasm_bindgen(getter)]
    pub fn nonce(&self) -> Uint8Array {
        Uint8Array::from(&self.0.nonce[..])
    }

    /// What is authenticated beside the ciphertext.
    #[wasm_bindgen(getter)]
    pub fn aad(&self) -> Uint8Array {
        Uint8Array::from(&self.0.aad[..])
    }

    /// How many bytes of the frame are clear, and stay in front of the plaintext.
    #[wasm_bindgen(getter)]
    pub fn clear(&self) -> usize {
        self.0.clear
    }

    /// Where the ciphertext begins. It goes on to the end, its tag included.
    #[wasm_bindgen(getter)]
    pub fn ciphertext(&self) -> usize {
        self.0.ciphertext
    }
}

/// Why a frame is dropped, as a word to count.
pub(crate) fn dropped(fault: FrameFault) -> JsValue {
    JsValue::from_str(match fault {
        FrameFault::NoKey => "no-key",
        FrameFault::TooShort => "too-short",
        FrameFault::NotSealed => "not-sealed",
        FrameFault::OtherEpoch => "other-epoch",
        FrameFault::OtherSeat => "other-seat",
        FrameFault::Replayed => "replayed",
        FrameFault::Rejected => "rejected",
    })
}
