//! Who somebody is: registration, sign-in, unlocking, the password, recovery, devices, invites.
//!
//! ```text
//! wrap on the wire = wrap version(8, BE) ‖ wrap of `gloaming-keys` for that version        compare-and-swap
//! ```
//!
//! * A keyring is made with the account and never again. Where one is missing, that is an error.
//! * Each device remembers the highest keyring version and password wrap version it saw (`head/…`): older ones served
//!   later raise an alarm.
//! * Unlocking asks the server for OPAQUE's second message only, so no session is opened and nothing else changes.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloaming_api::{
    Bytes,
    account::{
        AccountInfo, Invite, InviteList, InviteRequest, LoginChallenge, LoginFinish, LoginStart,
        PasswordChallenge, PasswordFinish, PasswordStart, RecoveryChallenge, RecoveryFinish, RecoveryOpened,
        RecoveryProof, RecoveryStart, RegistrationChallenge, RegistrationFinish, RegistrationStart,
        ServerInfo, SessionInfo, SessionList, SessionOpened, Stretching,
    },
    keyring::{SealedKeyring, UnlockMethod, Wrap},
    username_key,
};
use gloaming_ids::{AccountId, InviteId, SessionId};
use gloaming_keys::{
    AccountKey, KeyEncryptionKey, Keyring, Method, RecoveryPhrase, unwrap_account_key, wrap_account_key,
};
use gloaming_login::{KsfParams, LoggedIn, LoginError, LoginState, RegistrationState, check_password};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{ClientError, Platform, library::Library, library::Snapshot, platform::Shelf, server::Server};

/// Name of the note that says who is signed in on this device.
const ACCOUNT: &str = "account";

/// A server, before anybody has signed in.
pub struct Client<P> {
    server: Server<P>,
}

/// Somebody, signed in on this device. Cheap to clone; all clones are the same session.
pub struct Session<P>(pub(crate) Rc<Shared<P>>);

pub(crate) struct Shared<P> {
    pub(crate) server: Server<P>,
    pub(crate) account: AccountId,
    username: String,
    keys: RefCell<Option<Rc<Keyring>>>,
    pub(crate) library: RefCell<Snapshot>,
    pub(crate) revision: Cell<u64>,
    pub(crate) writing: futures::lock::Mutex<()>,
}

impl<P> Clone for Session<P> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

#[derive(Serialize, Deserialize)]
struct SignedIn {
    account: AccountId,
    username: String,
}

/// The highest versions this device has seen.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Heads {
    keyring: u64,
    password_wrap: u64,
}

impl<P: Platform> Client<P> {
    /// A client of the platform's server.
    pub fn new(platform: P) -> Self {
        Self { server: Server::new(Rc::new(platform)) }
    }

    /// The platform.
    pub fn platform(&self) -> &P {
        &self.server.platform
    }

    pub(crate) fn server(&self) -> &Server<P> {
        &self.server
    }

    /// What anybody may know of the server; [`ClientError::TooNew`] if it speaks another protocol.
    pub async fn server_info(&self) -> Result<ServerInfo, ClientError> {
        let info: ServerInfo = self.server.get("/v1/server").await?;
        if info.protocol != gloaming_api::PROTOCOL {
            return Err(ClientError::TooNew { what: "the server's protocol".into() });
        }
        Ok(info)
    }

