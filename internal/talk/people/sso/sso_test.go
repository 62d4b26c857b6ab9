package sso

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/talk/people"
	"dialtone/internal/talk/people/sso/idp"
)

var site = people.Site{Host: "calls.example.com", Origin: "https://calls.example.com"}

func newProvider(t *testing.T) *idp.Provider {
	t.Helper()
	p, err := idp.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.Person(map[string]any{"sub": "s1", "email": "ann@example.com", "email_verified": true, "name": "Ann Smith", "groups": []any{"all", "phone-leads"}})
	return p
}

func company(p *idp.Provider, change func(*Provider)) *Providers {
	one := Provider{ID: "acme", Name: "Acme", Issuer: p.URL, ClientID: p.ClientID, ClientSecret: p.Secret}
	if change != nil {
		change(&one)
	}
	return New(Options{Account: "AC1", Providers: []Provider{one}, Transport: p.Client().Transport})
}

func start(t *testing.T, s *Providers) (target, carry string) {
	t.Helper()
	target, carry, err := s.Start(t.Context(), "acme", site)
	if err != nil {
		t.Fatal(err)
	}
	return target, carry
}

func browse(t *testing.T, p *idp.Provider, target string) url.Values {
	t.Helper()
	q, err := p.Browse(target)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// through goes the whole way.
func through(t *testing.T, p *idp.Provider, s *Providers) (people.Assertion, error) {
	t.Helper()
	target, carry := start(t, s)
	return s.Finish(t.Context(), "acme", site, carry, browse(t, p, target))
}

func wantProblem(t *testing.T, err error, want people.Problem) {
	t.Helper()
	var r *people.Refused
	if !errors.As(err, &r) || r.Problem != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTheWholeWay(t *testing.T) {
	p := newProvider(t)
	s := company(p, func(c *Provider) {
		c.Domains, c.RoleClaim, c.Create = []string{"Example.com"}, "groups", true
		c.Roles = map[string]people.Role{"phone-leads": people.TeamLead, "phone-admins": people.Admin}
	})
	target, carry := start(t, s)
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("redirect_uri") != "https://calls.example.com/api/v1/session/oidc/acme/callback" || q.Get("code_challenge_method") != "S256" ||
		q.Get("scope") != "openid email profile" || strings.Contains(target, "verifier") || strings.Contains(carry, q.Get("state")) {
		t.Errorf("%s, carried %s", target, carry)
	}
	a, err := s.Finish(t.Context(), "acme", site, carry, browse(t, p, target))
	if err != nil {
		t.Fatal(err)
	}
	want := people.Assertion{
		Account: "AC1", Provider: "acme", Issuer: p.URL, Subject: "s1", Email: "ann@example.com", Verified: true, Name: "Ann Smith",
		Role: people.TeamLead, Create: true,
	}
	if a != want {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
	if all := s.List(); len(all) != 1 || all[0] != (Named{"acme", "Acme"}) {
		t.Errorf("%v", all)
	}
}

func TestWhatTheBrowserBringsBack(t *testing.T) {
	p := newProvider(t)
	for name, c := range map[string]struct {
		want people.Problem
		do   func(t *testing.T, s *Providers) error
	}{
		"the same way twice": {people.ProblemExpired, func(t *testing.T, s *Providers) error {
			target, carry := start(t, s)
			if _, err := s.Finish(t.Context(), "acme", site, carry, browse(t, p, target)); err != nil {
				t.Fatal(err)
			}
			again := browse(t, p, target) // with a fresh code
			_, err := s.Finish(t.Context(), "acme", site, carry, again)
			return err
		}},
		"the state of another browser": {people.ProblemExpired, func(t *testing.T, s *Providers) error {
			target, _ := start(t, s)
			_, mine := start(t, s)
			_, err := s.Finish(t.Context(), "acme", site, mine, browse(t, p, target))
			return err
		}},
		"a browser that never began": {people.ProblemExpired, func(t *testing.T, s *Providers) error {
			target, _ := start(t, s)
			_, err := s.Finish(t.Context(), "acme", site, "", browse(t, p, target))
			return err
		}},
		"carried of another node": {people.ProblemExpired, func(t *testing.T, s *Providers) error {
			target, _ := start(t, s)
			_, carry := start(t, company(p, nil))
			_, err := s.Finish(t.Context(), "acme", site, carry, browse(t, p, target))
			return err
		}},
		"another site": {people.ProblemExpired, func(t *testing.T, s *Providers) error {
			target, carry := start(t, s)
			_, err := s.Finish(t.Context(), "acme", people.Site{Host: "b.example", Origin: "https://b.example"}, carry, browse(t, p, target))
			return err
		}},
		"no state": {people.ProblemExpired, func(t *testing.T, s *Providers) error {
			target, carry := start(t, s)
			q := browse(t, p, target)
			q.Del("state")
			_, err := s.Finish(t.Context(), "acme", site, carry, q)
			return err
		}},
		"the code of another sign-in": {people.ProblemRefused, func(t *testing.T, s *Providers) error {
			stolen, _ := start(t, s)
			code := browse(t, p, stolen).Get("code")
			target, carry := start(t, s)
			q := browse(t, p, target)
			q.Set("code", code) // PKCE: its verifier is in another browser
			_, err := s.Finish(t.Context(), "acme", site, carry, q)
			return err
		}},
		"a code that was used": {people.ProblemRefused, func(t *testing.T, s *Providers) error {
			target, carry := start(t, s)
			q := browse(t, p, target)
			if _, err := s.Finish(t.Context(), "acme", site, carry, q); err != nil {
				t.Fatal(err)
			}
			again, carry := start(t, s)
			now := browse(t, p, again)
			now.Set("code", q.Get("code"))
			_, err := s.Finish(t.Context(), "acme", site, carry, now)
			return err
		}},
		"no code": {people.ProblemRefused, func(t *testing.T, s *Providers) error {
			target, carry := start(t, s)
			q := browse(t, p, target)
			q.Del("code")
			_, err := s.Finish(t.Context(), "acme", site, carry, q)
			return err
		}},
		"the answer of another issuer": {people.ProblemRefused, func(t *testing.T, s *Providers) error {
			target, carry := start(t, s)
			q := browse(t, p, target)
			q.Set("iss", "https://evil.example")
			_, err := s.Finish(t.Context(), "acme", site, carry, q)
			return err
		}},
		"the provider says no": {people.ProblemRefused, func(t *testing.T, s *Providers) error {
			target, carry := start(t, s)
			q := browse(t, p, target)
			q.Set("error", "access_denied")
			_, err := s.Finish(t.Context(), "acme", site, carry, q)
			return err
		}},
		"a provider there is not": {people.ProblemRefused, func(t *testing.T, s *Providers) error {
			_, _, err := s.Start(t.Context(), "other", site)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) { wantProblem(t, c.do(t, company(p, nil)), c.want) })
	}
}

func TestWhatTheProviderMustSay(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(name string, value any) func(*idp.Provider) {
		return func(p *idp.Provider) {
			p.Spoil(func(claims map[string]any) {
				if claims[name] = value; value == nil {
					delete(claims, name)
				}
			})
		}
	}
	past, future := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	for name, c := range map[string]struct {
		want  people.Problem
		spoil func(*idp.Provider)
	}{
		"a wrong nonce":              {people.ProblemRefused, spoil("nonce", "other")},
		"no nonce":                   {people.ProblemRefused, spoil("nonce", nil)},
		"a wrong audience":           {people.ProblemRefused, spoil("aud", "other")},
		"two audiences without azp":  {people.ProblemRefused, spoil("aud", []string{"dialtone", "other"})},
		"another party":              {people.ProblemRefused, spoil("azp", "other")},
		"another issuer":             {people.ProblemRefused, spoil("iss", "https://evil.example")},
		"an expired token":           {people.ProblemRefused, spoil("exp", past)},
		"not yet":                    {people.ProblemRefused, spoil("nbf", future)},
		"a key that is not its own":  {people.ProblemRefused, func(p *idp.Provider) { p.SignWith(stranger) }},
		"a wrong secret":             {people.ProblemRefused, func(p *idp.Provider) { p.Secret = "changed" }},
		"an unverified address":      {people.ProblemUnverified, spoil("email_verified", false)},
		"an address nobody verified": {people.ProblemUnverified, spoil("email_verified", nil)},
		"no address":                 {people.ProblemUnverified, spoil("email", nil)},
		"nonsense for an address":    {people.ProblemUnverified, spoil("email", "x@example.com, y@example.com")},
		"another domain":             {people.ProblemUnknown, spoil("email", "ann@example.com.evil.example")},
		"a domain within a name":     {people.ProblemUnverified, spoil("email", "\"ann@example.com\"@evil.example")},
		"user info of another": {people.ProblemRefused, func(p *idp.Provider) {
			p.Spoil(func(claims map[string]any) { delete(claims, "email") })
			p.UserInfo(map[string]any{"sub": "s2", "email": "boss@example.com", "email_verified": true})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			s := company(p, func(c *Provider) { c.Domains = []string{"example.com"} })
			c.spoil(p)
			_, err := through(t, p, s)
			wantProblem(t, err, c.want)
			for _, hidden := range []string{"hush", "eyJ"} {
				if err != nil && strings.Contains(err.Error(), hidden) {
					t.Errorf("%s in %v", hidden, err)
				}
			}
		})
	}
}

func TestTheAddressMayBeInTheUserInfo(t *testing.T) {
	p := newProvider(t)
	p.Spoil(func(claims map[string]any) { delete(claims, "email"); delete(claims, "email_verified") })
	p.UserInfo(map[string]any{"sub": "s1", "email": "ann@example.com", "email_verified": "true"})
	a, err := through(t, p, company(p, nil))
	if err != nil || a.Email != "ann@example.com" || !a.Verified {
		t.Errorf("%+v %v", a, err)
	}
}

// A node starts without its provider, says clearly that it is away, and finds it
// when it is back.
func TestAProviderThatIsAway(t *testing.T) {
	p := newProvider(t)
	p.Away(true)
	s := company(p, nil)
	_, _, err := s.Start(t.Context(), "acme", site)
	wantProblem(t, err, people.ProblemUnavailable)
	p.Away(false)
	_, _, err = s.Start(t.Context(), "acme", site)
	wantProblem(t, err, people.ProblemUnavailable) // it is left alone for a moment
	s.all[0].failed = time.Now().Add(-retryAfter)
	target, carry := start(t, s)
	q := browse(t, p, target)
	p.Away(true)
	_, err = s.Finish(t.Context(), "acme", site, carry, q)
	wantProblem(t, err, people.ProblemUnavailable)

	// One that says nothing does not hold browsers for ever.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := company(p, nil).Start(ctx, "acme", site); err == nil {
		t.Error("found")
	}
}

func TestTheWayTakesTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Providers: []Provider{{ID: "acme", Issuer: "https://id.example"}}})
		f := flow{Provider: "acme", Origin: site.Origin, State: "s", Ends: time.Now().Add(FlowLength).Unix()}
		carry := s.seal.seal(f)
		time.Sleep(FlowLength)
		_, err := s.Finish(t.Context(), "acme", site, carry, url.Values{"state": {"s"}, "code": {"c"}})
		wantProblem(t, err, people.ProblemExpired)
		var r *people.Refused
		if !errors.As(err, &r) || !strings.Contains(fmt.Sprint(r.Cause), "too long") {
			t.Errorf("%v", err)
		}
	})
}

