package trunk

import (
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/strand"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/trunk/transaction"
)

// outgoing is how a call is made: one carrier after the other until one takes it.
type outgoing struct {
	leg      *leg
	id       call.ID
	dial     call.Dial
	to       Destination
	from     string // the number shown, "" for anonymous
	waiting  []way
	attempts []*attempt // whose final answer has not come
	ring     strand.Alarm
	heard    bool // early media was reported
	rang     bool // ringing was reported
	status   int  // the last final status that was one
	entered  bool // a trunk had room
}

// way is one address of one carrier.
type way struct {
	*carrier
	hop transaction.Hop // zero: the carrier's name is not resolved
}

// Dial implements switchboard.Dialer for phone numbers. The error is a
// fault.Forbidden where the number may not be called, a fault.Invalid where it
// is none, a fault.Unavailable without trunks or while the node drains.
func (s *Server) Dial(id call.ID, d call.Dial, report switchboard.Reporter) (switchboard.Leg, error) {
	if s.isDraining() {
		return nil, fault.New(fault.Unavailable, "This node is stopping and takes no new calls.")
	}
	from := d.From.Number
	if from == "" {
		from = s.o.Config.CallerID
	}
	to, err := s.o.Config.Destinations.Check(from, d.To.Number)
	if err != nil {
		return nil, err
	}
	if to.Emergency {
		s.log.Warn("emergency call", "call", string(id), "leg", string(d.Leg))
	}
	carriers := s.route(to)
	if len(carriers) == 0 {
		return nil, fault.New(fault.Unavailable, "No trunk is configured for this number.")
	}
	l, err := s.newLeg(d.Leg)
	if err != nil {
		return nil, fault.Wrap(fault.TooMany, err, "No audio port is free.")
	}
	l.log = l.log.With("call", string(id))
	l.report = report
	l.out = &outgoing{leg: l, id: id, dial: d, to: to, from: from, waiting: carriers}
	key := "dial|" + string(d.Leg)
	l.keys = []string{key}
	s.addLeg(key, l)
	l.queue.Post(func() {
		ring := d.Timeout
		if ring <= 0 {
			ring = defaultRing
		}
		l.out.ring.Set(l.queue, ring, func() { l.end(call.NoAnswer) })
		l.out.next()
	})
	return l, nil
}

// route lists the ways to a destination: the trunks in order, those that do not
// answer last, each with its addresses. An emergency call may take any trunk.
func (s *Server) route(to Destination) []way {
	var up, down []way
	for _, c := range s.carriers {
		if len(c.Countries) > 0 && !to.Emergency && !slices.ContainsFunc(c.Countries, func(code string) bool {
			return strings.EqualFold(code, to.Country)
		}) {
			continue
		}
		ways := []way{{carrier: c}}
		if hops := c.targets(); len(hops) > 0 {
			ways = ways[:0]
			for _, h := range hops {
				ways = append(ways, way{c, h})
			}
		}
		if c.isDown() {
			down = append(down, ways...)
		} else {
			up = append(up, ways...)
		}
	}
	return append(up, down...)
}

// next tries the next way whose carrier has room; without one the call has failed.
func (o *outgoing) next() {
	l := o.leg
	for len(o.waiting) > 0 && !l.over {
		w := o.waiting[0]
		o.waiting = o.waiting[1:]
		if l.carrier != nil {
			l.carrier.leave()
			l.carrier = nil
		}
		if !w.enter(o.to.Emergency) {
			continue
		}
		o.entered = true
		l.carrier, l.codecs = w.carrier, w.Codecs
		if w.hop.Network == "" {
			o.answered(w.carrier, 0, 0, len(o.waiting) > 0)
			continue
		}
		o.attempt(w.carrier, w.hop)
		return
	}
	o.fail(o.status)
}

// fail reports that no carrier took the call.
func (o *outgoing) fail(status int) {
	o.ring.Stop()
	cause := CauseOf(status)
	if !o.entered {
		cause = call.Overload
	}
	o.leg.down(cause, status)
	o.leg.quiet()
	o.settle()
}

// settle releases the leg when it is over and no attempt is left.
func (o *outgoing) settle() {
	if o.leg.over && len(o.attempts) == 0 && !o.leg.up {
		o.leg.release()
	}
}

// failed decides what a carrier's refusal or silence means: the next carrier, or
// the end. Once it rang no other carrier is tried.
func (o *outgoing) failed(a *attempt, status int) {
	l := o.leg
	another := (status == 0 || status == sip.StatusRequestTimeout || status >= 500 && status < 600) && !a.rang
	o.answered(a.carrier, status, time.Since(a.started), another && len(o.waiting) > 0 && !l.over)
	if status != 0 {
		o.status = status
	}
	switch {
	case l.over || l.up:
		o.settle()
	case another:
		o.next()
	default:
		o.fail(status)
	}
}

// answered tells of one carrier's answer, or its silence.
func (o *outgoing) answered(c *carrier, status int, after time.Duration, next bool) {
	s := o.leg.s
	s.metrics.call(c.Name, "outbound", status)
	s.o.Events.Publish(event.TrunkAnswer{At: time.Now(), Trunk: c.Name, Call: string(o.id), Status: status, After: after, Next: next})
}

// giveUp cancels whatever is under way.
func (o *outgoing) giveUp() {
	o.ring.Stop()
	for _, a := range slices.Clone(o.attempts) {
		if !a.abandoned {
			o.answered(a.carrier, sip.StatusRequestTerminated, time.Since(a.started), false)
		}
		a.abandon()
	}
	o.leg.quiet()
	o.settle()
}

func (o *outgoing) stop() {
	o.ring.Stop()
	for _, a := range o.attempts {
		a.try.Stop()
	}
}
