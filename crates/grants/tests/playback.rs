//! The playback exchange from both sides, and everything about it that must fail.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use gloaming_grants::{
    SegmentShare,
    chain::{EPOCH, Epochs, epoch_at},
    exchange::{ANSWER, Answer, OFFER, Offer, Purpose, answer, answer_refresh},
    proof::{Asked, Proof},
};
use gloaming_ids::{PlaybackId, ShareId, UnixMillis, VideoId};

const SEGMENT: [u8; 32] = [0x5e; 32];

/// Different bytes each time, the same in every run.
fn entropy(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut state = u64::from(seed) + 1;
    move |out: &mut [u8]| {
        for byte in out {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = (state >> 56) as u8;
        }
    }
}

fn purpose() -> Purpose {
    Purpose {
        playback: PlaybackId::from_bytes([1; 16]),
        video: VideoId::from_bytes([2; 16]),
        share: ShareId::from_bytes([3; 16]),
    }
}

fn exchanged() -> (Epochs, Epochs) {
    let offer = Offer::new(&mut entropy(1));
    let (answer, server) = answer(&purpose(), offer.public_key(), &mut entropy(2)).unwrap();
    (offer.accept(&purpose(), &answer).unwrap(), server)
}

fn wrapped(chain: &Epochs) -> [u8; 40] {
    chain.current().wrap(&SegmentShare::from_bytes(SEGMENT))
}

/// Whether `viewer` opens what `server` wraps.
fn fits(viewer: &Epochs, server: &Epochs) -> bool {
    viewer.current().unwrap(&wrapped(server)).is_ok_and(|share| *share.expose() == SEGMENT)
}

#[test]
fn both_sides_come_to_the_same_keys_in_every_epoch() {
    let (mut viewer, mut server) = exchanged();
    for epoch in [0, 1, 2, 3, 2160] {
        viewer.advance(epoch);
        server.advance(epoch);
        assert!(fits(&viewer, &server), "epoch {epoch}");
    }
}

#[test]
fn an_exchange_for_anything_else_fits_nothing() {
    let other = |change: fn(&mut Purpose)| {
        let mut purpose = purpose();
        change(&mut purpose);
        purpose
    };
    let wrong = [
        other(|p| p.playback = PlaybackId::from_bytes([9; 16])),
        other(|p| p.video = VideoId::from_bytes([9; 16])),
        other(|p| p.share = ShareId::from_bytes([9; 16])),
    ];
    for wrong in wrong {
        let offer = Offer::new(&mut entropy(1));
        let (answer, server) = answer(&purpose(), offer.public_key(), &mut entropy(2)).unwrap();
        assert!(!fits(&offer.accept(&wrong, &answer).unwrap(), &server), "{wrong:?}");
    }
}

#[test]
fn a_changed_answer_fits_nothing() {
    let offer = || Offer::new(&mut entropy(1));
    let (true_answer, server) = answer(&purpose(), offer().public_key(), &mut entropy(2)).unwrap();
    for bit in (0..ANSWER * 8).step_by(61) {
        let mut bent = true_answer.clone();
        bent.ciphertext[bit / 8] ^= 1 << (bit % 8);
        let viewer = offer().accept(&purpose(), &bent).unwrap();
        assert!(!fits(&viewer, &server), "bit {bit}");
    }
    let nonce = Answer { nonce: [0; 32], ..true_answer.clone() };
    assert!(!fits(&offer().accept(&purpose(), &nonce).unwrap(), &server));
    let cut = Answer { ciphertext: true_answer.ciphertext[1..].to_vec(), ..true_answer };
    assert!(offer().accept(&purpose(), &cut).is_err());
}

#[test]
fn who_stands_between_and_swaps_the_public_key_learns_nothing_that_fits() {
    // The server answers the key of the one between; the viewer cannot be given an answer that fits as well.
    let (viewer, between) = (Offer::new(&mut entropy(1)), Offer::new(&mut entropy(7)));
    let (answer, server) = answer(&purpose(), between.public_key(), &mut entropy(2)).unwrap();
    assert!(!fits(&viewer.accept(&purpose(), &answer).unwrap(), &server));
}

#[test]
fn a_public_key_that_is_none_is_refused() {
    for length in [0, 1, OFFER - 1, OFFER + 1] {
        assert!(answer(&purpose(), &vec![1; length], &mut entropy(2)).is_err(), "{length}");
    }
    // ML-KEM's coefficients are below 3329 (FIPS 203 §7.2): twelve bits of ones are none.
    assert!(answer(&purpose(), &[0xff; OFFER], &mut entropy(2)).is_err());
}

