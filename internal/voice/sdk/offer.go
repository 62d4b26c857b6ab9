package sdk

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/rtc"
)

// offered is what a leg needs that a device called with, until it is answered.
type offered struct {
	sdp    string
	rings  bool   // the switchboard asked for ringing
	early  bool   // with audio
	said   bool   // the device was told
	sdpOut string // our answer, when formats are agreed
	given  bool   // the device has it
	named  bool   // the device knows the call by our id
}

// invite is a device's new call.
func (d *device) invite(m invite) {
	s := d.server
	refuse := func(code int, text string) {
		s.metrics.refused.WithLabelValues("call").Inc()
		d.send("hangup", callPayload{CallSid: cut(m.CallSid, maxCallSid), Error: &wireError{Code: code, Message: text}})
	}
	d.mu.Lock()
	claims, in, expired, refused := d.claims, d.in, d.warned, d.refused
	d.mu.Unlock()
	params, err := m.params()
	switch {
	case m.CallSid == "" || len(m.CallSid) > maxCallSid || m.SDP == "":
		refuse(codeBadRequest, "The invite has no call id or no SDP.")
		return
	case !in:
		refuse(orCode(refused.Code, codeTokenInvalid), "The token was refused.")
		return
	case expired:
		refuse(codeTokenExpired, "The token is expired.")
		return
	case !claims.Outgoing:
		refuse(codeAuthorization, "The token does not allow outgoing calls.")
		return
	case err != nil:
		refuse(codeParamsTooLong, "The call's parameters are too long.")
		return
	case s.draining.Load():
		refuse(endCodes[call.Shutdown], endTexts[call.Shutdown])
		return
	}
	codecs, err := rtc.Offered(m.SDP)
	if err != nil {
		refuse(codeBadRequest, "The SDP cannot be used.")
		return
	}
	for key, values := range claims.OutgoingParams {
		params[key] = slices.Clone(values)
	}

	// connect() ignores what rings at this device, without a word to us.
	for _, ringing := range s.directory.ringingAt(d) {
		ringing.ignoredBy(d)
	}

	l := newLeg(s, call.NewLegID(), party{claims.Account, claims.Identity})
	l.temporary = m.CallSid
	l.offered = &offered{sdp: m.SDP}
	l.remote = fingerprintOf(m.SDP)
	l.settle(d)
	taken, full := s.directory.addLeg(l, s.limits.CallsPerParty)
	if taken {
		return // the same invite again
	}
	if full {
		refuse(codeRate, "Too many calls of this client at once.")
		return
	}
	s.directory.dials(d, l, true)
	s.metrics.legs.WithLabelValues(l.direction()).Inc()
	o := call.Offer{
		Call: call.ID(l.id), Leg: l.id, Account: claims.Account,
		From: call.Client(claims.Identity), To: destination(params.Get("To")),
		Codecs: codecs, Params: params, At: time.Now(),
	}
	l.strand.Post(func() {
		if d.isShut() { // perhaps before this leg was known, so that its end was told to the others alone
			l.say("hangup", callPayload{CallSid: l.sid(), Error: endError(call.Forbidden)})
			l.finish(call.Forbidden, endCodes[call.Forbidden])
			return
		}
		report, err := s.o.Exchange.Offer(o, l)
		if err != nil {
			cause := refusedCause(err)
			l.log.Info("call of a device was refused", "cause", cause, "err", err)
			l.say("hangup", callPayload{CallSid: l.sid(), Error: endError(cause)})
			l.finish(cause, endCodes[cause])
			return
		}
		l.report = report
	})
}

func orCode(code, fallback int) int {
	if code == 0 {
		return fallback
	}
	return code
}

// destination reads a To parameter: "client:NAME", or a phone number however it
// is punctuated. Anything else is for the Director to make sense of.
func destination(to string) call.Address {
	to = strings.TrimSpace(to)
	if name, ok := strings.CutPrefix(to, "client:"); ok {
		return call.Client(name)
	}
	number := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -.()/\u00a0", r) {
			return -1
		}
		return r
	}, to)
	digits := strings.TrimPrefix(number, "+")
	if len(digits) < 2 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return call.Address{}
	}
	return call.Phone(number)
}

