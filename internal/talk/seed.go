package talk

import (
	"context"
	"strings"
	"time"

	"dialtone/internal/talk/people"
)

// Demo is what a demo node starts with: the account "demo" and its people with
// their passwords. Its JSON is the file demo.json.
type Demo struct {
	Users  []DemoUser `json:"users"`
	APIKey string     `json:"api_key"` // for "Authorization: Bearer"; the node's to make

	Account Account      `json:"-"`
	Line    LineSettings `json:"-"`
}

// DemoUser is one of the demo's people.
type DemoUser struct {
	Name     string      `json:"name"`
	Email    string      `json:"email"`
	Password string      `json:"password"`
	Role     people.Role `json:"role"`
}

// DemoNumber is the demo's line.
const DemoNumber = "+15550199"

// SeedDemo brings the demo's account, people and line into the store and returns
// them, with APIKey as it was before. What exists stays. Passwords of before (the demo.json of an
// earlier start, or the zero Demo) stay when they still fit; others are new,
// because the store has hashes only.
func SeedDemo(ctx context.Context, s Store, before Demo) (Demo, error) {
	now := now()
	d := Demo{APIKey: before.APIKey}
	var err error
	if d.Account, err = demoAccount(ctx, s, now); err != nil {
		return Demo{}, err
	}
	users, err := s.Users(ctx)
	if err != nil {
		return Demo{}, err
	}
	var agents []string
	for _, want := range []people.User{
		{Name: "admin", Role: people.Admin}, {Name: "alice", Role: people.Agent}, {Name: "bob", Role: people.Agent},
	} {
		u := people.User{
			ID: NewID("US"), Account: d.Account.ID, Name: want.Name, Email: want.Name + "@demo.example",
			Role: want.Role, Identity: want.Name, Created: now,
		}
		for _, have := range users {
			if have.Account == d.Account.ID && strings.EqualFold(have.Name, want.Name) {
				u = have
			}
		}
		password := before.password(u.Name)
		if password == "" || !people.Matches(password, u.Password) {
			password = people.RandomPassword()
			u.Password = people.Hash(password, people.DefaultParams)
			if err := s.PutUser(ctx, u); err != nil {
				return Demo{}, err
			}
		}
		if u.Role == people.Agent {
			agents = append(agents, u.ID)
		}
		d.Users = append(d.Users, DemoUser{Name: u.Name, Email: u.Email, Password: password, Role: u.Role})
	}
	if d.Line, err = demoLine(ctx, s, d.Account.ID, agents, now); err != nil {
		return Demo{}, err
	}
	return d, nil
}

func (d Demo) password(name string) string {
	for _, u := range d.Users {
		if u.Name == name {
			return u.Password
		}
	}
	return ""
}

func demoAccount(ctx context.Context, s Store, now time.Time) (Account, error) {
	all, err := s.Accounts(ctx)
	if err != nil {
		return Account{}, err
	}
	a := Account{ID: NewID("AC"), Name: "demo", TimeZone: "UTC", Country: "US", Created: now}
	known := false
	for _, have := range all {
		if have.Name == a.Name {
			a, known = have, true
			break
		}
	}
	if !known {
		if err := s.PutAccount(ctx, a); err != nil {
			return Account{}, err
		}
	}
	return a, nil
}

func demoLine(ctx context.Context, s Store, account string, agents []string, now time.Time) (LineSettings, error) {
	all, err := s.Lines(ctx)
	if err != nil {
		return LineSettings{}, err
	}
	for _, l := range all {
		if l.Account == account && l.Number == DemoNumber {
			return l, nil
		}
	}
	l := LineSettings{
		ID: NewID("PN"), Account: account, Number: DemoNumber, Name: "Support", Agents: agents, Voicemail: true, Created: now,
	}
	return l, s.PutLine(ctx, l)
}
