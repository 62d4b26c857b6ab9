package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// What issue 3 wants of verifying a token.
const (
	aimTokenTime   = 0.5  // of golang-jwt's time
	aimTokenAllocs = 0.25 // of its allocations
	aimTokenRing   = 1.1  // of the time for the same tokens with a ring of few keys
)

const (
	tokenRounds  = 15     // in turn, so that what disturbs one disturbs all
	tokenLoops   = 2000   // verifications of a round
	tokenMany    = 100000 // distinct tokens and keys, and revocations of each of three sorts
	tokenSigners = 100    // keys that sign them
)

// tokenStore is a store that holds a ring's contents in memory and nothing else.
type tokenStore struct {
	keyring.Store
	contents keyring.Contents
}

func (s *tokenStore) Ring(context.Context) (keyring.Contents, error) { return s.contents, nil }

// tokenSet is what tokens are made with and checked by.
type tokenSet struct {
	account string
	now     time.Time
	random  *rand.Rand
}

func (s *tokenSet) id(prefix string) string {
	return fmt.Sprintf("%s%016x%016x", prefix, s.random.Uint64(), s.random.Uint64())
}

func (s *tokenSet) signer() token.Signer {
	return token.Signer{Account: s.account, KeyID: s.id("SK"), Secret: []byte(s.id("") + s.id("")[:16])}
}

func (s *tokenSet) mint(signer token.Signer, identity string) (string, error) {
	return token.NewMinter(signer).MintAccess(token.AccessGrant{
		Identity: identity, Incoming: true, OutgoingApp: "AP0123456789abcdef0123456789abcdef",
	}, s.now)
}

func (s *tokenSet) key(signer token.Signer) keyring.Key {
	return keyring.Key{ID: signer.KeyID, Account: signer.Account, Name: "bench", Algorithm: token.HS256, Secret: signer.Secret, Created: s.now}
}

// verifier is the one of a node whose key ring holds this.
func (s *tokenSet) verifier(ctx context.Context, c keyring.Contents) (*token.Verifier, error) {
	now := func() time.Time { return s.now }
	ring, err := keyring.Open(ctx, keyring.Options{Store: &tokenStore{contents: c}, Metrics: prometheus.NewRegistry(), Now: now})
	if err != nil {
		return nil, err
	}
	return token.NewVerifier(ring, ring, now), nil
}

// voiceGrants is what a program would decode our tokens into.
type voiceGrants struct {
	Identity string `json:"identity"`
	Voice    struct {
		Incoming struct {
			Allow bool `json:"allow"`
		} `json:"incoming"`
		Outgoing struct {
			ApplicationSID string `json:"application_sid"`
		} `json:"outgoing"`
	} `json:"voice"`
}

type voiceClaims struct {
	jwt.RegisteredClaims
	Grants voiceGrants `json:"grants"`
}

var errOtherIdentity = errors.New("another identity was read")

// contender verifies the token with the secret by one library, as a program that
// wants its claims would: the algorithm pinned, exp required.
type contender struct {
	name, about string
	verify      func() error
}

func contenders(ctx context.Context, s *tokenSet, signer token.Signer, text string) ([]contender, error) {
	ours, err := s.verifier(ctx, keyring.Contents{Keys: []keyring.Key{s.key(signer)}})
	if err != nil {
		return nil, err
	}
	now := func() time.Time { return s.now }
	secrets := map[string][]byte{signer.KeyID: signer.Secret}

	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(now))
	lookup := func(t *jwt.Token) (any, error) {
		issuer, err := t.Claims.GetIssuer()
		return secrets[issuer], err
	}
	said := func(identity string, err error) error {
		if err == nil && identity != "alice" {
			err = errOtherIdentity
		}
		return err
	}
	return []contender{
		{"dialtone", "Dialtone, gate and key ring included", func() error {
			c, err := ours.Verify(ctx, text)
			return said(c.Identity, err)
		}},
		{"golang_jwt", "golang-jwt, strict, into a struct", func() error {
			var c voiceClaims
			_, err := parser.ParseWithClaims(text, &c, lookup)
			return said(c.Grants.Identity, err)
		}},
		{"go_jose", "go-jose, into a struct", func() error {
			t, err := josejwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.HS256})
			if err != nil {
				return err
			}
			var c josejwt.Claims
			var g struct {
				Grants voiceGrants `json:"grants"`
			}
			if err := t.Claims(signer.Secret, &c, &g); err != nil {
				return err
			}
			return said(g.Grants.Identity, c.Validate(josejwt.Expected{Issuer: signer.KeyID, Time: s.now}))
		}},
		{"jwx", "jwx", func() error {
			t, err := jwxjwt.ParseString(text, jwxjwt.WithKey(jwa.HS256(), signer.Secret), jwxjwt.WithValidate(true), jwxjwt.WithClock(jwxjwt.ClockFunc(now)))
			if err != nil {
				return err
			}
			var grants map[string]any
			if err := t.Get("grants", &grants); err != nil {
				return err
			}
			identity, _ := grants["identity"].(string)
			return said(identity, nil)
		}},
	}, nil
}