    /// Makes an account with the token out of a set-up or invite link. The phrase is to be shown once and written down:
    /// it is kept nowhere.
    pub async fn register(
        &self,
        token: &str,
        username: &str,
        password: &str,
        device: &str,
    ) -> Result<(Session<P>, RecoveryPhrase), ClientError> {
        let name = spelled(username)?;
        strong(password, username)?;
        let mut entropy = self.server.entropy();
        let (state, request) = RegistrationState::start(password, &mut entropy)?;
        let start =
            RegistrationStart { token: token.into(), username: username.into(), request: request.into() };
        let challenge: RegistrationChallenge = self.server.post("/v1/registrations", &start).await?;
        let params = KsfParams::default();
        let registered = state.finish(challenge.response.as_ref(), &name, params, &mut entropy)?;

        let account = challenge.account;
        let phrase = RecoveryPhrase::generate(&mut entropy);
        let key = AccountKey::generate(&mut entropy);
        let keyring = Keyring::create(&mut entropy);
        let password_kek = KeyEncryptionKey::from_export_key(&registered.export_key);
        let recovery_kek = KeyEncryptionKey::from_phrase(&phrase);
        let sealed = SealedKeyring {
            version: keyring.version(),
            sealed: keyring.seal(&key, account, &mut entropy).into(),
            wraps: vec![
                Wrap {
                    method: UnlockMethod::Password,
                    sealed: wrap(&password_kek, Method::Password, account, 1, &key, &mut entropy),
                },
                Wrap {
                    method: UnlockMethod::Recovery,
                    sealed: wrap(&recovery_kek, Method::Recovery, account, 1, &key, &mut entropy),
                },
            ],
        };
        let finish = RegistrationFinish {
            token: token.into(),
            username: username.into(),
            account,
            upload: registered.upload.into(),
            stretching: stretching(params),
            keyring: sealed,
            recovery_key: phrase.recovery_key().public_key().to_vec().into(),
            device: device.into(),
            want_token: self.server.platform.wants_token(),
        };
        let opened: SessionOpened = self.server.post("/v1/registrations/finish", &finish).await?;
        if opened.account != account {
            return Err(ClientError::nonsense("it made another account"));
        }
        self.server.platform.keep_token(opened.token.as_deref()).await;
        let session = self.session(account, username).await?;
        session.keep_heads(Heads { keyring: keyring.version(), password_wrap: 1 }).await?;
        session.keep_open(&key, keyring).await?;
        Ok((session, phrase))
    }

    /// Signs in and unlocks.
    pub async fn login(
        &self,
        username: &str,
        password: &str,
        device: &str,
    ) -> Result<Session<P>, ClientError> {
        let (opened, export_key) = self.sign_in(username, password, device).await?;
        let session = self.session(opened.account, username).await?;
        session.open_with(&KeyEncryptionKey::from_export_key(&export_key)).await?;
        Ok(session)
    }

    /// Sets a new password by the twenty-four words, and signs in.
    pub async fn recover(
        &self,
        username: &str,
        phrase: &str,
        new_password: &str,
        device: &str,
    ) -> Result<Session<P>, ClientError> {
        let phrase = RecoveryPhrase::parse(phrase)?;
        strong(new_password, username)?;
        // Another device may change the password in between.
        from_the_newest(async || self.recover_once(username, &phrase, new_password, device).await).await
    }

