package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

var _ keyring.Store = (*Store)(nil)

// Ring implements keyring.Store.
func (s *Store) Ring(ctx context.Context) (keyring.Contents, error) {
	// One transaction sees one moment, and does not wait for the writer.
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return keyring.Contents{}, failure("key ring", err)
	}
	r := ringReader{ctx: ctx, tx: tx, store: s, c: keyring.Contents{Ways: map[string][]keyring.Way{}}}
	for _, read := range []func() error{r.revision, r.keys, r.authTokens, r.ways, r.issuers, r.revocations} {
		if err := read(); err != nil {
			return keyring.Contents{}, errors.Join(failure("key ring", err), rollback(tx))
		}
	}
	return r.c, failure("key ring", rollback(tx))
}

type ringReader struct {
	ctx   context.Context
	tx    *sql.Tx
	store *Store
	c     keyring.Contents
}

func (r *ringReader) each(query string, fn func(*sql.Rows) error) error {
	rows, err := r.tx.QueryContext(r.ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (r *ringReader) revision() error {
	return r.tx.QueryRowContext(r.ctx, `SELECT n FROM revisions WHERE name = 'keyring'`).Scan(&r.c.Revision)
}

func (r *ringReader) keys() error {
	return r.each(`SELECT id, account, name, algorithm, role, secret, public_key, created, disabled, retires, successor, revoked, last_used
		FROM api_keys ORDER BY seq`, func(rows *sql.Rows) error {
		var k keyring.Key
		var sealed []byte
		var created, retires, revoked, used int64
		err := rows.Scan(&k.ID, &k.Account, &k.Name, &k.Algorithm, &k.Role, &sealed, &k.PublicKey, &created, &k.Disabled,
			&retires, &k.Successor, &revoked, &used)
		if err != nil {
			return err
		}
		k.Created, k.Retires, k.Revoked, k.LastUsed = moment(created), moment(retires), moment(revoked), moment(used)
		if len(sealed) > 0 {
			if k.Secret, err = r.store.box.Open(sealed, keyPurpose(k.ID)); err != nil {
				return err
			}
		}
		r.c.Keys = append(r.c.Keys, k)
		return nil
	})
}

func (r *ringReader) authTokens() error {
	return r.each(`SELECT id, account, secret, created, retires, revoked FROM auth_tokens ORDER BY seq`, func(rows *sql.Rows) error {
		var a keyring.AuthToken
		var sealed []byte
		var created, retires, revoked int64
		err := rows.Scan(&a.ID, &a.Account, &sealed, &created, &retires, &revoked)
		if err != nil {
			return err
		}
		a.Created, a.Retires, a.Revoked = moment(created), moment(retires), moment(revoked)
		if a.Secret, err = r.store.box.Open(sealed, authTokenPurpose(a.ID)); err != nil {
			// Sealed when an account had one auth token, in its own row.
			var old error
			if a.Secret, old = r.store.box.Open(sealed, "accounts "+a.Account); old != nil {
				return err
			}
		}
		r.c.AuthTokens = append(r.c.AuthTokens, a)
		return nil
	})
}

func (r *ringReader) ways() error {
	return r.each(`SELECT account, kind, open, closes FROM ways ORDER BY account, kind`, func(rows *sql.Rows) error {
		var account string
		var w keyring.Way
		var closes int64
		err := rows.Scan(&account, &w.Kind, &w.Open, &closes)
		w.Closes = moment(closes)
		r.c.Ways[account] = append(r.c.Ways[account], w)
		return err
	})
}

func (r *ringReader) issuers() error {
	return r.each(`SELECT id, account, name, url, jwks, audience, created, key_set, fetched FROM issuers ORDER BY seq`, func(rows *sql.Rows) error {
		var i keyring.Issuer
		var created, fetched int64
		err := rows.Scan(&i.ID, &i.Account, &i.Name, &i.URL, &i.JWKS, &i.Audience, &created, &i.KeySet, &fetched)
		i.Created, i.Fetched = moment(created), moment(fetched)
		r.c.Issuers = append(r.c.Issuers, i)
		return err
	})
}

func (r *ringReader) revocations() error {
	return r.each(`SELECT id, account, of, value, at, forever, by, reason FROM revocations ORDER BY seq`, func(rows *sql.Rows) error {
		var v keyring.Revocation
		var at int64
		err := rows.Scan(&v.ID, &v.Account, &v.Of, &v.Value, &at, &v.Forever, &v.By, &v.Reason)
		v.At = moment(at)
		r.c.Revocations = append(r.c.Revocations, v)
		return err
	})
}

// Revision implements keyring.Store.
func (s *Store) Revision(ctx context.Context) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT n FROM revisions WHERE name = 'keyring'`).Scan(&n)
	return n, failure("key ring", err)
}

// changeRing makes a change of the key ring and its revision in one transaction.
func (s *Store) changeRing(ctx context.Context, what string, fn func(*sql.Tx) error) error {
	return s.inTx(ctx, what, func(tx *sql.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE revisions SET n = n + 1 WHERE name = 'keyring'`)
		return err
	})
}

