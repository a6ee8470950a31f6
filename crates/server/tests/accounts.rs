//! Accounts over the wire: set-up, registration, sign-in, sessions, passwords, recovery, invites.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::time::Duration;

use common::*;
use ed25519_dalek::Signer;
use gloaming_api::{
    Bytes,
    account::{
        AccountInfo, Invite, InviteList, PasswordChallenge, PasswordFinish, PasswordStart, RecoveryChallenge,
        RecoveryFinish, RecoveryOpened, RecoveryProof, RecoveryStart, RegistrationStart, Role, ServerInfo,
        SessionList, SessionOpened,
    },
    keyring::SealedKeyring,
};
use gloaming_grants::{new_password_message, recovery_message};
use gloaming_login::RegistrationState;
use reqwest::{Method, StatusCode, header};
use serde_json::json;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn the_setup_link_makes_the_owner_once() {
    let (_dir, home) = home().await;
    let server: ServerInfo = read(home.request(Method::GET, "/v1/server").send().await.unwrap()).await;
    assert!(server.needs_setup);
    let replay = home.registration("Eve", home.setup_token.as_deref().unwrap()).await;
    let owner = home.owner().await;
    let info: AccountInfo = read(owner.get("/v1/account").await).await;
    assert_eq!((info.username.as_str(), info.role), ("Ada", Role::Owner));

    insta::assert_snapshot!(
        show(home.post("/v1/registrations/finish", &replay).await).await,
        @r#"403 {"code":"bad_invite","message":"This link was used, has expired, or was never good. Ask for a new one."}"#
    );
    let server: ServerInfo = read(home.request(Method::GET, "/v1/server").send().await.unwrap()).await;
    assert!(!server.needs_setup);
}

#[tokio::test]
async fn the_setup_link_stays_the_same_until_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let first = home.setup_token.clone().unwrap();
    let file = dir.path().join("data/secrets/setup-token");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    home.stop().await;

    let home = home_in(dir.path(), |_| {}).await;
    assert_eq!(home.setup_token.as_ref(), Some(&first));
    home.owner().await;
    assert!(!file.exists());
    home.stop().await;

    let home = home_in(dir.path(), |_| {}).await;
    assert_eq!(home.setup_token, None);
}

#[tokio::test]
async fn whoever_has_no_token_makes_no_account() {
    let (_dir, home) = home().await;
    let (_, request) = RegistrationState::start(PASSWORD, &mut entropy).unwrap();
    let start = |token: &str, name: &str| RegistrationStart {
        token: token.into(),
        username: name.into(),
        request: request.clone().into(),
    };
    let guess = home.post("/v1/registrations", &start("AAAA", "Eve")).await;
    assert_eq!(refusal(guess).await, (403, "bad_invite".into()));
    let token = home.setup_token.clone().unwrap();
    let unreadable = home.post("/v1/registrations", &start(&token, "a/b")).await;
    assert_eq!(refusal(unreadable).await, (400, "bad_request".into()));
    let nonsense = RegistrationStart { request: Bytes(vec![1, 2, 3]), ..start(&token, "Eve") };
    assert_eq!(refusal(home.post("/v1/registrations", &nonsense).await).await, (400, "bad_request".into()));
}

#[tokio::test]
async fn a_registration_is_refused_whole_if_any_of_it_is_wrong() {
    let (_dir, home) = home().await;
    let token = home.setup_token.clone().unwrap();
    let good = home.registration("Ada", &token).await;
    let mut cheap = good.clone();
    cheap.stretching.memory_kib = 1024;
    let mut late = good.clone();
    late.keyring.version = 2;
    let mut unwrapped = good.clone();
    unwrapped.keyring.wraps.pop();
    let mut short = good.clone();
    short.recovery_key.0.pop();
    let mut garbled = good.clone();
    garbled.upload.0.pop();
    for bad in [cheap, late, unwrapped, short, garbled] {
        let refused = home.post("/v1/registrations/finish", &bad).await;
        assert_eq!(refusal(refused).await, (400, "bad_request".into()));
    }
    let mut other = good.clone();
    other.account = gloaming_ids::AccountId::from_bytes([5; 16]);
    let refused = home.post("/v1/registrations/finish", &other).await;
    assert_eq!(refusal(refused).await, (403, "bad_invite".into()));
    // None of these used the token up.
    read::<SessionOpened>(home.post("/v1/registrations/finish", &good).await).await;
}

