package carriers

import (
	"context"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/e2e/peers"
	"dialtone/internal/config"
	"dialtone/internal/talk"
	"dialtone/internal/voice/token"
)

const (
	agentTone = 600.0 // what the agent's microphone hears, Hz
	phoneTone = 425.0 // what baresip says

	phoneNumber  = "+4930123456"   // baresip
	echoNumber   = "+33140000001"  // SIPp that echoes, behind two trunks that fail
	talkerNumber = "+390600000001" // SIPp that talks

	loud    = 2000.0                // level of our tones' neighbourhood; they have 5793
	longest = 60 * time.Millisecond // that a tone may be away
	patient = 30 * time.Second

	// phoneBuffer is what baresip holds back, five packets, and has not played
	// when a call ends.
	phoneBuffer = 100 * time.Millisecond
)

// world is a node between carriers that are not ours, with one agent.
type world struct {
	t       *testing.T
	node    *node.Node
	agent   *device.Device
	phone   *peers.Baresip
	dead    *deadCarrier
	refuses *peers.Sipp
	echoes  *peers.Sipp
	talks   *peers.Sipp
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t:       t,
		dead:    newDeadCarrier(t),
		phone:   peers.StartBaresip(t, peers.PhoneOptions{Number: phoneNumber, Tone: phoneTone, Codecs: []string{peers.PCMA}}),
		refuses: peers.SippAnswer(t, peers.SippCallee{Refuse: 503}),
		echoes:  peers.SippAnswer(t, peers.SippCallee{Echo: true, Codec: peers.PCMA}),
		talks:   peers.SippAnswer(t, peers.SippCallee{Tone: 700, Early: true, Ring: 1500 * time.Millisecond, Talk: time.Second}),
	}
	w.node = node.Start(t, node.Options{Config: func(c *config.Config) {
		c.Calls.Countries = []string{"DE", "FR", "IT"}
		c.Trunks = []config.Trunk{
			trunkTo("dead", w.dead.addr(), "FR"), trunkTo("refuses", w.refuses.Addr, "FR"), trunkTo("echoes", w.echoes.Addr, "FR"),
			trunkTo("talks", w.talks.Addr, "IT"), trunkTo("phone", w.phone.Addr, "DE"),
		}
	}})
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	var err error
	w.agent, err = device.Open(ctx, device.Options{
		URL: "wss://" + w.node.Addr().HTTPS + "/signal", Token: w.node.Token(t, token.Access, "alice"), Tone: agentTone,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.agent.Close)
	if err := w.agent.Register(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// trunkTo is a trunk for one country. SIPp would take an OPTIONS for its call.
func trunkTo(name, addr, country string) config.Trunk {
	at := netip.MustParseAddrPort(addr)
	return config.Trunk{
		Name: name, Host: at.Addr().String(), Port: int(at.Port()), Countries: []string{country},
		Addresses: []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}, OptionsInterval: -1,
	}
}

// deadCarrier has an address, and nobody is there.
type deadCarrier struct {
	conn    net.PacketConn
	invites atomic.Int32
}

func newDeadCarrier(t *testing.T) *deadCarrier {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deadCarrier{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if strings.HasPrefix(string(b[:n]), "INVITE ") {
				d.invites.Add(1)
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return d
}

func (d *deadCarrier) addr() string { return d.conn.LocalAddr().String() }

// wait returns a context that bounds one step.
func (w *world) wait() context.Context {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	w.t.Cleanup(cancel)
	return ctx
}

// begin is the world as one subtest sees it; nothing of a call is left after it.
func (w *world) begin(t *testing.T) *world {
	here := *w
	here.t = t
	t.Cleanup(func() {
		if !t.Failed() {
			w.node.Idle(t)
		}
	})
	return &here
}

// dial lets the agent call a number.
func (w *world) dial(number string) *device.Call {
	w.t.Helper()
	c, err := w.agent.Call(url.Values{"To": {number}})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// rings returns the call that rings at the agent.
func (w *world) rings() *device.Call {
	w.t.Helper()
	// Who has just talked may be offered the call a moment later.
	c, err := w.agent.TakeCall(w.wait())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) accept(c *device.Call) {
	w.t.Helper()
	if err := c.Accept(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) answered(c *device.Call) {
	w.t.Helper()
	if err := c.AwaitAnswer(w.wait()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) hangUp(c *device.Call) {
	w.t.Helper()
	if err := c.HangUp(); err != nil {
		w.t.Fatal(err)
	}
}

// over waits until the call ended as calls should.
func (w *world) over(c *device.Call) {
	w.t.Helper()
	if err := c.AwaitEnd(w.wait()); err != nil {
		w.t.Fatalf("the call ended with %v", err)
	}
}

// hears waits until the agent hears the tone for a second, and measures that.
func (w *world) hears(c *device.Call, hz float64) {
	w.t.Helper()
	node.Until(w.t, patient, "the agent hears sound", func() bool { return c.Heard().Level > loud })
	from := c.Heard().Frames
	node.Until(w.t, patient, "the agent hears the tone", func() bool {
		h := c.Heard()
		return h.Frames >= from+50 && h.Level > loud && isNear(h.Frequency, hz)
	})
	h := c.Heard()
	w.t.Logf("the agent hears %.1f Hz, level %.0f; longest wait %v, longest silence %v", h.Frequency, h.Level, h.LongestGap, h.LongestQuiet)
}

// keys waits until the agent has heard the keys.
func (w *world) keys(c *device.Call, want string) {
	w.t.Helper()
	node.Until(w.t, patient, "the agent hears the keys "+want, func() bool { return c.Keys() == want })
}

// calls returns the records of calls, the newest first.
func (w *world) calls() []talk.Call {
	w.t.Helper()
	var page struct{ Calls []talk.Call }
	if status := w.node.Ask(w.t, "GET", "/api/v1/calls", nil, &page); status != 200 {
		w.t.Fatalf("calls: %d", status)
	}
	return page.Calls
}

func isNear(got, want float64) bool { return math.Abs(got-want) < want/100 }
