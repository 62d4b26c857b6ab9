package sdk

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/event"
	"dialtone/internal/voice/token"
)

// device is one signalling connection. Its frames are handled one after the
// other on the goroutine that reads them.
type device struct {
	server *Server
	id     string
	remote netip.Addr
	origin string // of the page; "" when it is none
	opened time.Time
	log    *slog.Logger
	out    outbox
	bucket bucket
	bad    int          // frames without sense; the reader's
	heard  atomic.Int64 // when the last frame came, in Unix nanoseconds

	mu        sync.Mutex
	beat      time.Time // the last heartbeat
	listened  bool      // a listen came
	claims    token.Claims
	in        bool      // claims are of an accepted token
	refusals  int       // tokens refused on this connection
	refused   wireError // the last refusal, for calls tried nevertheless
	stopAt    time.Time // when to tell the device to stop trying; zero: not refused
	retryAt   time.Time // when to let the device come back, as we could not judge its token; zero: we could
	shut      bool      // the token was revoked: nothing that comes means anything
	fell      *failure  // the last token that did not let the device in
	warned    bool      // the device was told that its token expired
	hold      time.Duration
	sdk       string
	protocol  string
	userAgent string
}

var heartbeat = []byte("\n")

// read handles frames until the socket is gone.
func (d *device) read() {
	for {
		data, err := d.out.socket.Read()
		if err != nil {
			switch {
			case errors.Is(err, errTooLarge):
				d.server.metrics.refused.WithLabelValues("too_large").Inc()
			case errors.Is(err, errNotText):
				d.server.metrics.refused.WithLabelValues("not_text").Inc()
				d.close("not_text", websocket.StatusUnsupportedData, "text frames only")
			}
			return
		}
		now := time.Now()
		d.heard.Store(now.UnixNano())
		d.server.metrics.frames.Inc()
		if !d.bucket.take(now) {
			d.server.metrics.refused.WithLabelValues("rate").Inc()
			d.close("rate", websocket.StatusPolicyViolation, "too many frames")
			return
		}
		if bytes.Equal(data, heartbeat) {
			continue
		}
		if !d.handle(data) {
			return
		}
	}
}

// handle does what a frame says; it returns false when the connection is over.
func (d *device) handle(data []byte) bool {
	msg, version, err := parseFrame(data)
	if err != nil {
		return d.nonsense(err)
	}
	d.mu.Lock()
	first, shut := !d.listened, d.shut
	d.mu.Unlock()
	if shut {
		return false
	}
	if l, ok := msg.(listen); ok {
		d.listen(l, version)
		return d.patient()
	}
	if first {
		d.server.metrics.refused.WithLabelValues("before_listen").Inc()
		d.close("no_listen", websocket.StatusPolicyViolation, "the first frame must be listen")
		return false
	}
	switch m := msg.(type) {
	case register:
		d.register(m.Media.Audio)
	case invite:
		if m.Reconnect != "" {
			d.reconnect(m)
		} else {
			d.invite(m)
		}
	case answer:
		d.withLeg(m.CallSid, func(l *leg) { l.answeredBy(d, m.SDP) })
	case reject:
		if l := d.leg(m.CallSid); l != nil {
			l.rejectedBy(d)
		}
	case hangup:
		if l := d.leg(m.CallSid); l != nil {
			l.hungUpBy(d, cut(m.Message, maxHangupText))
		}
	case dtmf:
		d.withLeg(m.CallSid, func(l *leg) { l.dialledBy(d, cut(m.Digits, maxDigits)) })
	case reinvite:
		d.withLeg(m.CallSid, func(l *leg) { l.reinvitedBy(d, m.SDP) })
	case callMessage:
		d.message(m)
	}
	return true
}

// nonsense counts a frame that means nothing to us. A few are forgiven: a newer
// SDK may say things we do not know.
func (d *device) nonsense(err error) bool {
	why := "not_json"
	switch {
	case errors.Is(err, errUnknownType):
		why = "unknown_type"
	case errors.Is(err, errBadPayload):
		why = "bad_payload"
	}
	d.server.metrics.refused.WithLabelValues(why).Inc()
	d.bad++
	if d.bad > d.server.limits.BadFrames {
		d.close(why, websocket.StatusPolicyViolation, "frames that are not understood")
		return false
	}
	return true
}

// leg returns the identity's leg that the client means, nil if there is none (any more).
func (d *device) leg(id string) *leg {
	who, in := d.party()
	if in && id != "" && len(id) <= maxCallSid {
		if l := d.server.directory.leg(who, id); l != nil {
			return l
		}
	}
	d.server.metrics.refused.WithLabelValues("no_call").Inc()
	return nil
}

