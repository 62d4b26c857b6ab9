package sqlite

import (
	"context"
	"database/sql"
)

// Rows returns how many rows each table holds; for tests and the doctor.
func (s *Store) Rows(ctx context.Context) (map[string]int, error) {
	rows := map[string]int{}
	err := s.query(ctx, "table", func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		rows[name] = 0
		return err
	}, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'`)
	if err != nil {
		return nil, err
	}
	for name := range rows {
		var n int
		if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM "`+name+`"`).Scan(&n); err != nil {
			return nil, failure("table", err)
		}
		rows[name] = n
	}
	return rows, nil
}
