package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"dialtone/internal/fault"
	"dialtone/internal/voice/token"
)

// privates holds a private key of each algorithm of PublicAlgorithms.
var privates = sync.OnceValue(func() map[string]crypto.Signer {
	_, ed := must2(ed25519.GenerateKey(rand.Reader))
	both := must(rsa.GenerateKey(rand.Reader, 2048)) // what it signs is told apart by the pinned algorithm alone
	return map[string]crypto.Signer{
		token.ES256: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		token.EdDSA: ed,
		token.RS256: both,
		token.PS256: both,
	}
})

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// publicKey is the ring's half of a private one.
func publicKey(alg string, key crypto.Signer) apiKey {
	return apiKey{account: account, public: string(must(token.PublicJWK(key.Public(), alg, "")))}
}

// TestPublicAlgorithms lets a token of each algorithm in by a key pinned to it,
// as an API key and as an own issuer's, and nothing else in by that key.
func TestPublicAlgorithms(t *testing.T) {
	for alg, private := range privates() {
		r := newRing()
		pinned := publicKey(alg, private)
		r.keys[keyID] = pinned
		r.issuers[ownIssuer] = map[string]apiKey{"k1": pinned}
		v := verifier(r)
		grant := token.AccessGrant{Identity: "日本?~", Incoming: true, OutgoingApp: app}

		api := must(token.NewMinter(token.Signer{Account: account, KeyID: keyID, Private: private, Algorithm: alg}).MintAccess(grant, clock))
		c, err := v.Verify(context.Background(), api)
		if err != nil || c.Account != account || c.KeyID != keyID || c.Identity != "日本?~" || c.Issuer != "" || c.Features.Algorithm != alg || c.Features.KeyID != keyID {
			t.Errorf("%s: %+v, %v", alg, c, err)
		}
		own := must(token.NewMinter(token.Signer{
			KeyID: "k1", Private: private, Algorithm: alg, Issuer: ownIssuer, Audience: audience,
		}).MintAccess(grant, clock))
		c, err = v.Verify(context.Background(), own)
		if err != nil || c.Kind != token.Access || c.Account != account || c.KeyID != "k1" || c.Issuer != ownIssuer || c.Identity != "日本?~" || c.OutgoingApp != app || c.Features.KeyID != "k1" {
			t.Errorf("%s of an issuer: %+v, %v", alg, c, err)
		}

		// go-jose reads the same.
		jws := must(jose.ParseSignedCompact(api, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)}))
		if _, err := jws.Verify(private.Public()); err != nil {
			t.Errorf("%s: go-jose: %v", alg, err)
		}

		dot := strings.LastIndexByte(api, '.')
		signature := must(base64.RawURLEncoding.DecodeString(api[dot+1:]))
		signature[len(signature)-1] ^= 1
		wrong := map[string]struct {
			text   string
			reason token.Reason
		}{
			"a changed signature":       {api[:dot+1] + base64.RawURLEncoding.EncodeToString(signature), token.ReasonSignatureMismatch},
			"a short signature":         {api[:dot+1] + base64.RawURLEncoding.EncodeToString(signature[:32]), token.ReasonSignatureMismatch},
			"HS256 with the public key": {forge(accessHeader, accessPayload, []byte(pinned.public)), token.ReasonAlgorithmMismatch},
			"no signature":              {api[:dot+1], token.ReasonSignatureMissing},
		}
		for other := range privates() {
			if other == alg {
				continue
			}
			key := privates()[other]
			header := strings.Replace(accessHeader, "HS256", other, 1)
			wrong[other] = struct {
				text   string
				reason token.Reason
			}{must(token.Seal([]byte(header), []byte(accessPayload), other, key)), token.ReasonAlgorithmMismatch}
		}
		for name, w := range wrong {
			_, err := v.Verify(context.Background(), w.text)
			if got := refused(t, err); got.Reason != w.reason {
				t.Errorf("%s, %s: refused for %s, want %s", alg, name, got.Reason, w.reason)
			}
		}
	}
}

// TestES256IsMalleable shows why a token's text is no identity: whoever has seen
// one can write a second that is as good, and both have the same jti.
func TestES256IsMalleable(t *testing.T) {
	private := privates()[token.ES256]
	r := newRing()
	r.keys[keyID] = publicKey(token.ES256, private)
	text := must(token.NewMinter(token.Signer{Account: account, KeyID: keyID, Private: private}).MintAccess(token.AccessGrant{Identity: "a", Incoming: true}, clock))
	dot := strings.LastIndexByte(text, '.')
	signature := must(base64.RawURLEncoding.DecodeString(text[dot+1:]))
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	twin := text[:dot+1] + base64.RawURLEncoding.EncodeToString(signature)
	v := verifier(r)
	one, err := v.Verify(context.Background(), text)
	two, err2 := v.Verify(context.Background(), twin)
	if err != nil || err2 != nil || text == twin || one.ID == "" || one.ID != two.ID {
		t.Errorf("%v, %v: %q and %q", err, err2, one.ID, two.ID)
	}
}