    async fn recover_once(
        &self,
        username: &str,
        phrase: &RecoveryPhrase,
        new_password: &str,
        device: &str,
    ) -> Result<Session<P>, ClientError> {
        let name = spelled(username)?;
        let mut entropy = self.server.entropy();
        let start = RecoveryStart { username: username.into() };
        let challenge: RecoveryChallenge = self.server.post("/v1/recovery", &start).await?;
        let account = challenge.account;
        let words: [u8; 32] = challenge
            .challenge
            .as_ref()
            .try_into()
            .map_err(|_| ClientError::nonsense("a challenge of another length"))?;

        let (state, request) = RegistrationState::start(new_password, &mut entropy)?;
        let proof = RecoveryProof {
            attempt: challenge.attempt.clone(),
            signature: phrase.recovery_key().sign_reset(account, &words).to_vec().into(),
            request: request.into(),
        };
        let opened: RecoveryOpened = match self.server.post("/v1/recovery/open", &proof).await {
            Err(ClientError::WrongPassword | ClientError::Forbidden | ClientError::NotFound { .. }) => {
                return Err(ClientError::WrongPhrase);
            }
            answer => answer?,
        };
        let kek = KeyEncryptionKey::from_phrase(phrase);
        let (version, sealed) = wrap_of(&opened.keyring, UnlockMethod::Recovery)?;
        let key = unwrap_account_key(&kek, Method::Recovery, account, version, sealed)
            .map_err(|error| ClientError::sealed(error, "the account's keys"))?;
        let keyring = Keyring::open(opened.keyring.sealed.as_ref(), &key, account, opened.keyring.version)
            .map_err(|error| ClientError::sealed(error, "the account's keyring"))?;

        let params = KsfParams::default();
        let registered = state.finish(opened.response.as_ref(), &name, params, &mut entropy)?;
        let next = wrap_of(&opened.keyring, UnlockMethod::Password)
            .map_or(1, |(version, _)| version.saturating_add(1));
        let kek = KeyEncryptionKey::from_export_key(&registered.export_key);
        let password = PasswordFinish {
            upload: registered.upload.into(),
            stretching: stretching(params),
            password_wrap: wrap(&kek, Method::Password, account, next, &key, &mut entropy),
        };
        let signature = phrase.recovery_key().sign_new_password(account, &words, &password.digest());
        let finish = RecoveryFinish {
            attempt: challenge.attempt,
            password,
            signature: signature.to_vec().into(),
            device: device.into(),
            want_token: self.server.platform.wants_token(),
        };
        let session: SessionOpened = self.server.post("/v1/recovery/finish", &finish).await?;
        self.server.platform.keep_token(session.token.as_deref()).await;
        let session = self.session(account, username).await?;
        session.check_heads(keyring.version(), next).await?;
        session.keep_open(&key, keyring).await?;
        Ok(session)
    }

    /// Who is signed in on this device, unlocked if its keys are still kept here. Asks the server for nothing but the
    /// keyring, and for that only if there are keys.
    pub async fn resume(&self) -> Result<Option<Session<P>>, ClientError> {
        let Some(note) = self.server.platform.load(Shelf::Notes, ACCOUNT).await else { return Ok(None) };
        let signed_in: SignedIn = match ciborium::from_reader(note.as_slice()) {
            Ok(signed_in) => signed_in,
            Err(_) => return Ok(None),
        };
        let session = Session::new(self.server.clone(), signed_in.account, &signed_in.username);
        let kept = self.server.platform.load(Shelf::Keys, &session.key_name()).await.map(Zeroizing::new);
        if let Some(key) = kept.and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok()) {
            session.open_keyring(&AccountKey::from_bytes(key)).await?;
        }
        Ok(Some(session))
    }

    /// Forgets the keys of whoever is signed in on this device. The session stays, and the server is not asked.
    pub async fn forget_keys(&self) {
        for name in self.server.platform.names(Shelf::Keys, "account/").await {
            self.server.platform.forget(Shelf::Keys, &name).await;
        }
    }

    async fn sign_in(
        &self,
        username: &str,
        password: &str,
        device: &str,
    ) -> Result<(SessionOpened, Zeroizing<[u8; 64]>), ClientError> {
        let (logged_in, attempt) = prove(&self.server, username, password).await?;
        let finish = LoginFinish {
            attempt,
            finalization: logged_in.finalization.into(),
            device: device.into(),
            want_token: self.server.platform.wants_token(),
        };
        let opened: SessionOpened = self.server.post("/v1/sessions/finish", &finish).await?;
        self.server.platform.keep_token(opened.token.as_deref()).await;
        Ok((opened, logged_in.export_key))
    }

    async fn session(&self, account: AccountId, username: &str) -> Result<Session<P>, ClientError> {
        let mut note = Vec::new();
        let signed_in = SignedIn { account, username: username.trim().into() };
        ciborium::into_writer(&signed_in, &mut note).expect("writing to memory does not fail");
        save(&*self.server.platform, Shelf::Notes, ACCOUNT, &note).await?;
        // Whoever was signed in here before is so no more.
        let own = format!("account/{account}");
        for name in self.server.platform.names(Shelf::Keys, "account/").await {
            if name != own {
                self.server.platform.forget(Shelf::Keys, &name).await;
            }
        }
        Ok(Session::new(self.server.clone(), account, username))
    }
}

