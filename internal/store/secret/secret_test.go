package secret_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"dialtone/internal/fault"
	"dialtone/internal/store/secret"
)

func TestSealedIsReadOnlyWithKeyAndPurpose(t *testing.T) {
	dir := t.TempDir()
	box, err := secret.Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	sealed := box.Seal([]byte("s3cret"), "api_keys SK1")
	if bytes.Contains(sealed, []byte("s3cret")) {
		t.Fatal("sealed text holds the secret")
	}
	if bytes.Equal(sealed, box.Seal([]byte("s3cret"), "api_keys SK1")) {
		t.Fatal("two seals of one secret are the same")
	}
	again, err := secret.Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(sealed, "api_keys SK1"); err != nil || string(plain) != "s3cret" {
		t.Fatalf("got %q, %v", plain, err)
	}
	if _, err := again.Open(sealed, "api_keys SK2"); fault.KindOf(err) != fault.Invalid {
		t.Fatalf("another purpose: %v", err)
	}
	other, err := secret.Open(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(sealed, "api_keys SK1"); fault.KindOf(err) != fault.Invalid {
		t.Fatalf("another key: %v", err)
	}
	for n := range sealed {
		if _, err := box.Open(sealed[:n], "api_keys SK1"); err == nil {
			t.Fatalf("the first %d bytes were opened", n)
		}
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, secret.KeyFile)
	if _, err := secret.Open(dir, true); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Fatalf("%v %v", info, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.Open(dir, true); fault.KindOf(err) != fault.Invalid {
		t.Fatalf("a key that others may read: %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.Open(dir, true); fault.KindOf(err) != fault.Invalid {
		t.Fatalf("a damaged key: %v", err)
	}
}

func TestFirstStartsAtOnceShareOneKey(t *testing.T) {
	dir := t.TempDir()
	boxes := make([]*secret.Box, 8)
	var all sync.WaitGroup
	for i := range boxes {
		all.Go(func() {
			box, err := secret.Open(dir, true)
			if err != nil {
				t.Error(err)
			}
			boxes[i] = box
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	sealed := boxes[0].Seal([]byte("x"), "p")
	for i, box := range boxes {
		if _, err := box.Open(sealed, "p"); err != nil {
			t.Errorf("box %d: %v", i, err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("left behind: %v %v", files, err)
	}
}
