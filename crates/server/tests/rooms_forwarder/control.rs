//! What whoever runs the forwarder could make of a call: what it carried is put together to files and given to ffmpeg.
//!
//! A call whose frames are in the clear, behind headers that look sealed, is the control: from what the forwarder carried, tone and
//! picture come out. So whoever looks at a sealed call in the same way would see and hear it, if there were anything.

use std::{path::Path, process::Command, time::Duration};

use gloaming_room::{
    Codec,
    log::{KeyId, SFrameHeader},
};
use str0m::{format, media::MediaKind};

use crate::{
    CAMERA, VOICE, a_room,
    call::{Caller, until},
    common::{guests::make, home},
    support::frames,
};

const TONE: f64 = 1_000.0;
const RATE: u32 = 48_000;
const SIZE: (usize, usize) = (160, 120);
const SECONDS: u32 = 2;

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let run = Command::new("ffmpeg").args(["-nostdin", "-loglevel", "error", "-y"]).args(arguments).output();
    run.expect("ffmpeg is installed").stdout
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

/// Two seconds of a tone, as packets of Opus: 20 ms in each.
fn tone(dir: &Path) -> Vec<Vec<u8>> {
    let file = path(dir, "tone.ogg");
    let source = format!("sine=frequency={TONE}:sample_rate={RATE}:duration={SECONDS}");
    ffmpeg(&["-f", "lavfi", "-i", &source, "-c:a", "libopus", "-b:a", "48k", "-frame_duration", "20", &file]);
    // The first two packets say what it is.
    ogg_packets(&std::fs::read(file).unwrap()).split_off(2)
}

/// Two seconds of a picture that moves.
fn picture(dir: &Path, encoder: &str) -> Vec<Vec<u8>> {
    let file = path(dir, "picture.ivf");
    let source = format!("testsrc2=size={}x{}:rate=25:duration={SECONDS}", SIZE.0, SIZE.1);
    let settings =
        ["-deadline", "realtime", "-auto-alt-ref", "0", "-lag-in-frames", "0", "-g", "25", "-b:v", "400k"];
    let begin = ["-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p", "-c:v", encoder];
    ffmpeg(&[&begin[..], &settings, &[file.as_str()]].concat());
    let file = std::fs::read(file).unwrap();
    let mut rest = &file[32..];
    let mut frames = Vec::new();
    while let Some((head, body)) = rest.split_at_checked(12) {
        let length = u32::from_le_bytes(head[..4].try_into().unwrap()) as usize;
        frames.push(body[..length].to_vec());
        rest = &body[length..];
    }
    assert_eq!(frames.len(), 25 * SECONDS as usize);
    frames
}

/// RFC 3533, as far as ffmpeg writes it.
fn ogg_packets(mut file: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut packet) = (Vec::new(), Vec::new());
    while let Some((head, rest)) = file.split_at_checked(27) {
        assert_eq!(&head[..4], b"OggS");
        let (lacing, mut body) = rest.split_at(head[26].into());
        for &length in lacing {
            let (piece, after) = body.split_at(length.into());
            packet.extend_from_slice(piece);
            body = after;
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        file = body;
    }
    packets
}

/// The same the other way: each packet on a page of its own.
fn ogg(packets: &[Vec<u8>]) -> Vec<u8> {
    let head = [&b"OpusHead"[..], &[1, 1], &[0; 2], &RATE.to_le_bytes(), &[0; 3]].concat();
    let tags = [&b"OpusTags"[..], &[0; 8]].concat();
    let mut out = Vec::new();
    let all = [head, tags].into_iter().chain(packets.iter().cloned());
    let last = u32::try_from(packets.len() + 1).unwrap();
    for (number, packet) in (0_u32..).zip(all) {
        let kind: u8 = if number == 0 {
            2
        } else if number == last {
            4
        } else {
            0
        };
        let played = u64::from(number.saturating_sub(1)) * 960;
        let mut page =
            [&b"OggS"[..], &[0, kind], &played.to_le_bytes(), &[7; 4], &number.to_le_bytes(), &[0; 4]]
                .concat();
        page.push(u8::try_from(packet.len() / 255 + 1).expect("packets of Opus are small"));
        page.extend(std::iter::repeat_n(255, packet.len() / 255));
        page.push(u8::try_from(packet.len() % 255).unwrap());
        page.extend_from_slice(&packet);
        let mut crc = 0_u32;
        for &byte in &page {
            crc ^= u32::from(byte) << 24;
            (0..8).for_each(|_| crc = crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 });
        }
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        out.extend(page);
    }
    out
}

