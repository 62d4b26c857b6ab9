package carrier

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// invite takes a call from the node, from the INVITE to its end.
func (c *Carrier) invite(req *sip.Request, tx sip.ServerTransaction) {
	if to := req.To(); to != nil && to.Params.Has("tag") {
		c.reinvite(req, tx)
		return
	}
	if c.o.Challenge && !c.authorized(req, tx, 407) {
		return
	}
	if unknown := unsupported(req); unknown != "" {
		c.refuse(req, tx, 420, "Bad Extension", sip.NewHeader("Unsupported", unknown))
		return
	}
	d, err := answering(c.end, req)
	if err != nil {
		c.refuse(req, tx, 400, "Bad Request")
		return
	}
	number := dialled(req.Recipient.User)
	plan, known := c.plan(number)
	k, err := c.newCall(d, FromNode, number, dialled(req.From().Address.User), plan.codecs)
	if err != nil {
		c.log.Error("no socket for the call's audio", "error", err)
		c.refuse(req, tx, 500, "Server Internal Error")
		return
	}
	if !c.add(k) {
		k.cancel()
		k.audio.conn.Close()
		c.refuse(req, tx, 503, "Service Unavailable")
		return
	}
	c.log.Info("call from the node", "call", d.callID.Value(), "number", phone(number), "from", phone(k.from), "known", known)
	a := &incoming{call: k, req: req, tx: tx, plan: plan}
	a.serve()
	k.finish()
}

// incoming is a call from the node on its way to an answer.
type incoming struct {
	*call
	req      *sip.Request
	tx       sip.ServerTransaction
	plan     plan
	canceled atomic.Bool
}

// serve goes from the INVITE to the end of the call.
func (a *incoming) serve() {
	if !a.tx.OnCancel(func(*sip.Request) {
		a.canceled.Store(true)
		a.hangUp(EndedThere)
	}) {
		a.canceled.Store(true)
	}
	body, ok := a.negotiate()
	if !ok || !a.announce(body) {
		return
	}
	a.sound()
	if !a.answer(200, "OK") {
		a.gaveUp()
		return
	}
	ack, ok := a.accept(a.req, a.tx, body)
	switch {
	case a.canceled.Load(): // the CANCEL was first: no 200 left
		a.unanswered()
		return
	case !ok:
		a.hangUp(EndedHere)
		return
	case a.late():
		if answer, err := parseSDP(ack.Body()); err != nil || !a.agreeTo(answer) {
			a.hangUp(EndedHere)
			return
		}
	}
	if a.plan.then != nil {
		a.runs.Go(func() { a.plan.then(a.call) })
	}
	<-a.ctx.Done()
}

// late reports that the node left the offer to us (RFC 3261, 13.2.1).
func (a *incoming) late() bool { return len(a.req.Body()) == 0 }

// negotiate turns the offer into the body to answer with, and refuses what
// the number refuses.
func (a *incoming) negotiate() ([]byte, bool) {
	if a.plan.refuse != 0 {
		a.reject(a.plan.refuse, a.plan.reason)
		return nil, false
	}
	if a.plan.reliable && !lists(a.req, "Supported", "100rel") && !lists(a.req, "Require", "100rel") {
		a.reject(421, "Extension Required", sip.NewHeader("Require", "100rel"))
		return nil, false
	}
	if a.plan.voice != nil {
		a.audio.say(a.plan.voice())
	}
	a.audio.echo = a.plan.echo
	if a.late() {
		return a.describe(), true
	}
	offer, err := parseSDP(a.req.Body())
	if err == nil {
		if body, ok := a.answerTo(offer); ok {
			return body, true
		}
	}
	a.reject(488, "Not Acceptable Here")
	return nil, false
}

// announce rings or talks as long as the number does so before it answers.
// False: the call is over.
func (a *incoming) announce(body []byte) bool {
	wait := a.carrier.o.Ring
	switch {
	case a.plan.early:
		a.sound()
		if !a.progress(body) {
			return false
		}
		wait = a.carrier.o.Step
	case a.plan.never || wait > 0:
		a.respond(180, "Ringing", nil)
	}
	if a.plan.early || a.plan.never || wait > 0 {
		a.rings()
	}
	if a.plan.never {
		<-a.ctx.Done()
	}
	if wait > 0 && !a.pause(wait) || a.ctx.Err() != nil {
		a.gaveUp()
		return false
	}
	return true
}

// progress sends the 183, again and again until its PRACK comes if it must be
// acknowledged (RFC 3262, 3).
func (a *incoming) progress(body []byte) bool {
	if !a.plan.reliable {
		a.respond(183, "Session Progress", body)
		return true
	}
	a.mu.Lock()
	a.prack = make(chan struct{})
	a.mu.Unlock()
	give := time.NewTimer(64 * sip.T1)
	defer give.Stop()
	for wait := sip.T1; ; wait *= 2 {
		a.respond(183, "Session Progress", body, sip.NewHeader("Require", "100rel"), sip.NewHeader("RSeq", strconv.Itoa(firstRSeq)))
		again := time.NewTimer(wait)
		select {
		case <-a.prack:
			again.Stop()
			return true
		case <-again.C:
		case <-give.C:
			a.reject(504, "Server Time-out")
			return false
		case <-a.ctx.Done():
			again.Stop()
			a.gaveUp()
			return false
		}
	}
}

