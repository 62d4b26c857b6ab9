package talk

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

// want fails the test unless got is want.
func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case []string:
		return slices.Equal(a, b.([]string))
	case []Why:
		return slices.Equal(a, b.([]Why))
	}
	return a == b
}

// answers lets a device ring and its agent accept after d.
func answers(d time.Duration) func(*party) {
	return func(p *party) {
		p.ring()
		p.after(d, p.answer)
	}
}

func declines(d time.Duration) func(*party) {
	return func(p *party) {
		p.ring()
		p.after(d, func() { p.end(call.Declined) })
	}
}

func TestAnswered(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	w.phone("alice", answers(3*time.Second))
	c := w.callIn(support)
	w.run(2 * time.Second)
	if !c.state.Answered.IsZero() {
		t.Fatal("the caller is answered before an agent is there")
	}
	a := w.agent("alice")
	if a.Activity == nil || a.Activity.Kind != Ringing || a.Activity.Peer.Number != customer || a.Activity.Line != supportLine ||
		a.Activity.Leg != c.dialed[0].leg || a.Activity.Call != c.id {
		t.Fatalf("activity %+v", a.Activity)
	}
	w.run(2 * time.Second)
	if c.state.Bridged.IsZero() {
		t.Fatal("not bridged")
	}
	want(t, "activity", w.agent("alice").Activity.Kind, OnCall)
	want(t, "dial timeout", c.dialed[0].dial.Timeout, 30*time.Second)
	w.run(10 * time.Second)
	c.dialed[0].end(call.Completed) // the agent hangs up
	w.run(time.Second)
	w.checkEmpty()
	k := c.ended()
	want(t, "status", k.Status, StatusCompleted)
	want(t, "agent", k.Agent, "USalice")
	want(t, "line", k.Line, supportLine)
	want(t, "legs", len(k.Legs), 2)
	want(t, "agent's leg", k.Legs[1].Status, LegCompleted)
	want(t, "agent of the leg", k.Legs[1].Agent, "USalice")
	want(t, "caller's leg", k.Legs[0].Status, LegCompleted)
	if k.Waited < 3 || k.Waited > 4 || k.Talked < 10 || k.AnsweredAt.IsZero() {
		t.Fatalf("waited %v, talked %v, answered %v", k.Waited, k.Talked, k.AnsweredAt)
	}
	want(t, "label", c.record.Labels["agent"], "USalice")
	want(t, "missed", w.missed("alice"), nil)
	want(t, "in the feed", slices.Contains(w.log, "ringing: "+customer) && slices.Contains(w.log, "call: completed"), true)
}

func TestMissedThenNextAgent(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	w.run(time.Second)
	w.register("bob")
	w.phone("bob", answers(5*time.Second))
	c := w.callIn(support)
	w.run(29 * time.Second)
	want(t, "who rang", c.whoRang(), []string{"alice"})
	w.run(8 * time.Second)
	want(t, "who rang", c.whoRang(), []string{"alice", "bob"})
	want(t, "alice", w.missed("alice"), []Why{WhyMissed})
	want(t, "alice is free", w.agent("alice").Activity == nil, true)
	want(t, "state is kept", w.agent("alice").State, Online)
	c.hangUp()
	w.run(time.Second)
	w.checkEmpty()
	k := c.ended()
	want(t, "status", k.Status, StatusCompleted)
	want(t, "agent", k.Agent, "USbob")
	want(t, "first leg", k.Legs[1].Status, LegAgentMissed)
	want(t, "second leg", k.Legs[2].Status, LegCompleted)
}

