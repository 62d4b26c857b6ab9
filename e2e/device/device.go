// Package device is a device without a browser: it speaks the Voice SDK's wire
// protocol as @twilio/voice-sdk 2.18 does, and its audio is real ICE, DTLS and
// SRTP. Load tests and benchmarks use it where a hundred browsers would not fit
// on the machine; that the unmodified SDK works is shown with a browser.
//
// It behaves as the browser lets the SDK behave: no candidates in its
// descriptions, full ICE against the server's lite one, the other side's DTLS
// role as Chromium chooses it. It speaks PCMU and PCMA, and offers both. A Device
// and its calls may be used from any goroutine; every goroutine they start ends
// with Close.
package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"sync"
	"time"

	"dialtone/internal/voice/carrier/g711"
)

// Options say who a device is and what its microphone hears.
type Options struct {
	URL   string  // wss://HOST:PORT/signal
	Token string  // any kind that the server takes
	Tone  float64 // whole Hz; 0: silence
	Level float64 // peak of the tone; 0: 8192

	// Frame is told of every frame that is heard, on the goroutine that reads it;
	// nil: nobody is. Samples are the caller's only until it returns.
	Frame func(c *Call, samples []int16, at time.Time)
}

// Device is one connection that has been let in.
type Device struct {
	signal     *Signal
	Identity   string
	microphone microphone
	frame      func(c *Call, samples []int16, at time.Time)

	incoming chan *Call
	done     chan struct{} // the reader is gone
	lost     error         // why; read after done

	mu         sync.Mutex
	calls      []*Call
	waiting    map[string][]chan Frame // for "ready" and the like
	errors     []*Error                // those without a call
	registered time.Time               // the last register; zero: not registered
}

const (
	frameTime    = 20 * time.Millisecond
	frameSamples = 160
	// registerEvery is how often the SDK repeats its register.
	registerEvery = 30 * time.Second
	// maxIncoming bounds the calls that nobody takes from Incoming; more are ignored,
	// as a busy SDK ignores them.
	maxIncoming = 64
)

// Open connects and waits until the token is accepted; a refusal is an *Error.
func Open(ctx context.Context, o Options) (*Device, error) {
	signal, err := OpenSignal(ctx, o.URL)
	if err != nil {
		return nil, err
	}
	if err := signal.Listen(o.Token); err != nil {
		signal.Cut()
		return nil, err
	}
	f, err := signal.Until(ctx, "connected", "error")
	if err == nil && f.Type == "error" {
		err = errorIn(f.Payload)
	}
	if err != nil {
		signal.Cut()
		return nil, err
	}
	var said struct {
		Token struct {
			Identity string `json:"identity"`
		} `json:"token"`
	}
	if err := json.Unmarshal(f.Payload, &said); err != nil {
		signal.Cut()
		return nil, fmt.Errorf("connected: %w", err)
	}
	d := &Device{
		signal: signal, Identity: said.Token.Identity, microphone: tone(o.Tone, o.Level), frame: o.Frame,
		incoming: make(chan *Call, maxIncoming), done: make(chan struct{}), waiting: map[string][]chan Frame{},
	}
	go d.read()
	return d, nil
}

// microphone is one second of what is said in frames of 20 ms, by payload type.
type microphone map[uint8][][]byte

// tone returns a second of a sine, so that a whole frequency goes on seamlessly.
func tone(hz, level float64) microphone {
	if level == 0 {
		level = 8192
	}
	m := microphone{}
	for codec, encode := range map[uint8]func(int16) byte{pcmu: g711.EncodeMu, pcma: g711.EncodeA} {
		frames := make([][]byte, time.Second/frameTime)
		for i := range frames {
			frames[i] = make([]byte, frameSamples)
			for j := range frames[i] {
				at := float64(i*frameSamples + j)
				frames[i][j] = encode(int16(math.Round(level * math.Sin(2*math.Pi*hz*at/8000))))
			}
		}
		m[codec] = frames
	}
	return m
}

// Register makes the device callable and returns when the server says so.
func (d *Device) Register(ctx context.Context) error {
	d.mu.Lock()
	d.registered = time.Now()
	d.mu.Unlock()
	return d.ask(ctx, "ready", func() error { return d.signal.Register(true) })
}

// Unregister takes it back.
func (d *Device) Unregister(ctx context.Context) error {
	d.mu.Lock()
	d.registered = time.Time{}
	d.mu.Unlock()
	return d.ask(ctx, "offline", func() error { return d.signal.Register(false) })
}

// ask sends and waits for the next message of the type.
func (d *Device) ask(ctx context.Context, kind string, send func() error) error {
	answer := make(chan Frame, 1)
	d.mu.Lock()
	d.waiting[kind] = append(d.waiting[kind], answer)
	d.mu.Unlock()
	if err := send(); err != nil {
		return err
	}
	select {
	case <-answer:
		return nil
	case <-d.done:
		return d.lost
	case <-ctx.Done():
		return fmt.Errorf("no %s: %w", kind, ctx.Err())
	}
}

