use std::{cmp::Reverse, collections::BinaryHeap, io::Read, time::Duration};

use gloaming_ids::{Entropy, VideoId};
use gloaming_keys::{
    ObjectRole, VideoSigner, VideoVerifier, ViewShare, derive_object_key, open_object, seal_object, sha256,
};
use ruzstd::{
    decoding::StreamingDecoder,
    encoding::{CompressionLevel, compress_to_vec},
};
use serde::{Deserialize, Serialize};

use crate::{
    Kind, OpenError, PackRow, SOURCE_HEADER, SegmentRow, Track,
    presentation::playable,
    table::{Table, WireTable, seconds},
};

/// First byte of what is signed. Another meaning of the bytes behind it is another number.
const FORMAT: u8 = 1;
const SIGNATURE: usize = 64;
/// Bytes of an index at most, before and after compression. A hundred gigabytes of video need about two megabytes.
const MAX_INDEX: u64 = 64 << 20;
/// A compressed index refers back this far at most; our compressor stays below 128 KiB.
const MAX_WINDOW: u64 = 8 << 20;

/// A sealed index, ready to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedIndex {
    /// The object's bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of them: what the owner's library pins.
    pub sha256: [u8; 32],
    /// Which version of the video's index this is, from 1.
    pub version: u64,
}

impl std::fmt::Debug for SealedIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedIndex(version {}, {} bytes)", self.version, self.bytes.len())
    }
}

/// What a stored video is made of.
///
/// ```text
/// object    = keys' object(role "index", video, version) of: signature(64) ‖ body
/// body      = format version(1) ‖ zstd(CBOR { duration_ms, tracks: [{ about, rows }] })
/// signature = the video's Ed25519 key over ("index-signature", video, version, SHA-256 of body)
/// ```
///
/// * Sealed under the view share: the store learns its length, and cannot pass another version's or video's off as it.
/// * Signed: whoever may watch holds the view share too, and together with the store could otherwise make an index for
///   others. The signature is checked before a byte of the body is decoded.
/// * Checked: counts, lengths, sums and times must agree. An owner's program may be broken or hostile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    video: VideoId,
    duration: Duration,
    tracks: Vec<(Track, Table)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    duration_ms: u64,
    tracks: Vec<WireTrack>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTrack {
    about: Track,
    rows: WireTable,
}

impl Index {
    pub(crate) fn new(
        video: VideoId,
        duration: Duration,
        tracks: Vec<(Track, WireTable)>,
    ) -> Result<Index, OpenError> {
        if tracks.is_empty() || u16::try_from(tracks.len()).is_err() {
            return Err(OpenError::Malformed { what: "no tracks, or too many" });
        }
        // Positions of the others are `track_ID`s, so nothing may stand between them.
        if !tracks.is_sorted_by_key(|(about, _)| about.kind == Kind::Attachment) {
            return Err(OpenError::Malformed { what: "an attachment before a track" });
        }
        let tracks = tracks.into_iter().map(|(about, rows)| check(about, rows)).collect::<Result<_, _>>()?;
        Ok(Index { video, duration, tracks })
    }

    /// Opens the index of `video` with this version, as its owner signed it.
    pub fn open(
        sealed: &[u8],
        view: &ViewShare,
        video: VideoId,
        version: u64,
        verifier: &VideoVerifier,
    ) -> Result<Index, OpenError> {
        if sealed.len() as u64 > MAX_INDEX {
            return Err(OpenError::Rejected);
        }
        let key = derive_object_key(view, ObjectRole::Index, video, version);
        let signed = open_object(&key, ObjectRole::Index, video, version, sealed)?;
        let (signature, body) = signed.split_first_chunk::<SIGNATURE>().ok_or(OpenError::Forged)?;
        verifier.verify_index(video, version, &sha256(body), signature).map_err(|_| OpenError::Forged)?;
        Index::decode(video, body)
    }

    /// Seals this index as `version` of the video's.
    pub fn seal(
        &self,
        view: &ViewShare,
        signer: &VideoSigner,
        version: u64,
        entropy: &mut dyn Entropy,
    ) -> SealedIndex {
        let body = self.encode();
        let mut signed = signer.sign_index(self.video, version, &sha256(&body)).to_vec();
        signed.extend_from_slice(&body);
        let key = derive_object_key(view, ObjectRole::Index, self.video, version);
        let bytes = seal_object(&key, ObjectRole::Index, self.video, version, &signed, entropy);
        SealedIndex { sha256: sha256(&bytes), bytes, version }
    }

    fn encode(&self) -> Vec<u8> {
        let tracks =
            self.tracks.iter().map(|(about, rows)| WireTrack { about: about.clone(), rows: rows.into() });
        let wire = Wire { duration_ms: self.duration.as_millis() as u64, tracks: tracks.collect() };
        let mut cbor = Vec::new();
        ciborium::into_writer(&wire, &mut cbor).expect("writing to memory does not fail");
        let mut body = vec![FORMAT];
        body.extend_from_slice(&compress_to_vec(cbor.as_slice(), CompressionLevel::Fastest));
        body
    }

