package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
)

// Ring is what devices are let in by; *keyring.Ring is one. Errors are faults
// whose messages may be shown.
type Ring interface {
	KeyRing
	Ways
	Revocations
	Issuers
	Tickets
}

// KeyRing keeps an account's keys and auth tokens. Secrets are in the answers
// that make them, and in no other.
type KeyRing interface {
	Keys(account string) []keyring.Key
	AddKey(ctx context.Context, k keyring.Key) (keyring.Key, error)
	RotateKey(ctx context.Context, account, id string, overlap time.Duration) (keyring.Key, error)
	ChangeKey(ctx context.Context, account, id string, change keyring.KeyChange) (keyring.Key, error)
	AuthTokensOf(account string) []keyring.AuthToken
	RotateAuthToken(ctx context.Context, account string, overlap time.Duration) (keyring.AuthToken, error)
}

// Key is an API key as others may see it.
type Key struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Algorithm string         `json:"algorithm"`
	Role      string         `json:"role" doc:"what its holder may do in this API: admin, team_lead, or nothing (it only signs tokens)"`
	Created   time.Time      `json:"created_at,omitzero"`
	Retires   time.Time      `json:"retires_at,omitzero"`
	Successor string         `json:"successor,omitempty" doc:"the key that replaced it"`
	Revoked   time.Time      `json:"revoked_at,omitzero"`
	Disabled  bool           `json:"disabled"`
	LastUsed  time.Time      `json:"last_used_at,omitzero" doc:"when a device last came with a token that it signed, to the minute"`
	PublicKey map[string]any `json:"public_key,omitempty" doc:"JSON Web Key, of a key whose private half only its owner has"`
	State     string         `json:"state" enum:"active,disabled,retiring,retired,revoked"`
	Own       bool           `json:"own,omitempty" doc:"it signs the tokens of the account's own consoles"`
}

// NewKey is a key in the one answer that holds its secret.
type NewKey struct {
	Key    Key    `json:"key"`
	Secret string `json:"secret,omitempty" doc:"shown only this once; a key given by its public half has none"`
	Bearer string `json:"bearer,omitempty" doc:"what a program sends after \"Authorization: Bearer \", if the key has a role"`
}

// AuthToken is an account's auth token as others may see it.
type AuthToken struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created_at,omitzero"`
	Retires time.Time `json:"retires_at,omitzero"`
	Revoked time.Time `json:"revoked_at,omitzero"`
	State   string    `json:"state" enum:"active,retiring,retired,revoked"`
}

// Overlap is a part of inputs, exported as Page is.
type Overlap struct {
	Seconds *int64 `json:"overlap,omitempty" minimum:"0" maximum:"7776000" doc:"seconds that tokens of the old one are accepted beside the new one's; a day if left out, at most 90 days"`
}

func (o *Overlap) duration() time.Duration {
	if o == nil || o.Seconds == nil {
		return keyring.DefaultOverlap
	}
	return time.Duration(*o.Seconds) * time.Second
}

// KeyPath is a part of inputs, exported as Page is.
type KeyPath struct {
	ID string `path:"id" maxLength:"64" doc:"SK…"`
}

type (
	keysAnswer struct {
		Body struct {
			Keys []Key `json:"keys"`
		}
	}
	keyAnswer    struct{ Body Key }
	newKeyAnswer struct{ Body NewKey }
	addKeyInput  struct {
		Body struct {
			Name      string         `json:"name" minLength:"1" maxLength:"80"`
			Algorithm string         `json:"algorithm,omitempty" enum:"HS256,HS384,HS512,ES256,EdDSA,RS256,PS256" doc:"HS256 if left out, or what the public key says"`
			Role      string         `json:"role,omitempty" pattern:"^(admin|team_lead)?$" patternDescription:"admin, team_lead, or empty"`
			PublicKey map[string]any `json:"public_key,omitempty" doc:"JSON Web Key; with it the private half stays with you and there is no secret"`
		}
	}
	changeKeyInput struct {
		KeyPath
		Body struct {
			Name     *string `json:"name,omitempty" minLength:"1" maxLength:"80"`
			Role     *string `json:"role,omitempty" pattern:"^(admin|team_lead)?$" patternDescription:"admin, team_lead, or empty"`
			Disabled *bool   `json:"disabled,omitempty"`
		}
	}
	rotateKeyInput struct {
		KeyPath
		Body *Overlap
	}
	authTokensAnswer struct {
		Body struct {
			AuthTokens []AuthToken `json:"auth_tokens"`
		}
	}
	rotateAuthTokenInput struct{ Body *Overlap }
	newAuthTokenAnswer   struct {
		Body struct {
			AuthToken AuthToken `json:"auth_token"`
			Secret    string    `json:"secret" doc:"shown only this once"`
		}
	}
)

