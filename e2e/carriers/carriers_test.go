package carriers

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/e2e/peers"
	"dialtone/internal/talk"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/carrier/wav"
)

func TestCarriers(t *testing.T) {
	if testing.Short() {
		t.Skip("needs SIPp and baresip")
	}
	w := newWorld(t)
	for _, c := range []struct {
		name string
		test func(*world)
	}{
		// SIPp waits for its calls for half a minute only. The names are parts of
		// file names, in which SIPp takes commas for its own.
		{"the trunks are tried in order until SIPp echoes", failover},
		{"SIPp talks before it answers", earlyMedia},
		{"SIPp calls and talks", sippTalks},
		{"SIPp calls with A-law and is hung up", sippEchoes},
		{"SIPp gives up and dials wrong", sippGivesUp},
		{"baresip calls with ten seconds of a tone each way", tenSeconds},
		{"baresip calls with keys and hold", keysAndHold},
		{"baresip gives up", phoneGivesUp},
		{"baresip is called and hangs up", phoneAnswers},
		{"baresip is called and held", agentHolds},
		{"baresip refuses and rings in vain", phoneRefuses},
	} {
		if !t.Run(c.name, func(t *testing.T) { c.test(w.begin(t)) }) {
			return // what follows would only fail after it
		}
	}
}

// A carrier that is dead and one that refuses with 503 cost time, not the call.
func failover(w *world) {
	began := time.Now()
	c := w.dial(echoNumber)
	w.answered(c)
	w.t.Logf("answered after %v", time.Since(began).Round(time.Millisecond))
	if w.dead.invites.Load() == 0 {
		w.t.Error("the first trunk was not tried")
	}
	w.refuses.Wait(w.t)
	// SIPp speaks A-law, the device µ-law: what comes back was transcoded twice.
	w.hears(c, agentTone)
	node.Until(w.t, patient, "two seconds of echo", func() bool { return c.Heard().Frames > 100 })
	if q := c.Heard().LongestQuiet; q > longest {
		w.t.Errorf("the echo was silent for %v", q)
	}
	if err := c.Press("5#"); err != nil {
		w.t.Fatal(err)
	}
	w.keys(c, "5#") // echoed, too
	w.hangUp(c)
	w.echoes.Wait(w.t)
	w.recorded(func(r talk.Call) bool {
		leg := dialled(r)
		return r.Cause == call.Completed && leg.Trunk == "echoes" && leg.Quality.Codec == call.PCMA
	})
}

func earlyMedia(w *world) {
	c := w.dial(talkerNumber)
	w.answered(c)
	node.Until(w.t, patient, "700 Hz", func() bool { return isNear(c.Heard().Frequency, 700) })
	if sound, answer := c.Heard().FirstSound, c.Times().Answered; !sound.Before(answer) {
		w.t.Errorf("the first sound came %v after the answer", sound.Sub(answer))
	}
	w.over(c)
	w.talks.Wait(w.t)
}

func sippTalks(w *world) {
	s := peers.SippCall(w.t, peers.SippCaller{Node: w.node.Addr().SIP, To: talk.DemoNumber, Tone: 425, Talk: 2500 * time.Millisecond})
	c := w.rings()
	if from := c.Parameters["From"]; from != "+15550123" {
		w.t.Errorf("the agent is told that %q calls", from)
	}
	w.accept(c)
	w.hears(c, 425)
	w.over(c)
	s.Wait(w.t)
	if q := c.Heard().LongestQuiet; q > longest {
		w.t.Errorf("SIPp's tone was silent for %v", q)
	}
}

func sippEchoes(w *world) {
	s := peers.SippCall(w.t, peers.SippCaller{Node: w.node.Addr().SIP, To: talk.DemoNumber, Codec: peers.PCMA, Echo: true, NodeEnds: true})
	c := w.rings()
	w.accept(c)
	w.hears(c, agentTone)
	w.hangUp(c)
	s.Wait(w.t)
	w.recorded(func(r talk.Call) bool {
		return r.Cause == call.Completed && r.Legs[0].Quality.Codec == call.PCMA && r.Legs[0].Quality.Speech
	})
}

