package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"dialtone/internal/config"
	"dialtone/internal/health"
)

// acmeServer is an ACME authority (RFC 8555) for one order: it asks for the
// TLS-ALPN proof at the address and gives the certificate only for a right one.
// It trusts that requests are signed; that is not what is tested here.
type acmeServer struct {
	*httptest.Server
	t      *testing.T
	domain string
	prove  string // where the domain "leads to"
	refuse bool

	mu     sync.Mutex
	jwk    []byte // the account's key, canonical
	proven bool
	chain  []byte
}

func newACME(t *testing.T, domain, prove string) *acmeServer {
	s := &acmeServer{t: t, domain: domain, prove: prove}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *acmeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Replay-Nonce", fmt.Sprint(time.Now().UnixNano()))
	body, _ := io.ReadAll(r.Body)
	header, payload := opened(body)
	if jwk, ok := header["jwk"].(map[string]any); ok {
		s.jwk = fmt.Appendf(nil, `{"crv":"%s","kty":"%s","x":"%s","y":"%s"}`, jwk["crv"], jwk["kty"], jwk["x"], jwk["y"])
	}
	pending := func() string {
		switch {
		case s.chain != nil:
			return "valid"
		case s.proven:
			return "ready"
		}
		return "pending"
	}
	order := func() map[string]any {
		return map[string]any{
			"status": pending(), "identifiers": []any{map[string]string{"type": "dns", "value": s.domain}},
			"authorizations": []string{s.URL + "/authz"}, "finalize": s.URL + "/finalize", "certificate": s.URL + "/cert",
		}
	}
	challenge := func() map[string]any {
		status := "pending"
		if s.proven {
			status = "valid"
		}
		return map[string]any{"type": "tls-alpn-01", "url": s.URL + "/challenge", "token": "a-token", "status": status}
	}
	switch r.URL.Path {
	case "/directory":
		answer(w, 200, map[string]string{"newNonce": s.URL + "/nonce", "newAccount": s.URL + "/account", "newOrder": s.URL + "/order"})
	case "/nonce":
	case "/account":
		w.Header().Set("Location", s.URL+"/account/1")
		answer(w, 201, map[string]string{"status": "valid"})
	case "/order":
		if s.refuse {
			answer(w, 403, map[string]string{"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "not this one"})
			return
		}
		w.Header().Set("Location", s.URL+"/order/1")
		answer(w, 201, order())
	case "/order/1":
		answer(w, 200, order())
	case "/authz":
		status := "pending"
		if s.proven {
			status = "valid"
		}
		answer(w, 200, map[string]any{
			"status": status, "identifier": map[string]string{"type": "dns", "value": s.domain},
			"challenges": []any{challenge()},
		})
	case "/challenge":
		s.proven = s.proof()
		answer(w, 200, challenge())
	case "/finalize":
		var request struct{ CSR string }
		_ = json.Unmarshal(payload, &request)
		s.sign(request.CSR)
		answer(w, 200, order())
	case "/cert":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(s.chain)
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func opened(body []byte) (header map[string]any, payload []byte) {
	var jws struct{ Protected, Payload string }
	_ = json.Unmarshal(body, &jws)
	h, _ := base64.RawURLEncoding.DecodeString(jws.Protected)
	_ = json.Unmarshal(h, &header)
	payload, _ = base64.RawURLEncoding.DecodeString(jws.Payload)
	return header, payload
}

// proof asks the node for the challenge's certificate, as RFC 8737 section 3 says.
func (s *acmeServer) proof() bool {
	c, err := tls.Dial("tcp", s.prove, &tls.Config{ServerName: s.domain, NextProtos: []string{acmeALPN}, InsecureSkipVerify: true})
	if err != nil {
		s.t.Logf("proof: %v", err)
		return false
	}
	defer c.Close()
	thumb := sha256.Sum256(s.jwk)
	want := sha256.Sum256([]byte("a-token." + base64.RawURLEncoding.EncodeToString(thumb[:])))
	for _, e := range c.ConnectionState().PeerCertificates[0].Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) {
			var got []byte
			_, err := asn1.Unmarshal(e.Value, &got)
			return err == nil && bytes.Equal(got, want[:])
		}
	}
	return false
}

func (s *acmeServer) sign(csr string) {
	der, _ := base64.RawURLEncoding.DecodeString(csr)
	request, err := x509.ParseCertificateRequest(der)
	if err != nil || !s.proven {
		s.t.Errorf("finalize: %v, proven %v", err, s.proven)
		return
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: request.DNSNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * day),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, s.Certificate(), request.PublicKey, s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		s.t.Error(err)
	}
	s.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
}

// lines is a log that tells a test what was written.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

func (l lines) wait(t *testing.T, message string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case line := <-l:
			if strings.Contains(line, message) {
				return
			}
		case <-limit:
			t.Fatalf("%q was not logged", message)
		}
	}
}

func serveTLS(t *testing.T, l net.Listener, s *Source) {
	t.Helper()
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(tls.NewListener(l, s.TLSConfig()))
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
}

func TestDomainsGetTheirCertificateByACME(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	acme := newACME(t, "calls.test", l.Addr().String())
	logged := make(lines, 100)
	o := options(t, config.HTTPS{Listen: l.Addr().String(), Domains: []string{"calls.test"}, ACMEDirectory: acme.URL + "/directory"})
	o.ACMERoots = x509.NewCertPool()
	o.ACMERoots.AddCert(acme.Certificate())
	o.Log = slog.New(slog.NewTextHandler(logged, nil))
	s := started(t, o)
	serveTLS(t, l, s)
	logged.wait(t, "serving certificate")

	if got := shown(t, s, "calls.test", o.ACMERoots); len(got.DNSNames) != 1 || got.DNSNames[0] != "calls.test" {
		t.Errorf("the domain's certificate is for %v", got.DNSNames)
	}
	shown(t, s, "localhost", rootsOf(t, o.Dir))
	if w := o.Health.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %v", w)
	}
}

func TestARefusedDomainIsAWarningAndNotTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	acme := newACME(t, "calls.test", l.Addr().String())
	acme.refuse = true
	logged := make(lines, 100)
	o := options(t, config.HTTPS{Listen: l.Addr().String(), Domains: []string{"calls.test"}, ACMEDirectory: acme.URL + "/directory"})
	o.ACMERoots = x509.NewCertPool()
	o.ACMERoots.AddCert(acme.Certificate())
	o.Log = slog.New(slog.NewTextHandler(logged, nil))
	s := started(t, o)
	serveTLS(t, l, s)
	logged.wait(t, "obtain certificate")

	w := o.Health.Warnings()
	if len(w) != 1 || w[0].Code != codeUnobtained || w[0].Subject != "calls.test" || w[0].Severity != health.Critical {
		t.Errorf("warnings: %+v", w)
	}
	shown(t, s, "localhost", rootsOf(t, o.Dir))
}
