package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"sync"
)

// Keyring holds the keys of all accounts in memory, so that a token can be
// checked without the store.
type Keyring struct {
	store Store

	mu     sync.RWMutex
	keys   map[string]APIKey
	tokens map[string][]byte
}

// NewKeyring returns a keyring with the keys that the store holds.
func NewKeyring(ctx context.Context, store Store) (*Keyring, error) {
	r := &Keyring{store: store}
	return r, r.Reload(ctx)
}

// Reload reads the keys again. When that fails, those in memory stay.
func (r *Keyring) Reload(ctx context.Context) error {
	all, err := r.store.APIKeys(ctx)
	if err != nil {
		return err
	}
	tokens, err := r.store.AuthTokens(ctx)
	if err != nil {
		return err
	}
	keys := make(map[string]APIKey, len(all))
	for _, k := range all {
		keys[k.ID] = k
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.tokens = keys, tokens
	return nil
}

// APIKey returns the account and secret of a key that is not revoked.
func (r *Keyring) APIKey(_ context.Context, id string) (account string, secret []byte, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[id]
	if !ok || !k.Revoked.IsZero() {
		return "", nil, false
	}
	return k.Account, k.Secret, true
}

// AuthToken returns the secret of an account.
func (r *Keyring) AuthToken(_ context.Context, account string) (secret []byte, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	secret, ok = r.tokens[account]
	return secret, ok
}

// KeyOf returns the key of the account that device tokens are signed with: the
// oldest that is not revoked.
func (r *Keyring) KeyOf(account string) (key APIKey, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, k := range r.keys {
		if k.Account != account || !k.Revoked.IsZero() {
			continue
		}
		if !ok || k.Created.Before(key.Created) || k.Created.Equal(key.Created) && k.ID < key.ID {
			key, ok = k, true
		}
	}
	return key, ok
}

// Bearer returns the key that a program showed as APIKey.Bearer; ok is false
// for anything else, and for a revoked key.
func (r *Keyring) Bearer(text string) (APIKey, bool) {
	id, secret, _ := strings.Cut(text, ".")
	r.mu.RLock()
	k, known := r.keys[id]
	r.mu.RUnlock()
	match := subtle.ConstantTimeCompare([]byte(secret), k.Secret) == 1
	if !known || !match || len(k.Secret) == 0 || !k.Revoked.IsZero() {
		return APIKey{}, false
	}
	return k, true
}

// NewSecret returns a fresh secret for an API key or an account: 256 bits, hex.
func NewSecret() []byte {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return []byte(hex.EncodeToString(b[:]))
}