func sippGivesUp(w *world) {
	s := peers.SippCall(w.t, peers.SippCaller{Node: w.node.Addr().SIP, To: talk.DemoNumber, Cancel: 300 * time.Millisecond})
	c := w.rings()
	w.over(c)
	s.Wait(w.t)
	peers.SippCall(w.t, peers.SippCaller{Node: w.node.Addr().SIP, To: "+15550177", Expect: 404}).Wait(w.t)
}

// tenSeconds shows the tone both ways through a phone that speaks A-law only.
// At the agent a hole is silence, or a wait for the next packet but for what the
// machine was late. baresip records what it decodes and leaves out what is
// missing: there a hole is audio that the agent sent and baresip did not record,
// or that came late from the agent to the node. A phone that gets no time from
// the machine makes holes that are not ours, so that a call with holes is
// followed by another, three at most: ours would be in each.
func tenSeconds(w *world) {
	for try := 1; ; try++ {
		pulse, began := node.StartPulse(w.t), time.Now()
		w.phone.Dial(talk.DemoNumber, w.node.Addr().SIP)
		c := w.rings()
		w.accept(c)
		w.phone.Await(peers.Established)
		w.hears(c, phoneTone)
		from := c.Heard().Frames
		node.Until(w.t, patient, "ten seconds of tone", func() bool { return c.Heard().Frames >= from+10*50 })
		heard := c.Heard()
		w.phone.HangUp()
		w.phone.Await(peers.Closed)
		w.over(c)
		there, late := w.phone.Heard(), pulse.Stop()
		w.t.Logf("the agent hears %.2f Hz, level %.0f, longest wait %v, longest silence %v; the machine was late by %v",
			heard.Frequency, heard.Level, heard.LongestGap, heard.LongestQuiet, late)
		r := w.recorded(func(r talk.Call) bool {
			return r.OfferedAt.After(began.Add(-time.Millisecond)) && r.Trunk == "phone" && r.Cause == call.Completed && r.Legs[0].Quality.Codec == call.PCMA
		})
		said := dialled(r).Quality
		missing := time.Duration(said.PacketsIn)*20*time.Millisecond - there.Length - phoneBuffer
		wait := time.Duration(float64(said.LongestGap) * float64(time.Second))
		w.t.Logf("baresip hears %.2f Hz, level %.0f, longest silence %v in %v; %v missing, longest wait on the way %v",
			there.Frequency, there.Level, there.LongestQuiet, there.Length, missing, wait)
		if !isNear(heard.Frequency, phoneTone) || !isNear(there.Frequency, agentTone) || heard.Level < loud || there.Level < loud {
			w.t.Fatal("the tones are not what was sent")
		}
		if heard.LongestGap <= longest+late && heard.LongestQuiet <= longest &&
			missing <= longest && wait <= longest+late && there.LongestQuiet <= longest && there.Length >= 10*time.Second {
			return
		}
		if try == 3 {
			w.t.Fatal("the tone had holes each time")
		}
	}
}

