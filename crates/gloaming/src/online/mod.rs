//! Verbs that need a server. Each is a thin skin over `gloaming-client`.
//!
//! * [`remote`]: which server, which profile, whose password.
//! * [`machine`]: this machine, as the client wants it.
//! * [`play`]: a video on a loopback address, for any player.
//! * [`room`]: rooms, made here and visited without a browser.

mod account;
mod contact;
mod doctor;
mod download;
mod export;
mod grants;
mod library;
mod machine;
mod period;
mod play;
mod playlist;
mod received;
mod remote;
mod room;
mod share;
mod tls;
mod upload;
mod verify;
mod view;

pub(crate) use account::{Account, Lock, Unlock};
pub(crate) use contact::Contact;
pub(crate) use doctor::Doctor;
pub(crate) use download::Download;
pub(crate) use export::Export;
pub(crate) use grants::Grants;
pub(crate) use library::{Delete, Ls, Rename, Restore, Show, Trash};
pub(crate) use play::Play;
pub(crate) use playlist::Playlist;
pub(crate) use received::Received;
pub(crate) use remote::Remote;
pub(crate) use room::Room;
pub(crate) use share::{Policy, Publish, Revoke, Share, Shares};
pub(crate) use upload::Upload;
pub(crate) use verify::Verify;
pub(crate) use view::View;

use std::time::{Duration, UNIX_EPOCH};

use gloaming_api::ErrorCode;
use gloaming_client::{ClientError, Control};
use gloaming_keys::LinkError;

use crate::failure::{Exit, Failure};

/// How long work that was told to stop may take to put away what it has.
const PUT_AWAY: Duration = Duration::from_secs(5);

/// Runs one verb's work to its end, on this thread; sealing and reading happen beside it. An interrupt stops it.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run(work, None)
}

/// Like [`block_on`], for work that `control` stops: an interrupt lets it put away what it has. A second one does not.
fn block_on_stoppable<T>(
    control: &Control,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    run(work, Some(control))
}

fn run<T>(work: impl Future<Output = Result<T, Failure>>, control: Option<&Control>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .map_err(|error| Failure::new(Exit::Bug, "no_runtime", error.to_string()))?;
    let stopped = || {
        let message = "stopped; do the same again to go on from here";
        Err(Failure::new(Exit::Interrupted, "interrupted", message))
    };
    let all = async {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = interrupt() => {}
        }
        let Some(control) = control else { return stopped() };
        control.cancel();
        tokio::select! {
            done = work => done,
            () = interrupt() => stopped(),
            () = tokio::time::sleep(PUT_AWAY) => stopped(),
        }
    };
    let done = tokio::task::LocalSet::new().block_on(&runtime, all);
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// Waits for Ctrl-C, or for the system's wish that this process ends.
async fn interrupt() {
    use tokio::signal::unix::{SignalKind, signal};
    let ended = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = ended => {}
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Failure {
        ClientError::from(error).into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let exit = match &error {
            ClientError::Offline { .. } | ClientError::SlowDown { .. } => Exit::Offline,
            ClientError::SignedOut => Exit::SignedOut,
            ClientError::WrongPassword
            | ClientError::Link(LinkError::PasswordNeeded)
            | ClientError::NotAdmitted { code: ErrorCode::LinkRefused }
            | ClientError::WeakPassword { .. }
            | ClientError::Phrase(_)
            | ClientError::WrongPhrase
            | ClientError::Locked => Exit::Locked,
            ClientError::BadUsername { .. } | ClientError::Link(_) => Exit::Usage,
            ClientError::NotAdmitted { .. } | ClientError::NotForDownload => Exit::NotAllowed,
            ClientError::Forbidden | ClientError::AccountDisabled | ClientError::BadInvite => {
                Exit::NotAllowed
            }
            ClientError::NotFound { .. } | ClientError::Ambiguous { .. } => Exit::NotFound,
            ClientError::VersionConflict | ClientError::WrongState { .. } | ClientError::NameTaken => {
                Exit::Conflict
            }
            ClientError::Rollback { .. }
            | ClientError::Fork { .. }
            | ClientError::Tampered { .. }
            | ClientError::Differs { .. }
            | ClientError::ChangedKey { .. }
            | ClientError::UnknownSender { .. }
            | ClientError::WeakStretching => Exit::Refused,
            ClientError::QuotaExceeded { .. } => Exit::Quota,
            ClientError::FileChanged => Exit::Changed,
            ClientError::FileUnreadable { .. } => Exit::Files,
            ClientError::Media(error) => return error.clone().into(),
            ClientError::Device { .. } => Exit::DiskFull,
            ClientError::Cancelled => Exit::Interrupted,
            _ => Exit::Server,
        };
        let message = match &error {
            ClientError::SignedOut => {
                "this device is signed out; use `gloaming account login` and do the same again, nothing is lost"
                    .into()
            }
            ClientError::Locked => "the library is locked; use `gloaming unlock`".into(),
            error => error.to_string(),
        };
        Failure::new(exit, error.code(), message)
    }
}

/// "1:02:03", "4:05".
fn clock(millis: u64) -> String {
    let seconds = millis / 1000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

/// "1.4 GB".
fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// "2026-11-22 03:19" (UTC).
fn date(time: gloaming_ids::UnixMillis) -> String {
    let days = time.0 / 86_400_000;
    let (h, m) = (time.0 / 3_600_000 % 24, time.0 / 60_000 % 60);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}")
}

/// What this device is called in the list of sessions.
fn device_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    if host.is_empty() { "command line".into() } else { format!("command line on {host}") }
}

/// Now, for notes to people.
fn now() -> gloaming_ids::UnixMillis {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gloaming_ids::UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use gloaming_ids::UnixMillis;

    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(clock(3_723_000), "1:02:03");
        assert_eq!(clock(245_999), "4:05");
        assert_eq!(date(UnixMillis(0)), "1970-01-01 00:00");
        assert_eq!(date(UnixMillis(1_709_208_000_000)), "2024-02-29 12:00");
        assert_eq!(date(UnixMillis(1_795_317_599_999)), "2026-11-22 03:19");
    }
}