#[tokio::test]
async fn a_name_is_taken_however_it_is_written() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let (_, request) = RegistrationState::start(PASSWORD, &mut entropy).unwrap();
    let start = RegistrationStart {
        token: owner.invite(None).await,
        username: "  aDA ".into(),
        request: request.into(),
    };
    let taken = home.post("/v1/registrations", &start).await;
    assert_eq!(refusal(taken).await, (409, "name_taken".into()));
}

/// The owner, with a real password, so that signing in can be tried.
async fn real_owner(home: &Home) -> Person<'_> {
    let token = home.setup_token.clone().unwrap();
    let (state, request) = RegistrationState::start(PASSWORD, &mut entropy).unwrap();
    let start = RegistrationStart { token: token.clone(), username: "Ada".into(), request: request.into() };
    let challenge: gloaming_api::account::RegistrationChallenge =
        read(home.post("/v1/registrations", &start).await).await;
    let mut finish = home.registration("Ada", &token).await;
    finish.upload = real_upload(&challenge.response.0, "Ada", state).into();
    let opened: SessionOpened = read(home.post("/v1/registrations/finish", &finish).await).await;
    Person { home, name: "Ada".into(), token: opened.token.clone().unwrap(), opened }
}

#[tokio::test]
async fn the_right_password_signs_in_and_nothing_else_does() {
    let (_dir, home) = home().await;
    let owner = real_owner(&home).await;
    let finish = home.sign_in(" ADA ", PASSWORD).await;
    let opened: SessionOpened = read(home.post("/v1/sessions/finish", &finish).await).await;
    assert_eq!(opened.account, owner.opened.account);
    let again = home.post("/v1/sessions/finish", &finish).await;
    assert_eq!(refusal(again).await, (401, "wrong_credentials".into()), "an attempt is good once");

    let wrong = home.sign_in("Ada", "a lamp in every door").await;
    let wrong = show(home.post("/v1/sessions/finish", &wrong).await).await;
    insta::assert_snapshot!(
        wrong,
        @r#"401 {"code":"wrong_credentials","message":"User name and password do not go together. Check both."}"#
    );
    let unknown = home.sign_in("Nobody", PASSWORD).await;
    assert_eq!(show(home.post("/v1/sessions/finish", &unknown).await).await, wrong, "the same answer");
}

#[tokio::test]
async fn a_sign_in_that_takes_longer_than_two_minutes_begins_again() {
    let (_dir, home) = home().await;
    real_owner(&home).await;
    let finish = home.sign_in("Ada", PASSWORD).await;
    home.later(Duration::from_secs(121));
    let late = home.post("/v1/sessions/finish", &finish).await;
    assert_eq!(refusal(late).await, (401, "wrong_credentials".into()));
}

