-- Times are microseconds since 1970 (0: none), durations microseconds.
-- +goose Up
CREATE TABLE accounts (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    time_zone  TEXT NOT NULL,
    country    TEXT NOT NULL,
    created    INTEGER NOT NULL,
    auth_token BLOB -- sealed
);

CREATE TABLE users (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL UNIQUE,
    account   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name      TEXT NOT NULL,
    name_key  TEXT NOT NULL, -- folded, for looking up
    email     TEXT NOT NULL,
    email_key TEXT, -- NULL without an address
    role      TEXT NOT NULL,
    identity  TEXT, -- NULL without devices
    password  TEXT NOT NULL,
    disabled  INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    UNIQUE (account, name_key),
    UNIQUE (account, identity),
    UNIQUE (email_key)
);
CREATE INDEX users_by_name ON users (name_key);

CREATE TABLE sessions (
    hash    TEXT PRIMARY KEY,
    user    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    seen    INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    remote  TEXT NOT NULL,
    browser TEXT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user);
CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE TABLE api_keys (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    secret  BLOB NOT NULL, -- sealed
    created INTEGER NOT NULL,
    revoked INTEGER NOT NULL
);

CREATE TABLE lines (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL UNIQUE,
    account   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    number    TEXT NOT NULL,
    name      TEXT NOT NULL,
    greeting  TEXT NOT NULL,
    available TEXT NOT NULL,
    voicemail INTEGER NOT NULL,
    ring      INTEGER NOT NULL,
    max_wait  INTEGER NOT NULL,
    wrap_up   INTEGER NOT NULL,
    message   INTEGER NOT NULL,
    countries TEXT NOT NULL, -- separated by spaces
    created   INTEGER NOT NULL,
    UNIQUE (account, number)
);

CREATE TABLE line_agents (
    line TEXT NOT NULL REFERENCES lines (id) ON DELETE CASCADE,
    n    INTEGER NOT NULL,
    user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (line, user)
);

-- Records outlive the lines and users they name.
CREATE TABLE calls (
    id            TEXT PRIMARY KEY,
    account       TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    direction     TEXT NOT NULL,
    from_number   TEXT NOT NULL,
    from_name     TEXT NOT NULL,
    from_identity TEXT NOT NULL,
    from_country  TEXT NOT NULL,
    to_number     TEXT NOT NULL,
    to_name       TEXT NOT NULL,
    to_identity   TEXT NOT NULL,
    to_country    TEXT NOT NULL,
    line          TEXT NOT NULL,
    agent         TEXT NOT NULL,
    status        TEXT NOT NULL,
    cause         TEXT NOT NULL,
    trunk         TEXT NOT NULL,
    offered       INTEGER NOT NULL,
    answered      INTEGER NOT NULL,
    ended         INTEGER NOT NULL,
    waited        INTEGER NOT NULL,
    talked        INTEGER NOT NULL,
    held          INTEGER NOT NULL,
    voicemail     TEXT NOT NULL
);
CREATE INDEX calls_by_time ON calls (account, offered DESC, id DESC);
CREATE INDEX calls_by_voicemail ON calls (voicemail) WHERE voicemail <> '';

CREATE TABLE legs (
    call        TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    n           INTEGER NOT NULL,
    leg         TEXT NOT NULL,
    number      TEXT NOT NULL,
    name        TEXT NOT NULL,
    identity    TEXT NOT NULL,
    country     TEXT NOT NULL,
    agent       TEXT NOT NULL,
    dialled     INTEGER NOT NULL,
    trunk       TEXT NOT NULL,
    started     INTEGER NOT NULL,
    ringing     INTEGER NOT NULL,
    answered    INTEGER NOT NULL,
    ended       INTEGER NOT NULL,
    status      TEXT NOT NULL,
    cause       TEXT NOT NULL,
    code        INTEGER NOT NULL,
    codec       TEXT NOT NULL,
    packets_in  INTEGER NOT NULL,
    packets_out INTEGER NOT NULL,
    lost        INTEGER NOT NULL,
    longest_gap INTEGER NOT NULL,
    speech      INTEGER NOT NULL,
    PRIMARY KEY (call, n)
) WITHOUT ROWID;

CREATE TABLE missed (
    id            TEXT PRIMARY KEY,
    account       TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    agent         TEXT NOT NULL,
    call          TEXT NOT NULL,
    line          TEXT NOT NULL,
    from_number   TEXT NOT NULL,
    from_name     TEXT NOT NULL,
    from_identity TEXT NOT NULL,
    from_country  TEXT NOT NULL,
    at            INTEGER NOT NULL,
    why           TEXT NOT NULL,
    seen          INTEGER NOT NULL
);
CREATE INDEX missed_unseen ON missed (account, agent, at DESC, id DESC) WHERE seen = 0;

-- The audio lies elsewhere, under the same id.
CREATE TABLE voicemails (
    id            TEXT PRIMARY KEY,
    account       TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    call          TEXT NOT NULL,
    line          TEXT NOT NULL,
    from_number   TEXT NOT NULL,
    from_name     TEXT NOT NULL,
    from_identity TEXT NOT NULL,
    from_country  TEXT NOT NULL,
    at            INTEGER NOT NULL,
    duration      INTEGER NOT NULL,
    heard         INTEGER NOT NULL,
    heard_by      TEXT NOT NULL
);
CREATE INDEX voicemails_by_time ON voicemails (account, at DESC, id DESC);
CREATE INDEX voicemails_unheard ON voicemails (account, line) WHERE heard = 0;
-- +goose Down
DROP TABLE voicemails;
DROP TABLE missed;
DROP TABLE legs;
DROP TABLE calls;
DROP TABLE line_agents;
DROP TABLE lines;
DROP TABLE api_keys;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE accounts;
