package app

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/httpapi"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/token"
)

// consoleKey names the API key that signs the tokens of consoles.
const consoleKey = "console"

// deviceTokenTTL is how long a console's token lives; the SDK renews it before.
const deviceTokenTTL = time.Hour

// keyring holds every key in memory, so that tokens are checked without the
// store. It is replaced whole; when the store cannot be read, the old one stays.
type keyring struct {
	store talk.Store
	ring  atomic.Pointer[ring]
}

type ring struct {
	keys       map[string]people.APIKey // by id, revoked ones left out
	authTokens map[string][]byte        // by account
}

func newKeyring(ctx context.Context, store talk.Store) (*keyring, error) {
	k := &keyring{store: store}
	return k, k.load(ctx)
}

func (k *keyring) load(ctx context.Context) error {
	keys, err := k.store.APIKeys(ctx)
	if err != nil {
		return fmt.Errorf("read API keys: %w", err)
	}
	r := &ring{keys: map[string]people.APIKey{}}
	for _, key := range keys {
		if key.Revoked.IsZero() {
			r.keys[key.ID] = key
		}
	}
	if r.authTokens, err = k.store.AuthTokens(ctx); err != nil {
		return fmt.Errorf("read auth tokens: %w", err)
	}
	k.ring.Store(r)
	return nil
}

// APIKey implements token.Keys.
func (k *keyring) APIKey(_ context.Context, id string) (account string, secret []byte, ok bool) {
	key, ok := k.ring.Load().keys[id]
	return key.Account, key.Secret, ok
}

// AuthToken implements token.Keys.
func (k *keyring) AuthToken(_ context.Context, account string) ([]byte, bool) {
	secret, ok := k.ring.Load().authTokens[account]
	return secret, ok
}

// Revoked implements token.Keys: a revoked key is not found at all.
func (k *keyring) Revoked(context.Context, token.Claims) bool { return false }

// ByBearer implements httpapi.Keys.
func (k *keyring) ByBearer(secret string) (people.APIKey, bool) {
	id, _, _ := strings.Cut(secret, ".")
	key, ok := k.ring.Load().keys[id]
	if !ok || subtle.ConstantTimeCompare([]byte(key.Bearer()), []byte(secret)) != 1 {
		return people.APIKey{}, false
	}
	return key, true
}

// signer returns what the account's console tokens are signed with.
func (k *keyring) signer(account string) (token.Signer, error) {
	r := k.ring.Load()
	var signer token.Signer
	for _, key := range r.keys {
		if key.Account == account && (key.Name == consoleKey || signer.KeyID == "") {
			signer = token.Signer{Account: account, KeyID: key.ID, Secret: key.Secret, AuthToken: r.authTokens[account]}
			if key.Name == consoleKey {
				break
			}
		}
	}
	if signer.KeyID == "" {
		return signer, fault.New(fault.Unavailable, "the account has no valid API key to sign tokens with")
	}
	return signer, nil
}

// DeviceToken implements httpapi.DeviceTokens.
func (k *keyring) DeviceToken(_ context.Context, u people.User) (httpapi.DeviceToken, error) {
	signer, err := k.signer(u.Account)
	if err != nil {
		return httpapi.DeviceToken{}, err
	}
	now := time.Now()
	text, err := token.NewMinter(signer).MintAccess(token.AccessGrant{
		Identity: u.Identity, TTL: deviceTokenTTL, Incoming: true, OutgoingApp: "AP" + strings.TrimPrefix(u.Account, "AC"),
	}, now)
	if err != nil {
		return httpapi.DeviceToken{}, err
	}
	return httpapi.DeviceToken{
		Token: text, Kind: string(token.Access), Identity: u.Identity, ExpiresAt: now.Add(deviceTokenTTL).UTC().Truncate(time.Second),
	}, nil
}