fn ivf(fourcc: &[u8; 4], frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = [&b"DKIF\0\0\x20\0"[..], fourcc].concat();
    out.extend_from_slice(&u16::try_from(SIZE.0).unwrap().to_le_bytes());
    out.extend_from_slice(&u16::try_from(SIZE.1).unwrap().to_le_bytes());
    for field in [25, 1, u32::try_from(frames.len()).unwrap(), 0] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    for (at, frame) in (0_u64..).zip(frames) {
        out.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(frame);
    }
    out
}

/// How much of what is heard is the tone, from 0 to 1.
fn heard(dir: &Path, packets: &[Vec<u8>]) -> f64 {
    let file = path(dir, "carried.ogg");
    std::fs::write(&file, ogg(packets)).unwrap();
    let samples = ffmpeg(&["-i", &file, "-f", "s16le", "-ac", "1", "-ar", "48000", "-"]);
    let samples: Vec<_> =
        samples.chunks_exact(2).map(|s| f64::from(i16::from_le_bytes([s[0], s[1]]))).collect();
    // One tenth of a second at a time; the loudest part counts as much as any.
    let windows: Vec<_> = samples.chunks_exact(RATE as usize / 10).map(share_of_tone).collect();
    if windows.is_empty() { 0.0 } else { windows.iter().sum::<f64>() / windows.len() as f64 }
}

fn share_of_tone(samples: &[f64]) -> f64 {
    let all: f64 = samples.iter().map(|s| s * s).sum();
    let turn = |at: usize| std::f64::consts::TAU * TONE * at as f64 / f64::from(RATE);
    let real: f64 = samples.iter().enumerate().map(|(at, s)| s * turn(at).cos()).sum();
    let imaginary: f64 = samples.iter().enumerate().map(|(at, s)| s * turn(at).sin()).sum();
    if all == 0.0 { 0.0 } else { (real * real + imaginary * imaginary) * 2.0 / (all * samples.len() as f64) }
}

fn decoded(dir: &Path, fourcc: &[u8; 4], frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let file = path(dir, "carried.ivf");
    std::fs::write(&file, ivf(fourcc, frames)).unwrap();
    let pixels =
        ffmpeg(&["-i", &file, "-f", "rawvideo", "-pix_fmt", "gray", "-fps_mode", "passthrough", "-"]);
    pixels.chunks_exact(SIZE.0 * SIZE.1).map(<[u8]>::to_vec).collect()
}

/// How alike what is seen is to what was shown, from 0 to 1: the best that any two pictures at a place near each other correlate.
fn likeness(shown: &[Vec<u8>], seen: &[Vec<u8>]) -> f64 {
    let of = |at: usize, picture: &Vec<u8>| {
        let near = &shown[at.saturating_sub(2)..(at + 3).min(shown.len())];
        near.iter().map(|shown| correlation(shown, picture).abs()).fold(0.0, f64::max)
    };
    let all: Vec<_> =
        seen.iter().take(shown.len()).enumerate().map(|(at, picture)| of(at, picture)).collect();
    if all.is_empty() { 0.0 } else { all.iter().sum::<f64>() / all.len() as f64 }
}

fn correlation(one: &[u8], other: &[u8]) -> f64 {
    let mean = |all: &[u8]| all.iter().map(|p| f64::from(*p)).sum::<f64>() / all.len() as f64;
    let (a, b) = (mean(one), mean(other));
    let pairs = || one.iter().zip(other).map(|(p, q)| (f64::from(*p) - a, f64::from(*q) - b));
    let both: f64 = pairs().map(|(p, q)| p * q).sum();
    let each = pairs().map(|(p, _)| p * p).sum::<f64>() * pairs().map(|(_, q)| q * q).sum::<f64>();
    if each == 0.0 { 0.0 } else { both / each.sqrt() }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Sealed,
    /// As a page would send whose transforms put the right header in front, and seal nothing.
    Clear,
}

/// The part of a frame that stays in front of the header.
fn prefix(codec: Codec, frame: &[u8]) -> usize {
    match codec {
        Codec::Vp8 if frame[0] & 1 == 0 => 10,
        Codec::Vp8 => 3,
        _ => 0,
    }
}

/// What the forwarder carried, without the header: all that whoever has its SRTP keys can do.
fn without_header(codec: Codec, frame: &[u8]) -> Vec<u8> {
    let (clear, rest) = frame.split_at(prefix(codec, frame));
    let (_, length) = SFrameHeader::parse(rest).expect("the forwarder passes nothing else");
    [clear, &rest[length..]].concat()
}