func TestAllDeclineThenVoicemail(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice", "bob")
	w.phone("alice", declines(time.Second))
	w.phone("bob", declines(time.Second))
	c := w.callIn(support)
	w.run(20 * time.Second) // offers, answer, greeting, tone
	want(t, "heard", c.heard[c.caller], []string{PromptVoicemail, PromptBeep})
	want(t, "alice", w.missed("alice"), []Why{WhyDeclined})
	w.run(10 * time.Second)
	c.press('#')
	w.run(10 * time.Second)
	w.checkEmpty()
	want(t, "heard at the end", c.heard[c.caller][2:], []string{PromptGoodbye})
	k := c.ended()
	want(t, "status", k.Status, StatusVoicemail)
	m := w.messages()
	if len(m) != 1 || m[0].Duration < 10 || m[0].From.Number != customer || m[0].Line != supportLine || m[0].ID != k.Voicemail {
		t.Fatalf("messages %+v, call's %q", m, k.Voicemail)
	}
	want(t, "leg", k.Legs[1].Status, LegAgentDeclined)
	want(t, "cause", k.Cause, call.Completed)
	want(t, "unheard", w.f.branches[testAccount].unheard[supportLine], 1)
}

func TestNobodyThenVoicemailUntilTheCallerHangsUp(t *testing.T) {
	w := newWorld(t, nil)
	c := w.callIn(support)
	w.run(15 * time.Second)
	c.hangUp()
	w.run(time.Second)
	w.checkEmpty()
	want(t, "status", c.ended().Status, StatusVoicemail)
	want(t, "messages", len(w.messages()), 1)
	want(t, "who rang", c.whoRang(), nil)
}

func TestVoicemailIsLimited(t *testing.T) {
	w := newWorld(t, nil)
	c := w.callIn(support)
	w.run(4 * time.Minute)
	w.checkEmpty()
	want(t, "length", w.messages()[0].Duration, 180)
	want(t, "cause", c.ended().Cause, call.Completed)
}

func TestNoMessageLeft(t *testing.T) {
	for name, leave := range map[string]func(*world, *simCall){
		"during the greeting": func(w *world, c *simCall) {
			w.run(2 * time.Second)
			c.hangUp()
		},
		"a second after the tone": func(w *world, c *simCall) {
			w.run(10*time.Second + 500*time.Millisecond)
			c.hangUp()
		},
		"silent to the end": func(w *world, c *simCall) {
			c.silent = true
			w.run(20 * time.Second)
			c.press('#')
			w.run(time.Second)
			c.hangUp()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			c := w.callIn(support)
			leave(w, c)
			w.run(time.Minute)
			w.checkEmpty()
			want(t, "status", c.ended().Status, StatusAbandoned)
			want(t, "messages", len(w.messages()), 0)
			want(t, "voicemail", c.ended().Voicemail, "")
		})
	}
}

func TestLineWithoutVoicemailSaysSo(t *testing.T) {
	w := newWorld(t, func(u *setup) { u.lines[0].Voicemail = false })
	c := w.callIn(support)
	w.run(time.Minute)
	w.checkEmpty()
	want(t, "heard", c.heard[c.caller], []string{PromptClosed})
	want(t, "status", c.ended().Status, StatusNotAnswered)
}

func TestUnreachableDeviceIsSkippedAndNotTriedAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	w.run(time.Second)
	w.register("bob")
	// The registry still knows alice, her browser no longer answers.
	w.phone("alice", func(p *party) { p.end(call.Unreachable) })
	w.phone("bob", answers(2*time.Second))
	first := w.callIn(support)
	w.run(3 * time.Second)
	want(t, "who rang", first.whoRang(), []string{"alice", "bob"})
	want(t, "alice", w.missed("alice"), []Why{WhyUnreachable})
	want(t, "alice's device", w.agent("alice").Device.Reachable, false)
	second := w.callIn(support)
	w.run(time.Second)
	want(t, "who rang for the second", second.whoRang(), nil) // waits for bob
	want(t, "waiting", second.heard[second.caller], []string{PromptWait})
	w.phone("alice", answers(time.Second))
	w.register("alice") // she reloads the page
	w.run(2 * time.Second)
	want(t, "who rang for the second", second.whoRang(), []string{"alice"})
	first.hangUp()
	second.hangUp()
	w.run(time.Second)
	w.checkEmpty()
	want(t, "leg", first.ended().Legs[1].Status, LegAgentUnreachable)
}

