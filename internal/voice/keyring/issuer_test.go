package keyring_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// jwks is an issuer's server of keys.
type jwks struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int
}

func newJWKS(t *testing.T, answer http.HandlerFunc) *jwks {
	t.Helper()
	j := &jwks{answer: answer}
	j.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.mu.Lock()
		j.asked++
		answer := j.answer
		j.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(j.Close)
	return j
}

func (j *jwks) says(answer http.HandlerFunc) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.answer = answer
}

func (j *jwks) times() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.asked
}

func (j *jwks) issuer() keyring.Issuer {
	return keyring.Issuer{Account: account, Name: "ours", URL: j.URL, JWKS: j.URL + "/keys", Audience: "phones"}
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

func ecKey(t *testing.T, kid, more string) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"%s","x":"%s","y":"%s"%s}`, kid, b64(point[1:33]), b64(point[33:]), more)
}

func rsaKey(t *testing.T, kid string) string {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty":"RSA","kid":"%s","use":"sig","x5c":["MIIB"],"n":"%s","e":"%s"}`, kid, b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes()))
}

func keySet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// clock is a time of its own: requests over real sockets need the real one.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) skip(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func TestIssuer(t *testing.T) {
	first := ecKey(t, "one", `,"use":"sig"`)
	j := newJWKS(t, text(keySet(first, rsaKey(t, "two"), ecKey(t, "", ""), ecKey(t, "enc", `,"use":"enc"`),
		ecKey(t, "leaked", `,"d":"AAAA"`), `{"kty":"oct","kid":"secret","k":"AAAA"}`, `7`)))
	var c clock
	w := newWorld(t, keyring.Options{Client: j.Client(), Now: c.now})
	ctx, cancel := context.WithCancel(t.Context())
	i, err := w.AddIssuer(ctx, j.issuer())
	w.must(err)
	if i.Keys != 2 || i.Fetched.IsZero() {
		t.Errorf("%+v", i)
	}
	for kid, alg := range map[string]string{"one": token.ES256, "two": token.RS256} {
		if k, audience, why := w.IssuerKey(j.URL, kid); why != "" || k.Algorithm() != alg || k.ID() != kid || k.Account() != account || audience != "phones" {
			t.Errorf("%s: %v %v %v", kid, k, audience, why)
		}
	}
	for _, kid := range []string{"", "enc", "leaked", "secret"} {
		if _, _, why := w.IssuerKey(j.URL, kid); why != token.ReasonUnknownKey {
			t.Errorf("kid %q: %q", kid, why)
		}
	}
	if _, _, why := w.IssuerKey(j.URL+"/", "one"); why != token.ReasonUnknownIssuer {
		t.Errorf("another issuer: %q", why)
	}
	again := j.issuer()
	again.Account = other
	_, err = w.AddIssuer(ctx, again)
	w.fails("trusted twice", err, fault.Conflict)

	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	until := func(what string, ok func() bool) {
		t.Helper()
		for range 500 {
			if ok() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("after 5 s: %s", what)
	}
	has := func(kid string) bool {
		_, _, why := w.IssuerKey(j.URL, kid)
		return why == ""
	}

	// A new key is found as soon as a token names it, but not asked for too often.
	j.says(text(keySet(first, ecKey(t, "three", ""))))
	asked := j.times()
	for range 100 {
		has("three")
	}
	time.Sleep(1500 * time.Millisecond)
	if n := j.times(); n != asked {
		t.Errorf("asked %d times for a key within seconds", n-asked)
	}
	c.skip(time.Minute)
	until("the new key", func() bool { return has("three") })
	if has("two") {
		t.Error("a key that the issuer took back is still good")
	}
	if n := j.times(); n != asked+1 {
		t.Errorf("asked %d times", n-asked)
	}

	// Keys stay while they cannot be read.
	j.says(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "secret details", http.StatusInternalServerError)
	})
	c.skip(11 * time.Minute)
	until("a warning", func() bool { return w.warned("issuer_unreadable") })
	if all := w.Issuers(account); !has("one") || all[0].Problem == "" || strings.Contains(all[0].Problem, "secret") || all[0].Keys != 2 {
		t.Errorf("%+v", all)
	}
	j.says(text(keySet(first)))
	c.skip(time.Minute)
	until("the warning's end", func() bool { return !w.warned("issuer_unreadable") })
	if all := w.Issuers(account); len(all) != 1 || all[0].Problem != "" || len(w.Issuers(other)) != 0 {
		t.Errorf("%+v", all)
	}

	// A start while the issuer is away does not shut its devices out.
	j.says(http.NotFound)
	later, err := keyring.Open(t.Context(), keyring.Options{Store: w.store, Client: j.Client(), Now: c.now})
	w.must(err)
	if _, _, why := later.IssuerKey(j.URL, "one"); why != "" {
		t.Errorf("after a start: %q", why)
	}
	if all := later.Issuers(account); len(all) != 1 || all[0].Keys != 1 || all[0].Fetched.IsZero() || all[0].KeySet != nil {
		t.Errorf("after a start: %+v", all)
	}
	w.fails("another account removes it", w.RemoveIssuer(ctx, other, i.ID), fault.NotFound)
	w.must(w.RemoveIssuer(ctx, account, i.ID))
	if _, _, why := w.IssuerKey(j.URL, "one"); why != token.ReasonUnknownIssuer {
		t.Errorf("removed: %q", why)
	}
}

