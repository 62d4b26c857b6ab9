package sdk

import (
	"slices"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/switchboard"
)

var _ switchboard.Dialer = (*Server)(nil)

// dialled is what a leg needs that rings at devices, until one of them answers.
type dialled struct {
	dial     call.Dial
	sdp      string // our offer, the same for every device: only one can take it up
	forks    []*device
	declined bool   // a device said no; another may still say yes
	gone     string // the last v1 page whose signalling dropped while it rang
}

// Dial implements switchboard.Dialer: it rings all registered devices of the
// identity, those too that register while it rings. The first to answer has the
// call, the others are cancelled. A device that declines stops ringing; the leg
// ends as declined when none rings any more. An app in a call of its own that
// does not take a second one ignores the invite silently: the time of the dial
// ends that. Without a registered device the error is fault.Unavailable.
func (s *Server) Dial(_ call.ID, d call.Dial, report switchboard.Reporter) (switchboard.Leg, error) {
	who := party{d.Account, d.To.Identity}
	if s.draining.Load() {
		return nil, fault.New(fault.Unavailable, "this node is stopping")
	}
	if !d.To.IsDevice() || !s.Reachable(who.account, who.identity) {
		return nil, fault.Wrap(fault.Unavailable, errNoDevice, "no device of this client is connected")
	}
	if d.Leg == "" {
		d.Leg = call.NewLegID()
	}
	l := newLeg(s, d.Leg, who)
	l.dialled = &dialled{dial: d}
	l.report = report
	if taken, _ := s.directory.addLeg(l, 0); taken {
		return nil, fault.New(fault.Conflict, "there is a leg with this id already")
	}
	s.metrics.legs.WithLabelValues(l.direction()).Inc()
	l.strand.Post(l.ring)
	return l, nil
}

// ring offers the call to every device of the identity.
func (l *leg) ring() {
	if l.done {
		return
	}
	p, err := l.newPeer()
	if err == nil {
		l.dialled.sdp, err = p.Offer(preference(l.dialled.dial.Codecs))
	}
	if err != nil {
		l.log.Error("no audio to offer to a device", "err", err)
		l.finish(call.Failed, endCodes[call.Failed])
		return
	}
	wait := l.dialled.dial.Timeout
	or(&wait, l.server.times.Ring)
	l.ringing.Set(l.strand, wait, func() {
		l.cancelAll(nil)
		l.finish(call.NoAnswer, endCodes[call.NoAnswer])
	})
	for _, d := range l.server.directory.registered(l.who) {
		l.ringAt(d)
	}
	if len(l.dialled.forks) == 0 { // they left between Dial and here
		l.noneLeft()
		return
	}
	l.tell(call.Progress{})
}

func (l *leg) ringAt(d *device) {
	if slices.Contains(l.dialled.forks, d) {
		return
	}
	token := l.tokens[0]
	if token == "" {
		token = l.nextToken()
	}
	if !l.server.directory.rings(d, l) {
		return
	}
	if !d.send("invite", invitePayload{
		CallSid: string(l.id), SDP: l.dialled.sdp, Reconnect: token, Parameters: inviteParameters(l, l.dialled.dial),
	}) {
		l.server.directory.rungOut(d, l)
		return
	}
	l.dialled.forks = append(l.dialled.forks, d)
}

// joinedBy is called when a device of the identity registers: it rings there,
// too. That is how a v2 page comes back to a ringing call after its signalling
// dropped, because the SDK then drops the call it was shown. A v1 page keeps
// its call and must not be shown it twice.
func (l *leg) joinedBy(d *device) {
	l.strand.Post(func() {
		if l.done || l.dialled == nil || l.answered || l.dialled.sdp == "" {
			return
		}
		if l.dialled.gone != "" && l.dialled.gone == d.page() {
			if l.server.directory.rings(d, l) {
				l.dialled.forks = append(l.dialled.forks, d)
			}
		} else {
			l.ringAt(d)
		}
		if len(l.dialled.forks) > 0 {
			l.holding.Stop()
		}
	})
}

// stopAt ends the ringing at a device, with a frame if it is to hear of it.
func (l *leg) stopAt(d *device, cancel bool) bool {
	i := slices.Index(l.dialled.forks, d)
	if i < 0 {
		return false
	}
	l.dialled.forks = slices.Delete(l.dialled.forks, i, i+1)
	if cancel {
		d.send("cancel", callPayload{CallSid: string(l.id)})
	}
	for _, waiting := range l.server.directory.rungOut(d, l) {
		waiting.resumeRinging()
	}
	return true
}

// cancelAll ends the ringing everywhere but at one device.
func (l *leg) cancelAll(but *device) {
	for _, d := range slices.Clone(l.dialled.forks) {
		l.stopAt(d, d != but)
	}
}

// noneLeft is called when the last device is gone that rang.
func (l *leg) noneLeft() {
	if l.dialled.declined {
		l.finish(call.Declined, endCodes[call.Declined])
		return
	}
	l.holding.Set(l.strand, l.server.times.Regain, func() {
		l.finish(call.Unreachable, endCodes[call.Unreachable])
	})
}

// forkLost is called when a device is gone while the call rings.
func (l *leg) forkLost(d *device) {
	if l.stopAt(d, false) {
		if d.legacy() {
			l.dialled.gone = d.page()
		}
		if len(l.dialled.forks) == 0 {
			l.noneLeft()
		}
	}
}

// rejectedBy: the user of a device declined.
func (l *leg) rejectedBy(d *device) {
	l.strand.Post(func() {
		if l.done || l.dialled == nil || l.answered {
			return
		}
		l.stopAt(d, false)
		l.dialled.declined = true
		if len(l.dialled.forks) == 0 {
			l.finish(call.Declined, endCodes[call.Declined])
		}
	})
}

// ignoredBy: the device began a call of its own, by which its SDK forgets what rang.
func (l *leg) ignoredBy(d *device) {
	l.strand.Post(func() {
		if l.done || l.dialled == nil || l.answered || !l.stopAt(d, true) {
			return
		}
		if len(l.dialled.forks) == 0 {
			cause := call.Busy
			if l.dialled.declined {
				cause = call.Declined
			}
			l.finish(cause, endCodes[cause])
		}
	})
}

// leftBy is called when a connection becomes another identity's: what rang there
// was for the one before.
func (l *leg) leftBy(d *device) {
	l.strand.Post(func() {
		if l.done || l.dialled == nil || l.answered || !l.stopAt(d, true) {
			return
		}
		if len(l.dialled.forks) == 0 {
			l.noneLeft()
		}
	})
}

// answeredBy: a device took the call.
func (l *leg) answeredBy(d *device, sdp string) {
	l.strand.Post(func() {
		if l.done || l.dialled == nil || l.answered {
			return // its cancel is on the way
		}
		if l.line.current() == nil || l.dialled.sdp == "" {
			return
		}
		if err := l.line.current().Accept(sdp); err != nil {
			l.log.Warn("a device's answer cannot be used", "err", err)
			l.stopAt(d, false)
			d.send("hangup", callPayload{CallSid: string(l.id), Error: endError(call.MediaFailed)})
			l.cancelAll(nil)
			l.finish(call.MediaFailed, endCodes[call.MediaFailed])
			return
		}
		l.remote = fingerprintOf(sdp)
		l.takenBy(d)
		l.up()
	})
}

// takenBy gives the call to one device and cancels the others.
func (l *leg) takenBy(d *device) {
	l.holding.Stop()
	l.cancelAll(d)
	l.settle(d)
}
