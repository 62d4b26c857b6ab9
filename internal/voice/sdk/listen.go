package sdk

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"dialtone/internal/event"
	"dialtone/internal/voice/token"
)

// listen judges a token: the first of a connection, or its refresh. It answers
// before the next frame is looked at, because the client sends what it has
// queued without waiting for the verdict.
func (d *device) listen(l listen, version string) {
	sdk, agent := l.browser()
	d.mu.Lock()
	d.listened = true
	d.sdk, d.userAgent, d.protocol = sdk, agent, version
	d.hold = time.Duration(min(max(l.ReconnectTimeout, 0), 30) * float64(time.Second))
	d.mu.Unlock()

	claims, err := d.server.o.Verifier.Verify(context.Background(), l.Token)
	if err != nil {
		var r *token.Refusal
		if !errors.As(err, &r) {
			d.cannotJudge(err)
			d.failed(failure{reason: notJudged, code: codeConnection, features: token.Inspect(l.Token).Features})
			return
		}
		d.failed(failure{
			account: r.Account, identity: r.Identity, reason: string(r.Reason), code: refusal(r.Reason.Class()).Code, features: r.Features,
		})
		d.refuse(r, refusal(r.Reason.Class()))
		return
	}
	who := party{claims.Account, claims.Identity}
	d.mu.Lock()
	before, was := party{d.claims.Account, d.claims.Identity}, d.in
	d.mu.Unlock()
	if was && before != who && (before.account != who.account || d.inCall(before)) {
		d.refuse(
			&token.Refusal{Reason: token.ReasonAccountMismatch, Features: claims.Features, Account: claims.Account, Identity: claims.Identity},
			wireError{Code: codeAuthorization, Message: "This connection belongs to another identity; open a new one."},
		)
		return
	}
	if was && before != who {
		d.leave()
	}
	d.mu.Lock()
	d.claims, d.in, d.warned, d.refusals = claims, true, false, 0
	d.stopAt, d.retryAt, d.refused = time.Time{}, time.Time{}, wireError{}
	d.mu.Unlock()
	d.server.directory.letIn(d, who)
	d.publish(event.Connected, "", 0)
	d.send("connected", d.welcome())
	d.saved(claims)
	if d.server.o.Verifier.Revoked(claims) { // while it was being let in
		d.shutOut()
		return
	}
	if d.legacy() {
		for _, leg := range d.server.directory.legsOf(who) {
			leg.regainedBy(d)
		}
		for _, id := range d.server.directory.untold(who, time.Now()) {
			d.send("hangup", callPayload{CallSid: id})
		}
	}
}

func (d *device) welcome() connectedPayload {
	o := d.server.o
	p := connectedPayload{Region: o.Region, Edge: o.Edge, Gateway: o.Gateway}
	if o.EventHost != "" {
		// The SDK posts to https://eventgw.{home}.twilio.com/v4/…: with this home
		// the rest of its host becomes the beginning of the path.
		p.Home = o.EventHost + "/"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p.Token = &tokenPayload{Identity: d.claims.Identity}
	if ttl := time.Until(d.claims.Expires); ttl > 0 {
		p.Token.TTL = int(math.Floor(ttl.Seconds()))
	}
	return p
}

// cannotJudge is our failure, not the token's. The device is told, and its
// connection is closed a little later: then it comes back by itself. Closed at
// once it would be back within 100 ms, again and again.
func (d *device) cannotJudge(err error) {
	d.log.Error("a token could not be judged", "err", err)
	wait := d.server.times.Unjudged
	d.mu.Lock()
	if !d.in {
		d.retryAt = time.Now().Add(wait)
	}
	d.refused = wireError{Code: codeConnection, Message: "The token could not be checked right now.", RetryAfter: int(wait.Seconds())}
	e := d.refused
	d.mu.Unlock()
	d.send("error", errorPayload{Error: e})
}

// refuse tells the device why. An error alone leaves it able to recover with a
// new token; only when none comes is it told to stop (see tick).
func (d *device) refuse(r *token.Refusal, e wireError) {
	d.mu.Lock()
	d.refusals++
	d.refused = e
	if !d.in {
		d.stopAt = time.Now().Add(d.server.times.Refused)
	}
	ev := event.Registration{
		At: time.Now(), Account: r.Account, Identity: r.Identity,
		Outcome: event.Refused, Reason: string(r.Reason), Code: e.Code,
		Device: d.descriptionLocked(), Token: r.Features,
	}
	d.mu.Unlock()
	d.server.publish(ev)
	d.send("error", errorPayload{Error: e})
}

// register makes the device callable, or not. It repeats every 30 s.
func (d *device) register(on bool) {
	d.mu.Lock()
	in, callable := d.in, d.claims.Incoming && d.claims.Identity != ""
	expired := in && d.warned
	d.mu.Unlock()
	switch {
	case !in:
		// The refusal was already told; a client replays what it had queued.
		d.server.metrics.refused.WithLabelValues("not_let_in").Inc()
		return
	case on && expired:
		d.send("error", errorPayload{Error: refusal(token.Expired)})
		return
	case !on:
		if d.unregister("", 0) {
			return
		}
		d.send("offline", empty{})
		return
	}
	// A token that may not be called is registered in name only: an error here
	// would end the app's calls out, too.
	if callable && d.server.directory.register(d, true) {
		d.server.metrics.registered.Inc()
		d.publish(event.Registered, "", 0)
		d.send("ready", empty{})
		who, _ := d.party()
		for _, l := range d.server.directory.legsOf(who) {
			l.joinedBy(d)
		}
		return
	}
	d.send("ready", empty{})
}

// unregister tells the device that it is offline if it was registered.
func (d *device) unregister(reason string, code int) bool {
	if !d.server.directory.register(d, false) {
		return false
	}
	d.server.metrics.registered.Dec()
	d.publish(event.Unregistered, reason, code)
	d.send("offline", empty{})
	return true
}

// expire takes a device whose token is long over out of reach. Its connection
// and its calls go on: a fresh token brings it back.
func (d *device) expire() { d.unregister(string(token.ReasonExpired), codeTokenExpired) }

// inCall reports whether a call of the identity is at this connection.
func (d *device) inCall(who party) bool {
	return slices.ContainsFunc(d.server.directory.legsOf(who), func(l *leg) bool { return l.home.Load() == d })
}

// leave parts the connection from the identity it had.
func (d *device) leave() {
	if d.server.directory.register(d, false) {
		d.server.metrics.registered.Dec()
		d.publish(event.Unregistered, "", 0)
	}
	who, _ := d.party()
	for _, l := range d.server.directory.legsOf(who) {
		l.leftBy(d)
	}
}
