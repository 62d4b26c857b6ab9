package app_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/internal/app"
	"dialtone/internal/config"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/token"
)

type staff struct {
	Users []struct{ ID, Name, Identity string }
}

func (s staff) id(t *testing.T, name string) string {
	t.Helper()
	at := slices.IndexFunc(s.Users, func(u struct{ ID, Name, Identity string }) bool { return u.Name == name })
	if at < 0 {
		t.Fatalf("nobody is called %s: %+v", name, s)
	}
	return s.Users[at].ID
}

// reachable opens a registered device of the identity.
func reachable(t *testing.T, n *node.Node, identity string) *device.Device {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d, err := device.Open(ctx, device.Options{URL: "wss://" + n.Addr().HTTPS + "/signal", Token: n.Token(t, token.Access, identity)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if err := d.Register(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

func wantGone(t *testing.T, d *device.Device, why string) {
	t.Helper()
	select {
	case <-d.Done():
	case <-time.After(2 * time.Second):
		t.Errorf("%s: the device is connected two seconds later", why)
	}
}

// Who is shut out, or gets a new password, loses their devices at once, and the
// call centre no longer counts on them.
func TestWhoIsShutOutLosesTheirDevices(t *testing.T) {
	n := node.Start(t, node.Options{})
	var list staff
	if status := n.Ask(t, "GET", "/api/v1/users", nil, &list); status != 200 {
		t.Fatal(status)
	}
	alices, bobs := reachable(t, n, "alice"), reachable(t, n, "bob")
	if status := n.Ask(t, "PATCH", "/api/v1/users/"+list.id(t, "alice"), map[string]any{"disabled": true}, nil); status != 200 {
		t.Fatal(status)
	}
	wantGone(t, alices, "disabled")
	node.Until(t, 2*time.Second, "alice is no agent any more", func() bool {
		var all struct{ Agents []struct{ Name string } }
		n.Ask(t, "GET", "/api/v1/agents", nil, &all)
		return !slices.ContainsFunc(all.Agents, func(a struct{ Name string }) bool { return a.Name == "alice" })
	})
	select {
	case <-bobs.Done():
		t.Error("bob lost his device, too")
	default:
	}

	// The same by a command beside the node.
	c := config.Default()
	c.DataDir, c.Account.Name = n.Dir, "demo"
	office, err := app.OpenOffice(t.Context(), c, false)
	if err != nil {
		t.Fatal(err)
	}
	defer office.Close()
	if err := office.SetPassword(t.Context(), "bob", "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	wantGone(t, bobs, "a new password")

	var log struct {
		Entries []people.AuditEntry `json:"entries"`
	}
	n.Ask(t, "GET", "/api/v1/audit?limit=200", nil, &log)
	for _, want := range []people.AuditEntry{
		{ActorKind: people.ByKey, Act: people.UserChange, Target: "alice"},
		{ActorKind: people.ByCommand, Act: people.PasswordReset, Target: "bob"},
	} {
		if !slices.ContainsFunc(log.Entries, func(e people.AuditEntry) bool {
			return e.ActorKind == want.ActorKind && e.Act == want.Act && e.Target == want.Target
		}) {
			t.Errorf("no line of %+v in %+v", want, log.Entries)
		}
	}
}
