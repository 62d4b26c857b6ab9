package token_test

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/token"
)

func minter() *token.Minter {
	return token.NewMinter(token.Signer{Account: account, KeyID: keyID, Secret: secret, AuthToken: authToken})
}

// vendor is testdata/twilio/tokens.json; see the README beside it.
type vendor struct {
	Now       int64
	Account   string
	AuthToken string
	App       string
	Keys      map[string]struct{ ID, Secret string }
	Tokens    []struct {
		Kind, Algorithm, Identity, Text        string
		Incoming, Outgoing, Special, HasParams bool
		Params                                 map[string]string
	}
}

func readVendor(t testing.TB) (vendor, *ring) {
	t.Helper()
	data, err := os.ReadFile("testdata/twilio/tokens.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vendor
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	r := &ring{keys: map[string]apiKey{}, tokens: map[string][]byte{v.Account: []byte(v.AuthToken)}}
	for alg, k := range v.Keys {
		r.keys[k.ID] = apiKey{account: v.Account, secret: []byte(k.Secret), algorithm: alg}
	}
	return v, r
}

func TestVendorTokensVerify(t *testing.T) {
	vendor, ring := readVendor(t)
	if len(vendor.Tokens) < 80 {
		t.Fatalf("only %d tokens", len(vendor.Tokens))
	}
	now := time.Unix(vendor.Now, 0)
	v := token.NewVerifier(ring, nil, func() time.Time { return now })
	for _, w := range vendor.Tokens {
		c, err := v.Verify(context.Background(), w.Text)
		if err != nil {
			t.Errorf("%s %s for %q: %v", w.Algorithm, w.Kind, w.Identity, err)
			continue
		}
		if string(c.Kind) != w.Kind || c.Identity != w.Identity || c.Account != vendor.Account ||
			c.Incoming != w.Incoming || c.Outgoing != w.Outgoing || c.Features.Algorithm != w.Algorithm {
			t.Errorf("%s for %q: %+v", w.Kind, w.Identity, c)
		}
		if w.Outgoing && c.OutgoingApp != vendor.App {
			t.Errorf("%s for %q: application %q", w.Kind, w.Identity, c.OutgoingApp)
		}
		if len(c.OutgoingParams) != len(w.Params) {
			t.Errorf("%s for %q: parameters %v, want %v", w.Kind, w.Identity, c.OutgoingParams, w.Params)
		}
		for name, value := range w.Params {
			if c.OutgoingParams.Get(name) != value {
				t.Errorf("%s for %q: %s is %q, want %q", w.Kind, w.Identity, name, c.OutgoingParams.Get(name), value)
			}
		}
		if i := token.Inspect(w.Text).At(now); i.Reason != "" || i.Claims.Identity != w.Identity {
			t.Errorf("%s for %q: inspected as %s, %q", w.Kind, w.Identity, i.Reason, i.Claims.Identity)
		}
	}
}

// TestMintsTheVendorsBytes compares whole tokens, signature included.
func TestMintsTheVendorsBytes(t *testing.T) {
	vendor, _ := readVendor(t)
	now := time.Unix(vendor.Now, 0)
	compared := 0
	for _, w := range vendor.Tokens {
		key := vendor.Keys[w.Algorithm]
		m := token.NewMinter(token.Signer{
			Account: vendor.Account, KeyID: key.ID, Secret: []byte(key.Secret),
			Algorithm: w.Algorithm, AuthToken: []byte(vendor.AuthToken),
		})
		var params url.Values
		if len(w.Params) > 0 || w.HasParams {
			params = url.Values{}
			for name, value := range w.Params {
				params.Set(name, value)
			}
		}
		var got string
		var err error
		switch {
		case w.Special && w.Identity == "listener":
			got, err = m.MintAccess(token.AccessGrant{Identity: w.Identity, Incoming: true}, now)
		case w.Special:
			continue // scopes and grants that we do not mint
		case w.Kind == "access":
			got, err = m.MintAccess(token.AccessGrant{Identity: w.Identity, Incoming: true, OutgoingApp: vendor.App, OutgoingParams: params}, now)
		default:
			got, err = m.MintCapability(token.CapabilityGrant{ClientName: w.Identity, Incoming: true, OutgoingApp: vendor.App, OutgoingParams: params}, now)
		}
		if err != nil || got != w.Text {
			t.Errorf("%s %s for %q: %v\n got %s\nwant %s", w.Algorithm, w.Kind, w.Identity, err, got, w.Text)
		}
		compared++
	}
	if compared < 80 {
		t.Errorf("compared only %d tokens", compared)
	}
}

func TestMintEverything(t *testing.T) {
	text, err := minter().MintAccess(token.AccessGrant{
		Identity: "alice", TTL: 90*time.Second + time.Millisecond, NotBefore: clock.Add(-time.Second), Incoming: true,
		OutgoingApp: app, OutgoingParams: url.Values{"a": {"1"}, "b": {"2", "3"}}, PushCredential: "CR1", Endpoint: "desk", Region: "ie1",
	}, clock)
	if err != nil {
		t.Fatal(err)
	}
	want := encode(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","twr":"ie1"}`) + "." +
		encode(`{"jti":"`+keyID+`-1763830000","grants":{"identity":"alice","voice":{"incoming":{"allow":true},`+
			`"outgoing":{"application_sid":"`+app+`","params":{"a":"1","b":["2","3"]}},"push_credential_sid":"CR1","endpoint_id":"desk"}},`+
			`"nbf":1763829999,"iat":1763830000,"exp":1763830091,"iss":"`+keyID+`","sub":"`+account+`"}`)
	if !strings.HasPrefix(text, want+".") {
		t.Errorf("minted %s", token.Inspect(text))
	}
	c, err := verifier(newRing()).Verify(context.Background(), text)
	if err != nil || c.OutgoingParams.Encode() != "a=1&b=2&b=3" || c.ID != keyID+"-1763830000" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestMintRefuses(t *testing.T) {
	good := token.Signer{Account: account, KeyID: keyID, Secret: secret, AuthToken: authToken}
	change := func(f func(*token.Signer)) token.Signer { s := good; f(&s); return s }
	alice := token.AccessGrant{Identity: "alice", Incoming: true}
	for name, c := range map[string]struct {
		signer token.Signer
		grant  token.AccessGrant
	}{
		"no account":            {change(func(s *token.Signer) { s.Account = "" }), alice},
		"a key that is none":    {change(func(s *token.Signer) { s.KeyID = account }), alice},
		"no secret":             {change(func(s *token.Signer) { s.Secret = nil }), alice},
		"another algorithm":     {change(func(s *token.Signer) { s.Algorithm = "RS256" }), alice},
		"no identity":           {good, token.AccessGrant{}},
		"a long identity":       {good, token.AccessGrant{Identity: strings.Repeat("a", token.MaxIdentity+1)}},
		"a control character":   {good, token.AccessGrant{Identity: "a\nb"}},
		"invalid UTF-8":         {good, token.AccessGrant{Identity: "\xff"}},
		"a negative lifetime":   {good, token.AccessGrant{Identity: "a", TTL: -time.Second}},
		"more than a day":       {good, token.AccessGrant{Identity: "a", TTL: token.MaxTTL + 1}},
		"parameters for no app": {good, token.AccessGrant{Identity: "a", OutgoingParams: url.Values{"a": {"b"}}}},
		"broken parameters":     {good, token.AccessGrant{Identity: "a", OutgoingApp: app, OutgoingParams: url.Values{"a": {"\xff"}}}},
		"too much":              {good, token.AccessGrant{Identity: "a", OutgoingApp: app, OutgoingParams: url.Values{"a": {strings.Repeat("x", token.MaxSize)}}}},
	} {
		if text, err := token.NewMinter(c.signer).MintAccess(c.grant, clock); text != "" || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for name, g := range map[string]token.CapabilityGrant{
		"nothing allowed":       {ClientName: "a"},
		"incoming for nobody":   {Incoming: true},
		"a control character":   {ClientName: "a\x00", Incoming: true},
		"parameters for no app": {ClientName: "a", Incoming: true, OutgoingParams: url.Values{"a": {"b"}}},
		"more than a day":       {ClientName: "a", Incoming: true, TTL: 25 * time.Hour},
	} {
		if text, err := token.NewMinter(good).MintCapability(g, clock); text != "" || fault.KindOf(err) != fault.Invalid {
			t.Errorf("capability, %s: %q, %v", name, text, err)
		}
	}
	noAuth := change(func(s *token.Signer) { s.AuthToken = nil })
	if _, err := token.NewMinter(noAuth).MintCapability(token.CapabilityGrant{ClientName: "a", Incoming: true}, clock); err == nil {
		t.Error("minted a capability token without an auth token")
	}
}
