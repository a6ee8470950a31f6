//! Links and people: what opens, and everything near it that must not.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use gloaming_ids::{ShareId, VideoId};
use gloaming_keys::{
    GrantShare, Identity, KeyError, Keyring, LinkError, LinkSecret, PersonError, PersonShare, PublicIdentity,
    ShareMode, SharedKey, SharedKeys, SignSeed, VideoSigner, ViewShare, open_for, seal_for,
};

const SHARE: ShareId = ShareId::from_bytes([3; 16]);
const OTHER: ShareId = ShareId::from_bytes([4; 16]);

fn entropy(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut state = u64::from(seed) + 1;
    move |out: &mut [u8]| {
        for byte in out {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = (state >> 56) as u8;
        }
    }
}

fn keys(given: bool) -> SharedKeys {
    let video = |n: u8| SharedKey {
        video: VideoId::from_bytes([n; 16]),
        title: format!("Tag {n}"),
        view_share: ViewShare::from_bytes([n + 1; 32]),
        grant_share: given.then(|| GrantShare::from_bytes([n + 2; 32])),
        verifier: VideoSigner::new(&SignSeed::from_bytes([n + 3; 32])).verifier(),
        index_version: u64::from(n),
    };
    SharedKeys { name: "Sommer".into(), mark: "Ana, cohort 3".into(), videos: (1..=3).map(video).collect() }
}

/// Everything in it, for comparing.
fn spelled(keys: &SharedKeys) -> String {
    let video = |key: &SharedKey| {
        let view = hex::encode(key.view_share.expose());
        let grant = key.grant_share.as_ref().map(|share| hex::encode(share.expose()));
        let verifier = hex::encode(key.verifier.to_bytes());
        format!("{} {} {view} {grant:?} {verifier} {}", key.video, key.title, key.index_version)
    };
    let videos: Vec<_> = keys.videos.iter().map(video).collect();
    format!("{} {} {videos:#?}", keys.name, keys.mark)
}

fn identity(seed: u8) -> Keyring {
    Keyring::create(&mut entropy(seed))
}

#[test]
fn a_link_opens_what_it_sealed_and_only_for_its_share() {
    let secret = LinkSecret::generate(false, &mut entropy(1));
    let sealed = secret.keys(SHARE, None).unwrap().seal(&keys(false), &mut entropy(2));

    let fragment = secret.to_fragment();
    let read = LinkSecret::from_fragment(&fragment).unwrap();
    assert!(!read.wants_password());
    let link = read.keys(SHARE, Some("not asked for")).unwrap();
    assert_eq!(spelled(&link.open(&sealed).unwrap()), spelled(&keys(false)));
    assert_eq!(link.token().hash(), secret.keys(SHARE, None).unwrap().token().hash());

    let other = read.keys(OTHER, None).unwrap();
    assert_eq!(other.open(&sealed).err(), Some(KeyError::Rejected));
    assert_ne!(other.token().expose(), link.token().expose());
    for bit in (8..sealed.len() * 8).step_by(37) {
        let mut bent = sealed.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(link.open(&bent).err(), Some(KeyError::Rejected), "bit {bit}");
    }
    assert_eq!(link.open(&[&[2], &sealed[1..]].concat()).err(), Some(KeyError::TooNew { found: 2 }));
    assert_eq!(link.open(&[]).err(), Some(KeyError::Malformed));
}

#[test]
fn the_token_says_nothing_of_the_secret_and_opens_nothing() {
    let secret = LinkSecret::generate(false, &mut entropy(1));
    let link = secret.keys(SHARE, None).unwrap();
    let sealed = link.seal(&keys(false), &mut entropy(2));
    // What a server that holds token and blob could try: the token as the secret.
    let token = *link.token().expose();
    let guess = LinkSecret::generate(false, &mut move |out: &mut [u8]| out.copy_from_slice(&token));
    assert!(guess.keys(SHARE, None).unwrap().open(&sealed).is_err());
}

#[test]
fn a_password_is_part_of_the_key() {
    let secret = LinkSecret::generate(true, &mut entropy(1));
    let right = secret.keys(SHARE, Some("blaue Stunde")).unwrap();
    let sealed = right.seal(&keys(false), &mut entropy(2));

    let read = LinkSecret::from_fragment(&secret.to_fragment()).unwrap();
    assert!(read.wants_password());
    assert_eq!(read.keys(SHARE, None).err(), Some(LinkError::PasswordNeeded));
    assert_eq!(read.keys(SHARE, Some("")).err(), Some(LinkError::PasswordNeeded));
    let wrong = read.keys(SHARE, Some("blaue stunde")).unwrap();
    assert!(wrong.open(&sealed).is_err());
    assert_ne!(wrong.token().expose(), right.token().expose());
    assert!(read.keys(SHARE, Some("blaue Stunde")).unwrap().open(&sealed).is_ok());

    // Without the password's flag, the same secret is another link.
    let bare = LinkSecret::generate(false, &mut entropy(1));
    assert!(bare.keys(SHARE, Some("blaue Stunde")).unwrap().open(&sealed).is_err());
    // And a password without the secret is nothing: a server that knows the password cannot open it either.
    let server = LinkSecret::generate(true, &mut entropy(9));
    assert!(server.keys(SHARE, Some("blaue Stunde")).unwrap().open(&sealed).is_err());
}