impl<P: Platform> Session<P> {
    fn new(server: Server<P>, account: AccountId, username: &str) -> Self {
        Self(Rc::new(Shared {
            server,
            account,
            username: username.trim().into(),
            keys: RefCell::new(None),
            library: RefCell::new(Snapshot::default()),
            revision: Cell::new(0),
            writing: futures::lock::Mutex::new(()),
        }))
    }

    /// Whose.
    pub fn account(&self) -> AccountId {
        self.0.account
    }

    /// The user name, as it was typed.
    pub fn username(&self) -> &str {
        &self.0.username
    }

    /// The platform.
    pub fn platform(&self) -> &P {
        &self.0.server.platform
    }

    /// Whether the keys are not here.
    pub fn is_locked(&self) -> bool {
        self.0.keys.borrow().is_none()
    }

    /// The sealed library of this account.
    pub fn library(&self) -> Library<P> {
        Library::new(self.clone())
    }

    /// Forgets the keys and everything that was opened with them. The session stays.
    pub async fn lock(&self) {
        self.0.keys.borrow_mut().take();
        *self.0.library.borrow_mut() = Snapshot::default();
        self.0.revision.set(self.0.revision.get() + 1);
        self.0.server.platform.forget(Shelf::Keys, &self.key_name()).await;
    }

    /// Opens the keys again.
    pub async fn unlock(&self, password: &str) -> Result<(), ClientError> {
        let (logged_in, _) = prove(&self.0.server, &self.0.username, password).await?;
        self.open_with(&KeyEncryptionKey::from_export_key(&logged_in.export_key)).await
    }

    /// Ends the session here and on the server. Notes about what was seen stay, for the next time.
    pub async fn logout(&self) -> Result<(), ClientError> {
        self.lock().await;
        let answer = self.0.server.delete("/v1/sessions/current").await;
        self.0.server.platform.keep_token(None).await;
        self.0.server.platform.forget(Shelf::Notes, ACCOUNT).await;
        match answer {
            Err(ClientError::SignedOut) => Ok(()),
            answer => answer,
        }
    }

    /// Changes the password: one wrap and the sign-in record, together. Every other session ends.
    pub async fn change_password(&self, old: &str, new: &str, device: &str) -> Result<(), ClientError> {
        strong(new, &self.0.username)?;
        // If another device changed the password, the old one is no longer good, and that is the answer.
        from_the_newest(async || self.change_password_once(old, new, device).await).await
    }

    async fn change_password_once(&self, old: &str, new: &str, device: &str) -> Result<(), ClientError> {
        let name = spelled(&self.0.username)?;
        let client = Client { server: self.0.server.clone() };
        // The server wants the old password proved by a sign-in of its own.
        let (_, export_key) = client.sign_in(&self.0.username, old, device).await?;
        let sealed = self.sealed_keyring().await?;
        let (version, bytes) = wrap_of(&sealed, UnlockMethod::Password)?;
        let kek = KeyEncryptionKey::from_export_key(&export_key);
        let key = unwrap_account_key(&kek, Method::Password, self.0.account, version, bytes)
            .map_err(|error| ClientError::sealed(error, "the account's keys"))?;
        self.check_heads(sealed.version, version).await?;

        let mut entropy = self.0.server.entropy();
        let (state, request) = RegistrationState::start(new, &mut entropy)?;
        let start = PasswordStart { request: request.into() };
        let challenge: PasswordChallenge = self.0.server.post("/v1/account/password", &start).await?;
        let params = KsfParams::default();
        let registered = state.finish(challenge.response.as_ref(), &name, params, &mut entropy)?;
        let next = version.saturating_add(1);
        let kek = KeyEncryptionKey::from_export_key(&registered.export_key);
        let finish = PasswordFinish {
            upload: registered.upload.into(),
            stretching: stretching(params),
            password_wrap: wrap(&kek, Method::Password, self.0.account, next, &key, &mut entropy),
        };
        self.0.server.post_quiet("/v1/account/password/finish", &finish).await?;
        self.check_heads(sealed.version, next).await
    }

