//! Sealing a real (tiny) movie, and everything a hostile store or fellow viewer could do to it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use gloaming_ids::{ObjectId, VideoId};
use gloaming_keys::{ObjectRole, SegmentKeys, VideoSecret, derive_object_key, open_object};
use gloaming_media::{Piece, SourceHeader};
use gloaming_package::{
    Index, Journal, Kind, OpenError, PADDED_TO, Part, SealError, SealOptions, SealStep, Sealer, VirtualMp4,
    VirtualPart, dash, hls,
};
use proptest::prelude::*;
use support::{Store, VIDEO, movie, options, seal, secret, seeded};

#[test]
fn what_was_sealed_opens_to_what_the_planner_cut() {
    let (store, index) = seal(options());
    let mut cut: Vec<Vec<Vec<u8>>> = Vec::new();
    support::plan(|track, segment, bytes| {
        let tracks = cut.len().max(track + 1);
        cut.resize_with(tracks, Vec::new);
        let segments = cut[track].len().max(segment as usize + 1);
        cut[track].resize_with(segments, Vec::new);
        cut[track][segment as usize].extend_from_slice(bytes);
    });
    for (track, segments) in cut.iter().enumerate() {
        assert_eq!(index.segment_count(track as u16) as usize, segments.len());
        for (number, plain) in segments.iter().enumerate() {
            assert_eq!(&store.segment(&index, track as u16, number as u32).unwrap(), plain);
        }
    }
    let media: u64 = movie().tracks().iter().map(|track| track.bytes).sum();
    assert_eq!(index.media_bytes(), media);
    assert_eq!(index.duration(), Duration::from_millis(movie().duration().as_millis() as u64));
}

#[test]
fn the_source_header_is_an_attachment_under_segment_keys() {
    let (store, index) = seal(SealOptions { max_fragment: 4000, ..options() });
    let track = index.source_header().unwrap();
    let about = index.track(track).unwrap();
    assert_eq!(about.kind, Kind::Attachment);
    let bytes: Vec<u8> =
        (0..index.segment_count(track)).flat_map(|n| store.segment(&index, track, n).unwrap()).collect();
    assert_eq!(bytes, movie().source_header());
    assert_eq!(about.media_bytes, bytes.len() as u64);
    SourceHeader::parse(&bytes).unwrap();
}

#[test]
fn every_object_is_padded_and_the_first_pack_of_a_track_is_its_first_segment() {
    let (store, index) = seal(options());
    for (track, _) in index.tracks().enumerate() {
        let track = track as u16;
        for pack in index.packs(track) {
            assert_eq!(pack.stored_len % PADDED_TO, 0);
            assert_eq!(store.object(pack.object).len() as u64, pack.stored_len);
        }
        let first = index.segment(track, 0).unwrap();
        assert_eq!(first.fragments.len() as u32, index.packs(track)[0].fragments);
    }
}

#[test]
fn no_plaintext_is_in_the_store() {
    let (store, index) = seal(options());
    let plain = store.segment(&index, 0, 0).unwrap();
    for (_, object) in store.objects() {
        for window in [&plain[..16], &plain[plain.len() - 16..]] {
            assert!(!object.windows(16).any(|bytes| bytes == window));
        }
        assert!(!object.windows(7).any(|bytes| bytes == b"fixture"));
    }
}

/// Feeds a sealer to its end, but stops (as a crash would) before storing pack number `stop`.
fn interrupted(options: SealOptions, stop: usize) -> (Store, Journal) {
    let mut store = Store::default();
    let mut sealer = Sealer::new(movie(), &secret(), VIDEO, options, &mut seeded(5)).unwrap();
    store.drive(&mut sealer, stop);
    (store, sealer.journal().clone())
}

