package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"

	"dialtone/internal/fault"
	"dialtone/internal/store/cursor"
	"dialtone/internal/talk"
	"dialtone/internal/voice/call"
)

const callColumns = `id, account, direction, from_number, from_name, from_identity, from_country,
	to_number, to_name, to_identity, to_country, line, agent, status, cause, trunk,
	offered, answered, ended, waited, talked, held, voicemail`

const legColumns = `call, n, leg, number, name, identity, country, agent, dialled, trunk,
	started, ringing, answered, ended, status, cause, code, codec, packets_in, packets_out, lost, longest_gap, speech,
	bursts, jitter, mos, round_trip, far_lost, far_jitter, far_mos`

// KeepCall implements talk.Records.
func (s *Store) KeepCall(ctx context.Context, k talk.Call) error {
	return s.inTx(ctx, "call", func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO calls (`+callColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			k.ID, k.Account, k.Direction, k.From.Number, k.From.Name, k.From.Identity, k.From.Country,
			k.To.Number, k.To.Name, k.To.Identity, k.To.Country, k.Line, k.Agent, k.Status, k.Cause, k.Trunk,
			micros(k.OfferedAt), micros(k.AnsweredAt), micros(k.EndedAt),
			k.Waited.Duration().Microseconds(), k.Talked.Duration().Microseconds(), k.Held.Duration().Microseconds(), k.Voicemail)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for n, l := range k.Legs {
			if _, err := tx.ExecContext(ctx, `INSERT INTO legs (`+legColumns+`)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				k.ID, n, l.Leg, l.Party.Number, l.Party.Name, l.Party.Identity, l.Party.Country, l.Agent, l.Dialled, l.Trunk,
				micros(l.StartedAt), micros(l.RingingAt), micros(l.AnsweredAt), micros(l.EndedAt), l.Status, l.Cause, l.Code,
				l.Quality.Codec, int64(l.Quality.PacketsIn), int64(l.Quality.PacketsOut), int64(l.Quality.Lost),
				l.Quality.LongestGap.Duration().Microseconds(), l.Quality.Speech,
				int64(l.Quality.Bursts), ofMillis(l.Quality.JitterMS), l.Quality.MOS, ofMillis(l.Quality.RTTMS),
				int64(l.Quality.FarLost), ofMillis(l.Quality.FarJitterMS), l.Quality.FarMOS); err != nil {
				return err
			}
		}
		return nil
	})
}

// Call implements talk.Records.
func (s *Store) Call(ctx context.Context, account string, id call.ID) (talk.Call, error) {
	calls, err := s.calls(ctx, `SELECT `+callColumns+` FROM calls WHERE account = ? AND id = ?`, account, id)
	if err != nil {
		return talk.Call{}, err
	}
	if len(calls) == 0 {
		return talk.Call{}, failure("call", sql.ErrNoRows)
	}
	return calls[0], nil
}

// Calls implements talk.Records.
func (s *Store) Calls(ctx context.Context, f talk.CallFilter) (talk.CallPage, error) {
	where, args, err := pageOf(f.Account, "offered", f.Cursor)
	if err != nil {
		return talk.CallPage{}, err
	}
	switch f.Kind {
	case "", talk.KindAll:
	case talk.KindInbound:
		where += ` AND direction = 'inbound'`
	case talk.KindOutbound:
		where += ` AND direction = 'outbound'`
	case talk.KindMissed:
		where += missed
	case talk.KindVoicemail:
		where += ` AND voicemail <> ''`
	default:
		return talk.CallPage{}, fault.New(fault.Invalid, "There is no such kind of calls.")
	}
	if f.Number != "" {
		where += ` AND (from_number = ? OR to_number = ?)`
		args = append(args, f.Number, f.Number)
	}
	if f.Agent != "" {
		where += ` AND (agent = ?
			OR EXISTS (SELECT 1 FROM legs WHERE legs.call = calls.id AND legs.agent = ? AND legs.status = 'completed')
			OR (line IN (SELECT value FROM json_each(?))` + missed + `))`
		args = append(args, f.Agent, f.Agent, list(f.Lines))
	}
	limit := pageSize(f.Limit)
	calls, err := s.calls(ctx, `SELECT `+callColumns+` FROM calls WHERE `+where+` ORDER BY offered DESC, id DESC LIMIT ?`,
		append(args, limit+1)...)
	if err != nil {
		return talk.CallPage{}, err
	}
	page := talk.CallPage{Calls: calls}
	if len(calls) > limit {
		page.Calls = calls[:limit]
		last := calls[limit-1]
		page.Next = cursor.Position{Micros: micros(last.OfferedAt), ID: string(last.ID)}.String()
	}
	return page, nil
}

