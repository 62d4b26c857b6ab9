package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"dialtone/internal/health"
)

// acmeALPN is how an ACME authority asks for its proof (RFC 8737).
const acmeALPN = "acme-tls/1"

// domains gets and renews certificates by ACME. The authority's proof arrives on
// the HTTPS listener itself (TLS-ALPN), so that no second port is needed. Names
// that are not among the domains, as localhost, get the local authority's
// certificate.
type domains struct {
	*local
	magic atomic.Pointer[certmagic.Config]
}

func newDomains(s *Source) (*domains, error) {
	l, err := newLocal(s)
	if err != nil {
		return nil, err
	}
	return &domains{local: l}, nil
}

func (d *domains) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if !slices.Contains(d.HTTPS.Domains, name) {
		return d.local.get(hello)
	}
	magic := d.magic.Load()
	if magic == nil {
		return nil, fmt.Errorf("no certificate for %s yet", name)
	}
	return magic.GetCertificate(hello)
}

func (d *domains) run(ctx context.Context) error {
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return d.magic.Load(), nil },
		Logger:           zap.NewNop(), // what matters comes as events
	})
	defer cache.Stop()
	magic := certmagic.New(cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Join(d.Dir, "acme")},
		OnEvent: d.event,
		Logger:  zap.NewNop(),
	})
	ca, rehearsal := certmagic.LetsEncryptProductionCA, certmagic.LetsEncryptStagingCA
	if own := d.HTTPS.ACMEDirectory; own != "" {
		ca, rehearsal = own, own // it has no second, forgiving directory to try again at
	}
	host, port, _ := net.SplitHostPort(d.HTTPS.Listen)
	alpnPort, _ := strconv.Atoi(port)
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{
		CA:                   ca,
		TestCA:               rehearsal,
		TrustedRoots:         d.ACMERoots,
		Email:                d.HTTPS.Email,
		Agreed:               true,
		DisableHTTPChallenge: true,
		ListenHost:           host,
		AltTLSALPNPort:       alpnPort,
		Logger:               zap.NewNop(),
	})}
	d.magic.Store(magic)
	if err := magic.ManageAsync(ctx, d.HTTPS.Domains); err != nil {
		return fmt.Errorf("certificates for %s: %w", strings.Join(d.HTTPS.Domains, ", "), err)
	}
	return d.local.run(ctx)
}

// event is told by certmagic what came of its work.
func (d *domains) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtained":
		d.Health.Clear(codeUnobtained, name)
		d.Log.Info("obtained certificate", "domain", name, "renewal", data["renewal"])
	case "cached_managed_cert":
		d.Log.Info("serving certificate", "domains", data["sans"])
	case "cert_failed":
		// A renewal begins weeks before the end: agents notice nothing yet.
		severity := health.Critical
		if renewal, _ := data["renewal"].(bool); renewal {
			severity = health.Degraded
		}
		d.Health.Raise(health.Warning{
			Code: codeUnobtained, Subject: name, Severity: severity,
			Text: fmt.Sprintf("No certificate could be obtained for %s; it is tried again. The domain must lead to this node and port 443 must reach it from the internet.", name),
		})
		d.Log.Error("obtain certificate", "domain", name, "renewal", data["renewal"], "err", data["error"])
	}
	return nil
}
