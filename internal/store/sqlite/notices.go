package sqlite

import (
	"context"
	"database/sql"

	"dialtone/internal/store/cursor"
	"dialtone/internal/talk"
)

// KeepMissed implements talk.Records.
func (s *Store) KeepMissed(ctx context.Context, m talk.Missed) error {
	_, err := s.exec(ctx, "missed call", `
		INSERT INTO missed (id, account, agent, call, line, from_number, from_name, from_identity, from_country, at, why, seen)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (id) DO NOTHING`,
		m.ID, m.Account, m.Agent, m.Call, m.Line, m.From.Number, m.From.Name, m.From.Identity, m.From.Country, micros(m.At), m.Why)
	return err
}

// Unseen implements talk.Records.
func (s *Store) Unseen(ctx context.Context, account, agent string, limit int) ([]talk.Missed, error) {
	all := []talk.Missed{}
	err := s.query(ctx, "missed call", func(r *sql.Rows) error {
		var m talk.Missed
		var at int64
		if err := r.Scan(&m.ID, &m.Account, &m.Agent, &m.Call, &m.Line,
			&m.From.Number, &m.From.Name, &m.From.Identity, &m.From.Country, &at, &m.Why); err != nil {
			return err
		}
		m.At = moment(at)
		all = append(all, m)
		return nil
	}, `SELECT id, account, agent, call, line, from_number, from_name, from_identity, from_country, at, why
		FROM missed WHERE seen = 0 AND account = ? AND (? = '' OR agent = ?) ORDER BY at DESC, id DESC LIMIT ?`,
		account, agent, agent, limit)
	return all, err
}

// SeeMissed implements talk.Records.
func (s *Store) SeeMissed(ctx context.Context, account, agent, id string) error {
	n, err := s.exec(ctx, "missed call", `UPDATE missed SET seen = 1 WHERE account = ? AND agent = ? AND id = ?`, account, agent, id)
	if err == nil && n == 0 {
		return failure("missed call", sql.ErrNoRows)
	}
	return err
}

const voicemailColumns = `id, account, call, line, from_number, from_name, from_identity, from_country, at, duration, heard, heard_by`

func scanVoicemail(scan func(...any) error) (talk.Voicemail, error) {
	var v talk.Voicemail
	var at, duration int64
	err := scan(&v.ID, &v.Account, &v.Call, &v.Line, &v.From.Number, &v.From.Name, &v.From.Identity, &v.From.Country,
		&at, &duration, &v.Heard, &v.HeardBy)
	v.At, v.Duration = moment(at), talk.SecondsOf(span(duration))
	return v, err
}

// KeepVoicemail implements talk.Records.
func (s *Store) KeepVoicemail(ctx context.Context, v talk.Voicemail) error {
	_, err := s.exec(ctx, "message", `INSERT INTO voicemails (`+voicemailColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		v.ID, v.Account, v.Call, v.Line, v.From.Number, v.From.Name, v.From.Identity, v.From.Country,
		micros(v.At), v.Duration.Duration().Microseconds(), v.Heard, v.HeardBy)
	return err
}

// Voicemail implements talk.Records.
func (s *Store) Voicemail(ctx context.Context, account, id string) (talk.Voicemail, error) {
	v, err := scanVoicemail(s.read.QueryRowContext(ctx,
		`SELECT `+voicemailColumns+` FROM voicemails WHERE account = ? AND id = ?`, account, id).Scan)
	return v, failure("message", err)
}

// Voicemails implements talk.Records.
func (s *Store) Voicemails(ctx context.Context, f talk.VoicemailFilter) (talk.VoicemailPage, error) {
	where, args, err := pageOf(f.Account, "at", f.Cursor)
	if err != nil {
		return talk.VoicemailPage{}, err
	}
	if f.Lines != nil {
		where += ` AND line IN (SELECT value FROM json_each(?))`
		args = append(args, list(f.Lines))
	}
	limit := pageSize(f.Limit)
	page := talk.VoicemailPage{Voicemails: []talk.Voicemail{}}
	err = s.query(ctx, "message", func(r *sql.Rows) error {
		v, err := scanVoicemail(r.Scan)
		page.Voicemails = append(page.Voicemails, v)
		return err
	}, `SELECT `+voicemailColumns+` FROM voicemails WHERE `+where+` ORDER BY at DESC, id DESC LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return talk.VoicemailPage{}, err
	}
	if len(page.Voicemails) > limit {
		page.Voicemails = page.Voicemails[:limit]
		last := page.Voicemails[limit-1]
		page.Next = cursor.Position{Micros: micros(last.At), ID: last.ID}.String()
	}
	return page, nil
}

// HearVoicemail implements talk.Records.
func (s *Store) HearVoicemail(ctx context.Context, account, id string, heard bool, by string) (bool, error) {
	if !heard {
		by = ""
	}
	n, err := s.exec(ctx, "message", `UPDATE voicemails SET heard = ?, heard_by = ? WHERE account = ? AND id = ? AND heard <> ?`,
		heard, by, account, id, heard)
	if err != nil || n > 0 {
		return n > 0, err
	}
	_, err = s.Voicemail(ctx, account, id)
	return false, err
}

// DeleteVoicemail implements talk.Records.
func (s *Store) DeleteVoicemail(ctx context.Context, account, id string) error {
	return s.inTx(ctx, "message", func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM voicemails WHERE account = ? AND id = ?`, account, id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return sql.ErrNoRows
		}
		// The call keeps its status; it no longer has a message to play.
		_, err = tx.ExecContext(ctx, `UPDATE calls SET voicemail = '' WHERE voicemail <> '' AND voicemail = ? AND account = ?`, id, account)
		return err
	})
}

// Unheard implements talk.Records.
func (s *Store) Unheard(ctx context.Context, account string) (map[string]int, error) {
	counts := map[string]int{}
	err := s.query(ctx, "message", func(r *sql.Rows) error {
		var line string
		var n int
		err := r.Scan(&line, &n)
		counts[line] = n
		return err
	}, `SELECT line, count(*) FROM voicemails WHERE account = ? AND heard = 0 GROUP BY line`, account)
	return counts, err
}
