package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"dialtone/internal/fault"
)

type keyCommand struct {
	List   keyList   `cmd:"" help:"List the account's API keys."`
	Add    keyAdd    `cmd:"" help:"Add an API key; prints its secret, once."`
	Rotate keyRotate `cmd:"" help:"Replace an API key by a new one; both are good for a while."`
	Revoke keyRevoke `cmd:"" help:"Revoke an API key or auth token for good, and end the devices that it let in."`
}

type keyList struct{ place }

func (c *keyList) Run(ctx context.Context, s streams) (err error) {
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tALGORITHM\tROLE\tSTATE\tSINCE\tLAST USED")
	for _, k := range office.Keys() {
		role, used := k.Role, "never"
		if role == "" {
			role = "-"
		}
		if !k.LastUsed.IsZero() {
			used = k.LastUsed.UTC().Format("2006-01-02 15:04")
		}
		state := k.State(time.Now())
		if state == "retiring" {
			state += " until " + k.Retires.UTC().Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Algorithm, role, state, k.Created.UTC().Format("2006-01-02"), used)
	}
	return w.Flush()
}

type keyAdd struct {
	place
	Name      string `arg:"" help:"What it is for, as shown in lists."`
	Role      string `default:"none" enum:"none,team_lead,admin" help:"What its holder may do in the API: none (it only lets devices in), team_lead or admin (default: ${default})."`
	Algorithm string `placeholder:"ALG" help:"HS256, HS384 or HS512; with --public-key ES256, EdDSA, RS256 or PS256 (default: HS256, or what the public key says)."`
	PublicKey string `placeholder:"FILE" type:"path" help:"The public half, as a JSON Web Key, of a key whose private half stays where it is."`
}

func (c *keyAdd) Run(ctx context.Context, s streams) (err error) {
	role := c.Role
	if role == "none" {
		role = ""
	}
	var public []byte
	if c.PublicKey != "" {
		if public, err = readSmall(c.PublicKey); err != nil {
			return fault.New(fault.Invalid, "%v", err)
		}
	}
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	k, err := office.AddKey(ctx, c.Name, role, c.Algorithm, public)
	if err != nil {
		return err
	}
	return printKey(s.out, k.ID, k.Secret, role != "")
}

// readSmall reads a file that cannot be large.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// printKey prints what is shown this once.
func printKey(w io.Writer, id string, secret []byte, bearer bool) error {
	text := "id: " + id + "\n"
	if len(secret) > 0 {
		text += "secret: " + string(secret) + "\n"
	}
	if bearer {
		text += "bearer: " + id + "." + string(secret) + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

type keyRotate struct {
	place
	ID      string        `arg:"" help:"The key to replace (SK…)."`
	Overlap time.Duration `default:"24h" help:"How long tokens that the old key signs are accepted; 0s: not any more (default: ${default})."`
}

func (c *keyRotate) Run(ctx context.Context, s streams) (err error) {
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	k, err := office.RotateKey(ctx, c.ID, c.Overlap)
	if err != nil {
		return err
	}
	return printKey(s.out, k.ID, k.Secret, k.Role != "")
}

type keyRevoke struct {
	place
	ID     string `arg:"" help:"The key (SK…) or auth token (AT…)."`
	Reason string `help:"Why, as shown in the list of revocations."`
}

func (c *keyRevoke) Run(ctx context.Context, s streams) (err error) {
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	if err := office.RevokeKey(ctx, c.ID, c.Reason); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is revoked. A running node ends the devices that it let in within a second.\n", c.ID)
	return err
}
