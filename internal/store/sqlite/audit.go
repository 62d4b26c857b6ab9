package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"dialtone/internal/store/cursor"
	"dialtone/internal/talk/people"
)

// AddAudit implements people.AuditStore.
func (s *Store) AddAudit(ctx context.Context, e people.AuditEntry) error {
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fmt.Errorf("encode audit detail: %w", err)
	}
	_, err = s.exec(ctx, "line of the audit log", `
		INSERT INTO audit (id, account, at, actor, actor_key, actor_id, actor_kind, act, target, detail, remote)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, e.Account, micros(e.At), e.Actor, fold(e.Actor), e.ActorID, e.ActorKind, e.Act, e.Target, string(detail), e.Remote)
	return err
}

// AuditPage implements people.AuditStore.
func (s *Store) AuditPage(ctx context.Context, f people.AuditFilter) (people.AuditPage, error) {
	where, args, err := pageOf(f.Account, "at", f.Cursor)
	if err != nil {
		return people.AuditPage{}, err
	}
	if f.Act != "" {
		where += ` AND substr(act, 1, length(?)) = ?`
		args = append(args, f.Act, f.Act)
	}
	if f.Actor != "" {
		where += ` AND (actor_key = ? OR actor_id = ?)`
		args = append(args, fold(f.Actor), f.Actor)
	}
	limit := pageSize(f.Limit)
	page := people.AuditPage{Entries: []people.AuditEntry{}}
	err = s.query(ctx, "line of the audit log", func(r *sql.Rows) error {
		var e people.AuditEntry
		var at int64
		var detail string
		if err := r.Scan(&e.ID, &e.Account, &at, &e.Actor, &e.ActorID, &e.ActorKind, &e.Act, &e.Target, &detail, &e.Remote); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(detail), &e.Detail); err != nil {
			return fmt.Errorf("decode audit detail: %w", err)
		}
		e.At = moment(at)
		page.Entries = append(page.Entries, e)
		return nil
	}, `SELECT id, account, at, actor, actor_id, actor_kind, act, target, detail, remote
		FROM audit WHERE `+where+` ORDER BY at DESC, id DESC LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return people.AuditPage{}, err
	}
	if len(page.Entries) > limit {
		page.Entries = page.Entries[:limit]
		last := page.Entries[limit-1]
		page.Next = cursor.Position{Micros: micros(last.At), ID: last.ID}.String()
	}
	return page, nil
}
