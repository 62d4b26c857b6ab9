package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// Revocations refuse tokens that would be accepted otherwise, and end the
// devices that they let in.
type Revocations interface {
	Revocations(account string) []keyring.Revocation
	Revoke(ctx context.Context, r keyring.Revocation) (keyring.Revocation, error)
	Lift(ctx context.Context, account, id string) error
}

// Devices are those that are let in right now.
type Devices interface {
	// CountOf returns how many connected devices were let in by claims that match.
	CountOf(match func(token.Claims) bool) int
}

// Revocation is what is refused, and why.
type Revocation struct {
	ID      string    `json:"id"`
	Of      string    `json:"of" enum:"key,token,identity"`
	Value   string    `json:"value"`
	At      time.Time `json:"at"`
	Forever bool      `json:"forever" doc:"of an identity: tokens issued later are refused, too"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
}

// RevocationPath is a part of inputs, exported as Page is.
type RevocationPath struct {
	ID string `path:"id" maxLength:"64" doc:"RV…"`
}

type (
	revocationsAnswer struct {
		Body struct {
			Revocations []Revocation `json:"revocations"`
		}
	}
	revokeInput struct {
		Body struct {
			Of      string `json:"of" enum:"key,token,identity"`
			Value   string `json:"value" minLength:"1" maxLength:"300" doc:"a key's or auth token's id; a token's jti or a ticket's id; a device's name"`
			Forever bool   `json:"forever,omitempty" doc:"of an identity: also tokens that are issued later"`
			Reason  string `json:"reason,omitempty" maxLength:"200"`
		}
	}
	revokedAnswer struct {
		Body struct {
			Revocation
			Devices int `json:"devices" doc:"how many were connected with it"`
		}
	}
)

func (s *Server) revocationOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "revocations", Method: http.MethodGet, Path: "/api/v1/revocations", Summary: "What is refused, the newest first",
		Tags: []string{"revocations"}, Security: byBoth, Errors: []int{401, 403},
	}, s.revocations)
	huma.Register(api, huma.Operation{
		OperationID: "revoke", Method: http.MethodPost, Path: "/api/v1/revocations", DefaultStatus: http.StatusCreated,
		Summary: "Refuse a key, a token or an identity, and end its devices within a second",
		Tags:    []string{"revocations"}, Security: byBoth, Errors: []int{401, 403, 404, 409, 422},
	}, s.revoke)
	huma.Register(api, huma.Operation{
		OperationID: "lift-revocation", Method: http.MethodDelete, Path: "/api/v1/revocations/{id}", Summary: "Take a revocation back; a key's is for good",
		Tags: []string{"revocations"}, Security: byBoth, Errors: []int{401, 403, 404, 409}, DefaultStatus: http.StatusNoContent,
	}, s.lift)
}

func (s *Server) revocations(ctx context.Context, _ *struct{}) (*revocationsAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &revocationsAnswer{}
	out.Body.Revocations = []Revocation{}
	for _, r := range s.o.Ring.Revocations(c.viewer.Account) {
		out.Body.Revocations = append(out.Body.Revocations, revocationOf(r))
	}
	return out, nil
}

func (s *Server) revoke(ctx context.Context, in *revokeInput) (*revokedAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	r := keyring.Revocation{
		Account: c.viewer.Account, Of: in.Body.Of, Value: in.Body.Value, Forever: in.Body.Forever,
		By: c.viewer.Name, Reason: strings.TrimSpace(in.Body.Reason),
	}
	if err := s.mayRevoke(r); err != nil {
		return nil, s.failed(err)
	}
	out := &revokedAnswer{}
	if s.o.Devices != nil { // they are gone a moment later
		out.Body.Devices = s.o.Devices.CountOf(covers(r))
	}
	r, err = s.o.Ring.Revoke(ctx, r)
	if err != nil {
		return nil, s.failed(err)
	}
	act := people.RevocationAdd
	detail := map[string]string{"of": r.Of, "value": r.Value, "reason": r.Reason}
	if r.Of == keyring.OfKey {
		act = people.KeyRevoke
	}
	if r.Forever {
		detail["forever"] = yesNo(true)
	}
	s.changed(ctx, c, act, r.Value, detail)
	out.Body.Revocation = revocationOf(r)
	return out, nil
}

// mayRevoke refuses what there is not, what cannot be meant, and what would take
// the consoles' own tokens away.
func (s *Server) mayRevoke(r keyring.Revocation) error {
	if r.Forever && r.Of != keyring.OfIdentity {
		return fault.New(fault.Invalid, `"forever" is for identities: a key or a token is always revoked for good.`)
	}
	if r.Of != keyring.OfKey {
		return nil
	}
	k, ok := s.key(r.Account, r.Value)
	if !ok {
		if slices.ContainsFunc(s.o.Ring.AuthTokensOf(r.Account), func(a keyring.AuthToken) bool { return a.ID == r.Value }) {
			return nil
		}
		return fault.New(fault.NotFound, "There is no key or auth token %q in this account.", r.Value)
	}
	if k.Own() && k.Successor == "" && k.Revoked.IsZero() {
		return fault.New(fault.Conflict,
			"This key signs the tokens of the account's own consoles. Rotate it first (POST /api/v1/keys/%s/rotate), then revoke the old one: the consoles go on with the new one.", k.ID)
	}
	return nil
}

// covers returns which devices a revocation that is about to be made will end.
func covers(r keyring.Revocation) func(token.Claims) bool {
	return func(c token.Claims) bool {
		if c.Account != r.Account {
			return false
		}
		switch r.Of {
		case keyring.OfKey:
			return c.KeyID == r.Value && c.Issuer == ""
		case keyring.OfToken:
			return c.ID == r.Value
		default:
			return c.Identity == r.Value
		}
	}
}

func (s *Server) lift(ctx context.Context, in *RevocationPath) (*struct{}, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	detail := map[string]string{}
	for _, r := range s.o.Ring.Revocations(c.viewer.Account) {
		if r.ID == in.ID {
			detail = map[string]string{"of": r.Of, "value": r.Value}
		}
	}
	if err := s.o.Ring.Lift(ctx, c.viewer.Account, in.ID); err != nil {
		return nil, s.failed(err)
	}
	s.changed(ctx, c, people.RevocationLift, in.ID, detail)
	return nil, nil
}

func revocationOf(r keyring.Revocation) Revocation {
	return Revocation{ID: r.ID, Of: r.Of, Value: r.Value, At: r.At, Forever: r.Forever, By: r.By, Reason: r.Reason}
}
