package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"dialtone/internal/app"
	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
)

type userCommand struct {
	Add    userAdd    `cmd:"" help:"Add somebody; prints a password unless one is given."`
	List   userList   `cmd:"" help:"List the people of the account."`
	Passwd userPasswd `cmd:"" help:"Give somebody a new password and end their sessions."`
}

type userAdd struct {
	place
	secret
	Name     string `arg:"" help:"The name to sign in with."`
	Email    string `placeholder:"ADDRESS" help:"E-mail address; can be used to sign in, too."`
	Role     string `default:"agent" enum:"agent,team_lead,admin" help:"agent, team_lead or admin (default: ${default})."`
	Identity string `placeholder:"NAME" help:"Name of the person's devices in tokens (default: the name in small letters)."`
}

func (c *userAdd) Run(ctx context.Context, s streams) (err error) {
	password, generated, err := c.read(s.in)
	if err != nil {
		return err
	}
	office, err := openOffice(ctx, c.place, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	u := people.User{Name: c.Name, Email: c.Email, Role: people.Role(c.Role), Identity: c.Identity}
	if err := office.AddUser(ctx, u, password); fault.KindOf(err) == fault.Conflict {
		return fmt.Errorf("%s was not added: somebody has this name, identity or e-mail address already (see dialtone user list)", c.Name)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s can sign in.\n", c.Name)
	if generated {
		fmt.Fprintf(s.out, "password: %s\n", password)
	}
	return nil
}

type userList struct{ place }

func (c *userList) Run(ctx context.Context, s streams) (err error) {
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	users, err := office.Users(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tIDENTITY\tE-MAIL\tSINCE")
	for _, u := range users {
		note := ""
		if u.Disabled {
			note = " (disabled)"
		}
		fmt.Fprintf(w, "%s%s\t%s\t%s\t%s\t%s\n", u.Name, note, u.Role, u.Identity, u.Email, u.Created.Format("2006-01-02"))
	}
	return w.Flush()
}

type userPasswd struct {
	place
	secret
	Name string `arg:"" help:"Name or e-mail address of the person."`
}

func (c *userPasswd) Run(ctx context.Context, s streams) (err error) {
	password, generated, err := c.read(s.in)
	if err != nil {
		return err
	}
	office, err := openOffice(ctx, c.place, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	if err := office.SetPassword(ctx, c.Name, password); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s has a new password and is signed out everywhere.\n", c.Name)
	if generated {
		fmt.Fprintf(s.out, "password: %s\n", password)
	}
	return nil
}

// secret is how a password comes in: never as an argument, which every user of
// the machine could read.
type secret struct {
	PasswordStdin bool `help:"Read the password from the first line of standard input."`
}

func (f secret) read(in io.Reader) (password string, generated bool, err error) {
	if !f.PasswordStdin {
		return people.RandomPassword(), true, nil
	}
	line, err := bufio.NewReader(io.LimitReader(in, people.MaxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", false, fault.New(fault.Invalid, "standard input holds no password")
	}
	return line, false, nil
}

func openOffice(ctx context.Context, p place, create bool) (*app.Office, error) {
	settings, err := p.load()
	if err != nil {
		return nil, err
	}
	return app.OpenOffice(ctx, settings, create)
}
