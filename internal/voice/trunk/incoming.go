package trunk

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/trunk/sdp"
	"dialtone/internal/voice/trunk/transaction"
)

// incoming is how a call came: the INVITE's transaction until it is answered and
// acknowledged.
type incoming struct {
	leg      *leg
	tx       *transaction.Server
	offer    []byte // SDP of the INVITE, nil for a late offer
	agreed   bool   // formats are agreed, or offered, by a provisional response
	settled  bool   // and the far end acknowledged that response with PRACK
	rings    bool   // 180 was sent
	early    bool   // our audio is let through before the answer
	answered bool   // Answer was called
	reliable reliable
	byeCause call.EndCause // set when the leg ended before the ACK came
}

// retryAfter is how long a carrier should stay away when we are full or stopping, in seconds.
const retryAfter = "5"

// invited takes a new INVITE.
func (s *Server) invited(tx *transaction.Server) {
	req := tx.Request
	c, ok := s.authenticated(tx)
	if !ok {
		return
	}
	count := func(status int) { s.metrics.call(c.Name, "inbound", status) }
	refuse := func(status int, headers ...sip.Header) {
		res := transaction.NewResponse(req, status, newTag())
		for _, h := range headers {
			res.AppendHeader(h)
		}
		if status == sip.StatusServiceUnavailable {
			res.AppendHeader(sip.NewHeader("Retry-After", retryAfter))
		}
		tx.Respond(res)
		count(status)
	}
	if s.isDraining() {
		refuse(sip.StatusServiceUnavailable)
		return
	}
	status, headers, offer := s.judge(req, c.policy(tx.From.Network), c.mayTellKeys(tx.From.Network))
	if status != 0 {
		refuse(status, headers...)
		return
	}
	mergeKey := ""
	if tag, _ := req.From().Params.Get("tag"); tag != "" {
		// The same call by another way (RFC 3261 8.2.2.2).
		mergeKey = "invite|" + dialogKey(string(*req.CallID()), tag)
		s.mu.Lock()
		twice := s.legs[mergeKey] != nil
		s.mu.Unlock()
		if twice {
			refuse(sip.StatusLoopDetected)
			return
		}
	}
	if !c.enter(false) {
		refuse(sip.StatusServiceUnavailable)
		return
	}
	tx.Answer(sip.StatusTrying, "")
	id := call.NewLegID()
	l, err := s.newLeg(id)
	if err != nil {
		c.leave()
		s.log.Error("no audio port for a call", "trunk", c.Name, "error", err)
		refuse(sip.StatusServiceUnavailable)
		return
	}
	tag := newTag()
	l.carrier, l.codecs = c, c.Codecs
	l.log = l.log.With("trunk", c.Name)
	l.dialog = dialogOf(req, tx.From, tag, c)
	l.dialog.seq = rand.Uint32N(1 << 16)
	l.local.Addr = s.mediaAddr(c, tx.From.Addr.Addr())
	l.in = &incoming{leg: l, tx: tx, offer: offer}
	l.keys = []string{dialogKey(l.dialog.callID, tag)}
	if mergeKey != "" {
		l.keys = append(l.keys, mergeKey)
	}
	for _, k := range l.keys {
		s.addLeg(k, l)
	}
	tx.OnCancel(func() { l.queue.Post(l.in.cancelled) })
	l.queue.Post(func() { l.in.begin(req) })
}

// authenticated finds the carrier that a call comes from, or challenges it.
func (s *Server) authenticated(tx *transaction.Server) (*carrier, bool) {
	c := s.carrierAt(tx.From.Addr)
	if c == nil {
		return nil, false // known a moment ago; it was told nothing then, and is not now
	}
	if !c.InboundAuth {
		return c, true
	}
	now, old := time.Now(), false
	for _, other := range s.carriers {
		if !other.InboundAuth || !other.knows(tx.From.Addr.Addr()) {
			continue
		}
		switch s.guard.check(tx.Request, other.Username, other.Password, realm(other), now) {
		case authorized:
			return other, true
		case outdated:
			old = true
		case unauthorized:
		}
	}
	res := transaction.NewResponse(tx.Request, sip.StatusUnauthorized, newTag())
	s.guard.challenge(res, realm(c), now, old)
	tx.Respond(res)
	s.metrics.call(c.Name, "inbound", sip.StatusUnauthorized)
	return nil, false
}

