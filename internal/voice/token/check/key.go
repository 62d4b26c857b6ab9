package check

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"dialtone/internal/voice/token"
)

// Key is one key that tokens are minted with. A Key of tickets has none of the
// fields of signing: its Source's Tickets issues them.
type Key struct {
	Kind      token.Kind
	Account   string // AC…
	ID        string // SK… or an issuer's kid for access tokens, AT… for capability tokens, "" for tickets
	Algorithm string
	Secret    []byte        // of HS256, HS384, HS512
	Private   crypto.Signer // of ES256 (P-256), EdDSA (Ed25519), RS256, PS256

	Issuer, Audience string // of access tokens of an account's own issuer: their "iss" (https) and "aud"
}

// Label names the key within its kind: the algorithm and the end of the id.
func (k Key) Label() string {
	switch {
	case k.Kind == token.Ticket:
		return "ticket"
	case k.Issuer != "":
		return k.Algorithm + " issuer's " + k.ID
	}
	id := k.ID
	if len(id) > 8 {
		id = id[:2] + "…" + id[len(id)-4:]
	}
	return k.Algorithm + " " + id
}

func (k Key) secret() bool { return k.Private == nil && k.Kind != token.Ticket }

// check says what keeps a key from being one that can sign.
func (k Key) check() error {
	if k.Kind == token.Ticket {
		return nil
	}
	switch key := k.Private.(type) {
	case nil:
		if hashOf(k.Algorithm) != nil && len(k.Secret) > 0 {
			return nil
		}
	case *ecdsa.PrivateKey:
		if k.Algorithm == token.ES256 && key.Params().BitSize == 256 {
			return nil
		}
	case ed25519.PrivateKey:
		if k.Algorithm == token.EdDSA {
			return nil
		}
	case *rsa.PrivateKey:
		if k.Algorithm == token.RS256 || k.Algorithm == token.PS256 {
			return nil
		}
	}
	return fmt.Errorf("the key %s cannot sign with %q", k.Label(), k.Algorithm)
}

func hashOf(algorithm string) func() hash.Hash {
	switch algorithm {
	case token.HS256:
		return sha256.New
	case token.HS384:
		return sha512.New384
	case token.HS512:
		return sha512.New
	default:
		return nil
	}
}

// signer signs for one goroutine: it keeps the state of the keys' hashes.
type signer struct {
	keys map[*Key]hash.Hash
	macs map[string]hash.Hash // with other secrets than the keys'
	salt io.Reader            // of PS256
}

func newSigner(salt io.Reader) *signer {
	return &signer{keys: map[*Key]hash.Hash{}, macs: map[string]hash.Hash{}, salt: salt}
}

func (s *signer) sign(k *Key, text []byte) []byte {
	if k.Private != nil {
		return s.signAs(k, k.Algorithm, nil, text)
	}
	mac := s.keys[k]
	if mac == nil {
		mac = hmac.New(hashOf(k.Algorithm), k.Secret)
		s.keys[k] = mac
	}
	mac.Reset()
	mac.Write(text)
	return mac.Sum(nil)
}

// signAs signs with another secret or algorithm of the HMAC family, if either
// is given, than the key's.
func (s *signer) signAs(k *Key, algorithm string, secret, text []byte) []byte {
	switch key := k.Private.(type) {
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(text)
		return fixed(must(key.Sign(nil, digest[:], crypto.SHA256)))
	case ed25519.PrivateKey:
		return ed25519.Sign(key, text)
	case *rsa.PrivateKey:
		digest := sha256.Sum256(text)
		if algorithm == token.PS256 {
			return must(rsa.SignPSS(s.salt, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}
		return must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]))
	}
	return s.mac(algorithm, secret, text)
}

func (s *signer) mac(algorithm string, secret, text []byte) []byte {
	name := algorithm + string(secret)
	mac := s.macs[name]
	if mac == nil {
		mac = hmac.New(hashOf(algorithm), secret)
		s.macs[name] = mac
	}
	mac.Reset()
	mac.Write(text)
	return mac.Sum(nil)
}

// fixed turns a signature in DER into r and s of 32 bytes each (RFC 7518 section 3.4).
func fixed(der []byte) []byte {
	var r, s big.Int
	in := cryptobyte.String(der)
	var sequence cryptobyte.String
	if !in.ReadASN1(&sequence, asn1.SEQUENCE) || !sequence.ReadASN1Integer(&r) || !sequence.ReadASN1Integer(&s) {
		panic("check: crypto/ecdsa made a signature that is none")
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out
}

// der is the reverse of fixed.
func der(signature []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(signature[:32]))
		b.AddASN1BigInt(new(big.Int).SetBytes(signature[32:]))
	})
	return b.BytesOrPanic()
}

// must is for keys that check has looked at: they can sign.
func must(signature []byte, err error) []byte {
	if err != nil {
		panic("check: " + err.Error())
	}
	return signature
}
