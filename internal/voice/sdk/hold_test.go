package sdk

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/rtc"
)

// bubble runs f in a synctest bubble with a rig that must leave nothing behind.
func bubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		f(t, r)
		synctest.Wait()
		r.stop()
	})
}

// talking returns a page in a call that it made, with audio up.
func talking(r *rig, sdk string) (*page, *fakeCall, string) {
	p := r.open("alice", sdk).enter("alice")
	p.calls("To=%2B15550100")
	c := r.last()
	c.leg.Answer(nil)
	c.peer().onState(rtc.Connected)
	synctest.Wait()
	return p, c, str(p.take("answer"), "reconnect")
}

func reconnectFrame(c *fakeCall, token, ufrag string) object {
	return object{"callsid": string(c.offer.Leg), "reconnect": token, "sdp": browserSDP("alice", ufrag), "twilio": object{}}
}

func wentAway(t *testing.T, c *fakeCall, want ...bool) {
	t.Helper()
	var got []bool
	for _, rep := range c.got() {
		if a, ok := rep.(call.Away); ok {
			got = append(got, a.On)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("away: %v, want %v", got, want)
	}
}

func TestCallEndsWhenSignallingStaysAway(t *testing.T) {
	for _, sdk := range []string{"2.18.5", "1.15.1"} {
		bubble(t, func(t *testing.T, r *rig) {
			p, c, _ := talking(r, sdk)
			p.drop()
			wentAway(t, c, true)
			time.Sleep(14 * time.Second)
			c.alive(t)
			time.Sleep(2 * time.Second)
			if down := c.down(t); down.Cause != call.SignalLost || down.Status != 53000 {
				t.Errorf("%+v", down)
			}
			// It comes back too late: v2 asks, v1 must be told.
			back := r.open("alice", sdk).enter2(t)
			if sdk == "2.18.5" {
				back.say("invite", reconnectFrame(c, "x", "u1"))
			}
			if h := back.take("hangup"); str(h, "callsid") != string(c.offer.Leg) {
				t.Errorf("hangup: %v", h)
			}
		})
	}
}

// enter2 listens only.
func (p *page) enter2(t *testing.T) *page {
	t.Helper()
	p.listen("alice")
	p.take("connected")
	return p
}

func TestCallGoesOnWhileAudioComes(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p, c, token := talking(r, "2.18.5")
		p.drop()
		for i := range 60 {
			c.peer().hear(uint16(i))
			time.Sleep(time.Second)
		}
		c.alive(t)
		back := r.open("alice", "2.18.5").enter2(t)
		back.say("invite", reconnectFrame(c, token, "u1"))
		if a := back.take("answer"); a["sdp"] != nil || a["reconnect"] == token {
			t.Errorf("answer: %v", a)
		}
		wentAway(t, c, true, false)
		back.drop()
		time.Sleep(31 * time.Second) // silent now
		if down := c.down(t); down.Cause != call.SignalLost {
			t.Errorf("%+v", down)
		}
	})
}

func TestHoldAsLongAsTheClientAsks(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5")
		p.say("listen", object{"token": "alice", "reconnectTimeout": 25})
		p.take("connected")
		p.calls("")
		c := r.last()
		c.leg.Answer(nil)
		c.peer().onState(rtc.Connected)
		synctest.Wait()
		p.drop()
		time.Sleep(24 * time.Second)
		c.alive(t)
		time.Sleep(2 * time.Second)
		c.down(t)
	})
}

func TestPageGone(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p, c, _ := talking(r, "2.18.5")
		c.peer().onState(rtc.Closed)
		p.drop()
		time.Sleep(2 * time.Second)
		c.alive(t) // a page that reloads is back by now
		time.Sleep(2 * time.Second)
		if down := c.down(t); down.Cause != call.SignalLost {
			t.Errorf("%+v", down)
		}
	})
}