func realm(c *carrier) string { return c.FromDomain }

// judge says whether an INVITE can be taken: status 0, or why not. p is what holds
// for its audio, keys whether they may be told.
func (s *Server) judge(req *sip.Request, p sdp.Policy, keys bool) (status int, headers []sip.Header, offer []byte) {
	if scheme := req.Recipient.Scheme; scheme != "sip" && scheme != "sips" && scheme != "tel" {
		return 416, nil, nil
	}
	if unknown := unknownOptions(req); unknown != "" {
		return sip.StatusBadExtension, []sip.Header{sip.NewHeader("Unsupported", unknown)}, nil
	}
	if h := req.GetHeader("accept"); h != nil && !accepts(req) {
		return sip.StatusNotAcceptable, nil, nil
	}
	if se, _, ok := sessionExpires(req); ok && se < minSessionExpires {
		return 422, []sip.Header{minSE()}, nil
	}
	if p == sdp.Required && !keys {
		return sip.StatusNotAcceptableHere, []sip.Header{warning(sdp.ErrNoKeys)}, nil
	}
	offer = descriptionOf(req)
	if offer == nil {
		if len(req.Body()) > 0 {
			return sip.StatusUnsupportedMediaType, []sip.Header{sip.NewHeader("Accept", "application/sdp")}, nil
		}
		return 0, nil, nil
	}
	far, err := sdp.Parse(offer)
	if err != nil {
		return sip.StatusBadRequest, nil, nil
	}
	if _, m, err := sdp.Choose(far, []call.Codec{call.PCMU, call.PCMA}, p); err != nil {
		return sip.StatusNotAcceptableHere, []sip.Header{warning(err)}, nil
	} else if !m.Keyed(p) {
		return sip.StatusNotAcceptableHere, []sip.Header{warning(sdp.ErrNoKeys)}, nil
	}
	return 0, nil, offer
}

// accepts reports whether the caller would understand our SDP.
func accepts(req *sip.Request) bool {
	for _, t := range tokens(req, "accept") {
		t, _, _ = strings.Cut(t, ";")
		switch strings.ToLower(strings.TrimSpace(t)) {
		case "application/sdp", "application/*", "*/*":
			return true
		}
	}
	return false
}

// warning says what was wrong with a description (RFC 3261 20.43).
func warning(err error) sip.Header {
	text := `305 dialtone "Incompatible media format"`
	switch {
	case errors.Is(err, sdp.ErrNoAudio):
		text = `304 dialtone "Media type not available"`
	case errors.Is(err, sdp.ErrNoKeys):
		text = `399 dialtone "No usable SRTP keys"`
	}
	return sip.NewHeader("Warning", text)
}

// begin offers the call to the exchange.
func (in *incoming) begin(req *sip.Request) {
	l := in.leg
	if l.over {
		return
	}
	c := l.dialog.carrier
	from, verified := caller(req, c.Country)
	o := call.Offer{
		Call: call.ID(l.id), Leg: l.id, Account: c.Account, From: from, To: called(req, &c.Trunk), Trunk: c.Name,
		Codecs: c.Codecs, Verified: verified, At: time.Now(),
	}
	if in.offer != nil {
		if far, err := sdp.Parse(in.offer); err == nil {
			if _, m, err := sdp.Choose(far, c.Codecs, l.dialog.policy); err == nil {
				o.Codecs = m.Codecs()
			} else {
				in.refuse(sip.StatusNotAcceptableHere) // a trunk for one of the two codecs alone
				return
			}
		}
	}
	l.log.Info("carrier call offered", "from", phone(from.Number), "to", phone(o.To.Number))
	report, err := l.s.o.Exchange.Offer(o, l)
	if err != nil {
		l.over = true // nothing was begun, nothing is reported
		l.log.Info("carrier call refused", "error", err)
		in.refuse(refusal(err))
		return
	}
	l.report = report
}

