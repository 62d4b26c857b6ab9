-- What devices and programs are let in by. Secrets are sealed; public keys are not.
-- +goose Up
ALTER TABLE api_keys ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'HS256';
ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN public_key BLOB;
ALTER TABLE api_keys ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN retires INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN successor TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN last_used INTEGER NOT NULL DEFAULT 0;
-- Until now every key that was handed out could do everything in the API.
UPDATE api_keys SET role = 'admin' WHERE name <> 'console';

CREATE TABLE auth_tokens (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    secret  BLOB NOT NULL, -- sealed; those taken over from accounts under that table's name
    created INTEGER NOT NULL,
    retires INTEGER NOT NULL,
    revoked INTEGER NOT NULL
);
INSERT INTO auth_tokens (id, account, secret, created, retires, revoked)
    SELECT 'AT' || lower(hex(randomblob(16))), id, auth_token, created, 0, 0 FROM accounts WHERE auth_token IS NOT NULL ORDER BY seq;
ALTER TABLE accounts DROP COLUMN auth_token;

CREATE TABLE ways (
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL,
    open    INTEGER NOT NULL,
    closes  INTEGER NOT NULL,
    PRIMARY KEY (account, kind)
) WITHOUT ROWID;

CREATE TABLE issuers (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    account  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name     TEXT NOT NULL,
    url      TEXT NOT NULL UNIQUE, -- a token names its issuer and not the account, until it is verified
    jwks     TEXT NOT NULL,
    audience TEXT NOT NULL,
    created  INTEGER NOT NULL,
    key_set  BLOB, -- as it was last read; it is public
    fetched  INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE revocations (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    of      TEXT NOT NULL,
    value   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    forever INTEGER NOT NULL,
    by      TEXT NOT NULL,
    reason  TEXT NOT NULL
);

CREATE TABLE tickets (
    hash         TEXT PRIMARY KEY, -- of the ticket, which is kept nowhere
    id           TEXT NOT NULL UNIQUE,
    account      TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    identity     TEXT NOT NULL,
    incoming     INTEGER NOT NULL,
    outgoing_app TEXT NOT NULL,
    key_id       TEXT NOT NULL, -- of who asked for it
    issued       INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    session      INTEGER NOT NULL,
    redeemed     INTEGER NOT NULL,
    ends         INTEGER NOT NULL -- when it can let nobody in any more
);
CREATE INDEX tickets_by_end ON tickets (ends);

CREATE TABLE uses (
    account  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL,
    identity TEXT NOT NULL,
    app      TEXT NOT NULL,
    origin   TEXT NOT NULL,
    sdk      TEXT NOT NULL,
    key_id   TEXT NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (account, kind, identity, app, origin)
) WITHOUT ROWID;
CREATE INDEX uses_by_time ON uses (account, kind, last DESC);

-- What changes as a whole, and how often it has changed: whoever holds a copy in
-- memory looks here.
CREATE TABLE revisions (
    name TEXT PRIMARY KEY,
    n    INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO revisions (name, n) VALUES ('keyring', 1);
-- +goose Down
ALTER TABLE accounts ADD COLUMN auth_token BLOB;
UPDATE accounts SET auth_token = (SELECT secret FROM auth_tokens WHERE auth_tokens.account = accounts.id ORDER BY auth_tokens.seq LIMIT 1);
DROP TABLE revisions;
DROP TABLE uses;
DROP TABLE tickets;
DROP TABLE revocations;
DROP TABLE issuers;
DROP TABLE ways;
DROP TABLE auth_tokens;
ALTER TABLE api_keys DROP COLUMN last_used;
ALTER TABLE api_keys DROP COLUMN successor;
ALTER TABLE api_keys DROP COLUMN retires;
ALTER TABLE api_keys DROP COLUMN disabled;
ALTER TABLE api_keys DROP COLUMN public_key;
ALTER TABLE api_keys DROP COLUMN role;
ALTER TABLE api_keys DROP COLUMN algorithm;
