package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
)

const userColumns = `users.id, users.account, users.name, users.email, users.role, coalesce(users.identity, ''),
	users.password, users.disabled, users.created`

func scanUser(scan func(...any) error, more ...any) (people.User, error) {
	var u people.User
	var created int64
	err := scan(append([]any{&u.ID, &u.Account, &u.Name, &u.Email, &u.Role, &u.Identity, &u.Password, &u.Disabled, &created}, more...)...)
	u.Created = moment(created)
	return u, err
}

func (s *Store) users(ctx context.Context, query string, args ...any) ([]people.User, error) {
	var all []people.User
	err := s.query(ctx, "user", func(r *sql.Rows) error {
		u, err := scanUser(r.Scan)
		all = append(all, u)
		return err
	}, query, args...)
	return all, err
}

// fold is how names and addresses are compared.
func fold(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// Users implements people.Store.
func (s *Store) Users(ctx context.Context) ([]people.User, error) {
	return s.users(ctx, `SELECT `+userColumns+` FROM users ORDER BY seq`)
}

// User implements people.Store.
func (s *Store) User(ctx context.Context, id string) (people.User, error) {
	u, err := scanUser(s.read.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id).Scan)
	return u, failure("user", err)
}

// UsersByLogin implements people.Store.
func (s *Store) UsersByLogin(ctx context.Context, login string) ([]people.User, error) {
	key := fold(login)
	if key == "" {
		return nil, nil
	}
	return s.users(ctx, `SELECT `+userColumns+` FROM users WHERE name_key = ? OR email_key = ? ORDER BY seq LIMIT 10`, key, key)
}

// PutUser implements people.Store.
func (s *Store) PutUser(ctx context.Context, u people.User) error {
	if !u.Role.Valid() || fold(u.Name) == "" {
		return fault.New(fault.Invalid, "A user has a name and one of the roles admin, team_lead and agent.")
	}
	_, err := s.exec(ctx, "user", `
		INSERT INTO users (id, account, name, name_key, email, email_key, role, identity, password, disabled, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key, email = excluded.email,
			email_key = excluded.email_key, role = excluded.role, identity = excluded.identity,
			password = excluded.password, disabled = excluded.disabled
		WHERE account = excluded.account`,
		u.ID, u.Account, u.Name, fold(u.Name), u.Email, orNull(fold(u.Email)), u.Role, orNull(u.Identity),
		u.Password, u.Disabled, micros(u.Created))
	return err
}

// PutSession implements people.Store.
func (s *Store) PutSession(ctx context.Context, n people.Session) error {
	_, err := s.exec(ctx, "session", `
		INSERT INTO sessions (hash, user, created, seen, expires, remote, browser) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		n.Hash, n.User, micros(n.Created), micros(n.Seen), micros(n.Expires), n.Remote, n.Browser)
	return err
}

// SessionByHash implements people.Store.
func (s *Store) SessionByHash(ctx context.Context, hash string, now time.Time) (people.Session, people.User, error) {
	n := people.Session{Hash: hash}
	var created, seen, expires int64
	u, err := scanUser(s.read.QueryRowContext(ctx, `
		SELECT `+userColumns+`, sessions.created, sessions.seen, sessions.expires, sessions.remote, sessions.browser
		FROM sessions JOIN users ON users.id = sessions.user
		WHERE hash = ? AND expires > ? AND disabled = 0`, hash, micros(now)).Scan,
		&created, &seen, &expires, &n.Remote, &n.Browser)
	if err != nil {
		return people.Session{}, people.User{}, failure("session", err)
	}
	n.User, n.Created, n.Seen, n.Expires = u.ID, moment(created), moment(seen), moment(expires)
	return n, u, nil
}

// TouchSession implements people.Store.
func (s *Store) TouchSession(ctx context.Context, hash string, seen, expires time.Time) error {
	_, err := s.exec(ctx, "session", `UPDATE sessions SET seen = ?, expires = ? WHERE hash = ?`, micros(seen), micros(expires), hash)
	return err
}

// DeleteSession implements people.Store.
func (s *Store) DeleteSession(ctx context.Context, hash string) error {
	_, err := s.exec(ctx, "session", `DELETE FROM sessions WHERE hash = ?`, hash)
	return err
}

// DeleteSessionsOf implements people.Store.
func (s *Store) DeleteSessionsOf(ctx context.Context, user string) error {
	_, err := s.exec(ctx, "session", `DELETE FROM sessions WHERE user = ?`, user)
	return err
}

// SweepSessions implements people.Store.
func (s *Store) SweepSessions(ctx context.Context, now time.Time) (int, error) {
	n, err := s.exec(ctx, "session", `DELETE FROM sessions WHERE expires <= ?`, micros(now))
	return int(n), err
}

// APIKeys implements people.Store.
func (s *Store) APIKeys(ctx context.Context) ([]people.APIKey, error) {
	var all []people.APIKey
	err := s.query(ctx, "API key", func(r *sql.Rows) error {
		var k people.APIKey
		var sealed []byte
		var created, revoked int64
		err := r.Scan(&k.ID, &k.Account, &k.Name, &sealed, &created, &revoked)
		if err != nil {
			return err
		}
		k.Created, k.Revoked = moment(created), moment(revoked)
		if k.Secret, err = s.box.Open(sealed, "api_keys "+k.ID); err != nil {
			return err
		}
		all = append(all, k)
		return nil
	}, `SELECT id, account, name, secret, created, revoked FROM api_keys ORDER BY seq`)
	return all, err
}

// PutAPIKey implements people.Store.
func (s *Store) PutAPIKey(ctx context.Context, k people.APIKey) error {
	_, err := s.exec(ctx, "API key", `
		INSERT INTO api_keys (id, account, name, secret, created, revoked) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, secret = excluded.secret, revoked = excluded.revoked
		WHERE account = excluded.account`,
		k.ID, k.Account, k.Name, s.box.Seal(k.Secret, "api_keys "+k.ID), micros(k.Created), micros(k.Revoked))
	return err
}

// AuthTokens implements people.Store.
func (s *Store) AuthTokens(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	err := s.query(ctx, "auth token", func(r *sql.Rows) error {
		var account string
		var sealed []byte
		err := r.Scan(&account, &sealed)
		if err == nil {
			all[account], err = s.box.Open(sealed, "accounts "+account)
		}
		return err
	}, `SELECT id, auth_token FROM accounts WHERE auth_token IS NOT NULL`)
	return all, err
}

// PutAuthToken implements people.Store.
func (s *Store) PutAuthToken(ctx context.Context, account string, token []byte) error {
	n, err := s.exec(ctx, "account", `UPDATE accounts SET auth_token = ? WHERE id = ?`, s.box.Seal(token, "accounts "+account), account)
	if err == nil && n == 0 {
		return failure("account", sql.ErrNoRows)
	}
	return err
}
