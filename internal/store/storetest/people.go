package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
)

// changedUsers is what ChangeUser and ListUsers promise.
func changedUsers(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	ann := b.user(t, one.ID, "ann", people.Admin)
	bob := b.user(t, one.ID, "bob", people.Admin)
	b.user(t, two.ID, "cid", people.Admin)

	before, after, err := b.ChangeUser(ctx, ann.ID, func(u *people.User, others int) error {
		same(t, "other admins", others, 1)
		same(t, "ann", *u, ann)
		u.Name, u.Role, u.Disabled, u.Password = "Anna", people.TeamLead, true, "another hash"
		u.Account, u.ID = two.ID, "US1" // these stay, whatever is asked
		return nil
	})
	must(t, err)
	want := ann
	want.Name, want.Role, want.Disabled, want.Password = "Anna", people.TeamLead, true, "another hash"
	same(t, "before", before, ann)
	same(t, "after", after, want)
	same(t, "kept", of(b.User(ctx, ann.ID))(t), want)

	no := errors.New("no")
	_, _, err = b.ChangeUser(ctx, bob.ID, func(u *people.User, others int) error {
		same(t, "other admins", others, 0)
		u.Name = "gone"
		return no
	})
	if !errors.Is(err, no) {
		t.Fatalf("got %v", err)
	}
	same(t, "unchanged", of(b.User(ctx, bob.ID))(t), bob)
	_, _, err = b.ChangeUser(ctx, "USnobody", func(*people.User, int) error { return nil })
	wantKind(t, err, fault.NotFound)
	for what, clash := range map[string]func(*people.User){
		"name":     func(u *people.User) { u.Name = "ANNA" },
		"e-mail":   func(u *people.User) { u.Email = "cid@EXAMPLE.com" },
		"identity": func(u *people.User) { u.Identity = ann.Identity },
	} {
		_, _, err := b.ChangeUser(ctx, bob.ID, func(u *people.User, _ int) error { clash(u); return nil })
		wantKind(t, err, fault.Conflict)
		if !strings.Contains(fault.Message(err), what) {
			t.Errorf("the clash of %s is told as %q", what, fault.Message(err))
		}
	}

	// Of many changes at once none is lost.
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, _, err := b.ChangeUser(ctx, bob.ID, func(u *people.User, _ int) error { u.Password += "x"; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	same(t, "password", of(b.User(ctx, bob.ID))(t).Password, bob.Password+strings.Repeat("x", 20))

	must(t, b.AddPasskey(ctx, aPasskey(bob.ID, "one")))
	must(t, b.AddSubject(ctx, people.Subject{Issuer: "https://id.example", Subject: "s", User: ann.ID, Created: noon}))
	must(t, b.PutSession(ctx, people.Session{Hash: "h", User: bob.ID, Created: noon, Seen: noon, Expires: noon.Add(time.Hour)}))
	must(t, b.TouchSession(ctx, "h", noon.Add(time.Minute), noon.Add(time.Hour)))
	must(t, b.DeleteSession(ctx, "h"))
	list := of(b.ListUsers(ctx, one.ID))(t)
	if len(list) != 2 || list[0].ID != ann.ID || list[1].ID != bob.ID {
		t.Fatalf("%+v", list)
	}
	if l := list[0]; l.Passkeys != 0 || !l.SSO || !l.Seen.IsZero() {
		t.Errorf("ann: %+v", l)
	}
	if l := list[1]; l.Passkeys != 1 || l.SSO || !l.Seen.Equal(noon.Add(time.Minute)) {
		t.Errorf("bob: %+v", l)
	}
}

func sessionsOfOne(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	ann, bob := b.user(t, a.ID, "ann", people.Agent), b.user(t, a.ID, "bob", people.Agent)
	put := func(hash, user string, seen, expires time.Duration) people.Session {
		s := people.Session{Hash: hash, User: user, Created: noon, Seen: noon.Add(seen), Expires: noon.Add(expires), Remote: "192.0.2.1", Browser: "B " + hash}
		must(t, b.PutSession(ctx, s))
		return s
	}
	old, late := put("a", ann.ID, 0, time.Hour), put("b", ann.ID, time.Minute, time.Hour)
	put("c", ann.ID, 0, time.Second)
	bobs := put("d", bob.ID, 0, time.Hour)
	now := noon.Add(2 * time.Second)
	same(t, "ann's", of(b.SessionsOf(ctx, ann.ID, now))(t), []people.Session{late, old})
	must(t, b.DeleteSessionsBut(ctx, ann.ID, old.Hash))
	same(t, "the one kept", of(b.SessionsOf(ctx, ann.ID, now))(t), []people.Session{old})
	same(t, "bob's", of(b.SessionsOf(ctx, bob.ID, now))(t), []people.Session{bobs})
}

func aPasskey(user, name string) people.Passkey {
	return people.Passkey{
		ID: "PK" + name, User: user, Name: name, Host: "calls.example.com", Credential: []byte("credential\x00" + name), PublicKey: []byte{0, 1, 2},
		Counter: 4_000_000_000, Flags: 0xc5, Created: noon,
	}
}

func passkeys(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	ann, bob := b.user(t, a.ID, "ann", people.Agent), b.user(t, a.ID, "bob", people.Agent)
	one, two := aPasskey(ann.ID, "one"), aPasskey(ann.ID, "two")
	must(t, b.AddPasskey(ctx, one))
	must(t, b.AddPasskey(ctx, two))
	again := aPasskey(bob.ID, "three")
	again.Credential = one.Credential
	wantKind(t, b.AddPasskey(ctx, again), fault.Conflict)
	wantKind(t, b.AddPasskey(ctx, aPasskey("USnobody", "four")), fault.Invalid)

	b.reopen(t)
	same(t, "ann's", of(b.Passkeys(ctx, ann.ID))(t), []people.Passkey{one, two})
	same(t, "bob's", of(b.Passkeys(ctx, bob.ID))(t), []people.Passkey{})
	k, u, err := b.PasskeyByCredential(ctx, two.Credential)
	must(t, err)
	same(t, "found", k, two)
	same(t, "whose", u, ann)
	_, _, err = b.PasskeyByCredential(ctx, []byte("none"))
	wantKind(t, err, fault.NotFound)

	// Of several uses from one counter, one counts.
	var all sync.WaitGroup
	used := make(chan bool, 20)
	for range 20 {
		all.Go(func() {
			ok, err := b.UsePasskey(ctx, one.ID, one.Counter, one.Counter+1, 5, noon.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			used <- ok
		})
	}
	all.Wait()
	close(used)
	n := 0
	for ok := range used {
		if ok {
			n++
		}
	}
	same(t, "uses", n, 1)
	one.Counter, one.Flags, one.Used = one.Counter+1, 5, noon.Add(time.Minute)
	same(t, "used", of(b.Passkeys(ctx, ann.ID))(t)[0], one)

	wantKind(t, b.DeletePasskey(ctx, bob.ID, one.ID), fault.NotFound)
	must(t, b.DeletePasskey(ctx, ann.ID, one.ID))
	same(t, "left", of(b.Passkeys(ctx, ann.ID))(t), []people.Passkey{two})
}

func subjects(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	ann, bob := b.user(t, a.ID, "ann", people.Agent), b.user(t, a.ID, "bob", people.Agent)
	s := people.Subject{Issuer: "https://id.example", Subject: "1", User: ann.ID, Created: noon}
	must(t, b.AddSubject(ctx, s))
	same(t, "ann", of(b.SubjectUser(ctx, s.Issuer, s.Subject))(t), ann)
	_, err := b.SubjectUser(ctx, "https://other.example", s.Subject)
	wantKind(t, err, fault.NotFound)
	_, err = b.SubjectUser(ctx, s.Issuer, "2")
	wantKind(t, err, fault.NotFound)
	wantKind(t, b.AddSubject(ctx, people.Subject{Issuer: s.Issuer, Subject: "1", User: bob.ID}), fault.Conflict)
	wantKind(t, b.AddSubject(ctx, people.Subject{Issuer: s.Issuer, Subject: "2", User: ann.ID}), fault.Conflict)
	must(t, b.AddSubject(ctx, people.Subject{Issuer: "https://other.example", Subject: "1", User: ann.ID}))
	must(t, b.AddSubject(ctx, people.Subject{Issuer: s.Issuer, Subject: "2", User: bob.ID}))
}

func auditLog(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	var all []people.AuditEntry
	for i := range 25 {
		e := people.AuditEntry{
			ID: fmt.Sprintf("AU%02d", i), At: noon.Add(time.Duration(i/2) * time.Second), Account: one.ID, Actor: "Ann", ActorID: "USann",
			ActorKind: people.ByPerson, Act: people.KeyRotate, Target: "SK1", Detail: map[string]string{"name": `a "b" é`}, Remote: "192.0.2.1",
		}
		switch i % 3 {
		case 1:
			e.Actor, e.ActorID, e.ActorKind, e.Act, e.Detail = "crm", "SKcrm", people.ByKey, people.UserAdd, map[string]string{}
		case 2:
			e.Act = people.KeyRevoke
		}
		must(t, b.AddAudit(ctx, e))
		all = append([]people.AuditEntry{e}, all...)
	}
	wantKind(t, b.AddAudit(ctx, all[0]), fault.Conflict)
	b.reopen(t)
	read := func(f people.AuditFilter) []people.AuditEntry {
		t.Helper()
		f.Account = one.ID
		got := []people.AuditEntry{}
		for {
			page := of(b.AuditPage(ctx, f))(t)
			if len(page.Entries) > f.Limit {
				t.Fatalf("page of %d", len(page.Entries))
			}
			got = append(got, page.Entries...)
			if f.Cursor = page.Next; f.Cursor == "" {
				return got
			}
		}
	}
	pick := func(keep func(people.AuditEntry) bool) []people.AuditEntry {
		return slices.DeleteFunc(slices.Clone(all), func(e people.AuditEntry) bool { return !keep(e) })
	}
	for _, limit := range []int{1, 7, 25, 26} {
		same(t, fmt.Sprintf("pages of %d", limit), read(people.AuditFilter{Limit: limit}), all)
	}
	same(t, "keys", read(people.AuditFilter{Act: "key.", Limit: 4}), pick(func(e people.AuditEntry) bool { return e.Act != people.UserAdd }))
	same(t, "one act", read(people.AuditFilter{Act: people.KeyRevoke, Limit: 4}), pick(func(e people.AuditEntry) bool { return e.Act == people.KeyRevoke }))
	same(t, "a pattern is a text", read(people.AuditFilter{Act: "k%", Limit: 4}), []people.AuditEntry{})
	same(t, "by name", read(people.AuditFilter{Actor: "aNN", Limit: 4}), pick(func(e people.AuditEntry) bool { return e.Actor == "Ann" }))
	same(t, "by id", read(people.AuditFilter{Actor: "SKcrm", Act: "user", Limit: 4}), pick(func(e people.AuditEntry) bool { return e.ActorID == "SKcrm" }))
	if page := of(b.AuditPage(ctx, people.AuditFilter{Account: two.ID}))(t); len(page.Entries) != 0 {
		t.Fatalf("another account sees %+v", page.Entries)
	}
	_, err := b.AuditPage(ctx, people.AuditFilter{Account: one.ID, Cursor: "x"})
	wantKind(t, err, fault.Invalid)
}