// one fails when nothing was changed: what was to be replaced is another account's.
func one(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return sql.ErrNoRows
}

// What a secret is sealed as, so that rows cannot be exchanged.
func keyPurpose(id string) string       { return "api_keys " + id }
func authTokenPurpose(id string) string { return "auth_tokens " + id }

func (s *Store) putKey(ctx context.Context, tx *sql.Tx, k keyring.Key) error {
	sealed := []byte{}
	if len(k.Secret) > 0 {
		sealed = s.box.Seal(k.Secret, keyPurpose(k.ID))
	}
	return one(tx.ExecContext(ctx, `
		INSERT INTO api_keys (id, account, name, algorithm, role, secret, public_key, created, disabled, retires, successor, revoked, last_used)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, algorithm = excluded.algorithm, role = excluded.role, secret = excluded.secret,
			public_key = excluded.public_key, disabled = excluded.disabled, retires = excluded.retires, successor = excluded.successor,
			revoked = excluded.revoked, last_used = max(last_used, excluded.last_used)
		WHERE account = excluded.account`,
		k.ID, k.Account, k.Name, k.Algorithm, k.Role, sealed, k.PublicKey, micros(k.Created), k.Disabled, micros(k.Retires),
		k.Successor, micros(k.Revoked), micros(k.LastUsed)))
}

func (s *Store) putAuthToken(ctx context.Context, tx *sql.Tx, a keyring.AuthToken) error {
	return one(tx.ExecContext(ctx, `
		INSERT INTO auth_tokens (id, account, secret, created, retires, revoked) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET secret = excluded.secret, retires = excluded.retires, revoked = excluded.revoked
		WHERE account = excluded.account`,
		a.ID, a.Account, s.box.Seal(a.Secret, authTokenPurpose(a.ID)), micros(a.Created), micros(a.Retires), micros(a.Revoked)))
}

// PutKey implements keyring.Store.
func (s *Store) PutKey(ctx context.Context, k keyring.Key) error {
	return s.changeRing(ctx, "API key", func(tx *sql.Tx) error { return s.putKey(ctx, tx, k) })
}

// ChangeKey implements keyring.Store.
func (s *Store) ChangeKey(ctx context.Context, account, id string, c keyring.KeyChange) error {
	return s.changeRing(ctx, "API key", func(tx *sql.Tx) error {
		return one(tx.ExecContext(ctx, `
			UPDATE api_keys SET name = coalesce(?, name), role = coalesce(?, role), disabled = coalesce(?, disabled)
			WHERE account = ? AND id = ? AND revoked = 0`, c.Name, c.Role, c.Disabled, account, id))
	})
}

// PutAuthToken implements keyring.Store.
func (s *Store) PutAuthToken(ctx context.Context, a keyring.AuthToken) error {
	return s.changeRing(ctx, "auth token", func(tx *sql.Tx) error { return s.putAuthToken(ctx, tx, a) })
}

// ReplaceKey implements keyring.Store.
func (s *Store) ReplaceKey(ctx context.Context, old, replacement keyring.Key) error {
	return s.changeRing(ctx, "API key", func(tx *sql.Tx) error {
		// As it is now, not as the caller read it: two replacements must not both do.
		err := one(tx.ExecContext(ctx, `UPDATE api_keys SET retires = ?, successor = ? WHERE id = ? AND account = ? AND successor = '' AND revoked = 0`,
			micros(old.Retires), old.Successor, old.ID, old.Account))
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.Conflict, "This API key was replaced or revoked already.")
		}
		if err != nil {
			return err
		}
		return s.putKey(ctx, tx, replacement)
	})
}

// ReplaceAuthToken implements keyring.Store.
func (s *Store) ReplaceAuthToken(ctx context.Context, old, replacement keyring.AuthToken) error {
	return s.changeRing(ctx, "auth token", func(tx *sql.Tx) error {
		err := one(tx.ExecContext(ctx, `UPDATE auth_tokens SET retires = ? WHERE id = ? AND account = ? AND retires = 0 AND revoked = 0`,
			micros(old.Retires), old.ID, old.Account))
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.Conflict, "This auth token was replaced or revoked already.")
		}
		if err != nil {
			return err
		}
		return s.putAuthToken(ctx, tx, replacement)
	})
}

