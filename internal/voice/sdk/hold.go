package sdk

import (
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/rtc"
)

// A call outlives its signalling for a while, and as long as audio comes: the
// SDKs come back (v2 with a reconnect invite, v1 by just going on over its next
// socket), however long their back-off takes, and the people talk meanwhile.
// When the user hangs up or closes the page while the signalling is away,
// nothing is ever sent; then the browser's audio ends, and that ends the call.

// lost is called when a connection of the leg's identity is gone.
func (l *leg) lost(d *device) {
	l.strand.Post(func() {
		if l.done {
			return
		}
		if l.dialled != nil && !l.answered {
			l.forkLost(d)
			return
		}
		if l.home.Load() != d {
			return
		}
		l.home.Store(nil)
		if !l.answered {
			l.callerLost()
			return
		}
		l.setAway(func() { l.away.signalling = true })
		l.packets = l.endpoint.Stats().PacketsIn
		l.holding.Set(l.strand, l.hold, l.held)
		if l.state == rtc.Closed {
			l.healing.Set(l.strand, l.server.times.MediaClosed, l.mediaOverdue)
		}
	})
}

// held is called when the signalling was away for the time of the hold.
func (l *leg) held() {
	packets := l.endpoint.Stats().PacketsIn
	if l.state == rtc.Connected && packets > l.packets {
		l.packets = packets
		l.holding.Set(l.strand, l.hold, l.held)
		return
	}
	l.finish(call.SignalLost, endCodes[call.SignalLost])
}

// regainedBy is called when a v1 device of the leg's identity was let in: it may
// be the one whose socket was lost.
func (l *leg) regainedBy(d *device) {
	l.strand.Post(func() {
		if l.done || l.home.Load() != nil || l.dialled != nil && !l.answered || !l.legacy {
			return
		}
		if d.page() == l.page {
			l.back(d)
		}
	})
}

// back notes that the call's signalling is at this device now.
func (l *leg) back(d *device) {
	l.settle(d)
	l.holding.Stop()
	l.setAway(func() { l.away.signalling = false })
	if l.offered != nil && !l.answered {
		l.server.directory.dials(d, l, true)
	}
}

// here is called for each frame about an answered call, or one of the device's
// own: where it comes from is where the call is.
func (l *leg) here(d *device) {
	if l.home.Load() == nil && (l.answered || l.offered != nil) {
		l.back(d)
	}
}

// setAway reports when the leg goes away or is back, whatever it was that changed.
func (l *leg) setAway(change func()) {
	before := l.away.signalling || l.away.media
	change()
	if now := l.away.signalling || l.away.media; now != before && l.answered {
		l.tell(call.Away{On: now})
	}
}

// mediaIs follows the browser's audio connection.
func (l *leg) mediaIs(state rtc.State) {
	l.state = state
	switch state {
	case rtc.Connecting:
	case rtc.Connected:
		l.wasUp = true
		l.healing.Stop()
		l.setAway(func() { l.away.media = false })
	case rtc.Disconnected, rtc.Failed:
		if !l.answered || !l.wasUp {
			return // MediaUp is running, or will be
		}
		l.setAway(func() { l.away.media = true })
		if !l.healing.IsSet() {
			l.healing.Set(l.strand, l.server.times.MediaBack, l.mediaOverdue)
		}
	case rtc.Closed:
		// The hangup comes by the other way and may be a little later; a page that
		// is reloading comes back with another peer.
		l.setAway(func() { l.away.media = true })
		l.healing.Set(l.strand, l.server.times.MediaClosed, l.mediaOverdue)
	}
}

// mediaOverdue is called when the audio is not there by the time it should be.
func (l *leg) mediaOverdue() {
	cause := call.MediaLost
	switch {
	case !l.answered && l.offered == nil:
		return
	case !l.wasUp:
		cause = call.MediaFailed
	case l.state == rtc.Closed && l.home.Load() == nil:
		cause = call.SignalLost // the page is gone
	}
	l.say("hangup", callPayload{CallSid: l.sid(), Error: endError(cause)})
	l.finish(cause, endCodes[cause])
}
