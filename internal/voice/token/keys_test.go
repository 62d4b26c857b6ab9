package token_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"testing"
	"time"

	"dialtone/internal/voice/token"
)

const (
	account  = "AC0123456789abcdef0123456789abcdef"
	keyID    = "SK0123456789abcdef0123456789abcdef"
	app      = "AP0123456789abcdef0123456789abcdef"
	disabled = "SKffffffffffffffffffffffffffffffff"
)

var (
	secret    = []byte("the secret of an API key, thirty-two bytes or more")
	authToken = []byte("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
	clock     = time.Unix(1763830000, 0)
)

type apiKey struct {
	account   string
	secret    []byte
	algorithm string
}

// ring is a key ring in memory.
type ring struct {
	keys    map[string]apiKey
	tokens  map[string][]byte
	off     map[string]bool
	revoked func(token.Claims) bool
}

func newRing() *ring {
	return &ring{
		keys: map[string]apiKey{
			keyID:    {account: account, secret: secret},
			disabled: {account: account, secret: secret},
			"SK384":  {account: account, secret: secret, algorithm: token.HS384},
			"SKnone": {account: account},
		},
		tokens: map[string][]byte{account: authToken},
		off:    map[string]bool{disabled: true},
	}
}

func (r *ring) APIKey(_ context.Context, id string) (string, []byte, bool) {
	k, ok := r.keys[id]
	return k.account, k.secret, ok
}

func (r *ring) AuthToken(_ context.Context, id string) ([]byte, bool) {
	t, ok := r.tokens[id]
	return t, ok
}

func (r *ring) Revoked(_ context.Context, c token.Claims) bool {
	return r.revoked != nil && r.revoked(c)
}
func (r *ring) Algorithm(_ context.Context, id string) string { return r.keys[id].algorithm }
func (r *ring) Disabled(_ context.Context, id string) bool    { return r.off[id] }

func verifier(r *ring) *token.Verifier {
	return token.NewVerifier(r, func() time.Time { return clock })
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// forge signs a header and a payload exactly as they are written.
func forge(header, payload string, key []byte) string {
	text := encode(header) + "." + encode(payload)
	return text + "." + mac(text, key)
}

func mac(text string, key []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

const (
	accessHeader     = `{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1"}`
	capabilityHeader = `{"alg":"HS256","typ":"JWT"}`
	accessPayload    = `{"jti":"` + keyID + `-1","grants":{"identity":"alice","voice":{"incoming":{"allow":true}}},"iat":1763830000,"exp":1763833600,"iss":"` + keyID + `","sub":"` + account + `"}`
)

func scoped(scope string) string {
	return `{"scope":"` + scope + `","iss":"` + account + `","exp":1763833600,"iat":1763830000}`
}

func refused(t *testing.T, err error) *token.Refusal {
	t.Helper()
	r, ok := err.(*token.Refusal) //nolint:errorlint // the contract says it is not wrapped
	if !ok {
		t.Fatalf("error is %T (%v), want *token.Refusal", err, err)
	}
	return r
}
