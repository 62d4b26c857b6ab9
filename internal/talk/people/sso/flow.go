package sso

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// flow is what a browser carries to the provider and back, unreadable to it.
type flow struct {
	Provider string `json:"p"`
	Origin   string `json:"o"` // of the site it began on
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // PKCE, RFC 7636
	Ends     int64  `json:"e"` // Unix seconds
}

// sealer seals flows with AES-256-GCM under a key of this process: a restart
// makes people who are at the provider at that moment begin again.
type sealer struct{ aead cipher.AEAD }

func newSealer() *sealer {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails since Go 1.24
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 32 bytes is one
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return &sealer{aead}
}

func (s *sealer) seal(f flow) string {
	text, _ := json.Marshal(f) // texts and a number always marshal
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, nil))
}

var errCarried = errors.New("what the browser carries was not made here")

func (s *sealer) open(carried string) (flow, error) {
	if len(carried) > 2048 {
		return flow{}, errCarried
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(carried)
	if err != nil || base64.RawURLEncoding.EncodeToString(sealed) != carried { // the decoder skips line ends
		return flow{}, errCarried
	}
	text, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return flow{}, errCarried
	}
	var f flow
	if err := json.Unmarshal(text, &f); err != nil {
		return flow{}, errCarried
	}
	return f, nil
}