#[test]
fn a_resumed_seal_sends_only_what_is_missing_and_ends_the_same() {
    let (_, whole) = seal(options());
    let packs: usize = (0..whole.tracks().len()).map(|track| whole.packs(track as u16).len()).sum();
    assert!(packs >= 6, "the fixture is too small to interrupt");
    for stop in 0..=packs {
        let (mut store, journal) = interrupted(options(), stop);
        let mut text = Vec::new();
        ciborium::into_writer(&journal, &mut text).unwrap();
        let journal: Journal = ciborium::from_reader(text.as_slice()).unwrap();
        assert_eq!(journal.packs().len(), stop);

        let before = store.objects().count();
        let mut sealer = Sealer::resume(movie(), &secret(), &journal).unwrap();
        store.drive(&mut sealer, usize::MAX);
        assert_eq!(store.objects().count() - before, packs - stop);
        let sealed = sealer.finish(1, &mut seeded(6)).unwrap();
        let index = support::open(&sealed.bytes).unwrap();
        for (track, about) in whole.tracks().enumerate() {
            let track = track as u16;
            assert_eq!(index.track(track).unwrap().codec, about.codec);
            for number in 0..whole.segment_count(track) {
                store.segment(&index, track, number).unwrap();
                let (a, b) = (whole.segment(track, number).unwrap(), index.segment(track, number).unwrap());
                let layout = |row: gloaming_package::SegmentRow| {
                    row.fragments.into_iter().map(|it| (it.offset, it.len)).collect::<Vec<_>>()
                };
                assert_eq!((a.start, a.duration, layout(a)), (b.start, b.duration, layout(b)));
            }
        }
    }
}

#[test]
fn a_journal_holds_no_key() {
    let (_, journal) = interrupted(options(), 4);
    let mut bytes = Vec::new();
    ciborium::into_writer(&journal, &mut bytes).unwrap();
    let secret = secret();
    for key in [secret.view_share.expose(), secret.grant_share.expose(), secret.sign_seed.expose()] {
        assert!(!bytes.windows(32).any(|window| window == key));
    }
}

#[test]
fn a_pack_that_the_store_lost_is_sealed_again() {
    let (mut store, mut journal) = interrupted(options(), 4);
    let (lost, _) = journal.packs().next().unwrap();
    journal.forget(lost);
    let mut sealer = Sealer::resume(movie(), &secret(), &journal).unwrap();
    store.drive(&mut sealer, usize::MAX);
    let index = support::open(&sealer.finish(1, &mut seeded(6)).unwrap().bytes).unwrap();
    store.segment(&index, lost.track, 0).unwrap();
}

#[test]
fn a_journal_of_another_movie_is_refused() {
    let (_, journal) = interrupted(options(), 3);
    let mut value = ciborium::Value::serialized(&journal).unwrap();
    let movie_field =
        value.as_map_mut().unwrap().iter_mut().find(|(key, _)| key.as_text() == Some("movie")).unwrap();
    movie_field.1 = ciborium::Value::Bytes(vec![7; 32]);
    let journal: Journal = value.deserialized().unwrap();
    assert_eq!(Sealer::resume(movie(), &secret(), &journal).unwrap_err(), SealError::OtherSource);
}

#[test]
fn an_index_is_not_made_before_everything_is_stored() {
    let sealer = Sealer::new(movie(), &secret(), VIDEO, options(), &mut seeded(5)).unwrap();
    assert_eq!(sealer.finish(1, &mut seeded(6)).unwrap_err(), SealError::Unfinished);
    let mut sealer = Sealer::new(movie(), &secret(), VIDEO, options(), &mut seeded(5)).unwrap();
    loop {
        match sealer.next().unwrap() {
            SealStep::Need(extent) => sealer.feed(extent.offset, support::read(extent)).unwrap(),
            SealStep::PackClosed(closed) => {
                let stored = sealer.stored(closed.pack, ObjectId::from_bytes([1; 16]));
                assert_eq!(stored, Err(SealError::Unfinished), "its fragments have no digests");
            }
            SealStep::Fragment(_) => {}
            SealStep::Done => break,
        }
    }
    assert_eq!(sealer.finish(1, &mut seeded(6)).unwrap_err(), SealError::Unfinished);
}

mod attacks {
    use super::*;

    #[test]
    fn no_bit_of_a_stored_fragment_can_change() {
        let (mut store, index) = seal(options());
        let row = index.segment(0, 1).unwrap().fragments[0];
        for bit in (0..row.len * 8).step_by(97) {
            let place = (row.offset + bit / 8) as usize;
            store.bend(row.object, place, 1 << (bit % 8));
            assert_eq!(store.segment(&index, 0, 1), Err(OpenError::Rejected), "bit {bit}");
            store.bend(row.object, place, 1 << (bit % 8));
        }
        store.segment(&index, 0, 1).unwrap();
    }

