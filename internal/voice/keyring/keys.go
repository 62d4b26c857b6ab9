package keyring

import (
	"context"
	"crypto/subtle"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"dialtone/internal/fault"
	"dialtone/internal/voice/token"
)

// ConsoleKey is the name of the key that an account's own consoles are let in
// by. It is made and renewed here and cannot be had by any other key.
const ConsoleKey = "console"

// Roles of a key's holder in the API.
const (
	RoleAdmin    = "admin"
	RoleTeamLead = "team_lead"
)

// Bounds of what an account can have.
const (
	maxName  = 80
	maxKeys  = 100_000
	maxShown = 200 // characters of a reason or of who did it
)

// Own reports whether the key is the account's consoles' own.
func (k Key) Own() bool { return k.Name == ConsoleKey }

// Bearer returns what a program sends after "Authorization: Bearer "; "" for a
// key without its secret.
func (k Key) Bearer() string {
	if len(k.Secret) == 0 {
		return ""
	}
	return k.ID + "." + string(k.Secret)
}

// State says what becomes of tokens that the key signs: "active", "retiring",
// "retired", "disabled" or "revoked".
func (k Key) State(now time.Time) string { return stateOf(k.Revoked, k.Retires, k.Disabled, now) }

// State says what becomes of tokens that the auth token signs, as Key.State does.
func (a AuthToken) State(now time.Time) string { return stateOf(a.Revoked, a.Retires, false, now) }

func stateOf(revoked, retires time.Time, disabled bool, now time.Time) string {
	switch {
	case !revoked.IsZero():
		return "revoked"
	case !retires.IsZero() && !now.Before(retires):
		return "retired"
	case disabled:
		return "disabled"
	case !retires.IsZero():
		return "retiring"
	}
	return "active"
}

// Keys returns the account's keys without their secrets, the oldest first.
func (r *Ring) Keys(account string) []Key {
	all := []Key{}
	for _, k := range r.state.Load().contents.Keys {
		if k.Account != account {
			continue
		}
		k.Secret = nil
		if seen := r.uses.lastUsed(k.ID); seen.After(k.LastUsed) {
			k.LastUsed = seen
		}
		all = append(all, k)
	}
	return all
}

func (r *Ring) key(account, id string) (Key, error) {
	if h := r.state.Load().keys[id]; h != nil && h.Account == account {
		return h.Key, nil
	}
	return Key{}, fault.New(fault.NotFound, "There is no such API key.")
}

// AddKey adds a key with the account, name, algorithm, role and public key of k.
// An HMAC key (HS256 when k names none) gets a secret, which the returned Key
// holds; any other needs a public key.
func (r *Ring) AddKey(ctx context.Context, k Key) (Key, error) {
	name, err := keyName(k.Name)
	if err != nil {
		return Key{}, err
	}
	if name == ConsoleKey {
		return Key{}, fault.New(fault.Invalid, "The name %q is the console's own key's.", ConsoleKey)
	}
	k.Name = name
	if k, err = r.fresh(k); err != nil {
		return Key{}, err
	}
	if err := r.store.PutKey(ctx, k); err != nil {
		return Key{}, err
	}
	return k, r.settle(ctx)
}

// fresh makes a new key of what was asked for.
func (r *Ring) fresh(k Key) (Key, error) {
	if n := len(r.state.Load().contents.Keys); n >= maxKeys {
		return Key{}, fault.New(fault.TooMany, "There are %d API keys already.", n)
	}
	k = Key{
		ID: newID("SK"), Account: k.Account, Name: k.Name, Algorithm: k.Algorithm, Role: k.Role, PublicKey: k.PublicKey,
		Created: r.now().UTC(),
	}
	if k.Role != "" && k.Role != RoleAdmin && k.Role != RoleTeamLead {
		return Key{}, fault.New(fault.Invalid, "The role of an API key is admin, team_lead, or none.")
	}
	if k.Algorithm == "" && len(k.PublicKey) == 0 {
		k.Algorithm = token.HS256
	}
	if k.Algorithm != "" && symmetric(k.Algorithm) {
		if len(k.PublicKey) > 0 {
			return Key{}, fault.New(fault.Invalid, "A key of %s is a secret and has no public key.", k.Algorithm)
		}
		k.Secret = NewSecret()
		_, err := token.NewSecretKey(k.ID, k.Account, k.Algorithm, k.Secret)
		return k, err
	}
	if k.Role != "" {
		return Key{}, fault.New(fault.Invalid, "A key without a secret of ours cannot be sent with requests, so it has no role.")
	}
	if len(k.PublicKey) == 0 {
		return Key{}, fault.New(fault.Invalid, "A key of %s needs its public half as a JSON Web Key.", k.Algorithm)
	}
	public, err := publicHalf(k.PublicKey, k.Algorithm)
	if err != nil {
		return Key{}, err
	}
	check, err := token.NewPublicKey(k.ID, k.Account, public)
	if err != nil {
		return Key{}, err
	}
	if k.Algorithm != "" && k.Algorithm != check.Algorithm() {
		return Key{}, fault.New(fault.Invalid, "This is a key of %s, not of %s.", check.Algorithm(), k.Algorithm)
	}
	k.Algorithm, k.PublicKey = check.Algorithm(), public
	return k, nil
}