func TestQueueIsServedInOrder(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	w.phone("alice", answers(time.Second))
	var calls []*simCall
	for range 4 {
		calls = append(calls, w.callIn(support))
		w.run(2 * time.Second)
	}
	want(t, "waiting", w.f.branches[testAccount].lineViews()[0].Waiting, 3)
	for i, c := range calls {
		if c.state.Bridged.IsZero() {
			t.Fatalf("caller %d is not served", i)
		}
		if i > 0 {
			want(t, "heard", c.heard[c.caller][:2], []string{PromptWait, PromptMusic})
		}
		for _, later := range calls[i+1:] {
			if !later.state.Bridged.IsZero() {
				t.Fatal("served out of order")
			}
		}
		w.run(10 * time.Second)
		c.hangUp()
		w.run(2 * time.Second)
	}
	w.checkEmpty()
	if k := calls[3].ended(); k.Waited < 30 {
		t.Fatalf("the last waited %v", k.Waited)
	}
}

func TestAwayAgentsQueueUntilOneComes(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	w.setState("alice", Away)
	c := w.callIn(support)
	w.run(time.Minute)
	want(t, "heard", c.heard[c.caller], []string{PromptWait, PromptMusic})
	w.phone("alice", answers(time.Second))
	w.setState("alice", Online)
	w.run(2 * time.Second)
	if c.state.Bridged.IsZero() {
		t.Fatal("not offered when the agent came back")
	}
	c.hangUp()
	w.run(time.Second)
	w.checkEmpty()
}

func TestOfflineAndTransfersOnlyMeanVoicemail(t *testing.T) {
	for _, s := range []State{Offline, TransfersOnly} {
		w := newWorld(t, nil)
		w.register("alice")
		w.setState("alice", s)
		c := w.callIn(support)
		w.run(2 * time.Second)
		want(t, string(s), c.heard[c.caller], []string{PromptVoicemail})
	}
}

func TestWaitEndsByItsLimit(t *testing.T) {
	w := newWorld(t, func(u *setup) { u.lines[0].MaxWait = 20 * time.Second })
	w.register("alice")
	w.phone("alice", answers(time.Second))
	first := w.callIn(support)
	w.run(2 * time.Second)
	second := w.callIn(support)
	w.run(19 * time.Second)
	want(t, "still waits", second.heard[second.caller], []string{PromptWait, PromptMusic})
	w.run(2 * time.Second)
	want(t, "then", second.heard[second.caller][2:], []string{PromptVoicemail})
	first.hangUp()
	w.run(time.Second)
	want(t, "an agent no longer rings", second.whoRang(), nil)
	second.hangUp()
	w.run(time.Second)
	w.checkEmpty()
}

func TestOneLeadsFromTheQueueToVoicemail(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice", "bob")
	w.phone("alice", answers(time.Second))
	first := w.callIn(support)
	w.phone("alice", nil)
	w.run(2 * time.Second)
	w.setState("bob", Away)
	second := w.callIn(support)
	w.run(10 * time.Second)
	second.press('5')
	w.run(time.Second)
	want(t, "another key does nothing", len(second.heard[second.caller]), 2)
	w.setState("bob", Online)
	w.run(time.Second)
	want(t, "bob rings", w.agent("bob").Activity.Kind, Ringing)
	second.press('1')
	w.run(time.Second)
	want(t, "bob is free again", w.agent("bob").Activity == nil, true)
	want(t, "heard", second.heard[second.caller][2:], []string{PromptVoicemail})
	want(t, "bob has missed nothing", w.missed("bob"), nil)
	first.hangUp()
	w.run(20 * time.Second)
	second.hangUp()
	w.run(time.Second)
	w.checkEmpty()
	want(t, "leg", second.ended().Legs[1].Status, LegCancelled)
}

