// Package audio is the RTP or SRTP end of a carrier leg: two UDP ports, a source
// that is learnt and then kept, and RTCP reports about every five seconds (RFC 3550, RFC 4961).
//
// A Session is a media.Wire. Its methods may be called from any goroutine. It
// runs two goroutines from Open until Close: one reads RTP and hands each packet
// to whoever OnRTP named, one reads RTCP and sends reports.
package audio

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/reports"
	"dialtone/internal/voice/srtp"
)

// Options is what a Session needs.
type Options struct {
	Listen    func(network, address string) (net.PacketConn, error) // nil: net.ListenPacket
	Bind      netip.Addr                                            // where to listen; invalid: everywhere
	Low, High int                                                   // ports to choose from; 0: any free
	Stranger  func()                                                // a packet from somewhere else was dropped; nil: nobody is told
	Refused   func(error)                                           // SRTP refused a packet, for one of package srtp's errors; nil: nobody is told
}

// Far is what the far end's description said about its audio.
type Far struct {
	Addr    netip.AddrPort // where it wants packets; may be invalid (host name) or unspecified (on hold)
	RTCP    uint16         // 0: the port after RTP's
	Allowed []netip.Prefix // where else its packets may come from: NAT, media gateways
	Format  media.Format
	DTMF    uint8 // the telephone-event type that we offered and it may use, 0: Format's

	Send, Heard srtp.Keys // with which we send, and it does; zero: plain RTP
}

// Session is one leg's RTP end.
type Session struct {
	o         Options
	rtp, rtcp *port
	ssrc      uint32
	books     *reports.Ledger
	done      chan struct{}
	once      sync.Once
	wg        sync.WaitGroup
	handler   atomic.Pointer[func(*rtp.Header, []byte)]

	mu     sync.Mutex
	far    Far
	agreed bool
	source source
	heard  time.Time // a packet or a report of the far end
	tx     *srtp.Sender
	rx     *srtp.Receiver
	buf    []byte
}

var (
	_ media.Wire     = (*Session)(nil)
	_ media.Measured = (*Session)(nil)
)

// Open binds the ports and starts to read. Nothing is passed on before Agree.
func Open(o Options) (*Session, error) {
	if o.Listen == nil {
		o.Listen = net.ListenPacket
	}
	s := &Session{o: o, ssrc: rand.Uint32(), done: make(chan struct{}), buf: make([]byte, 1500)}
	s.books = reports.New(s.ssrc)
	var err error
	if s.rtp, s.rtcp, err = bind(o); err != nil {
		return nil, err
	}
	s.wg.Go(s.readRTP)
	s.wg.Go(s.report)
	return s, nil
}

// Port returns the local RTP port; RTCP is on the next.
func (s *Session) Port() int { return int(s.rtp.local.Port()) }

// Agree sets what was agreed with the far end, first or anew. If the far end
// moved, its source is learnt again. Keys that stay go on where they are. After an
// error everything is as it was.
func (s *Session) Agree(far Far) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.rekeyLocked(far); err != nil {
		return err
	}
	if !s.agreed || far.Addr != s.far.Addr {
		s.source = source{}
	}
	s.far, s.agreed = far, true
	s.books.Rate(far.Format.ClockRate)
	return nil
}

func (s *Session) rekeyLocked(far Far) (err error) {
	tx, rx := s.tx, s.rx
	switch {
	case far.Send.Profile == 0 || far.Heard.Profile == 0:
		tx, rx = nil, nil
	default:
		if tx == nil || !far.Send.Equal(s.far.Send) {
			if tx, err = srtp.NewSender(far.Send); err != nil {
				return err
			}
		}
		if rx == nil || !far.Heard.Equal(s.far.Heard) {
			if rx, err = srtp.NewReceiver(far.Heard); err != nil {
				return err
			}
		}
	}
	s.tx, s.rx = tx, rx
	return nil
}

// Format implements media.Wire.
func (s *Session) Format() (media.Format, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.far.Format, s.agreed
}

// Codec returns the agreed codec, "" before.
func (s *Session) Codec() call.Codec {
	f, _ := s.Format()
	return f.Codec
}

// Heard returns when the far end's last packet or report came.
func (s *Session) Heard() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

// OnRTP implements media.Wire.
func (s *Session) OnRTP(f func(*rtp.Header, []byte)) {
	if f == nil {
		s.handler.Store(nil)
		return
	}
	s.handler.Store(&f)
}

// WriteRTP implements media.Wire.
func (s *Session) WriteRTP(h *rtp.Header, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.toLocked()
	if !to.IsValid() || s.far.Format.SendOnly {
		return nil
	}
	header := *h
	header.SSRC = s.ssrc
	n := header.MarshalSize() + len(payload)
	if n+srtp.MaxOverhead > len(s.buf) {
		return fmt.Errorf("audio: packet of %d bytes", n)
	}
	if _, err := header.MarshalTo(s.buf); err != nil {
		return err
	}
	copy(s.buf[n-len(payload):], payload)
	b := s.buf[:n]
	if s.tx != nil {
		var err error
		if b, err = s.tx.Protect(b); err != nil {
			return err
		}
	}
	s.books.Sent(header.Timestamp, len(payload))
	return s.rtp.write(b, to)
}

// toLocked returns where packets go: where the far end's come from, or where it
// said as long as none came.
func (s *Session) toLocked() netip.AddrPort {
	switch {
	case !s.agreed:
	case s.source.locked.IsValid():
		return s.source.locked
	case s.far.Addr.IsValid() && !s.far.Addr.Addr().IsUnspecified() && s.far.Addr.Port() != 0:
		return s.far.Addr
	}
	return netip.AddrPort{}
}

// Close frees the ports and waits until nothing of the session runs; it must not
// be called from an OnRTP function.
func (s *Session) Close() {
	s.once.Do(func() {
		close(s.done)
		s.rtp.close()
		s.rtcp.close()
	})
	s.wg.Wait()
}

func (s *Session) readRTP() {
	buf := make([]byte, 2048)
	var h rtp.Header
	for {
		n, from, err := s.rtp.read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		b := s.open(buf[:n])
		h = rtp.Header{}
		size, err := h.Unmarshal(b)
		if err != nil || h.Version != 2 {
			continue
		}
		payload := b[size:]
		if h.Padding && len(payload) > 0 {
			pad := int(payload[len(payload)-1])
			if pad == 0 || pad > len(payload) {
				continue
			}
			payload = payload[:len(payload)-pad]
		}
		if !s.take(&h, from) {
			continue
		}
		if f := s.handler.Load(); f != nil {
			(*f)(&h, payload)
		}
	}
}

// open decrypts a packet where keys were agreed; nil is one that SRTP refuses.
func (s *Session) open(b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rx == nil {
		return b
	}
	b, err := s.rx.Unprotect(b)
	if err != nil && s.o.Refused != nil {
		s.o.Refused(err)
	}
	return b
}

// take says whether the packet is the far end's, and counts it.
func (s *Session) take(h *rtp.Header, from netip.AddrPort) bool {
	now := time.Now()
	s.mu.Lock()
	ok := s.agreed && s.source.take(&s.far, h, from, now)
	if ok {
		s.heard = now
		s.books.Received(h, now)
		if s.far.DTMF != 0 && h.PayloadType == s.far.DTMF && s.far.Format.DTMF != 0 {
			h.PayloadType = s.far.Format.DTMF
		}
	}
	agreed := s.agreed
	s.mu.Unlock()
	if !ok && agreed && s.o.Stranger != nil {
		s.o.Stranger()
	}
	return ok
}