    /// The digests are those of whoever helps the store; the keys still refuse.
    fn opens(
        keys: &SegmentKeys,
        index: &Index,
        key_of: (u16, u32),
        as_: (u32, bool),
        mut sealed: Vec<u8>,
    ) -> bool {
        let track = index.track(key_of.0).unwrap().id;
        gloaming_keys::open_fragment_in_place(
            &keys.derive_segment_key(track, key_of.1),
            as_.0,
            as_.1,
            &mut sealed,
        )
        .is_ok()
    }

    #[test]
    fn a_fragment_opens_in_its_own_place_only() {
        let (store, index) = seal(SealOptions { max_fragment: 2000, ..options() });
        let keys = SegmentKeys::new(&secret(), VIDEO);
        let fragments = index.segment(0, 1).unwrap().fragments;
        assert!(fragments.len() > 1, "the segment has fragments to swap");
        let first = store.sealed(&fragments[0]);
        assert!(opens(&keys, &index, (0, 1), (0, false), first.clone()));
        assert!(!opens(&keys, &index, (0, 1), (1, false), first.clone()), "another number");
        assert!(!opens(&keys, &index, (0, 1), (0, true), first.clone()), "the segment cut short");
        assert!(!opens(&keys, &index, (0, 2), (0, false), first.clone()), "another segment");
        assert!(!opens(&keys, &index, (1, 1), (0, false), first.clone()), "another track");
        let elsewhere = SegmentKeys::new(&secret(), VideoId::from_bytes([9; 16]));
        assert!(!opens(&elsewhere, &index, (0, 1), (0, false), first.clone()), "another video");
        let strangers = SegmentKeys::new(&VideoSecret::generate(&mut seeded(99)), VIDEO);
        assert!(!opens(&strangers, &index, (0, 1), (0, false), first), "another key");
    }

    #[test]
    fn a_fellow_viewer_cannot_replace_a_fragment() {
        let (mut store, index) = seal(options());
        let row = index.segment(0, 1).unwrap().fragments[0];
        let key = SegmentKeys::new(&secret(), VIDEO).derive_segment_key(index.track(0).unwrap().id, 1);
        let mut forged = vec![0; 12 + row.plaintext_len() as usize];
        gloaming_keys::seal_fragment_in_place(&key, row.number, row.last, [3; 12], &mut forged);
        store.write(row.object, row.offset as usize, &forged);
        assert_eq!(store.segment(&index, 0, 1), Err(OpenError::Rejected));
    }

    #[test]
    fn swapped_and_shortened_packs_are_refused() {
        let (mut store, index) = seal(options());
        let (a, b) = (index.packs(0)[1].object, index.packs(1)[1].object);
        store.swap(a, b);
        assert_eq!(store.segment(&index, 0, 1), Err(OpenError::Rejected));
        store.swap(a, b);
        store.segment(&index, 0, 1).unwrap();
        store.shorten(a, 100);
        assert_eq!(store.segment(&index, 0, 1), Err(OpenError::Rejected));
    }

    #[test]
    fn no_bit_of_an_index_can_change_and_none_can_go() {
        let sealed = support::sealed_index();
        for bit in 0..sealed.len() * 8 {
            let mut bent = sealed.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let refused = support::open(&bent).unwrap_err();
            let too_new = matches!(refused, OpenError::TooNew { .. }) && bit < 8;
            assert!(too_new || refused == OpenError::Rejected, "bit {bit}: {refused}");
        }
        for len in 0..sealed.len() {
            assert_eq!(support::open(&sealed[..len]), Err(OpenError::Rejected), "{len} bytes");
        }
    }

    #[test]
    fn an_index_of_another_video_or_version_is_refused() {
        let sealed = support::sealed_index();
        let (secret, verifier) = (secret(), secret().signer().verifier());
        let open = |video, version| Index::open(&sealed, &secret.view_share, video, version, &verifier);
        open(VIDEO, 1).unwrap();
        assert_eq!(open(VideoId::from_bytes([9; 16]), 1), Err(OpenError::Rejected));
        assert_eq!(open(VIDEO, 2), Err(OpenError::Rejected));
    }

