// Package rtc holds the browser legs: ICE (lite) on one UDP port for all calls,
// DTLS-SRTP, and the SDP that the Voice SDK's browsers exchange with us.
//
// An Engine owns the port and the certificate; a Peer is one browser's end of
// one leg and a media.Wire. Both are safe for concurrent use.
package rtc

import (
	"log/slog"
	"net"
	"net/netip"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

// Options is what an Engine needs.
type Options struct {
	Conn     net.PacketConn // the UDP port of all browser legs; closed by Engine.Close
	Announce []netip.Addr   // addresses put into SDP; empty: those of the local interfaces that Conn listens on
	Log      *slog.Logger
}

// Engine owns the port and the certificate of all browser legs.
type Engine struct{}

// New returns an Engine that serves the connection until Close.
func New(o Options) (*Engine, error) { return &Engine{}, nil }

// Close ends all peers and closes the port.
func (e *Engine) Close() error { return nil }

// State of a peer's way to its browser.
type State int

// The states. Connected follows every successful ICE restart too.
const (
	Connecting State = iota
	Connected
	Disconnected // may come back
	Failed       // will not come back without an ICE restart
	Closed       // the browser closed DTLS, or we closed
)

// NewPeer returns a browser's end. onState is called for every change, never
// concurrently, and must not block.
func (e *Engine) NewPeer(onState func(State)) (*Peer, error) { return &Peer{}, nil }

// Peer is one browser's end of one leg.
type Peer struct{}

var _ media.Wire = (*Peer)(nil)

// Offer returns the SDP that offers the codecs (and telephone-event) to the browser.
func (p *Peer) Offer(codecs []call.Codec) (sdp string, err error) { return "", nil }

// Accept takes the browser's answer to Offer.
func (p *Peer) Accept(sdp string) error { return nil }

// Answer takes the browser's offer, the first or an ICE restart, and returns our
// answer with the first of the codecs that the browser offered too; for a restart
// the codec stays. A fault.Invalid error says what is wrong with the SDP.
func (p *Peer) Answer(offer string, codecs []call.Codec) (sdp string, err error) { return "", nil }

// Offered returns the codecs of an SDP offer that we know, in its order.
func Offered(sdp string) ([]call.Codec, error) { return nil, nil }

// Format implements media.Wire.
func (p *Peer) Format() (media.Format, bool) { return media.Format{}, false }

// WriteRTP implements media.Wire.
func (p *Peer) WriteRTP(h *rtp.Header, payload []byte) error { return nil }

// OnRTP implements media.Wire.
func (p *Peer) OnRTP(f func(h *rtp.Header, payload []byte)) {}

// Close ends the leg's media and frees everything.
func (p *Peer) Close() error { return nil }
