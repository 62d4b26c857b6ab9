package sso

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"dialtone/internal/talk/people"
)

// provider is one provider and what is known of it.
type provider struct {
	Provider
	client *http.Client

	mu     sync.Mutex
	found  *oidc.Provider
	failed time.Time // when it could not be found the last time
	why    error
}

// discover returns the provider's own description, read once. One request at a
// time asks for it; the others wait for its answer.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if p.why != nil && time.Since(p.failed) < retryAfter {
		return nil, &people.Refused{Problem: people.ProblemUnavailable, Cause: p.why}
	}
	// A browser that goes away must not make it fail for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		p.failed, p.why = time.Now(), fmt.Errorf("discover %s: %w", p.ID, err)
		return nil, &people.Refused{Problem: people.ProblemUnavailable, Cause: p.why}
	}
	p.found, p.why = found, nil
	return found, nil
}

// CallbackPath returns where a provider sends browsers back to.
func CallbackPath(id string) string { return "/api/v1/session/oidc/" + id + "/callback" }

// StartPath returns where a browser's sign-in begins.
func StartPath(id string) string { return "/api/v1/session/oidc/" + id + "/start" }

func (p *provider) config(found *oidc.Provider, site people.Site) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: site.Origin + CallbackPath(p.ID),
		Scopes: append([]string{oidc.ScopeOpenID, "email", "profile"}, p.Scopes...),
	}
}

// redeem exchanges the code for the ID token and checks it.
func (p *provider) redeem(ctx context.Context, found *oidc.Provider, site people.Site, f flow, code, account string) (people.Assertion, error) {
	if code == "" {
		return people.Assertion{}, refused(errors.New("there is no code"))
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), answerWithin)
	defer cancel()
	tokens, err := p.config(found, site).Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return people.Assertion{}, exchangeFailed(err)
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return people.Assertion{}, refused(errors.New("the provider gave no ID token"))
	}
	token, err := found.Verifier(&oidc.Config{ClientID: p.ClientID}).Verify(ctx, raw)
	if err != nil {
		if ctx.Err() != nil || strings.Contains(err.Error(), "fetching keys") {
			return people.Assertion{}, &people.Refused{Problem: people.ProblemUnavailable, Cause: err}
		}
		return people.Assertion{}, refused(fmt.Errorf("verify ID token: %w", err))
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(f.Nonce)) != 1 {
		return people.Assertion{}, refused(errors.New("the ID token was made for another sign-in: nonce"))
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(tokens.AccessToken); err != nil {
			return people.Assertion{}, refused(err)
		}
	}
	var payload json.RawMessage
	if err := token.Claims(&payload); err != nil {
		return people.Assertion{}, refused(err)
	}
	c, err := readClaims(payload, p.RoleClaim)
	if err != nil {
		return people.Assertion{}, refused(err)
	}
	// OpenID Connect Core section 3.1.3.7, steps 4 and 5.
	if c.Party != "" && c.Party != p.ClientID || len(token.Audience) > 1 && c.Party == "" {
		return people.Assertion{}, refused(errors.New("the ID token was made for another client: azp"))
	}
	if c.Email == "" && found.UserInfoEndpoint() != "" {
		if err := p.askUserInfo(ctx, found, tokens, token.Subject, &c); err != nil {
			return people.Assertion{}, err
		}
	}
	return p.assertion(account, token.Subject, c)
}

// askUserInfo reads the e-mail address of those providers that tell it there
// alone (section 5.3).
func (p *provider) askUserInfo(ctx context.Context, found *oidc.Provider, tokens *oauth2.Token, subject string, c *claims) error {
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return &people.Refused{Problem: people.ProblemUnavailable, Cause: fmt.Errorf("ask for the e-mail address: %w", err)}
	}
	if info.Subject != subject { // section 5.3.2
		return refused(errors.New("the user info is of somebody else"))
	}
	c.Email, c.Verified = info.Email, info.EmailVerified
	return nil
}

// assertion says what the claims amount to.
func (p *provider) assertion(account, subject string, c claims) (people.Assertion, error) {
	if people.CheckEmail(c.Email) != nil {
		c.Email, c.Verified = "", false
	}
	if len(p.Domains) > 0 {
		switch {
		case c.Email == "" || !c.Verified:
			return people.Assertion{}, &people.Refused{Problem: people.ProblemUnverified}
		case !slices.ContainsFunc(p.Domains, func(d string) bool { return strings.EqualFold(d, people.DomainOf(c.Email)) }):
			return people.Assertion{}, &people.Refused{
				Problem: people.ProblemUnknown, Cause: fmt.Errorf("subject %s is of another domain", fingerprint(subject)),
			}
		}
	}
	return people.Assertion{
		Account: account, Provider: p.ID, Issuer: p.Issuer, Subject: subject, Email: c.Email, Verified: c.Verified, Name: c.Name,
		Role: p.role(c.Values), Create: p.Create,
	}, nil
}

// role returns the most powerful role of the values: the least one when there
// are rules and none fits, "" when there are no rules.
func (p *provider) role(values []string) people.Role {
	if len(p.Roles) == 0 {
		return ""
	}
	for _, role := range []people.Role{people.Admin, people.TeamLead} {
		for _, v := range values {
			if p.Roles[v] == role {
				return role
			}
		}
	}
	return people.Agent
}

// exchangeFailed tells a provider that says no from one that says nothing. What
// it said may hold the code, so only its error code is kept.
func exchangeFailed(err error) error {
	var said *oauth2.RetrieveError
	if errors.As(err, &said) && said.Response != nil {
		cause := fmt.Errorf("the provider refuses the code: %d %s", said.Response.StatusCode, said.ErrorCode)
		if said.Response.StatusCode < http.StatusInternalServerError {
			return refused(cause)
		}
		return &people.Refused{Problem: people.ProblemUnavailable, Cause: cause}
	}
	return &people.Refused{Problem: people.ProblemUnavailable, Cause: err}
}

// claims are what is read of an ID token besides what the library checks.
type claims struct {
	Email    string
	Verified bool
	Name     string
	Party    string   // azp
	Values   []string // of the role claim
}

const mostValues = 1000

// readClaims reads the payload of an ID token whose signature was checked.
func readClaims(payload []byte, roleClaim string) (claims, error) {
	var c struct {
		Email    string          `json:"email"`
		Verified json.RawMessage `json:"email_verified"`
		Name     string          `json:"name"`
		Party    string          `json:"azp"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return claims{}, fmt.Errorf("read claims: %w", err)
	}
	// Some providers write the truth as a text.
	verified := string(c.Verified) == "true" || string(c.Verified) == `"true"`
	out := claims{Email: c.Email, Verified: verified, Name: c.Name, Party: c.Party}
	if roleClaim == "" {
		return out, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(payload, &all); err != nil {
		return claims{}, fmt.Errorf("read claims: %w", err)
	}
	var one string
	var many []any
	switch value := all[roleClaim]; {
	case value == nil:
	case json.Unmarshal(value, &one) == nil:
		out.Values = []string{one}
	case json.Unmarshal(value, &many) == nil:
		for _, v := range many[:min(len(many), mostValues)] {
			if text, ok := v.(string); ok {
				out.Values = append(out.Values, text)
			}
		}
	}
	return out, nil
}