// PutWay implements keyring.Store.
func (s *Store) PutWay(ctx context.Context, account string, w keyring.Way) error {
	return s.changeRing(ctx, "way in", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO ways (account, kind, open, closes) VALUES (?, ?, ?, ?)
			ON CONFLICT (account, kind) DO UPDATE SET open = excluded.open, closes = excluded.closes`,
			account, w.Kind, w.Open, micros(w.Closes))
		return err
	})
}

// PutIssuer implements keyring.Store.
func (s *Store) PutIssuer(ctx context.Context, i keyring.Issuer) error {
	return s.changeRing(ctx, "issuer", func(tx *sql.Tx) error {
		return one(tx.ExecContext(ctx, `
			INSERT INTO issuers (id, account, name, url, jwks, audience, created) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, url = excluded.url, jwks = excluded.jwks, audience = excluded.audience
			WHERE account = excluded.account`,
			i.ID, i.Account, i.Name, i.URL, i.JWKS, i.Audience, micros(i.Created)))
	})
}

// DeleteIssuer implements keyring.Store.
func (s *Store) DeleteIssuer(ctx context.Context, account, id string) error {
	return s.changeRing(ctx, "issuer", func(tx *sql.Tx) error {
		return one(tx.ExecContext(ctx, `DELETE FROM issuers WHERE account = ? AND id = ?`, account, id))
	})
}

// KeepKeySet implements keyring.Store.
func (s *Store) KeepKeySet(ctx context.Context, issuer string, set []byte, fetched time.Time) error {
	n, err := s.exec(ctx, "issuer", `UPDATE issuers SET key_set = ?, fetched = ? WHERE id = ?`, set, micros(fetched), issuer)
	if err == nil && n == 0 {
		return failure("issuer", sql.ErrNoRows)
	}
	return err
}

// PutRevocation implements keyring.Store.
func (s *Store) PutRevocation(ctx context.Context, v keyring.Revocation) error {
	return s.changeRing(ctx, "revocation", func(tx *sql.Tx) error {
		if v.Of == keyring.OfKey {
			for _, mark := range []string{
				`UPDATE api_keys SET revoked = ? WHERE account = ? AND id = ? AND revoked = 0`,
				`UPDATE auth_tokens SET revoked = ? WHERE account = ? AND id = ? AND revoked = 0`,
			} {
				if _, err := tx.ExecContext(ctx, mark, micros(v.At), v.Account, v.Value); err != nil {
					return err
				}
			}
		}
		return one(tx.ExecContext(ctx, `
			INSERT INTO revocations (id, account, of, value, at, forever, by, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			v.ID, v.Account, v.Of, v.Value, micros(v.At), v.Forever, v.By, v.Reason))
	})
}

// DeleteRevocation implements keyring.Store.
func (s *Store) DeleteRevocation(ctx context.Context, account, id string) error {
	return s.changeRing(ctx, "revocation", func(tx *sql.Tx) error {
		return one(tx.ExecContext(ctx, `DELETE FROM revocations WHERE account = ? AND id = ?`, account, id))
	})
}

