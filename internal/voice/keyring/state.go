package keyring

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"dialtone/internal/voice/token"
)

// state is the ring at one moment. It does not change.
type state struct {
	contents   Contents
	keys       map[string]*held  // by id
	signers    map[string][]*Key // HMAC keys by account, the best to sign with first
	authTokens map[string]tokens // by account
	ways       map[string]map[token.Kind]Way
	issuers    map[string]*Issuer // by URL
	keyGone    map[string]struct{}
	tokenGone  map[subject]struct{}
	nameGone   map[subject]cut
	gone       filter // the keys, ids and names of the three above
}

// held is an API key that is ready to be used.
type held struct {
	Key
	check *token.Key // nil: there is nothing to check with, because it was revoked
}

// tokens are an account's auth tokens that were not revoked: those that never
// retire first, then the one that retires last.
type tokens struct {
	ready   []*token.Key
	retires []time.Time
	any     bool // it has some, perhaps only revoked ones
}

type subject struct{ account, value string }

// cut is until when tokens of an identity were issued in vain.
type cut struct {
	until   int64 // Unix seconds, inclusive
	forever bool
}

// build makes a state of all that is stored, or fails. What is the same as
// before is taken from there, because parsing public keys takes its time.
func build(c Contents, before *state) (*state, error) {
	s := &state{
		contents: c, keys: make(map[string]*held, len(c.Keys)), signers: map[string][]*Key{}, authTokens: map[string]tokens{},
		ways: make(map[string]map[token.Kind]Way, len(c.Ways)), issuers: make(map[string]*Issuer, len(c.Issuers)),
		keyGone: map[string]struct{}{}, tokenGone: map[subject]struct{}{}, nameGone: map[subject]cut{},
	}
	revoked := len(c.Revocations) + len(c.AuthTokens)
	for _, k := range c.Keys {
		if !k.Revoked.IsZero() {
			revoked++
		}
	}
	s.gone = newFilter(revoked)
	for _, k := range c.Keys {
		h := &held{Key: k}
		var err error
		if !k.Revoked.IsZero() {
			s.keyGone[k.ID] = struct{}{}
			s.gone.add(k.ID)
		} else if h.check, err = checker(k, before); err != nil {
			return nil, fmt.Errorf("API key %s: %w", k.ID, err)
		}
		s.keys[k.ID] = h
		if symmetric(k.Algorithm) && k.Revoked.IsZero() {
			s.signers[k.Account] = append(s.signers[k.Account], &h.Key)
		}
	}
	for _, all := range s.signers {
		slices.SortStableFunc(all, better)
	}
	if err := s.takeAuthTokens(c.AuthTokens); err != nil {
		return nil, err
	}
	for account, ways := range c.Ways {
		of := make(map[token.Kind]Way, len(ways))
		for _, w := range ways {
			of[w.Kind] = w
		}
		s.ways[account] = of
	}
	for i := range c.Issuers {
		s.issuers[c.Issuers[i].URL] = &c.Issuers[i]
	}
	for _, v := range c.Revocations {
		s.takeRevocation(v)
	}
	return s, nil
}

func checker(k Key, before *state) (*token.Key, error) {
	if before != nil {
		old := before.keys[k.ID]
		if old != nil && old.check != nil && old.Account == k.Account && old.Algorithm == k.Algorithm &&
			bytes.Equal(old.Secret, k.Secret) && bytes.Equal(old.PublicKey, k.PublicKey) {
			return old.check, nil
		}
	}
	if symmetric(k.Algorithm) {
		return token.NewSecretKey(k.ID, k.Account, k.Algorithm, k.Secret)
	}
	return token.NewPublicKey(k.ID, k.Account, k.PublicKey)
}

func symmetric(algorithm string) bool {
	return algorithm == "" || algorithm == token.HS256 || algorithm == token.HS384 || algorithm == token.HS512
}

