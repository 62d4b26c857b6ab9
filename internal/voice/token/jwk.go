package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
)

// JWK is one key that JSON Web Signatures can be checked with (RFC 7517). Only
// its public half is kept, except for an HMAC key.
type JWK struct {
	algorithms []string // the one of "alg", or those that go with the key's type
	secret     []byte
	rsa        *rsa.PublicKey
	ecdsa      *ecdsa.PublicKey
	ed25519    ed25519.PublicKey
}

// Limits of keys and of what they sign.
const (
	maxJWK     = 64 << 10 // bytes of a key or set
	maxJWS     = 64 << 10 // bytes of a bare signature with its payload
	minRSABits = 2048
	maxRSABits = 16384 // more costs more than it protects
)

// ParseJWK reads a JSON Web Key, or a JSON Web Key Set that holds exactly one:
// "oct" (HS256, HS384, HS512), "EC" with P-256, P-384 or P-521, "RSA" of 2048 to
// 16384 bits (RS and PS with 256, 384, 512), "OKP" with Ed25519 (RFC 8037).
//
// The key's "alg" pins the algorithm; without it, its type and curve do. "use"
// must be "sig" and "key_ops" hold "verify" where they are given. The error is a
// *Refusal whose Part is Key.
func ParseJWK(data []byte) (*JWK, error) {
	k, r := readJWK(data)
	if r != "" {
		return nil, &Refusal{Reason: r, Part: KeyPart}
	}
	return k, nil
}

func readJWK(data []byte) (*JWK, Reason) {
	if len(data) > maxJWK {
		return nil, ReasonTooLarge
	}
	var keys []rawJWK
	var single rawJWK
	set := false
	o := newObject(false)
	o.of(string(data))
	r := o.all(append([]string{"keys"}, jwkNames()...), func(name string) Reason {
		if name != "keys" {
			return single.member(o, name)
		}
		set = true
		return o.elements(func() Reason {
			var k rawJWK
			r := o.members(jwkNames(), func(name string) Reason { return k.member(o, name) })
			keys = append(keys, k)
			return r
		})
	})
	switch {
	case r != "":
		return nil, r
	case set && (len(keys) != 1 || single.kty != ""):
		return nil, ReasonKeyCount
	case set:
		single = keys[0]
	}
	return single.key()
}

// rawJWK is a key's members as they were written. The private ones other than
// "k" are of no interest.
type rawJWK struct {
	kty, alg, use, crv string
	k, x, y, n, e      string
	hasAlg, hasUse     bool
	ops                []string
	hasOps             bool
}

func jwkNames() []string {
	return []string{"kty", "alg", "use", "key_ops", "crv", "k", "x", "y", "n", "e"}
}

func (w *rawJWK) member(o *object, name string) Reason {
	switch name {
	case "kty":
		return o.text(&w.kty)
	case "alg":
		w.hasAlg = true
		return o.text(&w.alg)
	case "use":
		w.hasUse = true
		return o.text(&w.use)
	case "crv":
		return o.text(&w.crv)
	case "k":
		return o.text(&w.k)
	case "x":
		return o.text(&w.x)
	case "y":
		return o.text(&w.y)
	case "n":
		return o.text(&w.n)
	case "e":
		return o.text(&w.e)
	default: // key_ops
		w.hasOps = true
		return o.elements(func() Reason {
			var op string
			r := o.text(&op)
			w.ops = append(w.ops, op)
			return r
		})
	}
}

