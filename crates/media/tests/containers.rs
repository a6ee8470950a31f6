//! Forms of the container that ffmpeg does not write: its files, rewritten box by box, go through the engine like any
//! other. ffmpeg reads them all, and is the judge.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed test may panic, a skipped one has to say so"
)]

mod support;

use gloaming_media::{MediaError, Movie, TrackInfo, TrackKind, Warning};
use support::{
    boxes::{Tree, places, table, with_moov},
    *,
};

const VIDEO: &str = "-f lavfi -i testsrc2=s=160x120:r=30";
const SOUND: &str = "-f lavfi -i sine=f=440:r=48000";
const H264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p";

/// Makes a file with ffmpeg and rewrites it.
fn made(
    dir: &Scratch,
    name: &str,
    args: &str,
    rewrite: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> std::path::PathBuf {
    let source = dir.path(name);
    ffmpeg(&[&args.split_whitespace().collect::<Vec<_>>()[..], &[source.to_str().unwrap()]].concat());
    let bytes = std::fs::read(&source).unwrap();
    std::fs::write(&source, rewrite(bytes)).unwrap();
    source
}

/// A rewritten file goes through the engine and comes out the same.
fn check(
    name: &str,
    args: &str,
    reading: &[&str],
    rewrite: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Option<Movie> {
    if !have_ffmpeg(name) {
        return None;
    }
    let dir = Scratch::new(name);
    let source = made(&dir, "source.mp4", args, rewrite);
    Some(check_file(name, &dir, &source, reading))
}

/// A rewritten file is refused.
fn refused(name: &str, args: &str, rewrite: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Option<MediaError> {
    if !have_ffmpeg(name) {
        return None;
    }
    let dir = Scratch::new(name);
    let source = made(&dir, "source.mp4", args, rewrite);
    Some(demux(&source).unwrap_err())
}

fn short() -> String {
    format!("{VIDEO} {SOUND} -t 3 {H264} -bf 2 -g 30 -c:a aac")
}

#[test]
fn boxes_with_64_bit_sizes() {
    check("wide-boxes", &short(), &[], |bytes| {
        fn widen(tree: &mut Tree) {
            // ffmpeg itself reads small boxes of some kinds in the short form only.
            tree.wide =
                matches!(&tree.kind, b"moov" | b"trak" | b"mdia" | b"stbl" | b"stsz" | b"stts" | b"ctts");
            tree.children.iter_mut().for_each(widen);
        }
        let mut bytes = with_moov(&bytes, widen);
        // ffmpeg leaves room for a longer header in front of `mdat`.
        let free =
            bytes.windows(16).position(|w| w[..8] == *b"\0\0\0\x08free" && w[12..] == *b"mdat").unwrap();
        let size = u64::from(u32::from_be_bytes(bytes[free + 8..free + 12].try_into().unwrap()));
        bytes[free..free + 4].copy_from_slice(&1_u32.to_be_bytes());
        bytes[free + 4..free + 8].copy_from_slice(b"mdat");
        bytes[free + 8..free + 16].copy_from_slice(&(size + 8).to_be_bytes());
        bytes
    });
}

#[test]
fn chunk_offsets_of_64_bits() {
    check("co64", &short(), &[], |bytes| {
        with_moov(&bytes, |moov| {
            for track in 0..2 {
                let stbl = moov.stbl(track);
                let chunks = stbl.at(&[b"stco"]).words();
                let wide = chunks[2..].iter().flat_map(|&offset| [0, offset]);
                stbl.replace(b"stco", table(b"co64", [0, chunks[1]].into_iter().chain(wide)));
            }
        })
    });
}

/// Sizes in fields of 4, 8 or 16 bits.
fn compact_sizes(moov: &mut Tree, track: usize, bits: u32) {
    let stbl = moov.stbl(track);
    let words = stbl.at(&[b"stsz"]).words();
    let sizes = if words[1] > 0 { vec![words[1]; words[2] as usize] } else { words[3..].to_vec() };
    assert!(sizes.iter().all(|&size| size < 1 << bits), "sizes fit: {:?}", sizes.iter().max());
    let mut body: Vec<u8> = [0, bits, words[2]].into_iter().flat_map(u32::to_be_bytes).collect();
    match bits {
        4 => body.extend(sizes.chunks(2).map(|two| (two[0] << 4 | two.get(1).unwrap_or(&0)) as u8)),
        8 => body.extend(sizes.iter().map(|&size| size as u8)),
        _ => body.extend(sizes.iter().flat_map(|&size| (size as u16).to_be_bytes())),
    }
    stbl.replace(b"stsz", Tree::leaf(b"stz2", body));
}

#[test]
fn compact_sample_sizes() {
    let silence = "-f lavfi -i anullsrc=r=48000:cl=mono -t 2 -bitexact -c:a aac -b:a 16k";
    let small = "-f lavfi -i sine=r=48000 -t 2 -c:a libopus -b:a 8k";
    for (bits, args) in
        [(4, silence), (8, small), (16, &format!("{VIDEO} {SOUND} -t 3 {H264} -bf 2 -crf 35 -c:a aac"))]
    {
        let movie = check(&format!("stz2-{bits}"), args, &[], |bytes| {
            with_moov(&bytes, |moov| compact_sizes(moov, 0, bits))
        });
        assert!(movie.is_none_or(|movie| movie.tracks()[0].samples > 80));
    }
}

#[test]
fn several_sample_descriptions_in_one_track() {
    if !have_ffmpeg("descriptions") {
        return;
    }
    let dir = Scratch::new("descriptions");
    // The same picture size in two ways that cannot be decoded with each other's parameters.
    let one = made(&dir, "one.mp4", &format!("{VIDEO} -t 2 {H264} -bf 2 -g 15"), |bytes| bytes);
    let two = made(&dir, "two.mp4", &format!("{VIDEO} -t 2 {H264} -profile:v baseline -g 20"), |bytes| bytes);
    let list = dir.path("list.txt");
    std::fs::write(&list, "file one.mp4\nfile two.mp4\n").unwrap();
    let join = format!("-f concat -i {} -c copy", list.display());
    let second = {
        let mut boxes = Tree::parse_all(&std::fs::read(&two).unwrap());
        boxes.last_mut().unwrap().stbl(0).at(&[b"stsd"]).body[8..].to_vec()
    };
    let source = made(&dir, "source.mp4", &join, |bytes| {
        with_moov(&bytes, |moov| {
            let stbl = moov.stbl(0);
            let places = places(stbl);
            assert_eq!(places.len(), 120);
            // Every sample is a chunk, and from the 61st on they are described by the second entry.
            let offsets = places.iter().map(|&(offset, _)| offset as u32);
            stbl.replace(b"stco", table(b"stco", [0, 120].into_iter().chain(offsets)));
            stbl.replace(b"stsc", table(b"stsc", [0, 2, 1, 1, 1, 61, 1, 2]));
            let stsd = &mut stbl.at(&[b"stsd"]).body;
            stsd[4..8].copy_from_slice(&2_u32.to_be_bytes());
            stsd.extend_from_slice(&second);
        })
    });
    let decoded = |path: &std::path::Path| {
        let path = path.to_str().unwrap();
        ffmpeg(&["-i", path, "-map", "0:v", "-f", "framehash", "-hash", "md5", "-"])
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(',').unwrap().1.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let parts = [decoded(&one), decoded(&two)].concat();
    assert_eq!(decoded(&source), parts, "the test's own file is right");
    check_file("descriptions", &dir, &source, &[]);
    for output in ["track0.mp4", "merged.mp4", "progressive.mp4"] {
        assert_eq!(decoded(&dir.path(output)), parts, "{output}: pictures");
    }
}

/// Puts this edit list into a track: (duration in the movie's clock, media time).
fn set_edits(moov: &mut Tree, track: usize, edits: &[(u32, i32)]) {
    let entries = edits.iter().flat_map(|&(duration, time)| [duration, time as u32, 0x1_0000]);
    let elst = table(b"elst", [0, edits.len() as u32].into_iter().chain(entries));
    *moov.trak(track).at(&[b"edts", b"elst"]) = elst;
}

#[test]
fn an_empty_edit_before_the_media() {
    let movie = check("empty-edit", &short(), &[], |bytes| {
        // ffmpeg's movie clock is a millisecond; B-frames make the media begin at 1024 on a clock of 15360.
        with_moov(&bytes, |moov| set_edits(moov, 0, &[(500, -1), (3000, 1024)]))
    });
    let Some(movie) = movie else { return };
    assert!(movie.warnings().is_empty(), "{:?}", movie.warnings());
    assert!((movie.duration().as_secs_f64() - 3.5).abs() < 0.05, "{:?}", movie.duration());
}

#[test]
fn two_edits_of_the_media_are_kept_and_named() {
    // The second second first, then the third: a cut in an editor that only wrote it down.
    for (name, args) in [
        ("two-edits", short()),
        ("two-edits-negative", format!("{} -movflags negative_cts_offsets", short())),
    ] {
        if !have_ffmpeg(name) {
            return;
        }
        let dir = Scratch::new(name);
        let first = if name == "two-edits" { 1024 } else { 0 };
        let source = made(&dir, "source.mp4", &args, |bytes| {
            with_moov(&bytes, |moov| {
                set_edits(moov, 0, &[(1000, first + 15_360), (500, first)]);
            })
        });
        // All that there is, hidden or not. Without the list ffmpeg begins where its first entry does, and we where the
        // earliest does, so that nothing comes before the beginning.
        let late = |track: &TrackInfo, progressive: bool| {
            if track.kind == TrackKind::Video && !progressive { -15_360 } else { 0 }
        };
        let movie = check_file_late(name, &dir, &source, WHOLE, &late);
        assert_eq!(movie.warnings(), [Warning::EditsNotApplied { track: 0 }], "{name}");
        // And the file that comes back is cut as the one that went in.
        let (before, after) = (frames(&source, &[]), frames(&dir.path("progressive.mp4"), &[]));
        assert_ne!(before[0].rows, frames(&source, WHOLE)[0].rows, "{name}: ffmpeg follows the list");
        assert_eq!(before[0].rows, after[0].rows, "{name}");
    }
}

#[test]
fn negative_offsets_in_a_table_that_should_have_none() {
    let args = format!("{VIDEO} -t 4 {H264} -bf 3 -g 30 -movflags negative_cts_offsets");
    for (name, version) in [("ctts-0", 0), ("ctts-1", 1)] {
        check(name, &args, &[], |bytes| {
            with_moov(&bytes, |moov| {
                let ctts = moov.stbl(0).at(&[b"ctts"]);
                assert!(ctts.words()[3..].iter().step_by(2).any(|&offset| (offset as i32) < 0));
                ctts.body[0] = version;
            })
        });
    }
}

#[test]
fn nothing_or_everything_is_a_sync_sample() {
    let args = format!("-f lavfi -i testsrc2=s=64x48:r=10 -t 65 {H264} -bf 2 -g 10000 -sc_threshold 0");
    let movie = check("no-sync-sample", &args, &[], |bytes| {
        with_moov(&bytes, |moov| *moov.stbl(0).at(&[b"stss"]) = table(b"stss", [0, 0]))
    });
    assert!(movie.is_none_or(|movie| movie.tracks()[0].sync_samples == 0));
    let movie =
        check("all-sync-samples", &args, &[], |bytes| with_moov(&bytes, |moov| moov.stbl(0).remove(b"stss")));
    assert!(movie.is_none_or(|movie| movie.tracks()[0].sync_samples == movie.tracks()[0].samples));
}

#[test]
fn media_in_another_file_is_refused() {
    let error = refused("external", &short(), |bytes| {
        with_moov(&bytes, |moov| {
            let dref = moov.trak(0).at(&[b"mdia", b"minf", b"dinf", b"dref"]);
            let mut url = Tree::leaf(b"url ", [&[0; 4][..], b"file:///media/clip.mp4\0"].concat());
            url.wide = false;
            dref.body.truncate(8);
            url.write(&mut dref.body);
        })
    });
    let Some(error) = error else { return };
    assert_eq!(error.code(), "media_unsupported_feature");
    assert_eq!(
        error.to_string(),
        "this file uses media that is in another file, which cannot be read; export it again as a self-contained MP4"
    );
}

#[test]
fn samples_beyond_the_end_are_found_before_anything_is_made_of_the_file() {
    let error = refused("beyond", &short(), |bytes| {
        with_moov(&bytes, |moov| {
            let stco = moov.stbl(1).at(&[b"stco"]);
            let end = stco.body.len();
            stco.body[end - 4..].copy_from_slice(&0x7fff_0000_u32.to_be_bytes());
        })
    });
    assert!(
        error.is_none_or(|error| matches!(error, MediaError::Truncated { missing } if missing > 0x7ff0_0000))
    );
}
