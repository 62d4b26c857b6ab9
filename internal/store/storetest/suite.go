package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/call"
)

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func directory(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	alice, bob := b.user(t, one.ID, "alice", people.Agent), b.user(t, one.ID, "bob", people.Agent)
	first := b.line(t, one.ID, "+15550199", bob.ID, alice.ID)
	second := b.line(t, two.ID, "+15550199")
	third := b.line(t, one.ID, "+15550200")

	one.Name, one.TimeZone, one.Country = "uno", "UTC", "US"
	must(t, b.PutAccount(ctx, one))
	same(t, "accounts", of(b.Accounts(ctx))(t), []talk.Account{one, two})

	first.Name, first.Agents, first.Voicemail, first.Countries = "Sales", []string{alice.ID}, false, []string{}
	must(t, b.PutLine(ctx, first))
	same(t, "lines", of(b.Lines(ctx))(t), []talk.LineSettings{first, second, third})

	other := third
	other.ID = talk.NewID("PN")
	wantKind(t, b.PutLine(ctx, other), fault.Conflict)
	other.Number, other.Agents = "+15550201", []string{"USnobody"}
	wantKind(t, b.PutLine(ctx, other), fault.Invalid)

	wantKind(t, b.DeleteLine(ctx, two.ID, first.ID), fault.NotFound)
	must(t, b.DeleteLine(ctx, one.ID, first.ID))
	same(t, "lines after deletion", of(b.Lines(ctx))(t), []talk.LineSettings{second, third})
	if rows := of(b.Rows(ctx))(t); rows["line_agents"] != 0 || rows["lines"] != 2 {
		t.Fatalf("rows left behind: %v", rows)
	}
}

func users(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	alice := b.user(t, one.ID, "Alice", people.Admin)
	bob := b.user(t, one.ID, "bob", people.Agent)
	other := people.User{ID: talk.NewID("US"), Account: two.ID, Name: "ALICE", Role: people.TeamLead, Created: noon}
	must(t, b.PutUser(ctx, other))
	third := people.User{ID: talk.NewID("US"), Account: two.ID, Name: "carol", Role: people.Agent, Created: noon}
	must(t, b.PutUser(ctx, third)) // a second user without address and identity

	same(t, "by name", of(b.UsersByLogin(ctx, "alice"))(t), []people.User{alice, other})
	same(t, "by address", of(b.UsersByLogin(ctx, " ALICE@Example.com "))(t), []people.User{alice})
	if found := of(b.UsersByLogin(ctx, ""))(t); len(found) != 0 {
		t.Fatalf("the empty name finds %+v", found)
	}
	bob.Name, bob.Role, bob.Password, bob.Disabled = "Robert", people.TeamLead, "new", true
	must(t, b.PutUser(ctx, bob))
	same(t, "changed", of(b.User(ctx, bob.ID))(t), bob)
	same(t, "all", of(b.Users(ctx))(t), []people.User{alice, bob, other, third})

	_, err := b.User(ctx, "USnobody")
	wantKind(t, err, fault.NotFound)
	clash := people.User{ID: talk.NewID("US"), Account: one.ID, Name: "alICE", Role: people.Agent}
	wantKind(t, b.PutUser(ctx, clash), fault.Conflict)
	clash.Name, clash.Email = "dave", "alice@example.com"
	wantKind(t, b.PutUser(ctx, clash), fault.Conflict)
	clash.Email, clash.Identity = "", "Alice"
	wantKind(t, b.PutUser(ctx, clash), fault.Conflict)
	clash.Identity, clash.Role = "", "owner"
	wantKind(t, b.PutUser(ctx, clash), fault.Invalid)
}

