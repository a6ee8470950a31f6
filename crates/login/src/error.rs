use opaque_ke::errors::ProtocolError;

/// Why a registration or a login went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The user name or the password is wrong; which one is not said.
    #[error("the name or the password is wrong")]
    WrongPassword,
    /// The server asked for cheaper key stretching than we accept: it, or somebody between, wants to guess the password.
    #[error("the server asked for weaker password protection than is safe, so nothing was sent")]
    Downgraded,
    /// The server asked for dearer key stretching than any of ours would.
    #[error("the server asked for more work on the password than is reasonable")]
    TooCostly,
    /// A message is not of this protocol.
    #[error("the other side's message is not part of signing in")]
    Malformed,
}

impl LoginError {
    /// A stable name, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::Downgraded => "downgraded",
            Self::TooCostly => "too_costly",
            Self::Malformed => "malformed",
        }
    }
}

impl From<ProtocolError> for LoginError {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::InvalidLoginError => Self::WrongPassword,
            // What a library error could mean here is a message that parses and does not compute.
            _ => Self::Malformed,
        }
    }
}
