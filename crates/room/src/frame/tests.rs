#![allow(clippy::unwrap_used, reason = "a test may")]

use super::*;

const BASE: [u8; 16] = [7; 16];

fn base() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(BASE.to_vec())
}

fn pair(epoch: u64) -> (FrameSealer, FrameOpener) {
    let (mut sealer, mut opener) = (FrameSealer::default(), FrameOpener::default());
    sealer.switch(Some((epoch, base(), 3)));
    opener.add(epoch, base(), vec![0, 3]);
    (sealer, opener)
}

/// RFC 9605, appendix C.3, cipher suite 0x0004.
#[test]
fn keys_nonces_and_ciphertext_are_those_of_the_rfc() {
    let (kid, counter) = (0x123, 0x4567);
    let base_key = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
    let key = FrameKey::derive(&base_key, kid);
    assert_eq!(hex::encode(*key.key), "d34f547f4ca4f9a7447006fe7fcbf768");
    assert_eq!(hex::encode(*key.salt), "75234edefe07819026751816");
    assert_eq!(hex::encode(key.nonce(counter)), "75234edefe07819026755d71");
    let mut frame = Vec::new();
    SFrameHeader { kid, counter }.encode_into(&mut frame);
    let aad = [&frame[..], &hex::decode("4945544620534672616d65205747").unwrap()].concat();
    assert_eq!(hex::encode(&aad), "99012345674945544620534672616d65205747");
    let mut text = hex::decode("64726166742d696574662d736672616d652d656e63").unwrap();
    let tag = key
        .cipher()
        .encrypt_inout_detached(&key.nonce(counter).into(), &aad, text.as_mut_slice().into())
        .unwrap();
    frame.extend_from_slice(&text);
    frame.extend_from_slice(&tag);
    assert_eq!(
        hex::encode(frame),
        "9901234567b7412c2513a1b66dbb48841bbaf17f598751176ad847681a69c6d0b091c07018ce4adb34eb"
    );
}

#[test]
fn frames_of_every_codec_open_again_with_their_clear_bytes_in_front() {
    let (mut sealer, mut opener) = pair(5);
    let key_frame: Vec<u8> = (0..40).map(|n| n * 2).collect();
    let delta: Vec<u8> = (0..40).map(|n| n * 2 + 1).collect();
    for (codec, frame, clear) in [
        (Codec::Vp8, &key_frame, 10),
        (Codec::Vp8, &delta, 3),
        (Codec::Vp9, &key_frame, 0),
        (Codec::Opus, &delta, 0),
    ] {
        let sealed = sealer.seal(1, codec, frame).unwrap();
        assert_eq!(sealed[..clear], frame[..clear]);
        assert!(!sealed[clear..].windows(4).any(|w| frame[clear..].windows(4).any(|f| f == w)));
        assert_eq!(opener.open(3, codec, &sealed).as_ref(), Ok(frame));
    }
    assert_eq!(sealer.seal(1, Codec::Vp8, &[0, 1, 2]), Err(FrameFault::TooShort));
    assert_eq!(sealer.seal(1, Codec::Vp8, &[]), Err(FrameFault::TooShort));
    let empty = sealer.seal(1, Codec::Opus, &[]).unwrap();
    assert_eq!(opener.open(3, Codec::Opus, &empty), Ok(Vec::new()));
}

#[test]
fn every_flipped_bit_is_refused_the_clear_ones_too() {
    let (mut sealer, mut opener) = pair(5);
    let frame: Vec<u8> = (0..24).map(|n| n * 2).collect();
    let sealed = sealer.seal(0, Codec::Vp8, &frame).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut bent = sealed.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(opener.open(3, Codec::Vp8, &bent).is_err(), "bit {bit}");
    }
    assert_eq!(opener.open(3, Codec::Vp9, &sealed[10..]), Err(FrameFault::Rejected), "another codec");
    assert_eq!(opener.open(3, Codec::Vp8, &sealed), Ok(frame));
}

#[test]
fn a_frame_is_taken_once_however_it_comes_again() {
    let (mut sealer, mut opener) = pair(5);
    let frames: Vec<_> =
        (0..2000u32).map(|n| sealer.seal(2, Codec::Opus, &n.to_be_bytes()).unwrap()).collect();
    // Out of order, within the window.
    for n in [0, 5, 3, 1, 4, 2, 1023, 100] {
        assert_eq!(opener.open(3, Codec::Opus, &frames[n]), Ok((n as u32).to_be_bytes().to_vec()));
        assert_eq!(opener.open(3, Codec::Opus, &frames[n]), Err(FrameFault::Replayed));
    }
    assert!(opener.open(3, Codec::Opus, &frames[1999]).is_ok());
    assert_eq!(opener.open(3, Codec::Opus, &frames[500]), Err(FrameFault::Replayed), "too old to tell");
    assert!(opener.open(3, Codec::Opus, &frames[1100]).is_ok(), "skipped, so not seen");
    assert_eq!(opener.open(3, Codec::Opus, &frames[1100]), Err(FrameFault::Replayed));
}

