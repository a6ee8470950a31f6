//! Finding what must not be there: in files, in logs, and in everything a process has in memory.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    process::{Child, Command},
};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};

/// Something to look for, as itself and in the disguises that our wire and our logs know.
#[derive(Clone)]
pub struct Needle {
    /// What it is, for people.
    pub name: String,
    shapes: Vec<Vec<u8>>,
}

impl Needle {
    /// Text.
    pub fn text(name: &str, text: &str) -> Self {
        let mut needle = Self::bytes(name, text.as_bytes());
        needle.shapes.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        needle
    }

    /// At least 16 bytes: as they are, in hexadecimal, in either Base64, and as a list of numbers.
    pub fn bytes(name: &str, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 16, "{name}: less would be found by accident");
        let mut shapes =
            vec![bytes.to_vec(), hex::encode(bytes).into_bytes(), hex::encode_upper(bytes).into_bytes()];
        // Base64 depends on where in a group of three the bytes begin; its edges depend on their neighbours.
        for shift in 0..3 {
            let shifted = [&vec![0; shift], bytes].concat();
            for engine in [&STANDARD, &URL_SAFE] {
                let encoded = engine.encode(&shifted).into_bytes();
                shapes.push(encoded[4..encoded.len() - 4].to_vec());
            }
        }
        for between in [",", ", "] {
            let numbers: Vec<String> = bytes[..16].iter().map(u8::to_string).collect();
            shapes.push(numbers.join(between).into_bytes());
        }
        Self { name: name.into(), shapes }
    }

    /// One of its shapes between other bytes, for showing that a search finds it.
    pub fn disguised(&self, which: usize) -> Vec<u8> {
        [b"\0".as_slice(), &self.shapes[which % self.shapes.len()], b"\n"].concat()
    }
}

/// Sixty-four bytes of text that occur nowhere by accident.
pub fn marker(name: &str, seed: u64) -> String {
    let mut chance = crate::Chance::new(seed);
    let mut text = format!("{name}-");
    while text.len() < 64 {
        text.push(char::from(b'a' + u8::try_from(chance.below(26)).unwrap()));
    }
    text
}

/// A search for several things at once.
pub struct Search {
    names: Vec<String>,
    /// Which of the names each pattern of the machine belongs to.
    owners: Vec<usize>,
    machine: AhoCorasick,
}

impl Search {
    /// For these.
    pub fn new<'a>(needles: impl IntoIterator<Item = &'a Needle>) -> Self {
        let (mut names, mut owners, mut shapes) = (Vec::new(), Vec::new(), Vec::new());
        for needle in needles {
            for shape in &needle.shapes {
                owners.push(names.len());
                shapes.push(shape);
            }
            names.push(needle.name.clone());
        }
        Self { names, owners, machine: AhoCorasick::new(shapes).unwrap() }
    }

    /// All that is looked for.
    pub fn all(&self) -> BTreeSet<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// The names of what occurs.
    pub fn found_in(&self, hay: &[u8]) -> BTreeSet<&str> {
        let found = self.machine.find_overlapping_iter(hay);
        found.map(|hit| self.names[self.owners[hit.pattern().as_usize()]].as_str()).collect()
    }

    /// What occurs in the files below a folder and in their names, and where.
    pub fn found_below(&self, folder: &Path) -> BTreeSet<(&str, PathBuf)> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mut names = self.found_in(path.to_string_lossy().as_bytes());
            if path.is_dir() {
                found.extend(self.found_below(&path));
            } else {
                names.extend(self.found_in(&fs::read(&path).unwrap()));
            }
            found.extend(names.into_iter().map(|name| (name, path.clone())));
        }
        found
    }
}

/// Whether `hay` has `needle` in it.
pub fn contains(hay: &[u8], needle: &[u8]) -> bool {
    AhoCorasick::new([needle]).unwrap().is_match(hay)
}

/// Ends a process as a crash would, and reads the core file that the system wrote. Its working folder must be `folder`.
///
/// Where the system hands core dumps to a program instead (`kernel.core_pattern`), or writes none, what the process had
/// in memory and could write to is read from it just before: what a core file would hold.
#[cfg(target_os = "linux")]
pub fn crash(process: &mut Child, folder: &Path) -> Vec<u8> {
    let id = process.id().to_string();
    // The limit of this very process; raising it needs no right where the hard limit allows it.
    let allowed = Command::new("prlimit").args(["--core=unlimited:unlimited", "--pid", &id]).output();
    let alive = memory(process.id()).unwrap();
    assert!(Command::new("kill").args(["-ABRT", &id]).status().unwrap().success());
    let _ = process.wait();
    let is_core =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core"));
    let core = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(is_core);
    let Some(core) = core else {
        let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
        let allowed = allowed.is_ok_and(|output| output.status.success());
        eprintln!(
            "no core file (core_pattern {:?}, limit raised: {allowed}): read from memory",
            pattern.trim()
        );
        return alive;
    };
    let dump = fs::read(&core).unwrap();
    fs::remove_file(&core).unwrap();
    // An ELF file of type core.
    assert!(dump.starts_with(b"\x7fELF") && dump[16] == 4, "{} is a core file", core.display());
    dump
}

/// Everything a process has in memory and can write to.
#[cfg(target_os = "linux")]
fn memory(process: u32) -> io::Result<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut memory = File::open(format!("/proc/{process}/mem"))?;
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