func sessions(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	alice, bob := b.user(t, a.ID, "alice", people.Agent), b.user(t, a.ID, "bob", people.Agent)
	begin := func(hash string, u people.User, expires time.Time) people.Session {
		s := people.Session{Hash: hash, User: u.ID, Created: noon, Seen: noon, Expires: expires, Remote: "192.0.2.1", Browser: "b"}
		must(t, b.PutSession(ctx, s))
		return s
	}
	s := begin("h1", alice, noon.Add(time.Hour))
	begin("h2", alice, noon.Add(2*time.Hour))
	begin("h3", bob, noon.Add(time.Minute))

	got, u, err := b.SessionByHash(ctx, "h1", noon)
	must(t, err)
	same(t, "session", got, s)
	same(t, "its user", u, alice)
	gone := func(hash string, now time.Time) {
		t.Helper()
		_, _, err := b.SessionByHash(ctx, hash, now)
		wantKind(t, err, fault.NotFound)
	}
	gone("h1", noon.Add(time.Hour))
	gone("h9", noon)
	must(t, b.TouchSession(ctx, "h1", noon.Add(time.Minute), noon.Add(3*time.Hour)))
	got, _, err = b.SessionByHash(ctx, "h1", noon.Add(2*time.Hour))
	must(t, err)
	same(t, "touched", []time.Time{got.Seen, got.Expires}, []time.Time{noon.Add(time.Minute), noon.Add(3 * time.Hour)})

	if n := of(b.SweepSessions(ctx, noon.Add(time.Minute)))(t); n != 1 {
		t.Fatalf("swept %d", n)
	}
	gone("h3", noon)
	must(t, b.DeleteSession(ctx, "h2"))
	gone("h2", noon)
	begin("h4", bob, noon.Add(time.Hour))
	bob.Disabled = true
	must(t, b.PutUser(ctx, bob))
	gone("h4", noon)
	must(t, b.DeleteSessionsOf(ctx, alice.ID))
	gone("h1", noon)
	must(t, b.DeleteSessionsOf(ctx, bob.ID))
	if rows := of(b.Rows(ctx))(t); rows["sessions"] != 0 {
		t.Fatalf("rows left behind: %v", rows)
	}
}

func wholeCall(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	k := aCall(a.ID, "PN1", "US1", noon)
	k.Voicemail = "RE1"
	must(t, b.KeepCall(ctx, k))
	same(t, "call", of(b.Call(ctx, a.ID, k.ID))(t), k)

	bare := talk.Call{ID: "CAbare", Account: a.ID, Direction: call.Internal, Status: talk.StatusFailed, OfferedAt: noon, Legs: []talk.Leg{}}
	must(t, b.KeepCall(ctx, bare))
	same(t, "bare call", of(b.Call(ctx, a.ID, bare.ID))(t), bare)
	_, err := b.Call(ctx, a.ID, "CAnone")
	wantKind(t, err, fault.NotFound)
}

func once(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	k, m, v := aCall(a.ID, "PN1", "US1", noon), aMissed(a.ID, "US1", "PN1", noon), aVoicemail(a.ID, "PN1", noon)
	for range 3 {
		must(t, b.KeepCall(ctx, k))
		must(t, b.KeepMissed(ctx, m))
		must(t, b.KeepVoicemail(ctx, v))
		k.Status, m.Why, v.Duration = talk.StatusFailed, talk.WhyMissed, 1 // a later copy changes nothing
	}
	rows := of(b.Rows(ctx))(t)
	if rows["calls"] != 1 || rows["legs"] != 2 || rows["missed"] != 1 || rows["voicemails"] != 1 {
		t.Fatalf("rows: %v", rows)
	}
	if k := of(b.Call(ctx, a.ID, k.ID))(t); k.Status != talk.StatusCompleted {
		t.Fatalf("replaced by a later copy: %+v", k)
	}
	if v := of(b.Voicemail(ctx, a.ID, v.ID))(t); v.Duration != 12.5 {
		t.Fatalf("replaced by a later copy: %+v", v)
	}
}

