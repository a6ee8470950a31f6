//! Both sides of OPAQUE against each other, and a server or a client that misbehaves.
#![allow(clippy::unwrap_used, reason = "a test's failure is a panic")]

use std::{collections::HashSet, sync::OnceLock};

use gloaming_login::{
    KsfParams, LoggedIn, LoginError, LoginState, Registered, RegistrationState, ServerSetup,
    registration_finish,
};

const PARAMS: KsfParams = KsfParams::FLOOR;

/// A generator that is random enough to test with, and the same in each run.
fn entropy(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    move |out: &mut [u8]| {
        for byte in out {
            // SplitMix64 (Steele, Lea, Flood 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)).to_le_bytes()[0];
        }
    }
}

fn register(setup: &ServerSetup, username: &str, password: &str) -> (Vec<u8>, Registered) {
    let (state, request) = RegistrationState::start(password, &mut entropy(1)).unwrap();
    let response = setup.registration_start(username, &request).unwrap();
    let registered = state.finish(&response, username, PARAMS, &mut entropy(2)).unwrap();
    (registration_finish(&registered.upload).unwrap(), registered)
}

/// One account, stretched once for all tests: "ada" with "right".
fn ada() -> &'static (ServerSetup, Vec<u8>, Registered) {
    static ADA: OnceLock<(ServerSetup, Vec<u8>, Registered)> = OnceLock::new();
    ADA.get_or_init(|| {
        let setup = ServerSetup::generate(&mut entropy(3));
        let (record, registered) = register(&setup, "ada", "right");
        (setup, record, registered)
    })
}

fn log_in(
    setup: &ServerSetup,
    record: Option<&[u8]>,
    username: &str,
    password: &str,
    params: KsfParams,
) -> Result<(LoggedIn, [u8; 64]), LoginError> {
    let (state, request) = LoginState::start(password, &mut entropy(4))?;
    let (server, response) = setup.login_start(record, username, &request, &mut entropy(5))?;
    let logged_in = state.finish(&response, username, params, &mut entropy(6))?;
    let session_key = *server.finish(&logged_in.finalization)?;
    Ok((logged_in, session_key))
}

#[test]
fn the_right_password_yields_the_same_export_key_and_a_session_key_that_both_have() {
    let (setup, record, registered) = ada();
    let setup = ServerSetup::from_bytes(&setup.to_bytes()).unwrap();
    let (logged_in, session_key) = log_in(&setup, Some(record), "ada", "right", PARAMS).unwrap();
    assert_eq!(logged_in.export_key, registered.export_key);
    assert_eq!(*logged_in.session_key, session_key);
    assert_eq!(logged_in.server_public_key, registered.server_public_key);
    assert_eq!(setup.public_key(), registered.server_public_key);
    assert_ne!(*logged_in.session_key, *logged_in.export_key);
}

#[test]
fn a_wrong_password_an_unknown_name_and_another_accounts_record_all_fail_alike() {
    let (setup, record, _) = ada();
    let (bobs, _) = register(setup, "bob", "right");
    let tries: [(Option<&[u8]>, &str, &str); 4] = [
        (Some(record), "ada", "wrong"),
        (None, "ada", "right"),
        (None, "nobody", "right"),
        (Some(&bobs), "ada", "right"),
    ];
    for (record, username, password) in tries {
        let refused = log_in(setup, record, username, password, PARAMS).err();
        assert_eq!(refused, Some(LoginError::WrongPassword), "{username} {password}");
    }
}

#[test]
fn an_unknown_name_is_answered_like_a_known_one() {
    let (setup, record, _) = ada();
    let (_, request) = LoginState::start("right", &mut entropy(4)).unwrap();
    let answer = |record, seed| setup.login_start(record, "ada", &request, &mut entropy(seed)).unwrap().1;
    let (known, unknown) = (answer(Some(record.as_slice()), 7), answer(None, 8));
    assert_eq!(known.len(), unknown.len());
    // The OPRF part depends on the name alone, so asking twice tells nothing either.
    assert_eq!(known[..32], unknown[..32]);
    assert_eq!(unknown[..32], answer(None, 9)[..32]);
}

#[test]
fn a_name_is_bound_on_both_sides() {
    let (setup, record, _) = ada();
    let (state, request) = LoginState::start("right", &mut entropy(4)).unwrap();
    let (_, response) = setup.login_start(Some(record), "ada", &request, &mut entropy(5)).unwrap();
    let refused = state.finish(&response, "eve", PARAMS, &mut entropy(6)).err();
    assert_eq!(refused, Some(LoginError::WrongPassword));
}

