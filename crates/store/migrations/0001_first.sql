CREATE TABLE accounts (
    id            BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name          TEXT NOT NULL,
    name_key      TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL CHECK (role IN ('owner', 'member')),
    disabled      INTEGER NOT NULL DEFAULT 0,
    quota_bytes   INTEGER,
    used_bytes    INTEGER NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),
    library_bytes INTEGER NOT NULL DEFAULT 0 CHECK (library_bytes >= 0),
    created_at    INTEGER NOT NULL,
    opaque_record BLOB NOT NULL,
    memory_kib    INTEGER NOT NULL,
    passes        INTEGER NOT NULL,
    lanes         INTEGER NOT NULL,
    recovery_key  BLOB NOT NULL CHECK (length(recovery_key) = 32),
    feed_last     INTEGER NOT NULL DEFAULT 0,
    feed_head     BLOB NOT NULL CHECK (length(feed_head) = 32)
) STRICT;

-- There is one owner at most.
CREATE UNIQUE INDEX one_owner ON accounts (role) WHERE role = 'owner';

CREATE TABLE keyrings (
    account BLOB PRIMARY KEY NOT NULL REFERENCES accounts (id),
    version INTEGER NOT NULL,
    sealed  BLOB NOT NULL
) STRICT;

CREATE TABLE wraps (
    account BLOB NOT NULL REFERENCES accounts (id),
    method  TEXT NOT NULL CHECK (method IN ('password', 'recovery')),
    sealed  BLOB NOT NULL,
    PRIMARY KEY (account, method)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    account    BLOB NOT NULL REFERENCES accounts (id),
    device     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_account ON sessions (account);

-- An invite without an inviter is the set-up link: it makes the owner, and does not expire.
CREATE TABLE invites (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    token_hash  BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    account     BLOB NOT NULL,
    role        TEXT NOT NULL CHECK (role IN ('owner', 'member')),
    label       TEXT NOT NULL,
    quota_bytes INTEGER,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER
) STRICT;

CREATE TABLE records (
    account BLOB NOT NULL REFERENCES accounts (id),
    record  BLOB NOT NULL CHECK (length(record) = 16),
    version INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    sealed  BLOB,
    PRIMARY KEY (account, record)
) STRICT, WITHOUT ROWID;

-- Every change there ever was. Sealed bytes rest with the record, so that only the newest version keeps them.
CREATE TABLE feed (
    account BLOB NOT NULL REFERENCES accounts (id),
    seq     INTEGER NOT NULL,
    record  BLOB NOT NULL,
    version INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    digest  BLOB NOT NULL CHECK (length(digest) = 32),
    head    BLOB NOT NULL CHECK (length(head) = 32),
    PRIMARY KEY (account, seq)
) STRICT, WITHOUT ROWID;

-- Ids of videos are minted by clients, so they are unique within an account only: one account cannot find out, or
-- occupy, another's.
CREATE TABLE videos (
    account       BLOB NOT NULL REFERENCES accounts (id),
    id            BLOB NOT NULL CHECK (length(id) = 16),
    state         TEXT NOT NULL CHECK (state IN ('draft', 'kept', 'trashed')),
    created_at    INTEGER NOT NULL,
    touched_at    INTEGER NOT NULL,
    committed_at  INTEGER,
    trashed_at    INTEGER,
    sealed_secret BLOB NOT NULL,
    index_version INTEGER NOT NULL DEFAULT 0,
    index_object  BLOB,
    card_object   BLOB,
    poster_object BLOB,
    stored_bytes  INTEGER NOT NULL DEFAULT 0 CHECK (stored_bytes >= 0),
    object_count  INTEGER NOT NULL DEFAULT 0 CHECK (object_count >= 0),
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX drafts_by_touch ON videos (touched_at) WHERE state = 'draft';

-- Objects by number: the order of their making. `number` is the rowid.
CREATE TABLE objects (
    number     INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    account    BLOB NOT NULL,
    video      BLOB NOT NULL,
    length     INTEGER NOT NULL CHECK (length > 0),
    created_at INTEGER NOT NULL,
    stored     INTEGER NOT NULL DEFAULT 0,
    committed  INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (account, video) REFERENCES videos (account, id)
) STRICT;
CREATE INDEX objects_by_video ON objects (account, video, number);
CREATE INDEX objects_uncommitted ON objects (created_at) WHERE committed = 0;

-- Objects that nothing refers to any more. Their bytes are deleted at `due_at`, and once more at `final_at`, when no
-- signed upload can bring them back; then the row goes.
CREATE TABLE orphans (
    id       BLOB PRIMARY KEY NOT NULL,
    due_at   INTEGER NOT NULL,
    final_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX orphans_by_due ON orphans (due_at);

-- One row, rewritten to learn whether writing works.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
