//! A buffer of media in JavaScript's memory.

use std::ops::Range;

use gloaming_client::platform::Bulk;
use js_sys::Uint8Array;

/// Bytes that WASM's memory never sees, unless somebody asks with [`Bulk::to_vec`].
#[derive(Clone, Debug)]
pub struct JsBytes(pub(crate) Uint8Array);

impl Bulk for JsBytes {
    fn len(&self) -> u64 {
        u64::from(self.0.length())
    }

    fn slice(&self, range: Range<u64>) -> Self {
        Self(self.0.subarray(position(range.start), position(range.end)))
    }

    fn concat(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let whole = Uint8Array::new_with_length(parts.iter().map(|part| part.0.length()).sum());
        let mut at = 0;
        for part in &parts {
            whole.set(&part.0, at);
            at += part.0.length();
        }
        Self(whole)
    }

    fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Uint8Array::from(bytes.as_slice()))
    }

    fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// Buffers are packs or less: far below 4 GiB.
pub(crate) fn position(at: u64) -> u32 {
    u32::try_from(at).expect("a buffer in a browser is below 4 GiB")
}