// withLeg does something with the leg that the client means. If there is none,
// the client is told, or it would keep a call that nobody else has.
func (d *device) withLeg(id string, f func(*leg)) {
	if l := d.leg(id); l != nil {
		f(l)
		return
	}
	d.send("hangup", callPayload{CallSid: cut(id, maxCallSid), Error: &wireError{Code: codeNotFound, Message: "There is no such call."}})
}

func (d *device) party() (party, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return party{d.claims.Account, d.claims.Identity}, d.in
}

// legacy reports whether the device speaks the protocol of twilio-client, which
// knows no reconnect: its calls just go on over its next socket.
func (d *device) legacy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return legacyProtocol(d.sdk, d.protocol)
}

// page tells a v1 page that came back from others, as well as can be.
func (d *device) page() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sdk + " " + d.userAgent
}

func legacyProtocol(sdk, protocol string) bool {
	if sdk != "" {
		return strings.HasPrefix(sdk, "1.")
	}
	return protocol != "" && protocol < "1.6"
}

func (d *device) description() event.Device {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.descriptionLocked()
}

func (d *device) descriptionLocked() event.Device {
	e := event.Device{Connection: d.id, SDK: d.sdk, Protocol: d.protocol, Browser: d.userAgent, Origin: d.origin}
	if d.remote.IsValid() {
		e.Remote = d.remote.String()
	}
	return e
}

func (d *device) send(kind string, payload any) bool { return d.out.send(encode(kind, payload)) }

// close ends the connection by our decision, after what is queued.
func (d *device) close(why string, code websocket.StatusCode, reason string) {
	d.server.metrics.closed.WithLabelValues(why).Inc()
	d.out.farewell(code, reason)
}

// patient returns false when the device had too many tokens refused.
func (d *device) patient() bool {
	d.mu.Lock()
	over := d.refusals >= d.server.limits.Refusals
	d.mu.Unlock()
	if over {
		d.send("close", empty{})
		d.close("refused", websocket.StatusPolicyViolation, "too many refused tokens")
		return false
	}
	return true
}

// tick does what is due: it is called about once a second.
func (d *device) tick(now time.Time) {
	t := d.server.times
	if now.Sub(time.Unix(0, d.heard.Load())) > t.Silence {
		d.log.Debug("device connection lost: nothing was heard")
		d.server.metrics.closed.WithLabelValues("silent").Inc()
		d.out.cut()
		return
	}
	d.mu.Lock()
	beat := now.Sub(d.beat) >= t.Heartbeat
	if beat {
		d.beat = now
	}
	noListen := !d.listened && now.Sub(d.opened) >= t.Listen
	stop := !d.stopAt.IsZero() && !now.Before(d.stopAt)
	if stop {
		d.stopAt = time.Time{}
	}
	retry := !d.retryAt.IsZero() && !now.Before(d.retryAt)
	expired := d.in && !d.claims.Expires.IsZero() && !now.Before(d.claims.Expires)
	warn := expired && !d.warned
	if warn {
		d.warned = true
	}
	unreach := expired && now.Sub(d.claims.Expires) >= t.ExpiryGrace
	d.mu.Unlock()
	switch {
	case noListen:
		d.close("no_listen", websocket.StatusPolicyViolation, "no listen came")
		return
	case stop:
		d.send("close", empty{})
		d.close("refused", websocket.StatusPolicyViolation, "the token was refused")
		return
	case retry:
		d.close("not_judged", websocket.StatusTryAgainLater, "the token could not be checked")
		return
	}
	if beat {
		d.out.send(heartbeat)
	}
	if warn {
		d.send("error", errorPayload{Error: refusal(token.Expired)})
	}
	if unreach {
		d.expire()
	}
}

// gone cleans up after the socket.
func (d *device) gone() {
	d.out.finish()
	left := d.server.directory.remove(d)
	for _, l := range left.legs {
		l.lost(d)
	}
	if !left.in {
		return
	}
	if left.registered {
		d.server.metrics.registered.Dec()
	}
	switch {
	case !left.stillConnected:
		d.publish(event.Lost, "", 0)
	case left.registered:
		d.publish(event.Unregistered, "", 0)
	}
}

func (d *device) publish(outcome event.RegistrationOutcome, reason string, code int) {
	d.mu.Lock()
	e := event.Registration{
		At: time.Now(), Account: d.claims.Account, Identity: d.claims.Identity,
		Outcome: outcome, Reason: reason, Code: code, App: d.claims.OutgoingApp,
		Device: d.descriptionLocked(), Token: d.claims.Features,
	}
	d.mu.Unlock()
	d.server.publish(e)
}
