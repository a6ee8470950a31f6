//! Finding bytes where they must not be.

use std::{
    fs,
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Something to look for, as itself and in the disguises that our wire and our logs know.
pub struct Marker {
    /// Itself, for planting.
    pub text: String,
    shapes: Vec<Vec<u8>>,
}

impl Marker {
    /// Sixty-four bytes of text that occur nowhere by accident.
    pub fn new(name: &str, seed: u64) -> Self {
        let mut chance = crate::Chance::new(seed);
        let mut text = format!("{name}-");
        while text.len() < 64 {
            text.push(char::from(b'a' + u8::try_from(chance.below(26)).unwrap()));
        }
        let bytes = text.as_bytes();
        let mut shapes =
            vec![bytes.to_vec(), hex::encode(bytes).into_bytes(), hex::encode_upper(bytes).into_bytes()];
        // Base64 depends on where in a group of three the marker begins; its edges depend on its neighbours.
        for shift in 0..3 {
            let shifted = [&vec![0; shift], bytes].concat();
            let encoded = URL_SAFE_NO_PAD.encode(shifted).into_bytes();
            shapes.push(encoded[4..encoded.len() - 4].to_vec());
        }
        shapes.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        Self { text, shapes }
    }

    /// Whether it occurs.
    pub fn is_in(&self, hay: &[u8]) -> bool {
        self.shapes.iter().any(|shape| contains(hay, shape))
    }
}

/// Whether `hay` has `needle` in it.
pub fn contains(hay: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut from = 0;
    while let Some(at) = hay[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if hay[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

/// The files below a folder in which the marker is.
pub fn files_with(marker: &Marker, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(marker, &path));
        } else if marker.is_in(path.to_string_lossy().as_bytes()) || marker.is_in(&fs::read(&path).unwrap()) {
            found.push(path);
        }
    }
    found
}

/// Everything a process has in memory and can write to: what a core dump of it would hold.
#[cfg(target_os = "linux")]
pub fn memory(process: u32) -> io::Result<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut memory = fs::File::open(format!("/proc/{process}/mem"))?;
    let mut dump = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("a mapping is a range");
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut part = vec![0; usize::try_from(end - start).unwrap()];
        memory.seek(io::SeekFrom::Start(start))?;
        // Some mappings (of devices) cannot be read, by a core dump neither.
        if memory.read_exact(&mut part).is_ok() {
            dump.append(&mut part);
        }
    }
    Ok(dump)
}