func TestCallerGivesUp(t *testing.T) {
	t.Run("while it rings", func(t *testing.T) {
		w := newWorld(t, nil)
		w.register("alice")
		c := w.callIn(support)
		w.run(5 * time.Second)
		c.hangUp()
		w.run(time.Second)
		w.checkEmpty()
		k := c.ended()
		want(t, "status", k.Status, StatusAbandoned)
		want(t, "cause", k.Cause, call.Cancelled)
		want(t, "alice", w.missed("alice"), []Why{WhyMissed})
		want(t, "leg", k.Legs[1].Status, LegCancelled)
		want(t, "caller's leg", k.Legs[0].Status, LegAbandoned)
	})
	t.Run("in the queue", func(t *testing.T) {
		w := newWorld(t, nil)
		w.register("alice")
		w.setState("alice", Away)
		c := w.callIn(support)
		w.run(30 * time.Second)
		c.hangUp()
		w.run(time.Second)
		w.checkEmpty()
		k := c.ended()
		want(t, "status", k.Status, StatusAbandoned)
		want(t, "alice", w.missed("alice"), nil)
		if k.Waited < 30 || k.Waited > 31 || !k.AnsweredAt.IsZero() {
			t.Fatalf("waited %v, answered %v", k.Waited, k.AnsweredAt)
		}
	})
}

func TestRingingIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice", "bob", "carol")
	c := w.callIn(support)
	w.run(59 * time.Second)
	if !c.state.Answered.IsZero() {
		t.Fatal("answered before its time")
	}
	w.run(10 * time.Second)
	if c.state.Answered.IsZero() {
		t.Fatal("the third agent rings and the caller is not answered yet")
	}
	want(t, "who rang", len(c.whoRang()), 3)
	want(t, "heard", c.heard[c.caller], []string{PromptWait, PromptMusic})
	w.run(40 * time.Second)
	want(t, "in the end", c.heard[c.caller][2:], []string{PromptVoicemail, PromptBeep})
}

func TestLongestIdleFirst(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"alice", "bob"} {
		w.register(name)
		w.phone(name, answers(time.Second))
		w.run(time.Second)
	}
	var order []string
	for range 3 {
		c := w.callIn(support)
		w.run(5 * time.Second)
		c.hangUp()
		w.run(time.Second)
		order = append(order, c.whoRang()...)
	}
	w.register("carol") // a fresh sign-in goes first
	w.phone("carol", answers(time.Second))
	c := w.callIn(support)
	w.run(2 * time.Second)
	want(t, "order", append(order, c.whoRang()...), []string{"alice", "bob", "alice", "carol"})
}

