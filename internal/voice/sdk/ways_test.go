package sdk

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/event"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/token"
)

// wayChanges returns what was published about devices that came by another way.
func (r *rig) wayChanges() []event.WayChanged {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []event.WayChanged
	for _, e := range r.events {
		if w, ok := e.(event.WayChanged); ok {
			all = append(all, w)
		}
	}
	return all
}

func TestRevokedDevicesEndAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		bob := r.open("bob", "2.18.5").enter("t2:bob")
		p := r.open("alice", "2.18.5").enter("t1:alice")
		p.calls("")
		c := r.last()
		c.leg.Answer(c.offer.Codecs)
		p.types()
		if n := r.s.CountOf(func(c token.Claims) bool { return c.Identity == "alice" }); n != 1 {
			t.Errorf("%d devices of alice", n)
		}
		before := time.Now()
		r.words.revoke("t1")
		r.s.Recheck()
		r.s.Recheck() // twice for the price of one
		if h := p.take("hangup"); code(h) != 31002 {
			t.Errorf("hangup %v", h)
		}
		if e := p.take("error"); code(e) != 31201 {
			t.Errorf("error %v", e)
		}
		p.take("close")
		closedWith(t, p, websocket.StatusPolicyViolation)
		if took := time.Since(before); took != 0 {
			t.Errorf("it took %v", took)
		}
		if down := c.down(t); down.Cause != call.Forbidden {
			t.Errorf("%+v", down)
		}
		stays(t, bob)
		want := "[connected bob registered bob connected alice registered alice unregistered alice revoked refused alice revoked lost alice]"
		if got := fmt.Sprint(r.registrations()); got != want {
			t.Errorf("published %v", got)
		}
		if n := r.s.CountOf(func(c token.Claims) bool { return c.Identity == "alice" }); n != 0 {
			t.Errorf("%d devices of alice", n)
		}
	})
}

// A stolen token is in a call; its owner's other token is not revoked.
func TestRevocationSparesTheIdentitysOtherDevices(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		thief := r.open("thief", "2.18.5").enter("stolen:alice")
		thief.calls("")
		stolen := r.last()
		stolen.leg.Answer(stolen.offer.Codecs)
		owner := r.open("owner", "2.18.5").enter("good:alice")
		owner.calls("")
		good := r.last()
		good.leg.Answer(good.offer.Codecs)
		ringing := r.dial("alice", nil)
		owner.types()

		r.words.revoke("stolen")
		r.s.Recheck()
		closedWith(t, thief, websocket.StatusPolicyViolation)
		if down := stolen.down(t); down.Cause != call.Forbidden {
			t.Errorf("%+v", down)
		}
		good.alive(t)
		ringing.alive(t)
		owner.quiet(t)
		good.leg.End(call.Completed)
		ringing.leg.End(call.Cancelled)
	})
}

// A device that is away has no connection to end; its call must not go on until
// the hold is over.
func TestRevocationEndsCallsOfADeviceThatIsAway(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p, c, _ := talking(r, "2.18.5")
		other := r.open("other", "2.18.5").enter("t2:alice")
		p.Cut()
		c.alive(t)
		r.words.revoke("alice")
		r.s.Recheck()
		closedWith(t, other, websocket.StatusPolicyViolation)
		if down := c.down(t); down.Cause != call.Forbidden {
			t.Errorf("%+v", down)
		}
	})
}

// The ring was replaced after the token was verified and before its device was
// known to be in: Recheck did not see it.
func TestRevokedWhileBeingLetIn(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5")
		r.words.revoke("alice") // Verify of this rig does not look
		p.listen("alice")
		p.register()
		p.take("connected")
		if e := p.take("error"); code(e) != 31201 {
			t.Errorf("%v", e)
		}
		closedWith(t, p, websocket.StatusPolicyViolation)
		if r.s.Reachable(account, "alice") {
			t.Error("reachable")
		}
	})
}

// The SDK shows the token it has when it reconnects. A ticket is used up by then;
// its app gets itself a new one, and the call goes on.
func TestReconnectWithAUsedTicket(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("ticket1:alice")
		p.calls("")
		c := r.last()
		c.leg.Answer(c.offer.Codecs)
		given := str(p.take("answer"), "reconnect")
		sid := string(c.offer.Leg)
		p.Cut()

		again := r.open("alice", "2.18.5")
		again.listen("ticket1:alice")
		if e := again.take("error"); code(e) != 31205 {
			t.Fatalf("a used ticket: %v", e)
		}
		again.listen("ticket2:alice")
		again.take("connected")
		again.register()
		again.take("ready")
		again.say("invite", object{"callsid": sid, "reconnect": given, "sdp": browserSDP("alice", "u1"), "twilio": object{}})
		if a := again.take("answer"); str(a, "callsid") != sid {
			t.Errorf("%v", a)
		}
		c.alive(t)
		if changes := r.wayChanges(); len(changes) != 0 {
			t.Errorf("a ticket after a ticket is no other way: %+v", changes)
		}
		c.leg.End(call.Completed)
	})
}

