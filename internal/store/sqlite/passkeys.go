package sqlite

import (
	"context"
	"database/sql"
	"time"

	"dialtone/internal/talk/people"
)

const passkeyColumns = `passkeys.id, passkeys.user, passkeys.name, passkeys.host, passkeys.credential, passkeys.public_key,
	passkeys.counter, passkeys.flags, passkeys.created, passkeys.used`

// passkeyRow is a passkey on its way from the database.
type passkeyRow struct {
	people.Passkey
	created, used int64
}

func (p *passkeyRow) fields() []any {
	return []any{&p.ID, &p.User, &p.Name, &p.Host, &p.Credential, &p.PublicKey, &p.Counter, &p.Flags, &p.created, &p.used}
}

func (p *passkeyRow) passkey() people.Passkey {
	p.Created, p.Used = moment(p.created), moment(p.used)
	return p.Passkey
}

// AddPasskey implements people.Store.
func (s *Store) AddPasskey(ctx context.Context, k people.Passkey) error {
	_, err := s.exec(ctx, "passkey", `
		INSERT INTO passkeys (id, user, name, host, credential, public_key, counter, flags, created, used)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		k.ID, k.User, k.Name, k.Host, k.Credential, k.PublicKey, k.Counter, k.Flags, micros(k.Created), micros(k.Used))
	return err
}

// Passkeys implements people.Store.
func (s *Store) Passkeys(ctx context.Context, user string) ([]people.Passkey, error) {
	all := []people.Passkey{}
	err := s.query(ctx, "passkey", func(r *sql.Rows) error {
		var row passkeyRow
		err := r.Scan(row.fields()...)
		all = append(all, row.passkey())
		return err
	}, `SELECT `+passkeyColumns+` FROM passkeys WHERE user = ? ORDER BY seq`, user)
	return all, err
}

// PasskeyByCredential implements people.Store.
func (s *Store) PasskeyByCredential(ctx context.Context, credential []byte) (people.Passkey, people.User, error) {
	var row passkeyRow
	u, err := scanUser(s.read.QueryRowContext(ctx, `
		SELECT `+userColumns+`, `+passkeyColumns+` FROM passkeys JOIN users ON users.id = passkeys.user
		WHERE credential = ?`, credential).Scan, row.fields()...)
	if err != nil {
		return people.Passkey{}, people.User{}, failure("passkey", err)
	}
	return row.passkey(), u, nil
}

// UsePasskey implements people.Store.
func (s *Store) UsePasskey(ctx context.Context, id string, before, after uint32, flags byte, now time.Time) (bool, error) {
	n, err := s.exec(ctx, "passkey", `UPDATE passkeys SET counter = ?, flags = ?, used = ? WHERE id = ? AND counter = ?`,
		after, flags, micros(now), id, before)
	return n > 0, err
}

// DeletePasskey implements people.Store.
func (s *Store) DeletePasskey(ctx context.Context, user, id string) error {
	n, err := s.exec(ctx, "passkey", `DELETE FROM passkeys WHERE user = ? AND id = ?`, user, id)
	if err == nil && n == 0 {
		return failure("passkey", sql.ErrNoRows)
	}
	return err
}

// SubjectUser implements people.Store.
func (s *Store) SubjectUser(ctx context.Context, issuer, subject string) (people.User, error) {
	u, err := scanUser(s.read.QueryRowContext(ctx, `
		SELECT `+userColumns+` FROM subjects JOIN users ON users.id = subjects.user
		WHERE issuer = ? AND subject = ?`, issuer, subject).Scan)
	return u, failure("sign-in by a company", err)
}

// AddSubject implements people.Store.
func (s *Store) AddSubject(ctx context.Context, n people.Subject) error {
	_, err := s.exec(ctx, "sign-in by a company", `INSERT INTO subjects (issuer, subject, user, created) VALUES (?, ?, ?, ?)`,
		n.Issuer, n.Subject, n.User, micros(n.Created))
	return err
}