func TestLostDevice(t *testing.T) {
	t.Run("the rule takes over within five seconds", func(t *testing.T) {
		w := newWorld(t, nil)
		w.register("alice")
		w.run(time.Minute)
		w.vanish("alice")
		c := w.callIn(support)
		w.run(4 * time.Second)
		want(t, "the caller is not answered", c.state.Answered.IsZero(), true)
		w.run(2 * time.Second)
		want(t, "heard", c.heard[c.caller], []string{PromptVoicemail})
		a := w.agent("alice")
		if a.State != Online || a.Device.Reachable || a.Device.Since.IsZero() || a.Device.Count != 0 {
			t.Fatalf("%+v", a)
		}
	})
	t.Run("who is back in time is offered the call", func(t *testing.T) {
		w := newWorld(t, nil)
		w.register("alice")
		w.run(time.Minute)
		w.vanish("alice")
		c := w.callIn(support)
		w.run(3 * time.Second)
		w.register("alice")
		w.run(time.Second)
		want(t, "who rang", c.whoRang(), []string{"alice"})
	})
	t.Run("in a call, the caller goes back to the head of the queue", func(t *testing.T) {
		w := newWorld(t, nil)
		w.register("alice")
		w.phone("alice", answers(time.Second))
		first := w.callIn(support)
		w.run(10 * time.Second)
		w.register("bob")
		w.setState("bob", Away)
		second := w.callIn(support)
		w.run(10 * time.Second)
		first.dialed[0].end(call.SignalLost)
		w.run(time.Second)
		want(t, "hears that they wait", first.heard[first.caller], []string{PromptWait})
		w.phone("bob", answers(time.Second))
		w.setState("alice", Offline)
		w.setState("bob", Online)
		w.run(3 * time.Second)
		want(t, "who rang", first.whoRang(), []string{"alice", "bob"})
		want(t, "the second waits", second.whoRang(), nil)
		first.hangUp()
		second.hangUp()
		w.run(time.Second)
		w.checkEmpty()
		want(t, "status", first.ended().Status, StatusCompleted)
		want(t, "agent", first.ended().Agent, "USbob")
	})
	t.Run("in a call, who is back in time has the caller again", func(t *testing.T) {
		w := newWorld(t, nil)
		w.register("alice")
		w.phone("alice", answers(time.Second))
		c := w.callIn(support)
		w.run(10 * time.Second)
		w.vanish("alice")
		c.dialed[0].end(call.SignalLost)
		w.run(3 * time.Second)
		w.register("alice") // the page was loaded anew
		w.run(3 * time.Second)
		want(t, "who rang", c.whoRang(), []string{"alice", "alice"})
		want(t, "and talks", w.agent("alice").Activity.Kind, OnCall)
		c.hangUp()
		w.run(time.Second)
		w.checkEmpty()
	})
	t.Run("who never came up is no answer", func(t *testing.T) {
		w := newWorld(t, nil)
		w.register("alice")
		w.phone("alice", func(p *party) {
			p.ring()
			p.after(2*time.Second, func() { p.end(call.MediaFailed) })
		})
		c := w.callIn(support)
		w.run(4 * time.Second)
		want(t, "heard", c.heard[c.caller], []string{PromptVoicemail})
		want(t, "alice", w.missed("alice"), []Why{WhyUnreachable})
	})
}

func TestUnknownNumber(t *testing.T) {
	w := newWorld(t, nil)
	c := w.callIn("+15550000")
	w.run(time.Second)
	w.checkEmpty()
	k := c.ended()
	want(t, "cause", k.Cause, call.NotFound)
	want(t, "status", k.Status, StatusFailed)
	want(t, "line", k.Line, "")
}

func TestNumbersAsCarriersWriteThem(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	for _, number := range []string{support, support[1:], "5550199"} {
		c := w.callIn(number)
		w.run(time.Second)
		want(t, number, c.whoRang(), []string{"alice"})
		c.hangUp()
		w.run(time.Second)
	}
}

func TestOutbound(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	w.phone("+15550105", answers(3*time.Second))
	c := w.dial("alice", "To", "555-0105")
	w.run(time.Second)
	a := w.agent("alice")
	if a.Activity == nil || a.Activity.Kind != OnCall || a.Activity.Direction != call.Outbound || a.Activity.Peer.Number != "+15550105" {
		t.Fatalf("activity %+v", a.Activity)
	}
	d := c.dialed[0].dial
	if d.To != call.Phone("+15550105") || d.From.Number != support || !d.Ringback {
		t.Fatalf("dialled %+v", d)
	}
	other := w.callIn(support)
	w.run(5 * time.Second)
	want(t, "an agent who talks is not offered", other.whoRang(), nil)
	other.hangUp()
	c.dialed[0].end(call.Completed) // the other party hangs up
	w.run(time.Second)
	w.checkEmpty()
	k := c.ended()
	want(t, "status", k.Status, StatusCompleted)
	want(t, "direction", k.Direction, call.Outbound)
	want(t, "agent", k.Agent, "USalice")
	want(t, "to", k.To, Party{Number: "+15550105", Country: "US"})
	want(t, "from", k.From, Party{Identity: "alice", Name: "alice"})
	want(t, "own leg", k.Legs[0].Agent, "USalice")
}

func TestOutboundRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		params []string
		phone  call.EndCause // what the number answers, "" when it must not be dialled
		cause  call.EndCause
		status Status
	}{
		{"busy", []string{"To", "+15550101"}, call.Busy, call.Busy, StatusNotAnswered},
		{"no answer", []string{"To", "+15550102"}, call.NoAnswer, call.NoAnswer, StatusNotAnswered},
		{"carrier fails", []string{"To", "+15550103"}, call.CarrierError, call.CarrierError, StatusFailed},
		{"no number", []string{"To", "hello"}, "", call.NotFound, StatusFailed},
		{"nothing", nil, "", call.NotFound, StatusFailed},
		{"another's number", []string{"To", "+15550100", "From", "+15550666"}, "", call.Forbidden, StatusFailed},
		{"nobody there", []string{"To", "client:bob"}, "", call.Unreachable, StatusNotAnswered},
		{"oneself", []string{"To", "client:alice"}, "", call.NotFound, StatusFailed},
		{"no name", []string{"To", "client:"}, "", call.NotFound, StatusFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.register("alice")
			if len(test.params) > 0 {
				w.phone(test.params[1], func(p *party) { p.end(test.phone) })
			}
			c := w.dial("alice", test.params...)
			w.run(2 * time.Second)
			w.checkEmpty()
			want(t, "cause", c.ended().Cause, test.cause)
			want(t, "status", c.ended().Status, test.status)
			want(t, "dialled", len(c.dialed) > 0, test.phone != "")
		})
	}
}

func TestOutboundChoosesItsLineAndCountries(t *testing.T) {
	w := newWorld(t, func(u *setup) {
		u.lines = append(u.lines, LineSettings{
			ID: "PN2", Account: testAccount, Number: "+33123456789", Name: "Paris", Countries: []string{"FR"},
		})
	})
	w.register("alice")
	c := w.dial("alice", "To", "01 98 76 54 32", "From", "+33 1 23 45 67 89")
	w.run(time.Second)
	want(t, "a national number is read as on the line", c.dialed[0].dial.To.Number, "+33198765432")
	want(t, "from", c.dialed[0].dial.From.Number, "+33123456789")
	c.hangUp()
	c = w.dial("alice", "To", "+15550100", "From", "+33123456789")
	w.run(time.Second)
	want(t, "cause", c.ended().Cause, call.Forbidden)
	c = w.dial("alice", "To", "112", "From", "+33123456789")
	w.run(time.Second)
	want(t, "an emergency number", c.dialed[0].dial.To.Number, "112")
}

func TestDeviceToDevice(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice", "bob")
	w.phone("bob", answers(2*time.Second))
	c := w.dial("alice", "To", "client:bob")
	w.run(time.Second)
	want(t, "bob", w.agent("bob").Activity.Kind, Ringing)
	want(t, "alice", w.agent("alice").Activity.Kind, OnCall)
	w.run(2 * time.Second)
	want(t, "bob", w.agent("bob").Activity.Kind, OnCall)
	want(t, "bob's peer", w.agent("bob").Activity.Peer, Party{Identity: "alice", Name: "alice"})
	busy := w.dial("carol", "To", "client:bob")
	w.run(time.Second)
	want(t, "a second call to bob", busy.ended().Cause, call.Busy)
	c.dialed[0].end(call.Completed)
	w.run(time.Second)
	w.checkEmpty()
	k := c.ended()
	want(t, "direction", k.Direction, call.Internal)
	want(t, "legs", k.Legs[0].Agent+" "+k.Legs[1].Agent, "USalice USbob")

	w.phone("bob", nil)
	c = w.dial("alice", "To", "client:bob")
	w.run(5 * time.Second)
	c.hangUp()
	w.run(time.Second)
	want(t, "bob has missed", w.missed("bob"), []Why{WhyMissed})
	want(t, "status", c.ended().Status, StatusNotAnswered)
}

