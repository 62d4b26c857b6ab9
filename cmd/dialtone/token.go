package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"dialtone/internal/app"
	"dialtone/internal/fault"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

type tokenCommand struct {
	Mint    tokenMint    `cmd:"" help:"Print a new token, alone."`
	Verify  tokenVerify  `cmd:"" help:"Print what a valid token says; exits with 1 and the reason otherwise. A ticket is not used up."`
	Inspect tokenInspect `cmd:"" help:"Show a token's parts and features, without any key. Nothing of it is verified."`
	Revoke  tokenRevoke  `cmd:"" help:"Revoke a key, a token or an identity, and end the devices that it let in."`
	Check   tokenCheck   `cmd:"" help:"Make tokens of every kind there can be, and say which of them a verifier fails."`
}

type tokenMint struct {
	place
	Kind       string        `default:"access" enum:"access,capability,ticket" help:"access, capability or ticket (default: ${default})."`
	Identity   string        `required:"" placeholder:"NAME" help:"The device's name within the account."`
	TTL        time.Duration `name:"ttl" help:"Lifetime, at most 24h (default: 1h); of a ticket the time to use it in, at most 1h (default: 2m)."`
	NoIncoming bool          `help:"The device cannot be called."`
	NoOutgoing bool          `help:"The device cannot call."`
	App        string        `placeholder:"AP…" help:"Application of the device's calls (default: that of the account's lines)."`
}

func (c *tokenMint) Run(ctx context.Context, s streams) (err error) {
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	application := c.App
	switch {
	case c.NoOutgoing:
		application = ""
	case application == "":
		application = office.OutgoingApp()
	}
	text, err := c.mint(ctx, office, application)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}

func (c *tokenMint) mint(ctx context.Context, office *app.Office, application string) (string, error) {
	if token.Kind(c.Kind) == token.Ticket {
		text, _, err := office.IssueTicket(ctx, keyring.TicketGrant{
			Identity: c.Identity, TTL: c.TTL, Incoming: !c.NoIncoming, OutgoingApp: application,
		})
		return text, err
	}
	minter, err := office.Minter()
	if err != nil {
		return "", err
	}
	if token.Kind(c.Kind) == token.Capability {
		return minter.MintCapability(token.CapabilityGrant{
			ClientName: c.Identity, TTL: c.TTL, Incoming: !c.NoIncoming, OutgoingApp: application,
		}, time.Now())
	}
	return minter.MintAccess(token.AccessGrant{
		Identity: c.Identity, TTL: c.TTL, Incoming: !c.NoIncoming, OutgoingApp: application,
	}, time.Now())
}

type tokenVerify struct {
	place
	JWK   string `name:"jwk" placeholder:"FILE" help:"Check a bare JWS with this key and nothing else."`
	Token string `arg:"" help:"The token; - reads it from standard input."`
}

func (c *tokenVerify) Run(ctx context.Context, s streams) (err error) {
	text, err := given(c.Token, s.in)
	if err != nil {
		return err
	}
	if c.JWK != "" {
		key, err := os.ReadFile(c.JWK)
		if err != nil {
			return fault.New(fault.Invalid, "%v", err)
		}
		payload, err := token.VerifyJWS(key, text)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s\n", payload)
		return err
	}
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	claims, err := office.Verifier().Examine(ctx, text)
	if refusal := (*token.Refusal)(nil); errors.As(err, &refusal) {
		return fmt.Errorf("%w: see \"Why a token is refused\" in docs/tokens.md", err)
	}
	if err != nil {
		return err
	}
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	return e.Encode(shown(claims))
}

// shown is what verify prints of a token: what it says, without its features.
func shown(c token.Claims) map[string]any {
	m := map[string]any{
		"kind": c.Kind, "account": c.Account, "identity": c.Identity,
		"expires": c.Expires.UTC().Format(time.RFC3339), "incoming": c.Incoming, "outgoing": c.Outgoing,
	}
	for name, value := range map[string]string{"key": c.KeyID, "issuer": c.Issuer, "id": c.ID, "outgoing_app": c.OutgoingApp, "push_credential": c.PushCredential} {
		if value != "" {
			m[name] = value
		}
	}
	if !c.Issued.IsZero() {
		m["issued"] = c.Issued.UTC().Format(time.RFC3339)
	}
	if !c.NotBefore.IsZero() {
		m["not_before"] = c.NotBefore.UTC().Format(time.RFC3339)
	}
	if len(c.OutgoingParams) > 0 {
		m["outgoing_params"] = c.OutgoingParams
	}
	return m
}

type tokenInspect struct {
	Token string `arg:"" help:"The token; - reads it from standard input."`
}

func (c *tokenInspect) Run(s streams) error {
	text, err := given(c.Token, s.in)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, strings.TrimRight(token.Inspect(text).At(time.Now()).String(), "\n"))
	return err
}

// given returns the argument, or the first line of standard input for "-". The
// text is otherwise taken as it is: what is wrong with it is what the command is
// asked.
func given(arg string, in io.Reader) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
