// Package storetest proves that a store keeps what the wings ask for: one
// conformance suite that every store must pass.
package storetest

import (
	"context"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/keyring"
)

// Store is what is tested: it keeps what the wings ask for, and can count its rows.
type Store interface {
	talk.Store
	keyring.Store
	// Rows returns how many rows each table holds.
	Rows(ctx context.Context) (map[string]int, error)
}

// Open opens the store that belongs to dir, again after it was closed.
type Open func(t *testing.T, dir string) Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"accounts and lines", directory},
		{"users", users},
		{"sessions", sessions},
		{"users that are changed and listed", changedUsers},
		{"sessions of one user", sessionsOfOne},
		{"passkeys", passkeys},
		{"sign-ins by a company", subjects},
		{"the audit log", auditLog},
		{"keys and auth tokens", keys},
		{"a replaced key", replacedKey},
		{"ways in and issuers", waysAndIssuers},
		{"revocations", revocations},
		{"the ring is as of one moment", oneMoment},
		{"tickets", tickets},
		{"one ticket, many doors", manyDoors},
		{"who came by which way", wayUses},
		{"a call and its legs come back whole", wholeCall},
		{"records are kept once", once},
		{"the history by pages and kinds", history},
		{"what an agent sees", agentsView},
		{"missed calls", missedCalls},
		{"voicemails", voicemails},
		{"an account's records are its own", apart},
		{"everything is there after a restart", restart},
		{"many write at once", parallel},
		{"what it cannot do", refusals},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &bench{open: open, dir: t.TempDir()}
			b.Store = open(t, b.dir)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
			test.run(t, b)
		})
	}
}

// bench is a store on the bench.
type bench struct {
	Store
	open Open
	dir  string
}

func (b *bench) reopen(t *testing.T) {
	t.Helper()
	must(t, b.Close())
	b.Store = b.open(t, b.dir)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// of(call())(t) is what the call returned; the test fails when it returned an error.
func of[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("got %v, want an error of kind %v", err, kind)
	}
}

// noon is when things happen in the suite, to the microsecond.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 123456000, time.UTC)

func (b *bench) account(t *testing.T, name string) talk.Account {
	t.Helper()
	a := talk.Account{ID: talk.NewID("AC"), Name: name, TimeZone: "Europe/Paris", Country: "FR", Created: noon}
	must(t, b.PutAccount(t.Context(), a))
	return a
}

func (b *bench) user(t *testing.T, account, name string, role people.Role) people.User {
	t.Helper()
	u := people.User{
		ID: talk.NewID("US"), Account: account, Name: name, Email: name + "@example.com", Role: role,
		Identity: name, Password: "hash of " + name, Created: noon,
	}
	must(t, b.PutUser(t.Context(), u))
	return u
}

func (b *bench) line(t *testing.T, account, number string, agents ...string) talk.LineSettings {
	t.Helper()
	l := talk.LineSettings{
		ID: talk.NewID("PN"), Account: account, Number: number, Name: "Line " + number, Agents: agents,
		Greeting: "greeting:mine", Voicemail: true, Ring: 7 * time.Second, MaxWait: time.Minute,
		WrapUp: 3 * time.Second, Message: 2 * time.Minute, Countries: []string{"FR", "BE"}, Created: noon,
	}
	must(t, b.PutLine(t.Context(), l))
	return l
}

// aCall returns a call with every field set.
func aCall(account, line, agent string, at time.Time) talk.Call {
	id := call.NewLegID()
	return talk.Call{
		ID: call.ID(id), Account: account, Direction: call.Inbound,
		From: talk.Party{Number: "+15550123", Name: "Ann", Country: "US"},
		To:   talk.Party{Number: "+15550199", Name: "Support", Country: "US"},
		Line: line, Agent: agent, Status: talk.StatusCompleted, Cause: call.Completed, Trunk: "simulated",
		OfferedAt: at, AnsweredAt: at.Add(4 * time.Second), EndedAt: at.Add(64 * time.Second),
		Waited: 4, Talked: 50.5, Held: 9.25,
		Legs: []talk.Leg{
			{
				Leg: id, Party: talk.Party{Number: "+15550123", Country: "US"}, Trunk: "simulated",
				StartedAt: at, AnsweredAt: at.Add(4 * time.Second), EndedAt: at.Add(64 * time.Second),
				Status: talk.LegCompleted, Cause: call.Completed, Code: 200,
				Quality: talk.Quality{
					Codec: call.PCMU, PacketsIn: 3000, PacketsOut: 2999, Lost: 2, LongestGap: 0.04, Speech: true,
					Bursts: 1, JitterMS: 3.1, MOS: 4.37, RTTMS: 48.7, FarLost: 5, FarJitterMS: 0.4, FarMOS: 4.29,
				},
			},
			{
				Leg: call.NewLegID(), Party: talk.Party{Identity: "alice", Name: "alice"}, Agent: agent, Dialled: true,
				StartedAt: at.Add(time.Second), RingingAt: at.Add(2 * time.Second), AnsweredAt: at.Add(4 * time.Second),
				EndedAt: at.Add(64 * time.Second), Status: talk.LegCompleted, Cause: call.Completed,
				Quality: talk.Quality{Codec: call.PCMU, PacketsIn: 1, PacketsOut: 2},
			},
		},
	}
}

func aMissed(account, agent, line string, at time.Time) talk.Missed {
	return talk.Missed{
		ID: talk.NewID("MC"), Account: account, Agent: agent, Call: call.ID(call.NewLegID()), Line: line,
		From: talk.Party{Number: "+15550123", Name: "Ann", Country: "US"}, At: at, Why: talk.WhyDeclined,
	}
}

func aVoicemail(account, line string, at time.Time) talk.Voicemail {
	return talk.Voicemail{
		ID: talk.NewID("RE"), Account: account, Call: call.ID(call.NewLegID()), Line: line,
		From: talk.Party{Number: "+15550123", Name: "Ann", Country: "US"}, At: at, Duration: 12.5,
	}
}
