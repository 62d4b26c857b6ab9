package token_test

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"dialtone/internal/voice/token"
)

// libraryAccepts asks golang-jwt, as strict as it can be made.
func libraryAccepts(text string, claims jwt.Claims, key []byte) bool {
	_, err := jwt.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return clock }))
	return err == nil
}

// reader is a way to use a library.
type reader string

const (
	golangJWT       reader = "golang-jwt, strict"
	golangJWTLax    reader = "golang-jwt"
	golangJWTStruct reader = "golang-jwt, strict, into a struct"
	goJose          reader = "go-jose"
	goJoseStdlib    reader = "go-jose, payload by encoding/json"
	jwxJWT          reader = "jwx"
)

func readers() []reader {
	return []reader{golangJWT, golangJWTLax, golangJWTStruct, goJose, goJoseStdlib, jwxJWT}
}

// accepts reports whether the library lets the token of the key in, by signature
// and time, with no leeway.
func (r reader) accepts(text string, key []byte) bool {
	now := func() time.Time { return clock }
	switch r {
	case golangJWT:
		return libraryAccepts(text, jwt.MapClaims{}, key)
	case golangJWTStruct:
		return libraryAccepts(text, &jwt.RegisteredClaims{}, key)
	case golangJWTLax:
		_, err := jwt.ParseWithClaims(text, jwt.MapClaims{}, func(*jwt.Token) (any, error) { return key, nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(now))
		return err == nil
	case goJose:
		t, err := josejwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.HS256})
		if err != nil {
			return false
		}
		var c josejwt.Claims
		return t.Claims(key, &c) == nil && c.ValidateWithLeeway(josejwt.Expected{Time: clock}, 0) == nil
	case goJoseStdlib:
		t, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.HS256})
		if err != nil {
			return false
		}
		payload, err := t.Verify(key)
		var c struct {
			Exp float64 `json:"exp"`
			Sub string  `json:"sub"`
		}
		return err == nil && json.Unmarshal(payload, &c) == nil && c.Exp > float64(clock.Unix())
	default:
		_, err := jwxjwt.ParseString(text, jwxjwt.WithKey(jwa.HS256(), key), jwxjwt.WithValidate(true), jwxjwt.WithClock(jwxjwt.ClockFunc(now)))
		return err == nil
	}
}

