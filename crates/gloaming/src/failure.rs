use std::{fmt, io, path::Path, process::ExitCode};

use gloaming_media::MediaError;
use gloaming_package::SealError;

/// Shown below `gloaming --help`. Numbers keep their meaning for ever; all are below 100.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  something unforeseen: please report it
   2  the command line does not make sense
  10  not a video, or one that cannot be read
  11  the file is cut short
  12  the file changed while it was read
  20  refused: tampered with, damaged, or the wrong key
  21  doctor found something to look at
  30  the disk is full
  31  a file cannot be read or written
  32  the output exists already
  40  not signed in, or signed in as somebody else
  41  locked, or the wrong password
  42  not allowed
  43  no such thing
  44  somebody else changed it first
  45  the quota is reached
  50  the server cannot be reached
  51  the server failed or made no sense
  60  interrupted (Ctrl-C, SIGTERM): the same command goes on";

/// How a process ends. See [`EXIT_CODES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Bug = 1,
    Usage = 2,
    NotAVideo = 10,
    Truncated = 11,
    Changed = 12,
    Refused = 20,
    Unwell = 21,
    DiskFull = 30,
    Files = 31,
    Exists = 32,
    SignedOut = 40,
    Locked = 41,
    NotAllowed = 42,
    NotFound = 43,
    Conflict = 44,
    Quota = 45,
    Offline = 50,
    Server = 51,
    Interrupted = 60,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a verb could not do its work: for the shell an exit code, for a program a code, for a person a sentence that
/// says what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: &'static str,
    message: String,
}

impl Failure {
    /// `code` is stable and lower-case; `message` is a sentence without a full stop.
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Failure {
        Failure { exit, code, message: message.into() }
    }

    /// Reading or writing `path` went wrong.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Failure {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::new(
                Exit::DiskFull,
                "disk_full",
                format!("there is no room left to write {path}; free some space and try again"),
            ),
            io::ErrorKind::NotFound => Failure::new(
                Exit::Files,
                "file_not_found",
                format!("{path} does not exist; check the spelling"),
            ),
            io::ErrorKind::PermissionDenied => Failure::new(
                Exit::Files,
                "file_denied",
                format!("{path} may not be used; check its permissions and its folder's"),
            ),
            io::ErrorKind::AlreadyExists => Failure::new(
                Exit::Exists,
                "output_exists",
                format!("{path} exists already; remove it or choose another name"),
            ),
            io::ErrorKind::IsADirectory => Failure::new(
                Exit::Files,
                "file_is_directory",
                format!("{path} is a directory; name a file in it"),
            ),
            _ => Failure::new(Exit::Files, "file_failed", format!("{path}: {error}")),
        }
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// For programs.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Failure {
        let exit = match error {
            MediaError::Truncated { .. } | MediaError::NoIndex => Exit::Truncated,
            MediaError::WrongRange => Exit::Changed,
            _ => Exit::NotAVideo,
        };
        Failure::new(exit, error.code(), error.to_string())
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Failure {
        match error {
            SealError::Media(error) => error.into(),
            SealError::OtherSource => Failure::new(Exit::Changed, error.code(), error.to_string()),
            SealError::Unfinished => Failure::new(Exit::Bug, error.code(), error.to_string()),
        }
    }
}
