package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"dialtone/internal/voice/token"
)

func TestParseJWKSet(t *testing.T) {
	k := privates()
	entry := func(key any, alg, use, id string) string {
		return string(must(jose.JSONWebKey{Key: key, Algorithm: alg, Use: use, KeyID: id}.MarshalJSON()))
	}
	rsa := entry(k[token.RS256].Public(), "", "", "rsa")
	weak := strings.Replace(keyCase1024(), "{", `{"kid":"weak",`, 1)
	data := `{"issuer":"x","keys":[` + strings.Join([]string{
		entry(k[token.ES256].Public(), "ES256", "sig", "es"),
		entry(k[token.EdDSA].Public(), "", "sig", "ed"),
		rsa,
		entry(k[token.PS256].Public(), "PS256", "sig", "ps"),
		entry(k[token.RS256], "RS256", "sig", "private"), // as some put by mistake: the world can sign with it
		entry(k[token.RS256].Public(), "RS256", "enc", "enc"),
		entry(k[token.RS256].Public(), "RS512", "sig", "rs512"),
		entry(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).Public(), "ES384", "sig", "es384"),
		entry(secret, "HS256", "sig", "secret"),
		entry(k[token.ES256].Public(), "ES256", "sig", ""),
		`{"kty":"AKP","kid":"new"}`,
		`{"kty":"RSA","kid":"bad","n":1}`,
		`{"kid":"case","kty":"RSA","ALG":"RS256"}`,
		`{"kty":"RSA","kid":7}`,
		`{"kty":"RSA","kid":"a\u0007b"}`,
		`{"kty":"RSA","kid":"` + strings.Repeat("k", 300) + `"}`,
		`"key"`,
		weak,
	}, ",") + `]}`
	set, err := token.ParseJWKSet([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(set.Keys)); !slices.Equal(got, []string{"ed", "es", "ps", "rsa"}) {
		t.Errorf("usable keys: %q", got)
	}
	want := []token.SkippedKey{
		{"private", token.ReasonKeyUnsupported},
		{"enc", token.ReasonKeyUse},
		{"rs512", token.ReasonKeyUnsupported},
		{"es384", token.ReasonKeyUnsupported},
		{"secret", token.ReasonKeyUnsupported},
		{"", token.ReasonKeyIDMissing},
		{"new", token.ReasonKeyUnsupported},
		{"bad", token.ReasonValueType},
		{"case", token.ReasonNameCase},
		{"", token.ReasonValueType},
		{"", token.ReasonKeyMalformed},
		{"", token.ReasonKeyMalformed},
		{"", token.ReasonNotObject},
		{"weak", token.ReasonKeyWeak},
	}
	if !slices.Equal(set.Skipped, want) {
		t.Errorf("skipped:\n got %v\nwant %v", set.Skipped, want)
	}
	for id, alg := range map[string]string{"es": token.ES256, "ed": token.EdDSA, "rsa": token.RS256, "ps": token.PS256} {
		key, err := token.NewPublicKey(id, account, set.Keys[id])
		if err != nil || key.Algorithm() != alg || key.ID() != id {
			t.Errorf("%s: %v, %v", id, key, err)
		}
		for _, private := range []string{`"d"`, `"p"`, `"k"`} {
			if strings.Contains(string(set.Keys[id]), private) {
				t.Errorf("%s keeps a private member", id)
			}
		}
	}

	// The whole way: a token is let in by the key of the set.
	r := newRing()
	r.issuers[ownIssuer] = map[string]apiKey{"rsa": {account: account, public: string(set.Keys["rsa"])}}
	text := must(token.NewMinter(token.Signer{KeyID: "rsa", Private: k[token.RS256], Issuer: ownIssuer, Audience: audience}).
		MintAccess(token.AccessGrant{Identity: "a", Incoming: true}, clock))
	if c, err := verifier(r).Verify(context.Background(), text); err != nil || c.KeyID != "rsa" {
		t.Errorf("%+v, %v", c, err)
	}

	if empty, err := token.ParseJWKSet([]byte(`{"keys":[]}`)); err != nil || len(empty.Keys)+len(empty.Skipped) != 0 {
		t.Errorf("an empty set: %+v, %v", empty, err)
	}
	for name, c := range map[string]struct {
		data   string
		reason token.Reason
	}{
		"a key alone":     {rsa, token.ReasonKeyCount},
		"nothing":         {"", token.ReasonNotJSON},
		"a page":          {"<html>", token.ReasonNotJSON},
		"a list":          {"[" + rsa + "]", token.ReasonNotObject},
		"keys by id":      {`{"keys":{"rsa":` + rsa + `}}`, token.ReasonValueType},
		"keys twice":      {`{"keys":[],"keys":[]}`, token.ReasonDuplicateName},
		"one id twice":    {`{"keys":[` + rsa + `,` + rsa + `]}`, token.ReasonKeyCount},
		"a name twice":    {`{"keys":[{"kid":"a","kid":"b"}]}`, token.ReasonDuplicateName},
		"too many keys":   {`{"keys":[` + strings.Repeat(`{},`, token.MaxKeySetKeys) + `{}]}`, token.ReasonTooLarge},
		"too large a set": {`{"keys":[` + strings.Repeat(" ", token.MaxKeySet) + `]}`, token.ReasonTooLarge},
	} {
		_, err := token.ParseJWKSet([]byte(c.data))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if got := refused(t, err); got.Reason != c.reason || got.Part != token.KeyPart {
			t.Errorf("%s: refused for %s, want %s", name, got.Reason, c.reason)
		}
	}
}

// keyCase1024 is an RSA key that is too weak.
func keyCase1024() string {
	for _, c := range keyCases() {
		if c.reason == token.ReasonKeyWeak && strings.Contains(c.jwk, "RSA") {
			return c.jwk
		}
	}
	panic("no weak RSA key")
}

func FuzzJWKSet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","kid":"a","crv":"P-256","x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY","y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"},{"kty":"OKP","kid":"b","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kid":"a"},{"kid":"a"},1,null,[]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := token.ParseJWKSet(data)
		if err != nil {
			refused(t, err)
			return
		}
		var read struct{ Keys []json.RawMessage }
		if err := json.Unmarshal(data, &read); err != nil || len(read.Keys) != len(set.Keys)+len(set.Skipped) {
			t.Fatalf("%d keys, %d usable and %d skipped: %v", len(read.Keys), len(set.Keys), len(set.Skipped), err)
		}
		for id, jwk := range set.Keys {
			if _, err := token.NewPublicKey(id, account, jwk); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
			if again, err := token.ParseJWKSet(fmt.Appendf(nil, `{"keys":[%s]}`, jwk)); err != nil || len(again.Keys) != 1 {
				t.Fatalf("%s: %+v, %v", jwk, again, err)
			}
		}
	})
}
