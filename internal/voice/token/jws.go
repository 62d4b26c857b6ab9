package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"math/big"
	"slices"
)

// VerifyJWS checks a bare JSON Web Signature in compact serialization (RFC 7515)
// with one key, given as ParseJWK takes it, and nothing else: no claims, no
// time, no "kid", no "typ". It returns the payload, or a *Refusal.
func VerifyJWS(jwk []byte, compact string) ([]byte, error) {
	k, err := ParseJWK(jwk)
	if err != nil {
		return nil, err
	}
	return k.Verify(compact)
}

// Verify checks a bare JSON Web Signature with the key; see VerifyJWS.
func (k *JWK) Verify(compact string) ([]byte, error) {
	payload, bad := k.judge(compact)
	if !bad.ok() {
		return nil, &Refusal{Reason: bad.reason, Part: bad.part}
	}
	return payload, nil
}

func (k *JWK) judge(text string) ([]byte, verdict) {
	var buf []byte
	c, bad := open(text, maxJWS, &buf)
	if !bad.ok() {
		return nil, bad
	}
	h, r := readHeader(newObject(false), c.header)
	if r == "" {
		r = h.plain()
	}
	if r == "" && !slices.Contains(k.algorithms, h.alg) {
		r = ReasonAlgorithmMismatch
		if !slices.Contains(signatureAlgorithms(), h.alg) {
			r = ReasonAlgorithmUnknown
		}
	}
	switch {
	case r != "":
		return nil, verdict{r, Header}
	case len(c.signature) == 0:
		return nil, verdict{ReasonSignatureMissing, Signature}
	case !k.signed(h.alg, c.signed, c.signature):
		return nil, verdict{ReasonSignatureMismatch, Signature}
	}
	return []byte(c.payload), verdict{}
}

// signed reports whether the signature is the key's. alg is one of its own.
func (k *JWK) signed(alg string, signed, signature []byte) bool {
	switch {
	case k.secret != nil:
		return signedBy(alg, k.secret, signed, signature)
	case k.ed25519 != nil:
		return ed25519.Verify(k.ed25519, signed, signature)
	}
	hash := hashOf(alg)
	h := hash.New()
	h.Write(signed)
	digest := h.Sum(nil)
	switch {
	case k.ecdsa != nil:
		// RFC 7518 section 3.4: r and s, each as long as a coordinate.
		size := (k.ecdsa.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(k.ecdsa, digest, r, s)
	case alg[:2] == "PS":
		// RFC 7518 section 3.5: the salt is as long as the hash.
		return rsa.VerifyPSS(k.rsa, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	default:
		return rsa.VerifyPKCS1v15(k.rsa, hash, digest, signature) == nil
	}
}

// hashOf returns the hash that an asymmetric algorithm's name ends with.
func hashOf(alg string) crypto.Hash {
	switch alg[2:] {
	case "384":
		return crypto.SHA384
	case "512":
		return crypto.SHA512
	default:
		return crypto.SHA256
	}
}
