// Package idp is an identity provider for tests: OpenID Connect's discovery, key
// set, authorization, token and user info endpoints over TLS, with ID tokens
// that are really signed (ES256). It checks its client as a provider should
// (redirect, PKCE, secret, one use a code), and a test can make what it says
// wrong.
//
// Its fields are set before the requests that they are about.
package idp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"
)

// Provider is the identity provider.
type Provider struct {
	*httptest.Server
	ClientID, Secret string

	mu       sync.Mutex
	person   map[string]any // claims of who signs in next
	spoil    func(claims map[string]any)
	sign     *ecdsa.PrivateKey // nil: the published key
	userInfo map[string]any    // what the user info endpoint says; nil: there is none
	key      *ecdsa.PrivateKey
	codes    map[string]grant
	away     bool
}

type grant struct {
	nonce, challenge, redirect string
	person                     map[string]any
}

// New returns a provider that runs until Close.
func New() (*Provider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	p := &Provider{ClientID: "dialtone", Secret: "hush", key: key, codes: map[string]grant{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.info)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		away := p.away
		p.mu.Unlock()
		if away {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	return p, nil
}

// Person sets who signs in from now on: claims as sub, email, email_verified.
func (p *Provider) Person(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.person = claims
}

// Spoil changes the claims of ID tokens before they are signed; nil: not.
func (p *Provider) Spoil(f func(claims map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = f
}

// SignWith signs ID tokens with another key than the published one; nil: with that.
func (p *Provider) SignWith(key *ecdsa.PrivateKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sign = key
}

// UserInfo sets what the user info endpoint says; nil: there is none.
func (p *Provider) UserInfo(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.userInfo = claims
}

// Away makes every endpoint fail.
func (p *Provider) Away(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"ES256"}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
	}
	if p.userInfo != nil {
		d["userinfo_endpoint"] = p.URL + "/userinfo"
	}
	write(w, d)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	point, err := p.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, map[string]any{"keys": []map[string]string{{ // RFC 7518 section 6.2
		"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:]), "kid": "one", "alg": "ES256", "use": "sig",
	}}})
}

// authorize signs the person in at once and sends the browser back.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" ||
		q.Get("nonce") == "" || q.Get("state") == "" {
		http.Error(w, "bad request: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	code := encode(b[:])
	p.mu.Lock()
	p.codes[code] = grant{nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri"), person: p.person}
	p.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	g, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case id != p.ClientID || secret != p.Secret:
		refuse(w, http.StatusUnauthorized, "invalid_client")
	case !known || g.redirect != r.PostFormValue("redirect_uri") || encode(sum[:]) != g.challenge:
		refuse(w, http.StatusBadRequest, "invalid_grant")
	default:
		idToken, err := p.idTokenLocked(g)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		write(w, map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": idToken})
	}
}

func (p *Provider) idTokenLocked(g grant) (string, error) {
	now := time.Now()
	claims := map[string]any{
		"iss": p.URL, "aud": p.ClientID, "nonce": g.nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	maps.Copy(claims, g.person)
	if p.spoil != nil {
		p.spoil(claims)
	}
	key := p.key
	if p.sign != nil {
		key = p.sign
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	// RFC 7515 section 3.1, RFC 7518 section 3.4.
	text := encode([]byte(`{"alg":"ES256","kid":"one"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(text))
	r, t, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	t.FillBytes(signature[32:])
	return text + "." + encode(signature[:]), nil
}

func (p *Provider) info(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer at" || p.userInfo == nil {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	write(w, p.userInfo)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone if it fails
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code}) // as above
}

// Browse goes to the address that a sign-in begins with, as the person's browser
// does, and returns the query of where it is sent back to.
func (p *Provider) Browse(target string) (url.Values, error) {
	client := p.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Get(target)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusFound {
		return nil, fmt.Errorf("the provider answers %s", response.Status)
	}
	back, err := response.Location()
	if err != nil {
		return nil, errors.Join(errors.New("the provider sends nobody back"), err)
	}
	return back.Query(), nil
}
