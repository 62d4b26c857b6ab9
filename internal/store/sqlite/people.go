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
	return putUser(ctx, s.write, u)
}

func putUser(ctx context.Context, to interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, u people.User,
) error {
	if !u.Role.Valid() || fold(u.Name) == "" {
		return fault.New(fault.Invalid, "A user has a name and one of the roles admin, team_lead and agent.")
	}
	_, err := to.ExecContext(ctx, `
		INSERT INTO users (id, account, name, name_key, email, email_key, role, identity, password, disabled, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key, email = excluded.email,
			email_key = excluded.email_key, role = excluded.role, identity = excluded.identity,
			password = excluded.password, disabled = excluded.disabled
		WHERE account = excluded.account`,
		u.ID, u.Account, u.Name, fold(u.Name), u.Email, orNull(fold(u.Email)), u.Role, orNull(u.Identity),
		u.Password, u.Disabled, micros(u.Created))
	return userFailure(err)
}

// userFailure says which of the things that are had once somebody has already.
func userFailure(err error) error {
	err = failure("user", err)
	if err == nil || fault.KindOf(err) != fault.Conflict {
		return err
	}
	for column, message := range map[string]string{
		"users.name_key":  "Somebody has this name already. Names are had once, whatever the case.",
		"users.email_key": "Somebody has this e-mail address already.",
		"users.identity":  "Somebody has this identity already.",
	} {
		if strings.Contains(err.Error(), column) {
			return fault.Wrap(fault.Conflict, err, message)
		}
	}
	return err
}

// ListUsers implements people.Store.
func (s *Store) ListUsers(ctx context.Context, account string) ([]people.Listing, error) {
	all := []people.Listing{}
	err := s.query(ctx, "user", func(r *sql.Rows) error {
		var l people.Listing
		var seen int64
		u, err := scanUser(r.Scan, &l.Passkeys, &l.SSO, &seen)
		l.User, l.Seen = u, moment(seen)
		all = append(all, l)
		return err
	}, `SELECT `+userColumns+`, (SELECT count(*) FROM passkeys WHERE passkeys.user = users.id),
			EXISTS (SELECT 1 FROM subjects WHERE subjects.user = users.id), users.seen
		FROM users WHERE account = ? ORDER BY seq`, account)
	return all, err
}

// ChangeUser implements people.Store.
func (s *Store) ChangeUser(ctx context.Context, id string, change func(*people.User, int) error) (before, after people.User, err error) {
	err = s.inTx(ctx, "user", func(tx *sql.Tx) error {
		if before, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id).Scan); err != nil {
			return err
		}
		var otherAdmins int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM users WHERE account = ? AND role = ? AND disabled = 0 AND id <> ?`,
			before.Account, people.Admin, id).Scan(&otherAdmins); err != nil {
			return err
		}
		after = before
		if err := change(&after, otherAdmins); err != nil {
			return err
		}
		after.ID, after.Account = before.ID, before.Account
		return putUser(ctx, tx, after)
	})
	if err != nil {
		return people.User{}, people.User{}, err
	}
	return before, after, nil
}

// PutSession implements people.Store.
func (s *Store) PutSession(ctx context.Context, n people.Session) error {
	return s.inTx(ctx, "session", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO sessions (hash, user, created, seen, expires, remote, browser) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			n.Hash, n.User, micros(n.Created), micros(n.Seen), micros(n.Expires), n.Remote, n.Browser); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE users SET seen = ? WHERE id = ? AND seen < ?`, micros(n.Seen), n.User, micros(n.Seen))
		return err
	})
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
	return s.inTx(ctx, "session", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE sessions SET seen = ?, expires = ? WHERE hash = ?`, micros(seen), micros(expires), hash); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE users SET seen = ? WHERE seen < ? AND id = (SELECT user FROM sessions WHERE hash = ?)`,
			micros(seen), micros(seen), hash)
		return err
	})
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

// DeleteSessionsBut implements people.Store.
func (s *Store) DeleteSessionsBut(ctx context.Context, user, hash string) error {
	_, err := s.exec(ctx, "session", `DELETE FROM sessions WHERE user = ? AND hash <> ?`, user, hash)
	return err
}

// SessionsOf implements people.Store.
func (s *Store) SessionsOf(ctx context.Context, user string, now time.Time) ([]people.Session, error) {
	all := []people.Session{}
	err := s.query(ctx, "session", func(r *sql.Rows) error {
		n := people.Session{User: user}
		var created, seen, expires int64
		err := r.Scan(&n.Hash, &created, &seen, &expires, &n.Remote, &n.Browser)
		n.Created, n.Seen, n.Expires = moment(created), moment(seen), moment(expires)
		all = append(all, n)
		return err
	}, `SELECT hash, created, seen, expires, remote, browser FROM sessions
		WHERE user = ? AND expires > ? ORDER BY seen DESC, hash`, user, micros(now))
	return all, err
}

// SweepSessions implements people.Store.
func (s *Store) SweepSessions(ctx context.Context, now time.Time) (int, error) {
	n, err := s.exec(ctx, "session", `DELETE FROM sessions WHERE expires <= ?`, micros(now))
	return int(n), err
}
