package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"dialtone/e2e/device"
	"dialtone/internal/voice/carrier"
	"dialtone/internal/voice/carrier/hear"
)

const (
	listenFor = 2500 * time.Millisecond
	maxGap    = 60 * time.Millisecond
)

// goodCall is a call whose audio must not suffer.
type goodCall struct {
	device *device.Call
	from   func() carrier.Report
	nodes  *audioPorts // where the node sends the carrier's audio from
	hangUp func() error
}

// audioPorts remembers where packets came from last.
type audioPorts struct{ last atomic.Value }

func (a *audioPorts) addr() net.Addr {
	addr, _ := a.last.Load().(net.Addr)
	return addr
}

// listen is carrier.Options.ListenRTP.
func (a *audioPorts) listen() (net.PacketConn, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &watchedPort{conn, a}, nil
}

type watchedPort struct {
	net.PacketConn
	ports *audioPorts
}

func (p *watchedPort) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.PacketConn.ReadFrom(b)
	if err == nil {
		p.ports.last.Store(from)
	}
	return n, from, err
}

// begin lets the carrier call in and a device answer.
func (w *world) begin(ctx context.Context, c *carrier.Carrier, ports *audioPorts) (*goodCall, error) {
	talking, hangUp := context.WithCancel(ctx)
	before := len(c.Calls())
	done := make(chan called, 1)
	go func() {
		r, err := c.CallIn(talking, carrier.CallOptions{To: w.cast.Line, From: uncounted, Tone: carrierTone})
		done <- called{r, err}
	}()
	at, err := w.rang(ctx)
	if err == nil {
		err = at.Accept()
	}
	if err == nil {
		err = at.AwaitSound(ctx)
	}
	g := &goodCall{device: at, nodes: ports, from: func() carrier.Report { return c.Calls()[before] }}
	g.hangUp = func() error {
		hangUp()
		return errors.Join(wasAnswered(<-done), at.AwaitEnd(ctx))
	}
	if err != nil {
		hangUp()
		<-done
		return nil, err
	}
	return g, nil
}

// heard is a call's audio on both sides.
type heard struct{ device, carrier hear.Heard }

func (h heard) gap() time.Duration {
	return max(h.device.LongestGap, h.carrier.LongestGap, h.device.LongestQuiet, h.carrier.LongestQuiet)
}

func (h heard) String() string {
	return fmt.Sprintf("device heard %.1f Hz, gap %v; carrier heard %.1f Hz, gap %v",
		h.device.Frequency, h.device.LongestGap.Round(time.Millisecond), h.carrier.Frequency, h.carrier.LongestGap.Round(time.Millisecond))
}

// right says whether both sides hear the other's tone and nothing louder.
func (h heard) right() error {
	if math.Abs(h.device.Frequency-carrierTone) > carrierTone/100 || math.Abs(h.carrier.Frequency-deviceTone) > deviceTone/100 {
		return fmt.Errorf("wrong tone: %s", h)
	}
	return nil
}

// listens holds one call for a while; beside it the attack runs, if there is one.
func (w *world) listens(t *testing.T, attack func(ctx context.Context, g *goodCall) error) (heard, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ports := &audioPorts{}
	c, stop, err := w.newCarrier(ports.listen)
	if err != nil {
		return heard{}, err
	}
	defer stop()
	g, err := w.begin(ctx, c, ports)
	if err != nil {
		return heard{}, fmt.Errorf("the call: %w", err)
	}
	during, end := context.WithTimeout(ctx, listenFor)
	defer end()
	attacked := make(chan error, 1)
	go func() {
		if attack == nil {
			attacked <- nil
			return
		}
		attacked <- attack(during, g)
	}()
	<-during.Done()
	report := g.from()
	h := heard{device: g.device.Heard(), carrier: report.Heard}
	if err = <-attacked; err != nil {
		err = fmt.Errorf("the attack was not met as it should be: %w", err)
	}
	if ended := g.hangUp(); ended != nil {
		err = errors.Join(err, fmt.Errorf("the call ended with: %w", ended))
	}
	if report.Sources != 1 {
		err = errors.Join(err, fmt.Errorf("the carrier heard %d sources of audio", report.Sources))
	}
	return h, errors.Join(err, h.right())
}

// unharmed holds the good call beside the attack. A tone that is wrong is an
// error, and so is a gap of more than 60 ms. But a machine that others use makes
// gaps of its own, and more of them while the attack takes its processors:
// therefore a control call goes on at the same time at another node of this
// process, which nobody attacks. Of three tries one without such a gap is enough;
// else the call was harmed, unless the control's gap was at least half as long.
func (w *world) unharmed(t *testing.T, control *world, attack func(ctx context.Context, g *goodCall) error) {
	t.Helper()
	same := 0
	for range 3 {
		type outcome struct {
			heard
			err error
		}
		alone := make(chan outcome, 1)
		go func() {
			h, err := control.listens(t, nil)
			alone <- outcome{h, err}
		}()
		h, err := w.listens(t, attack)
		c := <-alone
		t.Logf("%s; control: %s", h, c.heard)
		if err != nil || c.err != nil {
			t.Errorf("%v; control: %v", err, c.err)
			return
		}
		if h.gap() <= maxGap {
			return
		}
		if h.gap() <= 2*c.gap() {
			same++
		}
	}
	if same == 0 {
		t.Errorf("gaps of more than %v, thrice, where the control had less than half", maxGap)
		return
	}
	t.Logf("this machine makes gaps of more than %v by itself", maxGap)
}
