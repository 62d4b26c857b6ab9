package sqlite_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"dialtone/internal/fault"
	"dialtone/internal/store/sqlite"
	"dialtone/internal/store/storetest"
	"dialtone/internal/talk"
	"dialtone/internal/voice/keyring"
)

func open(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) storetest.Store { return open(t, dir) })
}

func TestNothingSecretOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a := talk.Account{ID: talk.NewID("AC"), Name: "demo"}
	secrets := []string{"api-key-secret-0123456789", "auth-token-secret-0123456789"}
	if err := s.PutAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := s.PutKey(t.Context(), keyring.Key{ID: talk.NewID("SK"), Account: a.ID, Secret: []byte(secrets[0])}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutAuthToken(t.Context(), keyring.AuthToken{ID: "AT1", Account: a.ID, Secret: []byte(secrets[1])}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %v %v", file.Name(), info.Mode(), err)
		}
		data, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range secrets {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s holds %q", file.Name(), text)
			}
		}
	}

	// Without its key the store is not opened, and no other is put in its place.
	path := filepath.Join(dir, "secret.key")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), dir); fault.KindOf(err) != fault.Invalid {
		t.Fatalf("no key: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a new key: %v", err)
	}
	// With another key the store says what is wrong.
	if err := os.WriteFile(path, bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	if _, err := s.Ring(t.Context()); fault.KindOf(err) != fault.Invalid {
		t.Fatalf("another key: %v", err)
	}
}

func TestTwoProcessesOpenANewFileAtOnce(t *testing.T) {
	dir := t.TempDir()
	stores := make([]*sqlite.Store, 4)
	var all sync.WaitGroup
	for i := range stores {
		all.Go(func() {
			s, err := sqlite.Open(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
			if err := s.PutAccount(t.Context(), talk.Account{ID: talk.NewID("AC")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range stores {
		if s == nil {
			continue
		}
		if accounts, err := s.Accounts(t.Context()); err != nil || len(accounts) != len(stores) {
			t.Errorf("%d accounts, %v", len(accounts), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, sqlite.FileName), bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlite.Open(t.Context(), dir); err == nil {
		s.Close()
		t.Fatal("opened")
	}
}
