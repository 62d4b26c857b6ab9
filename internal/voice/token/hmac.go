package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// The algorithms of device tokens (RFC 7518 section 3.2).
const (
	HS256 = "HS256"
	HS384 = "HS384"
	HS512 = "HS512"
	ES256 = "ES256"
	EdDSA = "EdDSA" // RFC 8037
	RS256 = "RS256"
	PS256 = "PS256"
)

// hmacHash returns the hash of an HMAC algorithm, nil when it is none.
func hmacHash(alg string) func() hash.Hash {
	switch alg {
	case HS256:
		return sha256.New
	case HS384:
		return sha512.New384
	case HS512:
		return sha512.New
	default:
		return nil
	}
}

// sign returns the HMAC of signed, nil for an algorithm that is none.
func sign(alg string, secret, signed []byte) []byte {
	h := hmacHash(alg)
	if h == nil {
		return nil
	}
	mac := hmac.New(h, secret)
	mac.Write(signed)
	return mac.Sum(nil)
}

// signedBy reports, in a time that does not depend on the signature's content,
// whether it is the HMAC of signed. An empty secret signs nothing.
func signedBy(alg string, secret, signed, signature []byte) bool {
	want := sign(alg, secret, signed)
	return len(secret) > 0 && len(want) > 0 && hmac.Equal(want, signature)
}
