package trunk

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/strand"
	"dialtone/internal/voice/trunk/transaction"
)

// reliable repeats a provisional response until its PRACK comes (RFC 3262 3).
// What is to follow waits until then.
type reliable struct {
	rseq    uint32
	waiting bool
	wait    time.Duration
	timer   strand.Alarm
	limit   strand.Alarm
	next    []func()
}

// canReliable reports whether the caller understands reliable responses.
func (in *incoming) canReliable() bool {
	return has(in.tx.Request, "require", "100rel") || has(in.tx.Request, "supported", "100rel")
}

// provisional sends a response, reliably where the caller or the trunk's
// configuration demands it, or where it carries an offer of ours.
func (in *incoming) provisional(status int, body []byte) {
	l := in.leg
	res := in.response(status)
	if body != nil {
		withSDP(res, body)
	}
	must := has(in.tx.Request, "require", "100rel") || in.canReliable() && (l.dialog.carrier.Require100rel || l.lateOffer)
	if !must {
		in.tx.Respond(res)
		return
	}
	in.reliable.whenQuiet(func() {
		if l.over || l.up {
			return
		}
		r := &in.reliable
		if r.rseq == 0 {
			r.rseq = rand.Uint32N(1<<16) + 1
		} else {
			r.rseq++
		}
		res.AppendHeader(sip.NewHeader("Require", "100rel"))
		res.AppendHeader(sip.NewHeader("RSeq", fmt.Sprint(r.rseq)))
		r.waiting, r.wait = true, l.s.timers.T1
		in.tx.Respond(res)
		r.limit.Set(l.queue, 64*l.s.timers.T1, func() {
			l.down(call.CarrierError, sip.StatusGatewayTimeout)
			in.refuse(sip.StatusGatewayTimeout)
		})
		r.repeat(l, in.tx)
	})
}

func (r *reliable) repeat(l *leg, tx *transaction.Server) {
	r.timer.Set(l.queue, r.wait, func() {
		tx.Repeat()
		r.wait *= 2
		r.repeat(l, tx)
	})
}

// whenQuiet runs f when no response waits for its PRACK.
func (r *reliable) whenQuiet(f func()) {
	if r.waiting {
		r.next = append(r.next, f)
		return
	}
	f()
}

func (r *reliable) stop() {
	r.waiting, r.next = false, nil
	r.timer.Stop()
	r.limit.Stop()
}

// pracked takes a PRACK.
func (l *leg) pracked(tx *transaction.Server) {
	var rseq, seq uint32
	var method string
	if h := tx.Request.GetHeader("rack"); h != nil {
		_, _ = fmt.Sscan(h.Value(), &rseq, &seq, &method)
	}
	in := l.in
	if in == nil || !in.reliable.waiting || rseq != in.reliable.rseq ||
		seq != in.tx.Request.CSeq().SeqNo || !strings.EqualFold(method, "INVITE") {
		tx.Answer(sip.StatusCallTransactionDoesNotExists, "")
		return
	}
	res := transaction.NewResponse(tx.Request, sip.StatusOK, "")
	body := descriptionOf(tx.Request)
	switch {
	case l.lateOffer: // the response carried our offer
		if body == nil || l.takeAnswer(l.dialog, body) != nil {
			tx.Answer(sip.StatusNotAcceptableHere, "")
			l.down(call.NoCodec, sip.StatusNotAcceptableHere)
			in.refuse(sip.StatusNotAcceptableHere)
			return
		}
		l.lateOffer = false
		in.settled = true
	case body != nil: // a new offer
		answer, err := l.reply(l.dialog, body, nil)
		if err != nil {
			tx.Answer(sip.StatusNotAcceptableHere, "")
			return
		}
		in.agreed, in.settled = true, true
		withSDP(res, answer)
	default:
		in.settled = in.agreed
	}
	tx.Respond(res)
	next := in.reliable.next
	in.reliable.stop()
	for _, f := range next {
		in.reliable.whenQuiet(f)
	}
}

// acknowledge answers a reliable provisional response with PRACK (RFC 3262 4).
func (f *fork) acknowledge(l *leg, res *sip.Response) (fresh bool) {
	if !has(res, "require", "100rel") {
		return true
	}
	h := res.GetHeader("rseq")
	var rseq uint32
	if h == nil {
		return true
	}
	if _, err := fmt.Sscan(h.Value(), &rseq); err != nil || rseq == 0 {
		return true
	}
	if f.rseq != 0 && rseq != f.rseq+1 {
		return false // repeated, or one before it is missing
	}
	f.rseq = rseq
	rack := sip.NewHeader("RAck", fmt.Sprintf("%d %d INVITE", rseq, res.CSeq().SeqNo))
	l.sendIn(f.dialog, sip.PRACK, func(req *sip.Request) { req.AppendHeader(rack) }, nil, func(*sip.Response, error) {})
	return true
}