func (s *Server) keyOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "keys", Method: http.MethodGet, Path: "/api/v1/keys", Summary: "API keys, the oldest first",
		Tags: []string{"keys"}, Security: byBoth, Errors: []int{401, 403},
	}, s.keys)
	huma.Register(api, huma.Operation{
		OperationID: "add-key", Method: http.MethodPost, Path: "/api/v1/keys", Summary: "Make a key, or take one by its public half",
		Tags: []string{"keys"}, Security: byBoth, Errors: []int{401, 403, 422}, DefaultStatus: http.StatusCreated,
	}, s.addKey)
	huma.Register(api, huma.Operation{
		OperationID: "change-key", Method: http.MethodPatch, Path: "/api/v1/keys/{id}", Summary: "Rename a key, change its role, close it for a while",
		Tags: []string{"keys"}, Security: byBoth, Errors: []int{401, 403, 404, 409, 422},
	}, s.changeKey)
	huma.Register(api, huma.Operation{
		OperationID: "rotate-key", Method: http.MethodPost, Path: "/api/v1/keys/{id}/rotate", Summary: "Replace a key; the old one is accepted for a while",
		Tags: []string{"keys"}, Security: byBoth, Errors: []int{401, 403, 404, 409, 422}, DefaultStatus: http.StatusCreated,
	}, s.rotateKey)
	huma.Register(api, huma.Operation{
		OperationID: "auth-tokens", Method: http.MethodGet, Path: "/api/v1/auth-tokens", Summary: "What the account's capability tokens are signed with, the oldest first",
		Tags: []string{"keys"}, Security: byBoth, Errors: []int{401, 403},
	}, s.authTokens)
	huma.Register(api, huma.Operation{
		OperationID: "rotate-auth-token", Method: http.MethodPost, Path: "/api/v1/auth-tokens/rotate", Summary: "Replace the auth token; the old one is accepted for a while",
		Tags: []string{"keys"}, Security: byBoth, Errors: []int{401, 403, 409, 422}, DefaultStatus: http.StatusCreated,
	}, s.rotateAuthToken)
}

func (s *Server) keys(ctx context.Context, _ *struct{}) (*keysAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &keysAnswer{}
	out.Body.Keys = []Key{}
	now := time.Now()
	for _, k := range s.o.Ring.Keys(c.viewer.Account) {
		out.Body.Keys = append(out.Body.Keys, keyOf(k, now))
	}
	return out, nil
}

func (s *Server) addKey(ctx context.Context, in *addKeyInput) (*newKeyAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	if err := free(in.Body.Name); err != nil {
		return nil, s.failed(err)
	}
	k := keyring.Key{Account: c.viewer.Account, Name: in.Body.Name, Algorithm: in.Body.Algorithm, Role: in.Body.Role}
	if len(in.Body.PublicKey) > 0 {
		if k.PublicKey, err = publicHalf(in.Body.PublicKey); err != nil {
			return nil, s.failed(err)
		}
	}
	k, err = s.o.Ring.AddKey(ctx, k)
	if err != nil {
		return nil, s.failed(err)
	}
	s.changed(ctx, c, people.KeyAdd, k.ID, map[string]string{"name": k.Name, "algorithm": k.Algorithm, "role": k.Role})
	return &newKeyAnswer{Body: newKeyOf(k)}, nil
}

func (s *Server) changeKey(ctx context.Context, in *changeKeyInput) (*keyAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	change := keyring.KeyChange{Name: in.Body.Name, Role: in.Body.Role, Disabled: in.Body.Disabled}
	if err := s.mayChange(c.viewer.Account, in.ID, change); err != nil {
		return nil, s.failed(err)
	}
	k, err := s.o.Ring.ChangeKey(ctx, c.viewer.Account, in.ID, change)
	if err != nil {
		return nil, s.failed(err)
	}
	detail := map[string]string{}
	if change.Name != nil {
		detail["name"] = *change.Name
	}
	if change.Role != nil {
		detail["role"] = *change.Role
	}
	if change.Disabled != nil {
		detail["disabled"] = yesNo(*change.Disabled)
	}
	s.changed(ctx, c, people.KeyChange, k.ID, detail)
	return &keyAnswer{Body: keyOf(k, time.Now())}, nil
}