    #[test]
    fn an_index_that_a_viewer_signed_is_a_forgery() {
        let (_, index) = seal(options());
        let (secret, viewer) = (secret(), VideoSecret::generate(&mut seeded(66)));
        let forged = index.seal(&secret.view_share, &viewer.signer(), 1, &mut seeded(7));
        assert_eq!(support::open(&forged.bytes), Err(OpenError::Forged));
    }
}

#[test]
fn an_index_of_version_one_opens_for_good() {
    let frozen = include_bytes!("fixtures/index-v1.bin");
    let index = support::open(frozen).unwrap();
    let described: Vec<_> =
        index.tracks().map(|track| (track.kind, track.codec.as_str(), track.language.as_str())).collect();
    assert_eq!(described[0].0, Kind::Video);
    assert_eq!(described[1], (Kind::Audio, "mp4a.40.2", "eng"));
    assert_eq!(described[2], (Kind::Audio, "mp4a.40.2", "deu"));
    assert_eq!(described[3].0, Kind::Attachment);
    assert_eq!(index.duration().as_secs(), 9);
    assert_eq!(index.segment(0, 0).unwrap().start, 0);
}

/// Writes the frozen vector, and the fuzzer's first index. Only for a new format version:
/// `cargo test -p gloaming-package -- --ignored freeze`.
#[test]
#[ignore = "writes the vector that another test reads"]
fn freeze_an_index() {
    let sealed = support::sealed_index();
    std::fs::write("tests/fixtures/index-v1.bin", &sealed).unwrap();
    let key = derive_object_key(&secret().view_share, ObjectRole::Index, VIDEO, 1);
    let signed = open_object(&key, ObjectRole::Index, VIDEO, 1, &sealed).unwrap();
    let mut cbor = Vec::new();
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(&signed[65..]).unwrap();
    std::io::Read::read_to_end(&mut decoder, &mut cbor).unwrap();
    std::fs::create_dir_all("../../fuzz/corpus/index").unwrap();
    std::fs::write("../../fuzz/corpus/index/small", cbor).unwrap();
}

#[test]
fn the_virtual_file_says_where_playback_can_begin() {
    let (store, index) = seal(options());
    let file = VirtualMp4::new(&index).unwrap();
    let header = file.header();
    let sidx = header.windows(4).position(|kind| kind == b"sidx").unwrap() - 4;
    let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    assert_eq!(sidx + word(sidx) as usize, header.len(), "it is the last of the header");
    let (track, count) = (word(sidx + 12) as u16 - 1, word(sidx + 36));
    assert_eq!(index.track(track).unwrap().kind, Kind::Video);
    assert_eq!(count, index.segment_count(track));
    let mut at = header.len() as u64;
    for segment in 0..count {
        let entry = sidx + 40 + segment as usize * 12;
        let VirtualPart::Segment { track: of, segment: found, range } =
            file.parts(at..u64::MAX).next().unwrap()
        else {
            panic!("no segment at {at}")
        };
        assert_eq!(range.start, 0, "a stretch begins where a segment does");
        assert!(segment == 0 || (of, found) == (track, segment), "{segment}: {of}, {found}");
        assert_eq!(word(entry + 8), 1 << 31, "it begins with a key frame");
        at += u64::from(word(entry));
    }
    assert_eq!(at, file.len());
    assert!(store.segment(&index, track, 0).is_ok());
}

#[test]
fn a_range_of_the_virtual_file_is_that_range_of_the_whole() {
    let (store, index) = seal(options());
    let file = VirtualMp4::new(&index).unwrap();
    let read = |range: std::ops::Range<u64>| -> Vec<u8> {
        let of = |part| match part {
            VirtualPart::Header(range) => file.header()[range].to_vec(),
            VirtualPart::Segment { track, segment, range } => store.segment(&index, track, segment).unwrap()
                [range.start as usize..range.end as usize]
                .to_vec(),
        };
        file.parts(range).flat_map(of).collect()
    };
    let whole = read(0..file.len());
    assert_eq!(whole.len() as u64, file.len());
    assert_eq!(read(0..u64::MAX), whole);
    assert!(read(file.len()..u64::MAX).is_empty());
    let mut at = 0;
    for step in (1..2000).cycle() {
        let end = (at + step).min(file.len());
        assert_eq!(read(at..end), whole[at as usize..end as usize], "{at}..{end}");
        if end == file.len() {
            break;
        }
        at = end;
    }
}

