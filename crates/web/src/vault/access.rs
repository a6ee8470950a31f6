use std::time::Duration;

use gloaming_api::account::{InviteRequest, Role};
use gloaming_client::{ClientError, Platform, Session};
use gloaming_ids::{InviteId, SessionId};
use gloaming_login::{check_password, generate_passphrase};
use wasm_bindgen::prelude::*;

use super::WebVault;
use crate::{
    convert::{Answer, from_js, id, sentence, thrown, to_js, vault_error},
    idle::Idle,
    platform::{Browser, sleep},
    wire::{
        Access, Account, Advice, Alarm, Credentials, Device, Event, Invite, InviteAsk, PasswordChange,
        Recovery, Registration,
    },
};

/// How often it looks whether somebody is still there.
const GLANCE: Duration = Duration::from_secs(15);

#[wasm_bindgen]
impl WebVault {
    /// Where the account stands on this device; looked up once, then remembered.
    pub async fn access(&self) -> Answer {
        let known = self.0.access.borrow().clone();
        match known {
            Some(access) if !matches!(access, Access::Offline { .. }) => Ok(to_js(&access)),
            _ => Ok(to_js(&self.look().await)),
        }
    }

    /// Looks again.
    pub async fn retry(&self) -> Answer {
        Ok(to_js(&self.look().await))
    }

    /// Another worker of this origin locked, unlocked or signed out.
    pub async fn heard(&self) -> Answer<()> {
        self.look().await;
        Ok(())
    }

    /// Makes an account; answers with its recovery phrase, which is kept nowhere.
    pub async fn register(&self, ask: JsValue) -> Answer {
        let Registration { token, username, password } = from_js(&ask)?;
        let made = self.0.client.register(&token, &username, &password, &device()).await;
        let (session, phrase) = made.map_err(thrown)?;
        self.opened(session).await;
        let words: Vec<String> = phrase.words().map(str::to_owned).to_vec();
        Ok(to_js(&serde_json::json!({ "phrase": words })))
    }

    /// How strong a password is. Never leaves this worker.
    #[wasm_bindgen(js_name = passwordAdvice)]
    pub async fn password_advice(&self, password: String, username: String) -> Answer {
        let known = [username.as_str(), "gloaming"];
        let score = u8::from(zxcvbn::zxcvbn(&password, &known).score());
        let advice = check_password(&password, &known).err().map(|weak| weak.suggestion).unwrap_or_default();
        Ok(to_js(&Advice { score, good: advice.is_empty(), advice }))
    }

    /// Words that nobody guesses.
    #[wasm_bindgen(js_name = suggestPassword)]
    pub async fn suggest_password(&self) -> Answer<String> {
        let mut entropy = |out: &mut [u8]| self.platform().fill_random(out);
        Ok(generate_passphrase(&mut entropy).to_string())
    }

    /// Signs in and unlocks.
    #[wasm_bindgen(js_name = signIn)]
    pub async fn sign_in(&self, ask: JsValue) -> Answer<()> {
        let Credentials { username, password } = from_js(&ask)?;
        let session = self.0.client.login(&username, &password, &device()).await;
        self.opened(session.map_err(thrown)?).await;
        Ok(())
    }

    /// Opens the keys again.
    pub async fn unlock(&self, password: String) -> Answer<()> {
        let session = self.0.client.resume().await.map_err(thrown)?;
        let session = session.ok_or_else(|| thrown(ClientError::SignedOut))?;
        session.unlock(&password).await.map_err(thrown)?;
        self.opened(session).await;
        Ok(())
    }

    /// Forgets the keys, here and in every other page of this origin.
    pub async fn lock(&self) -> Answer<()> {
        self.shut().await;
        self.tell_siblings();
        Ok(())
    }

    /// Somebody is there.
    pub async fn active(&self) -> Answer<()> {
        self.touch().await;
        Ok(())
    }