    /// The account, as the server knows it.
    pub async fn whoami(&self) -> Result<AccountInfo, ClientError> {
        self.0.server.get("/v1/account").await
    }

    /// The signed-in devices.
    pub async fn sessions(&self) -> Result<Vec<SessionInfo>, ClientError> {
        let list: SessionList = self.0.server.get("/v1/sessions").await?;
        Ok(list.sessions)
    }

    /// Signs a device out.
    pub async fn end_session(&self, session: SessionId) -> Result<(), ClientError> {
        self.0.server.delete(&format!("/v1/sessions/{session}")).await
    }

    /// Makes an invite; its token is in this answer only.
    pub async fn invite(&self, request: &InviteRequest) -> Result<Invite, ClientError> {
        self.0.server.post("/v1/invites", request).await
    }

    /// Invites not yet used.
    pub async fn invites(&self) -> Result<Vec<Invite>, ClientError> {
        let list: InviteList = self.0.server.get("/v1/invites").await?;
        Ok(list.invites)
    }

    /// Takes an invite back.
    pub async fn end_invite(&self, invite: InviteId) -> Result<(), ClientError> {
        self.0.server.delete(&format!("/v1/invites/{invite}")).await
    }

    /// The open keyring.
    pub(crate) fn keys(&self) -> Result<Rc<Keyring>, ClientError> {
        self.0.keys.borrow().clone().ok_or(ClientError::Locked)
    }

    /// Opens the account key with a key encryption key, and the keyring with that.
    async fn open_with(&self, kek: &KeyEncryptionKey) -> Result<(), ClientError> {
        let sealed = self.sealed_keyring().await?;
        let (version, bytes) = wrap_of(&sealed, UnlockMethod::Password)?;
        let key = unwrap_account_key(kek, Method::Password, self.0.account, version, bytes)
            .map_err(|error| ClientError::sealed(error, "the account's keys"))?;
        let keyring = self.open_sealed(&sealed, &key)?;
        self.check_heads(keyring.version(), version).await?;
        self.keep_open(&key, keyring).await
    }

    /// Opens the keyring with the account key that this device kept.
    async fn open_keyring(&self, key: &AccountKey) -> Result<(), ClientError> {
        let sealed = self.sealed_keyring().await?;
        let keyring = self.open_sealed(&sealed, key)?;
        let (version, _) = wrap_of(&sealed, UnlockMethod::Password)?;
        self.check_heads(keyring.version(), version).await?;
        self.0.keys.replace(Some(Rc::new(keyring)));
        Ok(())
    }

    async fn sealed_keyring(&self) -> Result<SealedKeyring, ClientError> {
        match self.0.server.get("/v1/keyring").await {
            Err(ClientError::NotFound { .. }) => Err(ClientError::KeyringMissing),
            answer => answer,
        }
    }

    fn open_sealed(&self, sealed: &SealedKeyring, key: &AccountKey) -> Result<Keyring, ClientError> {
        Keyring::open(sealed.sealed.as_ref(), key, self.0.account, sealed.version)
            .map_err(|error| ClientError::sealed(error, "the account's keyring"))
    }

    async fn keep_open(&self, key: &AccountKey, keyring: Keyring) -> Result<(), ClientError> {
        save(self.platform(), Shelf::Keys, &self.key_name(), key.expose()).await?;
        self.0.keys.replace(Some(Rc::new(keyring)));
        Ok(())
    }

    /// Raises the alarm if this device has seen newer ones, else remembers these.
    async fn check_heads(&self, keyring: u64, password_wrap: u64) -> Result<(), ClientError> {
        let note = self.platform().load(Shelf::Notes, &self.heads_name()).await;
        let seen: Heads =
            note.and_then(|note| ciborium::from_reader(note.as_slice()).ok()).unwrap_or_default();
        if keyring < seen.keyring {
            return Err(ClientError::Rollback { what: "keyring" });
        }
        if password_wrap < seen.password_wrap {
            return Err(ClientError::Rollback { what: "password" });
        }
        self.keep_heads(Heads { keyring, password_wrap }).await
    }

