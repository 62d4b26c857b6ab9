package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"

	"dialtone/internal/fault"
)

// ParsePrivateKey reads what tokens can be signed with, and its algorithm: ES256
// for P-256, EdDSA for Ed25519, RS256 or PS256 for RSA of 2048 bits and more. It
// takes PEM ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"; of an RSA key the
// algorithm is RS256) or a JSON Web Key with its private members, whose "alg"
// decides. Errors are fault.Invalid and hold nothing of the key.
func ParsePrivateKey(data []byte) (crypto.Signer, string, error) {
	var key crypto.Signer
	var alg string
	if block, _ := pem.Decode(data); block != nil {
		key = privateDER(block)
	} else {
		key, alg = privateJWK(data)
	}
	if key == nil {
		return nil, "", fault.New(fault.Invalid, "This is no private key, neither in PEM nor a JSON Web Key.")
	}
	usable := slices.DeleteFunc(algorithmsOf(key.Public()), func(a string) bool {
		return !slices.Contains(PublicAlgorithms(), a) || alg != "" && a != alg
	})
	public, err := PublicJWK(key.Public(), "", "")
	if err == nil {
		_, err = ParseJWK(public)
	}
	if len(usable) == 0 || err != nil {
		return nil, "", fault.New(fault.Invalid, "A private key is for ES256 (P-256), EdDSA (Ed25519), or RS256 or PS256 (RSA of 2048 bits or more).")
	}
	return key, usable[0], nil
}

func privateDER(block *pem.Block) crypto.Signer {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil
	}
	return signer
}

// privateJWK reads a JSON Web Key (RFC 7518 section 6, RFC 8037 section 2).
func privateJWK(data []byte) (crypto.Signer, string) {
	if len(data) > maxJWK {
		return nil, ""
	}
	var w rawJWK
	var d, p, q string
	o := newObject(false)
	o.of(string(data))
	r := o.all(append([]string{"d", "p", "q"}, jwkNames()...), func(name string) Reason {
		switch name {
		case "d":
			return o.text(&d)
		case "p":
			return o.text(&p)
		case "q":
			return o.text(&q)
		default:
			return w.member(o, name)
		}
	})
	if r != "" || w.hasUse && w.use != "sig" || w.hasOps && !slices.Contains(w.ops, "sign") {
		return nil, ""
	}
	w.hasOps = false // what is left to check is the public half
	public, r := w.key()
	secret, r2 := decodeText(d)
	if r != "" || r2 != "" || len(secret) == 0 {
		return nil, ""
	}
	switch {
	case public.ecdsa != nil:
		key, err := ecdsa.ParseRawPrivateKey(public.ecdsa.Curve, secret)
		if err != nil || !key.PublicKey.Equal(public.ecdsa) {
			return nil, ""
		}
		return key, w.alg
	case public.ed25519 != nil:
		if len(secret) != ed25519.SeedSize {
			return nil, ""
		}
		key := ed25519.NewKeyFromSeed(secret)
		if !public.ed25519.Equal(key.Public()) {
			return nil, ""
		}
		return key, w.alg
	case public.rsa != nil:
		primes := make([]*big.Int, 2)
		for i, text := range []string{p, q} {
			prime, ok := integer(text)
			if !ok {
				return nil, ""
			}
			primes[i] = prime
		}
		key := &rsa.PrivateKey{PublicKey: *public.rsa, D: new(big.Int).SetBytes(secret), Primes: primes}
		if key.Validate() != nil {
			return nil, ""
		}
		key.Precompute()
		return key, w.alg
	}
	return nil, ""
}

// PublicJWK returns a public key (*ecdsa.PublicKey, *rsa.PublicKey,
// ed25519.PublicKey) as a JSON Web Key, as NewPublicKey takes it. An algorithm or
// key id of "" is left out. Other keys, and an algorithm that does not go with the
// key, are fault.Invalid.
func PublicJWK(public crypto.PublicKey, algorithm, keyID string) ([]byte, error) {
	if algorithm != "" && !slices.Contains(algorithmsOf(public), algorithm) {
		return nil, fault.New(fault.Invalid, "The key does not go with the algorithm.")
	}
	w := newWriter()
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil || !slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, k.Curve) {
			return nil, fault.New(fault.Invalid, "An elliptic key is of P-256, P-384 or P-521.")
		}
		size := len(point) / 2
		w.text("kty", "EC").text("crv", k.Params().Name).text("x", encoded(point[1:1+size])).text("y", encoded(point[1+size:]))
	case *rsa.PublicKey:
		w.text("kty", "RSA").text("n", encoded(k.N.Bytes())).text("e", encoded(big.NewInt(int64(k.E)).Bytes()))
	case ed25519.PublicKey:
		w.text("kty", "OKP").text("crv", "Ed25519").text("x", encoded(k))
	default:
		return nil, fault.New(fault.Invalid, "A public key is elliptic, RSA or Ed25519.")
	}
	if algorithm != "" {
		w.text("alg", algorithm)
	}
	if keyID != "" {
		w.text("kid", keyID)
	}
	w.end()
	if w.err != nil {
		return nil, fault.New(fault.Invalid, "A key's id is valid UTF-8.")
	}
	return w.buf, nil
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