    /// Ends the session here and on the server.
    #[wasm_bindgen(js_name = signOut)]
    pub async fn sign_out(&self) -> Answer<()> {
        let session = self.session();
        self.shut().await;
        let answer = match session {
            Ok(session) => session.logout().await,
            Err(_) => Ok(()),
        };
        self.0.session.replace(None);
        self.enter(Access::SignedOut);
        self.tell_siblings();
        // Without a network the server keeps its end until it expires; the keys are gone from here either way.
        answer.map_err(|error| self.complain(error))
    }

    /// A new password by the twenty-four words.
    pub async fn recover(&self, ask: JsValue) -> Answer<()> {
        let Recovery { username, phrase, password } = from_js(&ask)?;
        let session = self.0.client.recover(&username, &phrase, &password, &device()).await;
        self.opened(session.map_err(thrown)?).await;
        Ok(())
    }

    /// A new password by the old one.
    #[wasm_bindgen(js_name = changePassword)]
    pub async fn change_password(&self, ask: JsValue) -> Answer<()> {
        let PasswordChange { old, new } = from_js(&ask)?;
        let session = self.0.client.resume().await.map_err(thrown)?;
        let session = session.ok_or_else(|| thrown(ClientError::SignedOut))?;
        session.change_password(&old, &new, &device()).await.map_err(thrown)
    }

    /// The account, as the server knows it.
    pub async fn account(&self) -> Answer {
        let account = self.ask(async |session| session.whoami().await).await?;
        Ok(to_js(&Account {
            username: account.username,
            role: role(account.role),
            used_bytes: account.used_bytes,
            quota_bytes: account.quota_bytes,
            created_at: account.created_at.0,
        }))
    }

    /// Signed-in devices.
    pub async fn devices(&self) -> Answer {
        let sessions = self.ask(async |session| session.sessions().await).await?;
        let device = |info: gloaming_api::account::SessionInfo| Device {
            session: info.session.to_string(),
            device: info.device,
            created_at: info.created_at.0,
            seen_at: info.seen_at.0,
            current: info.current,
        };
        Ok(to_js(&sessions.into_iter().map(device).collect::<Vec<_>>()))
    }

    /// Signs a device out.
    #[wasm_bindgen(js_name = endDevice)]
    pub async fn end_device(&self, session: String) -> Answer<()> {
        let ended: SessionId = id(&session)?;
        self.ask(async |session| session.end_session(ended).await).await
    }

    /// Invites not yet used.
    pub async fn invites(&self) -> Answer {
        let invites = self.ask(async |session| session.invites().await).await?;
        Ok(to_js(&invites.into_iter().map(shown).collect::<Vec<_>>()))
    }

    /// Makes an invite, with its link.
    pub async fn invite(&self, ask: JsValue) -> Answer {
        let InviteAsk { label, valid_days, quota_bytes } = from_js(&ask)?;
        let valid_seconds = u64::from(valid_days) * 24 * 60 * 60;
        let request = InviteRequest { label, valid_seconds, quota_bytes };
        let made = self.ask(async |session| session.invite(&request).await).await?;
        Ok(to_js(&shown(made)))
    }

    /// Takes an invite back.
    #[wasm_bindgen(js_name = endInvite)]
    pub async fn end_invite(&self, invite: String) -> Answer<()> {
        let invite: InviteId = id(&invite)?;
        self.ask(async |session| session.end_invite(invite).await).await
    }
}

