package localca

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// Leaf is this machine's certificate, kept in the authority's directory
// (leaf.pem, leaf-key.pem) so that a restart shows browsers the same one.
// Get may be called by anyone while one goroutine calls Renew.
type Leaf struct {
	authority *Authority
	hosts     []string
	current   atomic.Pointer[tls.Certificate]
}

// Leaf returns the certificate for the hosts: the kept one if it still serves.
func (a *Authority) Leaf(hosts []string) (*Leaf, error) {
	l := &Leaf{authority: a, hosts: slices.Clone(hosts)}
	if kept, err := tls.LoadX509KeyPair(l.files()); err == nil && l.serves(kept.Leaf) {
		l.current.Store(&kept)
		return l, nil
	}
	return l, l.issue()
}

// Get returns the certificate, never nil.
func (l *Leaf) Get() *tls.Certificate { return l.current.Load() }

// Renew issues a new certificate if the present one ends within RenewBefore.
func (l *Leaf) Renew() (renewed bool, err error) {
	if l.serves(l.Get().Leaf) {
		return false, nil
	}
	if !time.Now().Add(RenewBefore).Before(l.authority.cert.NotAfter) {
		return false, nil // the authority ends too; a new leaf would live no longer
	}
	return true, l.issue()
}

func (l *Leaf) files() (cert, key string) {
	return filepath.Join(l.authority.dir, "leaf.pem"), filepath.Join(l.authority.dir, "leaf-key.pem")
}

// serves reports whether the certificate is ours, for these hosts, and for a while yet.
func (l *Leaf) serves(c *x509.Certificate) bool {
	if c.CheckSignatureFrom(l.authority.cert) != nil || !time.Now().Add(RenewBefore).Before(c.NotAfter) {
		return false
	}
	return !slices.ContainsFunc(l.hosts, func(h string) bool { return c.VerifyHostname(h) != nil })
}

func (l *Leaf) issue() error {
	cert, err := l.authority.Issue(l.hosts)
	if err != nil {
		return err
	}
	l.current.Store(cert)
	certFile, keyFile := l.files()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return fmt.Errorf("keep certificate: %w", err)
	}
	// A pair that was kept by halves does not load and is made anew.
	if err := os.Remove(keyFile); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("keep certificate: %w", err)
	}
	if err := writePEM(keyFile, "PRIVATE KEY", key, 0o600); err != nil {
		return fmt.Errorf("keep certificate: %w", err)
	}
	if err := writePEM(certFile, "CERTIFICATE", cert.Certificate[0], 0o644); err != nil {
		return fmt.Errorf("keep certificate: %w", err)
	}
	return nil
}