    /// Decodes what [`open`](Index::open) has authenticated. Public for fuzzing only: it proves nothing.
    #[doc(hidden)]
    pub fn decode(video: VideoId, body: &[u8]) -> Result<Index, OpenError> {
        let bad = |what| OpenError::Malformed { what };
        let zstd = match body {
            [FORMAT, zstd @ ..] => zstd,
            [found, ..] if *found > FORMAT => return Err(OpenError::TooNew { found: *found }),
            _ => return Err(bad("no format version")),
        };
        let decoder = StreamingDecoder::new_with_max_window_size(zstd, MAX_WINDOW)
            .map_err(|_| bad("not compressed"))?;
        let mut cbor = Vec::new();
        decoder.take(MAX_INDEX + 1).read_to_end(&mut cbor).map_err(|_| bad("badly compressed"))?;
        if cbor.len() as u64 > MAX_INDEX {
            return Err(bad("too large"));
        }
        let mut rest = cbor.as_slice();
        let wire: Wire = ciborium::from_reader(&mut rest).map_err(|_| bad("not the fields of an index"))?;
        if !rest.is_empty() {
            return Err(bad("bytes after its end"));
        }
        let tracks = wire.tracks.into_iter().map(|track| (track.about, track.rows)).collect();
        Index::new(video, Duration::from_millis(wire.duration_ms), tracks)
    }

    /// Which video it is of.
    pub fn video(&self) -> VideoId {
        self.video
    }

    /// How long the longest track plays.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The tracks; a track's position is its number everywhere else. Attachments come last.
    pub fn tracks(&self) -> impl ExactSizeIterator<Item = &Track> {
        self.tracks.iter().map(|(about, _)| about)
    }

    /// One track.
    pub fn track(&self, track: u16) -> Option<&Track> {
        self.tracks.get(usize::from(track)).map(|(about, _)| about)
    }

    /// How many segments a track has; 0 where there is no such track.
    pub fn segment_count(&self, track: u16) -> u32 {
        self.table(track).map_or(0, Table::segment_count)
    }

    /// One segment of a track.
    pub fn segment(&self, track: u16, segment: u32) -> Option<SegmentRow> {
        self.table(track)?.segment(segment)
    }

    /// The number of the segment of a track that holds this moment: the last one that begins no later.
    pub fn segment_at(&self, track: u16, at: Duration) -> Option<u32> {
        let (about, table) = self.tracks.get(usize::from(track))?;
        let begins =
            |n: u32| table.time(n).map_or(Duration::MAX, |(start, ..)| seconds(start, about.timescale));
        let (mut low, mut high) = (0, table.segment_count().checked_sub(1)?);
        while low < high {
            let middle = high - (high - low) / 2;
            if begins(middle) <= at { low = middle } else { high = middle - 1 }
        }
        Some(low)
    }

    /// The stored objects of a track, in order.
    pub fn packs(&self, track: u16) -> &[PackRow] {
        self.table(track).map_or(&[], Table::packs)
    }

    /// Bytes of all packs as they are stored.
    pub fn stored_bytes(&self) -> u64 {
        self.tracks.iter().flat_map(|(_, table)| table.packs()).map(|pack| pack.stored_len).sum()
    }

    /// The track that keeps what surrounded the media in the source file.
    pub fn source_header(&self) -> Option<u16> {
        let is = |about: &Track| about.kind == Kind::Attachment && about.codec == SOURCE_HEADER;
        self.tracks.iter().position(|(about, _)| is(about)).map(|track| track as u16)
    }

    /// Init segments of all tracks that have one, in track order: attachments come last and have none.
    pub fn inits(&self) -> Vec<&[u8]> {
        self.tracks()
            .filter(|about| about.kind != Kind::Attachment)
            .map(|about| about.init.as_slice())
            .collect()
    }

    /// Bytes of samples in all tracks that have samples: what an MP4's `mdat` holds.
    pub fn media_bytes(&self) -> u64 {
        self.tracks().filter(|about| about.kind != Kind::Attachment).map(|about| about.media_bytes).sum()
    }

    /// The tracks that manifests name: pictures, sound, and text in a form that players know.
    pub fn playable(&self) -> Vec<u16> {
        playable(self).iter().map(|track| track.number).collect()
    }

    /// All segments of all tracks but attachments, the earliest first; of those at the same time, the first track's
    /// first. The order in which a file holds them.
    pub fn in_time_order(&self) -> impl Iterator<Item = (u16, u32)> {
        let next = |track: u16, segment: u32| {
            let (about, table) = &self.tracks[usize::from(track)];
            let (start, ..) = table.time(segment)?;
            // 2⁻³² seconds: exact enough to sort by, and the same on every machine.
            let time = (u128::from(start) << 32) / u128::from(about.timescale.get());
            (about.kind != Kind::Attachment).then_some(Reverse((time, track, segment)))
        };
        let mut heads: BinaryHeap<_> =
            (0..self.tracks.len() as u16).filter_map(|track| next(track, 0)).collect();
        std::iter::from_fn(move || {
            let Reverse((_, track, segment)) = heads.pop()?;
            heads.extend(next(track, segment + 1));
            Some((track, segment))
        })
    }

    pub(crate) fn table(&self, track: u16) -> Option<&Table> {
        self.tracks.get(usize::from(track)).map(|(_, table)| table)
    }
}

/// A track's description and rows, if they agree.
fn check(about: Track, rows: WireTable) -> Result<(Track, Table), OpenError> {
    let bad = |what| OpenError::Malformed { what };
    let table = rows.check()?;
    if (about.kind == Kind::Attachment) != about.init.is_empty() {
        return Err(bad("a track without an init segment"));
    }
    if about.media_bytes > table.total_plaintext() {
        return Err(bad("more media than there are bytes"));
    }
    if about.media_time > i64::MAX as u64 || about.duration > i64::MAX as u64 {
        return Err(bad("a time without end"));
    }
    if about.frame_rate.is_some_and(|(_, denominator)| denominator == 0) {
        return Err(bad("a frame rate over nothing"));
    }
    Ok((about, table))
}
