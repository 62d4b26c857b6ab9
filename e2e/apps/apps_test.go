package apps

import (
	"strings"
	"sync"
	"testing"
	"time"

	"dialtone/e2e/node"
	"dialtone/internal/talk"
	"dialtone/internal/voice/carrier"
	"dialtone/internal/voice/carrier/hear"
	"dialtone/internal/voice/token"
)

var precise = map[string]any{"enableImprovedSignalingErrorPrecision": true}

func TestApps(t *testing.T) {
	w := newWorld(t)
	// Nobody answers for a minute: these two wait while the others talk.
	waiting := []*app{w.open("v2.html", "carol"), w.open("v1.html", "dave")}
	for _, a := range waiting {
		a.register(token.Access, precise)
		a.from = time.Now()
		a.dial("+15550102")
	}
	alice, bob := w.open("v2.html", "alice"), w.open("v1.html", "bob")
	for _, a := range []*app{alice, bob} {
		sdk := "voice-sdk"
		if a.v1 {
			sdk = "twilio-client"
		}
		if !t.Run(sdk, func(t *testing.T) {
			for _, c := range []struct {
				name string
				test func(*app)
			}{
				{"with a capability token", capability},
				{"calls out", callsOut},
				{"keys both ways", keys},
				{"is told why a call failed", refusals},
				{"gives up", givesUp},
				{"is called and hangs up", calledHangsUp},
				{"is called and is hung up", calledIsHungUp},
				{"does not take a call", notTaken},
			} {
				if !t.Run(c.name, func(t *testing.T) { c.test(a.begin(t)) }) {
					return // what follows would only fail after it
				}
			}
		}) {
			return
		}
		a.t = t
		a.leave()
	}
	for _, a := range []*app{alice, bob} {
		a.register(token.Access, precise)
	}
	for _, c := range []struct {
		name string
		test func(alice, bob *app)
	}{
		{"a tone for ten seconds", tenSeconds},
		{"device to device", deviceToDevice},
		{"who declines passes the call on", passedOn},
		{"each leg with a codec of its own", translated},
	} {
		if !t.Run(c.name, func(t *testing.T) { c.test(alice.begin(t), bob.begin(t)) }) {
			return
		}
	}
	for _, a := range waiting {
		a.page.UntilWithin(70*time.Second, "app.saw('error 31480') && app.saw('disconnect')")
		if r := a.carries("+15550102", "was given up", func(r carrier.Report) bool { return r.State == carrier.Ended }); r.Status != 487 {
			t.Errorf("the carrier's status is %d", r.Status)
		}
	}
	w.node.Idle(t)
	for _, a := range []*app{alice, bob, waiting[0], waiting[1]} {
		for _, e := range a.page.Errors() {
			// twilio-client does not catch what becomes of a sound that it stops at once.
			if !a.v1 || !strings.Contains(e, "play() request was interrupted") {
				t.Errorf("%s: uncaught: %s", a.name, e)
			}
		}
	}
}

// translated: browsers that speak one codec alone, and carriers that do not.
func translated(alice, bob *app) {
	type pair struct{ browser, carrier string }
	pairs := []pair{{"opus", carrier.PCMU}, {"opus", carrier.PCMA}, {"PCMU", carrier.PCMA}, {"PCMA", carrier.PCMU}}
	for _, a := range []*app{alice, bob} {
		if a == bob {
			pairs = pairs[:1] // the browser is the same
		}
		for _, c := range pairs {
			a.from = time.Now()
			a.page.Eval("(app.clear(), app.codecs = [arg])", nil, c.browser)
			done := a.callIn(carrier.CallOptions{Codecs: []string{c.carrier}})
			a.told("incoming")
			a.page.Eval("app.accept()", nil)
			a.told("accept")
			a.hears(callerTone)
			a.heardWithin(0.2, talk.DemoNumber)
			both := "audio/" + c.browser + " audio/" + c.browser
			if spoken := a.page.Text("app.spoken()"); spoken != both {
				a.t.Errorf("a browser with %s alone speaks %s", c.browser, spoken)
			}
			a.page.Eval("app.hangUp()", nil)
			if r := a.result(done); r.Call.Codec != c.carrier {
				a.t.Errorf("the carrier speaks %s, want %s", r.Call.Codec, c.carrier)
			}
			a.told("disconnect")
		}

		// Dialled by the browser: the carrier is called with what it may know.
		a.from = time.Now()
		a.page.Eval("app.codecs = ['opus']", nil)
		a.dial("+15550111")
		a.told("accept")
		a.hears(lineTone)
		a.heardWithin(0.2, "+15550111")
		if spoken := a.page.Text("app.spoken()"); spoken != "audio/opus audio/opus" {
			a.t.Errorf("the browser speaks %s", spoken)
		}
		if h := a.hear(3); h.Quiet > longest || h.Hole > longest {
			a.t.Errorf("the tone is away for %.0f ms, made up for %.0f ms", h.Quiet, h.Hole)
		}
		a.page.Eval("app.hangUp()", nil)
		a.told("disconnect")

		a.from = time.Now()
		a.page.Eval("app.codecs = ['PCMU']", nil)
		a.dial("+15550110") // the carrier takes PCMA alone
		a.told("accept")
		a.heardWithin(0.2, "+15550110")
		node.Until(a.t, patient, "the page hears talking", func() bool { return a.hear(1).Level > 0.02 })
		a.page.Eval("(app.hangUp(), app.codecs = null)", nil)
		a.told("disconnect")
	}
}