func keysAndHold(w *world) {
	w.phone.Dial(talk.DemoNumber, w.node.Addr().SIP)
	w.phone.Await(peers.Ringing)
	c := w.rings()
	w.accept(c)
	w.phone.Await(peers.Established)
	w.hears(c, phoneTone)
	w.phone.Press("15#")
	w.keys(c, "15#")
	w.phone.Keys()
	if err := c.Press("8*0"); err != nil {
		w.t.Fatal(err)
	}
	var keys string
	node.Until(w.t, patient, "baresip hears 8*0", func() bool {
		keys += w.phone.Keys()
		return keys == "8*0"
	})

	// baresip on hold sends nothing.
	w.phone.Hold(true)
	before, since := c.Heard().Frames, time.Now()
	node.Until(w.t, patient, "silence on hold", func() bool {
		if now := c.Heard().Frames; now != before {
			before, since = now, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
	w.phone.Hold(false)
	node.Until(w.t, patient, "audio again", func() bool { return c.Heard().Frames > before })
	w.hears(c, phoneTone)

	w.hangUp(c)
	w.phone.Await(peers.Closed)
	if h := w.phone.Heard(); !isNear(h.Frequency, agentTone) {
		w.t.Errorf("baresip heard %.1f Hz", h.Frequency)
	}
}

func phoneGivesUp(w *world) {
	w.phone.Dial(talk.DemoNumber, w.node.Addr().SIP)
	w.phone.Await(peers.Ringing)
	c := w.rings()
	w.phone.HangUp()
	w.phone.Await(peers.Closed)
	w.over(c)
	w.recorded(func(r talk.Call) bool { return r.Status == talk.StatusAbandoned && r.Cause == call.Cancelled })
}

func phoneAnswers(w *world) {
	c := w.dial(phoneNumber)
	if e := w.phone.Await(peers.Incoming); !strings.Contains(e.Peer, talk.DemoNumber) {
		w.t.Errorf("baresip is told that %q calls", e.Peer)
	}
	node.Until(w.t, patient, "it rings", func() bool { return !c.Times().Ringing.IsZero() })
	w.phone.Answer()
	w.answered(c)
	w.hears(c, phoneTone)
	node.Until(w.t, patient, "two seconds of tone", func() bool { return c.Heard().Frames > 100 })
	w.phone.HangUp()
	w.over(c)
	h := w.phone.Heard()
	w.t.Logf("baresip hears %.2f Hz, level %.0f, longest silence %v in %v", h.Frequency, h.Level, h.LongestQuiet, h.Length)
	if !isNear(h.Frequency, agentTone) || h.Level < loud {
		w.t.Errorf("baresip heard %.1f Hz, level %.0f", h.Frequency, h.Level)
	}
	// The ringing that the agent heard was µ-law; the phone speaks A-law only.
	w.recorded(func(r talk.Call) bool {
		return r.Legs[0].Quality.Codec == call.PCMU && dialled(r).Quality.Codec == call.PCMA && dialled(r).Trunk == "phone"
	})
}

// agentHolds lets the phone hear music in place of the agent's tone.
func agentHolds(w *world) {
	c := w.dial(phoneNumber)
	w.phone.Await(peers.Incoming)
	w.phone.Answer()
	w.answered(c)
	w.hears(c, phoneTone)
	alice := w.node.SignIn(w.t, "alice")
	if status := alice.Ask(w.t, "POST", "/api/v1/calls/"+c.SID()+"/hold", map[string]bool{"on": true}, nil); status != 204 {
		w.t.Fatalf("hold: %d", status)
	}
	frames := c.Heard().Frames
	time.Sleep(2500 * time.Millisecond) // what baresip records of the hold
	if more := c.Heard().Frames - frames; more > 10 {
		w.t.Errorf("the agent who pressed hold got %d more frames", more)
	}
	w.hangUp(c)
	w.phone.Await(peers.Closed)
	sound := w.phone.Heard().Sound
	last := sound.Samples[len(sound.Samples)-2*sound.Rate:]
	music := peers.Measure(wav.Sound{Rate: sound.Rate, Samples: last})
	w.t.Logf("on hold baresip hears %.0f Hz, level %.0f", music.Frequency, music.Level)
	if music.Level < 100 || math.Abs(music.Frequency-agentTone) < agentTone/20 {
		w.t.Error("baresip did not hear music")
	}
}

func phoneRefuses(w *world) {
	c := w.dial(phoneNumber)
	w.phone.Await(peers.Incoming)
	w.phone.HangUp()
	w.phone.Await(peers.Closed)
	err := c.AwaitEnd(w.wait())
	var told *device.Error
	if !errors.As(err, &told) || told.Code != 31486 {
		w.t.Errorf("the agent is told %v", err)
	}

	c = w.dial(phoneNumber)
	w.phone.Await(peers.Incoming)
	node.Until(w.t, patient, "it rings", func() bool { return !c.Times().Ringing.IsZero() })
	w.hangUp(c)
	w.phone.Await(peers.Closed)
	w.recorded(func(r talk.Call) bool { return r.Cause == call.Cancelled && r.Direction == call.Outbound })
}

// recorded waits until the newest call's record is as it should be.
func (w *world) recorded(ok func(talk.Call) bool) talk.Call {
	w.t.Helper()
	var got []talk.Call
	give := time.Now().Add(10 * time.Second)
	for {
		if got = w.calls(); len(got) > 0 && ok(got[0]) {
			return got[0]
		}
		if time.Now().After(give) {
			w.t.Fatalf("the newest record is %+v", got[:min(1, len(got))])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// dialled returns the leg that was called.
func dialled(r talk.Call) talk.Leg {
	for _, l := range r.Legs {
		if l.Dialled {
			return l
		}
	}
	return talk.Leg{}
}