// mayChange refuses what would take the consoles' own tokens away.
func (s *Server) mayChange(account, id string, change keyring.KeyChange) error {
	k, ok := s.key(account, id)
	if !ok {
		return fault.New(fault.NotFound, "There is no key %s in this account.", id)
	}
	if !k.Own() {
		if change.Name != nil {
			return free(*change.Name)
		}
		return nil
	}
	return fault.New(fault.Conflict, "This key signs the tokens of the account's own consoles and stays as it is. To replace it, rotate it.")
}

func (s *Server) rotateKey(ctx context.Context, in *rotateKeyInput) (*newKeyAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	overlap := in.Body.duration()
	k, err := s.o.Ring.RotateKey(ctx, c.viewer.Account, in.ID, overlap)
	if err != nil {
		return nil, s.failed(err)
	}
	s.changed(ctx, c, people.KeyRotate, in.ID, map[string]string{"name": k.Name, "successor": k.ID, "overlap": overlap.String()})
	return &newKeyAnswer{Body: newKeyOf(k)}, nil
}

func (s *Server) authTokens(ctx context.Context, _ *struct{}) (*authTokensAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &authTokensAnswer{}
	out.Body.AuthTokens = []AuthToken{}
	now := time.Now()
	for _, a := range s.o.Ring.AuthTokensOf(c.viewer.Account) {
		out.Body.AuthTokens = append(out.Body.AuthTokens, authTokenOf(a, now))
	}
	return out, nil
}

func (s *Server) rotateAuthToken(ctx context.Context, in *rotateAuthTokenInput) (*newAuthTokenAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	overlap := in.Body.duration()
	a, err := s.o.Ring.RotateAuthToken(ctx, c.viewer.Account, overlap)
	if err != nil {
		return nil, s.failed(err)
	}
	s.changed(ctx, c, people.AuthTokenRotate, a.ID, map[string]string{"overlap": overlap.String()})
	out := &newAuthTokenAnswer{}
	out.Body.AuthToken, out.Body.Secret = authTokenOf(a, time.Now()), string(a.Secret)
	return out, nil
}

// key returns an account's key, without its secret.
func (s *Server) key(account, id string) (keyring.Key, bool) {
	keys := s.o.Ring.Keys(account)
	i := slices.IndexFunc(keys, func(k keyring.Key) bool { return k.ID == id })
	if i < 0 {
		return keyring.Key{}, false
	}
	return keys[i], true
}

// free refuses the name by which the consoles find their own key.
func free(name string) error {
	if strings.TrimSpace(name) == keyring.ConsoleKey {
		return fault.New(fault.Invalid, "The name %q is that of the consoles' own key. Choose another.", name)
	}
	return nil
}

// publicHalf returns the JSON Web Key as text. A private one is refused before
// it gets any further.
func publicHalf(jwk map[string]any) ([]byte, error) {
	for _, private := range []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth"} {
		if _, has := jwk[private]; has {
			return nil, fault.New(fault.Invalid, "This key holds its private half (%q). Send the public half only, and consider the key as known to others.", private)
		}
	}
	return json.Marshal(jwk)
}

func keyOf(k keyring.Key, now time.Time) Key {
	view := Key{
		ID: k.ID, Name: k.Name, Algorithm: k.Algorithm, Role: k.Role, Created: k.Created, Retires: k.Retires,
		Successor: k.Successor, Revoked: k.Revoked, Disabled: k.Disabled, LastUsed: k.LastUsed, Own: k.Own(),
		State: k.State(now),
	}
	if len(k.PublicKey) > 0 && json.Unmarshal(k.PublicKey, &view.PublicKey) != nil {
		view.PublicKey = nil // the ring checked it when it was added
	}
	return view
}

func newKeyOf(k keyring.Key) NewKey {
	n := NewKey{Key: keyOf(k, time.Now()), Secret: string(k.Secret)}
	if k.Role != "" {
		n.Bearer = k.Bearer()
	}
	return n
}

func authTokenOf(a keyring.AuthToken, now time.Time) AuthToken {
	return AuthToken{ID: a.ID, Created: a.Created, Retires: a.Retires, Revoked: a.Revoked, State: a.State(now)}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