// TestRefusedIssuerTokens: what a stranger's kid says gets into no feature, a
// trusted one does, with the account that trusts it.
func TestRefusedIssuerTokens(t *testing.T) {
	v := verifier(newRing())
	expired := strings.Replace(issuerPayload, "1763833600", "1763830000", 1)
	_, err := v.Verify(context.Background(), forge(issuerHeader, expired, secret))
	if r := refused(t, err); r.Account != account || r.Features.KeyID != "k1" || r.Features.Kind != "access" || r.Identity != "alice" {
		t.Errorf("%+v", r)
	}
	_, err = v.Verify(context.Background(), forge(strings.Replace(issuerHeader, "k1", "a stranger's", 1), expired, secret))
	if r := refused(t, err); r.Account != "" || r.Features.KeyID != "" || r.Reason != token.ReasonUnknownKey {
		t.Errorf("%+v", r)
	}
}

func TestSealRefuses(t *testing.T) {
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for name, c := range map[string]struct {
		alg string
		key any
	}{
		"a secret for ES256":   {token.ES256, secret},
		"P-384 for ES256":      {token.ES256, p384},
		"RSA for EdDSA":        {token.EdDSA, privates()[token.RS256]},
		"EdDSA for HS256":      {token.HS256, privates()[token.EdDSA]},
		"no algorithm":         {"", secret},
		"none":                 {"none", secret},
		"a string as a secret": {token.HS256, "secret"},
		"no key":               {token.HS256, nil},
	} {
		if text, err := token.Seal([]byte("{}"), []byte("{}"), c.alg, c.key); text != "" || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for name, s := range map[string]token.Signer{
		"an issuer without TLS":         {Issuer: "http://a.example", Audience: "a", KeyID: "k", Private: p384},
		"an issuer without an audience": {Issuer: ownIssuer, KeyID: "k", Private: privates()[token.ES256]},
		"an issuer's secret":            {Issuer: ownIssuer, Audience: "a", KeyID: "k", Secret: secret},
		"P-384":                         {Account: account, KeyID: keyID, Private: p384},
		"RSA for ES256":                 {Account: account, KeyID: keyID, Private: privates()[token.RS256], Algorithm: token.ES256},
		"RS512":                         {Account: account, KeyID: keyID, Private: privates()[token.RS256], Algorithm: "RS512"},
	} {
		if text, err := token.NewMinter(s).MintAccess(token.AccessGrant{Identity: "a", Incoming: true}, clock); text != "" || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestParsePrivateKey(t *testing.T) {
	for alg, private := range privates() {
		pkcs8 := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))})
		jwk := must(jose.JSONWebKey{Key: private, KeyID: "k1", Algorithm: alg, Use: "sig"}.MarshalJSON())
		for name, data := range map[string][]byte{"PEM": pkcs8, "JSON Web Key": jwk} {
			key, got, err := token.ParsePrivateKey(data)
			if err != nil {
				t.Errorf("%s as %s: %v", alg, name, err)
				continue
			}
			want := alg
			if name == "PEM" && alg == token.PS256 {
				want = token.RS256 // PEM does not say
			}
			if got != want || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(private.Public()) {
				t.Errorf("%s as %s: another key, or %s", alg, name, got)
			}
			text := must(token.Seal([]byte(`{"alg":"`+alg+`"}`), []byte("x"), alg, key))
			if _, err := token.VerifyJWS([]byte(publicKey(alg, private).public), text); err != nil {
				t.Errorf("%s as %s: %v", alg, name, err)
			}
		}
	}
	weak := must(jose.JSONWebKey{Key: privates()[token.ES256]}.MarshalJSON())
	other := must(jose.JSONWebKey{Key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}.MarshalJSON())
	for name, data := range map[string][]byte{
		"nothing":          nil,
		"a public key":     []byte(publicKey(token.ES256, privates()[token.ES256]).public),
		"a secret":         []byte(`{"kty":"oct","k":"` + encode(strings.Repeat("k", 32)) + `"}`),
		"two halves":       []byte(string(weak[:len(weak)-1]) + `,"d":"AA"}`),
		"another's public": swapD(string(weak), string(other)),
		"P-384":            must(jose.JSONWebKey{Key: must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))}.MarshalJSON()),
		"another's alg":    []byte(strings.Replace(string(weak), "{", `{"alg":"RS256",`, 1)),
		"a certificate":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"broken PEM":       pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
	} {
		if _, _, err := token.ParsePrivateKey(data); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// swapD gives one JSON Web Key the private half of another.
func swapD(one, other string) []byte {
	_, d, _ := strings.Cut(other, `"d":"`)
	d, _, _ = strings.Cut(d, `"`)
	before, rest, _ := strings.Cut(one, `"d":"`)
	_, after, _ := strings.Cut(rest, `"`)
	return []byte(before + `"d":"` + d + `"` + after)
}
