package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"dialtone/e2e/device"
	"dialtone/internal/voice/carrier"
	"dialtone/internal/voice/carrier/hear"
)

// The aims of issue "First call", at the median on loopback.
const (
	aimIncoming = 50 * time.Millisecond
	aimHeard    = 100 * time.Millisecond
)

// measureCalls times each step of calls, one after the other.
func measureCalls(ctx context.Context, o settings, r *report) (err error) {
	rang := 300 * time.Millisecond
	for _, ring := range []time.Duration{-1, rang} {
		s, err := open(ctx, 2, ring)
		if err != nil {
			return err
		}
		err = s.profiled(o, fmt.Sprintf("calls-ring-%d", max(0, ring.Milliseconds())), func() error {
			if ring > 0 {
				return s.callsOut(ctx, o, r, "rang_", ", which had rung", false)
			}
			return errors.Join(s.registrations(ctx, o, r), s.callsIn(ctx, o, r), s.callsOut(ctx, o, r, "", ", at once", true))
		})
		if err = errors.Join(err, s.close()); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) registrations(ctx context.Context, o settings, r *report) error {
	var whole, ready []time.Duration
	for i := range o.samples {
		text, err := s.cast.Token(fmt.Sprintf("new%d", i), time.Hour, time.Now())
		if err != nil {
			return err
		}
		began := time.Now()
		d, err := device.Open(ctx, device.Options{URL: s.signal(), Token: text})
		if err != nil {
			return err
		}
		connected := time.Now()
		err = d.Register(ctx)
		whole, ready = append(whole, time.Since(began)), append(ready, time.Since(connected))
		d.Close()
		if err != nil {
			return err
		}
	}
	r.times("registration_ms", "registration: TCP, TLS, WebSocket, token, registered", 0, whole)
	r.times("register_ms", "  of that: register → ready", 0, ready)
	return nil
}

// firstTone notes when a tone is first heard in a call.
type firstTone struct {
	hz float64

	mu sync.Mutex
	at map[*device.Call]time.Time
}

func (f *firstTone) frame(c *device.Call, samples []int16, at time.Time) {
	if hear.Share(samples, 8000, f.hz) < 0.5 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.at[c]; !known {
		f.at[c] = at
	}
}

func (f *firstTone) wait(ctx context.Context, c *device.Call) (time.Time, error) {
	for {
		f.mu.Lock()
		at, ok := f.at[c]
		f.mu.Unlock()
		if ok {
			return at, nil
		}
		if !pause(ctx, 2*time.Millisecond) {
			return at, errors.New("the carrier's tone was not heard")
		}
	}
}

// callsIn: the carrier calls, the device answers.
func (s *stage) callsIn(ctx context.Context, o settings, r *report) error {
	tone := &firstTone{hz: carrierTone, at: map[*device.Call]time.Time{}}
	d, err := s.device(ctx, "alice", device.Options{Tone: deviceTone, Frame: tone.frame})
	if err != nil {
		return err
	}
	defer d.Close()
	busy, err := s.node.cpu()
	if err != nil {
		return err
	}
	var incoming, ice, dtls, here, there []time.Duration
	for range o.samples {
		within, cancel := context.WithTimeout(ctx, patience)
		hangUp, done, began := s.callIn(within)
		c, err := d.TakeCall(within)
		if err == nil {
			err = c.Accept()
		}
		var first time.Time
		if err == nil {
			first, err = tone.wait(within, c)
		}
		if err == nil {
			pause(ctx, 60*time.Millisecond) // the carrier hears the device meanwhile
		}
		hangUp()
		result := <-done
		if err == nil {
			err = errors.Join(result.err, c.AwaitEnd(within), s.quiet(within))
		}
		cancel()
		if err != nil {
			return err
		}
		t := c.Times()
		incoming = append(incoming, t.Began.Sub(began))
		ice, dtls = append(ice, t.ICE.Sub(t.Answered)), append(dtls, t.DTLS.Sub(t.Answered))
		here, there = append(here, first.Sub(t.Answered)), append(there, result.Call.Heard.FirstSound.Sub(t.Answered))
	}
	r.times("incoming_ms", "call in: carrier's INVITE → device is told", aimIncoming, incoming)
	r.times("in_ice_ms", "  device's answer → ICE is up", 0, ice)
	r.times("in_dtls_ms", "  device's answer → DTLS is up", 0, dtls)
	r.times("in_device_hears_ms", "  device's answer → device hears the carrier", aimHeard, here)
	r.times("in_carrier_hears_ms", "  device's answer → carrier hears the device", aimHeard, there)
	used, err := s.node.cpu()
	if err != nil {
		return err
	}
	r.add("call_in_cpu_us", "CPU of a whole call in, with 0.1 s of audio (mean)", "µs", 0, float64((used-busy).Microseconds())/float64(o.samples))
	return nil
}

type called struct {
	carrier.Result
	err error
}

// callIn begins a call from the carrier to the line.
func (s *stage) callIn(ctx context.Context) (hangUp context.CancelFunc, done <-chan called, began time.Time) {
	ctx, hangUp = context.WithCancel(ctx)
	ended := make(chan called, 1)
	began = time.Now()
	go func() {
		r, err := s.carrier.CallIn(ctx, carrier.CallOptions{To: s.cast.Line, From: "+15550123", Tone: carrierTone})
		ended <- called{r, err}
	}()
	return hangUp, ended, began
}

// callsOut: the device calls, the carrier answers.
func (s *stage) callsOut(ctx context.Context, o settings, r *report, name, about string, dialling bool) error {
	tone := &firstTone{hz: carrierTone, at: map[*device.Call]time.Time{}}
	d, err := s.device(ctx, "alice", device.Options{Tone: deviceTone, Frame: tone.frame})
	if err != nil {
		return err
	}
	defer d.Close()
	var invited, told, here, there []time.Duration
	for i := range o.samples {
		within, cancel := context.WithTimeout(ctx, patience)
		c, err := d.Call(url.Values{"To": {talking}})
		if err == nil {
			err = c.AwaitAnswer(within)
		}
		var first time.Time
		if err == nil {
			first, err = tone.wait(within, c)
		}
		if err != nil {
			cancel()
			return fmt.Errorf("call %d out: %w", i+1, err)
		}
		pause(ctx, 60*time.Millisecond)
		calls := s.carrier.Calls()
		k := calls[len(calls)-1]
		err = errors.Join(c.HangUp(), s.quiet(within))
		cancel()
		if err != nil {
			return err
		}
		t := c.Times()
		invited = append(invited, k.Started.Sub(t.Began))
		told = append(told, t.Answered.Sub(k.Answered))
		here, there = append(here, first.Sub(k.Answered)), append(there, k.Heard.FirstSound.Sub(k.Answered))
	}
	if dialling {
		r.times("dial_to_invite_ms", "call out: device's invite → carrier's INVITE", 0, invited)
	}
	r.times("out_"+name+"answer_told_ms", "call out"+about+": carrier's answer → device is told", 0, told)
	r.times("out_"+name+"device_hears_ms", "  carrier's answer → device hears the carrier", aimHeard, here)
	r.times("out_"+name+"carrier_hears_ms", "  carrier's answer → carrier hears the device", aimHeard, there)
	return nil
}
