package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"dialtone/internal/health"
)

// pollFiles is how soon a renewed certificate is noticed. Reading beats watching:
// it works the same for a file replaced, a link switched and a mounted secret.
const pollFiles = 10 * time.Second

// files is a certificate that the operator keeps in two files.
type files struct {
	*Source
	current atomic.Pointer[tls.Certificate]
	cert    []byte // as last read; run only
	key     []byte
}

func newFiles(s *Source) (*files, error) {
	f := &files{Source: s}
	if _, err := f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// read takes the files' certificate if they changed and it can be used.
func (f *files) read() (changed bool, err error) {
	cert, err := os.ReadFile(f.HTTPS.Cert)
	if err != nil {
		return false, fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(f.HTTPS.Key)
	if err != nil {
		return false, fmt.Errorf("certificate key: %w", err)
	}
	if bytes.Equal(cert, f.cert) && bytes.Equal(key, f.key) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("certificate %s with key %s: %w", f.HTTPS.Cert, f.HTTPS.Key, err)
	}
	f.cert, f.key = cert, key
	f.current.Store(&pair)
	return true, nil
}

func (f *files) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load(), nil }

func (f *files) run(ctx context.Context) error {
	failing := false
	return every(ctx, pollFiles, func() {
		changed, err := f.read()
		switch {
		case err != nil:
			f.Health.Raise(health.Warning{
				Code: codeUnusable, Subject: expiringSubject, Severity: health.Degraded,
				Text: "The certificate files changed but cannot be used; the old certificate is kept. Check that both files are readable and belong together: dialtone doctor.",
			})
			if !failing {
				f.Log.Error("read certificate files", "err", err)
			}
		default:
			f.Health.Clear(codeUnusable, expiringSubject)
		}
		failing = err != nil
		if changed {
			f.Log.Info("took the certificate of the changed files", "until", f.current.Load().Leaf.NotAfter)
		}
		f.judge(f.current.Load().Leaf.NotAfter, "Renew the files "+f.HTTPS.Cert+" and "+f.HTTPS.Key+"; they are read again by themselves.")
	})
}