func capability(a *app) {
	a.register(token.Capability, nil)
	a.dial("+15550101")
	// Without asking for precision v2 gets one code for all.
	code := "error 31005"
	if a.v1 {
		code = "error 31486"
	}
	a.told(code)
	a.dial("+15550111")
	a.told("accept")
	a.hears(lineTone)
	a.heardAt("+15550111")
	a.page.Eval("app.hangUp()", nil)
	a.carries("+15550111", "ended", func(r carrier.Report) bool { return r.State == carrier.Ended && r.EndedBy == carrier.EndedThere })
	a.leave()
	a.register(token.Access, precise) // for what follows
}

func callsOut(a *app) {
	a.dial("+15550105")
	a.told("ringing true") // the node rings, as browsers make no sound of their own
	a.told("accept")
	var h heard
	node.Until(a.t, patient, "the page hears talking", func() bool {
		h = a.hear(1)
		return h.Level > 0.02
	})
	a.t.Logf("the page hears talking, level %.3f", h.Level)
	a.heardAt("+15550105")
	a.page.Eval("app.hangUp()", nil)
	a.told("disconnect")
	r := a.carries("+15550105", "ended", func(r carrier.Report) bool { return r.State == carrier.Ended })
	if r.EndedBy != carrier.EndedThere || r.From != talk.DemoNumber {
		a.t.Errorf("ended by %v, from %q", r.EndedBy, r.From)
	}

	a.dial("+15550109")
	a.told("accept")
	a.told("disconnect")
	if r := a.carries("+15550109", "ended", func(r carrier.Report) bool { return r.State == carrier.Ended }); r.EndedBy != carrier.EndedHere {
		a.t.Errorf("ended by %v", r.EndedBy)
	}
	a.page.Until("!app.events.some((e) => e.startsWith('error'))")
}

// keys come as telephone events, which Chromium plays: "1" is 697 and 1209 Hz.
func keys(a *app) {
	a.dial("+15550106")
	a.told("accept")
	a.hears(697, 770, 852, 941, 1209, 1336, 1477)
	a.page.Eval("app.digits('7*0#')", nil)
	a.carries("+15550106", "gets the keys", func(r carrier.Report) bool { return r.Digits == "7*0#" })
	var sent bool
	if a.page.Eval("app.sent('dtmf')", &sent); sent {
		a.t.Error("the keys came by message")
	}
	a.page.Eval("app.hangUp()", nil)
	a.told("disconnect")
}

func refusals(a *app) {
	for _, c := range []struct{ number, code string }{
		{"+15550101", "error 31486"},     // busy
		{"+15550103", "error 31005"},     // 503
		{"+15550177", "error 31404"},     // no such number
		{"+4930123456", "error 31002"},   // country not allowed
		{"client:nobody", "error 31480"}, // not registered
	} {
		a.dial(c.number)
		a.told(c.code)
		a.told("disconnect")
	}
}

