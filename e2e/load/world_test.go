package load

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"dialtone/e2e/device"
	"dialtone/e2e/device/cast"
	"dialtone/e2e/node"
	"dialtone/internal/config"
	"dialtone/internal/voice/carrier"
)

const (
	deviceTone  = 440.0
	carrierTone = 700.0
	counted     = "+15550123" // who calls in where calls are counted
	uncounted   = "+15550124" // and elsewhere
)

// world is a node with devices, and a carrier of the test's own that calls in.
// Calls out go to the node's own simulated carrier.
type world struct {
	t       *testing.T
	node    *node.Node
	cast    cast.Cast
	carrier *carrier.Carrier
	agents  []*device.Device
	callers []*device.Device // not agents: they only dial
	rings   chan *device.Call
}

// newWorld starts a node with that many agents and other devices, all registered.
func newWorld(t *testing.T, agents, callers int) *world {
	t.Helper()
	dir := t.TempDir()
	c, err := cast.Seed(t.Context(), dir, agents)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cast: c, rings: make(chan *device.Call, 1000)}
	w.node = node.Start(t, node.Options{
		Dir:     dir,
		Config:  func(c *config.Config) { c.Log.Level = "warn" },
		Carrier: carrier.Options{Ring: 10 * time.Millisecond, Step: 100 * time.Millisecond},
	})
	if w.carrier, _, err = w.newCarrier(nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range c.Agents {
		w.agents = append(w.agents, w.open(name))
	}
	for i := range callers {
		w.callers = append(w.callers, w.open(fmt.Sprintf("caller%d", i)))
	}
	return w
}

// newCarrier runs a carrier until stop or the end of the test.
func (w *world) newCarrier(listen func() (net.PacketConn, error)) (c *carrier.Carrier, stop func(), err error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	c, err = carrier.New(carrier.Options{
		Conn: conn, Node: w.node.Addr().SIP, ListenRTP: listen,
	})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			w.t.Errorf("carrier: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return c, stop, nil
}

func (w *world) signal() string { return "wss://" + w.node.Addr().HTTPS + "/signal" }

// open lets a device register; the calls that ring there come to w.rings.
func (w *world) open(identity string) *device.Device {
	w.t.Helper()
	text, err := w.cast.Token(identity, time.Hour, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	d, err := device.Open(ctx, device.Options{URL: w.signal(), Token: text, Tone: deviceTone})
	if err != nil {
		w.t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	w.t.Cleanup(func() {
		close(stop)
		<-stopped
		d.Close()
	})
	go func() {
		defer close(stopped)
		for {
			select {
			case c := <-d.Incoming():
				select {
				case w.rings <- c:
				case <-stop:
					return
				}
			case <-stop:
				return
			}
		}
	}()
	if err := d.Register(ctx); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// rang returns the next call that rings anywhere.
func (w *world) rang(ctx context.Context) (*device.Call, error) {
	select {
	case c := <-w.rings:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no device rang: %w", ctx.Err())
	}
}

// callIn lets the carrier call a line; the result comes when the call is over.
func (w *world) callIn(ctx context.Context, o carrier.CallOptions) <-chan called {
	if o.To == "" {
		o.To = w.cast.Line
	}
	o.From, o.Tone = counted, carrierTone
	done := make(chan called, 1)
	go func() {
		r, err := w.carrier.CallIn(ctx, o)
		done <- called{r, err}
	}()
	return done
}

type called struct {
	carrier.Result
	err error
}