struct Sent {
    kind: MediaKind,
    packets: format::Codec,
    codec: Codec,
    track: u16,
    /// Ticks of RTP time, and time, between two.
    every: (u32, Duration),
}

/// Sends these frames from the first to the second, and gives what the forwarder carried.
async fn carry(call: Call, sent: &Sent, media: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (_dir, home) = home().await;
    make(&home.owner().await).await;
    let mut callers = a_room(&home, 2).await;
    let ada = callers[0].seat();
    callers[0].offer(|add| vec![add.send(Some(sent.track), sent.kind, &[])]);
    until(&mut callers, "connected", |callers| callers[0].client.connected).await;
    callers[1].offer(|add| vec![add.receive(ada, sent.track, sent.kind)]);
    until(&mut callers, "connected", |callers| callers[1].client.connected).await;
    for (at, frame) in media.iter().enumerate() {
        let ready = match call {
            Call::Sealed => {
                let (track, codec, frame) = (sent.track, sent.codec, frame.clone());
                let seal = move |member: &mut gloaming_room::Member| {
                    member.sealer().expect("a member").seal(track, codec, &frame)
                };
                callers[0].guest.with(seal).await.unwrap()
            }
            Call::Clear => {
                let epoch = callers[0].guest.with(|member| member.epoch()).await.unwrap();
                // Whoever founded the group sits on the first leaf.
                let kid = KeyId::new(sent.track, 0, epoch).unwrap().to_u64();
                let (clear, rest) = frame.split_at(prefix(sent.codec, frame));
                let mut out = clear.to_vec();
                SFrameHeader { kid, counter: at as u64 }.encode_into(&mut out);
                [&out, rest].concat()
            }
        };
        let (mid, time) = (callers[0].mids[0], sent.every.0 * u32::try_from(at).unwrap());
        callers[0].client.send_media(mid, sent.packets, at == 0, time, &ready);
        let next = tokio::time::Instant::now() + sent.every.1;
        until(&mut callers, "time for the next", |_| tokio::time::Instant::now() >= next).await;
    }
    let carried = |callers: &[Caller]| {
        let got = callers[1].client.got.get(&callers[1].mids[0]).map_or(&[][..], Vec::as_slice);
        frames(sent.packets, got)
    };
    until(&mut callers, "carried", |callers| carried(callers).len() == media.len()).await;
    carried(&callers).iter().map(|(_, frame)| without_header(sent.codec, frame)).collect()
}

async fn the_picture(encoder: &str, packets: format::Codec, codec: Codec, fourcc: &[u8; 4]) {
    let dir = tempfile::tempdir().unwrap();
    let media = picture(dir.path(), encoder);
    let shown = decoded(dir.path(), fourcc, &media);
    assert_eq!(shown.len(), media.len());
    let every = (3_600, Duration::from_millis(25));
    let sent = Sent { kind: MediaKind::Video, packets, codec, track: CAMERA, every };
    let clear = carry(Call::Clear, &sent, &media).await;
    assert!(clear == media, "what went in came out");
    assert!(likeness(&shown, &decoded(dir.path(), fourcc, &clear)) > 0.99);

    let sealed = carry(Call::Sealed, &sent, &media).await;
    let seen = decoded(dir.path(), fourcc, &sealed);
    let alike = likeness(&shown, &seen);
    assert!(alike < 0.3, "{alike} in {} pictures", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_forwarders_keys_sees_a_picture_in_the_clear_and_none_that_is_sealed() {
    the_picture("libvpx", format::Codec::Vp8, Codec::Vp8, b"VP80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_so_it_is_with_the_other_codec() {
    the_picture("libvpx-vp9", format::Codec::Vp9, Codec::Vp9, b"VP90").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_forwarders_keys_hears_a_tone_in_the_clear_and_none_that_is_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let media = tone(dir.path());
    assert!(media.len() >= 100, "{} packets", media.len());
    let every = (960, Duration::from_millis(10));
    let sent = Sent {
        kind: MediaKind::Audio,
        packets: format::Codec::Opus,
        codec: Codec::Opus,
        track: VOICE,
        every,
    };
    let clear = carry(Call::Clear, &sent, &media).await;
    assert!(clear == media, "what went in came out");
    let share = heard(dir.path(), &clear);
    assert!(share > 0.9, "{share}");

    let sealed = carry(Call::Sealed, &sent, &media).await;
    let share = heard(dir.path(), &sealed);
    assert!(share < 0.1, "{share}");
}