impl WebVault {
    /// Asks something of whoever is signed in.
    pub(super) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(Session<Browser>) -> Result<T, ClientError>,
    ) -> Answer<T> {
        let answer = match self.session() {
            Ok(session) => question(session).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| self.complain(error))
    }

    /// Says where we stand, if that is news.
    pub(super) fn enter(&self, access: Access) {
        let before = self.0.access.replace(Some(access.clone()));
        if before.as_ref() != Some(&access) {
            self.say(&Event::Access { access });
        }
    }

    /// Where we stand, by what is kept here and what the server says.
    async fn look(&self) -> Access {
        let _one_at_a_time = self.0.looking.lock().await;
        let access = match self.stand().await {
            Ok(access) => access,
            Err(ClientError::SignedOut) => {
                self.0.session.replace(None);
                self.0.client.forget_keys().await;
                Access::SignedOut
            }
            // The network is gone and the keys are not: what is open stays open.
            Err(error) if error.is_passing() && self.is_open() => {
                return self.0.access.borrow().clone().expect("it is open");
            }
            Err(error) => {
                let told = vault_error(&error);
                if error.is_alarm() {
                    let alarm = Alarm { code: told.code, message: told.message.clone() };
                    self.say(&Event::Alarm { alarm });
                }
                Access::Offline { message: told.message }
            }
        };
        if !matches!(access, Access::Open { .. }) {
            self.put_away();
        }
        self.enter(access.clone());
        access
    }

    async fn stand(&self) -> Result<Access, ClientError> {
        let Some(session) = self.0.client.resume().await? else {
            self.0.session.replace(None);
            let server = self.0.client.server_info().await?;
            return Ok(if server.needs_setup { Access::NeedsSetup } else { Access::SignedOut });
        };
        if !session.is_locked() && Idle::load(self.platform()).await.is_over(self.platform().now()) {
            session.lock().await;
        }
        // Asks the server too whether the session still stands.
        let account = session.whoami().await;
        let username = session.username().to_owned();
        if session.is_locked() {
            if let Err(error) = account
                && !error.is_passing()
            {
                return Err(error);
            }
            self.0.session.replace(Some(session));
            return Ok(Access::Locked { username });
        }
        let account = account?;
        let access =
            Access::Open { username, account: session.account().to_string(), role: role(account.role) };
        // Where it was open before, what was opened with it stays: another worker may only have changed the password.
        let same =
            self.session().is_ok_and(|before| !before.is_locked() && before.account() == session.account());
        if !same {
            self.0.session.replace(Some(session));
            self.settle_in();
        }
        Ok(access)
    }

    /// Somebody is there, or something is under way for them. A player says so with every segment: most of it stays
    /// in memory.
    pub(super) async fn touch(&self) {
        let now = self.platform().now();
        if now.since(self.0.touched.get()) >= GLANCE {
            self.0.touched.set(now);
            Idle::touch(self.platform(), false).await;
        }
    }

    fn is_open(&self) -> bool {
        matches!(*self.0.access.borrow(), Some(Access::Open { .. }))
    }

    /// Somebody just proved who they are in this worker.
    async fn opened(&self, session: Session<Browser>) {
        Idle::touch(self.platform(), true).await;
        self.0.session.replace(Some(session));
        self.tell_siblings();
    }

    async fn shut(&self) {
        self.put_away();
        if let Ok(session) = self.session() {
            session.lock().await;
            let username = session.username().to_owned();
            self.enter(Access::Locked { username });
        }
    }

    /// Looks now and then whether somebody is still there, for as long as this worker lives.
    pub(super) fn watch_idleness(&self) {
        let vault = self.clone();
        wasm_bindgen_futures::spawn_local(async move {
            loop {
                sleep(GLANCE).await;
                vault.0.theatre.tidy();
                let open = vault.is_open();
                if open && vault.is_busy() {
                    vault.touch().await;
                } else if open && Idle::load(vault.platform()).await.is_over(vault.platform().now()) {
                    vault.shut().await;
                    vault.tell_siblings();
                }
            }
        });
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Member => "member",
    }
}

fn shown(invite: gloaming_api::account::Invite) -> Invite {
    Invite {
        invite: invite.invite.to_string(),
        label: invite.label,
        expires_at: invite.expires_at.0,
        // The token is in the fragment: it is not sent when the link is followed.
        link: invite.token.map(|token| format!("{}/join#{token}", origin())),
    }
}

fn scope() -> web_sys::WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

pub(super) fn origin() -> String {
    scope().location().origin()
}

/// "Firefox on Linux", for the list of devices.
fn device() -> String {
    let agent = scope().navigator().user_agent().unwrap_or_default();
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    // Everybody claims to be Safari, and everybody but Firefox to be like Gecko: the most particular comes first.
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    sentence(&format!("{} on {}", browser.unwrap_or("a browser"), system.unwrap_or("an unknown system")))
        .trim_end_matches('.')
        .to_owned()
}
