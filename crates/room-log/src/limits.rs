use std::time::Duration;

/// The first byte of every frame of the room's socket. It stands for the whole protocol, the ciphersuite included: there
/// is nothing to negotiate, and another suite is another version.
pub const PROTOCOL_VERSION: u8 = 1;

/// The largest frame of the socket, either way, in bytes. A Welcome into a group of 50 takes about 101 kB, and travels
/// with a commit of about 47 kB.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// The most seats that a room can be given.
pub const MAX_SEATS: usize = 128;

/// The most people who may wait at the door of one room at a time.
pub const MAX_KNOCKS: usize = 32;

/// How many entries a log keeps for those who were away.
pub const MAX_LOG_ENTRIES: usize = 1024;

/// How many bytes of messages a log keeps for those who were away.
pub const MAX_LOG_BYTES: usize = 4 * 1024 * 1024;

/// How many bytes of it a seat may be sent again at once: a whole log, sixteen times.
pub const MAX_RESENT: u64 = 16 * MAX_LOG_BYTES as u64;

/// And how many more in each second after that: a whole log in ten.
pub const RESENT_EACH_SECOND: u64 = MAX_LOG_BYTES as u64 / 10;

/// How many epochs a message may lag behind and still be taken into the log: so many are the keys that members keep.
pub const PAST_EPOCHS: u64 = 3;

/// How long a seat may be without a socket before the log says that it is gone.
pub const GRACE: Duration = Duration::from_secs(10);

/// The same for one whose page was closed. Proxies close sockets in the same way when they start anew, and whoever is in the
/// room is back by then.
pub const GRACE_OF_A_CLOSED_PAGE: Duration = Duration::from_secs(2);

/// How long a seat that is gone may stay in the group before the log says so again.
pub const GONE_AGAIN: Duration = Duration::from_secs(10);

/// How long a repeated knock is not worth an entry of the log.
pub const KNOCK_AGAIN: Duration = Duration::from_secs(10);