// missed is what talk.KindMissed means.
const missed = ` AND direction = 'inbound' AND line <> '' AND status <> 'completed'`

// pageOf returns the condition for the rows of an account after the cursor.
func pageOf(account, column, after string) (where string, args []any, err error) {
	where, args = `account = ?`, []any{account}
	at, ok, err := cursor.Parse(after)
	if ok {
		where += ` AND (` + column + `, id) < (?, ?)`
		args = append(args, at.Micros, at.ID)
	}
	return where, args, err
}

func pageSize(limit int) int {
	if limit <= 0 {
		return talk.DefaultPage
	}
	return min(limit, talk.MaxPage)
}

// list is a set of texts as a parameter, for json_each.
func list(texts []string) string {
	if texts == nil {
		texts = []string{}
	}
	b, _ := json.Marshal(texts) // texts always marshal
	return string(b)
}

// calls returns calls with their legs.
func (s *Store) calls(ctx context.Context, query string, args ...any) ([]talk.Call, error) {
	all := []talk.Call{}
	at := map[call.ID]int{}
	var ids []string
	err := s.query(ctx, "call", func(r *sql.Rows) error {
		k := talk.Call{Legs: []talk.Leg{}}
		var offered, answered, ended, waited, talked, held int64
		if err := r.Scan(&k.ID, &k.Account, &k.Direction, &k.From.Number, &k.From.Name, &k.From.Identity, &k.From.Country,
			&k.To.Number, &k.To.Name, &k.To.Identity, &k.To.Country, &k.Line, &k.Agent, &k.Status, &k.Cause, &k.Trunk,
			&offered, &answered, &ended, &waited, &talked, &held, &k.Voicemail); err != nil {
			return err
		}
		k.OfferedAt, k.AnsweredAt, k.EndedAt = moment(offered), moment(answered), moment(ended)
		k.Waited, k.Talked, k.Held = talk.SecondsOf(span(waited)), talk.SecondsOf(span(talked)), talk.SecondsOf(span(held))
		at[k.ID] = len(all)
		all = append(all, k)
		ids = append(ids, string(k.ID))
		return nil
	}, query, args...)
	if err != nil || len(all) == 0 {
		return all, err
	}
	err = s.query(ctx, "call", func(r *sql.Rows) error {
		var l talk.Leg
		var id call.ID
		var n int
		var started, ringing, answered, ended, in, out, lost, gap, bursts, jitter, trip, farLost, farJitter int64
		if err := r.Scan(&id, &n, &l.Leg, &l.Party.Number, &l.Party.Name, &l.Party.Identity, &l.Party.Country, &l.Agent, &l.Dialled, &l.Trunk,
			&started, &ringing, &answered, &ended, &l.Status, &l.Cause, &l.Code, &l.Quality.Codec, &in, &out, &lost, &gap, &l.Quality.Speech,
			&bursts, &jitter, &l.Quality.MOS, &trip, &farLost, &farJitter, &l.Quality.FarMOS); err != nil {
			return err
		}
		l.StartedAt, l.RingingAt, l.AnsweredAt, l.EndedAt = moment(started), moment(ringing), moment(answered), moment(ended)
		l.Quality.PacketsIn, l.Quality.PacketsOut, l.Quality.Lost = uint64(in), uint64(out), uint64(lost)
		l.Quality.LongestGap = talk.SecondsOf(span(gap))
		l.Quality.Bursts, l.Quality.FarLost = uint64(bursts), uint64(farLost)
		l.Quality.JitterMS, l.Quality.RTTMS, l.Quality.FarJitterMS = toMillis(jitter), toMillis(trip), toMillis(farJitter)
		k := &all[at[id]]
		k.Legs = append(k.Legs, l)
		return nil
	}, `SELECT `+legColumns+` FROM legs WHERE call IN (SELECT value FROM json_each(?)) ORDER BY call, n`, list(ids))
	return all, err
}

// ofMillis returns milliseconds as they are kept, in microseconds.
func ofMillis(ms float64) int64 { return int64(math.Round(ms * 1000)) }

func toMillis(micros int64) float64 { return float64(micros) / 1000 }
