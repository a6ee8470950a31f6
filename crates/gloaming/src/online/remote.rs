use std::{
    env, fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use gloaming_client::{Client, Session};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::{
    machine::{Machine, write_private},
    tls,
};
use crate::failure::{Exit, Failure};

const HEADING: &str = "Server and account";

/// Which server, and who.
#[derive(Clone, Debug, Args)]
pub(crate) struct Remote {
    /// The server's address; remembered by the profile
    #[arg(long, global = true, help_heading = HEADING, env = "GLOAMING_SERVER", value_name = "URL")]
    server: Option<Url>,

    /// Which of several accounts on this device
    #[arg(long, global = true, help_heading = HEADING, env = "GLOAMING_PROFILE", default_value = "default", value_name = "NAME")]
    profile: String,

    /// A file whose first line is the account's password (or set GLOAMING_PASSWORD)
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Certificates to believe beside the system's (PEM)
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    cacert: Option<PathBuf>,

    /// Believe exactly the certificate with this SHA-256 fingerprint, as a self-signed server prints it; remembered, and
    /// asked of this server alone
    #[arg(long, global = true, help_heading = HEADING, value_name = "HEX")]
    pin: Option<String>,
}

/// What a profile remembers of its server.
#[derive(PartialEq, Serialize, Deserialize)]
struct Address {
    server: String,
    pin: Option<String>,
    cacert: Option<PathBuf>,
}

impl Address {
    /// A client that keeps its notes in `folder`; `known` says whether those are of this server.
    fn client(&self, server: Url, folder: PathBuf, known: bool) -> Result<Client<Machine>, Failure> {
        let pinned = tls::http(self.pin.as_deref(), self.cacert.as_deref())?;
        // The pin is that server's certificate, and says nothing of an object store elsewhere.
        let other = tls::http(None, self.cacert.as_deref())?;
        let machine = Machine::new(pinned, other, server, folder.clone(), known)
            .map_err(|error| Failure::file(&folder, &error))?;
        Ok(Client::new(machine))
    }
}

impl Remote {
    /// A client of the server that was named now or before.
    pub(crate) fn client(&self) -> Result<Client<Machine>, Failure> {
        let folder = self.folder()?;
        let (address, server, same) = self.address(&folder)?;
        address.client(server, folder, same)
    }

    /// Remembers the server, now that it has shown to be the one that was meant: somebody signed in there.
    pub(crate) fn remember(&self) -> Result<(), Failure> {
        let folder = self.folder()?;
        let (address, _, _) = self.address(&folder)?;
        if self.known()?.as_ref() == Some(&address) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&address).expect("an address serialises");
        let place = folder.join("server.json");
        write_private(&place, &bytes).map_err(|error| Failure::file(&place, &error))
    }

    /// The server that was named now or before, and whether it is the one that the profile remembers.
    fn address(&self, folder: &Path) -> Result<(Address, Url, bool), Failure> {
        let known = self.known()?;
        let server = self.server.clone().or_else(|| known.as_ref()?.server.parse().ok());
        let server = server.ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "no_server",
                "no server was named; add --server https://… once, with `account login`",
            )
        })?;
        if !matches!(server.scheme(), "http" | "https") || server.host().is_none() {
            return Err(Failure::new(Exit::Usage, "bad_server", "a server's address begins with https://"));
        }
        let same = known.as_ref().is_some_and(|known| known.server == server.as_str());
        if known.is_some() && !same && folder.join("notes/account").exists() {
            let message =
                "this profile is signed in with another server; log out first, or choose a --profile";
            return Err(Failure::new(Exit::Usage, "other_server", message));
        }
        let known = known.filter(|_| same);
        Ok((self.trusting(known.as_ref(), &server), server, same))
    }

    /// A server, and the certificate that is believed there: as named now, or as it is known.
    fn trusting(&self, known: Option<&Address>, server: &Url) -> Address {
        let pin = self.pin.clone().or_else(|| known?.pin.clone());
        let cacert = self.cacert.clone().or_else(|| known?.cacert.clone());
        Address { server: server.to_string(), pin, cacert }
    }

    /// For a room's link: the server that it names, and a client of it that opens sockets and says nothing of who asks.
    pub(crate) fn visitor(&self, link: &str) -> Result<(reqwest::Client, Url), Failure> {
        let (server, address) = self.linked(link)?;
        Ok((tls::upgradable(address.pin.as_deref(), address.cacert.as_deref())?, server))
    }

    /// A client of the server that a link names: nobody is signed in there, and this profile's account stays unsaid.
    pub(crate) fn viewer(&self, link: &str) -> Result<Client<Machine>, Failure> {
        let (server, address) = self.linked(link)?;
        let name = hex::encode(&gloaming_keys::sha256(server.as_str().as_bytes())[..8]);
        address.client(server, self.folder()?.join("viewing").join(name), false)
    }

    fn linked(&self, link: &str) -> Result<(Url, Address), Failure> {
        let server = server_of(link).or_else(|| self.server.clone()).ok_or_else(|| {
            let message = "the link names no server; copy all of it, from https:// on";
            Failure::new(Exit::Usage, "link_incomplete", message)
        })?;
        let known = self.known()?.filter(|known| known.server == server.as_str());
        let address = self.trusting(known.as_ref(), &server);
        Ok((server, address))
    }

    /// Whoever is signed in.
    pub(crate) async fn session(&self) -> Result<Session<Machine>, Failure> {
        let session = self.client()?.resume().await?;
        session.ok_or_else(|| {
            Failure::new(
                Exit::SignedOut,
                "signed_out",
                "nobody is signed in here; use `gloaming account login`",
            )
        })
    }

    /// Whoever is signed in, with their keys, and the library as it is now.
    pub(crate) async fn open(&self) -> Result<Session<Machine>, Failure> {
        let session = self.session().await?;
        if session.is_locked() {
            session.unlock(&self.password("Password: ")?).await?;
        }
        session.library().sync().await?;
        self.remember()?;
        tell_unreadable(&session);
        Ok(session)
    }

    /// The server of this link, if none was named.
    pub(crate) fn or_at(mut self, link: &str) -> Self {
        self.server = self.server.or_else(|| server_of(link));
        self
    }

    /// The password out of a file, the environment, or whoever sits at the terminal.
    pub(crate) fn password(&self, prompt: &str) -> Result<Zeroizing<String>, Failure> {
        self.given_password().unwrap_or_else(|| ask(prompt))
    }

    /// A password to be, which a person types twice.
    pub(crate) fn new_password(&self) -> Result<Zeroizing<String>, Failure> {
        self.given_password().unwrap_or_else(ask_twice)
    }

    /// Whether somebody named a file with the account's password.
    pub(crate) fn names_password_file(&self) -> bool {
        self.password_file.is_some()
    }

    fn given_password(&self) -> Option<Result<Zeroizing<String>, Failure>> {
        let named = self.password_file.as_deref().map(first_line);
        named.or_else(|| Some(Ok(Zeroizing::new(env::var("GLOAMING_PASSWORD").ok()?))))
    }

    fn known(&self) -> Result<Option<Address>, Failure> {
        let place = self.folder()?.join("server.json");
        match fs::read(&place) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file(&place, &error)),
        }
    }

    /// Where this profile's notes and keys are.
    fn folder(&self) -> Result<PathBuf, Failure> {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.profile.is_empty() || !self.profile.chars().all(fine) {
            return Err(Failure::new(
                Exit::Usage,
                "bad_profile",
                "a profile's name has letters, digits, - and _",
            ));
        }
        Ok(state_folder()?.join("gloaming").join(&self.profile))
    }
}

