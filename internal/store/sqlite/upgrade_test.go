package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"dialtone/internal/store/secret"
	"dialtone/internal/store/sqlite"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// A database of the first release keeps its keys: the one that was handed out
// may do what it could, the console's signs as before, and the auth token that
// was sealed in its account's row can be read.
func TestKeysOfTheFirstRelease(t *testing.T) {
	dir := t.TempDir()
	box, err := secret.Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, sqlite.FileName)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO accounts (id, name, time_zone, country, created, auth_token) VALUES ('AC1', 'one', 'UTC', 'US', 7, ?)`, []any{box.Seal([]byte("the auth token"), "accounts AC1")}},
		{`INSERT INTO accounts (id, name, time_zone, country, created) VALUES ('AC2', 'two', 'UTC', 'US', 8)`, nil},
		{`INSERT INTO api_keys (id, account, name, secret, created, revoked) VALUES ('SK1', 'AC1', 'demo', ?, 9, 0)`, []any{box.Seal([]byte("handed out"), "api_keys SK1")}},
		{`INSERT INTO api_keys (id, account, name, secret, created, revoked) VALUES ('SK2', 'AC1', 'console', ?, 9, 11)`, []any{box.Seal([]byte("ours"), "api_keys SK2")}},
	} {
		if _, err := db.Exec(row.query, row.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	s := open(t, dir)
	defer s.Close()
	c, err := s.Ring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Keys) != 2 || len(c.AuthTokens) != 1 {
		t.Fatalf("%+v", c)
	}
	demo, console, a := c.Keys[0], c.Keys[1], c.AuthTokens[0]
	if demo.Role != keyring.RoleAdmin || demo.Algorithm != token.HS256 || string(demo.Secret) != "handed out" || !demo.Revoked.IsZero() {
		t.Errorf("%+v", demo)
	}
	if console.Role != "" || !console.Own() || string(console.Secret) != "ours" || console.Revoked.IsZero() {
		t.Errorf("%+v", console)
	}
	if a.Account != "AC1" || len(a.ID) != 34 || a.ID[:2] != "AT" || string(a.Secret) != "the auth token" || a.Created.UnixMicro() != 7 {
		t.Errorf("%+v", a)
	}
	if err := s.PutAuthToken(t.Context(), a); err != nil { // sealed anew, by its own name
		t.Fatal(err)
	}
	if c, err = s.Ring(t.Context()); err != nil || string(c.AuthTokens[0].Secret) != "the auth token" {
		t.Errorf("%+v, %v", c.AuthTokens, err)
	}
}

// Legs that were kept before their quality was measured can still be read, and a
// database of that time takes new ones.
func TestLegsWithoutQuality(t *testing.T) {
	dir := t.TempDir()
	if _, err := secret.Open(dir, true); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, sqlite.FileName)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		`INSERT INTO accounts (id, name, time_zone, country, created) VALUES ('AC1', 'one', 'UTC', 'US', 7)`,
		`INSERT INTO calls VALUES ('CA1', 'AC1', 'inbound', '', '', '', '', '', '', '', '', '', '', 'completed', 'completed', '', 1, 2, 3, 0, 0, 0, '')`,
		`INSERT INTO legs VALUES ('CA1', 0, 'CA1', '', '', '', '', '', 0, '', 1, 0, 2, 3, 'completed', 'completed', 0, 'PCMU', 10, 20, 3, 40, 1)`,
	} {
		if _, err := db.Exec(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	defer s.Close()
	k, err := s.Call(t.Context(), "AC1", "CA1")
	if err != nil {
		t.Fatal(err)
	}
	if q := k.Legs[0].Quality; q.PacketsIn != 10 || q.Lost != 3 || !q.Speech || q.MOS != 0 || q.FarMOS != 0 {
		t.Errorf("%+v", q)
	}
	k.ID, k.Legs[0].Quality.MOS = "CA2", 4.4
	if err := s.KeepCall(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if k, err = s.Call(t.Context(), "AC1", "CA2"); err != nil || k.Legs[0].Quality.MOS != 4.4 {
		t.Errorf("%+v %v", k, err)
	}
}