// cpuTime is what this process has used of the processors, collecting its garbage
// included: others on the machine do not lengthen it.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("%w: %w", errNotHere, err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// cost is what one call takes on average of n.
func cost(n int, f func(i int) error) (ns, allocs float64, err error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, err := cpuTime()
	if err != nil {
		return 0, 0, err
	}
	for i := range n {
		if err := f(i); err != nil {
			return 0, 0, err
		}
	}
	ended, err := cpuTime()
	if err != nil {
		return 0, 0, err
	}
	runtime.ReadMemStats(&after)
	return float64((ended - began).Nanoseconds()) / float64(n), float64(after.Mallocs-before.Mallocs) / float64(n), nil
}

// measureTokens compares verifying one HS256 access token with the libraries, and
// with itself when tokens, keys and revocations are many.
func measureTokens(ctx context.Context, _ settings, r *report) error {
	s := &tokenSet{account: "AC0123456789abcdef0123456789abcdef", now: time.Now(), random: rand.New(rand.NewPCG(1, 2))}
	signer := s.signer()
	text, err := s.mint(signer, "alice")
	if err != nil {
		return err
	}
	all, err := contenders(ctx, s, signer, text)
	if err != nil {
		return err
	}
	times, allocs := make([][]float64, len(all)), make([][]float64, len(all))
	var ratios []float64
	for round := range tokenRounds {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for i, c := range all {
			ns, n, err := cost(tokenLoops, func(int) error { return c.verify() })
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round == 0 {
				continue // what the first of anything brings is not a token's
			}
			times[i], allocs[i] = append(times[i], ns), append(allocs[i], n)
		}
		if round > 0 {
			ratios = append(ratios, times[0][round-1]/times[1][round-1])
		}
	}
	for i, c := range all {
		r.add("token_"+c.name+"_ns", c.about, "ns CPU", 0, times[i]...)
		r.add("token_"+c.name+"_allocs", "  allocations", "", 0, allocs[i]...)
	}
	r.add("token_time_ratio", "Dialtone's time to golang-jwt's", "", aimTokenTime, ratios...)
	r.add("token_allocs_ratio", "  allocations", "", aimTokenAllocs, quantile(allocs[0], 0.5)/quantile(allocs[1], 0.5))
	return measureManyTokens(ctx, s, r)
}

// measureManyTokens verifies tokens that are all distinct: first with rings that
// hold nothing but the keys needed, then with one that holds as many keys and
// revocations as there are tokens. The tokens and the order are the same.
func measureManyTokens(ctx context.Context, s *tokenSet, r *report) error {
	texts := make([]string, tokenMany)
	var few, many keyring.Contents
	var signers []token.Signer
	for i := range texts {
		signer := s.signer()
		many.Keys = append(many.Keys, s.key(signer))
		if i < tokenSigners {
			few.Keys = many.Keys[:i+1]
			signers = append(signers, signer)
		}
		for of, value := range map[string]string{keyring.OfKey: s.id("SK"), keyring.OfToken: s.id("SK") + "-1", keyring.OfIdentity: "agent-" + s.id("")} {
			many.Revocations = append(many.Revocations, keyring.Revocation{
				ID: s.id("RV"), Account: s.account, Of: of, Value: value, At: s.now, Forever: true,
			})
		}
	}
	for i := range texts {
		var err error
		if texts[i], err = s.mint(signers[i%len(signers)], fmt.Sprintf("agent-%d", i)); err != nil {
			return err
		}
	}
	light, err := s.verifier(ctx, few)
	if err != nil {
		return err
	}
	loadedRing, err := s.verifier(ctx, many)
	if err != nil {
		return err
	}
	runs := []struct {
		verifier *token.Verifier
		texts    []string
		ns       []float64
	}{
		{verifier: light, texts: texts[:1]},
		{verifier: light, texts: texts},
		{verifier: loadedRing, texts: texts},
	}
	var again, loaded []float64
	for round := range tokenRounds {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for i := range runs {
			run := &runs[i]
			from := round * tokenMany / tokenRounds
			ns, _, err := cost(tokenMany/tokenRounds, func(n int) error {
				_, err := run.verifier.Verify(ctx, run.texts[(from+n)%len(run.texts)])
				return err
			})
			if err != nil {
				return err
			}
			run.ns = append(run.ns, ns)
		}
		again = append(again, runs[2].ns[round]/runs[0].ns[round])
		loaded = append(loaded, runs[2].ns[round]/runs[1].ns[round])
	}
	r.add("token_one_ns", "one token again and again, ring of 100 keys", "ns CPU", 0, runs[0].ns...)
	r.add("token_distinct_ns", "100,000 distinct tokens, ring of 100 keys", "ns CPU", 0, runs[1].ns...)
	r.add("token_loaded_ns", "  ring of 100,000 keys, 300,000 revocations", "ns CPU", 0, runs[2].ns...)
	r.add("token_loaded_ratio", "  to the ring of 100 keys", "", aimTokenRing, loaded...)
	r.add("token_loaded_to_one_ratio", "  to one token again and again", "", 0, again...)
	return nil
}