func givesUp(a *app) {
	a.dial("+15554102")
	a.carries("+15554102", "rings", func(r carrier.Report) bool { return r.State == carrier.Ringing })
	a.told("ringing true")
	a.page.Eval("app.hangUp()", nil)
	if r := a.carries("+15554102", "ended", func(r carrier.Report) bool { return r.State == carrier.Ended }); r.Status != 487 {
		a.t.Errorf("status %d", r.Status)
	}
	a.told("disconnect")
}

func calledHangsUp(a *app) {
	done := a.callIn(carrier.CallOptions{For: time.Minute})
	a.told("incoming")
	if from := a.page.Text("app.incoming.parameters.From"); from != "+15550123" {
		a.t.Errorf("called by %q", from)
	}
	if line, name := a.page.Text("app.parameter('line')"), a.page.Text("app.parameter('line_name')"); line != talk.DemoNumber || name != "Support" {
		a.t.Errorf("the custom parameters are %q and %q", line, name)
	}
	// Keys pressed before the audio is up go by message.
	a.page.Eval("app.accept('9')", nil)
	a.page.Until("app.isOpen()")
	a.hears(callerTone)
	a.heardAt(talk.DemoNumber)
	a.carries(talk.DemoNumber, "gets the key", func(r carrier.Report) bool { return r.Digits == "9" })
	var byMessage bool
	if a.page.Eval("app.sent('dtmf')", &byMessage); !byMessage {
		a.t.Error("the key did not come by message")
	}
	a.page.Eval("app.hangUp()", nil)
	if r := a.result(done); !r.Answered || r.EndedBy != carrier.EndedThere {
		a.t.Errorf("the caller's result: %+v", r)
	}
	a.told("disconnect")
}

func calledIsHungUp(a *app) {
	done := a.callIn(carrier.CallOptions{For: 4 * time.Second, DTMF: "5"})
	a.told("incoming")
	a.page.Eval("app.accept()", nil)
	a.page.Until("app.isOpen()")
	a.hears(callerTone)
	a.page.Eval("app.digits('36')", nil)
	a.carries(talk.DemoNumber, "gets the keys", func(r carrier.Report) bool { return r.Digits == "36" })
	if r := a.result(done); !r.Answered || r.EndedBy != carrier.EndedHere {
		a.t.Errorf("the caller's result: %+v", r)
	}
	a.told("disconnect")
}

// notTaken lets v2 ring in vain and v1 decline: either way it is missed, and the
// caller leaves a message.
func notTaken(a *app) {
	// "#" skips the greeting.
	done := a.callIn(carrier.CallOptions{For: 5 * time.Second, DTMF: "#"})
	a.told("incoming")
	why := talk.WhyMissed
	if a.v1 {
		why = talk.WhyDeclined
		a.page.Eval("app.reject()", nil)
		a.told("reject")
	} else {
		a.told("cancel")
	}
	if r := a.result(done); !r.Answered || r.EndedBy != carrier.EndedHere {
		a.t.Errorf("the caller did not reach the voicemail: %+v", r)
	}
	var page struct{ Voicemails []talk.Voicemail }
	node.Until(a.t, patient, "the message is there", func() bool {
		a.get("/api/v1/voicemails", &page)
		return len(page.Voicemails) > 0 && page.Voicemails[0].At.After(a.from)
	})
	message := page.Voicemails[0]
	sound := a.audio(message.ID)
	hz, level := hear.Frequency(sound.Samples, sound.Rate), hear.Level(sound.Samples)
	a.t.Logf("a message of %v: %.1f Hz, level %.0f", message.Duration, hz, level)
	if !isNear(hz, callerTone) || level < 1000 || message.From.Number != "+15550123" {
		a.t.Errorf("the message is %+v", message)
	}
	if notices := a.missed(); len(notices) != 1 || notices[0].Why != why || notices[0].From.Number != "+15550123" {
		a.t.Errorf("the notices are %+v", notices)
	}
}

