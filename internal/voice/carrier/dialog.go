package carrier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// answerTime bounds the wait for the answer to a request within a dialog.
const answerTime = 8 * time.Second

// dialog is a SIP dialog (RFC 3261, 12) from either end: who the two sides are,
// where requests go and which number they carry.
type dialog struct {
	ua     *endpoint
	callID sip.CallIDHeader
	local  sip.FromHeader // with our tag
	remote sip.ToHeader   // with theirs, once known
	id     string         // call ID and our tag: what finds the dialog

	mu     sync.Mutex
	target sip.Uri  // their Contact
	routes []string // route set, nearest first
	seq    uint32   // of our latest request
	theirs uint32   // of their latest request
}

func dialogID(callID, localTag string) string { return callID + " " + localTag }

// answering makes the dialog of an INVITE that came in.
func answering(ua *endpoint, invite *sip.Request) (*dialog, error) {
	contact, from, to, id := invite.Contact(), invite.From(), invite.To(), invite.CallID()
	if contact == nil || from == nil || to == nil || id == nil || invite.CSeq() == nil {
		return nil, errors.New("INVITE without From, To, Call-ID, CSeq or Contact")
	}
	tag := sip.GenerateTagN(12)
	d := &dialog{
		ua: ua, callID: *id, local: to.AsFrom(), remote: from.AsTo(), id: dialogID(id.Value(), tag),
		target: contact.Address, seq: 1, theirs: invite.CSeq().SeqNo,
	}
	d.local.Params.Add("tag", tag)
	for _, h := range invite.GetHeaders("Record-Route") {
		d.routes = append(d.routes, h.Value())
	}
	return d, nil
}

// established notes the other side's tag, contact and routes from a response
// that makes or confirms the dialog (RFC 3261, 12.1.2).
func (d *dialog) established(res *sip.Response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to := res.To(); to != nil {
		d.remote = *sip.HeaderClone(to).(*sip.ToHeader)
	}
	if contact := res.Contact(); contact != nil {
		d.target = contact.Address
	}
	d.routes = nil
	hops := res.GetHeaders("Record-Route")
	for i := len(hops) - 1; i >= 0; i-- {
		d.routes = append(d.routes, hops[i].Value())
	}
}

// follows takes a request's number, and its contact if it may move the target.
// False: it is older than what came before (RFC 3261, 12.2.2).
func (d *dialog) follows(req *sip.Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	seq := req.CSeq()
	if seq == nil || seq.SeqNo < d.theirs {
		return false
	}
	d.theirs = seq.SeqNo
	if contact := req.Contact(); contact != nil && (req.IsInvite() || req.Method == sip.UPDATE) {
		d.target = contact.Address
	}
	return true
}

// request builds the next request of the dialog. An ACK carries the number of
// the INVITE that it confirms.
func (d *dialog) request(method sip.RequestMethod, body []byte, acked uint32) *sip.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	seq := acked
	if method != sip.ACK {
		d.seq++
		seq = d.seq
	}
	req := sip.NewRequest(method, *d.target.Clone())
	for _, r := range d.routes {
		req.AppendHeader(sip.NewHeader("Route", r))
	}
	local, remote, id := d.local, d.remote, d.callID
	req.AppendHeader(sip.HeaderClone(&local))
	req.AppendHeader(sip.HeaderClone(&remote))
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	d.ua.finish(req, body)
	return req
}

// do sends a request within the dialog and returns its final response.
func (d *dialog) do(ctx context.Context, method sip.RequestMethod, body []byte) (*sip.Response, *sip.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req := d.request(method, body, 0)
	tx, err := d.ua.send(ctx, req)
	if err != nil {
		return nil, req, err
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, req, nil
			}
		case <-tx.Done():
			return nil, req, fmt.Errorf("%s: %w", method, tx.Err())
		case <-ctx.Done():
			return nil, req, fmt.Errorf("%s: %w", method, ctx.Err())
		}
	}
}
