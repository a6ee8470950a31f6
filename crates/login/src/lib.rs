//! OPAQUE (RFC 9807), both sides: a password is proved without being shown, and yields the key that unlocks the account.
//!
//! ```text
//! make an account                                    sign in
//! client                        server               client                          server
//! RegistrationState::start ──request──►              LoginState::start ────request────►
//!           ◄──response── registration_start               ◄──response, KsfParams── login_start
//! .finish ────────────────upload────► finish         .finish ──────────finalization────► ServerLogin::finish
//!    └► export key                                      └► export key, session key              └► session key
//! ```
//!
//! * Suite: ristretto255-SHA512, 3DH, Argon2id as key stretching; no other is understood.
//! * The server never sees the password, nor anything to guess it from without its own OPRF key. A hostile server has
//!   that key and can guess at Argon2id's price, so weak passwords are refused ([`check_password`]) and cheap
//!   parameters too ([`KsfParams`]).
//! * The user name is bound as the client's identity; the server's identity is its public key.
//! * An unknown user is answered like a known one with a wrong password.

mod client;
mod error;
mod ksf;
mod server;
mod strength;
mod suite;

pub use client::{LoggedIn, LoginState, Registered, RegistrationState};
pub use error::LoginError;
pub use ksf::KsfParams;
pub use server::{ServerLogin, ServerSetup, registration_finish};
pub use strength::{WeakPassword, check_password, generate_passphrase};
