// Package certs gives the node its certificate: from files that the operator
// renews, from an ACME authority by domain, or from the machine's own local
// authority when nothing is set.
//
// New loads what there is, so that a mistake stops the start; Run keeps it
// fresh: files are read again when they change, local and ACME certificates are
// renewed. A change that cannot be used keeps the old certificate and raises a
// health warning. TLSConfig may be used by any number of listeners before and
// while Run runs.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dialtone/internal/app/localca"
	"dialtone/internal/config"
	"dialtone/internal/health"
)

// Options is what a Source needs.
type Options struct {
	Dir    string       // the data directory; ca/ and acme/ are made in it
	HTTPS  config.HTTPS // which kind, and its settings
	Health *health.Board
	Log    *slog.Logger

	ACMERoots *x509.CertPool // who may vouch for the ACME authority's own HTTPS; nil: the system's
}

// Source is the node's certificate.
type Source struct {
	Options
	kind kind
}

// kind is one way to come by a certificate.
type kind interface {
	get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	run(context.Context) error
}

// New returns the source that the settings ask for.
func New(o Options) (*Source, error) {
	s := &Source{Options: o}
	var err error
	switch {
	case o.HTTPS.Cert != "":
		s.kind, err = newFiles(s)
	case len(o.HTTPS.Domains) > 0:
		s.kind, err = newDomains(s)
	default:
		s.kind, err = newLocal(s)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// TLSConfig returns the configuration for listeners: TLS 1.2 or later, HTTP/2
// and HTTP/1.1. Callers that speak another protocol clear NextProtos.
func (s *Source) TLSConfig() *tls.Config {
	c := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: s.kind.get,
		NextProtos:     []string{"h2", "http/1.1"},
	}
	if _, ok := s.kind.(*domains); ok {
		c.NextProtos = append(c.NextProtos, acmeALPN)
	}
	return c
}

// Run keeps the certificate fresh until the context ends; it returns nil then.
func (s *Source) Run(ctx context.Context) error {
	if err := s.kind.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// AuthorityDir returns where the local authority of a data directory is.
func AuthorityDir(dataDir string) string { return filepath.Join(dataDir, "ca") }

// Names returns what the local authority's certificate is valid for: this
// machine by its usual names, and what the settings add.
func Names(h config.HTTPS) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && host != "" {
		names = append(names, host)
	}
	if host, _, err := net.SplitHostPort(h.Listen); err == nil && host != "" {
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			names = append(names, host)
		}
	}
	names = append(names, h.Hosts...)
	slices.Sort(names)
	return slices.Compact(names)
}

const (
	codeExpiring    = "certificate-expiring"
	codeUnusable    = "certificate-unusable"
	codeUnobtained  = "certificate-unobtained"
	expiringSubject = "https"
)

// judge raises, changes or clears the warning about the certificate's end.
func (s *Source) judge(end time.Time, remedy string) {
	left := time.Until(end)
	w := health.Warning{Code: codeExpiring, Subject: expiringSubject}
	switch {
	case left <= 0:
		w.Severity = health.Critical
		w.Text = fmt.Sprintf("The certificate expired on %s: browsers refuse to connect. %s", end.UTC().Format(time.DateOnly), remedy)
	case left <= 24*time.Hour:
		w.Severity = health.Degraded
		w.Text = fmt.Sprintf("The certificate expires in less than a day, at %s. %s", end.UTC().Format(time.RFC3339), remedy)
	case left <= 7*24*time.Hour:
		w.Severity = health.Degraded
		w.Text = fmt.Sprintf("The certificate expires in %d days. %s", int(left.Hours()/24), remedy)
	case left <= 30*24*time.Hour:
		w.Severity = health.Notice
		w.Text = fmt.Sprintf("The certificate expires in %d days. %s", int(left.Hours()/24), remedy)
	default:
		s.Health.Clear(codeExpiring, expiringSubject)
		return
	}
	s.Health.Raise(w)
}

// every calls f at once and then at each interval until the context ends.
func every(ctx context.Context, interval time.Duration, f func()) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// local is the certificate of the machine's own authority.
type local struct {
	*Source
	leaf *localca.Leaf
}

func newLocal(s *Source) (*local, error) {
	authority, err := localca.Open(AuthorityDir(s.Dir))
	if err != nil {
		return nil, err
	}
	leaf, err := authority.Leaf(Names(s.HTTPS))
	if err != nil {
		return nil, err
	}
	return &local{s, leaf}, nil
}

func (l *local) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return l.leaf.Get(), nil }

func (l *local) run(ctx context.Context) error {
	return every(ctx, time.Hour, func() {
		renewed, err := l.leaf.Renew()
		if err != nil {
			l.Health.Raise(health.Warning{
				Code: codeUnobtained, Subject: expiringSubject, Severity: health.Degraded,
				Text: "The local authority's certificate could not be renewed; it is tried again every hour. Check the disk and the directory ca in the data directory; the log says why.",
			})
			l.Log.Error("renew certificate of the local authority", "err", err)
		} else {
			l.Health.Clear(codeUnobtained, expiringSubject)
		}
		if renewed {
			l.Log.Info("renewed certificate of the local authority", "until", l.leaf.Get().Leaf.NotAfter)
		}
		l.judge(l.leaf.Get().Leaf.NotAfter, "The local authority itself is at its end: move "+AuthorityDir(l.Dir)+" away and run dialtone trust again.")
	})
}
