package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"slices"

	"dialtone/internal/fault"
)

// Seal signs exactly these bytes as a JSON Web Signature in compact
// serialization, whether they make a token that anyone should accept or not: it
// looks neither at the header, nor at the payload, nor at their size. A Minter
// makes the tokens that are fit to be used.
//
// key is a []byte for HS256, HS384 and HS512, and a crypto.Signer for the others
// (*ecdsa.PrivateKey, *rsa.PrivateKey, ed25519.PrivateKey, or one that keeps such
// a key elsewhere): a P-256 key for ES256, P-384 for ES384, P-521 for ES512, an
// RSA key for RS256 to RS512 and PS256 to PS512, Ed25519 for EdDSA. A key that
// does not go with alg is fault.Invalid.
func Seal(header, payload []byte, alg string, key any) (string, error) {
	out := make([]byte, 0, (len(header)+len(payload)+600)*4/3)
	out = base64.RawURLEncoding.AppendEncode(out, header)
	out = append(out, '.')
	out = base64.RawURLEncoding.AppendEncode(out, payload)
	signature, err := signature(alg, key, out)
	if err != nil {
		return "", err
	}
	out = append(out, '.')
	out = base64.RawURLEncoding.AppendEncode(out, signature)
	return string(out), nil
}

// signature returns what alg demands over signed; see Seal for the keys.
func signature(alg string, key any, signed []byte) ([]byte, error) {
	switch k := key.(type) {
	case []byte:
		if mac := sign(alg, k, signed); mac != nil {
			return mac, nil
		}
	case crypto.Signer:
		if slices.Contains(algorithmsOf(k.Public()), alg) {
			return signatureBy(k, alg, signed)
		}
	}
	return nil, fault.New(fault.Invalid, "The key does not go with the algorithm.")
}

// algorithmsOf returns the algorithms that go with a public key, the one that is
// usual first; none for a key that we cannot use.
func algorithmsOf(public crypto.PublicKey) []string {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return []string{ES256}
		case 384:
			return []string{"ES384"}
		case 521:
			return []string{"ES512"}
		}
	case *rsa.PublicKey:
		return []string{RS256, PS256, "RS384", "RS512", "PS384", "PS512"}
	case ed25519.PublicKey:
		return []string{EdDSA, "Ed25519"}
	}
	return nil
}

func signatureBy(k crypto.Signer, alg string, signed []byte) ([]byte, error) {
	if _, ok := k.Public().(ed25519.PublicKey); ok {
		return k.Sign(nil, signed, crypto.Hash(0))
	}
	hash := hashOf(alg)
	h := hash.New()
	h.Write(signed)
	digest := h.Sum(nil)
	switch public := k.Public().(type) {
	case *ecdsa.PublicKey:
		// RFC 7518 section 3.4: r and s, each as long as a coordinate, not ASN.1.
		der, err := k.Sign(rand.Reader, digest, hash)
		if err != nil {
			return nil, err
		}
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &pair); err != nil {
			return nil, err
		}
		size := (public.Params().BitSize + 7) / 8
		out := make([]byte, 2*size)
		pair.R.FillBytes(out[:size])
		pair.S.FillBytes(out[size:])
		return out, nil
	default:
		if alg[:2] == "PS" {
			return k.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash})
		}
		return k.Sign(rand.Reader, digest, hash)
	}
}
