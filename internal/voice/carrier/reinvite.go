package carrier

import (
	"context"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
)

// reinvite takes a new offer within a call, or makes one when the INVITE has
// none (RFC 3261, 14.2).
func (c *Carrier) reinvite(req *sip.Request, tx sip.ServerTransaction) {
	k := c.find(req)
	if k == nil {
		c.refuse(req, tx, 481, "Call/Transaction Does Not Exist")
		return
	}
	if !k.dialog.follows(req) {
		c.refuse(req, tx, 500, "Server Internal Error")
		return
	}
	k.mu.Lock()
	glare := k.pending
	k.mu.Unlock()
	if glare {
		c.refuse(req, tx, 491, "Request Pending")
		return
	}
	if len(req.Body()) == 0 {
		ack, ok := k.accept(req, tx, k.describe())
		if ok {
			answer, err := parseSDP(ack.Body())
			ok = err == nil && k.agreeTo(answer)
		}
		if !ok {
			k.hangUp(EndedHere)
		}
		return
	}
	body, ok := k.take(req)
	if !ok {
		c.refuse(req, tx, 488, "Not Acceptable Here")
		return
	}
	if _, ok := k.accept(req, tx, body); !ok {
		k.hangUp(EndedHere)
	}
}

// update takes a new offer without an ACK (RFC 3311), or refreshes the session.
func (c *Carrier) update(req *sip.Request, tx sip.ServerTransaction) {
	k := c.find(req)
	if k == nil {
		c.refuse(req, tx, 481, "Call/Transaction Does Not Exist")
		return
	}
	if !k.dialog.follows(req) {
		c.refuse(req, tx, 500, "Server Internal Error")
		return
	}
	var body []byte
	if len(req.Body()) > 0 {
		var ok bool
		if body, ok = k.take(req); !ok {
			c.refuse(req, tx, 488, "Not Acceptable Here")
			return
		}
	}
	if _, err := c.end.respond(tx, req, "", 200, "OK", body); err != nil {
		c.log.Debug("response not sent", "status", 200, "error", err)
	}
}

func (k *call) take(req *sip.Request) ([]byte, bool) {
	offer, err := parseSDP(req.Body())
	if err != nil {
		return nil, false
	}
	return k.answerTo(offer)
}

// reoffer changes the call's direction with a re-INVITE of ours. Where the node's
// own crosses it (491), it tries again after a while (RFC 3261, 14.1).
func (k *call) reoffer(want direction) error {
	k.mu.Lock()
	k.want, k.pending = want, true
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.pending = false
		k.mu.Unlock()
	}()
	for try := 0; ; try++ {
		res, req, err := k.dialog.do(k.ctx, sip.INVITE, k.describe())
		if err != nil {
			return err
		}
		if res.StatusCode == 491 && try < 3 {
			if !k.pause(time.Second) {
				return context.Cause(k.ctx)
			}
			continue
		}
		if !res.IsSuccess() {
			return fmt.Errorf("%d %s", res.StatusCode, res.Reason)
		}
		k.dialog.established(res)
		if err := k.acknowledge(req.CSeq().SeqNo); err != nil {
			return err
		}
		answer, err := parseSDP(res.Body())
		if err != nil {
			return err
		}
		if !k.agreeTo(answer) {
			return fmt.Errorf("the answer has no codec of ours")
		}
		return nil
	}
}

// acknowledge sends the ACK to a 2xx.
func (k *call) acknowledge(seq uint32) error {
	return k.carrier.end.write(k.dialog.request(sip.ACK, nil, seq))
}

// strayResponse acknowledges a 2xx again whose ACK was lost.
func (c *Carrier) strayResponse(res *sip.Response) {
	id, from, seq := res.CallID(), res.From(), res.CSeq()
	if id == nil || from == nil || seq == nil || seq.MethodName != sip.INVITE || !res.IsSuccess() {
		return
	}
	tag, _ := from.Params.Get("tag")
	c.mu.Lock()
	k := c.running[dialogID(id.Value(), tag)]
	c.mu.Unlock()
	if k == nil {
		return
	}
	if err := k.acknowledge(seq.SeqNo); err != nil {
		c.log.Debug("ACK not sent", "call", id.Value(), "error", err)
	}
}