func TestPageReloads(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p, c, token := talking(r, "2.18.5")
		first := c.peer()
		c.peer().onState(rtc.Closed)
		p.drop()
		time.Sleep(time.Second)
		back := r.open("alice", "2.18.5").enter2(t)
		back.say("invite", object{"callsid": string(c.offer.Leg), "reconnect": token, "sdp": browserSDP("reloaded", "u9"), "twilio": object{}})
		if a := back.take("answer"); a["sdp"] == nil {
			t.Errorf("answer without SDP: %v", a)
		}
		if c.peer() == first || !first.isClosed() {
			t.Error("the old browser leg is still there")
		}
		c.peer().onState(rtc.Connected)
		wentAway(t, c, true, false)
		time.Sleep(time.Minute)
		c.alive(t)
		back.say("hangup", object{"callsid": string(c.offer.Leg)})
		c.down(t)
	})
}

func TestAudioThatNeverComesUp(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		c := r.dial("alice", nil)
		p.say("answer", object{"callsid": p.take("invite")["callsid"], "sdp": browserSDP("alice", "u1")})
		c.peer().onState(rtc.Failed)
		time.Sleep(19 * time.Second)
		c.alive(t)
		time.Sleep(2 * time.Second)
		if down := c.down(t); down.Cause != call.MediaFailed || down.Status != 53405 {
			t.Errorf("%+v", down)
		}
		if h := p.take("hangup"); code(h) != 53405 {
			t.Errorf("hangup: %v", h)
		}
	})
}

func TestAudioThatStaysAway(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p, c, _ := talking(r, "2.18.5")
		c.peer().onState(rtc.Disconnected)
		time.Sleep(10 * time.Second)
		c.peer().onState(rtc.Connected)
		wentAway(t, c, true, false)
		time.Sleep(time.Minute)
		c.peer().onState(rtc.Disconnected)
		time.Sleep(10 * time.Second)
		c.peer().onState(rtc.Failed)
		time.Sleep(19 * time.Second)
		c.alive(t)
		time.Sleep(2 * time.Second)
		if down := c.down(t); down.Cause != call.MediaLost {
			t.Errorf("%+v", down)
		}
		p.take("hangup")
	})
}

func TestBrowserGivesUpItsAudio(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p, c, _ := talking(r, "2.18.5")
		p.say("hangup", object{"callsid": string(c.offer.Leg), "message": "Connection with Twilio was interrupted."})
		if down := c.down(t); down.Cause != call.MediaLost {
			t.Errorf("%+v", down)
		}
	})
	bubble(t, func(t *testing.T, r *rig) {
		_, c, _ := talking(r, "2.18.5")
		c.peer().onState(rtc.Closed)
		time.Sleep(4 * time.Second)
		if down := c.down(t); down.Cause != call.MediaLost {
			t.Errorf("%+v", down)
		}
	})
}

func TestUnansweredCallOfALostDevice(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		p.calls("")
		c := r.last()
		p.drop()
		if down := c.down(t); down.Cause != call.SignalLost {
			t.Errorf("%+v", down)
		}
	})
	bubble(t, func(t *testing.T, r *rig) { // v1 keeps it
		p := r.open("alice", "1.15.1").enter("alice")
		p.calls("")
		c := r.last()
		p.drop()
		time.Sleep(time.Second)
		back := r.open("alice", "1.15.1").enter2(t)
		c.leg.Answer(nil)
		back.take("answer")
		back.say("hangup", object{"callsid": string(c.offer.Leg)})
		if down := c.down(t); down.Cause != call.Completed {
			t.Errorf("%+v", down)
		}
	})
}