// tenSeconds shows a tone each way in both SDKs at once. At the carrier a hole is
// a wait for the next packet, or silence in them; the machine's own lateness is no
// hole of ours. In the page silence in what is played is not enough, as a browser
// covers up for a while what is missing: the samples it made up count, too. A
// browser that gets no time from the machine makes holes that are not ours, so
// that a call with holes is followed by another, three at most.
func tenSeconds(alice, bob *app) {
	t := alice.t
	for try := 1; ; try++ {
		pulse := node.StartPulse(t)
		var both sync.WaitGroup
		var page [2]heard
		var far [2]carrier.Report
		for i, a := range []*app{alice, bob} {
			number := []string{"+15550111", "+15551111"}[i]
			a.from = time.Now()
			a.dial(number)
			a.told("accept")
			both.Go(func() {
				a.hears(lineTone)
				page[i] = a.hear(10)
				a.carries(number, "was heard for ten seconds", func(r carrier.Report) bool { far[i] = r; return r.PacketsIn > 500 })
				a.page.Eval("app.hangUp()", nil)
				a.told("disconnect")
			})
		}
		both.Wait()
		late := float64(pulse.Stop().Milliseconds())
		var records struct{ Calls []talk.Call }
		alice.get("/api/v1/calls?limit=2", &records)
		for _, r := range records.Calls {
			t.Logf("from %s: longest wait at the node %v", r.From.Name, r.Legs[0].Quality.LongestGap)
		}
		good := true
		for i, h := range page {
			f := far[i].Heard
			t.Logf("page: %.2f Hz, level %.3f, silence %.0f ms, hole %.0f ms, %.0f ms made up in %.1f s, lost %.0f of %.0f, buffered %.0f ms",
				h.Hz, h.Level, h.Quiet, h.Hole, h.Concealed, h.Seconds, h.Lost, h.Packets, h.Buffered)
			t.Logf("carrier: %.2f Hz, level %.0f, silence %v, longest wait %v, lost %d; the machine was late by %.0f ms",
				f.Frequency, f.Level, f.LongestQuiet, f.LongestGap, far[i].Lost, late)
			if !isNear(h.Hz, lineTone) || !isNear(f.Frequency, micTone) || h.Lost > 0 || far[i].Lost > 0 {
				t.Fatal("the tones are not what was sent")
			}
			good = good && h.Quiet <= longest && h.Hole <= longest && float64(f.LongestQuiet.Milliseconds()) <= longest &&
				float64(f.LongestGap.Milliseconds()) <= longest+late && h.Seconds > 9.5
		}
		if good {
			return
		}
		if try == 3 {
			t.Fatal("the tone had holes each time")
		}
	}
}

func deviceToDevice(alice, bob *app) {
	t := alice.t
	alice.dial("client:bob")
	bob.told("incoming")
	if from := bob.page.Text("app.incoming.parameters.From"); from != "client:alice" {
		t.Errorf("bob is called by %q", from)
	}
	alice.told("ringing true")
	bob.page.Eval("app.accept()", nil)
	alice.told("accept")
	alice.hears(micTone)
	bob.hears(micTone)
	bob.page.Eval("app.hangUp()", nil)
	alice.told("disconnect")
	alice.page.Until("!app.events.some((e) => e.startsWith('error'))")

	bob.dial("client:alice")
	alice.told("incoming")
	alice.page.Eval("app.reject()", nil)
	bob.told("error 31603")

	alice.page.Eval("app.clear()", nil)
	bob.dial("client:alice")
	alice.told("incoming")
	bob.page.Eval("app.hangUp()", nil)
	alice.told("cancel")
}

func passedOn(alice, bob *app) {
	t := alice.t
	node.Until(t, patient, "bob is free", func() bool { return bob.agent().Activity == nil })
	done := alice.callIn(carrier.CallOptions{For: time.Minute})
	first, next := alice, bob
	node.Until(t, patient, "one of the two is called", func() bool {
		for _, a := range []*app{alice, bob} {
			var rings bool
			if a.page.Eval("app.saw('incoming')", &rings); rings {
				first = a
				if a == alice {
					next = bob
				} else {
					next = alice
				}
				return true
			}
		}
		return false
	})
	first.page.Eval("app.reject()", nil)
	next.told("incoming")
	next.page.Eval("app.accept()", nil)
	next.hears(callerTone)
	next.heardAt(talk.DemoNumber)
	next.page.Eval("app.hangUp()", nil)
	if r := alice.result(done); !r.Answered || r.EndedBy != carrier.EndedThere {
		t.Errorf("the caller's result: %+v", r)
	}
}
