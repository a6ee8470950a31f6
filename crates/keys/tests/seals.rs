//! What holds for any bytes: what was sealed opens, in its own place only, and hostile bytes are errors.
#![allow(clippy::unwrap_used, reason = "a test's failure is a panic")]

use gloaming_ids::{AccountId, RecordId, TrackId, VideoId};
use gloaming_keys::*;
use proptest::prelude::*;

/// Different bytes at each call: enough for nonces and keys in a test.
fn entropy() -> impl FnMut(&mut [u8]) {
    let mut calls = 0u64;
    move |out: &mut [u8]| {
        calls += 1;
        for (chunk, n) in out.chunks_mut(32).zip(0u64..) {
            let block = sha256(&[calls.to_be_bytes(), n.to_be_bytes()].concat());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

fn keyring(rotations: u32) -> Keyring {
    let mut entropy = entropy();
    let first = Keyring::create(&mut entropy);
    (0..rotations).fold(first, |keyring, _| keyring.rotate(&mut entropy))
}

const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const VIDEO: VideoId = VideoId::from_bytes([2; 16]);
const RECORD: RecordId = RecordId::from_bytes([3; 16]);

#[test]
fn what_an_old_keyring_sealed_a_rotated_one_opens_and_not_the_other_way_round() {
    let (old, new) = (keyring(0), keyring(2));
    let key = AccountKey::generate(&mut entropy());
    let new = Keyring::open(&new.seal(&key, ACCOUNT, &mut entropy()), &key, ACCOUNT, 3).unwrap();
    assert_eq!((old.version(), new.version()), (1, 3));

    let secret = VideoSecret::generate(&mut entropy());
    let from_old = old.seal_video_secret(&secret, ACCOUNT, VIDEO, &mut entropy());
    let from_new = new.seal_video_secret(&secret, ACCOUNT, VIDEO, &mut entropy());
    let unknown = KeyError::UnknownGeneration { generation: 3 };
    assert!(new.open_video_secret(&from_old, ACCOUNT, VIDEO).is_ok());
    assert!(new.open_video_secret(&from_new, ACCOUNT, VIDEO).is_ok());
    assert_eq!(old.open_video_secret(&from_new, ACCOUNT, VIDEO).err(), Some(unknown));

    let from_old = old.seal_record(ACCOUNT, RECORD, 1, b"a title", &mut entropy());
    let from_new = new.seal_record(ACCOUNT, RECORD, 1, b"a title", &mut entropy());
    assert_eq!(new.open_record(ACCOUNT, RECORD, 1, &from_old).unwrap().as_slice(), b"a title");
    assert_eq!(new.open_record(ACCOUNT, RECORD, 1, &from_new).unwrap().as_slice(), b"a title");
    assert_eq!(old.open_record(ACCOUNT, RECORD, 1, &from_new).err(), Some(unknown));

    assert_eq!(
        old.derive_record_id("video", VIDEO.as_bytes()),
        new.derive_record_id("video", VIDEO.as_bytes())
    );
    assert_ne!(old.identity().x_wing.expose(), new.identity().x_wing.expose());
}

#[test]
fn a_record_id_tells_kinds_and_subjects_apart() {
    let keyring = keyring(0);
    let id = keyring.derive_record_id("video", b"ab");
    assert_ne!(id, keyring.derive_record_id("videoa", b"b"));
    assert_ne!(id, keyring.derive_record_id("position", b"ab"));
    assert_ne!(id, keyring.derive_record_id("video", b"ba"));
}

#[test]
fn a_viewer_with_shares_from_a_server_derives_the_owners_segment_keys() {
    let secret = VideoSecret::generate(&mut entropy());
    let owner = SegmentKeys::new(&secret, VIDEO);
    let viewer = ViewSalt::derive(&secret.view_share, VIDEO);
    for index in [0, 1, u32::MAX] {
        let track = TrackId::from_bytes([4; 16]);
        let share = segment_share(&secret.grant_share, VIDEO, track, index);
        let key = viewer.derive_segment_key(&share, VIDEO, track, index);
        assert_eq!(key.expose(), owner.derive_segment_key(track, index).expose());
        // A share in another segment's place yields nothing that opens.
        assert_ne!(viewer.derive_segment_key(&share, VIDEO, track, index ^ 1).expose(), key.expose());
    }
}

#[test]
fn a_records_size_shows_only_in_steps() {
    let keyring = keyring(0);
    let size = |length| keyring.seal_record(ACCOUNT, RECORD, 1, &vec![7; length], &mut entropy()).len();
    let around = 5 + 12 + 16;
    for (length, padded) in [(0, 256), (1, 256), (252, 256), (253, 512), (508, 512), (509, 768)] {
        assert_eq!(size(length), around + padded, "{length}");
    }
}

#[test]
fn a_fragment_is_sealed_and_opened_where_it_lies() {
    let key = SegmentKey::generate(&mut entropy());
    let mut buf = Vec::with_capacity(1000 + FRAGMENT_OVERHEAD);
    buf.resize(12 + 1000, 9);
    let place = buf.as_ptr();
    seal_fragment_in_place(&key, 1, true, [5; 12], &mut buf);
    assert_eq!(buf.len(), 1000 + FRAGMENT_OVERHEAD);
    assert_eq!(aead::open(key.expose(), &fragment_aad(1, true), &buf).unwrap(), [9; 1000]);
    open_fragment_in_place(&key, 1, true, &mut buf).unwrap();
    assert_eq!(buf, [9; 1000]);
    assert_eq!(buf.as_ptr(), place);
}

#[test]
fn secrets_print_nothing() {
    let keyring = keyring(1);
    let secret = VideoSecret::generate(&mut entropy());
    let phrase = RecoveryPhrase::generate(&mut entropy());
    let printed =
        format!("{keyring:?} {secret:?} {phrase:?} {:?} {:?}", phrase.recovery_key(), secret.signer());
    for name in ["ContentKey(..)", "MetadataKey(..)", "XWingSeed(..)", "ViewShare(..)", "SignSeed(..)"] {
        assert!(printed.contains(name), "{printed}");
    }
    let printed = printed.replace("ed25519", "");
    // Generations and versions are 1 and 2 here; a byte of a key would sooner or later show another digit.
    assert!(!printed.contains(|c: char| ('4'..='9').contains(&c)), "{printed}");
}

proptest! {
    #[test]
    fn any_record_opens_in_its_own_place_only(text: Vec<u8>, version: u64, other: u64) {
        let keyring = keyring(0);
        let sealed = keyring.seal_record(ACCOUNT, RECORD, version, &text, &mut entropy());
        let opened = keyring.open_record(ACCOUNT, RECORD, version, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), &text);
        prop_assume!(version != other);
        prop_assert_eq!(keyring.open_record(ACCOUNT, RECORD, other, &sealed).err(), Some(KeyError::Rejected));
    }

    #[test]
    fn any_phrase_reads_back(bytes: [u8; 32]) {
        let phrase = RecoveryPhrase::generate(&mut |out: &mut [u8]| out.copy_from_slice(&bytes));
        let again = RecoveryPhrase::parse(&phrase.words().join("\n")).unwrap();
        prop_assert_eq!(again.words(), phrase.words());
        prop_assert_eq!(again.recovery_key().public_key(), phrase.recovery_key().public_key());
    }

    #[test]
    fn any_key_file_reads_back(id: [u8; 16], seed: [u8; 32]) {
        let mut n = 0;
        let secret = VideoSecret::generate(&mut |out: &mut [u8]| {
            n += 1;
            out.copy_from_slice(&sha256(&[seed.as_slice(), &[n]].concat()));
        });
        let video = VideoId::from_bytes(id);
        let text = secret.to_key_file(video);
        let (again, read) = VideoSecret::from_key_file(&format!("  {}\r\n", *text)).unwrap();
        prop_assert_eq!(again, video);
        prop_assert_eq!(read.to_key_file(video), text);
    }

    #[test]
    fn hostile_bytes_are_errors(bytes: Vec<u8>, format in 0u8..3) {
        let bytes = [&[format], bytes.as_slice()].concat();
        let (keyring, key) = (keyring(0), AccountKey::from_bytes([1; 32]));
        prop_assert!(keyring.open_record(ACCOUNT, RECORD, 1, &bytes).is_err());
        prop_assert!(keyring.open_video_secret(&bytes, ACCOUNT, VIDEO).is_err());
        prop_assert!(Keyring::open(&bytes, &key, ACCOUNT, 1).is_err());
        let kek = KeyEncryptionKey::from_bytes([1; 32]);
        prop_assert!(unwrap_account_key(&kek, Method::Password, ACCOUNT, 1, &bytes).is_err());
        let object = ObjectKey::from_bytes([1; 32]);
        prop_assert!(open_object(&object, ObjectRole::Index, VIDEO, 1, &bytes).is_err());
    }

    #[test]
    fn hostile_text_is_an_error(text: String) {
        prop_assert!(VideoSecret::from_key_file(&text).is_err());
        let almost = format!("gloaming-video-key-1:{text}");
        prop_assert!(VideoSecret::from_key_file(&almost).is_err());
        prop_assert!(RecoveryPhrase::parse(&text).is_err());
    }
}
