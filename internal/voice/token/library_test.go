package token_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"dialtone/internal/voice/token"
)

// libraryAccepts asks golang-jwt, as strict as it can be made.
func libraryAccepts(text string, claims jwt.Claims, key []byte) bool {
	_, err := jwt.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return clock }))
	return err == nil
}

// TestWhatLibrariesAccept holds every row of the table "what Go token libraries
// accept that they should not": each is refused with a reason of its own. Where
// golang-jwt is said to accept, it is asked, so that the row is known to be the
// attack it claims to be.
func TestWhatLibrariesAccept(t *testing.T) {
	good := forge(accessHeader, accessPayload, secret)
	seg := strings.Split(good, ".")
	unsigned := seg[0] + "." + seg[1] + "."
	rows := []struct {
		name    string
		text    string
		reason  token.Reason
		library bool // golang-jwt accepts it
		folding bool // …when it decodes into a struct
	}{
		{"padded signature", good + "=", token.ReasonPadding, false, false},
		{"+/ signature", unsigned + standard(good), token.ReasonStandardAlphabet, false, false},
		{"non-zero trailing bits", unsigned + stray(seg[2]), token.ReasonTrailingBits, false, false},
		{"CR LF inside the signature", unsigned + seg[2][:8] + "\r\n" + seg[2][8:], token.ReasonLineBreak, true, false},
		{"duplicate sub", forge(accessHeader, with(`"sub":`, `"sub":"AC0","sub":`), secret), token.ReasonDuplicateName, true, false},
		{"duplicate alg", forge(`{"alg":"HS512","typ":"JWT","cty":"twilio-fpa;v=1","alg":"HS256"}`, accessPayload, secret), token.ReasonDuplicateName, true, false},
		{"expired exp plus future EXP", forge(accessHeader, with(`"exp":1763833600`, `"exp":1,"EXP":1763833600`), secret), token.ReasonNameCase, true, true},
		{"unknown crit", forge(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","crit":["x"]}`, accessPayload, secret), token.ReasonCriticalHeader, true, false},
		{"junk after the claims", forge(accessHeader, accessPayload+"{}", secret), token.ReasonTrailingData, false, false},
		{"invalid UTF-8 in a claim", forge(accessHeader, with("alice", "al\xffce"), secret), token.ReasonInvalidUTF8, true, false},
		{"wrong typ", forge(`{"alg":"HS256","typ":"at+jwt","cty":"twilio-fpa;v=1"}`, accessPayload, secret), token.ReasonWrongType, true, false},
	}
	v := verifier(newRing())
	if _, err := v.Verify(context.Background(), good); err != nil || !libraryAccepts(good, jwt.MapClaims{}, secret) {
		t.Fatalf("the unchanged token: %v", err)
	}
	seen := map[token.Reason]string{}
	for _, r := range rows {
		_, err := v.Verify(context.Background(), r.text)
		if got := refused(t, err).Reason; got != r.reason {
			t.Errorf("%s: refused for %s, want %s", r.name, got, r.reason)
		}
		if i := token.Inspect(r.text); i.Reason != r.reason {
			t.Errorf("%s: inspected as %q, want %s", r.name, i.Reason, r.reason)
		}
		var claims jwt.Claims = jwt.MapClaims{}
		if r.folding {
			claims = &jwt.RegisteredClaims{}
		}
		if libraryAccepts(r.text, claims, secret) != r.library {
			t.Errorf("%s: golang-jwt accepts: %t, want %t", r.name, !r.library, r.library)
		}
		if other, ok := seen[r.reason]; ok && !strings.HasPrefix(r.name, "duplicate") {
			t.Errorf("%s and %s share a reason", r.name, other)
		}
		seen[r.reason] = r.name
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
