package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/app/localca"
	"dialtone/internal/config"
	"dialtone/internal/health"
)

const day = 24 * time.Hour

// shown returns the leaf that a client sees, having checked it against the roots.
func shown(t *testing.T, s *Source, name string, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	served := make(chan error, 1)
	go func() { served <- tls.Server(server, s.TLSConfig()).Handshake() }()
	// The bubble's clock starts in the year 2000 and moves by months.
	c := tls.Client(client, &tls.Config{ServerName: name, RootCAs: roots, Time: time.Now})
	if err := c.Handshake(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0]
}

// started returns a source that runs until the test ends.
func started(t *testing.T, o Options) *Source {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func options(t *testing.T, h config.HTTPS) Options {
	return Options{Dir: t.TempDir(), HTTPS: h, Health: health.NewBoard(), Log: slog.New(slog.DiscardHandler)}
}

func rootsOf(t *testing.T, dataDir string) *x509.CertPool {
	t.Helper()
	a, err := localca.Open(AuthorityDir(dataDir))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate())
	return pool
}

func TestLocalCertificateIsRenewedWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, config.HTTPS{Hosts: []string{"phones.test"}})
		s := started(t, o)
		roots := rootsOf(t, o.Dir)
		for _, name := range []string{"localhost", "127.0.0.1", "::1", "phones.test"} {
			shown(t, s, name, roots)
		}
		first := shown(t, s, "localhost", roots).SerialNumber
		time.Sleep(59 * day)
		if got := shown(t, s, "localhost", roots).SerialNumber; got.Cmp(first) != 0 {
			t.Error("renewed after 59 days of 90")
		}
		time.Sleep(2 * day)
		if got := shown(t, s, "localhost", roots).SerialNumber; got.Cmp(first) == 0 {
			t.Error("not renewed after 61 days of 90")
		}
		time.Sleep(120 * day)
		shown(t, s, "localhost", roots)
		if w := o.Health.Warnings(); len(w) != 0 {
			t.Errorf("warnings: %v", w)
		}
	})
}

// writePair puts a certificate for a.test that lives so long into dir.
func writePair(t *testing.T, dir string, life time.Duration) {
	t.Helper()
	a, err := localca.Open(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	if life > localca.LeafLife {
		t.Fatal("a leaf does not live that long")
	}
	// Issued earlier: what is left of its life is what counts.
	pair, err := a.Issue([]string{"a.test"})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(pair.Leaf.NotAfter.Add(-life)))
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	write(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func anyRoot(t *testing.T, s *Source) *x509.Certificate {
	t.Helper()
	c, err := s.TLSConfig().GetCertificate(&tls.ClientHelloInfo{ServerName: "a.test"})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

func TestChangedFilesAreTakenAndBrokenOnesAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, next := t.TempDir(), t.TempDir()
		writePair(t, next, 80*day)
		writePair(t, dir, 60*day)
		o := options(t, config.HTTPS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")})
		s := started(t, o)
		first := anyRoot(t, s)

		write(t, filepath.Join(dir, "cert.pem"), []byte("half a file"))
		time.Sleep(pollFiles + time.Second)
		if got := anyRoot(t, s); !got.Equal(first) {
			t.Error("a broken file replaced the certificate")
		}
		if w := o.Health.Warnings(); len(w) != 1 || w[0].Code != codeUnusable {
			t.Errorf("warnings after a broken file: %v", w)
		}

		for _, name := range []string{"cert.pem", "key.pem"} {
			text, err := os.ReadFile(filepath.Join(next, name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name), text)
		}
		time.Sleep(pollFiles + time.Second)
		if got := anyRoot(t, s); got.Equal(first) {
			t.Error("the new files were not taken")
		}
		if w := o.Health.Warnings(); len(w) != 0 {
			t.Errorf("warnings after good files: %v", w)
		}
	})
}

func TestTheEndIsAnnouncedEarlyEnough(t *testing.T) {
	for _, tt := range []struct {
		left     time.Duration
		severity health.Severity
		text     string
	}{
		{45 * day, "", ""},
		{29*day + time.Hour, health.Notice, "in 29 days"},
		{6*day + time.Hour, health.Degraded, "in 6 days"},
		{20 * time.Hour, health.Degraded, "less than a day"},
		{-time.Hour, health.Critical, "expired"},
	} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			writePair(t, dir, tt.left)
			o := options(t, config.HTTPS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")})
			started(t, o)
			synctest.Wait()
			w := o.Health.Warnings()
			switch {
			case tt.severity == "" && len(w) == 0:
			case len(w) != 1 || w[0].Severity != tt.severity || !strings.Contains(w[0].Text, tt.text):
				t.Errorf("%v before the end: %+v", tt.left, w)
			}
		})
	}
}

func TestFilesThatDoNotBelongTogetherStopTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := t.TempDir(), t.TempDir()
		writePair(t, a, day)
		writePair(t, b, day)
		_, err := New(options(t, config.HTTPS{Cert: filepath.Join(a, "cert.pem"), Key: filepath.Join(b, "key.pem")}))
		if err == nil || !strings.Contains(err.Error(), "private key does not match") {
			t.Errorf("got %v", err)
		}
		_, err = New(options(t, config.HTTPS{Cert: "nowhere.pem", Key: "nowhere.pem"}))
		if err == nil || !strings.Contains(err.Error(), "nowhere.pem") {
			t.Errorf("got %v", err)
		}
	})
}
