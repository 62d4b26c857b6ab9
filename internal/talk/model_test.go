package talk

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

// TestRandomHistories lets everything happen in any order, with every word
// between floor and calls late by a random time. The world checks after each
// step that no caller is forgotten, none is in two places, no agent is offered
// two calls or stuck in one, nobody waits beside a free agent, and at the end
// that nothing is left but one record a call. DIALTONE_HISTORIES says how many
// histories are played, for longer runs.
func TestRandomHistories(t *testing.T) {
	histories := 120
	if n, err := strconv.Atoi(os.Getenv("DIALTONE_HISTORIES")); err == nil {
		histories = n
	}
	for seed := range histories {
		play(t, uint64(seed), nil)
		if t.Failed() {
			t.Fatalf("history %d", seed)
		}
	}
}

// FuzzHistory looks for histories that break a promise: each byte chooses what
// happens next.
func FuzzHistory(f *testing.F) {
	f.Add(uint64(1), []byte("a caller, an agent, a hang-up"))
	f.Add(uint64(2), []byte{0, 0, 0, 0, 8, 8, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12})
	f.Fuzz(func(t *testing.T, seed uint64, choices []byte) {
		if len(choices) > 200 {
			choices = choices[:200]
		}
		play(t, seed, choices)
	})
}

// play plays one random history; choices, when given, choose the events.
func play(t *testing.T, seed uint64, choices []byte) {
	r := rand.New(rand.NewPCG(seed, 7))
	names := []string{"alice", "bob", "carol"}
	numbers := []string{support, "+15550198", "+15550000"}
	w := newWorld(t, func(u *setup) {
		u.lines[0].MaxWait = time.Duration(10+r.IntN(100)) * time.Second
		u.lines[0].WrapUp = time.Duration(r.IntN(3)) * 5 * time.Second
		u.lines[0].Agents = []string{"USalice", "USbob"}
		u.lines = append(u.lines, LineSettings{
			ID: "PN2", Account: testAccount, Number: numbers[1], Name: "Sales", Voicemail: r.IntN(2) == 0, Available: PromptAvailable, MaxWait: time.Minute,
		})
	})
	w.lag = func() time.Duration { return time.Duration(r.IntN(4)) * time.Duration(r.IntN(40)) * time.Millisecond }
	for _, name := range append(names, "+15550100") {
		w.phone(name, func(p *party) { behave(r, p) })
	}
	anyCall := func() *simCall {
		if len(w.calls) == 0 {
			return nil
		}
		return w.calls[r.IntN(len(w.calls))]
	}
	steps := 20 + r.IntN(60)
	if choices != nil {
		steps = len(choices)
	}
	for i := range steps {
		what := r.IntN(16)
		if choices != nil {
			what = int(choices[i]) % 16
		}
		name := names[r.IntN(len(names))]
		c := anyCall()
		switch what {
		case 0, 1, 2, 3:
			w.callIn(numbers[min(r.IntN(9)/4, 2)])
		case 4, 5:
			w.register(name)
		case 6:
			w.vanish(name)
		case 7:
			w.devices[name] = r.IntN(2) == 0 // nobody is told
		case 8, 9:
			w.setState(name, []State{Online, Online, Away, TransfersOnly, Offline}[r.IntN(5)])
		case 10:
			w.dial(name, "To", []string{"+15550100", "client:alice", "client:bob", "nonsense"}[r.IntN(4)])
		case 11:
			if c != nil {
				c.hangUp()
			}
		case 12:
			if c != nil {
				c.press("1#*5"[r.IntN(4)])
			}
		case 13:
			if c != nil && len(c.dialed) > 0 {
				c.dialed[r.IntN(len(c.dialed))].end([]call.EndCause{call.Completed, call.SignalLost, call.MediaLost}[r.IntN(3)])
			}
		case 14:
			if c != nil && len(c.dialed) > 0 {
				leg := c.dialed[0].leg
				c.Do(call.Hold{Leg: leg})
				w.after(time.Second, func() { c.Do(call.Resume{Leg: leg}) })
			}
		case 15:
			// The rules change while calls go on.
			u := setup{accounts: []Account{w.f.branches[testAccount].Account}}
			for _, a := range w.f.branches[testAccount].agents {
				u.users = append(u.users, a.user)
			}
			for _, l := range w.f.branches[testAccount].lines {
				l.LineSettings.Voicemail = r.IntN(2) == 0
				u.lines = append(u.lines, l.LineSettings)
			}
			w.step(func() { w.f.configure(u) })
		}
		w.run(time.Duration(r.IntN(8000)) * time.Millisecond)
	}
	// Whoever is still there leaves; what waits comes to its end.
	w.run(10 * time.Minute)
	for _, c := range w.calls {
		if c.record == nil {
			c.hangUp()
		}
	}
	w.run(5 * time.Minute)
	w.checkEmpty()
	for _, c := range w.calls {
		k := c.ended()
		if limit := 150 * time.Second; k.Direction == call.Inbound && k.Agent == "" && k.Waited.Duration() > limit {
			t.Fatalf("a caller waited %v", k.Waited)
		}
	}
}

// behave is what the far end of a dialled leg may do.
func behave(r *rand.Rand, p *party) {
	talk := time.Duration(1+r.IntN(30)) * time.Second
	switch r.IntN(10) {
	case 0:
		p.end([]call.EndCause{call.Unreachable, call.Busy, call.CarrierError, call.NotFound, call.NoCodec}[r.IntN(5)])
	case 1:
		p.ring() // and nobody acts
	case 2:
		// silent altogether
	case 3:
		p.ring()
		p.after(time.Second, func() { p.end(call.Declined) })
	case 4:
		p.ring()
		p.after(time.Second, func() { p.end(call.MediaFailed) })
	case 5:
		p.ring()
		p.after(time.Second, p.answer)
		p.after(time.Second, func() { p.end(call.Completed) }) // hangs up as they answer
	default:
		p.ring()
		p.after(time.Duration(r.IntN(12))*time.Second, p.answer)
		p.after(12*time.Second+talk, func() { p.end(call.Completed) })
	}
}
