package people_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/talk/people"
)

var boss = people.Actor{Kind: people.ByPerson, ID: "USboss", Name: "Boss", Remote: "192.0.2.9"}

// lines returns the audit log, oldest first.
func (h house) lines(t *testing.T) []people.AuditEntry {
	t.Helper()
	var all []people.AuditEntry
	f := people.AuditFilter{Account: "AC1", Limit: 200}
	for {
		page, err := h.store.AuditPage(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Entries...)
		if f.Cursor = page.Next; f.Cursor == "" {
			slices.Reverse(all)
			return all
		}
	}
}

// acts returns the audit log as "actor act target", oldest first.
func (h house) acts(t *testing.T) string {
	t.Helper()
	var all []string
	for _, e := range h.lines(t) {
		all = append(all, e.Actor+" "+e.Act+" "+e.Target)
	}
	return strings.Join(all, "\n")
}

func ptr[T any](v T) *T { return &v }

func TestAdministration(t *testing.T) {
	h := build(t)
	defer h.close(t)
	ctx := t.Context()
	bob, secret, err := h.staff.Add(ctx, boss, "AC1", people.NewUser{Name: " Bob  Ross ", Email: "bob@example.com", Role: people.Agent})
	if err != nil || bob.Identity != "bob-ross" || bob.Name != "Bob  Ross" {
		t.Fatalf("%+v %v", bob, err)
	}
	if _, _, _, err := h.SignIn(ctx, "bob@example.com", secret, office); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why  string
		kind fault.Kind
		new  people.NewUser
		says string
	}{
		{"name", fault.Conflict, people.NewUser{Name: "BOB  ROSS", Role: people.Agent, Identity: "x"}, "this name"},
		{"e-mail", fault.Conflict, people.NewUser{Name: "b", Role: people.Agent, Email: "BOB@example.com"}, "e-mail"},
		{"identity", fault.Conflict, people.NewUser{Name: "b", Role: people.Agent, Identity: "bob-ross"}, "identity"},
		{"nonsense", fault.Invalid, people.NewUser{Name: "b", Role: people.Agent, Email: "nonsense"}, "e-mail"},
		{"with a name", fault.Invalid, people.NewUser{Name: "b", Role: people.Agent, Email: "B <b@example.com>"}, "e-mail"},
		{"role", fault.Invalid, people.NewUser{Name: "b", Role: "boss"}, "role"},
		{"no name", fault.Invalid, people.NewUser{Name: " ", Role: people.Agent}, "name"},
		{"control characters", fault.Invalid, people.NewUser{Name: "a\x1b[2J", Role: people.Agent}, "printable"},
		{"another's address as a name", fault.Invalid, people.NewUser{Name: "alice@example.com", Role: people.Agent}, "@"},
	} {
		_, _, err := h.staff.Add(ctx, boss, "AC1", c.new)
		if err == nil || fault.KindOf(err) != c.kind || !strings.Contains(fault.Message(err), c.says) {
			t.Errorf("%s: %v", c.why, err)
		}
	}

	// Of another account nothing is seen or changed.
	_, err = h.staff.Change(ctx, boss, "AC2", bob.ID, people.Change{Disabled: ptr(true)})
	wantKind(t, err, fault.NotFound)
	_, err = h.staff.ResetPassword(ctx, boss, "AC2", bob.ID)
	wantKind(t, err, fault.NotFound)
	wantKind(t, h.staff.SignOut(ctx, boss, "AC2", bob.ID), fault.NotFound)
	wantKind(t, h.staff.RemovePasskeys(ctx, boss, "AC2", bob.ID), fault.NotFound)

	if _, err := h.staff.Change(ctx, boss, "AC1", bob.ID, people.Change{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	_, _, _, err = h.SignIn(ctx, "bob@example.com", secret, office)
	wantKind(t, err, fault.Unauthenticated)
	if n := h.sessions(t); n != 0 {
		t.Errorf("%d sessions of a disabled person", n)
	}
	if _, err := h.staff.Change(ctx, boss, "AC1", bob.ID, people.Change{Disabled: ptr(false), Role: ptr(people.TeamLead)}); err != nil {
		t.Fatal(err)
	}
	fresh, err := h.staff.ResetPassword(ctx, boss, "AC1", bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := h.SignIn(ctx, "bob@example.com", fresh, office); err != nil {
		t.Fatal(err)
	}
	if want := []string{"AC1 bob-ross Boss disabled", "AC1 bob-ross Boss new password"}; fmt.Sprint(*h.revoked) != fmt.Sprint(want) {
		t.Errorf("devices: %q", *h.revoked)
	}
	for _, e := range h.lines(t) {
		for _, hidden := range []string{secret, fresh, "argon2"} {
			if strings.Contains(fmt.Sprint(e), hidden) {
				t.Errorf("a secret in the audit log: %+v", e)
			}
		}
	}
	want := `Boss user.add Bob  Ross
Bob  Ross session.begin Bob  Ross
Boss user.change Bob  Ross
 session.refused Bob  Ross
Boss user.change Bob  Ross
Boss password.reset Bob  Ross
Bob  Ross session.begin Bob  Ross`
	if got := h.acts(t); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAnAccountKeepsAnAdmin(t *testing.T) {
	h := build(t)
	defer h.close(t)
	ctx := t.Context()
	ann, _, err := h.staff.Add(ctx, boss, "AC1", people.NewUser{Name: "ann", Role: people.Admin})
	if err != nil {
		t.Fatal(err)
	}
	asAnn := people.Actor{Kind: people.ByPerson, ID: ann.ID, Name: "ann"}
	// An admin of another account does not count.
	if _, _, err := h.staff.Add(ctx, boss, "AC2", people.NewUser{Name: "other", Role: people.Admin}); err != nil {
		t.Fatal(err)
	}
	for _, change := range []people.Change{{Role: ptr(people.Agent)}, {Disabled: ptr(true)}} {
		_, err := h.staff.Change(ctx, boss, "AC1", ann.ID, change)
		wantKind(t, err, fault.Conflict)
		if !strings.Contains(fault.Message(err), "last admin") {
			t.Errorf("%v", err)
		}
	}
	two, _, err := h.staff.Add(ctx, boss, "AC1", people.NewUser{Name: "two", Role: people.Admin})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.staff.Change(ctx, asAnn, "AC1", ann.ID, people.Change{Disabled: ptr(true)})
	wantKind(t, err, fault.Conflict)
	if !strings.Contains(fault.Message(err), "themselves") {
		t.Error(err)
	}

	// Two admins who demote each other at the same moment: one stays.
	var both sync.WaitGroup
	failed := make(chan error, 2)
	for _, id := range []string{ann.ID, two.ID} {
		both.Go(func() {
			_, err := h.staff.Change(ctx, boss, "AC1", id, people.Change{Role: ptr(people.Agent)})
			failed <- err
		})
	}
	both.Wait()
	one, other := <-failed, <-failed
	if (one == nil) == (other == nil) {
		t.Errorf("%v, %v", one, other)
	}
}

func TestWhatWasDoneIsSaidWhenDevicesStay(t *testing.T) {
	h := build(t)
	defer h.close(t)
	ctx := t.Context()
	broken := errors.New("the ring is away")
	staff := people.NewStaff(people.StaffOptions{Store: h.store, Hashing: cheap, RevokeIdentity: func(context.Context, string, string, string, string) error {
		return broken
	}})
	_, err := staff.Change(ctx, boss, "AC1", h.alice.ID, people.Change{Disabled: ptr(true)})
	if !errors.Is(err, broken) || !strings.Contains(fault.Message(err), "is disabled, but") {
		t.Errorf("%v", err)
	}
	if u, err := h.store.User(ctx, h.alice.ID); err != nil || !u.Disabled {
		t.Errorf("%+v %v", u, err)
	}
	// Done again, it is tried again.
	if _, err := h.staff.Change(ctx, boss, "AC1", h.alice.ID, people.Change{Disabled: ptr(true)}); err != nil || len(*h.revoked) != 1 {
		t.Errorf("%v %v", err, *h.revoked)
	}
}

func TestOwnPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		defer h.close(t)
		ctx := t.Context()
		u, s, cookie, err := h.SignIn(ctx, "alice", password, office)
		if err != nil {
			t.Fatal(err)
		}
		_, _, elsewhere, err := h.SignIn(ctx, "alice", password, people.Client{Remote: "198.51.100.1"})
		if err != nil {
			t.Fatal(err)
		}
		change := func(current, next string) error {
			return h.ChangePassword(ctx, u.ActorFrom(office), u, s, current, next, office)
		}
		wantKind(t, change(password, "short"), fault.Invalid)
		limited := false
		for range 10 {
			err := change("guess", "correct horse staple")
			if fault.KindOf(err) == fault.TooMany {
				limited = true
				break
			}
			wantKind(t, err, fault.Invalid)
		}
		if !limited {
			t.Error("guessing the present password has no limit")
		}
		time.Sleep(time.Hour)
		if err := change(password, "correct horse staple"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.Resume(ctx, cookie); err != nil {
			t.Errorf("the own session ended: %v", err)
		}
		_, _, err = h.Resume(ctx, elsewhere)
		wantKind(t, err, fault.Unauthenticated)
		_, _, _, err = h.SignIn(ctx, "alice", password, office)
		wantKind(t, err, fault.Unauthenticated)
		if len(*h.revoked) != 1 {
			t.Errorf("devices: %v", *h.revoked)
		}
		// Made of a user who was read before: somebody else was quicker.
		wantKind(t, change(password, "another horse staple"), fault.Conflict)

		u.Password = ""
		wantKind(t, change("", "correct horse staple"), fault.Conflict)
	})
}

func TestOwnSessions(t *testing.T) {
	h := build(t)
	defer h.close(t)
	ctx := t.Context()
	u, s, _, err := h.SignIn(ctx, "alice", password, office)
	if err != nil {
		t.Fatal(err)
	}
	_, other, cookie, err := h.SignIn(ctx, "alice", password, people.Client{Remote: "198.51.100.1", Browser: "Other"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := h.Sessions(ctx, u.ID)
	if err != nil || len(all) != 2 || all[0].ID() == all[1].ID() || strings.Contains(all[0].ID(), all[0].Hash) {
		t.Fatalf("%+v %v", all, err)
	}
	_, err = h.EndSession(ctx, u.ActorFrom(office), people.User{ID: "USbob", Account: "AC1"}, other.ID())
	wantKind(t, err, fault.NotFound)
	if ended, err := h.EndSession(ctx, u.ActorFrom(office), u, other.ID()); err != nil || ended.Hash != other.Hash {
		t.Fatal(ended, err)
	}
	_, _, err = h.Resume(ctx, cookie)
	wantKind(t, err, fault.Unauthenticated)
	if all, err = h.Sessions(ctx, u.ID); err != nil || len(all) != 1 || all[0].Hash != s.Hash {
		t.Errorf("%+v %v", all, err)
	}
}

// A flood of failed sign-ins leaves a bounded number of lines, and none is lost
// in the sum.
func TestAFloodOfRefusalsIsSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		defer h.close(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.Sweep(ctx, nil); close(done) }()
		const tries = 400
		for i := range tries {
			_, _, _, err := h.SignIn(t.Context(), fmt.Sprint("somebody", i), "guess", people.Client{Remote: fmt.Sprintf("198.51.%d.%d", i/200, i%200)})
			wantKind(t, err, fault.Unauthenticated)
		}
		cancel()
		<-done
		lines, sum := h.lines(t), 0
		for _, e := range lines {
			if e.Act != people.SessionRefused || e.Target != "" || e.ActorKind != people.BySystem {
				t.Fatalf("%+v", e)
			}
			var n int
			fmt.Sscan(e.Detail["count"], &n)
			sum += n
		}
		if sum != tries || len(lines) > 240 {
			t.Errorf("%d lines tell of %d refusals of %d", len(lines), sum, tries)
		}
	})
}