func (s *state) takeAuthTokens(all []AuthToken) error {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b AuthToken) int {
		switch {
		case a.Retires.IsZero() != b.Retires.IsZero():
			if a.Retires.IsZero() {
				return -1
			}
			return 1
		case !a.Retires.Equal(b.Retires):
			return b.Retires.Compare(a.Retires)
		}
		return b.Created.Compare(a.Created)
	})
	for _, a := range sorted {
		of := s.authTokens[a.Account]
		of.any = true
		if !a.Revoked.IsZero() {
			s.keyGone[a.ID] = struct{}{}
			s.gone.add(a.ID)
		} else {
			k, err := token.NewSecretKey(a.ID, a.Account, token.HS256, a.Secret)
			if err != nil {
				return fmt.Errorf("auth token %s: %w", a.ID, err)
			}
			of.ready, of.retires = append(of.ready, k), append(of.retires, a.Retires)
		}
		s.authTokens[a.Account] = of
	}
	return nil
}

func (s *state) takeRevocation(v Revocation) {
	at := subject{v.Account, v.Value}
	s.gone.add(v.Value)
	switch v.Of {
	case OfKey:
		s.keyGone[v.Value] = struct{}{}
	case OfToken:
		s.tokenGone[at] = struct{}{}
	case OfIdentity:
		c := s.nameGone[at]
		c.until, c.forever = max(c.until, v.At.Unix()), c.forever || v.Forever
		s.nameGone[at] = c
	}
}

// usable says why a key must not be used, "" when it may.
func (s *state) usable(k *Key, now time.Time) token.Reason {
	gone := s.gone.may(k.ID)
	if gone {
		_, gone = s.keyGone[k.ID]
	}
	switch {
	case gone:
		return token.ReasonRevoked
	case k.Disabled:
		return token.ReasonKeyDisabled
	case !k.Retires.IsZero() && !now.Before(k.Retires):
		return token.ReasonKeyRetired
	}
	return ""
}

// APIKey implements token.Keys.
func (r *Ring) APIKey(id string) (*token.Key, token.Reason) {
	s := r.state.Load()
	h := s.keys[id]
	if h == nil {
		return nil, token.ReasonUnknownKey
	}
	if why := s.usable(&h.Key, r.now()); why != "" {
		return nil, why
	}
	return h.check, ""
}

// AuthTokens implements token.Keys.
func (r *Ring) AuthTokens(account string) ([]*token.Key, token.Reason) {
	of := r.state.Load().authTokens[account]
	n := len(of.ready)
	if n > 0 && !of.retires[n-1].IsZero() {
		now := r.now()
		for n > 0 && !of.retires[n-1].IsZero() && !now.Before(of.retires[n-1]) {
			n--
		}
	}
	switch {
	case n > 0:
		return of.ready[:n], ""
	case len(of.ready) > 0:
		return nil, token.ReasonKeyRetired
	case of.any:
		return nil, token.ReasonRevoked
	}
	return nil, token.ReasonUnknownAccount
}

// Closed implements token.Keys.
func (r *Ring) Closed(account string, way token.Kind, now time.Time) bool {
	w, set := r.state.Load().ways[account][way]
	return set && w.closed(now)
}

func (w Way) closed(now time.Time) bool {
	return !w.Open || !w.Closes.IsZero() && !now.Before(w.Closes)
}

// Revoked implements token.Keys. The "kid" of an account's own issuer is not the
// id of a key here: whoever no longer trusts an issuer removes it.
func (r *Ring) Revoked(c *token.Claims) bool {
	s := r.state.Load()
	if !s.gone.may(c.KeyID) && !s.gone.may(c.ID) && !s.gone.may(c.Identity) {
		return false
	}
	if c.Issuer == "" && c.KeyID != "" {
		if _, gone := s.keyGone[c.KeyID]; gone {
			return true
		}
	}
	if c.ID != "" {
		if _, gone := s.tokenGone[subject{c.Account, c.ID}]; gone {
			return true
		}
	}
	gone, found := s.nameGone[subject{c.Account, c.Identity}]
	return found && (gone.forever || c.Issued.IsZero() || c.Issued.Unix() <= gone.until)
}