#[test]
fn a_forged_frame_does_not_move_the_window() {
    let (mut sealer, mut opener) = pair(5);
    let first = sealer.seal(2, Codec::Opus, b"first").unwrap();
    let mut forged = Vec::new();
    let kid = KeyId::new(2, 3, 5).unwrap().to_u64();
    SFrameHeader { kid, counter: 1_000_000 }.encode_into(&mut forged);
    forged.extend_from_slice(&[0; 40]);
    assert_eq!(opener.open(3, Codec::Opus, &forged), Err(FrameFault::Rejected));
    assert!(opener.open(3, Codec::Opus, &first).is_ok());
    let mut endless = Vec::new();
    SFrameHeader { kid, counter: u64::MAX }.encode_into(&mut endless);
    endless.extend_from_slice(&[0; 40]);
    assert_eq!(opener.open(3, Codec::Opus, &endless), Err(FrameFault::NotSealed));
}

#[test]
fn frames_that_nobody_sealed_and_frames_of_other_seats_and_epochs_are_refused() {
    let (mut sealer, mut opener) = pair(5);
    assert_eq!(opener.open(3, Codec::Opus, b"short"), Err(FrameFault::NotSealed));
    assert_eq!(opener.open(3, Codec::Opus, &[]), Err(FrameFault::NotSealed));
    assert_eq!(opener.open(3, Codec::Vp8, &[0xff; 200]), Err(FrameFault::NotSealed));
    let sealed = sealer.seal(0, Codec::Opus, b"hello").unwrap();
    assert_eq!(opener.open(0, Codec::Opus, &sealed), Err(FrameFault::OtherSeat), "another connection");
    sealer.switch(Some((6, base(), 3)));
    let next = sealer.seal(0, Codec::Opus, b"hello").unwrap();
    assert_eq!(opener.open(3, Codec::Opus, &next), Err(FrameFault::OtherEpoch), "not there yet");
    opener.add(6, base(), vec![0, 3]);
    assert!(opener.open(3, Codec::Opus, &next).is_ok());
    assert!(opener.open(3, Codec::Opus, &sealed).is_ok(), "the old epoch, for a while");
    opener.forget_before(6);
    let old = { pair(5).0.seal(9, Codec::Opus, b"old").unwrap() };
    assert_eq!(opener.open(3, Codec::Opus, &old), Err(FrameFault::OtherEpoch));
    opener.forget_leaves(&[3]);
    let removed = sealer.seal(0, Codec::Opus, b"still here").unwrap();
    assert_eq!(opener.open(3, Codec::Opus, &removed), Err(FrameFault::OtherSeat));
}

#[test]
fn without_a_key_nothing_is_sealed() {
    let mut sealer = FrameSealer::default();
    assert_eq!(sealer.seal(0, Codec::Opus, b"plain"), Err(FrameFault::NoKey));
    sealer.switch(Some((1, base(), 3)));
    assert!(sealer.seal(0, Codec::Opus, b"plain").is_ok());
    sealer.switch(None);
    assert_eq!(sealer.seal(0, Codec::Opus, b"plain"), Err(FrameFault::NoKey));
}

#[test]
fn every_track_leaf_and_epoch_has_another_key_and_no_counter_repeats_under_one() {
    let key =
        |track, leaf, epoch| *FrameKey::derive(&BASE, KeyId::new(track, leaf, epoch).unwrap().to_u64()).key;
    assert_ne!(key(0, 3, 5), key(1, 3, 5));
    assert_ne!(key(0, 3, 5), key(0, 4, 5));
    assert_ne!(key(0, 3, 5), key(0, 3, 6));
    let (mut sealer, _) = pair(5);
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..100 {
        let job = sealer.prepare(n % 3, Codec::Opus, b"frame").unwrap();
        assert!(seen.insert((job.kid, job.nonce)));
    }
}

#[test]
fn a_job_done_elsewhere_makes_the_same_frame() {
    let (mut here, mut opener) = pair(5);
    let (mut elsewhere, _) = pair(5);
    let frame = [2; 100];
    let sealed = here.seal(4, Codec::Vp8, &frame).unwrap();
    let job = elsewhere.prepare(4, Codec::Vp8, &frame).unwrap();
    let key = elsewhere.key(job.kid).unwrap();
    let mut text = frame[job.clear..].to_vec();
    let tag = Aes128Gcm::new(key.expose().into())
        .encrypt_inout_detached(&job.nonce.into(), &job.aad, text.as_mut_slice().into())
        .unwrap();
    assert_eq!([&frame[..job.clear], &job.header, &text, &tag].concat(), sealed);

    let job = opener.prepare(3, Codec::Vp8, &sealed).unwrap();
    assert!(opener.key(&job).is_some());
    assert_eq!(job.ciphertext, sealed.len() - 90 - TAG);
    assert_eq!(opener.opened(&job), Ok(()));
    assert_eq!(opener.opened(&job), Err(FrameFault::Replayed));
}

#[test]
fn keys_do_not_print() {
    assert_eq!(format!("{:?}", FrameKey::derive(&BASE, 1)), "FrameKey(..)");
    let (sealer, opener) = pair(5);
    assert_eq!(format!("{sealer:?} {opener:?}"), "FrameSealer(epoch Some(5)) FrameOpener(epochs [5])");
}
