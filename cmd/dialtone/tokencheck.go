package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"dialtone/internal/app/certs"
	"dialtone/internal/fault"
	"dialtone/internal/voice/sdk/probe"
	"dialtone/internal/voice/token"
	"dialtone/internal/voice/token/check"
)

// The secrets of a provider that is not a node here: never arguments, which every
// user of the machine could read.
const (
	apiSecret = "DIALTONE_CHECK_API_SECRET"
	authToken = "DIALTONE_CHECK_AUTH_TOKEN"
)

// defaultSample is how many tokens are shown to a live provider.
const defaultSample = 600

type tokenCheck struct {
	place
	Tokens  int     `short:"n" placeholder:"N" help:"How many tokens (default: 100000; with --against 600)."`
	Seed    *uint64 `help:"Draw the same tokens again as with this seed (default: another each time)."`
	JSON    bool    `name:"json" help:"Print the result as one JSON object."`
	Against string  `placeholder:"URL" help:"Show a sample of every cohort to the provider at wss://HOST/signal. Nothing is registered there."`
	Rate    float64 `default:"20" help:"With --against: tokens per second at most (default: ${default})."`
	Timeout string  `placeholder:"DURATION" help:"With --against: when to give up (default: twice what the rate needs, and a minute)."`
	CA      string  `name:"ca" placeholder:"FILE" type:"path" help:"With --against: trust these certificates (PEM), too."`

	IdentityPrefix string `placeholder:"TEXT" help:"What the names in the tokens begin with. With --against it is \"checks\" if not given, to know them by in the provider's reports."`
	ValidOnly      bool   `help:"Leave out the tokens that must be refused."`

	Account   string `placeholder:"AC…" help:"With --against another's provider: the account of the keys."`
	APIKey    string `name:"api-key" placeholder:"SK…" help:"Its API key; the secret is read from DIALTONE_CHECK_API_SECRET. The auth token, for capability tokens, from DIALTONE_CHECK_AUTH_TOKEN."`
	Algorithm string `default:"HS256" enum:"HS256,HS384,HS512" help:"The API key's algorithm (default: ${default})."`
	App       string `placeholder:"AP…" help:"Application that the tokens allow to call (default: AP and the account's digits)."`
}

// checkedNames is what names begin with that a live provider sees. It has neither
// of the characters that cohorts are made of, and does not move them: its length
// is a multiple of three.
const checkedNames = "checks"

func (c *tokenCheck) Run(ctx context.Context, s streams) (err error) {
	seed := uint64(rand.Uint32())
	if c.Seed != nil {
		seed = *c.Seed
	}
	if c.Tokens < 0 || !(c.Rate > 0) {
		return fault.New(fault.Invalid, "--tokens and --rate are more than nothing")
	}
	o := check.Options{Tokens: c.Tokens, Seed: seed, Prefix: c.IdentityPrefix, ValidOnly: c.ValidOnly}
	if c.Against != "" && o.Prefix == "" {
		o.Prefix = checkedNames
	}
	end, err := c.sources(ctx, s, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if c.Against != "" {
		var cancel context.CancelFunc
		if ctx, cancel, err = c.live(ctx, s, &o); err != nil {
			return err
		}
		defer cancel()
	}
	r, err := check.Run(ctx, o)
	if r == nil {
		return err
	}
	if err == nil || r.Unjudged < r.Tokens || c.JSON { // a table of no verdicts would tell nothing
		if writing := c.write(s, r); writing != nil {
			return errors.Join(err, writing)
		}
	}
	switch {
	case err != nil:
		if untrusted := new(tls.CertificateVerificationError); errors.As(err, &untrusted) {
			return fmt.Errorf("the check is not complete: %w (--ca FILE trusts another authority)", err)
		}
		return fmt.Errorf("the check is not complete: %w", err)
	case len(r.Findings) > 0:
		return errors.New(r.Findings[0].Sentence)
	case !r.OK():
		return errors.New("not every token was judged")
	}
	return nil
}

func (c *tokenCheck) write(s streams, r *check.Report) error {
	if !c.JSON {
		return r.Write(s.out)
	}
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		OK bool `json:"ok"`
		*check.Report
	}{r.OK(), r})
}