// failing is an audit store that can be broken.
type failing struct {
	people.AuditStore
	err  error
	kept []people.AuditEntry
}

func (f *failing) AddAudit(_ context.Context, e people.AuditEntry) error {
	if f.err == nil {
		f.kept = append(f.kept, e)
	}
	return f.err
}

func TestAnActIsDoneWithoutItsLine(t *testing.T) {
	board := health.NewBoard()
	store := &failing{err: errors.New("disk full")}
	r := people.NewRecorder(store, board, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the browser went away: the act was done all the same
	r.Record(ctx, boss.Entry("AC1", people.KeyRevoke, "SK1", nil))
	if w := board.Warnings(); len(w) != 1 || w[0].Code != people.AuditUnwritten || !board.Ready() {
		t.Fatalf("%+v", w)
	}
	store.err = nil
	r.Record(ctx, boss.Entry("AC1", people.KeyRevoke, "SK1", nil))
	if len(store.kept) != 1 {
		t.Fatal(store.kept)
	}
	if w := board.Warnings(); len(w) != 0 {
		t.Errorf("%+v", w)
	}
}

func TestSecretsDoNotGetIntoTheLog(t *testing.T) {
	store := &failing{}
	r := people.NewRecorder(store, nil, nil)
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJTSzEyMyJ9.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw"
	hex := strings.Repeat("0123456789abcdef", 4)
	key := "SK" + strings.Repeat("ab", 16)
	r.Record(t.Context(), boss.Entry("AC1", people.KeyAdd, "by "+jwt, map[string]string{
		"id": key, "name": "crm", "secret": hex, "new_password": "x", "Bearer": key + "." + hex, "note": key + "." + hex, "ticket": hex,
		"long": strings.Repeat("é", 5000), "bad": "a\xff",
	}))
	e := store.kept[0]
	text := fmt.Sprint(e)
	for _, hidden := range []string{hex, jwt, "new_password"} {
		if strings.Contains(text, hidden) {
			t.Errorf("%s in %s", hidden, text)
		}
	}
	if e.Detail["id"] != key || e.Detail["name"] != "crm" || len(e.Detail["long"]) > 1000 || e.ID == "" || e.At.IsZero() {
		t.Errorf("%+v", e)
	}
}

func FuzzCheckEmail(f *testing.F) {
	for _, seed := range []string{"a@example.com", "A <a@example.com>", "a@b@c", "\"a b\"@c", "a@[127.0.0.1]", "é@é.example", "a@example.com\n", "@", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if people.CheckEmail(text) != nil || text == "" {
			return
		}
		if strings.Count(text, "@") != 1 || strings.ContainsAny(text, "<> \r\n\"\x00") || people.DomainOf(text) == "" || len(text) > 254 {
			t.Errorf("%q is taken", text)
		}
	})
}
