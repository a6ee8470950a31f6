//! Files that are broken, cut off, or made to hurt: each ends in the error that says so, and none in a panic.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use gloaming_media::{Demuxer, Extent, MediaError, Movie, Plan, PlanOptions, Planner, mp4_out::Mp4Writer};
use proptest::prelude::*;

fn put_box(out: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    out.extend_from_slice(&(body.len() as u32 + 8).to_be_bytes());
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_box(&mut out, kind, body);
    out
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// What a sample of a generated file is.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    size: u32,
    duration: u32,
    offset: u32,
    sync: bool,
    payload: Vec<u8>,
}

/// A progressive file with one video track: `ftyp`, `mdat`, `moov`; chunks of `per_chunk` samples.
fn file(samples: &[Sample], per_chunk: usize) -> Vec<u8> {
    let mut out = boxed(b"ftyp", b"isom\0\0\0\0isom");
    let mut payload = Vec::new();
    let mut chunks = Vec::new();
    for chunk in samples.chunks(per_chunk) {
        // Padding between chunks, as some recorders leave.
        payload.extend_from_slice(b"pad");
        chunks.push(out.len() as u32 + 8 + payload.len() as u32);
        for sample in chunk {
            payload.extend_from_slice(&sample.payload);
        }
    }
    put_box(&mut out, b"mdat", &payload);

    let table = |kind: &[u8; 4], rows: &[Vec<u32>]| {
        boxed(kind, &[words(&[0, rows.len() as u32]), words(&rows.concat())].concat())
    };
    let rows = |f: fn(&Sample) -> Vec<u32>| samples.iter().map(f).collect::<Vec<_>>();
    let syncs: Vec<Vec<u32>> =
        samples.iter().zip(1..).filter(|(sample, _)| sample.sync).map(|(_, number)| vec![number]).collect();
    let mut entry = vec![0, 0, 0, 0, 0, 0, 0, 1];
    entry.resize(78, 0);
    let mut runs = vec![vec![1, per_chunk as u32, 1]];
    let rest = samples.len() % per_chunk;
    if rest > 0 && samples.len() > per_chunk {
        runs.push(vec![chunks.len() as u32, rest as u32, 1]);
    } else if rest > 0 {
        runs = vec![vec![1, rest as u32, 1]];
    }
    let stbl = [
        boxed(b"stsd", &[words(&[0, 1]), boxed(b"test", &entry)].concat()),
        table(b"stts", &rows(|s| vec![1, s.duration])),
        table(b"ctts", &rows(|s| vec![1, s.offset])),
        table(b"stss", &syncs),
        boxed(
            b"stsz",
            &[words(&[0, 0, samples.len() as u32]), words(&rows(|s| vec![s.size]).concat())].concat(),
        ),
        table(b"stsc", &runs),
        table(b"stco", &chunks.iter().map(|&chunk| vec![chunk]).collect::<Vec<_>>()),
    ]
    .concat();
    let mut tkhd = words(&[3, 0, 0, 7]);
    tkhd.resize(84, 0);
    let mut mvhd = words(&[0, 0, 0, 1000]);
    mvhd.resize(100, 0);
    let hdlr = [words(&[0, 0]), b"vide".to_vec(), vec![0; 13]].concat();
    let mdia = [
        boxed(b"mdhd", &[words(&[0, 0, 0, 600, 0]), vec![0x55, 0xc4, 0, 0]].concat()),
        boxed(b"hdlr", &hdlr),
        boxed(b"minf", &boxed(b"stbl", &stbl)),
    ]
    .concat();
    let trak = [boxed(b"tkhd", &tkhd), boxed(b"mdia", &mdia)].concat();
    put_box(&mut out, b"moov", &[boxed(b"mvhd", &mvhd), boxed(b"trak", &trak)].concat());
    out
}

fn at(data: &[u8], extent: Extent) -> &[u8] {
    &data[extent.offset as usize..extent.end() as usize]
}

fn demux(data: &[u8]) -> Result<Movie, MediaError> {
    let mut demuxer = Demuxer::new(data.len() as u64);
    while let Some(extent) = demuxer.need() {
        demuxer.feed(extent.offset, at(data, extent))?;
    }
    demuxer.finish()
}