func TestIssuerThatCannotBeTrusted(t *testing.T) {
	good := ecKey(t, "one", "")
	elsewhere := newJWKS(t, text(keySet(good)))
	j := newJWKS(t, nil)
	w := newWorld(t, keyring.Options{Client: j.Client()})
	many := make([]string, 101)
	for i := range many {
		many[i] = good
	}
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/keys", http.StatusFound)
		},
		"a redirect to HTTP": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/other", http.StatusFound)
		},
		"redirects without end": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) },
		"not found":             http.NotFound,
		"no JSON":               text("<html>"),
		"no set":                text(good),
		"no keys":               text(keySet()),
		"no usable key":         text(keySet(`{"kty":"oct","kid":"a","k":"AAAA"}`)),
		"a name twice":          text(`{"keys":[],"keys":[` + good + `]}`),
		"too many keys":         text(keySet(many...)),
		"too large":             text(keySet(good) + strings.Repeat(" ", 256<<10)),
	} {
		j.says(answer)
		_, err := w.AddIssuer(t.Context(), j.issuer())
		w.fails(name, err, fault.Invalid)
	}
	if elsewhere.times() != 0 {
		t.Error("a redirect was followed to another host")
	}
	j.says(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			http.Redirect(w, r, "/moved", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte(keySet(good)))
	})
	asked := j.times()
	for name, change := range map[string]func(*keyring.Issuer){
		"no name":          func(i *keyring.Issuer) { i.Name = "" },
		"no audience":      func(i *keyring.Issuer) { i.Audience = "" },
		"HTTP":             func(i *keyring.Issuer) { i.URL = "http://id.example.com" },
		"keys by HTTP":     func(i *keyring.Issuer) { i.JWKS = "http://id.example.com/keys" },
		"a file":           func(i *keyring.Issuer) { i.JWKS = "file:///etc/passwd" },
		"a user":           func(i *keyring.Issuer) { i.JWKS = "https://a:b@id.example.com/keys" },
		"a very long name": func(i *keyring.Issuer) { i.JWKS = "https://id.example.com/" + strings.Repeat("x", 500) },
	} {
		i := j.issuer()
		change(&i)
		_, err := w.AddIssuer(t.Context(), i)
		w.fails(name, err, fault.Invalid)
	}
	if j.times() != asked {
		t.Error("asked before looking")
	}
	if _, err := w.AddIssuer(t.Context(), j.issuer()); err != nil {
		t.Errorf("moved on the same host: %v", err)
	}

	// By itself a ring asks public addresses alone.
	cautious := newWorld(t, keyring.Options{})
	_, err := cautious.AddIssuer(t.Context(), elsewhere.issuer())
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Invalid || !strings.Contains(f.Message, "not at a public address") {
		t.Errorf("the loopback: %v", err)
	}
	if elsewhere.times() != 0 {
		t.Error("the loopback was asked")
	}
}
