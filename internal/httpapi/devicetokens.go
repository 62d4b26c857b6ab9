package httpapi

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// deviceTokenTTL is how long a console's token lives; the SDK renews it before.
const deviceTokenTTL = time.Hour

// Tickets makes what a device is let in by.
type Tickets interface {
	IssueTicket(ctx context.Context, g keyring.TicketGrant) (text string, t keyring.Ticket, err error)
	// Signer returns what the account's own tokens are signed with.
	Signer(account string) (token.Signer, error)
	// SignerOf returns what one API key of the account signs.
	SignerOf(account, id string) (token.Signer, error)
}

// FellBack is told of a device that goes another way because a token of the
// first could not even be had. It must not block.
type FellBack interface {
	FellBack(e event.WayChanged)
}

// NotIssued is the reason of an event.WayChanged when a token could not be had.
const NotIssued = "not_issued"

// DeviceToken lets one browser register as a device.
type DeviceToken struct {
	Token     string       `json:"token" doc:"give it to the Voice SDK's Device"`
	Kind      token.Kind   `json:"kind" enum:"ticket,access,capability"`
	Identity  string       `json:"identity"`
	ExpiresAt time.Time    `json:"expires_at" doc:"of a ticket: it must be used before"`
	Ways      []token.Kind `json:"ways" doc:"ways in that are open, in the order to try them"`
}

type (
	deviceTokenInput struct {
		Body *struct {
			Kind      token.Kind `json:"kind,omitempty" enum:"ticket,access,capability" doc:"access if left out"`
			Identity  string     `json:"identity,omitempty" maxLength:"121" doc:"the device's name; only a machine gives one, and must"`
			InsteadOf *struct {
				Kind token.Kind `json:"kind" enum:"ticket,access,capability"`
				Code int        `json:"code" minimum:"0" maximum:"99999" doc:"the SDK's error code; 0: no token of that kind could be had"`
			} `json:"instead_of,omitempty" doc:"what was tried before and did not let the device in"`
		}
	}
	deviceTokenAnswer struct{ Body DeviceToken }
)

func (s *Server) deviceTokenOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "device-token", Method: http.MethodPost, Path: "/api/v1/device-tokens", DefaultStatus: http.StatusCreated,
		Summary:     "A token that lets a browser register as a device",
		Description: "A signed-in agent gets one for their own browser, a machine one for any identity, as an app's server does for its users. Revoking the machine's key ends these devices.",
		Tags:        []string{"session"}, Security: byBoth, Metadata: map[string]any{letsDevicesIn: true}, Errors: []int{401, 403, 409, 422, 503},
	}, s.deviceToken)
}

func (s *Server) deviceToken(ctx context.Context, in *deviceTokenInput) (*deviceTokenAnswer, error) {
	kind, named := token.Access, ""
	if in.Body != nil {
		named = in.Body.Identity
		if in.Body.Kind != "" {
			kind = in.Body.Kind
		}
	}
	account, identity, err := deviceOf(ctx, named, kind)
	if err != nil {
		return nil, s.failed(err)
	}
	open := s.openWays(account, time.Now())
	if !slices.Contains(open, kind) {
		return nil, s.failed(fault.New(fault.Conflict, "The account does not let devices in by %s. Ask for a token of another kind: %s.", wayNames[kind], strings.Join(names(open), " or ")))
	}
	t, err := s.makeDeviceToken(ctx, kind, account, identity, callerOf(ctx).key)
	if err != nil {
		return nil, s.failed(err)
	}
	t.Ways = slices.DeleteFunc(open, func(k token.Kind) bool { return k == token.Capability })
	if in.Body != nil && in.Body.InsteadOf != nil {
		s.insteadOf(ctx, identity, in.Body.InsteadOf.Kind, in.Body.InsteadOf.Code, kind)
	}
	return &deviceTokenAnswer{Body: t}, nil
}