func TestReconnectNeedsTheToken(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p, c, token := talking(r, "2.18.5")
		mallory := r.open("mallory", "2.18.5").enter("mallory")
		mallory.say("invite", reconnectFrame(c, token, "u1"))
		if h := mallory.take("hangup"); code(h) != 31209 {
			t.Errorf("another identity: %v", h)
		}
		mallory.say("hangup", object{"callsid": string(c.offer.Leg)})
		mallory.say("dtmf", object{"callsid": string(c.offer.Leg), "dtmf": "1"})
		mallory.take("hangup")
		p.say("invite", reconnectFrame(c, "guess", "u1"))
		if h := p.take("hangup"); code(h) != 31209 {
			t.Errorf("a guessed token: %v", h)
		}
		c.alive(t)
		// The newest token may never have arrived: the one before it counts, too.
		p.say("invite", reconnectFrame(c, token, "u1"))
		p.take("answer")
		p.say("invite", reconnectFrame(c, token, "u1"))
		p.take("answer")
		p.say("invite", reconnectFrame(c, token, "u1"))
		if h := p.take("hangup"); code(h) != 31209 {
			t.Errorf("a token twice replaced: %v", h)
		}
		c.alive(t)
		for _, rep := range c.got() {
			if _, ok := rep.(call.Dialled); ok {
				t.Error("another identity pressed keys")
			}
		}
	})
}

func TestDialNeedsARegisteredDevice(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		dial := func(identity string) error {
			_, err := r.s.Dial("CA1", call.Dial{To: call.Client(identity), Account: account}, func(rep call.Report) { t.Errorf("reported %v", rep) })
			return err
		}
		r.open("alice", "2.18.5").listen("alice") // connected only
		r.open("carol", "2.18.5").enter("carol/out")
		r.open("dave", "2.18.5").enter("dave@AC2")
		for _, who := range []string{"alice", "nobody", "carol", "dave", ""} {
			if err := dial(who); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("%s: %v", who, err)
			}
		}
		r.open("alice", "2.18.5").enter("alice")
		r.s.Drain()
		if err := dial("alice"); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("draining: %v", err)
		}
	})
}

func TestDeclinedByOneOfTwo(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		desk, home := r.open("desk", "2.18.5").enter("alice"), r.open("home", "2.18.5").enter("alice")
		c := r.dial("alice", nil)
		sid := desk.take("invite")["callsid"]
		home.take("invite")
		desk.say("reject", object{"callsid": sid})
		c.alive(t)
		home.quiet(t)
		home.say("answer", object{"callsid": sid, "sdp": browserSDP("home", "u1")})
		desk.say("answer", object{"callsid": sid, "sdp": browserSDP("desk", "u1")}) // much too late
		desk.quiet(t)
		c.leg.End(call.Completed)
		home.take("hangup")
		c.down(t)
	})
	bubble(t, func(t *testing.T, r *rig) {
		desk, home := r.open("desk", "2.18.5").enter("alice"), r.open("home", "2.18.5").enter("alice")
		c := r.dial("alice", nil)
		sid := desk.take("invite")["callsid"]
		desk.say("reject", object{"callsid": sid})
		home.drop()
		if down := c.down(t); down.Cause != call.Declined {
			t.Errorf("%+v", down)
		}
	})
}

func TestRingingDeviceLost(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		c := r.dial("alice", nil)
		p.drop()
		time.Sleep(2 * time.Second)
		c.alive(t)
		time.Sleep(2 * time.Second)
		if down := c.down(t); down.Cause != call.Unreachable {
			t.Errorf("%+v", down)
		}
	})
	for sdk, wants := range map[string]string{"2.18.5": "[connected ready invite]", "1.15.1": "[connected ready]"} {
		bubble(t, func(t *testing.T, r *rig) {
			p := r.open("alice", sdk).enter("alice")
			c := r.dial("alice", nil)
			sid := p.take("invite")["callsid"]
			p.drop()
			time.Sleep(time.Second)
			back := r.open("alice", sdk)
			back.listen("alice")
			back.register()
			if got := fmt.Sprint(back.types()); got != wants {
				t.Errorf("%s: %s, want %s", sdk, got, wants)
			}
			time.Sleep(10 * time.Second)
			back.say("answer", object{"callsid": sid, "sdp": browserSDP("alice", "u1")})
			c.leg.End(call.Completed)
			back.take("hangup")
			c.down(t)
		})
	}
}

