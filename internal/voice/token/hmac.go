package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
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

// padded is an HMAC key that is used again and again: the states of its hash after
// the two blocks that the secret is padded to (RFC 2104 section 4). It holds what
// the secret is good for, but not the secret.
type padded struct {
	inner, outer []byte
}

// resumable is a hash of the standard library.
type resumable interface {
	hash.Hash
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// pad returns the states; false for a hash that cannot be resumed.
func pad(newHash func() hash.Hash, secret []byte) (padded, bool) {
	h, ok := newHash().(resumable)
	if !ok {
		return padded{}, false
	}
	block := make([]byte, h.BlockSize())
	if len(secret) > len(block) {
		h.Write(secret)
		secret = h.Sum(nil)
	}
	var p padded
	for _, half := range []struct {
		state *[]byte
		with  byte
	}{{&p.inner, 0x36}, {&p.outer, 0x5c}} {
		clear(block)
		copy(block, secret)
		for i := range block {
			block[i] ^= half.with
		}
		h.Reset()
		h.Write(block)
		var err error
		if *half.state, err = h.MarshalBinary(); err != nil {
			return padded{}, false
		}
	}
	return p, true
}

// macs computes HMACs with padded keys; it belongs to one goroutine at a time.
type macs struct {
	hashes [3]resumable
	sum    []byte
}

// of returns the HMAC of signed by the algorithm's key, nil when it cannot be
// computed. It is valid until the next call.
func (m *macs) of(alg string, key padded, signed []byte) []byte {
	slot := 0
	switch alg {
	case HS384:
		slot = 1
	case HS512:
		slot = 2
	}
	h := m.hashes[slot]
	if h == nil {
		h, _ = hmacHash(alg)().(resumable)
		m.hashes[slot] = h
	}
	if h == nil || h.UnmarshalBinary(key.inner) != nil {
		return nil
	}
	h.Write(signed)
	m.sum = h.Sum(m.sum[:0])
	if h.UnmarshalBinary(key.outer) != nil {
		return nil
	}
	h.Write(m.sum)
	m.sum = h.Sum(m.sum[:0])
	return m.sum
}
