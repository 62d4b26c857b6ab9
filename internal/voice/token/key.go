package token

import (
	"crypto/hmac"
	"slices"

	"dialtone/internal/fault"
)

// Key is one key that tokens are checked with, and the one algorithm that it
// signs with. It does not change and may be used by many goroutines.
type Key struct {
	id, account, algorithm string

	padded padded // of an HMAC key
	public *JWK   // of any other, else nil
}

// NewSecretKey returns a key of HS256 (also for ""), HS384 or HS512; fault.Invalid
// for another algorithm and for an empty secret.
func NewSecretKey(id, account, algorithm string, secret []byte) (*Key, error) {
	if algorithm == "" {
		algorithm = HS256
	}
	newHash := hmacHash(algorithm)
	switch {
	case newHash == nil:
		return nil, fault.New(fault.Invalid, "The algorithm of a secret is HS256, HS384 or HS512.")
	case len(secret) == 0:
		return nil, fault.New(fault.Invalid, "A key needs a secret.")
	}
	p, ok := pad(newHash, secret)
	if !ok {
		return nil, fault.New(fault.Internal, "The hash of %s cannot be resumed.", algorithm)
	}
	return &Key{id: id, account: account, algorithm: algorithm, padded: p}, nil
}

// NewPublicKey returns a key of ES256, EdDSA, RS256 or PS256 from the JSON Web Key
// of its public half. The key's "alg" pins the algorithm; RSA keys need one, the
// others have only one that is accepted. Errors are fault.Invalid.
func NewPublicKey(id, account string, jwk []byte) (*Key, error) {
	public, err := ParseJWK(jwk)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "This is no public key that tokens can be checked with.")
	}
	if public.secret != nil {
		return nil, fault.New(fault.Invalid, "A public key is needed here, this is a secret (kty oct).")
	}
	accepted := slices.DeleteFunc(slices.Clone(public.algorithms), func(alg string) bool {
		return !slices.Contains(PublicAlgorithms(), alg)
	})
	if len(accepted) != 1 {
		return nil, fault.New(fault.Invalid, `The key's "alg" must be one of ES256, EdDSA, RS256 and PS256.`)
	}
	return &Key{id: id, account: account, algorithm: accepted[0], public: public}, nil
}

// PublicAlgorithms returns the algorithms of device tokens beside HMAC.
func PublicAlgorithms() []string { return []string{ES256, EdDSA, RS256, PS256} }

// ID returns the key's id.
func (k *Key) ID() string { return k.id }

// Account returns the id of the account whose key it is.
func (k *Key) Account() string { return k.account }

// Algorithm returns the algorithm that the key is pinned to.
func (k *Key) Algorithm() string { return k.algorithm }

// signed reports whether the signature over signed is the key's, for an HMAC in a
// time that does not depend on the signature's content.
func (k *Key) signed(m *macs, signed, signature []byte) bool {
	if k.public != nil {
		return k.public.signed(k.algorithm, signed, signature)
	}
	want := m.of(k.algorithm, k.padded, signed)
	return len(want) > 0 && hmac.Equal(want, signature)
}
