package sdk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/voice/call"
)

// stays reports whether a connection works.
func stays(t *testing.T, p *page) {
	t.Helper()
	if status, closed := p.isClosed(); closed {
		t.Fatalf("%s was closed with %d", p.name, status)
	}
	p.types()
	p.register()
	p.take("ready")
}

const anyhow = websocket.StatusCode(0)

func closedWith(t *testing.T, p *page, want websocket.StatusCode) {
	t.Helper()
	if status, closed := p.isClosed(); !closed || status != want && want != anyhow {
		t.Fatalf("%s: closed %v with %d, want %d", p.name, closed, status, want)
	}
}

func TestHostileConnectionsAreCut(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(p *page)
		want websocket.StatusCode
	}{
		"another frame before listen": {func(p *page) { p.register() }, websocket.StatusPolicyViolation},
		"no listen":                   {func(p *page) { time.Sleep(11 * time.Second) }, websocket.StatusPolicyViolation},
		"heartbeats only": {func(p *page) {
			for range 11 {
				time.Sleep(time.Second)
				p.raw("\n")
			}
		}, websocket.StatusPolicyViolation},
		"garbage": {func(p *page) {
			for range 6 {
				p.raw("{not json")
			}
		}, websocket.StatusPolicyViolation},
		"unknown types": {func(p *page) {
			p.listen("bob")
			for i := range 6 {
				p.say(fmt.Sprintf("new-%d", i), object{})
			}
		}, websocket.StatusPolicyViolation},
		"payloads that do not fit": {func(p *page) {
			p.listen("bob")
			for range 6 {
				p.say("hangup", []int{1})
			}
		}, websocket.StatusPolicyViolation},
		"flood": {func(p *page) {
			p.listen("bob")
			for range 200 {
				select {
				case p.in <- []byte(`{"type":"register","payload":{"media":{"audio":true}}}`):
				case <-p.gone:
				}
			}
		}, anyhow}, // for its frames, or because it cannot read our answers as fast
		"refused tokens without end": {func(p *page) {
			for range 5 {
				p.listen("malformed")
			}
		}, websocket.StatusPolicyViolation},
		"silence":    {func(p *page) { p.dead = true; p.listen("bob"); time.Sleep(32 * time.Second) }, -1},
		"no reading": {func(p *page) { p.stuck = make(chan struct{}); p.listen("bob"); time.Sleep(6 * time.Second) }, -1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				alice, her, _ := talking(r, "2.18.5")
				p := r.open("mallory", "2.18.5")
				c.do(p)
				closedWith(t, p, c.want)
				stays(t, alice) // and does not notice
				her.alive(t)
				her.leg.End(call.Completed)
				alice.take("hangup")
			})
		})
	}
}

func TestAFewOddFramesAreForgiven(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		p.raw("{")
		p.raw(`[]`)
		p.say("presence", object{})
		p.raw(`{"type":"hangup","payload":7}`)
		p.raw(`{"type":"listen","type":"register"}`)
		stays(t, p)
	})
}

func TestIdleDevicesStay(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		for range 20 {
			time.Sleep(29 * time.Second)
			p.register()
		}
		stays(t, p)
		if n := r.s.crew.Count(); n != 1 {
			t.Errorf("an idle device costs %d goroutines", n)
		}
	})
}

func TestCallsOfOneIdentityAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Limits.CallsPerParty = 3 })
		p := r.open("alice", "2.18.5").enter("alice")
		for range 3 {
			p.calls("")
			time.Sleep(time.Second)
		}
		p.quiet(t)
		p.calls("")
		if h := p.take("hangup"); code(h) != 31206 {
			t.Errorf("%v", h)
		}
		r.offers[0].leg.End(call.Cancelled)
		p.take("hangup")
		p.calls("")
		p.quiet(t)
		r.stop()
	})
}

func TestVerdictsArePublished(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5")
		p.listen("expired")
		p.listen("alice/60s")
		p.register()
		p.register() // again, as every 30 s: no news
		time.Sleep(91 * time.Second)
		p.listen("alice")
		p.register()
		other := r.open("alice2", "1.15.1")
		other.listen("alice")
		other.register()
		other.drop() // the first device is still there: not lost
		p.say("register", object{"media": object{"audio": false}})
		p.drop()
		want := []string{
			"refused alice expired", "connected alice", "registered alice", "unregistered alice expired",
			"connected alice", "registered alice",
			"connected alice", "registered alice", "unregistered alice", "unregistered alice", "lost alice",
		}
		if got := r.registrations(); !slices.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), strings.Join(want, ", "))
		}
	})
}

func TestWhenKeysCannotBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5")
		p.listen("broken")
		e := p.take("error")
		if code(e) != 31005 || e["error"].(map[string]any)["retryAfter"] == nil {
			t.Errorf("%v", e)
		}
		p.enter("alice")
		time.Sleep(time.Minute)
		stays(t, p)
		p.listen("broken") // a refresh that we cannot judge takes nothing away
		p.take("error")
		time.Sleep(time.Minute)
		stays(t, p)

		again := r.open("alice", "2.18.5")
		again.listen("broken")
		again.take("error")
		time.Sleep(7 * time.Second)
		again.quiet(t) // no "close", so that it comes back
		closedWith(t, again, websocket.StatusTryAgainLater)
	})
}

func TestAnotherIdentityOnTheSameConnection(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		p.listen("alice@AC2")
		if e := p.take("error"); code(e) != 31201 {
			t.Errorf("another account: %v", e)
		}
		if !r.s.Reachable(account, "alice") {
			t.Error("alice lost her registration by it")
		}
		p.listen("bob")
		p.take("connected")
		if r.s.Reachable(account, "alice") || r.s.Reachable(account, "bob") {
			t.Error("the registration should be gone until the device registers as bob")
		}
		p.register()
		p.take("ready")
		if !r.s.Reachable(account, "bob") {
			t.Error("bob is not reachable")
		}
		p.calls("")
		p.listen("alice")
		if e := p.take("error"); code(e) != 31201 {
			t.Errorf("another identity within a call: %v", e)
		}
		r.last().leg.End(call.Cancelled)
	})
}

func TestOnlyCallingTokens(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "1.15.1").enter("alice/out") // ready, as the app expects
		if r.s.Reachable(account, "alice") {
			t.Error("reachable without being allowed to be called")
		}
		p.calls("")
		r.last().leg.End(call.Busy)
		if h := p.take("hangup"); code(h) != 31486 {
			t.Errorf("%v", h)
		}
	})
}

func TestQueueOfASlowDeviceIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5")
		p.stuck = make(chan struct{})
		p.listen("alice")
		for range 64 { // these wait while connected is being written
			p.register()
		}
		if _, closed := p.isClosed(); closed {
			t.Fatal("cut too early")
		}
		p.register()
		closedWith(t, p, -1)
		if r.s.Reachable(account, "alice") {
			t.Error("still reachable")
		}
	})
}
