package sdk

import (
	"sync"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/reports"
	"dialtone/internal/voice/rtc"
)

// Peer is a browser's end of a leg, as rtc.Peer is one.
type Peer interface {
	media.Wire
	Offer(codecs []call.Codec) (sdp string, err error)
	Accept(sdp string) error
	Answer(offer string, codecs []call.Codec) (sdp string, err error)
	Close() error
}

// PeerMaker makes the browser's end of a new leg. onState is called for every
// change of its connection, never concurrently.
type PeerMaker func(onState func(rtc.State)) (Peer, error)

// RTC makes the peers of an engine.
func RTC(e *rtc.Engine) PeerMaker {
	return func(onState func(rtc.State)) (Peer, error) {
		p, err := e.NewPeer(onState)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// line is a leg's wire for the leg's whole life, while the peer behind it comes
// late (at the answer) and may be replaced (when the call moves to another page).
type line struct {
	mu   sync.RWMutex
	peer Peer
	sink func(*rtp.Header, []byte)
	last *media.Format // what a peer that is gone agreed on, for the leg's record
	past reports.Figures
}

var (
	_ media.Wire     = (*line)(nil)
	_ media.Measured = (*line)(nil)
)

func (l *line) current() Peer {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.peer
}

// use puts the peer in place of the one before, which is returned (nil: none)
// and no longer delivers.
func (l *line) use(p Peer) (old Peer) {
	l.mu.Lock()
	old, l.peer = l.peer, p
	l.past = figuresOf(old).After(l.past)
	sink := l.sink
	l.mu.Unlock()
	if old != nil {
		old.OnRTP(nil)
		if f, ok := old.Format(); ok {
			l.mu.Lock()
			l.last = &f
			l.mu.Unlock()
		}
	}
	if p != nil {
		p.OnRTP(sink)
	}
	return old
}

// Format implements media.Wire. A line whose peer is gone says what it agreed on.
func (l *line) Format() (media.Format, bool) {
	l.mu.RLock()
	p, last := l.peer, l.last
	l.mu.RUnlock()
	switch {
	case p != nil:
		return p.Format()
	case last != nil:
		return *last, true
	}
	return media.Format{}, false
}

// Figures implements media.Measured: those of all its peers together.
func (l *line) Figures() reports.Figures {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return figuresOf(l.peer).After(l.past)
}

func figuresOf(p Peer) reports.Figures {
	if m, ok := p.(media.Measured); ok {
		return m.Figures()
	}
	return reports.Figures{}
}

// WriteRTP implements media.Wire.
func (l *line) WriteRTP(h *rtp.Header, payload []byte) error {
	if p := l.current(); p != nil {
		return p.WriteRTP(h, payload)
	}
	return nil
}

// OnRTP implements media.Wire.
func (l *line) OnRTP(f func(*rtp.Header, []byte)) {
	l.mu.Lock()
	l.sink = f
	p := l.peer
	l.mu.Unlock()
	if p != nil {
		p.OnRTP(f)
	}
}
