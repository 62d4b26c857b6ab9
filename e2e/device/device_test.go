package device_test

import (
	"context"
	"errors"
	"math"
	"net/url"
	"testing"
	"time"

	"dialtone/e2e/device"
	"dialtone/e2e/device/cast"
	"dialtone/e2e/node"
	"dialtone/internal/voice/carrier"
)

func start(t *testing.T) (*node.Node, cast.Cast) {
	t.Helper()
	dir := t.TempDir()
	c, err := cast.Seed(t.Context(), dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	return node.Start(t, node.Options{Dir: dir, Carrier: carrier.Options{Ring: 50 * time.Millisecond}}), c
}

func open(t *testing.T, n *node.Node, c cast.Cast, identity string, tone float64) *device.Device {
	t.Helper()
	text, err := c.Token(identity, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d, err := device.Open(ctx, device.Options{URL: "wss://" + n.Addr().HTTPS + "/signal", Token: text, Tone: tone})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if err := d.Register(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > want/100 {
		t.Errorf("%s is %.1f Hz, want %.0f", what, got, want)
	}
}

// A device and the simulated carrier hear each other, called by either side.
func TestCalls(t *testing.T) {
	n, c := start(t)
	d := open(t, n, c, "alice", 440)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	// Dialled by the device.
	out, err := d.Call(url.Values{"To": {"+15550111"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.AwaitAnswer(ctx); err != nil {
		t.Fatal(err)
	}
	if err := out.AwaitSound(ctx); err != nil {
		t.Fatal(err)
	}
	node.Until(t, 5*time.Second, "a second of tone", func() bool { return out.Heard().Frames > 55 })
	near(t, "the carrier's tone at the device", out.Heard().Frequency, 1000)
	if err := out.HangUp(); err != nil {
		t.Fatal(err)
	}
	times := out.Times()
	t.Logf("out: ringing %v, answered %v, then ICE %v, DTLS %v, first sound %v", times.Ringing.Sub(times.Began), times.Answered.Sub(times.Began),
		times.ICE.Sub(times.Answered), times.DTLS.Sub(times.Answered), out.Heard().FirstSound.Sub(times.Answered))
	n.Idle(t)

	// Dialled by the carrier.
	result := make(chan carrier.Result, 1)
	go func() {
		r, err := carrier.Call(ctx, carrier.CallOptions{Node: n.Addr().SIP, To: c.Line, From: "+15550123", Tone: 700, For: 1500 * time.Millisecond})
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	in, err := d.TakeCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if in.Parameters["From"] != "+15550123" {
		t.Errorf("the device was told %v", in.Parameters)
	}
	if err := in.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := in.AwaitSound(ctx); err != nil {
		t.Fatal(err)
	}
	if err := in.Press("7#"); err != nil {
		t.Fatal(err)
	}
	if err := in.AwaitEnd(ctx); err != nil {
		t.Errorf("the call ended with %v", err)
	}
	r := <-result
	near(t, "the carrier's tone at the device", in.Heard().Frequency, 700)
	near(t, "the device's tone at the carrier", r.Call.Heard.Frequency, 440)
	if r.Call.Digits != "7#" {
		t.Errorf("the carrier heard the keys %q", r.Call.Digits)
	}
	times = in.Times()
	t.Logf("in: ICE %v after the answer, DTLS %v, first sound %v; at the carrier %v", times.ICE.Sub(times.Answered), times.DTLS.Sub(times.Answered),
		in.Heard().FirstSound.Sub(times.Answered), r.Call.Heard.FirstSound.Sub(times.Answered))
	n.Idle(t)
}

// How a call ends is told with the SDK's code.
func TestRefusals(t *testing.T) {
	n, c := start(t)
	d := open(t, n, c, "alice", 440)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for number, code := range map[string]int{"+15550101": 31486, "+15550103": 31005} {
		call, err := d.Call(url.Values{"To": {number}})
		if err != nil {
			t.Fatal(err)
		}
		var refused *device.Error
		if err := call.AwaitEnd(ctx); !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("%s ended with %v, want %d", number, err, code)
		}
	}
	forged, err := c.Forged("alice")
	if err != nil {
		t.Fatal(err)
	}
	expired, err := c.Token("alice", time.Minute, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for text, code := range map[string]int{forged: 31204, expired: 31205, "x": 31204} {
		_, err := device.Open(ctx, device.Options{URL: "wss://" + n.Addr().HTTPS + "/signal", Token: text})
		var refused *device.Error
		if !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("refused with %v, want %d", err, code)
		}
	}
	n.Idle(t)
}
