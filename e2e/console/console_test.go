// Package console_test uses the console as an agent does: in Chromium, with a
// microphone that holds a tone, against a whole node and its simulated carrier.
package console_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/e2e/node"
	"dialtone/internal/app"
	"dialtone/internal/config"
	"dialtone/internal/talk"
	"dialtone/internal/voice/carrier"
	"dialtone/internal/voice/sdk"
	"dialtone/internal/voice/token"
)

const (
	micTone  = 600.0  // what the agent's microphone hears, Hz
	farTone  = 440.0  // what a caller says
	lineTone = 1000.0 // what +15550111 says
	loud     = 0.01   // level above which something is heard; full scale is 1
)

// ears counts the page's PeerConnections and listens to the last one.
const ears = `
window.ears = { peers: [] };
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...a) { super(...a); ears.peers.push(this); }
};
ears.hear = async () => {
  const pc = ears.peers[ears.peers.length - 1];
  const track = pc && pc.getReceivers().map((r) => r.track).find((t) => t && t.kind === 'audio');
  if (!track) return { hz: 0, level: 0 };
  const context = (ears.context ??= new AudioContext());
  await context.resume();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = context.createAnalyser();
  analyser.fftSize = 16384;
  analyser.smoothingTimeConstant = 0;
  source.connect(analyser);
  await new Promise((done) => setTimeout(done, 500));
  const bins = new Float32Array(analyser.frequencyBinCount);
  const wave = new Float32Array(analyser.fftSize);
  analyser.getFloatFrequencyData(bins);
  analyser.getFloatTimeDomainData(wave);
  source.disconnect();
  let best = 1;
  for (let i = 1; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
  return { hz: (best * context.sampleRate) / analyser.fftSize, level: Math.sqrt(wave.reduce((s, x) => s + x * x, 0) / wave.length) };
};
return true;
`

type heard struct{ Hz, Level float64 }

func (h heard) near(hz float64) bool { return h.Level > loud && math.Abs(h.Hz-hz) < hz/100 }

// floor is one node and one browser for all tests of the console, which follow
// each other.
type floor struct {
	node    *node.Node
	browser *browser.Browser
	tickets *lockout
}

// lockout refuses tickets while it is on, as a broken release would.
type lockout struct {
	sdk.Verifier
	on atomic.Bool
}

func (l *lockout) Verify(ctx context.Context, text string) (token.Claims, error) {
	if l.on.Load() && len(text) == token.TicketSize {
		return token.Claims{}, &token.Refusal{Reason: token.ReasonIllegalCharacter}
	}
	return l.Verifier.Verify(ctx, text)
}

// desk is an agent at the console.
type desk struct {
	t      *testing.T
	node   *node.Node
	page   *browser.Page
	before int // calls that the carrier has had
}

func test(id string) string { return `[data-testid="` + id + `"]` }

// open signs alice in on a page of her own; the page is closed with the test.
func (f *floor) open(t *testing.T) *desk {
	t.Helper()
	d := &desk{t, f.node, f.browser.Open("https://localhost:" + f.node.Port() + "/"), len(f.node.Carrier().Calls())}
	t.Cleanup(func() {
		d.page.Close()
		node.Until(t, 20*time.Second, "the agent's device is gone", func() bool { return !d.agent().Device.Reachable })
		d.node.Idle(t)
	})
	d.page.Eval(ears, nil)
	d.page.Fill(test("sign-in-name"), "alice")
	d.page.Fill(test("sign-in-password"), f.node.Password(t, "alice"))
	d.page.Click(test("sign-in-submit"))
	d.page.See(test("dial-input"))
	node.Until(t, 20*time.Second, "the agent's device is registered", func() bool { return d.agent().Device.Reachable })
	return d
}

func (d *desk) agent() talk.Agent {
	d.t.Helper()
	var all struct{ Agents []talk.Agent }
	d.node.Ask(d.t, "GET", "/api/v1/agents", nil, &all)
	for _, a := range all.Agents {
		if a.Name == "alice" {
			return a
		}
	}
	d.t.Fatal("there is no alice")
	return talk.Agent{}
}

