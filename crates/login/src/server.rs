use gloaming_ids::Entropy;
use opaque_ke::{
    CredentialFinalization, CredentialRequest, RegistrationRequest, RegistrationUpload,
    ServerLoginParameters, ServerRegistration,
};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    LoginError,
    client::identifiers,
    suite::{CONTEXT, Rng, Suite},
};

/// A server's long-lived secret: its key pair and the seed of its OPRF keys. Losing it locks every account out of its
/// password; whoever steals it can guess passwords offline, at Argon2id's price.
pub struct ServerSetup(opaque_ke::ServerSetup<Suite>);

impl ServerSetup {
    /// A new server's secret.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(opaque_ke::ServerSetup::new(&mut Rng(entropy)))
    }

    /// For storage, mode 0600.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.0.serialize();
        let kept = Zeroizing::new(bytes.to_vec());
        bytes.zeroize();
        kept
    }

    /// Reads what [`ServerSetup::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoginError> {
        Ok(Self(opaque_ke::ServerSetup::deserialize(bytes)?))
    }

    /// What clients know this server by.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.keypair().public().serialize().into()
    }

    /// Answers a client that registers a password for `username`. Names are compared as bytes: normalise before.
    pub fn registration_start(&self, username: &str, request: &[u8]) -> Result<Vec<u8>, LoginError> {
        let request = RegistrationRequest::deserialize(request)?;
        let start = ServerRegistration::<Suite>::start(&self.0, request, username.as_bytes())?;
        Ok(start.message.serialize().to_vec())
    }

    /// Answers a client that signs in as `username`, whose record is `None` where there is no such account: the answer
    /// looks the same. Tell such a client [`crate::KsfParams::default`], as most accounts have.
    pub fn login_start(
        &self,
        record: Option<&[u8]>,
        username: &str,
        request: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<(ServerLogin, Vec<u8>), LoginError> {
        let record = record.map(ServerRegistration::deserialize).transpose()?;
        let start = opaque_ke::ServerLogin::start(
            &mut Rng(entropy),
            &self.0,
            record,
            CredentialRequest::deserialize(request)?,
            username.as_bytes(),
            parameters(username),
        )?;
        let state = ServerLogin { username: username.to_owned(), opaque: start.state };
        Ok((state, start.message.serialize().to_vec()))
    }
}

impl std::fmt::Debug for ServerSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerSetup(..)")
    }
}

/// Checks what a client registers, and returns the record to keep for [`ServerSetup::login_start`].
pub fn registration_finish(upload: &[u8]) -> Result<Vec<u8>, LoginError> {
    let upload = RegistrationUpload::<Suite>::deserialize(upload)?;
    Ok(ServerRegistration::finish(upload).serialize().to_vec())
}

/// A login between its two messages, kept in memory for a minute at most.
pub struct ServerLogin {
    username: String,
    opaque: opaque_ke::ServerLogin<Suite>,
}

impl ServerLogin {
    /// Whom the client says it is; believe it once [`ServerLogin::finish`] does.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Whether the password was right: the key shared with the client, or [`LoginError::WrongPassword`].
    pub fn finish(self, finalization: &[u8]) -> Result<Zeroizing<[u8; 64]>, LoginError> {
        let finalization = CredentialFinalization::deserialize(finalization)?;
        let mut finish = self.opaque.finish(finalization, parameters(&self.username))?;
        let key = Zeroizing::new(finish.session_key.into());
        finish.session_key.zeroize();
        Ok(key)
    }
}

impl std::fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerLogin(..)")
    }
}

fn parameters(username: &str) -> ServerLoginParameters<'_, '_> {
    ServerLoginParameters { context: Some(CONTEXT), identifiers: identifiers(username) }
}
