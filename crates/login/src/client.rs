use gloaming_ids::Entropy;
use opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters,
    CredentialResponse, Identifiers, RegistrationResponse,
};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    KsfParams, LoginError,
    suite::{CONTEXT, Rng, Suite},
};

/// A registration between its two messages. Wiped when dropped.
pub struct RegistrationState {
    password: Zeroizing<Vec<u8>>,
    opaque: ClientRegistration<Suite>,
}

/// What a finished registration yields.
pub struct Registered {
    /// For the server to keep.
    pub upload: Vec<u8>,
    /// What the password unlocks: never leaves the client.
    pub export_key: Zeroizing<[u8; 64]>,
    /// The server that this password was registered with: the same at each login.
    pub server_public_key: [u8; 32],
}

impl RegistrationState {
    /// Begins: the state to keep, and the request for the server. Check the password's strength before.
    pub fn start(password: &str, entropy: &mut dyn Entropy) -> Result<(Self, Vec<u8>), LoginError> {
        let start = ClientRegistration::<Suite>::start(&mut Rng(entropy), password.as_bytes())?;
        let password = Zeroizing::new(password.as_bytes().to_vec());
        Ok((Self { password, opaque: start.state }, start.message.serialize().to_vec()))
    }

    /// Ends: takes about a second and `params.memory_kib` of memory.
    pub fn finish(
        self,
        response: &[u8],
        username: &str,
        params: KsfParams,
        entropy: &mut dyn Entropy,
    ) -> Result<Registered, LoginError> {
        let ksf = params.argon2()?;
        let response = RegistrationResponse::deserialize(response)?;
        let params = ClientRegistrationFinishParameters::new(identifiers(username), Some(&ksf));
        let mut finish = self.opaque.finish(&mut Rng(entropy), &self.password, response, params)?;
        let export_key = Zeroizing::new(finish.export_key.into());
        finish.export_key.zeroize();
        Ok(Registered {
            upload: finish.message.serialize().to_vec(),
            export_key,
            server_public_key: finish.server_s_pk.serialize().into(),
        })
    }
}

/// A login between its two messages. Wiped when dropped.
pub struct LoginState {
    password: Zeroizing<Vec<u8>>,
    opaque: ClientLogin<Suite>,
}

/// What a finished login yields.
pub struct LoggedIn {
    /// Proves to the server that the password was right.
    pub finalization: Vec<u8>,
    /// What the password unlocks, the same as at registration: never leaves the client.
    pub export_key: Zeroizing<[u8; 64]>,
    /// A key that only this server and this client have, new at each login.
    pub session_key: Zeroizing<[u8; 64]>,
    /// The server that proved itself: the same as at registration.
    pub server_public_key: [u8; 32],
}

impl LoginState {
    /// Begins: the state to keep, and the request for the server.
    pub fn start(password: &str, entropy: &mut dyn Entropy) -> Result<(Self, Vec<u8>), LoginError> {
        let start = ClientLogin::<Suite>::start(&mut Rng(entropy), password.as_bytes())?;
        let password = Zeroizing::new(password.as_bytes().to_vec());
        Ok((Self { password, opaque: start.state }, start.message.serialize().to_vec()))
    }

    /// Ends: takes about a second and `params.memory_kib` of memory. `params` are the server's word, and refused when
    /// they are cheap.
    pub fn finish(
        self,
        response: &[u8],
        username: &str,
        params: KsfParams,
        entropy: &mut dyn Entropy,
    ) -> Result<LoggedIn, LoginError> {
        let ksf = params.argon2()?;
        let response = CredentialResponse::deserialize(response)?;
        let params = ClientLoginFinishParameters::new(Some(CONTEXT), identifiers(username), Some(&ksf));
        let mut finish = self.opaque.finish(&mut Rng(entropy), &self.password, response, params)?;
        let export_key = Zeroizing::new(finish.export_key.into());
        let session_key = Zeroizing::new(finish.session_key.into());
        finish.export_key.zeroize();
        finish.session_key.zeroize();
        Ok(LoggedIn {
            finalization: finish.message.serialize().to_vec(),
            export_key,
            session_key,
            server_public_key: finish.server_s_pk.serialize().into(),
        })
    }
}

pub(crate) fn identifiers(username: &str) -> Identifiers<'_> {
    Identifiers { client: Some(username.as_bytes()), server: None }
}