// ringing lets the caller hear that it rings, with early media if asked for.
func (l *leg) ringing(early bool, codecs []call.Codec) {
	in := l.in
	switch {
	case in.answered || in.early || in.rings && !early:
		return
	case early && in.offer != nil:
		body, err := l.reply(l.dialog, in.offer, codecs)
		if err != nil {
			l.log.Info("early media not agreed", "error", err)
			return
		}
		in.agreed, in.early = true, true
		in.provisional(sip.StatusSessionInProgress, body)
	case early && in.canReliable():
		// The caller left the offer to us: it can go out before the answer only in a
		// response that is acknowledged (RFC 3262 5).
		in.agreed, in.early, l.lateOffer = true, true, true
		in.provisional(sip.StatusSessionInProgress, l.describe(l.dialog, l.preference(codecs), sdp.SendRecv))
	default:
		in.rings = true
		in.provisional(sip.StatusRinging, nil)
	}
}

// response begins a response within the dialog that the INVITE makes.
func (in *incoming) response(status int) *sip.Response {
	l := in.leg
	res := transaction.NewResponse(in.tx.Request, status, l.dialog.localTag)
	res.AppendHeader(l.s.contact(l.dialog.carrier, in.tx.From))
	res.AppendHeader(sip.NewHeader("Allow", allowed))
	res.AppendHeader(sip.NewHeader("Supported", supported))
	return res
}

// answer says yes.
func (l *leg) answer(codecs []call.Codec) {
	in := l.in
	if in.answered {
		return
	}
	in.answered = true
	// RFC 3262 5: a description that waits for its PRACK comes first.
	in.reliable.whenQuiet(func() { in.accept(codecs) })
}

func (in *incoming) accept(codecs []call.Codec) {
	l := in.leg
	if l.over || l.up {
		return
	}
	res := in.response(sip.StatusOK)
	l.acceptSession(in.tx.Request, res)
	switch {
	case in.settled: // both descriptions were exchanged already
	case in.agreed && in.offer != nil:
		withSDP(res, l.said)
	case in.offer != nil:
		body, err := l.reply(l.dialog, in.offer, codecs)
		if err != nil {
			l.down(call.NoCodec, sip.StatusNotAcceptableHere)
			in.refuse(sip.StatusNotAcceptableHere)
			return
		}
		in.agreed = true
		withSDP(res, body)
	default:
		l.lateOffer = true
		withSDP(res, l.describe(l.dialog, l.preference(codecs), sdp.SendRecv))
	}
	l.up = true
	in.tx.Respond(res)
	l.s.metrics.call(l.dialog.carrier.Name, "inbound", sip.StatusOK)
	l.repeat.start(l, in.tx, func() {
		// RFC 3261 13.3.1.4: answered, but the caller never said so.
		l.down(call.CarrierError, sip.StatusRequestTimeout)
		l.bye(call.CarrierError)
	})
	if !l.lateOffer {
		l.tellUp()
	}
}

// acknowledged: the ACK of our 200 came, with the answer if the offer was ours.
func (in *incoming) acknowledged(req *sip.Request, late bool) {
	l := in.leg
	if in.byeCause != "" {
		l.bye(in.byeCause)
		return
	}
	if !late {
		return
	}
	err := sdp.ErrNoAudio
	if body := descriptionOf(req); body != nil {
		err = l.takeAnswer(l.dialog, body)
	}
	if err != nil {
		l.log.Info("no common format in the ACK", "error", err)
		l.down(call.NoCodec, sip.StatusNotAcceptableHere)
		l.bye(call.NoCodec)
		return
	}
	l.tellUp()
}

// cancelled: the caller gave up before an answer.
func (in *incoming) cancelled() {
	if in.leg.up || in.leg.closed {
		return
	}
	in.leg.down(call.Cancelled, 0)
	in.refuse(sip.StatusRequestTerminated)
}

// refuse ends the call before it was answered.
func (in *incoming) refuse(status int) {
	l := in.leg
	if l.up || l.closed {
		return
	}
	in.stop()
	res := transaction.NewResponse(in.tx.Request, status, l.dialog.localTag)
	if status == sip.StatusServiceUnavailable {
		res.AppendHeader(sip.NewHeader("Retry-After", retryAfter))
	}
	if status == sip.StatusNotAcceptableHere {
		res.AppendHeader(warning(sdp.ErrNoCodec))
	}
	in.tx.Respond(res)
	l.s.metrics.call(l.dialog.carrier.Name, "inbound", status)
	l.release()
}

func (in *incoming) stop() { in.reliable.stop() }

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
