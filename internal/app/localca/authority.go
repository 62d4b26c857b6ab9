// Package localca is the certificate authority of one machine: it lets browsers
// reach a node by HTTPS before anyone has given it a certificate.
//
// The authority lives in a directory of the data directory: ca.pem, which may
// be shown to anyone, and ca-key.pem, which nobody but the node's user can read.
// It signs certificates for the names of this machine, and nothing is ever sent
// anywhere. An Authority may be used concurrently; two processes may open the
// same directory.
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Lifetimes. A leaf lives as short as its renewal is sure: the node renews it
// while it runs, RenewBefore its end.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	LeafLife      = 90 * 24 * time.Hour
	RenewBefore   = 30 * 24 * time.Hour
)

// slack lets a certificate be valid for machines whose clock is a little behind.
const slack = time.Hour

// Authority signs certificates for this machine's names.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

// Open returns the authority in the directory dir, which is made, with a new
// authority in it, when it does not exist.
func Open(dir string) (*Authority, error) {
	a, err := load(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if err := create(dir); err != nil {
		return nil, fmt.Errorf("make local authority: %w", err)
	}
	return load(dir)
}

// Certificate returns the authority's own certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// File returns the path of the authority's certificate.
func (a *Authority) File() string { return filepath.Join(a.dir, "ca.pem") }

// PEM returns the authority's certificate as a file would hold it.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Issue returns a new certificate for the hosts, names or addresses.
func (a *Authority) Issue(hosts []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{Organization: []string{"Dialtone"}, CommonName: "Dialtone on this machine"},
		NotBefore:    now.Add(-slack),
		NotAfter:     earlier(now.Add(LeafLife), a.cert.NotAfter),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func load(dir string) (*Authority, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, broken(dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, broken(dir, errors.New("not an authority that we made"))
	}
	if !time.Now().Before(pair.Leaf.NotAfter) {
		return nil, broken(dir, errors.New("it has expired"))
	}
	// A restored back-up may have lost the modes.
	if err := os.Chmod(keyFile, 0o600); err != nil {
		return nil, fmt.Errorf("protect the authority's key: %w", err)
	}
	return &Authority{cert: pair.Leaf, key: key, dir: dir}, nil
}

// broken is an error that must not look like a missing authority: making a new
// one silently would take away the trust that browsers have in the old one.
func broken(dir string, err error) error {
	//nolint:errorlint // hiding that a file is missing is the point
	return fmt.Errorf("local authority in %s cannot be used: %v; move the directory away to begin with a new one, then trust that", dir, err)
}

// create makes the authority beside its place and moves it there as a whole, so
// that no other process ever sees half of one. If another was first, that stays.
func create(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".ca-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"Dialtone"}, CommonName: "Dialtone local authority of " + host},
		NotBefore:             now.Add(-slack),
		NotAfter:              now.Add(AuthorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // signs leaves, never another authority
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(tmp, "ca-key.pem"), "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	if err := writePEM(filepath.Join(tmp, "ca.pem"), "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// serial returns 127 random bits: positive, and unlike any other.
func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand does not fail since Go 1.24
	}
	return n
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