/// Tells of entries of the library that are in no list because they cannot be read.
pub(crate) fn tell_unreadable(session: &Session<Machine>) {
    for broken in session.library().unreadable() {
        let _ = writeln!(io::stderr(), "Warning: {broken}.");
    }
}

/// The server that a link leads to.
fn server_of(link: &str) -> Option<Url> {
    let mut server = Url::parse(link.trim()).ok().filter(|url| url.has_host())?;
    server.set_fragment(None);
    server.set_query(None);
    server.set_path("/");
    Some(server)
}

/// Where this system keeps what a program must remember and nobody else should read.
fn state_folder() -> Result<PathBuf, Failure> {
    if let Some(folder) =
        env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute())
    {
        return Ok(folder);
    }
    let home = env::home_dir().ok_or_else(|| {
        Failure::new(Exit::Files, "no_home", "there is no home folder to keep notes in; set XDG_STATE_HOME")
    })?;
    Ok(home.join(if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/state" }))
}

/// A secret out of a file's first line.
pub(crate) fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?);
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// A new secret from whoever sits at the terminal: twice, because nobody sees what they type.
pub(crate) fn ask_twice() -> Result<Zeroizing<String>, Failure> {
    let password = ask("New password: ")?;
    if *password == *ask("The same again: ")? {
        return Ok(password);
    }
    let message = "these were two different passwords; nothing was changed, try again";
    Err(Failure::new(Exit::Locked, "passwords_differ", message))
}

/// A line from whoever sits at the terminal.
pub(crate) fn typed(prompt: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        let message = "a user name is needed and nobody is there to type it; add it to the command";
        return Err(Failure::new(Exit::Usage, "no_username", message));
    }
    let _ = write!(io::stderr(), "{prompt}");
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|error| Failure::new(Exit::Files, "no_terminal", error.to_string()))?;
    Ok(line.trim().to_owned())
}

/// A secret from whoever sits at the terminal; nobody is asked where nobody sits.
pub(crate) fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        let message =
            "a password is needed and nobody is there to type it; use --password-file or GLOAMING_PASSWORD";
        return Err(Failure::new(Exit::Locked, "no_password", message));
    }
    let typed = rpassword::prompt_password(prompt)
        .map_err(|error| Failure::new(Exit::Files, "no_terminal", error.to_string()))?;
    Ok(Zeroizing::new(typed))
}