#[test]
fn a_wrapped_share_opens_in_its_epoch_only() {
    let (mut viewer, mut server) = exchanged();
    server.advance(5);
    let recorded = wrapped(&server);
    for epoch in [4, 6, 7] {
        let (mut other, _) = exchanged();
        other.advance(epoch);
        assert!(other.current().unwrap(&recorded).is_err(), "epoch {epoch}");
    }
    viewer.advance(5);
    for bit in 0..recorded.len() * 8 {
        let mut bent = recorded;
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(viewer.current().unwrap(&bent).is_err(), "bit {bit}");
    }
    assert!(viewer.current().unwrap(&recorded[..32]).is_err());
    assert!(viewer.current().unwrap(&recorded).is_ok());
}

#[test]
fn who_takes_a_chain_opens_nothing_of_before() {
    let (mut viewer, mut server) = exchanged();
    let recorded = wrapped(&server);
    viewer.advance(1);
    server.advance(1);
    assert!(viewer.current().unwrap(&recorded).is_err());
    assert!(viewer.keys(0).unwrap().unwrap(&recorded).is_ok(), "what is on its way still arrives");
    viewer.advance(2);
    viewer.advance(0); // there is no way back
    assert_eq!(viewer.epoch(), 2);
    assert!(viewer.keys(0).is_none());
    assert!(viewer.keys(3).is_none());
}

#[test]
fn a_refresh_goes_on_for_both_and_locks_out_who_knew_the_chain() {
    let (mut viewer, mut server) = exchanged();
    let (mut thief, _) = exchanged();
    for chain in [&mut viewer, &mut server, &mut thief] {
        chain.advance(90);
    }
    assert!(fits(&thief, &server));
    let offer = Offer::new(&mut entropy(3));
    let (answer, from) =
        answer_refresh(&mut server, &purpose(), offer.public_key(), &mut entropy(4)).unwrap();
    assert_eq!(offer.accept_refresh(&mut viewer, &purpose(), &answer), Ok(from));
    assert_eq!(from, 91);
    assert!(fits(&viewer, &server), "what is on its way still arrives");
    for chain in [&mut viewer, &mut server, &mut thief] {
        chain.advance(91);
    }
    assert!(fits(&viewer, &server));
    assert!(!fits(&thief, &server));

    // A new exchange alone, without the chain before it, fits neither.
    let offer = Offer::new(&mut entropy(3));
    let (mut stranger, _) = exchanged();
    stranger.advance(89);
    offer.accept_refresh(&mut stranger, &purpose(), &answer).unwrap();
    stranger.advance(91);
    assert!(!fits(&stranger, &server));
}

#[test]
fn a_proof_is_of_one_request() {
    let (viewer, server) = exchanged();
    let asked = Asked { method: "GET", target: "/v1/key?video_id=a&from=1&count=8", body: b"" };
    let proof = Proof::new(viewer.current(), purpose().playback, 7, &asked);
    let sent: Proof = proof.to_string().parse().unwrap();
    assert_eq!(sent, proof);
    assert_eq!(sent.verify(server.current(), &asked), Ok(()));

    let others = [
        Asked { method: "POST", ..asked },
        Asked { target: "/v1/key?video_id=a&from=1&count=9", ..asked },
        Asked { target: "/v1/key", ..asked },
        Asked { body: b"x", ..asked },
    ];
    for other in others {
        assert!(sent.verify(server.current(), &other).is_err(), "{other:?}");
    }
    for field in ["epoch", "counter"] {
        let mut other = sent.clone();
        if field == "epoch" {
            other.epoch += 1
        } else {
            other.counter += 1
        }
        assert!(other.verify(server.current(), &asked).is_err(), "{field}");
    }
    let (_, mut later) = exchanged();
    later.advance(1);
    assert!(sent.verify(later.current(), &asked).is_err());
}

#[test]
fn what_is_no_proof_does_not_parse() {
    let (viewer, _) = exchanged();
    let asked = Asked { method: "GET", target: "/", body: b"" };
    let good = Proof::new(viewer.current(), purpose().playback, 7, &asked).to_string();
    for bad in [
        "",
        ".",
        "...",
        &good[1..],
        &good[..good.len() - 1],
        &format!("{good}A"),
        &good.replace(".7.", ".-7."),
    ] {
        assert!(bad.parse::<Proof>().is_err(), "{bad}");
    }
}

#[test]
fn an_epoch_is_twenty_seconds_of_the_servers_clock() {
    let start = UnixMillis(1_000_000);
    let after = |millis| epoch_at(start, UnixMillis(start.0 + millis));
    assert_eq!(EPOCH.as_secs(), 20);
    assert_eq!((after(0), after(19_999), after(20_000), after(43_200_000)), (0, 0, 1, 2160));
    assert_eq!(epoch_at(start, UnixMillis(0)), 0, "a clock that jumped back");
}
