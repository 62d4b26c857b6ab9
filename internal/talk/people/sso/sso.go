// Package sso lets people in by their company's identity provider: OpenID
// Connect's authorization code flow with PKCE (OpenID Connect Core 1.0 section
// 3.1, RFC 7636). It speaks the protocol and checks what the provider says; whom
// that lets in is decided by people.
//
// Providers are found when they are first needed, so that a node starts without
// them. What a browser carries between the two ends of the flow is sealed, bound
// to the site and the provider, and good for one return within ten minutes. All
// methods are safe for concurrent use. Codes, tokens and secrets are never
// logged or returned in errors.
package sso

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"dialtone/internal/talk/people"
)

// Provider is a company's identity provider.
type Provider struct {
	ID           string // in addresses: small letters, digits and -
	Name         string // on the button
	Issuer       string // https URL
	ClientID     string
	ClientSecret string   // "" for a public client
	Domains      []string // of e-mail addresses that are let in; empty: all
	Scopes       []string // besides openid, email and profile
	RoleClaim    string   // claim that Roles are looked up by: a text or a list of texts
	Roles        map[string]people.Role
	Create       bool // somebody unknown is added
}

// Options is what Providers are made of.
type Options struct {
	Account   string // that the providers' people belong to
	Providers []Provider
	Transport http.RoundTripper // nil: http.DefaultTransport
}

// Providers are the identity providers of an account.
type Providers struct {
	account string
	client  *http.Client
	all     []*provider
	seal    *sealer

	mu   sync.Mutex
	used map[[32]byte]time.Time // states that came back, until they end
}

const (
	// answerWithin bounds each request to a provider, largestAnswer what is read of it.
	answerWithin  = 10 * time.Second
	largestAnswer = 1 << 20
	// retryAfter is how long a provider that could not be found is left alone.
	retryAfter = 5 * time.Second
	// FlowLength is how long a person may take at the provider.
	FlowLength = 10 * time.Minute
	// mostUsed is how many states that came back are remembered.
	mostUsed = 50_000
)

// New returns the providers. It asks none of them.
func New(o Options) *Providers {
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	p := &Providers{
		account: o.Account, seal: newSealer(), used: map[[32]byte]time.Time{},
		client: &http.Client{Transport: bounded{o.Transport}, Timeout: answerWithin},
	}
	for _, one := range o.Providers {
		p.all = append(p.all, &provider{Provider: one, client: p.client})
	}
	return p
}

// Named is a provider as a sign-in page shows it.
type Named struct{ ID, Name string }

// List returns the providers in the order of the configuration.
func (p *Providers) List() []Named {
	all := []Named{}
	for _, one := range p.all {
		all = append(all, Named{one.ID, one.Name})
	}
	return all
}

func (p *Providers) find(id string) (*provider, error) {
	at := slices.IndexFunc(p.all, func(one *provider) bool { return one.ID == id })
	if at < 0 {
		return nil, &people.Refused{Problem: people.ProblemRefused, Cause: errors.New("no such provider")}
	}
	return p.all[at], nil
}

// Start returns where the browser is to go, and what it is to carry there and
// back (a cookie's value). The error is a *people.Refused.
func (p *Providers) Start(ctx context.Context, id string, site people.Site) (target, carry string, err error) {
	one, err := p.find(id)
	if err != nil {
		return "", "", err
	}
	found, err := one.discover(ctx)
	if err != nil {
		return "", "", err
	}
	f := flow{
		Provider: id, Origin: site.Origin, State: oauth2.GenerateVerifier(), Nonce: oauth2.GenerateVerifier(),
		Verifier: oauth2.GenerateVerifier(), Ends: time.Now().Add(FlowLength).Unix(),
	}
	target = one.config(found, site).AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier))
	return target, p.seal.seal(f), nil
}

// Finish returns what the provider vouches for, when the browser has come back
// with the query and what it carried. The error is a *people.Refused.
func (p *Providers) Finish(ctx context.Context, id string, site people.Site, carried string, query url.Values) (people.Assertion, error) {
	one, err := p.find(id)
	if err != nil {
		return people.Assertion{}, err
	}
	f, err := p.seal.open(carried)
	if err != nil {
		return people.Assertion{}, &people.Refused{Problem: people.ProblemExpired, Cause: err}
	}
	now := time.Now()
	switch {
	case f.Provider != id || f.Origin != site.Origin:
		return people.Assertion{}, expired("begun for another provider or site")
	case now.Unix() >= f.Ends:
		return people.Assertion{}, expired("took too long")
	case subtle.ConstantTimeCompare([]byte(f.State), []byte(query.Get("state"))) != 1:
		return people.Assertion{}, expired("the state is another's")
	case !p.once(now, f):
		return people.Assertion{}, expired("came back before")
	}
	if code := query.Get("error"); code != "" {
		return people.Assertion{}, refused(fmt.Errorf("the provider says %.60q", code))
	}
	// RFC 9207: whose answer this is, if the provider says so.
	if iss := query.Get("iss"); iss != "" && iss != one.Issuer {
		return people.Assertion{}, refused(errors.New("the answer is of another issuer"))
	}
	found, err := one.discover(ctx)
	if err != nil {
		return people.Assertion{}, err
	}
	return one.redeem(ctx, found, site, f, query.Get("code"), p.account)
}

// once reports whether the flow comes back for the first time.
func (p *Providers) once(now time.Time, f flow) bool {
	key := sha256.Sum256([]byte(f.State))
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, again := p.used[key]; again {
		return false
	}
	if len(p.used) >= mostUsed {
		for old, ends := range p.used {
			if !now.Before(ends) {
				delete(p.used, old)
			}
		}
	}
	if len(p.used) >= mostUsed {
		return false // nobody returns so often
	}
	p.used[key] = time.Unix(f.Ends, 0)
	return true
}

func expired(why string) error {
	return &people.Refused{Problem: people.ProblemExpired, Cause: errors.New(why)}
}

func refused(cause error) error {
	return &people.Refused{Problem: people.ProblemRefused, Cause: cause}
}

// bounded cuts off what a provider says too much.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, largestAnswer), response.Body}
	}
	return response, err
}

// fingerprint names a provider's id of somebody in logs.
func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}