func TestOwnCallDropsWhatRings(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		c := r.dial("alice", nil)
		p.take("invite")
		p.calls("To=%2B15550100")
		p.take("cancel")
		if down := c.down(t); down.Cause != call.Busy {
			t.Errorf("%+v", down)
		}
		out := r.last()
		out.leg.Ringing(false, nil)
		p.take("ringing")
		out.leg.End(call.Cancelled)
	})
}

func TestEarlyMediaWaitsToo(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		p.calls("")
		out := r.last()
		in := r.dial("alice", nil)
		sid := p.take("invite")["callsid"]
		out.leg.Ringing(true, nil)
		p.quiet(t)
		// The answer must not wait, and carries what the ringing could not.
		out.leg.Answer(nil)
		if a := p.take("answer"); a["sdp"] == nil || a["callsid"] == sid {
			t.Errorf("answer: %v", a)
		}
		in.leg.End(call.Cancelled)
		p.take("cancel")
		p.quiet(t)
		out.leg.End(call.Completed)
	})
}

// The codec of the other leg is agreed on where the device has it, and otherwise
// the one that is cheapest to translate.
func TestCodecsAgreed(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		for _, c := range []struct {
			device string
			wanted []call.Codec
			agreed call.Codec
		}{
			{"111 0 8 126", []call.Codec{call.PCMU}, call.PCMU},
			{"111 0 8 126", []call.Codec{call.PCMA, call.PCMU}, call.PCMA},
			{"0 111 8 126", []call.Codec{call.Opus}, call.Opus},
			{"111 126", []call.Codec{call.PCMU}, call.Opus},
			{"111 126", []call.Codec{call.PCMA}, call.Opus},
			{"111 0 126", []call.Codec{call.PCMA}, call.PCMU},
			{"8 126", []call.Codec{call.Opus}, call.PCMA},
			{"111 8 126", nil, call.PCMA},
		} {
			p.say("invite", object{"callsid": "TJ" + c.device, "sdp": browserSDP("alice", "u1", c.device), "twilio": object{}})
			out := r.last()
			out.leg.Answer(c.wanted)
			p.take("answer")
			if got := up(t, out).Codec; got != c.agreed {
				t.Errorf("a device with %q, %v wanted: agreed on %q, want %q", c.device, c.wanted, got, c.agreed)
			}
			out.leg.End(call.Completed)
			p.take("hangup")
		}
	})
}

// A device whose Opus cannot be translated is told so instead of hearing nothing.
func TestNoTranslation(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		p.say("invite", object{"callsid": "TJS1", "sdp": browserSDP("alice", "u1", "111 126"), "twilio": object{}})
		c := r.last()
		c.leg.Answer([]call.Codec{call.PCMU})
		p.take("answer")
		c.peer().onState(rtc.Connected)
		c.leg.Endpoint().Play(media.Tone(440, 10*time.Second), false, nil) // the rig has no codecs
		time.Sleep(2500 * time.Millisecond)
		if h := p.take("hangup"); code(h) != endCodes[call.Overload] {
			t.Errorf("told %v", h)
		}
		if down := c.down(t); down.Cause != call.Overload {
			t.Errorf("%+v", down)
		}
	})
}

func TestUnusableSDP(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		p.say("invite", object{"callsid": "TJS1", "sdp": "nonsense", "twilio": object{}})
		if h := p.take("hangup"); code(h) != 31400 {
			t.Errorf("an offer without sense: %v", h)
		}
		p.say("invite", object{"callsid": "TJS2", "sdp": browserSDP("alice", "u1", "13 126"), "twilio": object{}})
		if h := p.take("hangup"); code(h) != 31400 {
			t.Errorf("an offer without a codec that we speak: %v", h)
		}
		in := r.dial("alice", nil)
		p.say("answer", object{"callsid": p.take("invite")["callsid"], "sdp": "nonsense"})
		p.take("hangup")
		if down := in.down(t); down.Cause != call.MediaFailed {
			t.Errorf("%+v", down)
		}
	})
}

