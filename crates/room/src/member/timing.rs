//! How long things take. Times of one member's own clock; none of them has to agree with anybody else's.

use std::time::Duration;

/// How long a joining or leaving waits for others, to share one commit with them.
pub const COALESCE: Duration = Duration::from_millis(250);
/// How long the first of them waits at most.
pub const COALESCE_AT_MOST: Duration = Duration::from_millis(1000);
/// How much longer each further leaf waits for the lowest one to commit, before it does.
pub const TAKE_OVER: Duration = Duration::from_millis(500);
/// How long a commit waits to be seen in the log before it is sent again.
pub const COMMIT_AGAIN: Duration = Duration::from_millis(1000);
/// How long frames are still sealed with the old epoch's keys while somebody has not reached the new one.
pub const SWITCH: Duration = Duration::from_millis(1000);
/// How long frames of an old epoch still open.
pub const KEEP_OLD: Duration = Duration::from_secs(10);
/// The same after the host removed somebody.
pub const KEEP_OLD_AFTER_EXPEL: Duration = Duration::from_secs(2);
/// How often every leaf renews its keys.
pub const HEAL: Duration = Duration::from_secs(600);
/// How far apart leaves renew theirs.
pub const HEAL_APART: Duration = Duration::from_secs(2);
/// How often a knock, a greeting or an unconfirmed message is sent again.
pub const RETRY: Duration = Duration::from_secs(2);
/// How often a member shows that it is there, and asks whether it missed something.
pub const PING: Duration = Duration::from_secs(5);
/// How often it asks for what it knows to be missing.
pub const CATCH_UP: Duration = Duration::from_millis(200);
/// How long a member may know that it is behind before it comes in again.
pub const BEHIND: Duration = Duration::from_secs(5);
