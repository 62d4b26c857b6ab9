package sdk

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"sync/atomic"
	"time"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/rtc"
	"dialtone/internal/voice/strand"
	"dialtone/internal/voice/switchboard"
)

// leg is one call at one identity's devices. It is offered (a device calls) or
// dialled (we ring devices). What stands below "the strand's" is touched by the
// strand's functions alone; everybody else posts.
type leg struct {
	server    *Server
	id        call.LegID
	who       party
	temporary string // the client's id of a call it made (TJS…)
	endpoint  *media.Endpoint
	line      *line
	strand    *strand.Strand
	log       *slog.Logger

	// home is the device that has the call: nil while a dialled leg rings and
	// while the signalling is away. Written by the strand.
	home atomic.Pointer[device]

	// The strand's:
	report   switchboard.Reporter
	offered  *offered
	dialled  *dialled
	answered bool
	done     bool
	legacy   bool // the home speaks the v1 protocol
	page     string
	hold     time.Duration // how long the signalling may be away
	tokens   [2]string     // reconnect tokens given out: the last, and the one before as its successor may not have arrived
	remote   fingerprint   // of the browser's last SDP
	codec    call.Codec
	peers    int // how many there were; tells late states of a replaced peer apart
	state    rtc.State
	wasUp    bool
	away     struct{ signalling, media bool }
	packets  uint64   // received when the hold was last renewed
	typed    struct { // keys by signalling before the answer, see dialledBy
		by   *device
		keys string
	}

	holding, healing, ringing strand.Alarm
}

var _ switchboard.Leg = (*leg)(nil)

func newLeg(s *Server, id call.LegID, who party) *leg {
	l := &leg{server: s, id: id, who: who, line: &line{}, strand: strand.New(&s.crew), log: s.log.With("leg", string(id))}
	l.endpoint = media.NewEndpoint(l.line, s.o.Codecs, media.Hooks{
		Digit: func(digit byte, relayed bool) {
			l.strand.Post(func() { l.tell(call.Dialled{Digit: digit, Relayed: relayed}) })
		},
		Heard: func() { l.strand.Post(func() { l.tell(call.Heard{}) }) },
		Untranslated: func() {
			l.log.Warn("the audio of a device's leg cannot be translated: there are too many such calls")
			l.End(call.Overload)
		},
	})
	return l
}

// Endpoint implements switchboard.Leg.
func (l *leg) Endpoint() *media.Endpoint { return l.endpoint }

// End implements switchboard.Leg.
func (l *leg) End(cause call.EndCause) {
	l.strand.Post(func() {
		if l.done {
			return
		}
		if l.dialled != nil && !l.answered {
			l.cancelAll(nil)
		} else {
			l.say("hangup", callPayload{CallSid: l.sid(), Error: endError(cause)})
		}
		l.finish(cause, endCodes[cause])
	})
}

// sid is the id the client knows the call by.
func (l *leg) sid() string {
	if l.offered != nil && !l.offered.named {
		return l.temporary
	}
	return string(l.id)
}

// say sends a frame to the device that has the call, if it is there.
func (l *leg) say(kind string, payload any) {
	if d := l.home.Load(); d != nil {
		d.send(kind, payload)
	}
}

func (l *leg) tell(r call.Report) {
	if !l.done && l.report != nil {
		l.report(r)
	}
}

func (l *leg) direction() string {
	if l.offered != nil {
		return "outgoing"
	}
	return "incoming"
}

// finish ends the leg for good: media closed, timers stopped, forgotten, Down reported.
func (l *leg) finish(cause call.EndCause, status int) {
	if l.done {
		return
	}
	l.tell(call.Down{Cause: cause, Status: status})
	l.done = true
	l.holding.Stop()
	l.healing.Stop()
	l.ringing.Stop()
	d := l.home.Load()
	if d != nil && l.offered != nil {
		l.server.directory.dials(d, l, false)
	}
	if d == nil && l.legacy && (l.answered || l.offered != nil) {
		l.server.directory.remember(l.who, l.sid(), time.Now())
	}
	l.server.directory.removeLeg(l)
	l.endpoint.Close()
	l.peers++ // states of the peer from now on concern nobody
	if p := l.line.use(nil); p != nil {
		if err := p.Close(); err != nil {
			l.log.Debug("browser leg closed with an error", "err", err)
		}
	}
	l.server.metrics.legs.WithLabelValues(l.direction()).Dec()
	l.server.metrics.ended.WithLabelValues(l.direction(), string(cause)).Inc()
	l.log.Debug("leg at a device ended", "cause", cause, "status", status)
}

// up notes the answer.
func (l *leg) up() {
	l.answered = true
	l.ringing.Stop()
	if f, ok := l.line.Format(); ok {
		l.codec = f.Codec
	}
	if l.state != rtc.Connected {
		l.healing.Set(l.strand, l.server.times.MediaUp, l.mediaOverdue)
	}
	l.tell(call.Up{Codec: l.codec})
	if by := l.typed.by; by != nil && by == l.home.Load() {
		l.press(l.typed.keys)
	}
	l.typed.by, l.typed.keys = nil, ""
}

// nextToken returns a fresh reconnect token.
func (l *leg) nextToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	l.tokens = [2]string{hex.EncodeToString(b[:]), l.tokens[0]}
	return l.tokens[0]
}

func (l *leg) knowsToken(t string) bool {
	known := 0
	for _, mine := range l.tokens {
		if mine != "" {
			known |= subtle.ConstantTimeCompare([]byte(mine), []byte(t))
		}
	}
	return known == 1
}

// settle puts the call at the device.
func (l *leg) settle(d *device) {
	l.home.Store(d)
	l.legacy, l.page = d.legacy(), d.page()
	d.mu.Lock()
	l.hold = max(l.server.times.Hold, d.hold)
	d.mu.Unlock()
}

// newPeer makes a browser's end and puts it on the line.
func (l *leg) newPeer() (Peer, error) {
	l.peers++
	mine := l.peers
	p, err := l.server.o.NewPeer(func(state rtc.State) {
		l.strand.Post(func() {
			if mine == l.peers && !l.done {
				l.mediaIs(state)
			}
		})
	})
	if err != nil {
		return nil, err
	}
	l.state = rtc.Connecting
	if old := l.line.use(p); old != nil {
		if err := old.Close(); err != nil {
			l.log.Debug("replaced browser leg closed with an error", "err", err)
		}
	}
	return p, nil
}