    async fn keep_heads(&self, heads: Heads) -> Result<(), ClientError> {
        let mut note = Vec::new();
        ciborium::into_writer(&heads, &mut note).expect("writing to memory does not fail");
        save(self.platform(), Shelf::Notes, &self.heads_name(), &note).await
    }

    fn heads_name(&self) -> String {
        format!("head/{}", self.0.account)
    }

    fn key_name(&self) -> String {
        format!("account/{}", self.0.account)
    }
}

/// Keeps a note, or says why this device cannot.
pub(crate) async fn save<P: Platform>(
    platform: &P,
    shelf: Shelf,
    name: &str,
    bytes: &[u8],
) -> Result<(), ClientError> {
    platform.save(shelf, name, bytes).await.map_err(|reason| ClientError::Device { reason })
}

/// OPAQUE up to the proof: the server's second message shows that the password is right, and yields the export key.
async fn prove<P: Platform>(
    server: &Server<P>,
    username: &str,
    password: &str,
) -> Result<(LoggedIn, Bytes), ClientError> {
    let name = spelled(username)?;
    let mut entropy = server.entropy();
    let (state, request) = LoginState::start(password, &mut entropy)?;
    let start = LoginStart { username: username.into(), request: request.into() };
    let challenge: LoginChallenge = server.post("/v1/sessions", &start).await?;
    let Stretching { memory_kib, passes, lanes } = challenge.stretching;
    let params = KsfParams { memory_kib, passes, lanes };
    let logged_in = state.finish(challenge.response.as_ref(), &name, params, &mut entropy)?;
    Ok((logged_in, challenge.attempt))
}

/// Where what was read was not the newest: once more, from what is there now.
async fn from_the_newest<T>(attempt: impl AsyncFn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    match attempt().await {
        Err(ClientError::VersionConflict) => attempt().await,
        answer => answer,
    }
}

fn spelled(username: &str) -> Result<String, ClientError> {
    username_key(username).map_err(|bad| ClientError::BadUsername { reason: bad.to_string() })
}

fn strong(password: &str, username: &str) -> Result<(), ClientError> {
    check_password(password, &[username, "gloaming"])
        .map_err(|weak| ClientError::WeakPassword { advice: weak.suggestion })
}

fn stretching(params: KsfParams) -> Stretching {
    Stretching { memory_kib: params.memory_kib, passes: params.passes, lanes: params.lanes }
}

fn wrap(
    kek: &KeyEncryptionKey,
    method: Method,
    account: AccountId,
    version: u64,
    key: &AccountKey,
    entropy: &mut dyn gloaming_ids::Entropy,
) -> Bytes {
    let mut bytes = version.to_be_bytes().to_vec();
    bytes.extend(wrap_account_key(kek, method, account, version, key, entropy));
    bytes.into()
}

/// The wrap for `method`, and its version.
fn wrap_of(keyring: &SealedKeyring, method: UnlockMethod) -> Result<(u64, &[u8]), ClientError> {
    let wrap = keyring.wraps.iter().find(|wrap| wrap.method == method).ok_or(ClientError::KeyringMissing)?;
    let (version, bytes) = wrap
        .sealed
        .as_ref()
        .split_first_chunk()
        .ok_or_else(|| ClientError::tampered("the account's keys"))?;
    Ok((u64::from_be_bytes(*version), bytes))
}

impl From<LoginError> for ClientError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::WrongPassword => ClientError::WrongPassword,
            LoginError::Downgraded => ClientError::WeakStretching,
            LoginError::TooCostly => {
                ClientError::nonsense("it asks for more work on the password than is reasonable")
            }
            LoginError::Malformed => ClientError::nonsense("a message that is not part of signing in"),
        }
    }
}
