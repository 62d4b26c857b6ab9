package token_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"dialtone/internal/event"
	"dialtone/internal/voice/token"
)

// FuzzClaims signs any header and payload. What we accept, golang-jwt and
// encoding/json read as well and in the same sense; what we refuse has a reason
// of the list, and an inspection without a key agrees.
func FuzzClaims(f *testing.F) {
	f.Add(accessHeader, accessPayload)
	f.Add(capabilityHeader, scoped("scope:client:outgoing?appSid=AP1&clientName=a%3F scope:client:incoming?clientName=a%3F"))
	f.Add(accessHeader, with("1763833600", "1.7638336e9"))
	f.Add(accessHeader, with(`"sub":`, `"x":[{"y":1}],"sub":`))
	f.Add(`{"\u0061lg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1"}`, accessPayload)
	f.Add(accessHeader, with("alice", "日本"))
	f.Add(accessHeader, with(`{"incoming":{"allow":true}}`, `{"outgoing":{"application_sid":"AP1","params":{"a":[1,"b",null]}}}`))
	f.Add(`{"alg":"none"}`, `{"exp":1,"EXP":2}`)
	f.Add(issuerHeader, issuerPayload)
	f.Add(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","kid":"k1"}`, strings.Replace(issuerPayload, `"`+audience+`"`, `["x","`+audience+`"]`, 1))
	r := newRing()
	v := verifier(r)
	reasons := map[token.Reason]bool{}
	for _, reason := range token.Reasons() {
		reasons[reason] = true
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		key := secret
		if !strings.Contains(header, "cty") && !strings.Contains(payload, "https:") {
			key = authToken
		}
		text := forge(header, payload, key)
		c, err := v.Verify(context.Background(), text)
		i := token.Inspect(text)
		if shown := i.String(); strings.IndexFunc(shown, func(c rune) bool { return c != '\n' && unicode.IsControl(c) }) >= 0 || !utf8.ValidString(shown) {
			t.Fatalf("the inspection holds control characters: %q", shown)
		}
		if err != nil {
			if r := refused(t, err); !reasons[r.Reason] {
				t.Fatalf("reason %q is not in the list", r.Reason)
			}
			return
		}
		if i.Reason != "" || i.At(clock).Reason != "" || i.Claims.Identity != c.Identity || unkeyed(i.Features) != unkeyed(c.Features) {
			t.Fatalf("accepted, but inspected as %q: %+v, %+v", i.At(clock).Reason, i.Claims, c)
		}
		claims := jwt.MapClaims{}
		if !json.Valid([]byte(header)) || !json.Valid([]byte(payload)) || !libraryAccepts(text, claims, key) {
			t.Fatalf("we accept %s . %s, golang-jwt does not", header, payload)
		}
		want := map[token.Kind]string{token.Access: c.KeyID, token.Capability: c.Account}[c.Kind]
		if c.Issuer != "" {
			want = c.Issuer
		}
		if issuer, _ := claims.GetIssuer(); issuer != want {
			t.Fatalf("issuer %q, golang-jwt reads %q", want, issuer)
		}
		if exp, _ := claims.GetExpirationTime(); exp == nil || exp.Unix() != c.Expires.Unix() {
			t.Fatalf("expires %v, golang-jwt reads %v", c.Expires, exp)
		}
		if c.Kind == token.Access {
			if identity := claims["grants"].(map[string]any)["identity"]; identity != c.Identity {
				t.Fatalf("identity %q, golang-jwt reads %q", c.Identity, identity)
			}
		}
	})
}

// unkeyed is what of the features can be seen without the keys.
func unkeyed(f event.TokenFeatures) event.TokenFeatures {
	f.KeyID = ""
	return f
}

// FuzzVerify brings any text: nothing but a text that a key signed is accepted,
// and looking at it never fails.
func FuzzVerify(f *testing.F) {
	good := forge(accessHeader, accessPayload, secret)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good + "=")
	f.Add(strings.Replace(good, ".", ".\n", 1))
	f.Add(strings.Repeat("0a", 32))
	f.Add("a.b.c")
	f.Add("..")
	v := verifier(newRing())
	f.Fuzz(func(t *testing.T, text string) {
		c, err := v.Verify(context.Background(), text)
		i := token.Inspect(text)
		if (err == nil) != (text == good) {
			t.Fatalf("%q: %+v, %v", text, c, err)
		}
		if err == nil {
			return
		}
		r := refused(t, err)
		if unkeyed(r.Features) != unkeyed(i.Features) || r.Features.Size != len(text) {
			t.Fatalf("%q: features %+v, inspected %+v", text, r.Features, i.Features)
		}
		if i.Reason != "" && r.Reason != i.Reason && r.Reason != token.ReasonSignatureMismatch && r.Reason.Class() != token.Unauthorized && r.Reason != token.ReasonAlgorithmMismatch {
			t.Fatalf("%q: refused for %s, inspected as %s", text, r.Reason, i.Reason)
		}
		if !utf8.ValidString(i.String()) {
			t.Fatalf("%q: the inspection is not text", text)
		}
	})
}

func FuzzJWK(f *testing.F) {
	for _, c := range keyCases() {
		if len(c.jwk) < 2000 {
			f.Add([]byte(c.jwk))
		}
	}
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY","y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"}`))
	f.Add([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`))
	unsigned := encode(`{"alg":"HS256"}`) + "." + encode("x") + "." + encode(strings.Repeat("\x00", 32))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := token.ParseJWK(data)
		if err != nil {
			if r := refused(t, err); r.Part != token.KeyPart {
				t.Fatalf("part %q", r.Part)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("a key that is no JSON: %q", data)
		}
		if _, err := key.Verify(unsigned); err == nil {
			t.Fatalf("the key %s accepts zeros", data)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			t.Fatal(err)
		}
		if _, set := members["keys"]; set || len(data) > 1000 {
			return
		}
		if _, err := token.ParseJWK([]byte(`{"keys":[` + string(data) + `]}`)); err != nil {
			t.Fatalf("accepted alone but not in a set: %s", data)
		}
	})
}