// Incoming gives the calls that ring at the device.
func (d *Device) Incoming() <-chan *Call { return d.incoming }

// TakeCall returns the next call that rings.
func (d *Device) TakeCall(ctx context.Context) (*Call, error) {
	select {
	case c := <-d.incoming:
		return c, nil
	case <-d.done:
		return nil, d.lost
	case <-ctx.Done():
		return nil, fmt.Errorf("no call rang: %w", ctx.Err())
	}
}

// Call begins a call, as device.connect({params}) does. It returns once the invite
// is sent; Answered and Done tell what becomes of it.
func (d *Device) Call(params url.Values) (*Call, error) {
	c := d.newCall("")
	a, err := c.prepare()
	if err != nil {
		return nil, err
	}
	twilio := map[string]string{}
	if len(params) > 0 {
		twilio["params"] = params.Encode()
	}
	d.add(c)
	c.note(func(t *Times) { t.Began = time.Now() })
	err = d.signal.Send("invite", map[string]any{"callsid": c.temporary, "sdp": a.offer(), "twilio": twilio})
	if err != nil {
		c.over(err)
		return nil, err
	}
	return c, nil
}

// Calls returns the calls that there are.
func (d *Device) Calls() []*Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// Errors returns the errors that were about no call.
func (d *Device) Errors() []*Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.errors)
}

// Signal returns the device's connection, to send what the SDK would not.
func (d *Device) Signal() *Signal { return d.signal }

// Done is closed when the connection is gone.
func (d *Device) Done() <-chan struct{} { return d.done }

// Close ends every call without a word, as a closed tab does, and the connection.
func (d *Device) Close() {
	d.signal.Close()
	d.signal.Cut()
	<-d.done
	d.mu.Lock()
	calls := slices.Clone(d.calls)
	d.mu.Unlock()
	for _, c := range calls {
		c.over(errors.New("the device was closed"))
	}
}

// read handles the server's messages until the connection is gone.
func (d *Device) read() {
	defer close(d.done)
	for {
		f, err := d.signal.Next(context.Background())
		if err != nil {
			d.lost = fmt.Errorf("connection lost: %w", err)
			return
		}
		d.handle(f)
		d.mu.Lock()
		again := !d.registered.IsZero() && time.Since(d.registered) > registerEvery
		if again {
			d.registered = time.Now()
		}
		d.mu.Unlock()
		if again {
			_ = d.signal.Register(true) // a lost connection shows in Next
		}
	}
}

func (d *Device) handle(f Frame) {
	switch f.Type {
	case "invite":
		d.rung(f.Payload)
		return
	case "connected", "ready", "offline":
		d.mu.Lock()
		for _, c := range d.waiting[f.Type] {
			c <- f
		}
		delete(d.waiting, f.Type)
		d.mu.Unlock()
		return
	}
	var p callPayload
	if json.Unmarshal(f.Payload, &p) != nil {
		return
	}
	c := d.find(p.CallSid, f.Type)
	switch {
	case c != nil:
		c.told(f.Type, p)
	case f.Type == "error" && p.Error != nil:
		d.mu.Lock()
		if len(d.errors) < 1000 {
			d.errors = append(d.errors, p.Error)
		}
		d.mu.Unlock()
	}
}

type callPayload struct {
	CallSid    string            `json:"callsid"`
	SDP        string            `json:"sdp"`
	Reconnect  string            `json:"reconnect"`
	Parameters map[string]string `json:"parameters"`
	Error      *Error            `json:"error"`
}

// rung takes an incoming call.
func (d *Device) rung(payload json.RawMessage) {
	now := time.Now()
	var p callPayload
	if json.Unmarshal(payload, &p) != nil || p.CallSid == "" || p.SDP == "" {
		return
	}
	c := d.newCall(p.CallSid)
	c.incoming, c.Parameters, c.theirs = true, p.Parameters, p.SDP
	c.times.Began = now
	d.add(c)
	select {
	case d.incoming <- c:
	default:
		c.over(errors.New("nobody takes the calls of this device"))
	}
}

// find returns the call of a message. As in the SDK, a call that dials takes the
// first ringing or answer for its own, whatever id it names.
func (d *Device) find(sid, kind string) *Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if sid != "" && (c.sidNow() == sid || c.temporary == sid) {
			return c
		}
	}
	if kind == "ringing" || kind == "answer" {
		for _, c := range d.calls {
			if !c.incoming && c.sidNow() == "" {
				return c
			}
		}
	}
	return nil
}

func (d *Device) add(c *Call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, c)
}

func (d *Device) drop(c *Call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = slices.DeleteFunc(d.calls, func(o *Call) bool { return o == c })
}

func errorIn(payload json.RawMessage) error {
	var p callPayload
	if err := json.Unmarshal(payload, &p); err != nil || p.Error == nil {
		return fmt.Errorf("an error without one: %s", payload)
	}
	return p.Error
}
