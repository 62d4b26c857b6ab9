package localca

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestIssuedCertificatesAreTrustedForTheirNames(t *testing.T) {
	a, err := Open(filepath.Join(t.TempDir(), "data", "ca"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Issue([]string{"localhost", "127.0.0.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: "example.com", Roots: roots}); err == nil {
		t.Error("valid for a name that was not asked for")
	}
}

func TestTheAuthorityStaysTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	found := make([]*Authority, 8)
	var wg sync.WaitGroup
	for i := range found { // a first start and `dialtone trust` at once
		wg.Go(func() {
			a, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			found[i] = a
		})
	}
	wg.Wait()
	for _, a := range found {
		if a == nil || !a.Certificate().Equal(found[0].Certificate()) {
			t.Fatal("two authorities in one directory")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".ca-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKeysAreForTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Leaf([]string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(dir, "ca-key.pem")
	if err := os.Chmod(keyFile, 0o644); err != nil { // as a restored back-up may
		t.Fatal(err)
	}
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca-key.pem", "leaf-key.pem"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", name, info.Mode().Perm())
		}
	}
}

func TestABrokenAuthorityIsNotReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "move the directory away") {
		t.Errorf("got %v", err)
	}
}

func TestLeafIsKeptWhileItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "ca")
		leaf := func(hosts ...string) *x509.Certificate {
			a, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			l, err := a.Leaf(hosts)
			if err != nil {
				t.Fatal(err)
			}
			return l.Get().Leaf
		}
		first := leaf("localhost")
		if !leaf("localhost").Equal(first) {
			t.Error("a restart made a new certificate")
		}
		second := leaf("localhost", "phones.test")
		if second.Equal(first) || second.VerifyHostname("phones.test") != nil {
			t.Error("a new name is not in the certificate")
		}
		time.Sleep(LeafLife - RenewBefore + time.Hour)
		if leaf("localhost", "phones.test").Equal(second) {
			t.Error("kept into its last month")
		}
	})
}

func TestAnExpiredAuthorityIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "ca")
		if _, err := Open(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(AuthorityLife + time.Hour)
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "expired") {
			t.Errorf("got %v", err)
		}
	})
}

// The stores' paths are fixed when a process starts, so the test runs itself in
// a home of its own.
func TestTrustReachesTheBrowsersOfTheUser(t *testing.T) {
	if dir := os.Getenv("LOCALCA_TEST_DIR"); dir != "" {
		a, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		done, err := a.Trust(Where{Browsers: true})
		if err != nil || len(done) != 1 {
			t.Fatalf("trust: %v, %v", done, err)
		}
		if _, err := a.Trust(Where{Browsers: true}); err != nil {
			t.Fatalf("trust again: %v", err)
		}
		return
	}
	if _, err := exec.LookPath("certutil"); err != nil {
		t.Skip("certutil is not installed (libnss3-tools)")
	}
	home := t.TempDir()
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "HOME="+home, "LOCALCA_TEST_DIR="+filepath.Join(home, "ca"))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	list, err := exec.Command("certutil", "-L", "-d", "sql:"+filepath.Join(home, ".pki", "nssdb")).CombinedOutput()
	if err != nil || !strings.Contains(string(list), "Dialtone local authority") || !strings.Contains(string(list), "C,,") {
		t.Errorf("the store holds: %v\n%s", err, list)
	}
}
