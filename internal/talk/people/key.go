package people

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// APIKey lets a program in and signs access tokens.
type APIKey struct {
	ID      string // SK + 32 hex
	Account string
	Name    string
	Secret  []byte // printable; what access tokens are signed with
	Created time.Time
	Revoked time.Time // zero: valid
}

// Bearer returns what a program sends after "Authorization: Bearer ".
func (k APIKey) Bearer() string { return k.ID + "." + string(k.Secret) }

// NewSecret returns a fresh secret for an API key or an account: 256 bits, hex.
func NewSecret() []byte {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return []byte(hex.EncodeToString(b[:]))
}
