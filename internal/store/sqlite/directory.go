package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"dialtone/internal/talk"
)

// Accounts implements talk.Directory.
func (s *Store) Accounts(ctx context.Context) ([]talk.Account, error) {
	var all []talk.Account
	err := s.query(ctx, "account", func(r *sql.Rows) error {
		var a talk.Account
		var created int64
		if err := r.Scan(&a.ID, &a.Name, &a.TimeZone, &a.Country, &created); err != nil {
			return err
		}
		a.Created = moment(created)
		all = append(all, a)
		return nil
	}, `SELECT id, name, time_zone, country, created FROM accounts ORDER BY seq`)
	return all, err
}

// PutAccount implements talk.Directory.
func (s *Store) PutAccount(ctx context.Context, a talk.Account) error {
	_, err := s.exec(ctx, "account", `
		INSERT INTO accounts (id, name, time_zone, country, created) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone, country = excluded.country`,
		a.ID, a.Name, a.TimeZone, a.Country, micros(a.Created))
	return err
}

// Lines implements talk.Directory.
func (s *Store) Lines(ctx context.Context) ([]talk.LineSettings, error) {
	all := []talk.LineSettings{}
	at := map[string]int{}
	err := s.query(ctx, "line", func(r *sql.Rows) error {
		var l talk.LineSettings
		var ring, wait, wrap, message, created int64
		var countries string
		if err := r.Scan(&l.ID, &l.Account, &l.Number, &l.Name, &l.Greeting, &l.Available, &l.Voicemail,
			&ring, &wait, &wrap, &message, &countries, &created); err != nil {
			return err
		}
		l.Ring, l.MaxWait, l.WrapUp, l.Message = span(ring), span(wait), span(wrap), span(message)
		l.Countries = strings.Fields(countries)
		l.Created = moment(created)
		at[l.ID] = len(all)
		all = append(all, l)
		return nil
	}, `SELECT id, account, number, name, greeting, available, voicemail, ring, max_wait, wrap_up, message, countries, created
		FROM lines ORDER BY seq`)
	if err != nil {
		return nil, err
	}
	err = s.query(ctx, "line", func(r *sql.Rows) error {
		var id, user string
		if err := r.Scan(&id, &user); err != nil {
			return err
		}
		if i, ok := at[id]; ok {
			all[i].Agents = append(all[i].Agents, user)
		}
		return nil
	}, `SELECT line, user FROM line_agents ORDER BY line, n`)
	return all, err
}

// PutLine implements talk.Directory.
func (s *Store) PutLine(ctx context.Context, l talk.LineSettings) error {
	return s.inTx(ctx, "line", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO lines (id, account, number, name, greeting, available, voicemail, ring, max_wait, wrap_up, message, countries, created)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET number = excluded.number, name = excluded.name, greeting = excluded.greeting,
				available = excluded.available, voicemail = excluded.voicemail, ring = excluded.ring, max_wait = excluded.max_wait,
				wrap_up = excluded.wrap_up, message = excluded.message, countries = excluded.countries
			WHERE account = excluded.account`,
			l.ID, l.Account, l.Number, l.Name, l.Greeting, l.Available, l.Voicemail,
			l.Ring.Microseconds(), l.MaxWait.Microseconds(), l.WrapUp.Microseconds(), l.Message.Microseconds(),
			strings.Join(l.Countries, " "), micros(l.Created)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM line_agents WHERE line = ?`, l.ID); err != nil {
			return err
		}
		for n, user := range l.Agents {
			if _, err := tx.ExecContext(ctx, `INSERT INTO line_agents (line, n, user) VALUES (?, ?, ?)`, l.ID, n, user); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteLine implements talk.Directory.
func (s *Store) DeleteLine(ctx context.Context, account, id string) error {
	n, err := s.exec(ctx, "line", `DELETE FROM lines WHERE account = ? AND id = ?`, account, id)
	if err == nil && n == 0 {
		return failure("line", sql.ErrNoRows)
	}
	return err
}

// span is a duration of the database.
func span(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
