-- Who else may watch. Ids are minted by the clients, at random: a link names its share by it, so it is the only one.
-- `request` is the SHA-256 of what it was made from, so that the same request again finds the same share.
CREATE TABLE shares (
    number     INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    account    BLOB NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL CHECK (kind IN ('given', 'lent', 'link', 'audience', 'open')),
    recipient  BLOB REFERENCES accounts (id),
    token_hash BLOB CHECK (length(token_hash) = 32),
    sealed     BLOB NOT NULL,
    policy     TEXT NOT NULL,
    request    BLOB NOT NULL CHECK (length(request) = 32),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    viewers    INTEGER NOT NULL DEFAULT 0,
    plays      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX shares_by_account ON shares (account, number);
CREATE INDEX shares_by_recipient ON shares (recipient, number) WHERE recipient IS NOT NULL;

-- By which public keys an account is known to others, as its own devices say.
CREATE TABLE identities (
    account BLOB PRIMARY KEY NOT NULL REFERENCES accounts (id),
    x_wing  BLOB NOT NULL CHECK (length(x_wing) = 1216),
    ed25519 BLOB NOT NULL CHECK (length(ed25519) = 32)
) STRICT;

-- The videos of a share, in order. The halves of their keys are sealed under the master key `key_id`; they are gone
-- once the share is revoked or the video deleted. Of a gift there are none: whom it is for has them.
CREATE TABLE share_videos (
    share       INTEGER NOT NULL REFERENCES shares (number),
    position    INTEGER NOT NULL,
    video       BLOB NOT NULL CHECK (length(video) = 16),
    key_id      TEXT,
    grant_share BLOB,
    view_share  BLOB,
    PRIMARY KEY (share, position),
    CHECK ((key_id IS NULL) = (grant_share IS NULL)),
    CHECK (view_share IS NULL OR key_id IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX share_videos_by_video ON share_videos (video, share);
CREATE INDEX share_videos_by_key ON share_videos (key_id) WHERE key_id IS NOT NULL;

-- Master keys that nothing may be sealed under any more.
CREATE TABLE retired_keys (
    id         TEXT PRIMARY KEY NOT NULL,
    retired_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE shared_tracks (
    number     INTEGER PRIMARY KEY,
    share      INTEGER NOT NULL REFERENCES shares (number),
    video      BLOB NOT NULL,
    track      BLOB NOT NULL CHECK (length(track) = 16),
    charged    INTEGER NOT NULL,
    segments   INTEGER NOT NULL,
    nominal_ms INTEGER NOT NULL,
    UNIQUE (share, video, track)
) STRICT;

-- Different browsers (or the account of a loan) of a share, as SHA-256.
CREATE TABLE viewers (
    share    INTEGER NOT NULL REFERENCES shares (number),
    viewer   BLOB NOT NULL CHECK (length(viewer) = 32),
    since    INTEGER NOT NULL,
    PRIMARY KEY (share, viewer)
) STRICT, WITHOUT ROWID;

-- Whence grants were asked for: written once, and named by number.
CREATE TABLE places (
    number  INTEGER PRIMARY KEY,
    network TEXT NOT NULL,
    agent   TEXT NOT NULL,
    UNIQUE (network, agent)
) STRICT;

-- The log of a video's grants: how many there were, and the head of the chain after them; how many of the first were
-- cleared away, and the head then. `oldest_at` is the time of the first that is left.
CREATE TABLE logs (
    number       INTEGER PRIMARY KEY,
    account      BLOB NOT NULL REFERENCES accounts (id),
    video        BLOB NOT NULL CHECK (length(video) = 16),
    count        INTEGER NOT NULL DEFAULT 0,
    head         BLOB NOT NULL CHECK (length(head) = 32),
    cleared      INTEGER NOT NULL DEFAULT 0,
    cleared_head BLOB NOT NULL CHECK (length(cleared_head) = 32),
    oldest_at    INTEGER,
    UNIQUE (account, video),
    CHECK (cleared <= count)
) STRICT;
CREATE INDEX logs_by_oldest ON logs (oldest_at) WHERE oldest_at IS NOT NULL;

-- One playback: one browser's, of one video, under one share, with no long pause. `last_number` is its last grant's: the
-- row goes no sooner than that one's.
CREATE TABLE plays (
    number      INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    share       INTEGER NOT NULL REFERENCES shares (number),
    log         INTEGER NOT NULL REFERENCES logs (number),
    browser     BLOB NOT NULL CHECK (length(browser) = 32),
    place       INTEGER NOT NULL REFERENCES places (number),
    started_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    granted_at  INTEGER,
    grants      INTEGER NOT NULL DEFAULT 0,
    last_number INTEGER NOT NULL DEFAULT 0,
    furthest_ms INTEGER NOT NULL DEFAULT 0,
    startup_ms  INTEGER,
    stalls      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX plays_by_browser ON plays (share, browser, number);
CREATE INDEX plays_by_log ON plays (log, number);

-- Every grant, in order for each video: appending costs the same however many there are, because it touches the end of
-- one video's stretch only, and no other index.
CREATE TABLE grants (
    log     INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    play    INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    track   INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    PRIMARY KEY (log, number)
) STRICT, WITHOUT ROWID;
