package main

import (
	"context"
	"errors"
	"fmt"

	"dialtone/internal/fault"
	"dialtone/internal/voice/keyring"
)

type tokenRevoke struct {
	place
	Key      string `xor:"what" required:"" placeholder:"ID" help:"An API key (SK…) or auth token (AT…): for good, with all tokens it signed."`
	ID       string `name:"id" xor:"what" required:"" placeholder:"JTI" help:"One token by its jti, or a ticket by its id (TK…)."`
	Identity string `xor:"what" required:"" placeholder:"NAME" help:"The tokens of this name that were issued until now."`
	Forever  bool   `help:"With --identity: those issued later, too, until the revocation is lifted."`
	Reason   string `placeholder:"TEXT" help:"Why, as shown in the list of revocations."`
}

func (c *tokenRevoke) Run(ctx context.Context, s streams) (err error) {
	v := keyring.Revocation{Forever: c.Forever, Reason: c.Reason}
	what := ""
	switch {
	case c.Forever && c.Identity == "":
		return fault.New(fault.Invalid, "--forever goes with --identity: keys and single tokens are revoked for good anyway")
	case c.Key != "":
		v.Of, v.Value, what = keyring.OfKey, c.Key, "The key "+c.Key
	case c.ID != "":
		v.Of, v.Value, what = keyring.OfToken, c.ID, "The token "+c.ID
	case c.Identity != "":
		v.Of, v.Value, what = keyring.OfIdentity, c.Identity, "The identity "+c.Identity
	default:
		return fault.New(fault.Invalid, "what is revoked must have a name")
	}
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	v, err = office.Revoke(ctx, v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is revoked (%s). A running node ends the devices that it let in within a second.\n", what, v.ID)
	return err
}
