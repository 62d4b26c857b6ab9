package switchboard_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/switchboard"
)

// fakeLeg does what it is told, and reports what a well-behaved far end would.
type fakeLeg struct {
	endpoint *media.Endpoint
	mute     bool // reports nothing by itself

	mu     sync.Mutex
	report switchboard.Reporter
	done   []string
	down   bool
}

type deafWire struct{}

func (deafWire) Format() (media.Format, bool)              { return media.Format{}, false }
func (deafWire) WriteRTP(*rtp.Header, []byte) error        { return nil }
func (deafWire) OnRTP(func(h *rtp.Header, payload []byte)) {}

func newLeg() *fakeLeg {
	return &fakeLeg{endpoint: media.NewEndpoint(deafWire{}, nil, media.Hooks{})}
}

func (l *fakeLeg) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, what)
}

func (l *fakeLeg) did(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.done, what)
}

func (l *fakeLeg) Ringing(bool, []call.Codec) { l.note("ringing") }
func (l *fakeLeg) Answer([]call.Codec) {
	l.note("answer")
	if !l.mute {
		l.report(call.Up{Codec: call.PCMU}) // after note: the lock is held until the reporter is kept
	}
}

func (l *fakeLeg) End(cause call.EndCause) {
	l.note("end " + string(cause))
	l.mu.Lock()
	first := !l.down
	l.down = true
	l.mu.Unlock()
	if first && !l.mute {
		l.report(call.Down{Cause: cause})
	}
}
func (l *fakeLeg) Endpoint() *media.Endpoint { return l.endpoint }

// fakeDialer answers every call after a second, unless err is set.
type fakeDialer struct {
	err  error
	mute bool

	mu   sync.Mutex
	legs []*fakeLeg
}

func (d *fakeDialer) Dial(_ call.ID, _ call.Dial, report switchboard.Reporter) (switchboard.Leg, error) {
	if d.err != nil {
		return nil, d.err
	}
	l := newLeg()
	l.report, l.mute = report, d.mute
	d.mu.Lock()
	d.legs = append(d.legs, l)
	d.mu.Unlock()
	if !d.mute {
		time.AfterFunc(time.Second, func() { report(call.Up{Codec: call.PCMU}) })
	}
	return l, nil
}

// director is a Director made of one function.
type director func(o call.Offer, c call.Control) func(call.Event)

type script func(call.Event)

func (s script) Event(e call.Event) { s(e) }
func (d director) Begin(o call.Offer, c call.Control) call.Script {
	return script(d(o, c))
}

// keeper is a Director whose records are kept.
type keeper struct {
	director
	kept *kept
}

func (d keeper) Begin(o call.Offer, c call.Control) call.Script {
	return d.kept.keeping(d.director.Begin(o, c))
}

// kept collects records and events.
type kept struct {
	mu      sync.Mutex
	records []call.CallRecord
	events  []event.Event
}

// keeping is the script that keeps the record and tells inner everything.
func (k *kept) keeping(inner call.Script) script {
	return func(e call.Event) {
		if e, ok := e.(call.Ended); ok {
			k.mu.Lock()
			k.records = append(k.records, e.Record)
			k.mu.Unlock()
		}
		inner.Event(e)
	}
}

func (k *kept) Publish(e event.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, e)
}

func (k *kept) causes() (causes []call.EndCause) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.records {
		causes = append(causes, r.Cause)
	}
	return causes
}

type tapes struct{ fail error }

type fakeTape struct{ length time.Duration }

func (t tapes) Create(string) (switchboard.Recording, error) {
	if t.fail != nil {
		return nil, t.fail
	}
	return &fakeTape{length: 3 * time.Second}, nil
}
func (*fakeTape) WriteSamples([]int16) error      { return nil }
func (t *fakeTape) Close() (time.Duration, error) { return t.length, nil }

type noPrompts struct{}

func (noPrompts) Prompt(string) (*media.Clip, error) { return nil, errors.New("no such prompt") }

func board(d director, devices *fakeDialer, k *kept) *switchboard.Switchboard {
	return switchboard.New(switchboard.Options{
		Director: keeper{d, k}, Devices: devices, Phones: devices, Prompts: noPrompts{}, Recordings: tapes{}, Events: k,
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), MaxCalls: 2,
	})
}

func offer(t *testing.T, s *switchboard.Switchboard) (*fakeLeg, error) {
	t.Helper()
	leg := newLeg()
	id := call.NewLegID()
	leg.mu.Lock()
	defer leg.mu.Unlock()
	report, err := s.Offer(call.Offer{Call: call.ID(id), Leg: id, Trunk: "one", Account: "AC1", At: time.Now()}, leg)
	leg.report = report
	return leg, err
}

// dialling is the plainest Director: it calls a device and ends with either leg.
func dialling(_ call.Offer, c call.Control) func(call.Event) {
	leg := call.NewLegID()
	c.Do(call.Dial{Leg: leg, To: call.Client("alice"), Ringback: true})
	return func(e call.Event) {
		if e, ok := e.(call.LegEnded); ok && e.Leg == leg {
			c.Do(call.End{Cause: e.Cause})
		}
	}
}

func TestCallRunsAndLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, devices := &kept{}, &fakeDialer{}
		s := board(dialling, devices, k)
		caller, err := offer(t, s)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !caller.did("answer") || s.Live() != 1 {
			t.Fatalf("the caller was not answered: %v", caller.done)
		}
		devices.legs[0].End(call.Completed)
		synctest.Wait()
		if s.Live() != 0 || !caller.did("end completed") {
			t.Fatalf("live %d, caller %v", s.Live(), caller.done)
		}
		r := k.records[0]
		if r.Cause != call.Completed || r.Talked != 4*time.Second || len(k.events) != 1 {
			t.Errorf("record %+v, events %v", r, k.events)
		}
		if err := s.Do(r.Legs[0].Leg, call.End{}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an ended call took an instruction: %v", err)
		}
	})
}

func TestDirectorThatPanicsHarmsItsOwnCallOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, devices := &kept{}, &fakeDialer{}
		calls := 0
		s := board(func(o call.Offer, c call.Control) func(call.Event) {
			if calls++; calls == 2 {
				return func(call.Event) { panic("a bug") }
			}
			return dialling(o, c)
		}, devices, k)
		if _, err := offer(t, s); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		bad, err := offer(t, s)
		if err != nil {
			t.Fatal(err)
		}
		bad.report(call.Dialled{Digit: '1'})
		synctest.Wait()
		if !bad.did("end failed") || s.Live() != 1 || !slices.Equal(k.causes(), []call.EndCause{call.Failed}) {
			t.Fatalf("leg %v, live %d, causes %v", bad.done, s.Live(), k.causes())
		}
		s.Drain()
		devices.legs[0].End(call.Completed)
		synctest.Wait()
	})
}

func TestAdmissionAndDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		s := board(dialling, &fakeDialer{}, k)
		for range 2 {
			if _, err := offer(t, s); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := offer(t, s); fault.KindOf(err) != fault.TooMany {
			t.Errorf("a third call: %v", err)
		}
		s.Drain()
		if _, err := offer(t, s); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a call while draining: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		if err := s.Close(ctx); err == nil || time.Since(begun) != time.Minute {
			t.Errorf("Close: %v after %v", err, time.Since(begun))
		}
		synctest.Wait()
		if s.Live() != 0 || !slices.Equal(k.causes(), []call.EndCause{call.Shutdown, call.Shutdown}) {
			t.Errorf("live %d, causes %v", s.Live(), k.causes())
		}
	})
}

func TestFailedDialsReachTheDirector(t *testing.T) {
	for kind, want := range map[fault.Kind]call.EndCause{
		fault.Unavailable: call.Unreachable, fault.Forbidden: call.Forbidden, fault.Invalid: call.NotFound, fault.TooMany: call.Overload,
	} {
		synctest.Test(t, func(t *testing.T) {
			k := &kept{}
			s := board(dialling, &fakeDialer{err: fault.New(kind, "no")}, k)
			caller, _ := offer(t, s)
			synctest.Wait()
			if !caller.did("end "+string(want)) || s.Live() != 0 {
				t.Errorf("%v: %v", kind, caller.done)
			}
		})
	}
}

func TestLegsThatNeverAnswerTheHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		s := board(dialling, &fakeDialer{mute: true}, k)
		caller, _ := offer(t, s)
		time.Sleep(time.Second)
		synctest.Wait()
		caller.End(call.Cancelled)
		time.Sleep(call.LingerAfter - time.Second)
		synctest.Wait()
		if s.Live() != 1 {
			t.Fatal("the call did not wait for its leg")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.Live() != 0 || !slices.Equal(k.causes(), []call.EndCause{call.Cancelled}) {
			t.Errorf("live %d, causes %v", s.Live(), k.causes())
		}
	})
}

func TestVoicemailIsClosedBeforeTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		var heard []string
		s := board(func(o call.Offer, c call.Control) func(call.Event) {
			c.Do(call.Answer{})
			return func(e call.Event) {
				switch e := e.(type) {
				case call.LegAnswered:
					c.Do(call.Play{Leg: o.Leg, ID: "greet", Prompt: "missing"})
				case call.PlayEnded: // a prompt that cannot be had must not hang the call
					c.Do(call.Record{Leg: o.Leg, ID: "tape", Max: 10 * time.Second})
				case call.RecordEnded:
					heard = append(heard, e.ID+" "+e.Duration.String())
					c.Do(call.End{Cause: call.Completed})
				case call.Ended:
					heard = append(heard, "ended")
				}
			}
		}, &fakeDialer{}, k)
		caller, _ := offer(t, s)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if !slices.Equal(heard, []string{"tape 3s", "ended"}) || !caller.did("end completed") {
			t.Errorf("heard %v, caller %v", heard, caller.done)
		}
	})
}

func TestFloodOfReportsLosesNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		block := make(chan struct{})
		s := board(func(call.Offer, call.Control) func(call.Event) {
			return func(call.Event) { <-block }
		}, &fakeDialer{}, k)
		caller, _ := offer(t, s)
		for range 10_000 {
			caller.report(call.Dialled{Digit: '1'})
		}
		caller.End(call.Cancelled)
		close(block)
		synctest.Wait()
		if s.Live() != 0 {
			t.Error("the end was lost in the flood")
		}
	})
}