// Ringing implements switchboard.Leg.
func (l *leg) Ringing(early bool, codecs []call.Codec) {
	codecs = slices.Clone(codecs)
	l.strand.Post(func() {
		o := l.offered
		if l.done || o == nil || l.answered {
			return
		}
		if early && o.sdpOut == "" {
			if !l.agree(codecs) {
				return
			}
		}
		again := o.rings && (!early || o.early)
		o.rings, o.early = true, o.early || early
		if !again {
			o.said = false
			l.sayRinging()
		}
	})
}

// sayRinging tells the device, unless another call rings there that nobody has
// answered: the SDKs take any ringing as meant for every call they have, and
// would give that one this call's id. It is told when the other no longer rings.
func (l *leg) sayRinging() {
	d, o := l.home.Load(), l.offered
	if d == nil || o.said || !o.rings || l.answered || len(l.server.directory.ringingAt(d)) > 0 {
		return
	}
	p := callPayload{CallSid: string(l.id)}
	if o.early && !o.given {
		p.SDP, o.given = o.sdpOut, true
	}
	o.said, o.named = true, true
	l.say("ringing", p)
}

// resumeRinging is called when nothing else rings at the device any more.
func (l *leg) resumeRinging() {
	l.strand.Post(func() {
		if !l.done && l.offered != nil {
			l.sayRinging()
		}
	})
}

// agree negotiates with the device's offer; on failure the leg is over.
func (l *leg) agree(codecs []call.Codec) bool {
	o := l.offered
	p, err := l.newPeer()
	if err == nil {
		o.sdpOut, err = p.Answer(o.sdp, preference(codecs))
	}
	if err == nil {
		return true
	}
	const cause = call.MediaFailed
	l.log.Warn("no audio agreed with a device's offer", "err", err)
	l.say("hangup", callPayload{CallSid: l.sid(), Error: endError(cause)})
	l.finish(cause, endCodes[cause])
	return false
}

// Answer implements switchboard.Leg.
func (l *leg) Answer(codecs []call.Codec) {
	codecs = slices.Clone(codecs)
	l.strand.Post(func() {
		o := l.offered
		if l.done || o == nil || l.answered {
			return
		}
		if o.sdpOut == "" && !l.agree(codecs) {
			return
		}
		p := callPayload{CallSid: string(l.id), Reconnect: l.nextToken()}
		if !o.given {
			p.SDP, o.given = o.sdpOut, true
		}
		o.named = true
		l.say("answer", p)
		if d := l.home.Load(); d != nil {
			l.server.directory.dials(d, l, false)
		}
		l.up()
	})
}

// callerLost is called when the device of an unanswered call is gone. v2 has
// then given the call up silently; v1 goes on with it over its next socket.
func (l *leg) callerLost() {
	if !l.legacy {
		l.finish(call.SignalLost, endCodes[call.SignalLost])
		return
	}
	l.holding.Set(l.strand, l.hold, func() { l.finish(call.SignalLost, endCodes[call.SignalLost]) })
}

// ourCodecs is our order where nobody says otherwise: what carriers speak first,
// and what is dear to translate last.
var ourCodecs = [...]call.Codec{call.PCMU, call.PCMA, call.Opus}

// preference puts the wanted codecs before our others. With a wanted one that the
// device has, too, the call's audio is forwarded as it is; with any other it is
// translated where the two legs are bridged.
func preference(wanted []call.Codec) []call.Codec {
	list := slices.Clone(wanted)
	for _, c := range ourCodecs {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

var errNoDevice = errors.New("no device of this identity is registered")

// inviteParameters is what an invite tells the device about the call.
func inviteParameters(l *leg, d call.Dial) map[string]string {
	p := map[string]string{
		"CallSid": string(l.id), "From": d.From.String(), "To": "client:" + l.who.identity,
		"AccountSid": l.who.account, "ApiVersion": "2010-04-01",
	}
	shown := url.Values{}
	maps.Copy(shown, d.Params)
	if status := shown.Get("StirStatus"); status != "" {
		p["StirStatus"] = status
		shown.Del("StirStatus")
	}
	if len(shown) > 0 {
		p["Params"] = shown.Encode()
	}
	return p
}
