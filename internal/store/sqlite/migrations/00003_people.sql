-- +goose Up
ALTER TABLE users ADD COLUMN seen INTEGER NOT NULL DEFAULT 0; -- last use of a session

CREATE TABLE passkeys (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    user       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    host       TEXT NOT NULL, -- it works for this name alone
    credential BLOB NOT NULL UNIQUE,
    public_key BLOB NOT NULL, -- COSE
    counter    INTEGER NOT NULL,
    flags      INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    used       INTEGER NOT NULL
);
CREATE INDEX passkeys_by_user ON passkeys (user);

-- Who somebody is at a company's identity provider.
CREATE TABLE subjects (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    user    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject),
    UNIQUE (user, issuer)
);

-- Lines outlive what they are about, the account included.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    account    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    actor_key  TEXT NOT NULL, -- folded, for looking up
    actor_id   TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    act        TEXT NOT NULL,
    target     TEXT NOT NULL,
    detail     TEXT NOT NULL, -- JSON object of texts
    remote     TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (account, at DESC, id DESC);
CREATE INDEX audit_by_actor ON audit (account, actor_key, at DESC, id DESC);
CREATE INDEX audit_by_actor_id ON audit (account, actor_id, at DESC, id DESC);
-- +goose StatementBegin
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_stays_whole BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
-- +goose StatementEnd
-- +goose Down
DROP TABLE audit;
DROP TABLE subjects;
DROP TABLE passkeys;
ALTER TABLE users DROP COLUMN seen;