func TestRoles(t *testing.T) {
	p := &provider{Provider: Provider{Roles: map[string]people.Role{"a": people.Admin, "l": people.TeamLead, "g": people.Agent}}}
	for _, c := range []struct {
		values []string
		want   people.Role
	}{
		{nil, people.Agent}, {[]string{"x"}, people.Agent}, {[]string{"g", "l"}, people.TeamLead}, {[]string{"l", "a", "g"}, people.Admin},
	} {
		if got := p.role(c.values); got != c.want {
			t.Errorf("%v: %s", c.values, got)
		}
	}
	if got := (&provider{}).role([]string{"a"}); got != "" {
		t.Errorf("without rules: %s", got)
	}
}

// What a browser carries is outside bytes: nothing but what was sealed here opens.
func FuzzCarried(f *testing.F) {
	s := newSealer()
	good := s.seal(flow{Provider: "a", State: "s", Ends: 1})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good + "\n")
	f.Add("")
	f.Add("AAAA")
	f.Add(strings.Repeat("A", 3000))
	f.Fuzz(func(t *testing.T, carried string) {
		if got, err := s.open(carried); err == nil && (carried != good || got.State != "s") {
			t.Errorf("%q opens: %+v", carried, got)
		}
	})
}

func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{"email":"a@b.c","email_verified":true,"groups":["x","y"]}`, `{"email_verified":"true","groups":"x"}`, `{"groups":[1,null,{}]}`,
		`{"email":1}`, `[]`, `null`, ``, `{"email_verified":1}`, `{"groups":{"a":"b"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := readClaims(payload, "groups")
		if err != nil && (c.Verified || c.Email != "" || c.Values != nil) {
			t.Errorf("%q: %+v with %v", payload, c, err)
		}
		if len(c.Values) > mostValues {
			t.Errorf("%d values", len(c.Values))
		}
	})
}