func TestWhoDialsIsNoLongerRung(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	in := w.callIn(support)
	w.run(2 * time.Second)
	w.phone("+15550100", answers(time.Second))
	out := w.dial("alice", "To", "+15550100")
	w.run(3 * time.Second)
	want(t, "alice", w.agent("alice").Activity.Direction, call.Outbound)
	want(t, "missed", w.missed("alice"), nil)
	want(t, "the caller waits", in.heard[in.caller], []string{PromptWait})
	w.phone("alice", answers(time.Second))
	out.hangUp()
	w.run(3 * time.Second)
	want(t, "and is offered again", in.whoRang(), []string{"alice", "alice"})
	in.hangUp()
	w.run(time.Second)
	w.checkEmpty()
}

func TestWrapUp(t *testing.T) {
	w := newWorld(t, func(u *setup) { u.lines[0].WrapUp = 20 * time.Second })
	w.register("alice")
	w.phone("alice", answers(time.Second))
	first := w.callIn(support)
	w.run(2 * time.Second)
	second := w.callIn(support)
	w.run(2 * time.Second)
	first.hangUp()
	w.run(time.Second)
	want(t, "alice", w.agent("alice").Activity.Kind, WrapUp)
	w.run(18 * time.Second)
	want(t, "not yet offered", second.whoRang(), nil)
	w.run(3 * time.Second)
	want(t, "then", second.whoRang(), []string{"alice"})
	second.hangUp()
	w.run(30 * time.Second)
	w.checkEmpty()
}

func TestStateFollowsDevices(t *testing.T) {
	w := newWorld(t, nil)
	want(t, "before", w.agent("alice").State, Offline)
	w.register("alice")
	want(t, "a device registers", w.agent("alice").State, Online)
	w.setState("alice", Away)
	w.vanish("alice")
	w.run(time.Minute)
	w.register("alice")
	want(t, "back after a minute", w.agent("alice").State, Away)
	w.vanish("alice")
	w.run(3 * time.Minute)
	w.register("alice")
	want(t, "back after three", w.agent("alice").State, Online)

	w.devices["bob"] = true // its event was lost
	w.step(w.f.verifyAll)
	want(t, "found by looking", w.agent("bob").Device.Reachable, true)
	w.devices["bob"] = false
	w.step(w.f.verifyAll)
	want(t, "lost by looking", w.agent("bob").Device.Reachable, false)

	line := w.f.branches[testAccount].lineViews()[0]
	want(t, "online", line.AgentsOnline, 2)
	want(t, "reachable", line.AgentsReachable, 1)
}

func TestHoldIsTold(t *testing.T) {
	w := newWorld(t, nil)
	w.register("alice")
	w.phone("alice", answers(time.Second))
	c := w.callIn(support)
	w.run(3 * time.Second)
	c.Do(call.Hold{Leg: c.dialed[0].leg})
	w.run(5 * time.Second)
	c.Do(call.Resume{Leg: c.dialed[0].leg})
	w.run(time.Second)
	c.hangUp()
	w.run(time.Second)
	var held []string
	for _, l := range w.log {
		if strings.HasPrefix(l, "held") {
			held = append(held, l)
		}
	}
	want(t, "told", held, []string{"held: true", "held: false"})
	want(t, "held", c.ended().Held, 5)
}

func TestOfferShowsLastContacts(t *testing.T) {
	w := newWorld(t, nil)
	for range 5 {
		c := w.callIn(support)
		w.run(time.Second)
		c.hangUp()
		w.run(time.Second)
	}
	w.register("alice")
	feed := w.f.subscribe(Viewer{Account: testAccount, User: "USalice"}, func(*Feed) {})
	c := w.callIn(support)
	w.run(time.Second)
	for ch := range feed.Changes() {
		if o, ok := ch.Data.(Offered); ok {
			if len(o.Contacts) != MaxContacts || !o.Contacts[0].OfferedAt.After(o.Contacts[1].OfferedAt) || o.Leg != c.dialed[0].leg || o.Line.ID != supportLine {
				t.Fatalf("%+v", o)
			}
			return
		}
	}
}
