package audio

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"dialtone/internal/voice/reports"
	"dialtone/internal/voice/srtp"
)

// Figures returns how the leg's packets fare, by our own count and by the far
// end's reports.
func (s *Session) Figures() reports.Figures { return s.books.Figures() }

// report sends our reports until the session is closed and notes the far end's.
func (s *Session) report() {
	buf := make([]byte, 2048)
	next := time.Now().Add(reports.Interval() / 2) // RFC 3550, 6.2: the first comes sooner
	s.rtcp.deadline(next)
	for {
		n, from, err := s.rtcp.read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			s.noteReport(buf[:n], from)
		}
		if now := time.Now(); !now.Before(next) {
			next = now.Add(reports.Interval())
			s.rtcp.deadline(next)
			s.sendReport(now)
		}
	}
}

func (s *Session) noteReport(b []byte, from netip.AddrPort) {
	s.mu.Lock()
	known := s.agreed && (from.Addr() == s.source.locked.Addr() || from.Addr() == s.far.Addr.Addr())
	var err error
	if known && s.rx != nil {
		b, err = s.rx.UnprotectReport(b)
	}
	s.mu.Unlock()
	if err != nil && s.o.Refused != nil {
		s.o.Refused(err)
	}
	if !known || err != nil {
		return
	}
	now := time.Now()
	if s.books.Take(b, now) != nil {
		return
	}
	s.mu.Lock()
	s.heard = now
	s.mu.Unlock()
}

func (s *Session) sendReport(now time.Time) {
	s.mu.Lock()
	to := s.toLocked()
	port := to.Port() + 1
	if to == s.far.Addr && s.far.RTCP != 0 {
		port = s.far.RTCP
	}
	s.mu.Unlock()
	if !to.IsValid() {
		return
	}
	b := s.books.Report(now)
	if b == nil {
		return
	}
	s.mu.Lock()
	var err error
	if s.tx != nil {
		b, err = s.tx.ProtectReport(slices.Grow(b, srtp.MaxOverhead))
	}
	s.mu.Unlock()
	if err == nil {
		_ = s.rtcp.write(b, netip.AddrPortFrom(to.Addr(), port)) // the next one makes up for it
	}
}