#[test]
fn a_password_is_the_same_however_its_letters_are_composed() {
    let secret = LinkSecret::generate(true, &mut entropy(1));
    let token = |password| *secret.keys(SHARE, Some(password)).unwrap().token().expose();
    assert_eq!(token("gr\u{fc}n"), token("gru\u{308}n"));
}

#[test]
fn a_link_that_was_cut_or_changed_says_so() {
    let fragment = LinkSecret::generate(true, &mut entropy(1)).to_fragment();
    let whole = fragment.as_str();
    for cut in 0..whole.len() {
        assert_eq!(LinkSecret::from_fragment(&whole[..cut]).err(), Some(LinkError::Incomplete), "{cut}");
    }
    for place in 2..whole.len() - 1 {
        let mut changed = whole.to_owned();
        let other = if changed.as_bytes()[place] == b'A' { "B" } else { "A" };
        changed.replace_range(place..=place, other);
        assert_eq!(LinkSecret::from_fragment(&changed).err(), Some(LinkError::Incomplete), "{place}");
    }
    assert_eq!(LinkSecret::from_fragment(&format!("Ag{}", &whole[2..])).err(), Some(LinkError::TooNew));
    assert!(LinkSecret::from_fragment(&format!(" {whole}\n")).is_ok(), "as pasted");
}

#[test]
fn a_share_for_a_person_opens_for_them_alone_and_from_its_sender_alone() {
    let (ana, ben, eve) = (identity(1), identity(2), identity(3));
    let about = PersonShare { share: SHARE, mode: ShareMode::Lent };
    let sealed =
        seal_for(&ben.identity().public(), ana.identity(), &about, &keys(false), &mut entropy(4)).unwrap();
    let open = |recipient: &Identity, sender: PublicIdentity, about: PersonShare, sealed: &[u8]| {
        open_for(recipient, &sender, &about, sealed)
    };
    let from_ana = ana.identity().public();
    let opened = open(ben.identity(), from_ana.clone(), about, &sealed).unwrap();
    assert_eq!(spelled(&opened), spelled(&keys(false)));

    let refused = Some(PersonError::BadSignature);
    assert_eq!(open(eve.identity(), from_ana.clone(), about, &sealed).err(), refused, "for somebody else");
    assert_eq!(
        open(ben.identity(), eve.identity().public(), about, &sealed).err(),
        refused,
        "of another sender"
    );
    let other = PersonShare { share: OTHER, ..about };
    assert_eq!(open(ben.identity(), from_ana.clone(), other, &sealed).err(), refused, "another share's");
    let given = PersonShare { mode: ShareMode::Given, ..about };
    assert_eq!(open(ben.identity(), from_ana.clone(), given, &sealed).err(), refused, "lent, not given");
    for bit in (8..sealed.len() * 8).step_by(101) {
        let mut bent = sealed.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(ben.identity(), from_ana.clone(), about, &bent).err(), refused, "bit {bit}");
    }
    for cut in [0, 1, 64, 65, 1184, 1185] {
        assert!(open(ben.identity(), from_ana.clone(), about, &sealed[..cut]).is_err(), "{cut}");
    }
    let newer = [&[2], &sealed[1..]].concat();
    let too_new = Some(PersonError::Sealed(KeyError::TooNew { found: 2 }));
    assert_eq!(open(ben.identity(), from_ana, about, &newer).err(), too_new);
}

#[test]
fn who_puts_their_own_key_in_place_of_a_persons_changes_the_fingerprint() {
    let (ben, eve) = (identity(2).identity().public(), identity(3).identity().public());
    let half = PublicIdentity::new(eve.x_wing(), &ben.ed25519()).unwrap();
    let other_half = PublicIdentity::new(ben.x_wing(), &eve.ed25519()).unwrap();
    for swapped in [&eve, &half, &other_half] {
        assert_ne!(swapped.fingerprint(), ben.fingerprint());
    }
    let same = PublicIdentity::new(ben.x_wing(), &ben.ed25519()).unwrap();
    assert_eq!(same.fingerprint(), ben.fingerprint());
}

#[test]
fn what_is_no_identity_is_refused() {
    let ben = identity(2).identity().public();
    let bad = Some(PersonError::BadIdentity);
    assert_eq!(PublicIdentity::new(&ben.x_wing()[1..], &ben.ed25519()).err(), bad);
    assert_eq!(PublicIdentity::new(&[0xff; 1216], &ben.ed25519()).err(), bad);
    assert_eq!(PublicIdentity::new(ben.x_wing(), &ben.ed25519()[1..]).err(), bad);
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    assert_eq!(PublicIdentity::new(ben.x_wing(), &identity_point).err(), bad, "verifies anything");
}
