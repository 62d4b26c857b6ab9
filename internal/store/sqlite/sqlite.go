// Package sqlite keeps in one SQLite file what the wings ask to have kept.
//
// A Store is safe for concurrent use, also by several processes on one file:
// readers never wait, writers wait for each other. Every commit is on disk
// before a method returns (WAL, synchronous=FULL). Secrets are sealed with the
// key beside the file (store/secret). The store never decides anything; which
// rows are allowed is the schema's business, in migrations/.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	sqlite3 "modernc.org/sqlite" // registers the driver "sqlite"

	"dialtone/internal/fault"
	"dialtone/internal/store/secret"
	"dialtone/internal/talk"
)

//go:embed migrations/*.sql
var migrations embed.FS

// FileName is the database's name in a data directory.
const FileName = "dialtone.db"

// readers is how many queries may run at once beside the writer.
const readers = 4

// Store is a database file.
type Store struct {
	read  *sql.DB
	write *sql.DB // one connection: SQLite has one writer anyway, and a queue in Go is fair
	box   *secret.Box
}

var _ talk.Store = (*Store)(nil)

// Open opens dir/dialtone.db, making the directory, the file and its key when
// they do not exist, and brings its schema up to date.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	info, err := os.Stat(path)
	box, err := secret.Open(dir, err != nil || info.Size() == 0)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	// SQLite would make it readable by others.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{box: box}
	if s.write, err = open(path, "_txlock", "immediate"); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = open(path, "_pragma", "query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: bring %s up to date: %w", FileName, err), s.Close())
	}
	return s, nil
}

func open(path, key, value string) (*sql.DB, error) {
	q := url.Values{}
	for _, pragma := range []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"} {
		q.Add("_pragma", pragma)
	}
	q.Add(key, value)
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode(), OmitHost: true}
	return sql.Open("sqlite", dsn.String())
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, files)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err == nil && have > want {
		return fault.New(fault.Invalid, "%s was written by a newer Dialtone (schema %d, this one knows %d). Start the newer one, or restore a backup.", FileName, have, want)
	}
	for last := int64(-1); ; {
		_, err := p.Up(ctx)
		if err == nil {
			return nil
		}
		// Another process may be doing the same: as long as one of us gets on, so do both.
		now, _, again := p.GetVersions(ctx)
		if again != nil || now <= last {
			return err
		}
		last = now
	}
}

// Close closes the file. What runs meanwhile fails.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// inTx runs fn in one transaction of the writer.
func (s *Store) inTx(ctx context.Context, what string, fn func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return failure(what, err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(failure(what, err), rollback(tx))
	}
	return failure(what, tx.Commit())
}

func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// exec runs one statement of the writer and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	r, err := s.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, failure(what, err)
	}
	n, err := r.RowsAffected()
	return n, failure(what, err)
}

// query runs fn for each row.
func (s *Store) query(ctx context.Context, what string, fn func(*sql.Rows) error, query string, args ...any) error {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return failure(what, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return failure(what, err)
		}
	}
	return failure(what, rows.Err())
}

// SQLite's primary and extended result codes (https://sqlite.org/rescode.html).
const (
	codeConstraint = 19
	codeUnique     = 2067
	codePrimaryKey = 1555
)

// failure gives an error of the database its kind.
func failure(what string, err error) error {
	var known *fault.Error
	var lite *sqlite3.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return fault.Wrap(fault.NotFound, err, "There is no such "+what+".")
	case errors.As(err, &lite) && (lite.Code() == codeUnique || lite.Code() == codePrimaryKey):
		return fault.Wrap(fault.Conflict, err, "There is such a "+what+" already.")
	case errors.As(err, &lite) && lite.Code()&0xff == codeConstraint:
		return fault.Wrap(fault.Invalid, err, "This "+what+" names something that does not exist.")
	}
	return fault.Wrap(fault.Unavailable, fmt.Errorf("%s: %w", what, err), "The database cannot be used now. Try again in a moment.")
}

// micros is a time in the database.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is what micros wrote.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// orNull is for columns that are unique among those who have one.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
