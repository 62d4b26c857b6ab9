package token_test

import (
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
	retired  = "SKeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

	authTokenID = "AT0123456789abcdef0123456789abcdef"
	ownIssuer   = "https://login.example/tenant"
	audience    = "dialtone"
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
	public    string // JSON Web Key; then without a secret
}

// ring is a key ring in memory.
type ring struct {
	keys    map[string]apiKey
	tokens  map[string][]byte
	off     map[string]bool
	retired map[string]bool
	issuers map[string]map[string]apiKey // by "iss" and "kid"
	closed  map[token.Kind]bool
	revoked func(token.Claims) bool
}

func newRing() *ring {
	return &ring{
		keys: map[string]apiKey{
			keyID:    {account: account, secret: secret},
			disabled: {account: account, secret: secret},
			retired:  {account: account, secret: secret},
			"SK384":  {account: account, secret: secret, algorithm: token.HS384},
			"SKnone": {account: account},
		},
		tokens:  map[string][]byte{account: authToken},
		off:     map[string]bool{disabled: true},
		retired: map[string]bool{retired: true},
		issuers: map[string]map[string]apiKey{ownIssuer: {"k1": {account: account, secret: secret}}},
	}
}

func (r *ring) APIKey(id string) (*token.Key, token.Reason) {
	k, ok := r.keys[id]
	switch {
	case r.off[id]:
		return nil, token.ReasonKeyDisabled
	case r.retired[id]:
		return nil, token.ReasonKeyRetired
	case !ok || len(k.secret) == 0 && k.public == "":
		return nil, token.ReasonUnknownKey
	}
	return k.key(id), ""
}

func (k apiKey) key(id string) *token.Key {
	if k.public != "" {
		return must(token.NewPublicKey(id, k.account, []byte(k.public)))
	}
	return must(token.NewSecretKey(id, k.account, k.algorithm, k.secret))
}

func (r *ring) AuthTokens(id string) ([]*token.Key, token.Reason) {
	t, ok := r.tokens[id]
	switch {
	case r.off[id]:
		return nil, token.ReasonKeyDisabled
	case !ok || len(t) == 0:
		return nil, token.ReasonUnknownAccount
	}
	return []*token.Key{must(token.NewSecretKey(authTokenID, id, token.HS256, t))}, ""
}

func (r *ring) IssuerKey(iss, kid string) (*token.Key, string, token.Reason) {
	keys, ok := r.issuers[iss]
	if !ok {
		return nil, "", token.ReasonUnknownIssuer
	}
	k, ok := keys[kid]
	if !ok {
		return nil, "", token.ReasonUnknownKey
	}
	return k.key(kid), audience, ""
}

func (r *ring) Closed(_ string, way token.Kind, _ time.Time) bool { return r.closed[way] }

func (r *ring) Revoked(c *token.Claims) bool { return r.revoked != nil && r.revoked(*c) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func verifier(r *ring) *token.Verifier {
	return token.NewVerifier(r, nil, func() time.Time { return clock })
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

const (
	issuerHeader  = `{"alg":"HS256","typ":"at+jwt","kid":"k1"}`
	issuerPayload = `{"iss":"` + ownIssuer + `","aud":"` + audience + `","sub":"user|7","grants":{"identity":"alice","voice":{"incoming":{"allow":true}}},"scope":["openid"],"iat":1763830000,"exp":1763833600}`
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
