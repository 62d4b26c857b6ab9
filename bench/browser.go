package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/internal/voice/carrier/wav"
)

//go:embed page/index.html
var page embed.FS

// outside is what package browser wants of a test, outside of one. What ends a
// test panics here, with a failure that measureBrowser returns.
type outside struct {
	testing.TB // nil: it has methods that nobody else may have
	ctx        context.Context
	cleanups   []func()
}

type failure struct{ error }

func (o *outside) Helper()                           {}
func (o *outside) Cleanup(f func())                  { o.cleanups = append(o.cleanups, f) }
func (o *outside) Context() context.Context          { return o.ctx }
func (o *outside) Fatal(args ...any)                 { panic(failure{errors.New(fmt.Sprint(args...))}) }
func (o *outside) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }
func (o *outside) Skip(args ...any)                  { o.Fatal(args...) }

func (o *outside) close() {
	for i := len(o.cleanups) - 1; i >= 0; i-- {
		o.cleanups[i]()
	}
}

// sdk is where npm put the SDK, as locked.
const sdk = "@twilio/voice-sdk/dist/twilio.min.js"

// measureBrowser does what measureCalls does, with the real thing.
func measureBrowser(ctx context.Context, o settings, r *report) (err error) {
	library := filepath.Join(browser.Root(), "node_modules", filepath.FromSlash(sdk))
	if _, err := os.Stat(library); err != nil {
		return fmt.Errorf("%w: %s is missing (make setup)", errNotHere, filepath.Base(library))
	}
	out := &outside{ctx: ctx}
	defer func() {
		if f, ok := recover().(failure); ok {
			err = f.error
		}
	}()
	defer out.close()
	dir, err := os.MkdirTemp("", "dialtone-bench-page")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	microphone := filepath.Join(dir, "microphone.wav")
	if err := wav.WriteFile(microphone, wav.Sound{Rate: 48000, Samples: sine(deviceTone, 48000, 2*time.Second)}); err != nil {
		return err
	}
	site, url, err := serve(library)
	if err != nil {
		return err
	}
	defer site.Close()

	s, err := open(ctx, 2, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	b := browser.Start(out, browser.Options{Flags: []string{"--use-file-for-fake-audio-capture=" + microphone}})
	p := b.Open(url)
	if err := s.browserRegisters(o, r, p); err != nil {
		return err
	}
	if err := s.browserCallsIn(ctx, o, r, p); err != nil {
		return err
	}
	return s.browserCallsOut(ctx, o, r, p)
}

// sine is a tone that can be repeated without a step.
func sine(hz, rate float64, length time.Duration) []int16 {
	samples := make([]int16, int(rate*length.Seconds()))
	for i := range samples {
		samples[i] = int16(math.Round(8192 * math.Sin(2*math.Pi*hz*float64(i)/rate)))
	}
	return samples
}

// serve offers the page, the SDK and a silent sound. A page on the loopback may
// use the microphone without TLS.
func serve(library string) (*http.Server, string, error) {
	var silence bytes.Buffer
	if err := wav.Encode(&silence, wav.Sound{Rate: 8000, Samples: make([]int16, 800)}); err != nil {
		return nil, "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, "page/index.html") })
	mux.HandleFunc("GET /sdk.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, library) })
	mux.HandleFunc("GET /silence.wav", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(silence.Bytes()) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // until it is closed
	return server, "http://" + l.Addr().String() + "/", nil
}

// times are the page's, in milliseconds since 1970; 0: not yet.
type times struct {
	Incoming, Answered, Dialled, Sent, Accepted, ICE, Connected, Packet, Heard, Over float64
	Error                                                                            string
}

func at(ms float64) time.Time { return time.UnixMicro(int64(ms * 1000)) }

func (s *stage) browserRegisters(o settings, r *report, p *browser.Page) error {
	var took []time.Duration
	for i := range o.samples {
		text, err := s.cast.Token("alice", time.Hour, time.Now())
		if err != nil {
			return err
		}
		if i > 0 {
			p.Eval("bench.stop()", nil)
		}
		var ms float64
		p.Eval("bench.start(arg[0], arg[1], arg[2])", &ms, []any{text, s.node.HTTPS, carrierTone})
		took = append(took, time.Duration(ms*float64(time.Millisecond)))
	}
	r.times("browser_registration_ms", "registration: new Device → registered", 0, took)
	return nil
}

// heard waits until the page has heard the carrier, and returns its times.
func heard(p *browser.Page) (t times, err error) {
	p.Until("bench.times.heard || bench.times.error || bench.times.over")
	p.Eval("bench.times", &t)
	if t.Heard == 0 {
		err = fmt.Errorf("the page heard nothing: %+v", t)
	}
	return t, err
}

func (s *stage) browserCallsIn(ctx context.Context, o settings, r *report, p *browser.Page) error {
	var incoming, sent, ice, connected, packet, here, there, hereSent, thereSent []time.Duration
	for range o.samples {
		within, cancel := context.WithTimeout(ctx, patience)
		p.Eval("bench.fresh()", nil)
		hangUp, done, began := s.callIn(within)
		p.Until("bench.times.incoming")
		p.Eval("bench.accept()", nil)
		t, err := heard(p)
		if err == nil {
			pause(ctx, 100*time.Millisecond)
		}
		hangUp()
		result := <-done
		p.Until("bench.times.over")
		err = errors.Join(err, result.err, s.quiet(within))
		cancel()
		if err != nil {
			return err
		}
		answered := at(t.Answered)
		incoming = append(incoming, at(t.Incoming).Sub(began))
		sent, ice = append(sent, at(t.Sent).Sub(answered)), append(ice, at(t.ICE).Sub(answered))
		connected, packet = append(connected, at(t.Connected).Sub(answered)), append(packet, at(t.Packet).Sub(answered))
		here = append(here, at(t.Heard).Sub(answered))
		there = append(there, result.Call.Heard.FirstSound.Sub(answered))
		hereSent = append(hereSent, at(t.Heard).Sub(at(t.Sent)))
		thereSent = append(thereSent, result.Call.Heard.FirstSound.Sub(at(t.Sent)))
	}
	r.times("browser_incoming_ms", "call in: carrier's INVITE → SDK's incoming", aimIncoming, incoming)
	r.times("browser_in_answer_sent_ms", "  accept() → SDK's answer is sent (microphone included)", 0, sent)
	r.times("browser_in_ice_ms", "  accept() → ICE is up", 0, ice)
	r.times("browser_in_connected_ms", "  accept() → DTLS is up", 0, connected)
	r.times("browser_in_packet_ms", "  accept() → first packet at the page", 0, packet)
	r.times("browser_in_page_hears_ms", "  accept() → page hears the carrier (jitter buffer included)", aimHeard, here)
	r.times("browser_in_carrier_hears_ms", "  accept() → carrier hears the page (microphone included)", aimHeard, there)
	r.times("browser_in_sent_page_hears_ms", "  SDK's answer is sent → page hears the carrier", aimHeard, hereSent)
	r.times("browser_in_sent_carrier_hears_ms", "  SDK's answer is sent → carrier hears the page", aimHeard, thereSent)
	return nil
}

func (s *stage) browserCallsOut(ctx context.Context, o settings, r *report, p *browser.Page) error {
	var invited, told, here, there []time.Duration
	for range o.samples {
		within, cancel := context.WithTimeout(ctx, patience)
		p.Eval("bench.fresh()", nil)
		p.Eval("bench.dial(arg)", nil, talking)
		t, err := heard(p)
		if err != nil {
			cancel()
			return err
		}
		pause(ctx, 100*time.Millisecond)
		calls := s.carrier.Calls()
		k := calls[len(calls)-1]
		p.Eval("bench.hangUp()", nil)
		err = s.quiet(within)
		cancel()
		if err != nil {
			return err
		}
		invited = append(invited, k.Started.Sub(at(t.Dialled)))
		told = append(told, at(t.Accepted).Sub(k.Answered))
		here, there = append(here, at(t.Heard).Sub(k.Answered)), append(there, k.Heard.FirstSound.Sub(k.Answered))
	}
	r.times("browser_dial_to_invite_ms", "call out: connect() → carrier's INVITE (microphone included)", 0, invited)
	r.times("browser_out_accept_ms", "  carrier's answer → SDK's accept", 0, told)
	r.times("browser_out_page_hears_ms", "  carrier's answer → page hears the carrier", aimHeard, here)
	r.times("browser_out_carrier_hears_ms", "  carrier's answer → carrier hears the page", aimHeard, there)
	return nil
}