// sources puts the keys to check with into o; end lets go of what they need.
func (c *tokenCheck) sources(ctx context.Context, s streams, o *check.Options) (end func() error, err error) {
	end = func() error { return nil }
	foreign := c.Account != "" || c.APIKey != ""
	node := c.DataDir != nil || c.Config != ""
	switch {
	case foreign && (c.Against == "" || node):
		return nil, fault.New(fault.Invalid, "--account and --api-key go with --against, and without --data-dir")
	case foreign:
		source, err := c.foreign()
		o.Sources = []check.Source{source}
		return end, err
	case c.Against != "" && !node:
		return nil, fault.New(fault.Invalid, "--against needs keys that the provider knows: --data-dir of a node, or --account and --api-key of another provider")
	}
	if c.Against == "" {
		own, err := check.Own(o.Seed)
		if err != nil {
			return nil, err
		}
		o.Sources = []check.Source{own}
	}
	if !node {
		return end, nil
	}
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return nil, err
	}
	source, left, err := office.CheckSource(ctx)
	if err != nil {
		return nil, errors.Join(err, office.Close())
	}
	for _, sentence := range left {
		fmt.Fprintln(s.err, sentence)
	}
	o.Sources = append(o.Sources, source)
	return office.Close, nil
}

// foreign is the keys of a provider that is not a node here.
func (c *tokenCheck) foreign() (check.Source, error) {
	source := check.Source{Account: c.Account, App: c.App}
	if c.Account == "" {
		return source, fault.New(fault.Invalid, "--account says whose the keys are")
	}
	if c.APIKey != "" {
		secret := os.Getenv(apiSecret)
		if secret == "" {
			return source, fault.New(fault.Invalid, "%s holds no secret of %s", apiSecret, c.APIKey)
		}
		source.Keys = append(source.Keys, check.Key{Kind: token.Access, Account: c.Account, ID: c.APIKey, Algorithm: c.Algorithm, Secret: []byte(secret)})
	}
	if secret := os.Getenv(authToken); secret != "" {
		source.Keys = append(source.Keys, check.Key{Kind: token.Capability, Account: c.Account, ID: c.Account, Algorithm: token.HS256, Secret: []byte(secret)})
	}
	if len(source.Keys) == 0 {
		return source, fault.New(fault.Invalid, "a key is needed: --api-key, or the auth token in %s", authToken)
	}
	return source, nil
}

// live makes the check one of the provider at c.Against.
func (c *tokenCheck) live(ctx context.Context, s streams, o *check.Options) (context.Context, context.CancelFunc, error) {
	roots, err := c.roots()
	if err != nil {
		return nil, nil, err
	}
	p, err := probe.New(probe.Options{URL: c.Against, Roots: roots})
	if err != nil {
		return nil, nil, err
	}
	for i := range o.Sources {
		o.Sources[i].Verifier, o.Sources[i].IdentityOnly = p, true
	}
	o.Sample = c.Tokens
	if o.Sample == 0 {
		o.Sample = defaultSample
	}
	o.Tokens = max(20_000, 10*o.Sample)
	o.Rate, o.GiveUp = c.Rate, 5
	shown := time.Now()
	o.Progress = func(done, total int) {
		if now := time.Now(); now.Sub(shown) >= 5*time.Second {
			shown = now
			fmt.Fprintf(s.err, "%d of %d tokens shown\n", done, total)
		}
	}
	within := 2*time.Duration(float64(o.Sample)/c.Rate*float64(time.Second)) + time.Minute
	if c.Timeout != "" {
		if within, err = time.ParseDuration(c.Timeout); err != nil || within <= 0 {
			return nil, nil, fault.New(fault.Invalid, "--timeout is a duration, such as 2m")
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not all tokens got a verdict within %v", within))
	return ctx, cancel, nil
}

// roots is whom a provider's certificate may come from: the system's, the local
// authority of the data directory, and --ca.
func (c *tokenCheck) roots() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if c.DataDir != nil || c.Config != "" {
		settings, err := c.load()
		if err != nil {
			return nil, err
		}
		// A node with a certificate of its own has no local authority.
		if pem, err := os.ReadFile(filepath.Join(certs.AuthorityDir(settings.DataDir), "ca.pem")); err == nil {
			pool.AppendCertsFromPEM(pem)
		}
	}
	if c.CA == "" {
		return pool, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%v", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "%s holds no certificate", c.CA)
	}
	return pool, nil
}