// publicHalf returns the public members of a JSON Web Key: somebody may give us
// the whole pair. Its "alg" is the given algorithm when it names none.
func publicHalf(jwk []byte, algorithm string) ([]byte, error) {
	var all map[string]jsontext.Value
	if err := json.Unmarshal(jwk, &all); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "This is no JSON Web Key.")
	}
	public := map[string]jsontext.Value{}
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e", "alg", "kid"} {
		if value, ok := all[name]; ok {
			public[name] = value
		}
	}
	if _, named := public["alg"]; !named && algorithm != "" {
		quoted, err := jsontext.AppendQuote(nil, algorithm)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "This is no algorithm.")
		}
		public["alg"] = quoted
	}
	return json.Marshal(public, json.Deterministic(true))
}

func keyName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxName || !shownText(name) {
		return "", fault.New(fault.Invalid, "A name has 1 to %d characters, without control characters.", maxName)
	}
	return name, nil
}

// shownText reports whether text can be shown and written down as it is.
func shownText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// RotateKey adds a key that replaces the one with the id: with its name, role
// and algorithm, and a new secret, which the returned Key holds. Tokens that the
// old one signed are accepted for overlap longer (0: from now on none; at most
// MaxOverlap), devices that it let in stay. A key without a secret of ours cannot
// be replaced this way.
func (r *Ring) RotateKey(ctx context.Context, account, id string, overlap time.Duration) (Key, error) {
	old, err := r.key(account, id)
	if err != nil {
		return Key{}, err
	}
	now := r.now().UTC()
	switch {
	case overlap < 0 || overlap > MaxOverlap:
		return Key{}, fault.New(fault.Invalid, "Two keys overlap for at most %d days.", int(MaxOverlap.Hours()/24))
	case !old.Revoked.IsZero():
		return Key{}, fault.New(fault.Conflict, "This API key was revoked.")
	case old.Successor != "":
		return Key{}, fault.New(fault.Conflict, "This API key was replaced already, by %s.", old.Successor)
	case !symmetric(old.Algorithm):
		return Key{}, fault.New(fault.Conflict, "We do not have the secret half of this key. Add its replacement, and revoke this one when it is no longer used.")
	}
	next, err := r.fresh(old)
	if err != nil {
		return Key{}, err
	}
	old.Retires, old.Successor = now.Add(overlap), next.ID
	if err := r.store.ReplaceKey(ctx, old, next); err != nil {
		return Key{}, err
	}
	return next, r.settle(ctx)
}

// KeyChange is what is to be different about a key; nil: nothing.
type KeyChange struct {
	Name, Role *string
	Disabled   *bool
}

// ChangeKey changes a key and returns it without its secret. The console's own
// key cannot be changed.
func (r *Ring) ChangeKey(ctx context.Context, account, id string, change KeyChange) (Key, error) {
	k, err := r.key(account, id)
	switch {
	case err != nil:
		return Key{}, err
	case k.Own():
		return Key{}, fault.New(fault.Conflict, "This is the console's own key: it can be replaced or revoked, not changed.")
	case !k.Revoked.IsZero():
		return Key{}, fault.New(fault.Conflict, "This API key was revoked.")
	}
	if change.Name != nil {
		if k.Name, err = keyName(*change.Name); err != nil {
			return Key{}, err
		}
		change.Name = &k.Name
		if k.Own() {
			return Key{}, fault.New(fault.Invalid, "The name %q is the console's own key's.", ConsoleKey)
		}
	}
	if change.Role != nil {
		k.Role = *change.Role
		if k.Role != "" && k.Role != RoleAdmin && k.Role != RoleTeamLead {
			return Key{}, fault.New(fault.Invalid, "The role of an API key is admin, team_lead, or none.")
		}
		if k.Role != "" && !symmetric(k.Algorithm) {
			return Key{}, fault.New(fault.Invalid, "A key without a secret of ours cannot be sent with requests, so it has no role.")
		}
	}
	if change.Disabled != nil {
		k.Disabled = *change.Disabled
	}
	// Only what is to change is written: what the key is otherwise may have changed
	// since it was read, by a rotation that must not be undone.
	if err := r.store.ChangeKey(ctx, account, id, change); err != nil {
		return Key{}, err
	}
	err = r.settle(ctx)
	if now, gone := r.key(account, id); err == nil && gone == nil {
		k = now
	}
	k.Secret = nil
	return k, err
}

// AuthTokensOf returns the account's auth tokens without their secrets, the
// oldest first.
func (r *Ring) AuthTokensOf(account string) []AuthToken {
	all := []AuthToken{}
	for _, a := range r.state.Load().contents.AuthTokens {
		if a.Account == account {
			a.Secret = nil
			all = append(all, a)
		}
	}
	return all
}