// TestWhatLibrariesAccept holds every row of the table "what Go token libraries
// accept that they should not": each is refused with a reason of its own, and each
// library is asked, so that the row is known to be the attack it claims to be. A
// library that becomes stricter fails the test: then the table is out of date.
func TestWhatLibrariesAccept(t *testing.T) {
	good := forge(accessHeader, accessPayload, secret)
	seg := strings.Split(good, ".")
	unsigned := seg[0] + "." + seg[1] + "."
	var special string // a token whose signature is written otherwise in the standard alphabet
	for n := 0; !strings.Contains(special, "-") || !strings.Contains(special, "_"); n++ {
		special = forge(accessHeader, with("alice", strings.Repeat("a", n)), secret)
	}
	rows := []struct {
		name    string
		text    string
		reason  token.Reason
		accepts []reader
	}{
		{"padded signature", good + "=", token.ReasonPadding, []reader{jwxJWT}},
		{"+/ signature", special[:strings.LastIndexByte(special, '.')+1] + standard(special), token.ReasonStandardAlphabet, []reader{jwxJWT}},
		{"non-zero trailing bits", unsigned + stray(seg[2]), token.ReasonTrailingBits, []reader{golangJWTLax, goJose, goJoseStdlib, jwxJWT}},
		{"CR LF inside the signature", unsigned + seg[2][:8] + "\r\n" + seg[2][8:], token.ReasonLineBreak, readers()},
		{"duplicate sub", forge(accessHeader, with(`"sub":`, `"sub":"AC0","sub":`), secret), token.ReasonDuplicateName, []reader{golangJWT, golangJWTLax, golangJWTStruct, goJoseStdlib, jwxJWT}},
		{"duplicate alg, right the second time", forge(`{"alg":"HS512","typ":"JWT","cty":"twilio-fpa;v=1","alg":"HS256"}`, accessPayload, secret), token.ReasonDuplicateName, []reader{golangJWT, golangJWTLax, golangJWTStruct}},
		{"duplicate alg, right the first time", forge(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","alg":"HS512"}`, accessPayload, secret), token.ReasonDuplicateName, []reader{jwxJWT}},
		{"expired exp plus future EXP", forge(accessHeader, with(`"exp":1763833600`, `"exp":1,"EXP":1763833600`), secret), token.ReasonNameCase, []reader{golangJWTStruct, goJoseStdlib}},
		{"unknown crit", forge(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","crit":["x"],"x":1}`, accessPayload, secret), token.ReasonCriticalHeader, []reader{golangJWT, golangJWTLax, golangJWTStruct}},
		{"junk after the claims", forge(accessHeader, accessPayload+"{}", secret), token.ReasonTrailingData, []reader{jwxJWT}},
		{"invalid UTF-8 in a claim", forge(accessHeader, with("alice", "al\xffce"), secret), token.ReasonInvalidUTF8, readers()},
		{"wrong typ", forge(`{"alg":"HS256","typ":"at+jwt","cty":"twilio-fpa;v=1"}`, accessPayload, secret), token.ReasonWrongType, readers()},
	}
	v := verifier(newRing())
	if _, err := v.Verify(context.Background(), good); err != nil {
		t.Fatalf("the unchanged token: %v", err)
	}
	for _, r := range readers() {
		if !r.accepts(good, secret) || r.accepts(forge(accessHeader, accessPayload, authToken), secret) {
			t.Fatalf("%s is not asked rightly", r)
		}
	}
	seen := map[token.Reason]string{}
	for _, row := range rows {
		_, err := v.Verify(context.Background(), row.text)
		if got := refused(t, err).Reason; got != row.reason {
			t.Errorf("%s: refused for %s, want %s", row.name, got, row.reason)
		}
		if i := token.Inspect(row.text); i.Reason != row.reason {
			t.Errorf("%s: inspected as %q, want %s", row.name, i.Reason, row.reason)
		}
		for _, r := range readers() {
			if got := r.accepts(row.text, secret); got != slices.Contains(row.accepts, r) {
				t.Errorf("%s: %s accepts: %t", row.name, r, got)
			}
		}
		if other, ok := seen[row.reason]; ok && !strings.HasPrefix(row.name, "duplicate") {
			t.Errorf("%s and %s share a reason", row.name, other)
		}
		seen[row.reason] = row.name
	}
}

// TestLibraryTokensVerify: golang-jwt's tokens pass our gate, in its own order of
// members and with its own escaping.
func TestLibraryTokensVerify(t *testing.T) {
	for _, method := range []*jwt.SigningMethodHMAC{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
		r := newRing()
		r.keys[keyID] = apiKey{account: account, secret: secret, algorithm: method.Alg()}
		v := verifier(r)
		for _, name := range []string{"bob", "<b>&?", "日本", "é~>", "a\u2028b"} {
			access := jwt.NewWithClaims(method, jwt.MapClaims{
				"jti": keyID + "-1", "iss": keyID, "sub": account,
				"exp": float64(clock.Unix() + 3600), "nbf": float64(clock.Unix()),
				"grants": map[string]any{"identity": name, "voice": map[string]any{
					"incoming": map[string]any{"allow": true}, "outgoing": map[string]any{"application_sid": app},
				}},
			})
			access.Header["cty"] = "twilio-fpa;v=1"
			text, err := access.SignedString(secret)
			if err != nil {
				t.Fatal(err)
			}
			c, err := v.Verify(context.Background(), text)
			if err != nil || c.Identity != name || c.Kind != token.Access || !c.Incoming || c.OutgoingApp != app {
				t.Errorf("%s %q: %+v, %v", method.Alg(), name, c, err)
			}

			legacy := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
				"iss": account, "exp": clock.Unix() + 3600,
				"scope": "scope:client:incoming?clientName=" + url.QueryEscape(name),
			})
			text, err = legacy.SignedString(authToken)
			if err != nil {
				t.Fatal(err)
			}
			if c, err := v.Verify(context.Background(), text); err != nil || c.Identity != name || c.Kind != token.Capability || c.KeyID != authTokenID || c.Account != account {
				t.Errorf("capability %q: %+v, %v", name, c, err)
			}
		}
	}
}

func TestLibraryReadsOurs(t *testing.T) {
	for _, name := range []string{"bob", "<b>&?", "日本", "é~>", "a\u2028b"} {
		access, err := minter().MintAccess(token.AccessGrant{Identity: name, Incoming: true}, clock)
		if err != nil {
			t.Fatal(err)
		}
		claims := jwt.MapClaims{}
		if !libraryAccepts(access, claims, secret) || claims["grants"].(map[string]any)["identity"] != name {
			t.Errorf("%q: golang-jwt reads %v", name, claims)
		}
		capability, err := minter().MintCapability(token.CapabilityGrant{ClientName: name, Incoming: true}, clock)
		if err != nil {
			t.Fatal(err)
		}
		claims = jwt.MapClaims{}
		if !libraryAccepts(capability, claims, authToken) {
			t.Errorf("%q: golang-jwt refuses the capability token", name)
			continue
		}
		_, query, _ := strings.Cut(claims["scope"].(string), "?")
		if v, err := url.ParseQuery(query); err != nil || v.Get("clientName") != name {
			t.Errorf("%q: net/url reads %v, %v", name, v, err)
		}
	}
}

// vendorGrants is what a program with golang-jwt would decode into.
type vendorGrants struct {
	jwt.RegisteredClaims
	Grants struct {
		Identity string `json:"identity"`
		Voice    struct {
			Incoming struct {
				Allow bool `json:"allow"`
			} `json:"incoming"`
			Outgoing struct {
				ApplicationSID string `json:"application_sid"`
			} `json:"outgoing"`
		} `json:"voice"`
	} `json:"grants"`
}

// oneKey has made its only API key already, as a ring in memory has.
type oneKey struct {
	*ring
	key *token.Key
}

func (o oneKey) APIKey(string) (*token.Key, token.Reason) { return o.key, "" }

// TestAllocations holds what make bench measures: at most a quarter of what
// golang-jwt allocates for the same token.
func TestAllocations(t *testing.T) {
	text := must(minter().MintAccess(token.AccessGrant{Identity: "alice", Incoming: true, OutgoingApp: app}, clock))
	keys := oneKey{newRing(), must(token.NewSecretKey(keyID, account, token.HS256, secret))}
	v := token.NewVerifier(keys, nil, func() time.Time { return clock })
	ours := testing.AllocsPerRun(200, func() {
		if _, err := v.Verify(context.Background(), text); err != nil {
			t.Error(err)
		}
	})
	theirs := testing.AllocsPerRun(200, func() {
		if !libraryAccepts(text, &vendorGrants{}, secret) {
			t.Error("golang-jwt refuses")
		}
	})
	if 4*ours > theirs {
		t.Errorf("%.0f allocations, golang-jwt needs %.0f", ours, theirs)
	}
}

func BenchmarkVerify(b *testing.B) {
	text, err := minter().MintAccess(token.AccessGrant{Identity: "alice", Incoming: true, OutgoingApp: app}, clock)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("dialtone", func(b *testing.B) {
		keys := oneKey{newRing(), must(token.NewSecretKey(keyID, account, token.HS256, secret))}
		v := token.NewVerifier(keys, nil, func() time.Time { return clock })
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(context.Background(), text); err != nil {
				b.Fatal(err)
			}
		}
	})
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return clock }))
	lookup := func(*jwt.Token) (any, error) { return secret, nil }
	b.Run("golang-jwt/struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parser.ParseWithClaims(text, &vendorGrants{}, lookup); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("golang-jwt/map", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parser.ParseWithClaims(text, jwt.MapClaims{}, lookup); err != nil {
				b.Fatal(err)
			}
		}
	})
}