/// Init and segments of the only track, in one piece.
fn remux(data: &[u8], options: PlanOptions) -> Result<Vec<u8>, MediaError> {
    let movie = demux(data)?;
    let mut out = movie.tracks()[0].init.clone();
    let mut planner = Planner::new(movie, options)?;
    loop {
        match planner.next()? {
            Plan::Need(extent) => planner.feed(extent.offset, at(data, extent))?,
            Plan::Fragment(fragment) => {
                for piece in fragment.pieces {
                    match piece {
                        gloaming_media::Piece::Source(extent) => out.extend_from_slice(at(data, extent)),
                        gloaming_media::Piece::Literal(bytes) => out.extend_from_slice(&bytes),
                    }
                }
            }
            Plan::Done => return Ok(out),
        }
    }
}

/// The only track, cut and joined again into a progressive file.
fn join(data: &[u8], options: PlanOptions) -> Result<Vec<u8>, MediaError> {
    let movie = demux(data)?;
    let (init, header) = (movie.tracks()[0].init.clone(), movie.source_header().to_vec());
    let mut writer = Mp4Writer::new(&[&init], movie.tracks()[0].bytes)?.with_source_header(&header)?;
    let mut out = writer.begin();
    let segments = remux(data, options)?;
    for range in writer.segment(0, &segments[init.len()..])? {
        out.extend_from_slice(&segments[init.len()..][range]);
    }
    out.extend(writer.finish()?);
    Ok(out)
}

fn samples(count: u32) -> Vec<Sample> {
    (0..count)
        .map(|n| Sample {
            size: 3 + n % 5,
            duration: 20,
            offset: n % 3 * 20,
            sync: n % 30 == 0,
            payload: vec![n as u8; 3 + (n % 5) as usize],
        })
        .collect()
}

#[test]
fn what_is_no_movie_is_told_apart() {
    assert_eq!(demux(b"").unwrap_err(), MediaError::Empty);
    assert_eq!(demux(b"x").unwrap_err(), MediaError::NotMedia);
    assert_eq!(demux(&[0; 5000]).unwrap_err(), MediaError::NotMedia);
    assert_eq!(demux(b"Dear diary, today I saw a film.").unwrap_err(), MediaError::NotMedia);
    let matroska = [&[0x1a, 0x45, 0xdf, 0xa3][..], &[0; 60]].concat();
    assert!(matches!(demux(&matroska), Err(MediaError::UnsupportedFormat { format: "Matroska and WebM" })));
    let unfinished = [boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"mdat", &[7; 100])].concat();
    assert_eq!(demux(&unfinished).unwrap_err(), MediaError::NoIndex);
    assert_eq!(
        demux(&[boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"moov", b"")].concat()).unwrap_err(),
        MediaError::NoTracks
    );
    assert_eq!(demux(&file(&[], 1)).unwrap_err(), MediaError::NoSamples);
    let still = Sample { duration: 0, ..samples(1)[0].clone() };
    assert_eq!(demux(&file(&[still], 1)).unwrap_err(), MediaError::NoDuration);
}

#[test]
fn a_cut_off_file_says_how_much_is_missing() {
    let whole = file(&samples(40), 7);
    assert_eq!(demux(&whole[..whole.len() - 11]).unwrap_err(), MediaError::Truncated { missing: 11 });
    // Never a panic, wherever it is cut.
    for len in 0..whole.len() {
        assert!(remux(&whole[..len], PlanOptions::default()).is_err(), "{len} bytes");
    }
}

#[test]
fn samples_outside_of_the_file_are_noticed() {
    let mut data = file(&samples(4), 4);
    let stco = data.windows(4).rposition(|kind| kind == b"stco").unwrap();
    data[stco + 12..stco + 16].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(demux(&data), Err(MediaError::Truncated { .. })), "before anything is made of it");
}

#[test]
fn a_compressed_header_is_refused() {
    let moov = boxed(b"moov", &boxed(b"cmov", &[7; 40]));
    let data = [boxed(b"ftyp", b"qt  \0\0\0\0qt  "), boxed(b"mdat", &[7; 100]), moov].concat();
    let error = demux(&data).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this file uses a compressed QuickTime header, which cannot be read; export it again as a self-contained MP4"
    );
}

#[test]
fn samples_too_large_to_seal_are_found_at_once() {
    // More than the file holds as well, but that is not what one could do something about.
    let mut data = file(&samples(4), 4);
    let stsz = data.windows(4).rposition(|kind| kind == b"stsz").unwrap();
    data[stsz + 16..stsz + 20].copy_from_slice(&(65_u32 << 20).to_be_bytes());
    assert!(matches!(demux(&data), Err(MediaError::SampleTooLarge { bytes: 68_157_440, .. })));
}