func (d *desk) dial(number string) {
	d.t.Helper()
	d.page.Fill(test("dial-input"), number)
	d.page.Click(test("dial"))
}

// carrierCall waits until the carrier has a call that is ok.
func (d *desk) carrierCall(what string, ok func(carrier.Report) bool) carrier.Report {
	d.t.Helper()
	var found carrier.Report
	node.Until(d.t, 20*time.Second, what, func() bool {
		calls := d.node.Carrier().Calls()
		if len(calls) <= d.before {
			return false
		}
		found = calls[len(calls)-1]
		return ok(found)
	})
	return found
}

// hears waits until the page hears the tone.
func (d *desk) hears(hz float64) {
	d.t.Helper()
	var h heard
	node.Until(d.t, 15*time.Second, "the agent hears the tone", func() bool {
		d.page.Eval("ears.hear()", &h)
		return h.near(hz)
	})
	d.t.Logf("the agent hears %.1f Hz at %.3f", h.Hz, h.Level)
}

// heardAtCarrier waits until the carrier hears the agent's microphone.
func (d *desk) heardAtCarrier() {
	d.t.Helper()
	r := d.carrierCall("the carrier hears the agent's microphone", func(r carrier.Report) bool {
		return math.Abs(r.Heard.Frequency-micTone) < micTone/100
	})
	d.t.Logf("the carrier hears %.1f Hz, level %.0f", r.Heard.Frequency, r.Heard.Level)
}

func (d *desk) idle() {
	d.t.Helper()
	d.page.See(test("dial-input"))
	d.node.Idle(d.t)
}

// callIn lets the carrier call the line, and returns where the result will be.
func (d *desk) callIn(o carrier.CallOptions) chan carrier.Result {
	o.To = talk.DemoNumber
	if o.From == "" {
		o.From = "+15550123"
	}
	done := make(chan carrier.Result, 1)
	go func() {
		r, err := d.node.Carrier().CallIn(d.t.Context(), o)
		if err != nil {
			d.t.Errorf("call in: %v", err)
		}
		done <- r
	}()
	return done
}

func (d *desk) result(done chan carrier.Result) carrier.Result {
	d.t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(60 * time.Second):
		d.t.Fatal("the call in did not end")
		return carrier.Result{}
	}
}

func TestConsole(t *testing.T) {
	tickets := &lockout{}
	f := &floor{
		tickets: tickets,
		node: node.Start(t, node.Options{
			Config: func(c *config.Config) { c.Calls.OfferFor = 5 * time.Second },
			App: func(o *app.Options) {
				o.WrapVerifier = func(v sdk.Verifier) sdk.Verifier {
					tickets.Verifier = v
					return tickets
				}
			},
		}),
		browser: browser.Start(t, browser.Options{
			Flags: []string{"--use-file-for-fake-audio-capture=" + microphone(t)}, Wait: 25 * time.Second,
		}),
	}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"agent calls out and hears and is heard", f.agentCallsOutAndHearsAndIsHeard},
		{"far end hangs up", f.farEndHangsUp},
		{"busy is said", f.busyIsSaid},
		{"keys both ways", f.keysBothWays},
		{"call comes in and the agent hangs up", f.callComesInAndTheAgentHangsUp},
		{"call comes in and the caller hangs up", f.callComesInAndTheCallerHangsUp},
		{"missed call becomes a voicemail", f.missedCallBecomesAVoicemail},
		{"banner says that the agent cannot be reached", f.bannerSaysThatTheAgentCannotBeReached},
		{"call outlives its signalling, by a new ticket", f.callOutlivesItsSignalling},
		{"call outlives a way in that breaks", f.callOutlivesAWayInThatBreaks},
	} {
		if !t.Run(c.name, c.test) {
			return // what follows would only fail after it
		}
	}
}