// PutTicket implements keyring.Store.
func (s *Store) PutTicket(ctx context.Context, t keyring.Ticket) error {
	ends := t.Expires
	if !t.Redeemed.IsZero() {
		ends = t.Redeemed.Add(t.Session)
	}
	_, err := s.exec(ctx, "ticket", `
		INSERT INTO tickets (hash, id, account, identity, incoming, outgoing_app, key_id, issued, expires, session, redeemed, ends)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.Hash, t.ID, t.Account, t.Identity, t.Incoming, t.OutgoingApp, t.KeyID, micros(t.Issued), micros(t.Expires),
		t.Session.Microseconds(), micros(t.Redeemed), micros(ends))
	return err
}

// RedeemTicket implements keyring.Store.
func (s *Store) RedeemTicket(ctx context.Context, hash string, now time.Time) (keyring.Ticket, bool, error) {
	// What was never a ticket must not cost a place in the writer's queue.
	t, err := s.TicketByHash(ctx, hash)
	if err != nil || !t.Redeemed.IsZero() || !now.Before(t.Expires) {
		return t, false, err
	}
	n, err := s.exec(ctx, "ticket", `
		UPDATE tickets SET redeemed = ?1, ends = ?1 + session WHERE hash = ?2 AND redeemed = 0 AND expires > ?1`, micros(now), hash)
	if err != nil {
		return keyring.Ticket{}, false, err
	}
	t, err = s.TicketByHash(ctx, hash)
	return t, n == 1, err
}

// TicketByHash implements keyring.Store.
func (s *Store) TicketByHash(ctx context.Context, hash string) (keyring.Ticket, error) {
	t := keyring.Ticket{Hash: hash}
	var issued, expires, session, redeemed int64
	err := s.read.QueryRowContext(ctx, `
		SELECT id, account, identity, incoming, outgoing_app, key_id, issued, expires, session, redeemed FROM tickets WHERE hash = ?`, hash).
		Scan(&t.ID, &t.Account, &t.Identity, &t.Incoming, &t.OutgoingApp, &t.KeyID, &issued, &expires, &session, &redeemed)
	if err != nil {
		return keyring.Ticket{}, failure("ticket", err)
	}
	t.Issued, t.Expires, t.Session, t.Redeemed = moment(issued), moment(expires), span(session), moment(redeemed)
	return t, nil
}

// SweepTickets implements keyring.Store.
func (s *Store) SweepTickets(ctx context.Context, now time.Time) (int, error) {
	n, err := s.exec(ctx, "ticket", `DELETE FROM tickets WHERE ends <= ?`, micros(now))
	return int(n), err
}

// SweepUses implements keyring.Store.
func (s *Store) SweepUses(ctx context.Context, before time.Time) (int, error) {
	n, err := s.exec(ctx, "use of a way in", `DELETE FROM uses WHERE last < ?`, micros(before))
	return int(n), err
}

// AddUses implements keyring.Store.
func (s *Store) AddUses(ctx context.Context, uses []keyring.Use) error {
	return s.inTx(ctx, "use of a way in", func(tx *sql.Tx) error {
		add, err := tx.PrepareContext(ctx, `
			INSERT INTO uses (account, kind, identity, app, origin, sdk, key_id, first, last, count) VALUES (?1, ?2, ?3, ?4, iif(
				EXISTS (SELECT 1 FROM uses WHERE account = ?1 AND kind = ?2 AND identity = ?3 AND app = ?4 AND origin = ?5)
				OR (SELECT count(*) FROM uses WHERE account = ?1 AND kind = ?2 AND identity = ?3 AND app = ?4) < ?11, ?5, ?12), ?6, ?7, ?8, ?9, ?10)
			ON CONFLICT (account, kind, identity, app, origin) DO UPDATE SET
				sdk = iif(excluded.last >= last, excluded.sdk, sdk), key_id = iif(excluded.last >= last, excluded.key_id, key_id),
				first = min(first, excluded.first), last = max(last, excluded.last), count = count + excluded.count`)
		if err != nil {
			return err
		}
		defer add.Close()
		used, err := tx.PrepareContext(ctx, `UPDATE api_keys SET last_used = max(last_used, ?) WHERE id = ? AND account = ?`)
		if err != nil {
			return err
		}
		defer used.Close()
		for _, u := range uses {
			if _, err := add.ExecContext(ctx, u.Account, u.Kind, u.Identity, u.App, u.Origin, u.SDK, u.KeyID, micros(u.First), micros(u.Last), u.Count,
				keyring.MaxOrigins, keyring.OtherOrigins); err != nil {
				return err
			}
			if u.Kind != token.Access {
				continue
			}
			if _, err := used.ExecContext(ctx, micros(u.Last.Truncate(time.Minute)), u.KeyID, u.Account); err != nil {
				return err
			}
		}
		return nil
	})
}

// Uses implements keyring.Store.
func (s *Store) Uses(ctx context.Context, account string, kind token.Kind, since time.Time, limit int) ([]keyring.Use, error) {
	var all []keyring.Use
	err := s.query(ctx, "use of a way in", func(r *sql.Rows) error {
		u := keyring.Use{Account: account, Kind: kind}
		var first, last int64
		err := r.Scan(&u.Identity, &u.App, &u.Origin, &u.SDK, &u.KeyID, &first, &last, &u.Count)
		u.First, u.Last = moment(first), moment(last)
		all = append(all, u)
		return err
	}, `SELECT identity, app, origin, sdk, key_id, first, last, count FROM uses
		WHERE account = ? AND kind = ? AND last >= ? ORDER BY last DESC, identity, app, origin LIMIT ?`,
		account, kind, micros(since), limit)
	return all, err
}
