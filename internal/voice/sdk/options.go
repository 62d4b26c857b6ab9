package sdk

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/token"
)

// Verifier says whether a token is valid now; token.Verifier is one. The error
// of a refused token is a *token.Refusal.
type Verifier interface {
	// Verify judges the token of a device that wants to be let in; it uses a ticket up.
	Verify(ctx context.Context, text string) (token.Claims, error)
	// Examine is Verify that uses nothing up; a ticket that let a device in is good
	// until its session ends.
	Examine(ctx context.Context, text string) (token.Claims, error)
	// Revoked reports whether claims that were accepted would be refused now,
	// because something of them was revoked since.
	Revoked(c token.Claims) bool
}

// Exchange takes the calls that devices make; switchboard.Switchboard is one.
type Exchange interface {
	Offer(o call.Offer, leg switchboard.Leg) (switchboard.Reporter, error)
}

// Options is what a Server needs.
type Options struct {
	Verifier Verifier
	Exchange Exchange
	NewPeer  PeerMaker
	Codecs   *media.Codecs         // nil: no leg is translated to or from Opus
	Events   event.Sink            // nil: discarded
	Log      *slog.Logger          // nil: discarded
	Metrics  prometheus.Registerer // nil: not registered

	// Origins says which other web pages may connect besides those that this
	// host serves: "https://app.example.com", "app.example.com" (any scheme),
	// "*.example.com", or "*" for any page. A request without an Origin header
	// does not come from a page and is let through: the token decides.
	Origins []string

	Region  string // shown to devices, e.g. "EU_IRELAND"; may be empty
	Edge    string // needed only for v2 devices that find us by DNS instead of chunderw
	Gateway string // shown to devices, e.g. the node's name; may be empty

	// EventHost is our public "host[:port]" if "eventgw.<host>" leads to us too
	// (DNS and certificate): v2 devices are then told to post their events and
	// metrics there. Empty: they keep to the vendor's gateway.
	EventHost string

	// OnMessage takes the messages that devices send within calls. It is called
	// in the order of each call's messages and must not block; nil drops them.
	OnMessage func(Message)

	// RemoteAddr returns who is behind a request; nil: the address it came from.
	RemoteAddr func(*http.Request) netip.Addr

	Limits Limits
	Times  Times
}

// Limits bound what clients can take from us. Zero fields get the defaults.
type Limits struct {
	Connections   int     // at once; 20,000
	PerAddress    int     // connections from one remote address at once; 1,000 (an office is one address)
	FrameBytes    int64   // largest frame; 64 KiB
	QueueFrames   int     // frames waiting for a device that does not read; 64
	FramesPerSec  float64 // frames a connection may send in the long run; 20
	FrameBurst    float64 // and at once; 100
	BadFrames     int     // frames without sense before the connection is closed; 5
	Refusals      int     // refused tokens before the connection is closed; 5
	CallsPerParty int     // calls that one identity may have open at once; 20
	ReportBytes   int64   // largest post to the event gateway; 128 KiB
	Reports       int     // posts handled at once; 256
}

// Times are the protocol's waits. Zero fields get the defaults.
type Times struct {
	Listen      time.Duration // for the first listen; 10 s
	Heartbeat   time.Duration // between heartbeats; 10 s (clients give up after 15 s of silence)
	Silence     time.Duration // without any frame until a connection is lost; 30 s
	Write       time.Duration // for one frame; 5 s
	Refused     time.Duration // after a refused token until a device is told to stop; 20 s
	Unjudged    time.Duration // after we could not judge a token until its connection is closed; 5 s
	ExpiryGrace time.Duration // after a token expired until its device cannot be called; 30 s
	Ring        time.Duration // a dialled leg rings at most, if the Dial does not say; 60 s
	Regain      time.Duration // a ringing leg waits for a device to come back when all are gone; 3 s
	Hold        time.Duration // a call waits for its device's signalling, at least; 15 s
	MediaUp     time.Duration // after an answer until audio must be connected; 20 s
	MediaBack   time.Duration // audio may be away; 30 s
	MediaClosed time.Duration // after the browser closed its audio, for a hangup or a new page; 3 s
	Shutdown    time.Duration // for the last frames when Run ends; 3 s
}

func (l Limits) withDefaults() Limits {
	or(&l.Connections, 20000)
	or(&l.PerAddress, 1000)
	or(&l.FrameBytes, 64<<10)
	or(&l.QueueFrames, 64)
	or(&l.FramesPerSec, 20)
	or(&l.FrameBurst, 100)
	or(&l.BadFrames, 5)
	or(&l.Refusals, 5)
	or(&l.CallsPerParty, 20)
	or(&l.ReportBytes, 128<<10)
	or(&l.Reports, 256)
	return l
}

func (t Times) withDefaults() Times {
	or(&t.Listen, 10*time.Second)
	or(&t.Heartbeat, 10*time.Second)
	or(&t.Silence, 30*time.Second)
	or(&t.Write, 5*time.Second)
	or(&t.Refused, 20*time.Second)
	or(&t.Unjudged, 5*time.Second)
	or(&t.ExpiryGrace, 30*time.Second)
	or(&t.Ring, 60*time.Second)
	or(&t.Regain, 3*time.Second)
	or(&t.Hold, 15*time.Second)
	or(&t.MediaUp, 20*time.Second)
	or(&t.MediaBack, 30*time.Second)
	or(&t.MediaClosed, 3*time.Second)
	or(&t.Shutdown, 3*time.Second)
	return t
}

func or[T int | int64 | float64 | time.Duration](v *T, fallback T) {
	if *v == 0 {
		*v = fallback
	}
}

func (o Options) check() error {
	var errs []error
	if o.Verifier == nil {
		errs = append(errs, errors.New("sdk: no verifier of tokens"))
	}
	if o.Exchange == nil {
		errs = append(errs, errors.New("sdk: no exchange that takes calls"))
	}
	if o.NewPeer == nil {
		errs = append(errs, errors.New("sdk: no maker of browser legs"))
	}
	for _, origin := range o.Origins {
		if err := checkOrigin(origin); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// remote returns the address that a request came from, without port.
func remote(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