// RotateAuthToken makes a new auth token, which is returned with its secret.
// Tokens that the current one signed are accepted for overlap longer, as in
// RotateKey. An account whose auth tokens were all revoked gets its next one.
func (r *Ring) RotateAuthToken(ctx context.Context, account string, overlap time.Duration) (AuthToken, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return AuthToken{}, fault.New(fault.Invalid, "Two auth tokens overlap for at most %d days.", int(MaxOverlap.Hours()/24))
	}
	now := r.now().UTC()
	next := AuthToken{ID: newID("AT"), Account: account, Secret: NewSecret(), Created: now}
	var old *AuthToken
	for _, a := range r.state.Load().contents.AuthTokens {
		if a.Account != account || !a.Revoked.IsZero() {
			continue
		}
		switch {
		case a.Retires.IsZero():
			old = &a
		case now.Before(a.Retires):
			return AuthToken{}, fault.New(fault.Conflict, "An auth token is being replaced until %s. Revoke the old one to replace the new one earlier.",
				a.Retires.Format(time.RFC3339))
		}
	}
	var err error
	if old == nil {
		err = r.store.PutAuthToken(ctx, next)
	} else {
		old.Retires = now.Add(overlap)
		err = r.store.ReplaceAuthToken(ctx, *old, next)
	}
	if err != nil {
		return AuthToken{}, err
	}
	return next, r.settle(ctx)
}

// Ensure makes the console's own key and an auth token for the account, if it
// has none that can be used.
func (r *Ring) Ensure(ctx context.Context, account string) error {
	s, now := r.state.Load(), r.now()
	has := false
	for _, k := range s.contents.Keys {
		has = has || k.Account == account && k.Own() && s.usable(&k, now) == ""
	}
	if !has {
		k, err := r.fresh(Key{Account: account, Name: ConsoleKey})
		if err == nil {
			err = r.store.PutKey(ctx, k)
		}
		if err != nil {
			return err
		}
	}
	// One that was revoked is not replaced by itself: nothing of ours needs it.
	known := s.authTokens[account].any
	if !known {
		a := AuthToken{ID: newID("AT"), Account: account, Secret: NewSecret(), Created: now.UTC()}
		if err := r.store.PutAuthToken(ctx, a); err != nil {
			return err
		}
	}
	if has && known {
		return nil
	}
	return r.settle(ctx)
}

// ByBearer returns the key of "SK….SECRET", without its secret, if it may be used.
// What its holder may do says its Role: with none, no more than the key can by
// itself, which is to let devices in. The console's own key is nobody's bearer.
func (r *Ring) ByBearer(bearer string) (Key, bool) {
	id, secret, ok := strings.Cut(bearer, ".")
	s := r.state.Load()
	h := s.keys[id]
	if !ok || h == nil || h.Own() || len(h.Secret) == 0 || s.usable(&h.Key, r.now()) != "" ||
		subtle.ConstantTimeCompare(h.Secret, []byte(secret)) != 1 {
		return Key{}, false
	}
	k := h.Key
	k.Secret = nil
	return k, true
}

// Signer returns what the account's own tokens are signed with: the newest usable
// HMAC key, the console's own before others, and the newest auth token;
// fault.Unavailable when there is no such key.
func (r *Ring) Signer(account string) (token.Signer, error) {
	s, now := r.state.Load(), r.now()
	var best *Key
	for _, k := range s.signers[account] {
		if s.usable(k, now) == "" {
			best = k
			break
		}
	}
	if best == nil {
		return token.Signer{}, fault.New(fault.Unavailable, "the account has no valid API key to sign tokens with")
	}
	signer := token.Signer{Account: account, KeyID: best.ID, Secret: best.Secret, Algorithm: best.Algorithm}
	var newest AuthToken
	for _, a := range s.contents.AuthTokens {
		if a.Account == account && a.State(now) == "active" && (newest.ID == "" || a.Created.After(newest.Created)) {
			newest = a
		}
	}
	signer.AuthToken = newest.Secret
	return signer, nil
}

// SignerOf returns what signs with one key of the account, so that its revocation
// ends the devices that it let in; fault.NotFound, or fault.Conflict when it may
// not be used or its secret is not ours.
func (r *Ring) SignerOf(account, id string) (token.Signer, error) {
	k, err := r.key(account, id)
	switch {
	case err != nil:
		return token.Signer{}, err
	case !symmetric(k.Algorithm) || r.state.Load().usable(&k, r.now()) != "":
		return token.Signer{}, fault.New(fault.Conflict, "This API key cannot sign tokens now.")
	}
	return token.Signer{Account: account, KeyID: k.ID, Secret: k.Secret, Algorithm: k.Algorithm}, nil
}

// better orders keys by which to sign with rather: the console's own, one that
// does not retire, the newest.
func better(a, b *Key) int {
	first := func(yes bool) int {
		if yes {
			return -1
		}
		return 1
	}
	switch {
	case a.Own() != b.Own():
		return first(a.Own())
	case a.Retires.IsZero() != b.Retires.IsZero():
		return first(a.Retires.IsZero())
	}
	return b.Created.Compare(a.Created)
}
