//! A store in memory, and a tiny movie: nine seconds of H.264 with B-frames and two AAC tracks, made by ffmpeg.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hasher},
};

use gloaming_ids::{Entropy, ObjectId, VideoId};
use gloaming_keys::{SegmentKeys, VideoSecret, seal_fragment_in_place, sha256};
use gloaming_media::{Demuxer, Extent, Movie, Piece, Plan, PlanOptions, Planner};
use gloaming_package::{FragmentRow, Index, OpenError, SealOptions, SealStep, Sealer};

const SMALL: &[u8] = include_bytes!("../fixtures/small.mp4");

pub(crate) const VIDEO: VideoId = VideoId::from_bytes([7; 16]);

/// Random bytes that are the same each time.
pub(crate) fn seeded(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut counter = 0u64;
    move |out: &mut [u8]| {
        for byte in out {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(seed);
            hasher.write_u64(counter);
            *byte = hasher.finish() as u8;
            counter += 1;
        }
    }
}

pub(crate) fn secret() -> VideoSecret {
    VideoSecret::generate(&mut |out: &mut [u8]| out.fill(3))
}

/// Small packs and segments, so that a tiny movie has many.
pub(crate) fn options() -> SealOptions {
    SealOptions {
        target: PlanOptions::default().target / 2,
        max_fragment: 6000,
        pack: 12_000,
        ..SealOptions::default()
    }
}

pub(crate) fn read(extent: Extent) -> &'static [u8] {
    &SMALL[extent.offset as usize..extent.end() as usize]
}

pub(crate) fn movie() -> Movie {
    let mut demuxer = Demuxer::new(SMALL.len() as u64);
    while let Some(extent) = demuxer.need() {
        demuxer.feed(extent.offset, read(extent)).unwrap();
    }
    demuxer.finish().unwrap()
}

/// The movie's fragments in the clear: track, segment, bytes.
pub(crate) fn plan(mut take: impl FnMut(usize, u32, &[u8])) {
    let options = options();
    let plan =
        PlanOptions { target: options.target, first: options.first, max_fragment: options.max_fragment };
    let mut planner = Planner::new(movie(), plan).unwrap();
    loop {
        match planner.next().unwrap() {
            Plan::Need(extent) => planner.feed(extent.offset, read(extent)).unwrap(),
            Plan::Fragment(fragment) => take(fragment.track, fragment.segment, &plaintext(&fragment.pieces)),
            Plan::Done => return,
        }
    }
}

fn plaintext(pieces: &[Piece]) -> Vec<u8> {
    let bytes = |piece: &Piece| match piece {
        Piece::Source(extent) => read(*extent).to_vec(),
        Piece::Literal(bytes) => bytes.clone(),
    };
    pieces.iter().flat_map(bytes).collect()
}

/// Seals the movie whole.
pub(crate) fn seal(options: SealOptions) -> (Store, Index) {
    let mut store = Store::default();
    let mut sealer = Sealer::new(movie(), &secret(), VIDEO, options, &mut seeded(5)).unwrap();
    store.drive(&mut sealer, usize::MAX);
    let sealed = sealer.finish(1, &mut seeded(6)).unwrap();
    assert_eq!(sealed.sha256, sha256(&sealed.bytes));
    let index = open(&sealed.bytes).unwrap();
    (store, index)
}

pub(crate) fn sealed_index() -> Vec<u8> {
    let mut sealer = Sealer::new(movie(), &secret(), VIDEO, options(), &mut seeded(5)).unwrap();
    Store::default().drive(&mut sealer, usize::MAX);
    sealer.finish(1, &mut seeded(6)).unwrap().bytes
}

pub(crate) fn open(sealed: &[u8]) -> Result<Index, OpenError> {
    let secret = secret();
    Index::open(sealed, &secret.view_share, VIDEO, 1, &secret.signer().verifier())
}

/// Where objects rest, and what a hostile host may do with them.
#[derive(Default)]
pub(crate) struct Store {
    objects: BTreeMap<ObjectId, Vec<u8>>,
}

impl Store {
    /// Does what the sealer says, until `stop` packs are stored.
    pub(crate) fn drive(&mut self, sealer: &mut Sealer, stop: usize) {
        let (mut open, mut stored) = (BTreeMap::<_, Vec<u8>>::new(), 0);
        while stored < stop {
            match sealer.next().unwrap() {
                SealStep::Need(extent) => sealer.feed(extent.offset, read(extent)).unwrap(),
                SealStep::Fragment(job) => {
                    let pack = open.entry(job.place.pack).or_default();
                    assert_eq!(pack.len() as u64, job.place.offset);
                    let mut buf = vec![0; 12];
                    buf.extend(plaintext(&job.pieces));
                    let mut nonce = [0; 12];
                    seeded(u64::from(job.place.segment)).fill(&mut nonce);
                    seal_fragment_in_place(&job.key, job.place.number, job.last, nonce, &mut buf);
                    assert_eq!(buf.len() as u64, job.sealed_len);
                    sealer.sealed(job.place, sha256(&buf)).unwrap();
                    pack.extend(buf);
                }
                SealStep::PackClosed(closed) => {
                    let mut pack = open.remove(&closed.pack).unwrap();
                    assert_eq!(pack.len() as u64, closed.sealed_len);
                    pack.resize(closed.stored_len() as usize, 0xee);
                    let object = ObjectId::generate(&mut seeded(1000 + self.objects.len() as u64));
                    assert!(self.objects.insert(object, pack).is_none());
                    sealer.stored(closed.pack, object).unwrap();
                    stored += 1;
                }
                SealStep::Done => return,
            }
        }
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = (&ObjectId, &Vec<u8>)> {
        self.objects.iter()
    }

    pub(crate) fn object(&self, object: ObjectId) -> &[u8] {
        &self.objects[&object]
    }

    pub(crate) fn sealed(&self, row: &FragmentRow) -> Vec<u8> {
        let object = self.object(row.object);
        let end = ((row.offset + row.len) as usize).min(object.len());
        object[(row.offset as usize).min(end)..end].to_vec()
    }

    pub(crate) fn segment(&self, index: &Index, track: u16, segment: u32) -> Result<Vec<u8>, OpenError> {
        let key =
            SegmentKeys::new(&secret(), VIDEO).derive_segment_key(index.track(track).unwrap().id, segment);
        let mut out = Vec::new();
        for row in index.segment(track, segment).unwrap().fragments {
            let mut buf = self.sealed(&row);
            row.open_in_place(&key, &mut buf)?;
            out.extend(buf);
        }
        Ok(out)
    }

    pub(crate) fn bend(&mut self, object: ObjectId, at: usize, mask: u8) {
        self.objects.get_mut(&object).unwrap()[at] ^= mask;
    }

    pub(crate) fn write(&mut self, object: ObjectId, at: usize, bytes: &[u8]) {
        self.objects.get_mut(&object).unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn swap(&mut self, a: ObjectId, b: ObjectId) {
        let (x, y) = (self.objects.remove(&a).unwrap(), self.objects.remove(&b).unwrap());
        self.objects.insert(a, y);
        self.objects.insert(b, x);
    }

    pub(crate) fn shorten(&mut self, object: ObjectId, len: usize) {
        self.objects.get_mut(&object).unwrap().truncate(len);
    }
}