#[tokio::test]
async fn an_unknown_name_is_answered_like_a_known_one() {
    let (_dir, home) = home().await;
    home.owner().await;
    let (_, request) = gloaming_login::LoginState::start(PASSWORD, &mut entropy).unwrap();
    let start = |name: &str| json!({ "username": name, "request": Bytes(request.clone()) });
    let known: serde_json::Value = read(home.post("/v1/sessions", &start("Ada")).await).await;
    let unknown: serde_json::Value = read(home.post("/v1/sessions", &start("Nobody")).await).await;
    let shape = |answer: &serde_json::Value| {
        (answer["response"].as_str().unwrap().len(), answer["attempt"].as_str().unwrap().len())
    };
    assert_eq!(shape(&known), shape(&unknown));

    let recovery = async |name: &str| {
        let start = RecoveryStart { username: name.into() };
        read::<RecoveryChallenge>(home.post("/v1/recovery", &start).await).await
    };
    let (one, two, other) = (recovery("Nobody").await, recovery("nobody").await, recovery("Noone").await);
    assert_eq!(one.account, two.account, "asking twice tells nothing");
    assert_ne!(one.account, other.account);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_told_for_how_long() {
    let (_dir, home) = home().await;
    home.owner().await;
    let (_, request) = gloaming_login::LoginState::start(PASSWORD, &mut entropy).unwrap();
    let start = json!({ "username": "Ada", "request": Bytes(request) });
    for _ in 0..10 {
        assert_eq!(home.post("/v1/sessions", &start).await.status(), StatusCode::OK);
    }
    let slow = home.post("/v1/sessions", &start).await;
    assert_eq!(slow.headers()[header::RETRY_AFTER], "15");
    assert_eq!(refusal(slow).await, (429, "slow_down".into()));
    home.later(Duration::from_secs(15));
    assert_eq!(home.post("/v1/sessions", &start).await.status(), StatusCode::OK);
    assert_eq!(home.post("/v1/sessions", &start).await.status(), StatusCode::TOO_MANY_REQUESTS);

    let recovery = RecoveryStart { username: "Ada".into() };
    for _ in 0..5 {
        assert_eq!(home.post("/v1/recovery", &recovery).await.status(), StatusCode::OK);
    }
    assert_eq!(home.post("/v1/recovery", &recovery).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_browser_gets_a_cookie_and_no_token() {
    let (_dir, home) = home().await;
    let mut finish = home.registration("Ada", home.setup_token.as_deref().unwrap()).await;
    finish.want_token = false;
    let response = home.post("/v1/registrations/finish", &finish).await;
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    let opened: SessionOpened = read(response).await;
    assert_eq!(opened.token, None);
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("gloaming="));
    assert_eq!(attributes, "Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict");

    let get = home.request(Method::GET, "/v1/account").header("cookie", pair).send().await.unwrap();
    assert_eq!(get.status(), StatusCode::OK);
    let delete = |site: &'static str| {
        let request = home.request(Method::DELETE, "/v1/sessions/current").header("cookie", pair.to_owned());
        request.header("sec-fetch-site", site).send()
    };
    assert_eq!(refusal(delete("cross-site").await.unwrap()).await, (403, "cross_origin".into()));
    let out = delete("same-origin").await.unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert!(
        out.headers().get_all(header::SET_COOKIE).iter().all(|c| c.to_str().unwrap().contains("Max-Age=0"))
    );
    let get = home.request(Method::GET, "/v1/account").header("cookie", pair).send().await.unwrap();
    assert_eq!(refusal(get).await, (401, "signed_out".into()));
}

#[tokio::test]
async fn behind_a_proxy_with_https_the_cookie_belongs_to_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let home =
        home_in(dir.path(), |config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let mut finish = home.registration("Ada", home.setup_token.as_deref().unwrap()).await;
    finish.want_token = false;
    let request = home.request(Method::POST, "/v1/registrations/finish").json(&finish);
    let request = request.header("host", "video.example.org").header("x-forwarded-proto", "https");
    let response = request.send().await.unwrap();
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-gloaming=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(response.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
}

#[tokio::test]
async fn no_browser_signs_in_over_plain_http_from_another_machine() {
    let (_dir, home) = home().await;
    let mut finish = home.registration("Ada", home.setup_token.as_deref().unwrap()).await;
    finish.want_token = false;
    // Nobody said that this proxy may be believed.
    let request = home.request(Method::POST, "/v1/registrations/finish").json(&finish);
    let request = request.header("host", "192.168.1.2:8420").header("x-forwarded-proto", "https");
    assert_eq!(refusal(request.send().await.unwrap()).await, (403, "forbidden".into()));
}

#[tokio::test]
async fn devices_are_listed_and_signed_out() {
    let (_dir, home) = home().await;
    let owner = real_owner(&home).await;
    home.later(Duration::from_secs(90));
    let finish = home.sign_in("Ada", PASSWORD).await;
    let second: SessionOpened = read(home.post("/v1/sessions/finish", &finish).await).await;
    let list: SessionList = read(owner.get("/v1/sessions").await).await;
    assert_eq!(list.sessions.len(), 2);
    assert_eq!(list.sessions[0].device, "a second device");
    assert!(!list.sessions[0].current && list.sessions[1].current);
    assert_eq!(list.sessions[1].seen_at, home.now());

    let member = home.register("Bob", &owner.invite(None).await).await;
    let not_his = member.delete(&format!("/v1/sessions/{}", second.session)).await;
    assert_eq!(refusal(not_his).await, (404, "not_found".into()));
    let ended = owner.delete(&format!("/v1/sessions/{}", second.session)).await;
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let gone = home.request(Method::GET, "/v1/account").bearer_auth(second.token.unwrap());
    assert_eq!(refusal(gone.send().await.unwrap()).await, (401, "signed_out".into()));
}

#[tokio::test]
async fn a_device_that_signs_in_again_takes_its_old_session_with_it() {
    let (_dir, home) = home().await;
    let owner = real_owner(&home).await;
    let finish = home.sign_in("Ada", PASSWORD).await;
    let again: SessionOpened = read(owner.post("/v1/sessions/finish", &finish).await).await;
    assert_eq!(refusal(owner.get("/v1/account").await).await, (401, "signed_out".into()));
    let list = home.request(Method::GET, "/v1/sessions").bearer_auth(again.token.unwrap());
    let list: SessionList = read(list.send().await.unwrap()).await;
    assert_eq!(list.sessions.iter().map(|session| session.session).collect::<Vec<_>>(), [again.session]);

    // A wrong password ends nothing.
    let bob = home.register("Bob", &invite_of_ada(&home).await).await;
    let wrong = home.sign_in("Ada", "not this one").await;
    assert_eq!(bob.post("/v1/sessions/finish", &wrong).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(bob.get("/v1/account").await.status(), StatusCode::OK);
}

async fn invite_of_ada(home: &Home) -> String {
    let finish = home.sign_in("Ada", PASSWORD).await;
    let opened: SessionOpened = read(home.post("/v1/sessions/finish", &finish).await).await;
    Person { home, name: "Ada".into(), token: opened.token.clone().unwrap(), opened }.invite(None).await
}

#[tokio::test]
async fn a_session_nobody_used_for_a_month_has_ended() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    home.later(29 * DAY);
    assert_eq!(owner.get("/v1/account").await.status(), StatusCode::OK);
    home.later(29 * DAY);
    assert_eq!(owner.get("/v1/account").await.status(), StatusCode::OK);
    home.later(30 * DAY + Duration::from_secs(1));
    insta::assert_snapshot!(
        show(owner.get("/v1/account").await).await,
        @r#"401 {"code":"signed_out","message":"You are not signed in, or not any more. Sign in again."}"#
    );
}

#[tokio::test]
async fn a_new_password_works_and_the_old_one_and_other_devices_do_not() {
    let (_dir, home) = home().await;
    let owner = real_owner(&home).await;
    let finish = home.sign_in("Ada", PASSWORD).await;
    let other: SessionOpened = read(home.post("/v1/sessions/finish", &finish).await).await;

    let (state, request) = RegistrationState::start("a lamp at the harbour", &mut entropy).unwrap();
    let start = PasswordStart { request: request.into() };
    let challenge: PasswordChallenge = read(owner.post("/v1/account/password", &start).await).await;
    let finish = PasswordFinish {
        upload: real_upload(&challenge.response.0, "Ada", state).into(),
        stretching: stretching(),
        password_wrap: wrap(2, 77),
    };
    // A device that read an older wrap, or none, is told so, and changes nothing.
    for version in [0, 1, 3] {
        let stale = PasswordFinish { password_wrap: wrap(version, 66), ..finish.clone() };
        let answer = owner.post("/v1/account/password/finish", &stale).await;
        assert_eq!(refusal(answer).await, (409, "version_conflict".into()));
    }
    assert_eq!(read::<SealedKeyring>(owner.get("/v1/keyring").await).await, keyring(1));
    let changed = owner.post("/v1/account/password/finish", &finish).await;
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
    let keyring: SealedKeyring = read(owner.get("/v1/keyring").await).await;
    assert_eq!(keyring.wraps[0].sealed, wrap(2, 77));
    let gone = home.request(Method::GET, "/v1/account").bearer_auth(other.token.unwrap());
    assert_eq!(gone.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let old = home.sign_in("Ada", PASSWORD).await;
    assert_eq!(home.post("/v1/sessions/finish", &old).await.status(), StatusCode::UNAUTHORIZED);
    let new = home.sign_in("Ada", "a lamp at the harbour").await;
    assert_eq!(home.post("/v1/sessions/finish", &new).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_recovery_phrase_sets_a_new_password_and_nothing_else_does() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let begin = async || {
        let start = RecoveryStart { username: "ada".into() };
        read::<RecoveryChallenge>(home.post("/v1/recovery", &start).await).await
    };
    let (_, request) = RegistrationState::start(PASSWORD, &mut entropy).unwrap();
    let prove = |challenge: &RecoveryChallenge, signature: Vec<u8>| RecoveryProof {
        attempt: challenge.attempt.clone(),
        signature: signature.into(),
        request: request.clone().into(),
    };
    let sign = |challenge: &RecoveryChallenge| {
        let bytes: [u8; 32] = challenge.challenge.0.clone().try_into().unwrap();
        let message = recovery_message(challenge.account, &bytes);
        recovery_key().sign(message.as_bytes()).to_bytes().to_vec()
    };
    let finish = |challenge: &RecoveryChallenge| {
        let password = PasswordFinish {
            upload: Bytes(upload().to_vec()),
            stretching: stretching(),
            password_wrap: wrap(2, 88),
        };
        let bytes: [u8; 32] = challenge.challenge.0.clone().try_into().unwrap();
        let message = new_password_message(challenge.account, &bytes, &password.digest());
        RecoveryFinish {
            attempt: challenge.attempt.clone(),
            password,
            signature: recovery_key().sign(message.as_bytes()).to_bytes().to_vec().into(),
            device: "found again".into(),
            want_token: true,
        }
    };

    let challenge = begin().await;
    assert_eq!(challenge.account, owner.opened.account);
    let early = home.post("/v1/recovery/finish", &finish(&challenge)).await;
    assert_eq!(refusal(early).await, (401, "wrong_credentials".into()), "without the proof");

    let challenge = begin().await;
    let forged = home.post("/v1/recovery/open", &prove(&challenge, vec![1; 64])).await;
    assert_eq!(refusal(forged).await, (401, "wrong_credentials".into()));
    let retried = home.post("/v1/recovery/open", &prove(&challenge, sign(&challenge))).await;
    assert_eq!(refusal(retried).await, (401, "wrong_credentials".into()), "one try each");

    let challenge = begin().await;
    home.later(Duration::from_secs(601));
    let late = home.post("/v1/recovery/open", &prove(&challenge, sign(&challenge))).await;
    assert_eq!(refusal(late).await, (401, "wrong_credentials".into()));

    // Somebody on the way puts a password of their own in the new one's place.
    let challenge = begin().await;
    let opened = home.post("/v1/recovery/open", &prove(&challenge, sign(&challenge))).await;
    assert_eq!(opened.status(), StatusCode::OK);
    let mut swapped = finish(&challenge);
    swapped.password.password_wrap = wrap(2, 66);
    let swapped = home.post("/v1/recovery/finish", &swapped).await;
    assert_eq!(refusal(swapped).await, (401, "wrong_credentials".into()), "another password than was signed");

    let challenge = begin().await;
    let opened: RecoveryOpened =
        read(home.post("/v1/recovery/open", &prove(&challenge, sign(&challenge))).await).await;
    assert_eq!(opened.keyring, keyring(1));
    let session: SessionOpened = read(home.post("/v1/recovery/finish", &finish(&challenge)).await).await;
    assert_eq!(session.account, owner.opened.account);
    assert_eq!(owner.get("/v1/account").await.status(), StatusCode::UNAUTHORIZED, "other devices are out");
    let replay = home.post("/v1/recovery/finish", &finish(&challenge)).await;
    assert_eq!(refusal(replay).await, (401, "wrong_credentials".into()));
}

#[tokio::test]
async fn the_owner_invites_and_takes_back_and_nobody_else_does() {
    let (_dir, home) = home().await;
    let owner = home.owner().await;
    let token = owner.invite(Some(5000)).await;
    let listed: InviteList = read(owner.get("/v1/invites").await).await;
    assert_eq!(listed.invites.len(), 1);
    assert_eq!(listed.invites[0].token, None, "the token is told once");
    let member = home.register("Bob", &token).await;
    let info: AccountInfo = read(member.get("/v1/account").await).await;
    assert_eq!((info.role, info.quota_bytes), (Role::Member, Some(5000)));
    assert!(read::<InviteList>(owner.get("/v1/invites").await).await.invites.is_empty());

    let ask = json!({ "label": "x", "valid_seconds": 60, "quota_bytes": null });
    insta::assert_snapshot!(
        show(member.post("/v1/invites", &ask).await).await,
        @r#"403 {"code":"forbidden","message":"Only the owner of this server may do this."}"#
    );
    assert_eq!(refusal(member.get("/v1/invites").await).await, (403, "forbidden".into()));

    let made: Invite = read(owner.post("/v1/invites", &ask).await).await;
    assert_eq!(owner.delete(&format!("/v1/invites/{}", made.invite)).await.status(), StatusCode::NO_CONTENT);
    let again = owner.delete(&format!("/v1/invites/{}", made.invite)).await;
    assert_eq!(refusal(again).await, (404, "not_found".into()));
    let (_, request) = RegistrationState::start(PASSWORD, &mut entropy).unwrap();
    let taken_back =
        RegistrationStart { token: made.token.unwrap(), username: "Cid".into(), request: request.into() };
    assert_eq!(refusal(home.post("/v1/registrations", &taken_back).await).await, (403, "bad_invite".into()));
    for seconds in [0u64, 31 * 24 * 60 * 60] {
        let ask = json!({ "label": "x", "valid_seconds": seconds, "quota_bytes": null });
        assert_eq!(refusal(owner.post("/v1/invites", &ask).await).await, (400, "bad_request".into()));
    }
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_told_why_only_with_its_password() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_in(dir.path(), |_| {}).await;
    let owner = real_owner(&home).await;
    let config = gloaming_server::Config::new(dir.path().join("data"));
    let admin = gloaming_server::Admin::open(config).unwrap();
    admin.set_disabled("ADA", true).await.unwrap();
    assert_eq!(refusal(owner.get("/v1/account").await).await, (401, "signed_out".into()));
    let wrong = home.sign_in("Ada", "not this one").await;
    assert_eq!(
        refusal(home.post("/v1/sessions/finish", &wrong).await).await,
        (401, "wrong_credentials".into())
    );
    let right = home.sign_in("Ada", PASSWORD).await;
    assert_eq!(
        refusal(home.post("/v1/sessions/finish", &right).await).await,
        (403, "account_disabled".into())
    );
    admin.set_disabled("Ada", false).await.unwrap();
    let right = home.sign_in("Ada", PASSWORD).await;
    assert_eq!(home.post("/v1/sessions/finish", &right).await.status(), StatusCode::OK);
}