func (f *floor) agentCallsOutAndHearsAndIsHeard(t *testing.T) {
	d := f.open(t)
	d.dial("+1 555 0111")
	d.page.See(test("timer"))
	d.hears(lineTone)
	d.heardAtCarrier()

	d.page.Click(test("hold"))
	d.page.See(test("flag-held"))
	d.carrierCall("the far end hears music in place of the agent", func(r carrier.Report) bool {
		return r.Heard.Level > 100 && math.Abs(r.Heard.Frequency-micTone) > micTone/20
	})
	d.page.Click(test("hold"))
	d.page.SeeNot(test("flag-held"))
	d.heardAtCarrier()
	d.hears(lineTone)

	d.page.Click(test("mute"))
	d.page.See(test("flag-muted"))
	d.carrierCall("the far end hears nothing of a muted agent", func(r carrier.Report) bool { return r.Heard.Level < 50 })
	d.page.Click(test("mute"))
	d.heardAtCarrier()

	d.page.Click(test("hangup"))
	r := d.carrierCall("the carrier's call ended", func(r carrier.Report) bool { return r.State == carrier.Ended })
	if r.EndedBy != carrier.EndedThere || r.From == "" {
		t.Errorf("ended by %v, from %q", r.EndedBy, r.From)
	}
	d.idle()
}

func (f *floor) farEndHangsUp(t *testing.T) {
	d := f.open(t)
	d.dial("+15550109")
	d.page.See(test("timer"))
	d.page.See(test("call-ended"))
	d.idle()
}

func (f *floor) busyIsSaid(t *testing.T) {
	d := f.open(t)
	d.dial("+15550101")
	d.page.See(test("call-ended"))
	text := d.page.Text(`document.querySelector('[data-testid="call-ended"]').innerText`)
	if !strings.Contains(strings.ToLower(text), "busy") {
		t.Errorf("a busy number is shown as %q", text)
	}
	d.idle()
}

func (f *floor) keysBothWays(t *testing.T) {
	d := f.open(t)
	d.dial("+15550106")
	d.page.See(test("timer"))
	// Chromium plays the telephone events that it gets: "1" is 697 and 1209 Hz.
	var h heard
	node.Until(t, 20*time.Second, "the agent hears keys", func() bool {
		d.page.Eval("ears.hear()", &h)
		for _, hz := range []float64{697, 770, 852, 941, 1209, 1336, 1477} {
			if h.Level > loud/4 && math.Abs(h.Hz-hz) < hz/50 {
				return true
			}
		}
		return false
	})
	d.page.Click(test("keypad"))
	for _, key := range []string{"7", "star", "0"} {
		d.page.Click(test("key-" + key))
	}
	var digits string
	node.Until(t, 15*time.Second, "the carrier hears 7*0", func() bool {
		calls := d.node.Carrier().Calls()
		if got := calls[len(calls)-1].Digits; got != digits {
			t.Logf("the carrier hears %q", got)
			digits = got
		}
		return digits == "7*0"
	})
	d.page.Click(test("hangup"))
	d.idle()
}

func (f *floor) callComesInAndTheAgentHangsUp(t *testing.T) {
	d := f.open(t)
	done := d.callIn(carrier.CallOptions{Tone: farTone, For: time.Minute})
	d.page.See(test("answer"))
	if who := d.page.Text(`document.querySelector('[data-testid="caller"]').innerText`); !strings.Contains(who, "555") {
		t.Errorf("the caller is shown as %q", who)
	}
	if line := d.page.Text(`document.querySelector('[data-testid="caller-line"]').innerText`); !strings.Contains(line, "Support") {
		t.Errorf("the line is shown as %q", line)
	}
	d.page.Click(test("answer"))
	d.page.See(test("timer"))
	d.hears(farTone)
	d.heardAtCarrier()
	d.page.Click(test("hangup"))
	if r := d.result(done); !r.Answered || r.EndedBy != carrier.EndedThere {
		t.Errorf("the caller's result: %+v", r)
	}
	d.idle()
}

