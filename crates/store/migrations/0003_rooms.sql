-- Where people meet. `link`, `door` and `sealed` are of the link as it is now: how many removals came before it, what tells
-- those who have it from strangers, and the room's name under it. `head` is what has to outlive a restart of the server so
-- that those who are in a room go on in the same group: seats, leaves, epoch and offset, as JSON. It names no account and
-- opens nothing.
CREATE TABLE rooms (
    number     INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    account    BLOB NOT NULL REFERENCES accounts (id),
    link       INTEGER NOT NULL,
    door       BLOB NOT NULL CHECK (length(door) = 32),
    sealed     BLOB NOT NULL,
    policy     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    head       BLOB
) STRICT;
CREATE INDEX rooms_by_account ON rooms (account, number);
CREATE INDEX rooms_by_end ON rooms (expires_at) WHERE expires_at IS NOT NULL;