func TestRefusedCalls(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice/in")
		p.calls("")
		if h := p.take("hangup"); code(h) != 31201 || !strings.HasPrefix(str(h, "callsid"), "TJS") {
			t.Errorf("not allowed: %v", h)
		}
		p.listen("alice")
		p.take("connected")
		p.calls("x=" + strings.Repeat("y", maxParams))
		if h := p.take("hangup"); code(h) != 31103 {
			t.Errorf("long parameters: %v", h)
		}
		for want, err := range map[int]error{
			31206: fault.New(fault.TooMany, "full"), 31005: fault.New(fault.Unavailable, "stopping"), 31000: errors.New("a bug"),
		} {
			r.refuse = err
			p.calls("")
			if h := p.take("hangup"); code(h) != want {
				t.Errorf("%v: %v", err, h)
			}
		}
		r.refuse = nil
		r.s.Drain()
		p.calls("")
		if h := p.take("hangup"); code(h) != 31005 {
			t.Errorf("draining: %v", h)
		}
	})
}

func TestFixedParametersWin(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice/fixed")
		p.calls("To=%2B15559999&team=red&own=1")
		c := r.last()
		if got := c.offer.Params.Encode(); got != "To=%2B15550100&own=1&team=blue" || c.offer.To != call.Phone("+15550100") {
			t.Errorf("params %s to %s", got, c.offer.To)
		}
		c.leg.End(call.Cancelled)
	})
}

func TestTheSameInviteTwice(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		same := object{"callsid": "TJS1", "sdp": browserSDP("alice", "u1"), "twilio": object{}}
		p.say("invite", same)
		p.say("invite", same)
		p.quiet(t)
		if len(r.offers) != 1 {
			t.Errorf("%d calls", len(r.offers))
		}
		// Another identity's call of the same temporary id is another call.
		b := r.open("bob", "2.18.5").enter("bob")
		b.say("invite", same)
		if len(r.offers) != 2 {
			t.Errorf("%d calls", len(r.offers))
		}
		b.say("hangup", object{"callsid": "TJS1"})
		r.offers[0].alive(t)
		r.offers[1].down(t)
		r.offers[0].leg.End(call.Completed)
	})
}

func TestServerStopsWithCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p, c, _ := talking(r, "2.18.5")
		r.open("idle", "1.15.1").enter("idle")
		r.stop()
		if h := p.take("hangup"); code(h) != 31005 {
			t.Errorf("hangup: %v", h)
		}
		if down := c.down(t); down.Cause != call.Shutdown {
			t.Errorf("%+v", down)
		}
		if status, closed := p.isClosed(); !closed || status != 1001 {
			t.Errorf("closed %v with %d", closed, status)
		}
	})
}

// A number that is not text must not keep a device from ringing: it comes from
// whoever calls.
func TestCallerWhoIsNotText(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		alice := r.open("alice", "2.18.5").enter("alice")
		c := r.dial("alice", func(d *call.Dial) { d.From = call.Address{Number: "\xff\xfe", Name: "\xff"} })
		invite := alice.take("invite")
		if from := invite["parameters"].(map[string]any)["From"]; from != "\ufffd\ufffd" {
			t.Errorf("From: %q", from)
		}
		c.leg.End(call.Cancelled)
	})
}

// A page that signs another person in takes the ringing of the first with it.
func TestIdentityChangesWhileItRings(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		p := r.open("alice", "2.18.5").enter("alice")
		c := r.dial("alice", nil)
		p.take("invite")
		p.listen("bob")
		synctest.Wait()
		if heard := p.types(); !slices.Contains(heard, "cancel") {
			t.Errorf("the page heard %v", heard)
		}
		time.Sleep(4 * time.Second) // Times.Regain
		if got := c.got(); len(got) == 0 || got[len(got)-1] != (call.Down{Cause: call.Unreachable, Status: endCodes[call.Unreachable]}) {
			t.Errorf("reported %v", got)
		}
	})
}