// What an accepted ticket's device reports is accepted, and uses nothing up.
func TestGatewayUsesNoTicketUp(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		if w := post(r.s, "POST", "/v4/EndpointEvents", "ticket1:alice", eventPost); w.Code != 403 {
			t.Fatalf("from another page: %d", w.Code)
		}
		r.s.o.Origins = []string{"*"}
		for range 2 {
			if w := post(r.s, "POST", "/v4/EndpointEvents", "ticket1:alice", eventPost); w.Code != 200 {
				t.Errorf("before it was used: %d", w.Code)
			}
		}
		r.open("alice", "2.18.5").enter("ticket1:alice")
		if w := post(r.s, "POST", "/v4/EndpointEvents", "ticket1:alice", eventPost); w.Code != 200 {
			t.Errorf("after it was used: %d", w.Code)
		}
	})
}

func TestFallingBackIsTold(t *testing.T) {
	for _, c := range []struct {
		name         string
		failed, then string
		again        bool // over a new connection
		wait         time.Duration
		browser      string // of the new connection
		told         string
	}{
		{"by the same connection", "access:alice/bad", "capability:alice", false, 2 * time.Second, "", "access signature_mismatch 31204 capability 2s"},
		{"by a new connection", "access:alice/bad", "ticket1:alice", true, 3 * time.Second, "", "access signature_mismatch 31204 ticket 3s"},
		{"from a ticket that says nothing", "ticket1:alice/bad", "access:alice", true, time.Second, "", "ticket signature_mismatch 31204 access 1s"},
		{"from one that could not be judged", "broken", "capability:alice", false, time.Second, "", "unknown not_judged 31005 capability 1s"},
		{"the same way", "access:alice/bad", "access:alice", false, time.Second, "", ""},
		{"too late", "access:alice/bad", "capability:alice", true, 61 * time.Second, "", ""},
		{"somebody else", "access:alice/bad", "capability:bob", true, time.Second, "", ""},
		{"another browser behind the same address", "ticket1:alice/bad", "access:alice", true, time.Second, "another", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				p := r.open("alice", "2.18.5")
				p.listen(c.failed)
				time.Sleep(c.wait)
				if c.again {
					if p = r.open("alice", "2.18.5"); c.browser != "" {
						p.name = c.browser
					}
				}
				p.listen(c.then)
				changes := r.wayChanges()
				if c.told == "" {
					if len(changes) != 0 {
						t.Errorf("told %+v", changes)
					}
					return
				}
				if len(changes) != 1 {
					t.Fatalf("told %+v", changes)
				}
				e := changes[0]
				if got := fmt.Sprint(e.Failed, " ", e.Reason, " ", e.Code, " ", e.Saved, " ", e.After); got != c.told {
					t.Errorf("told %s, want %s", got, c.told)
				}
				if e.Identity != "alice" || e.Account != account || e.Device.Origin != "https://app.example.com" || e.Device.Connection == "" {
					t.Errorf("%+v", e)
				}
				p.listen(c.then) // a refresh is no second fallback, whatever becomes of it
				if n := len(r.wayChanges()); n != 1 {
					t.Errorf("told %d times", n)
				}
			})
		})
	}
}

func TestRememberedFailuresAreBounded(t *testing.T) {
	var f fallbacks
	now := time.Now()
	for i := range 3 * fallbackMax {
		f.add(netip.MustParseAddr("192.0.2.1"), failure{at: now, account: account, identity: fmt.Sprint(i)})
	}
	if len(f.recent) != fallbackMax {
		t.Errorf("%d remembered", len(f.recent))
	}
	f.add(netip.MustParseAddr("192.0.2.1"), failure{at: now.Add(2 * fallbackWithin)})
	if len(f.recent) != 1 {
		t.Errorf("%d remembered after their time", len(f.recent))
	}
}

// Events say by which application and from which page a device came.
func TestEventsSayWhereADeviceComesFrom(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.open("alice", "2.18.5").enter("capability:alice")
		r.mu.Lock()
		defer r.mu.Unlock()
		e, _ := r.events[0].(event.Registration)
		if e.App != "AP1" || e.Device.Origin != "https://app.example.com" || e.Token.Kind != "capability" {
			t.Errorf("%+v", e)
		}
	})
}
