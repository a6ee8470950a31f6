//! A file to publish, read in large windows: a browser takes milliseconds for a read of any size, and a movie asks for
//! tens of thousands of small ones.

use std::cell::RefCell;

use gloaming_client::platform::{SourceFailure, SourceStamp};
use gloaming_ids::UnixMillis;
use gloaming_media::{Extent, Piece};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{bulk::position, host::Host};

/// One read of the browser's. FileReaderSync is at its best here (550 MB/s, against 4 MB/s at 4 KiB).
const WINDOW: u64 = 8 << 20;
/// Windows that are kept: where pictures and sound are written far apart in the file, each has its own, and the sample
/// tables at its end have theirs.
const KEPT: usize = 4;

/// A `File` (or in Node whatever its host can read) and the windows of it that were read last.
#[derive(Debug)]
pub struct FileSource {
    file: JsValue,
    stamp: SourceStamp,
    /// Most recently used last.
    windows: RefCell<Vec<(u64, Uint8Array)>>,
}

impl FileSource {
    /// Takes `size` and `lastModified` as they are now.
    pub fn new(file: JsValue) -> Self {
        let number = |name: &str| Reflect::get(&file, &name.into()).ok().and_then(|value| value.as_f64());
        let stamp = SourceStamp {
            len: whole(number("size").unwrap_or_default()),
            modified: number("lastModified").map(|at| UnixMillis(whole(at))),
        };
        Self { file, stamp, windows: RefCell::default() }
    }

    /// Its name, as the browser gives it.
    pub fn name(&self) -> String {
        Reflect::get(&self.file, &"name".into()).ok().and_then(|name| name.as_string()).unwrap_or_default()
    }

    pub(crate) fn stamp(&self) -> SourceStamp {
        self.stamp
    }

    /// Copies the pieces to `target`, one after another.
    pub(crate) fn gather(
        &self,
        host: &Host,
        pieces: &[Piece],
        target: &Uint8Array,
    ) -> Result<(), SourceFailure> {
        let mut at = 0;
        for piece in pieces {
            match piece {
                Piece::Literal(bytes) => {
                    target.subarray(at, at + position(bytes.len() as u64)).copy_from(bytes);
                    at += position(bytes.len() as u64);
                }
                Piece::Source(extent) => {
                    self.copy(host, *extent, target, at)?;
                    at += position(extent.len);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn read(&self, host: &Host, extent: Extent) -> Result<Vec<u8>, SourceFailure> {
        let target = Uint8Array::new_with_length(position(extent.len));
        self.copy(host, extent, &target, 0)?;
        Ok(target.to_vec())
    }

    fn copy(
        &self,
        host: &Host,
        extent: Extent,
        target: &Uint8Array,
        mut at: u32,
    ) -> Result<(), SourceFailure> {
        if extent.end() > self.stamp.len {
            return Err(SourceFailure::Changed);
        }
        let mut from = extent.offset;
        while from < extent.end() {
            let start = from - from % WINDOW;
            let window = self.window(host, start)?;
            let end = extent.end().min(start + WINDOW);
            target.set(&window.subarray(position(from - start), position(end - start)), at);
            at += position(end - from);
            from = end;
        }
        Ok(())
    }

    fn window(&self, host: &Host, start: u64) -> Result<Uint8Array, SourceFailure> {
        let mut windows = self.windows.borrow_mut();
        if let Some(index) = windows.iter().rposition(|(at, _)| *at == start) {
            let found = windows.remove(index);
            windows.push(found);
        } else {
            let len = WINDOW.min(self.stamp.len - start);
            let bytes =
                host.read(&self.file, start as f64, len as f64).map_err(|error| unreadable(&error))?;
            if u64::from(bytes.length()) != len {
                return Err(SourceFailure::Changed);
            }
            if windows.len() == KEPT {
                windows.remove(0);
            }
            windows.push((start, bytes));
        }
        let (_, bytes) = windows.last().expect("a window was just put there");
        Ok(bytes.clone())
    }
}

/// A browser's number for a size or a time: whole, and below 2^53.
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

/// Browsers take a snapshot of a file when it is chosen, and refuse to read it once it differs: NotReadableError in
/// Chromium and Firefox, NotFoundError where it is gone.
fn unreadable(error: &JsValue) -> SourceFailure {
    let text = |name: &str| Reflect::get(error, &name.into()).ok().and_then(|value| value.as_string());
    match text("name").as_deref() {
        Some("NotReadableError") => SourceFailure::Changed,
        _ => {
            SourceFailure::Unreadable(text("message").unwrap_or_else(|| "the browser cannot read it".into()))
        }
    }
}