// deviceOf returns whose token is asked for: a person's own, or whom a machine
// names, which could as well sign an access token by itself. Capability tokens
// are the account's, not a key's.
func deviceOf(ctx context.Context, named string, kind token.Kind) (account, identity string, err error) {
	c := callerOf(ctx)
	if c.user.ID != "" {
		if named != "" && named != c.user.Identity {
			return "", "", fault.New(fault.Forbidden, "A person gets tokens for their own devices only. Leave the identity out.")
		}
		return c.user.Account, c.user.Identity, nil
	}
	if kind == token.Capability {
		if c, err = admin(ctx); err != nil {
			return "", "", err
		}
	}
	if named == "" {
		return "", "", fault.New(fault.Invalid, `Name the device in "identity": a machine has none of its own.`)
	}
	return c.viewer.Account, named, nil
}

var wayNames = map[token.Kind]string{token.Ticket: "tickets", token.Access: "access tokens", token.Capability: "capability tokens"}

func names(kinds []token.Kind) []string {
	var all []string
	for _, k := range kinds {
		all = append(all, `"`+string(k)+`"`)
	}
	return all
}

// openWays returns the account's open ways, the one to try first first.
func (s *Server) openWays(account string, now time.Time) []token.Kind {
	ways := s.o.Ring.Ways(account)
	return slices.DeleteFunc([]token.Kind{token.Ticket, token.Access, token.Capability}, func(k token.Kind) bool {
		return !slices.ContainsFunc(ways, func(w keyring.Way) bool { return w.Kind == k && openAt(w, now) })
	})
}

// makeDeviceToken makes a token in the name of a machine's key, or of none ("").
func (s *Server) makeDeviceToken(ctx context.Context, kind token.Kind, account, identity, key string) (DeviceToken, error) {
	out := DeviceToken{Kind: kind, Identity: identity}
	app := s.o.OutgoingApp(account)
	if kind == token.Ticket {
		text, t, err := s.o.Ring.IssueTicket(ctx, keyring.TicketGrant{
			Account: account, Identity: identity, Session: deviceTokenTTL, Incoming: true, OutgoingApp: app, KeyID: key,
		})
		out.Token, out.ExpiresAt = text, t.Expires.UTC().Truncate(time.Second)
		return out, err
	}
	signer, err := s.o.Ring.Signer(account)
	if key != "" && kind == token.Access {
		signer, err = s.o.Ring.SignerOf(account, key)
	}
	if err != nil {
		return DeviceToken{}, err
	}
	now := time.Now()
	out.ExpiresAt = now.Add(deviceTokenTTL).UTC().Truncate(time.Second)
	if kind == token.Capability {
		out.Token, err = token.NewMinter(signer).MintCapability(token.CapabilityGrant{
			ClientName: identity, TTL: deviceTokenTTL, Incoming: true, OutgoingApp: app,
		}, now)
		return out, err
	}
	out.Token, err = token.NewMinter(signer).MintAccess(token.AccessGrant{
		ID: signer.KeyID + "-" + rand.Text(), Identity: identity, TTL: deviceTokenTTL, Incoming: true, OutgoingApp: app,
	}, now)
	return out, err
}

// insteadOf passes on that a way failed before anything reached the devices'
// server. A refusal there is known already: the server tells of it when the next
// token lets the device in.
func (s *Server) insteadOf(ctx context.Context, identity string, failed token.Kind, code int, saved token.Kind) {
	if code != 0 || failed == saved || s.o.FellBack == nil {
		return
	}
	c := callerOf(ctx)
	browser := c.client.Browser
	s.o.FellBack.FellBack(event.WayChanged{
		At: time.Now(), Account: c.viewer.Account, Identity: identity, Failed: string(failed), Reason: NotIssued, Saved: string(saved),
		Device: event.Device{Browser: strings.ToValidUTF8(browser[:min(len(browser), 300)], ""), Remote: c.client.Remote},
		Token:  event.TokenFeatures{Kind: string(failed)},
	})
}