func history(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	var all []talk.Call
	for i := range 25 {
		// Two calls a second: pages must not lose or repeat what has one time.
		k := aCall(a.ID, "PN1", "US1", noon.Add(time.Duration(i/2)*time.Second))
		switch i % 5 {
		case 1:
			k.Direction, k.To.Number = call.Outbound, "+33123456789"
		case 2:
			k.Status = talk.StatusAbandoned
		case 3:
			k.Status, k.Voicemail = talk.StatusVoicemail, fmt.Sprintf("RE%d", i)
		case 4:
			k.Direction, k.Status, k.Line = call.Inbound, talk.StatusFailed, "" // to no line: nobody's missed call
		}
		must(t, b.KeepCall(ctx, k))
		all = append(all, k)
	}
	slices.SortFunc(all, func(x, y talk.Call) int {
		if c := y.OfferedAt.Compare(x.OfferedAt); c != 0 {
			return c
		}
		if x.ID < y.ID {
			return 1
		}
		return -1
	})
	read := func(f talk.CallFilter) []talk.Call {
		t.Helper()
		f.Account = a.ID
		var got []talk.Call
		for {
			page := of(b.Calls(ctx, f))(t)
			if len(page.Calls) > f.Limit {
				t.Fatalf("page of %d", len(page.Calls))
			}
			got = append(got, page.Calls...)
			if page.Next == "" {
				return got
			}
			f.Cursor = page.Next
		}
	}
	pick := func(keep func(talk.Call) bool) []talk.Call {
		return slices.DeleteFunc(slices.Clone(all), func(k talk.Call) bool { return !keep(k) })
	}
	for _, limit := range []int{1, 2, 3, 24, 25, 26} {
		same(t, fmt.Sprintf("pages of %d", limit), read(talk.CallFilter{Limit: limit}), all)
	}
	for kind, want := range map[talk.Kind][]talk.Call{
		talk.KindAll:       all,
		talk.KindInbound:   pick(func(k talk.Call) bool { return k.Direction == call.Inbound }),
		talk.KindOutbound:  pick(func(k talk.Call) bool { return k.Direction == call.Outbound }),
		talk.KindVoicemail: pick(func(k talk.Call) bool { return k.Voicemail != "" }),
		talk.KindMissed: pick(func(k talk.Call) bool {
			return k.Status == talk.StatusAbandoned || k.Status == talk.StatusVoicemail
		}),
	} {
		same(t, string(kind), read(talk.CallFilter{Kind: kind, Limit: 4}), want)
	}
	same(t, "by number", read(talk.CallFilter{Number: "+33123456789", Limit: 4}),
		pick(func(k talk.Call) bool { return k.Direction == call.Outbound }))
	if page := of(b.Calls(ctx, talk.CallFilter{Account: a.ID}))(t); len(page.Calls) != 25 || page.Next != "" {
		t.Fatalf("%d calls, next %q", len(page.Calls), page.Next)
	}
}

func agentsView(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	keep := func(change func(*talk.Call)) call.ID {
		k := aCall(a.ID, "PN1", "USbob", noon)
		change(&k)
		must(t, b.KeepCall(ctx, k))
		return k.ID
	}
	own := keep(func(k *talk.Call) { k.Agent = "USalice" })
	talked := keep(func(k *talk.Call) { k.Legs[1].Agent = "USalice" })
	lineMissed := keep(func(k *talk.Call) { k.Agent, k.Status = "", talk.StatusNotAnswered })
	keep(func(k *talk.Call) {}) // bob's
	keep(func(k *talk.Call) { k.Legs[1].Agent, k.Legs[1].Status = "USalice", talk.LegAgentMissed })
	keep(func(k *talk.Call) { k.Line, k.Agent, k.Status = "PN2", "", talk.StatusAbandoned })

	page := of(b.Calls(ctx, talk.CallFilter{Account: a.ID, Agent: "USalice", Lines: []string{"PN1"}}))(t)
	var got []call.ID
	for _, k := range page.Calls {
		got = append(got, k.ID)
	}
	want := []call.ID{own, talked, lineMissed}
	slices.Sort(got)
	slices.Sort(want)
	same(t, "alice's calls", got, want)
	if page := of(b.Calls(ctx, talk.CallFilter{Account: a.ID, Agent: "USalice"}))(t); len(page.Calls) != 2 {
		t.Fatalf("without lines: %d calls", len(page.Calls))
	}
}

func missedCalls(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	old, late := aMissed(a.ID, "USalice", "PN1", noon), aMissed(a.ID, "USalice", "PN1", noon.Add(time.Minute))
	bobs := aMissed(a.ID, "USbob", "PN1", noon.Add(time.Second))
	for _, m := range []talk.Missed{late, old, bobs} {
		must(t, b.KeepMissed(ctx, m))
	}
	same(t, "alice's", of(b.Unseen(ctx, a.ID, "USalice", 10))(t), []talk.Missed{late, old})
	same(t, "everybody's", of(b.Unseen(ctx, a.ID, "", 10))(t), []talk.Missed{late, bobs, old})
	same(t, "at most one", of(b.Unseen(ctx, a.ID, "", 1))(t), []talk.Missed{late})
	wantKind(t, b.SeeMissed(ctx, a.ID, "USbob", late.ID), fault.NotFound)
	for range 2 {
		must(t, b.SeeMissed(ctx, a.ID, "USalice", late.ID))
	}
	must(t, b.KeepMissed(ctx, late)) // a replay does not bring it back
	same(t, "after seeing one", of(b.Unseen(ctx, a.ID, "USalice", 10))(t), []talk.Missed{old})
}