// firstRSeq numbers the one reliable response that a call has.
const firstRSeq = 1

// prack acknowledges a reliable provisional response.
func (c *Carrier) prack(req *sip.Request, tx sip.ServerTransaction) {
	k := c.find(req)
	if k == nil || !k.dialog.follows(req) {
		c.refuse(req, tx, 481, "Call/Transaction Does Not Exist")
		return
	}
	h := req.GetHeader("RAck")
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.prack == nil || h == nil || !strings.HasPrefix(h.Value(), strconv.Itoa(firstRSeq)+" ") {
		c.refuse(req, tx, 481, "Call/Transaction Does Not Exist")
		return
	}
	select {
	case <-k.prack:
	default:
		close(k.prack)
	}
	c.refuse(req, tx, 200, "OK")
}

func (a *incoming) respond(status int, reason string, body []byte, headers ...sip.Header) {
	tag, _ := a.dialog.local.Params.Get("tag")
	if _, err := a.carrier.end.respond(a.tx, a.req, tag, status, reason, body, headers...); err != nil {
		a.carrier.log.Debug("response not sent", "status", status, "error", err)
	}
}

// reject answers with a final status of ours.
func (a *incoming) reject(status int, reason string, headers ...sip.Header) {
	a.refused(status, reason, EndedHere)
	a.respond(status, reason, nil, headers...)
}

// gaveUp ends a call that was not answered when its context ended: the node
// canceled it, or the carrier stops.
func (a *incoming) gaveUp() {
	if a.canceled.Load() { // sipgo has sent the 487
		a.refused(487, "Request Terminated", EndedThere)
		return
	}
	a.mu.Lock()
	by := a.endedBy
	a.mu.Unlock()
	if by == EndedThere { // a BYE in the early dialog
		a.refused(487, "Request Terminated", EndedThere)
		a.respond(487, "Request Terminated", nil)
		return
	}
	a.reject(503, "Service Unavailable")
}

// unanswered takes an answer back that the node never saw.
func (a *incoming) unanswered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered, a.status, a.reason = time.Time{}, 487, "Request Terminated"
}

// accept sends a 200 to an INVITE until its ACK comes (RFC 3261, 13.3.1.4).
func (k *call) accept(req *sip.Request, tx sip.ServerTransaction, body []byte) (*sip.Request, bool) {
	seq := req.CSeq().SeqNo
	acked := make(chan *sip.Request, 1)
	k.mu.Lock()
	k.acks[seq] = acked
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(k.acks, seq)
		k.mu.Unlock()
	}()

	tag, _ := k.dialog.local.Params.Get("tag")
	res, err := k.carrier.end.respond(tx, req, tag, 200, "OK", body)
	if err != nil {
		return nil, false
	}
	wait := sip.T1
	again, give := time.NewTimer(wait), time.NewTimer(64*sip.T1)
	defer again.Stop()
	defer give.Stop()
	for {
		select {
		case ack := <-acked:
			return ack, true
		case ack := <-tx.Acks(): // with the INVITE's own branch, as old agents send it
			return ack, true
		case <-again.C:
			if err := tx.Respond(res); err != nil {
				return nil, false
			}
			wait = min(2*wait, sip.T2)
			again.Reset(wait)
		case <-give.C:
			k.carrier.log.Warn("no ACK", "call", k.dialog.callID.Value())
			return nil, false
		case <-k.ctx.Done():
			return nil, false
		}
	}
}

func (c *Carrier) ack(req *sip.Request, _ sip.ServerTransaction) {
	k := c.find(req)
	if k == nil || req.CSeq() == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if waiting := k.acks[req.CSeq().SeqNo]; waiting != nil {
		select {
		case waiting <- req:
		default: // a second one
		}
	}
}

func (c *Carrier) bye(req *sip.Request, tx sip.ServerTransaction) {
	k := c.find(req)
	if k == nil {
		c.refuse(req, tx, 481, "Call/Transaction Does Not Exist")
		return
	}
	c.refuse(req, tx, 200, "OK")
	k.hangUp(EndedThere)
}

// inDialog answers what is understood and needs nothing done: INFO.
func (c *Carrier) inDialog(req *sip.Request, tx sip.ServerTransaction) {
	if k := c.find(req); k == nil || !k.dialog.follows(req) {
		c.refuse(req, tx, 481, "Call/Transaction Does Not Exist")
		return
	}
	c.refuse(req, tx, 200, "OK")
}

// unsupported returns the extensions that a request requires and we lack.
func unsupported(req *sip.Request) string {
	var unknown []string
	for _, tag := range tags(req, "Require") {
		if tag != "100rel" && tag != "timer" {
			unknown = append(unknown, tag)
		}
	}
	return strings.Join(unknown, ", ")
}

func lists(req *sip.Request, header, tag string) bool { return slices.Contains(tags(req, header), tag) }

func tags(req *sip.Request, header string) []string {
	var all []string
	for _, h := range req.GetHeaders(header) {
		for tag := range strings.SplitSeq(h.Value(), ",") {
			all = append(all, strings.ToLower(strings.TrimSpace(tag)))
		}
	}
	return all
}