func (w *rawJWK) key() (*JWK, Reason) {
	if w.hasUse && w.use != "sig" || w.hasOps && !slices.Contains(w.ops, "verify") {
		return nil, ReasonKeyUse
	}
	var k JWK
	var r Reason
	switch w.kty {
	case "oct":
		r = w.readOct(&k)
	case "RSA":
		r = w.readRSA(&k)
	case "EC":
		r = w.readEC(&k)
	case "OKP":
		r = w.readOKP(&k)
	case "":
		r = ReasonKeyMalformed
	default:
		r = ReasonKeyUnsupported
	}
	if r != "" {
		return nil, r
	}
	if w.hasAlg {
		if !slices.Contains(k.algorithms, w.alg) {
			return nil, ReasonKeyUnsupported
		}
		k.algorithms = []string{w.alg}
	}
	for _, alg := range k.algorithms {
		if h := hmacHash(alg); w.hasAlg && h != nil && len(k.secret) < h().Size() {
			return nil, ReasonKeyWeak
		}
	}
	return &k, ""
}

func (w *rawJWK) readOct(k *JWK) Reason {
	secret, r := decodeText(w.k)
	switch {
	case r != "" || len(secret) == 0:
		return ReasonKeyMalformed
	case len(secret) < hmacHash(HS256)().Size():
		return ReasonKeyWeak
	}
	k.secret = secret
	for _, alg := range []string{HS256, HS384, HS512} {
		if w.hasAlg || len(secret) >= hmacHash(alg)().Size() {
			k.algorithms = append(k.algorithms, alg)
		}
	}
	return ""
}

func (w *rawJWK) readRSA(k *JWK) Reason {
	n, ok := integer(w.n)
	e, okE := integer(w.e)
	if !ok || !okE {
		return ReasonKeyMalformed
	}
	switch {
	case n.BitLen() > maxRSABits:
		return ReasonKeyUnsupported
	case n.BitLen() < minRSABits:
		return ReasonKeyWeak
	case n.Bit(0) == 0, e.Bit(0) == 0, e.Cmp(big.NewInt(3)) < 0, e.BitLen() > 31:
		return ReasonKeyMalformed
	}
	k.rsa = &rsa.PublicKey{N: n, E: int(e.Int64())}
	k.algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	return ""
}

// integer reads a Base64urlUInt (RFC 7518 section 2): no leading zero byte.
func integer(text string) (*big.Int, bool) {
	b, r := decodeText(text)
	if r != "" || len(b) == 0 || b[0] == 0 {
		return nil, false
	}
	return new(big.Int).SetBytes(b), true
}

func (w *rawJWK) readEC(k *JWK) Reason {
	var curve elliptic.Curve
	switch w.crv {
	case "P-256":
		curve, k.algorithms = elliptic.P256(), []string{"ES256"}
	case "P-384":
		curve, k.algorithms = elliptic.P384(), []string{"ES384"}
	case "P-521":
		curve, k.algorithms = elliptic.P521(), []string{"ES512"}
	default:
		return ReasonKeyUnsupported
	}
	// RFC 7518 section 6.2.1.2: a coordinate has the full length of the field.
	size := (curve.Params().BitSize + 7) / 8
	x, r := decodeText(w.x)
	y, r2 := decodeText(w.y)
	if r != "" || r2 != "" || len(x) != size || len(y) != size {
		return ReasonKeyMalformed
	}
	point := append(append([]byte{4}, x...), y...)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return ReasonKeyMalformed
	}
	k.ecdsa = public
	return ""
}

func (w *rawJWK) readOKP(k *JWK) Reason {
	if w.crv != "Ed25519" {
		return ReasonKeyUnsupported
	}
	x, r := decodeText(w.x)
	if r != "" || len(x) != ed25519.PublicKeySize {
		return ReasonKeyMalformed
	}
	k.ed25519 = x
	k.algorithms = []string{"EdDSA", "Ed25519"} // RFC 8037, RFC 9864
	return ""
}

// public returns the key, nil for a secret.
func (k *JWK) public() crypto.PublicKey {
	switch {
	case k.ecdsa != nil:
		return k.ecdsa
	case k.ed25519 != nil:
		return k.ed25519
	case k.rsa != nil:
		return k.rsa
	default:
		return nil
	}
}

// signatureAlgorithms returns every algorithm that some key can be pinned to.
func signatureAlgorithms() []string {
	return strings.Fields("HS256 HS384 HS512 ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA Ed25519")
}