#[test]
fn another_server_cannot_stand_in_with_a_stolen_record() {
    let (_, record, _) = ada();
    let other = ServerSetup::generate(&mut entropy(33));
    assert_eq!(log_in(&other, Some(record), "ada", "right", PARAMS).err(), Some(LoginError::WrongPassword));
}

#[test]
fn cheap_or_absurd_parameters_are_refused_before_any_work_and_other_fine_ones_fail() {
    let (setup, record, _) = ada();
    let with = |params| log_in(setup, Some(record), "ada", "right", params).err();
    assert_eq!(with(KsfParams { memory_kib: 8, passes: 1, lanes: 1 }), Some(LoginError::Downgraded));
    assert_eq!(with(KsfParams { memory_kib: u32::MAX, ..PARAMS }), Some(LoginError::TooCostly));
    assert_eq!(with(KsfParams { passes: 4, ..PARAMS }), Some(LoginError::WrongPassword));

    let (state, request) = RegistrationState::start("right", &mut entropy(1)).unwrap();
    let response = setup.registration_start("ada", &request).unwrap();
    let cheap = KsfParams { passes: 1, ..PARAMS };
    assert_eq!(state.finish(&response, "ada", cheap, &mut entropy(2)).err(), Some(LoginError::Downgraded));
}

#[test]
fn a_bent_answer_is_refused_by_the_client() {
    let (setup, record, _) = ada();
    let (_, request) = LoginState::start("right", &mut entropy(4)).unwrap();
    let (_, response) = setup.login_start(Some(record), "ada", &request, &mut entropy(5)).unwrap();
    let mut reasons = HashSet::new();
    // One byte in each part: OPRF, masking nonce, masked key, envelope, server nonce, key share, MAC.
    for at in [0, 40, 70, 110, 200, 230, 300] {
        let mut bent = response.clone();
        bent[at] ^= 1;
        let (state, _) = LoginState::start("right", &mut entropy(4)).unwrap();
        let refused = state.finish(&bent, "ada", PARAMS, &mut entropy(6)).err();
        reasons.insert(refused.unwrap_or_else(|| panic!("byte {at} may change")).code());
    }
    assert!(reasons.is_subset(&HashSet::from(["wrong_password", "malformed"])), "{reasons:?}");
    assert_eq!(response.len(), 320);
}

#[test]
fn a_bent_proof_is_refused_by_the_server() {
    let (setup, record, _) = ada();
    let (state, request) = LoginState::start("right", &mut entropy(4)).unwrap();
    let start = || setup.login_start(Some(record), "ada", &request, &mut entropy(5)).unwrap();
    let proof = state.finish(&start().1, "ada", PARAMS, &mut entropy(6)).unwrap().finalization;
    for bit in 0..proof.len() * 8 {
        let mut bent = proof.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(start().0.finish(&bent).err(), Some(LoginError::WrongPassword), "bit {bit}");
    }
    assert!(start().0.finish(&proof).is_ok());
}

#[test]
fn what_is_no_message_is_malformed_and_reflection_too() {
    let (setup, record, _) = ada();
    let (state, request) = LoginState::start("right", &mut entropy(4)).unwrap();
    for length in [0, 1, 31, 32, 33, request.len() - 1] {
        let cut = &request[..length];
        let refused = setup.login_start(Some(record), "ada", cut, &mut entropy(5)).err();
        assert_eq!(refused, Some(LoginError::Malformed), "{length} bytes");
    }
    assert_eq!(
        setup.login_start(Some(&record[1..]), "ada", &request, &mut entropy(5)).err(),
        Some(LoginError::Malformed)
    );
    assert_eq!(registration_finish(&record[1..]).err(), Some(LoginError::Malformed));
    assert_eq!(ServerSetup::from_bytes(&[]).err(), Some(LoginError::Malformed));
    assert_eq!(state.finish(&[0; 320], "ada", PARAMS, &mut entropy(6)).err(), Some(LoginError::Malformed));

    let (state, request) = RegistrationState::start("right", &mut entropy(1)).unwrap();
    let mut reflected = setup.registration_start("ada", &request).unwrap();
    reflected[..32].copy_from_slice(&request);
    assert_eq!(state.finish(&reflected, "ada", PARAMS, &mut entropy(2)).err(), Some(LoginError::Malformed));
}