#[test]
fn the_moment_of_a_segment_finds_it() {
    let (_, index) = seal(options());
    for track in [0, 1] {
        let timescale = f64::from(index.track(track).unwrap().timescale.get());
        for number in 0..index.segment_count(track) {
            let row = index.segment(track, number).unwrap();
            let middle = (row.start as f64 + row.duration as f64 / 2.0) / timescale;
            assert_eq!(index.segment_at(track, Duration::from_secs_f64(middle)), Some(number));
        }
    }
    assert_eq!(index.segment_at(99, Duration::ZERO), None);
}

#[test]
fn every_uri_of_a_manifest_is_a_part_that_exists() {
    let (_, index) = seal(options());
    let exists = |part: Part| match part {
        Part::Manifest | Part::Master => true,
        Part::Playlist(track) => hls::media(&index, track).is_some(),
        Part::Init(track) => index.track(track).is_some_and(|about| !about.init.is_empty()),
        Part::Segment(track, segment) => index.segment(track, segment).is_some(),
    };
    let master = hls::master(&index);
    let mut named = Vec::new();
    for line in master.lines() {
        if let Some((_, uri)) = line.split_once("URI=\"") {
            named.push(uri.trim_end_matches('"').to_owned());
        } else if !line.starts_with('#') {
            named.push(line.to_owned());
        }
    }
    assert_eq!(named, ["1/playlist.m3u8", "2/playlist.m3u8", "0/playlist.m3u8"]);
    for uri in named {
        let Some(Part::Playlist(track)) = Part::resolve(&uri) else { panic!("{uri}") };
        let playlist = hls::media(&index, track).unwrap();
        let segments: Vec<_> = playlist.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(segments.len(), index.segment_count(track) as usize);
        for uri in segments.into_iter().chain(["init.mp4"]) {
            assert!(Part::resolve(&format!("{track}/{uri}")).is_some_and(exists), "{uri}");
        }
    }
    assert_eq!(hls::media(&index, 3), None, "the attachment");
    let mpd = dash::mpd(&index, "");
    assert!(mpd.contains("initialization=\"0/init.mp4\""), "{mpd}");
    assert!(mpd.contains("lang=\"deu\""), "{mpd}");
    assert!(!mpd.contains("id=\"3\""), "the attachment is not in it");
}

#[test]
fn segments_of_a_manifest_follow_each_other_to_the_end() {
    let (_, index) = seal(options());
    for track in index.playable() {
        let playlist = hls::media(&index, track).unwrap();
        let sum: f64 = playlist
            .lines()
            .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse::<f64>().ok())
            .sum();
        assert!((sum - index.duration().as_secs_f64()).abs() < 0.3, "{sum}");
    }
}

#[test]
fn a_fragment_job_adds_up() {
    let mut sealer = Sealer::new(movie(), &secret(), VIDEO, options(), &mut seeded(5)).unwrap();
    loop {
        match sealer.next().unwrap() {
            SealStep::Need(extent) => sealer.feed(extent.offset, support::read(extent)).unwrap(),
            SealStep::Fragment(job) => {
                assert_eq!(job.pieces.iter().map(Piece::len).sum::<u64>(), job.plaintext_len);
                assert_eq!(job.sealed_len, job.plaintext_len + 28);
            }
            SealStep::PackClosed(_) => {}
            SealStep::Done => break,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_and_any_pack_size_opens(
        target in 500u64..5000, max_fragment in 1500u64..40_000, pack in 3000u64..80_000,
    ) {
        let options = SealOptions { target: Duration::from_millis(target), max_fragment, pack, ..options() };
        let (store, index) = seal(options);
        for track in 0..index.tracks().len() as u16 {
            for number in 0..index.segment_count(track) {
                prop_assert!(store.segment(&index, track, number).is_ok());
            }
        }
    }

    #[test]
    fn hostile_bytes_are_no_index(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Index::decode(VIDEO, &bytes).is_err());
        let mut body = vec![1];
        body.extend(ruzstd::encoding::compress_to_vec(bytes.as_slice(), ruzstd::encoding::CompressionLevel::Fastest));
        prop_assert!(Index::decode(VIDEO, &body).is_err());
    }
}