#[test]
fn counts_are_capped_by_their_boxes() {
    for kind in [b"stts", b"ctts", b"stsc", b"stco", b"stss"] {
        let mut data = file(&samples(4), 2);
        let at = data.windows(4).rposition(|window| window == kind).unwrap();
        data[at + 8..at + 12].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(demux(&data), Err(MediaError::Damaged { .. })), "{kind:?}");
    }
    let mut data = file(&samples(4), 2);
    let at = data.windows(4).rposition(|window| window == b"stsz").unwrap();
    // A common size of 1, four thousand million times.
    data[at + 8..at + 16].copy_from_slice(&[0, 0, 0, 1, 255, 255, 255, 255]);
    assert!(matches!(demux(&data), Err(MediaError::Damaged { .. })));
}

#[test]
fn junk_after_the_end_is_kept_and_mentioned() {
    let mut data = file(&samples(4), 2);
    data.extend_from_slice(&[0; 100]);
    let movie = demux(&data).unwrap();
    assert_eq!(movie.warnings(), [gloaming_media::Warning::TrailingBytes]);
    remux(&data, PlanOptions::default()).unwrap();
}

#[test]
fn only_the_asked_range_is_taken() {
    let mut demuxer = Demuxer::new(100);
    assert_eq!(demuxer.feed(1, &[0; 99]), Err(MediaError::WrongRange));
    assert_eq!(demuxer.finish().unwrap_err(), MediaError::WrongRange);
}

fn any_sample() -> impl Strategy<Value = Sample> {
    (0_u32..2000, 1_u32..900, -50_i32..100, any::<bool>(), any::<u8>()).prop_map(
        |(size, duration, offset, sync, fill)| Sample {
            size,
            duration,
            offset: offset as u32,
            sync,
            payload: vec![fill; size as usize],
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Cutting what was cut already changes no sample, nor a byte of them.
    #[test]
    fn segments_read_back_as_the_samples_they_were(
        samples in prop::collection::vec(any_sample(), 1..200),
        per_chunk in 1_usize..20,
        max_fragment in 2500_u64..20_000,
    ) {
        let data = file(&samples, per_chunk);
        let options = PlanOptions { max_fragment, ..PlanOptions::default() };
        let once = remux(&data, options).unwrap();
        let twice = remux(&once, options).unwrap();
        prop_assert_eq!(&once[demux(&data).unwrap().tracks()[0].init.len()..], &twice[demux(&once).unwrap().tracks()[0].init.len()..]);

        // And neither does joining them: what is joined is cut the same.
        let joined = join(&data, options).unwrap();
        let again = remux(&joined, options).unwrap();
        prop_assert_eq!(&once[demux(&data).unwrap().tracks()[0].init.len()..], &again[demux(&joined).unwrap().tracks()[0].init.len()..]);

        let payload: Vec<u8> = samples.iter().flat_map(|sample| sample.payload.iter().copied()).collect();
        let mut found = Vec::new();
        let movie = demux(&once).unwrap();
        prop_assert_eq!(movie.tracks()[0].samples, samples.len() as u64);
        prop_assert_eq!(movie.tracks()[0].sync_samples, samples.iter().filter(|s| s.sync).count() as u64);
        prop_assert_eq!(movie.tracks()[0].duration, samples.iter().map(|s| u64::from(s.duration)).sum::<u64>());
        let mut planner = Planner::new(movie, options).unwrap();
        loop {
            match planner.next().unwrap() {
                Plan::Need(extent) => planner.feed(extent.offset, at(&once, extent)).unwrap(),
                Plan::Fragment(fragment) => {
                    prop_assert!(fragment.len <= max_fragment || fragment.samples == 1);
                    for piece in fragment.pieces {
                        if let gloaming_media::Piece::Source(extent) = piece {
                            found.extend_from_slice(at(&once, extent));
                        }
                    }
                }
                Plan::Done => break,
            }
        }
        prop_assert!(found == payload);
    }

    /// One byte changed anywhere in the headers leads to an answer or an error, never to a panic or an endless loop.
    #[test]
    fn a_flipped_byte_never_panics(place in any::<prop::sample::Index>(), value in any::<u8>(), fragmented in any::<bool>()) {
        let mut data = file(&samples(70), 7);
        if fragmented {
            data = remux(&data, PlanOptions::default()).unwrap();
        }
        let place = place.index(data.len());
        data[place] = value;
        let _ = remux(&data, PlanOptions::default());
    }
}