func voicemails(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	var all []talk.Voicemail
	for i := range 7 {
		v := aVoicemail(a.ID, fmt.Sprintf("PN%d", i%2), noon.Add(time.Duration(i)*time.Second))
		must(t, b.KeepVoicemail(ctx, v))
		all = append([]talk.Voicemail{v}, all...)
	}
	k := aCall(a.ID, "PN0", "", noon)
	k.Voicemail = all[1].ID
	must(t, b.KeepCall(ctx, k))

	f := talk.VoicemailFilter{Account: a.ID, Limit: 3}
	var got []talk.Voicemail
	for {
		page := of(b.Voicemails(ctx, f))(t)
		got = append(got, page.Voicemails...)
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	same(t, "all pages", got, all)
	same(t, "of one line", len(of(b.Voicemails(ctx, talk.VoicemailFilter{Account: a.ID, Lines: []string{"PN1"}}))(t).Voicemails), 3)
	same(t, "of no line", len(of(b.Voicemails(ctx, talk.VoicemailFilter{Account: a.ID, Lines: []string{}}))(t).Voicemails), 0)
	same(t, "unheard", of(b.Unheard(ctx, a.ID))(t), map[string]int{"PN0": 4, "PN1": 3})

	hear := func(on, want bool) {
		t.Helper()
		same(t, "changed", of(b.HearVoicemail(ctx, a.ID, all[0].ID, on, "alice"))(t), want)
	}
	hear(false, false)
	hear(true, true)
	hear(true, false)
	if v := of(b.Voicemail(ctx, a.ID, all[0].ID))(t); !v.Heard || v.HeardBy != "alice" {
		t.Fatalf("%+v", v)
	}
	same(t, "unheard", of(b.Unheard(ctx, a.ID))(t)["PN0"], 3)
	hear(false, true)
	same(t, "as new", of(b.Voicemail(ctx, a.ID, all[0].ID))(t), all[0])

	must(t, b.DeleteVoicemail(ctx, a.ID, all[1].ID))
	wantKind(t, b.DeleteVoicemail(ctx, a.ID, all[1].ID), fault.NotFound)
	_, err := b.Voicemail(ctx, a.ID, all[1].ID)
	wantKind(t, err, fault.NotFound)
	_, err = b.HearVoicemail(ctx, a.ID, all[1].ID, true, "alice")
	wantKind(t, err, fault.NotFound)
	if k := of(b.Call(ctx, a.ID, k.ID))(t); k.Voicemail != "" {
		t.Fatalf("the call still points to the deleted message: %+v", k)
	}
}

func apart(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	k, m, v := aCall(one.ID, "PN1", "US1", noon), aMissed(one.ID, "US1", "PN1", noon), aVoicemail(one.ID, "PN1", noon)
	must(t, b.KeepCall(ctx, k))
	must(t, b.KeepMissed(ctx, m))
	must(t, b.KeepVoicemail(ctx, v))

	_, err := b.Call(ctx, two.ID, k.ID)
	wantKind(t, err, fault.NotFound)
	_, err = b.Voicemail(ctx, two.ID, v.ID)
	wantKind(t, err, fault.NotFound)
	wantKind(t, b.SeeMissed(ctx, two.ID, "US1", m.ID), fault.NotFound)
	wantKind(t, b.DeleteVoicemail(ctx, two.ID, v.ID), fault.NotFound)
	_, err = b.HearVoicemail(ctx, two.ID, v.ID, true, "x")
	wantKind(t, err, fault.NotFound)
	same(t, "calls", len(of(b.Calls(ctx, talk.CallFilter{Account: two.ID}))(t).Calls), 0)
	same(t, "missed", len(of(b.Unseen(ctx, two.ID, "", 10))(t)), 0)
	same(t, "voicemails", len(of(b.Voicemails(ctx, talk.VoicemailFilter{Account: two.ID}))(t).Voicemails), 0)
	same(t, "unheard", len(of(b.Unheard(ctx, two.ID))(t)), 0)
}

func restart(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	alice := b.user(t, a.ID, "alice", people.Agent)
	l := b.line(t, a.ID, "+15550199", alice.ID)
	k, m, v := aCall(a.ID, l.ID, alice.ID, noon), aMissed(a.ID, alice.ID, l.ID, noon), aVoicemail(a.ID, l.ID, noon)
	must(t, b.KeepCall(ctx, k))
	must(t, b.KeepMissed(ctx, m))
	must(t, b.KeepVoicemail(ctx, v))
	before := of(b.Rows(ctx))(t)
	b.reopen(t)
	same(t, "rows", of(b.Rows(ctx))(t), before)
	same(t, "users", of(b.Users(ctx))(t), []people.User{alice})
	same(t, "lines", of(b.Lines(ctx))(t), []talk.LineSettings{l})
	same(t, "call", of(b.Call(ctx, a.ID, k.ID))(t), k)
	same(t, "missed", of(b.Unseen(ctx, a.ID, alice.ID, 9))(t), []talk.Missed{m})
	same(t, "voicemail", of(b.Voicemail(ctx, a.ID, v.ID))(t), v)
}

func parallel(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	alice := b.user(t, a.ID, "alice", people.Agent)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			k := aCall(a.ID, "PN1", alice.ID, noon.Add(time.Duration(i)*time.Millisecond))
			m, v := aMissed(a.ID, alice.ID, "PN1", noon), aVoicemail(a.ID, "PN1", noon)
			s := people.Session{Hash: fmt.Sprint("h", i), User: alice.ID, Created: noon, Seen: noon, Expires: noon.Add(time.Hour)}
			for _, err := range []error{b.KeepCall(ctx, k), b.KeepCall(ctx, k), b.KeepMissed(ctx, m), b.KeepVoicemail(ctx, v), b.PutSession(ctx, s)} {
				if err != nil {
					t.Error(err)
				}
			}
			if _, err := b.Calls(ctx, talk.CallFilter{Account: a.ID, Limit: 10}); err != nil {
				t.Error(err)
			}
			if err := b.SeeMissed(ctx, a.ID, alice.ID, m.ID); err != nil {
				t.Error(err)
			}
			if err := b.DeleteVoicemail(ctx, a.ID, v.ID); err != nil {
				t.Error(err)
			}
			if err := b.DeleteSession(ctx, s.Hash); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	rows := of(b.Rows(ctx))(t)
	for table, want := range map[string]int{
		"accounts": 1, "users": 1, "sessions": 0, "lines": 0, "line_agents": 0,
		"calls": 200, "legs": 400, "missed": 200, "voicemails": 0,
	} {
		if n, ok := rows[table]; !ok || n != want {
			t.Errorf("%s: %d rows, want %d", table, n, want)
		}
	}
	same(t, "unseen", len(of(b.Unseen(ctx, a.ID, alice.ID, 300))(t)), 0)
}

func refusals(t *testing.T, b *bench) {
	ctx := t.Context()
	a := b.account(t, "one")
	wantKind(t, b.KeepCall(ctx, aCall("ACnobody", "", "", noon)), fault.Invalid)
	for _, cursor := range []string{"x", "!", "e30", string(make([]byte, 5000))} {
		_, err := b.Calls(ctx, talk.CallFilter{Account: a.ID, Cursor: cursor})
		wantKind(t, err, fault.Invalid)
		_, err = b.Voicemails(ctx, talk.VoicemailFilter{Account: a.ID, Cursor: cursor})
		wantKind(t, err, fault.Invalid)
	}
	_, err := b.Calls(ctx, talk.CallFilter{Account: a.ID, Kind: "strange"})
	wantKind(t, err, fault.Invalid)
	for i := range 3 {
		must(t, b.KeepCall(ctx, aCall(a.ID, "", "", noon.Add(time.Duration(i)))))
	}
	if page := of(b.Calls(ctx, talk.CallFilter{Account: a.ID, Limit: 1 << 40}))(t); len(page.Calls) != 3 {
		t.Fatalf("a huge limit gives %d calls", len(page.Calls))
	}

	closed := b.open(t, t.TempDir())
	must(t, closed.PutAccount(ctx, a))
	must(t, closed.Close())
	wantKind(t, closed.KeepCall(ctx, aCall(a.ID, "", "", noon)), fault.Unavailable)
	_, err = closed.Accounts(ctx)
	wantKind(t, err, fault.Unavailable)
}
