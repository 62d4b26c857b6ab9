package ways

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is a company's own, with a key of ES256.
type issuer struct {
	url    string
	client *http.Client
	key    *ecdsa.PrivateKey
}

const audience = "the call centre"

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(set)
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	return &issuer{url: server.URL, client: server.Client(), key: key}
}

// token makes an access token as a sign-in of another vendor's would.
func (i *issuer) token(t *testing.T, name, application string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "one"}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	text, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": i.url, "sub": "user-7", "aud": audience, "jti": "j-" + name, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"grants": map[string]any{
			"identity": name,
			"voice":    map[string]any{"incoming": map[string]any{"allow": true}, "outgoing": map[string]any{"application_sid": application}},
		},
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