func (f *floor) callComesInAndTheCallerHangsUp(t *testing.T) {
	d := f.open(t)
	done := d.callIn(carrier.CallOptions{Tone: farTone, For: 3 * time.Second})
	d.page.See(test("answer"))
	d.page.Press("Enter")
	d.page.See(test("timer"))
	d.hears(farTone)
	if r := d.result(done); !r.Answered || r.EndedBy != carrier.EndedHere {
		t.Errorf("the caller's result: %+v", r)
	}
	d.idle()
}

func (f *floor) missedCallBecomesAVoicemail(t *testing.T) {
	d := f.open(t)
	done := d.callIn(carrier.CallOptions{Tone: farTone, For: 14 * time.Second})
	d.page.See(test("answer"))
	d.page.See(test("missed-row"))
	if r := d.result(done); !r.Answered {
		t.Errorf("the caller did not reach the voicemail: %+v", r)
	}
	d.page.Click(test("nav-voicemail"))
	d.page.See(test("voicemail-row"))
	d.page.Click(test("voicemail-play"))
	node.Until(t, 15*time.Second, "the message plays", func() bool {
		var plays bool
		d.page.Eval(`const a = document.querySelector('[data-testid="voicemail-audio"]'); return !!a && a.currentTime > 0.3 && a.duration > 1`, &plays)
		return plays
	})
}

func (f *floor) bannerSaysThatTheAgentCannotBeReached(t *testing.T) {
	d := f.open(t)
	d.page.Offline(true)
	d.page.See(test("banner-reason"))
	d.page.Offline(false)
	d.page.SeeNot(test("banner-reason"))
	node.Until(t, 30*time.Second, "the device is back", func() bool { return d.agent().Device.Reachable })
}

// dropSignalling takes the page off the network during a call and back.
func (d *desk) dropSignalling() {
	d.t.Helper()
	d.page.Offline(true)
	d.page.See(test("call-reconnecting"))
	d.page.Offline(false)
	d.page.SeeNot(test("call-reconnecting"))
}

func (d *desk) cameBy(way string) {
	d.t.Helper()
	d.page.See(test("state") + `[data-way="` + way + `"]`)
}

func (f *floor) callOutlivesItsSignalling(t *testing.T) {
	d := f.open(t)
	d.cameBy("ticket")
	d.dial("+1 555 0111")
	d.page.See(test("timer"))
	d.hears(lineTone)
	d.dropSignalling()
	d.cameBy("ticket")
	d.hears(lineTone)
	d.heardAtCarrier()
	d.page.SeeNot(test("banner"))
	d.page.Click(test("hangup"))
	d.idle()
}

func (f *floor) callOutlivesAWayInThatBreaks(t *testing.T) {
	d := f.open(t)
	d.cameBy("ticket")
	d.dial("+1 555 0111")
	d.page.See(test("timer"))
	d.hears(lineTone)
	f.tickets.on.Store(true)
	defer f.tickets.on.Store(false)
	d.dropSignalling()
	d.cameBy("access")
	d.hears(lineTone)
	d.heardAtCarrier()
	d.page.SeeNot(test("banner"))
	if calls := len(d.node.Carrier().Calls()); calls != d.before+1 {
		t.Errorf("the carrier had %d calls, not one", calls-d.before)
	}
	d.page.Click(test("nav-settings"))
	d.page.See(test("phone-way") + `[data-way="access"][data-avoided="ticket"]`)
	d.page.Click(test("hangup"))
	d.idle()
}

// microphone writes a tone for Chromium's microphone and returns its file.
func microphone(t *testing.T) string {
	t.Helper()
	const rate, seconds = 48000, 10
	var b bytes.Buffer
	b.WriteString("RIFF")
	write := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	write(uint32(36 + 2*rate*seconds))
	b.WriteString("WAVEfmt ")
	write([]uint16{16, 0, 1, 1})
	write([]uint32{rate, 2 * rate})
	write([]uint16{2, 16})
	b.WriteString("data")
	write(uint32(2 * rate * seconds))
	for i := range rate * seconds {
		write(int16(8000 * math.Sin(2*math.Pi*micTone*float64(i)/rate)))
	}
	name := filepath.Join(t.TempDir(), "microphone.wav")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
