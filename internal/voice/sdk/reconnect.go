package sdk

import (
	"strings"

	"dialtone/internal/voice/call"
)

// fingerprint tells what a browser's SDP belongs to: another certificate is
// another page (or another try of it), another ufrag an ICE restart.
type fingerprint struct{ certificate, ufrag string }

// fingerprintOf reads the first of each attribute. Unreadable SDP has none; the
// peer says what is wrong with it.
func fingerprintOf(sdp string) fingerprint {
	var f fingerprint
	for line := range strings.Lines(sdp) {
		line = strings.TrimRight(line, "\r\n")
		if v, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok && f.ufrag == "" {
			f.ufrag = v
		}
		if v, ok := strings.CutPrefix(line, "a=fingerprint:"); ok && f.certificate == "" {
			f.certificate = strings.ToLower(v)
		}
	}
	return f
}

// reconnect is an invite for a call that exists: after a dropped signalling, a
// refreshed token, or from another page that was given the call's connectToken.
func (d *device) reconnect(m invite) {
	l := d.leg(m.CallSid)
	if l == nil {
		d.cannotReconnect(m.CallSid)
		return
	}
	l.strand.Post(func() { l.reconnectedBy(d, m) })
}

func (d *device) cannotReconnect(id string) {
	d.send("hangup", callPayload{CallSid: cut(id, maxCallSid), Error: &wireError{Code: codeReconnect, Message: "There is no such call to reconnect to."}})
}

func (l *leg) reconnectedBy(d *device, m invite) {
	switch {
	case l.done:
		d.cannotReconnect(m.CallSid)
	case !l.knowsToken(m.Reconnect):
		l.server.metrics.refused.WithLabelValues("reconnect_token").Inc()
		l.log.Warn("reconnect with a token that is not this call's")
		d.cannotReconnect(m.CallSid)
	case l.dialled != nil && !l.answered:
		// Another page takes a call that rings: its offer takes the place of ours.
		sdp, err := l.replacePeer(m.SDP, preference(l.dialled.dial.Codecs))
		if err != nil {
			l.log.Warn("a page's offer for a ringing call cannot be used", "err", err)
			d.send("hangup", callPayload{CallSid: string(l.id), Error: endError(call.MediaFailed)})
			l.cancelAll(d)
			l.finish(call.MediaFailed, endCodes[call.MediaFailed])
			return
		}
		l.takenBy(d)
		l.say("answer", callPayload{CallSid: string(l.id), SDP: sdp, Reconnect: l.nextToken()})
		l.up()
	default:
		l.resume(d, m.SDP)
	}
}

// resume goes on with an answered call at the device. The SDK always sends its
// SDP; it wants one back only if it is not the one that we know.
func (l *leg) resume(d *device, sdp string) {
	was := l.home.Load()
	offer := fingerprintOf(sdp)
	var out string
	var err error
	switch {
	case offer == l.remote || sdp == "":
	case offer.certificate == l.remote.certificate:
		if out, err = l.line.current().Answer(sdp, []call.Codec{l.codec}); err == nil {
			l.remote = offer
		}
	default:
		out, err = l.replacePeer(sdp, preference([]call.Codec{l.codec}))
		if err == nil && was != nil && was != d {
			was.send("hangup", callPayload{CallSid: string(l.id)}) // the call moved to another page
		}
	}
	if err != nil {
		l.log.Warn("a reconnecting device's offer cannot be used", "err", err)
		d.send("hangup", callPayload{CallSid: string(l.id), Error: endError(call.MediaFailed)})
		l.finish(call.MediaFailed, endCodes[call.MediaFailed])
		return
	}
	l.back(d)
	l.say("answer", callPayload{CallSid: string(l.id), SDP: out, Reconnect: l.nextToken()})
}

// replacePeer gives the leg a new browser's end that answers the offer.
func (l *leg) replacePeer(sdp string, codecs []call.Codec) (string, error) {
	p, err := l.newPeer()
	if err != nil {
		return "", err
	}
	out, err := p.Answer(sdp, codecs)
	if err != nil {
		return "", err
	}
	l.remote = fingerprintOf(sdp)
	l.wasUp = false
	l.healing.Set(l.strand, l.server.times.MediaUp, l.mediaOverdue)
	return out, nil
}

// reinvitedBy: the browser restarts ICE.
func (l *leg) reinvitedBy(d *device, sdp string) {
	l.strand.Post(func() {
		p := l.line.current()
		if l.done || p == nil || !l.answered {
			return
		}
		l.here(d)
		out, err := p.Answer(sdp, []call.Codec{l.codec})
		if err != nil {
			// Left unanswered, the client tries again and gives up after 30 s.
			l.log.Warn("an ICE restart cannot be answered", "err", err)
			return
		}
		l.remote = fingerprintOf(sdp)
		d.send("answer", callPayload{CallSid: string(l.id), SDP: out})
	})
}
