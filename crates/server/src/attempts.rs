use std::{collections::HashMap, sync::Mutex, sync::PoisonError, time::Duration};

use gloaming_ids::UnixMillis;

use crate::{data_dir::random, error::ApiError};

/// Attempts under way at once. Each is a few hundred bytes, and rate limits come first.
const MOST: usize = 20_000;

/// What happens between two requests of one attempt (to sign in, to recover): in memory, for a short while, named by
/// 16 random bytes. A restart forgets them, and a client begins again.
pub(crate) struct Attempts<T>(Mutex<HashMap<[u8; 16], (UnixMillis, T)>>);

impl<T> Attempts<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// Begins one, good until `now + lifetime`.
    pub(crate) fn begin(
        &self,
        value: T,
        lifetime: Duration,
        now: UnixMillis,
    ) -> Result<gloaming_api::Bytes, ApiError> {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= MOST {
            attempts.retain(|_, (until, _)| *until > now);
            if attempts.len() >= MOST {
                return Err(ApiError::unavailable());
            }
        }
        let name = random();
        attempts.insert(name, (now + lifetime, value));
        Ok(name.to_vec().into())
    }

    /// Ends one.
    pub(crate) fn take(&self, name: &gloaming_api::Bytes, now: UnixMillis) -> Result<T, ApiError> {
        let name: [u8; 16] = name.as_ref().try_into().map_err(|_| ApiError::attempt_over())?;
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match attempts.remove(&name) {
            Some((until, value)) if until > now => Ok(value),
            _ => Err(ApiError::attempt_over()),
        }
    }

    /// Puts one back under its name, for its next request; its time does not begin anew.
    pub(crate) fn put_back(&self, name: &gloaming_api::Bytes, until: UnixMillis, value: T) {
        if let Ok(name) = name.as_ref().try_into() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (until, value));
        }
    }

    pub(crate) fn forget_expired(&self, now: UnixMillis) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (until, _)| *until > now);
    }
}
