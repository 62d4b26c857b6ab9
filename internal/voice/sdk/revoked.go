package sdk

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/event"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/token"
)

// Recheck ends every device that was let in by what is revoked now. It is to be
// called after each revocation; it does not wait for anything.
//
// Such a device is told that its token is no longer accepted and does not come
// back by itself. Its connection and the calls that it has end at once, with
// cause call.Forbidden; so do calls whose device is away just now, when the
// identity has no other device that is let in. Calls at other devices of the
// identity, let in by what is not revoked, go on.
func (s *Server) Recheck() {
	for _, d := range s.directory.all() {
		if claims, in := d.letInBy(); in && s.o.Verifier.Revoked(claims) {
			d.shutOut()
		}
	}
}

// CountOf returns how many connected devices were let in by claims that match.
func (s *Server) CountOf(match func(token.Claims) bool) int {
	n := 0
	for _, d := range s.directory.all() {
		if claims, in := d.letInBy(); in && match(claims) {
			n++
		}
	}
	return n
}

// letInBy returns the claims of the device's accepted token.
func (d *device) letInBy() (token.Claims, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claims, d.in
}

func (d *device) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}

// shutOut ends the device and its calls. What it sends from now on means nothing.
func (d *device) shutOut() {
	d.mu.Lock()
	first := d.in && !d.shut
	d.shut, d.in = true, false
	who := party{d.claims.Account, d.claims.Identity}
	d.mu.Unlock()
	if !first {
		return
	}
	if d.server.directory.register(d, false) {
		d.server.metrics.registered.Dec()
		d.publish(event.Unregistered, string(token.ReasonRevoked), codeAuthorization)
	}
	alone := !slices.ContainsFunc(d.server.directory.connected(who), func(other *device) bool {
		_, in := other.letInBy()
		return in
	})
	legs := d.server.directory.legsOf(who)
	// The calls' ends are told first: after them nothing more can be.
	var open atomic.Int64
	open.Store(1)
	told := func() {
		if open.Add(-1) == 0 {
			d.sayRevoked()
		}
	}
	for _, l := range legs {
		open.Add(1)
		l.strand.Post(func() {
			defer told()
			home := l.home.Load()
			switch {
			case l.done || home != d && (home != nil || !alone):
			case l.dialled != nil && !l.answered:
				if alone { // otherwise it rings at others, too
					l.cancelAll(nil)
					l.finish(call.Forbidden, endCodes[call.Forbidden])
				}
			default:
				l.say("hangup", callPayload{CallSid: l.sid(), Error: endError(call.Forbidden)})
				l.finish(call.Forbidden, endCodes[call.Forbidden])
			}
		})
	}
	told()
}

func (d *device) sayRevoked() {
	d.mu.Lock()
	ev := event.Registration{
		At: time.Now(), Account: d.claims.Account, Identity: d.claims.Identity,
		Outcome: event.Refused, Reason: string(token.ReasonRevoked), Code: codeAuthorization, App: d.claims.OutgoingApp,
		Device: d.descriptionLocked(), Token: d.claims.Features,
	}
	d.mu.Unlock()
	d.server.publish(ev)
	d.send("error", errorPayload{Error: refusal(token.Unauthorized)})
	d.send("close", empty{})
	d.close("revoked", websocket.StatusPolicyViolation, "the token was revoked")
}
