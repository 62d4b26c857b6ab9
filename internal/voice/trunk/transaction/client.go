package transaction

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

type clientState int

const (
	calling clientState = iota
	proceeding
	completed // a final response came; repeated ones are absorbed
	accepted  // a 2xx to INVITE came; each further one goes to the user (RFC 6026)
	terminated
)

// Client is a client transaction (RFC 3261 17.1).
type Client struct {
	layer  *Layer
	key    string
	invite bool
	to     Hop
	on     func(*sip.Response, error)

	mu        sync.Mutex
	req       *sip.Request // nil when it is needed no more
	state     clientState
	raw       []byte // the request as sent; nil when it need not be sent again
	ack       []byte // of a non-2xx
	cancel    bool   // wanted
	cancelled bool   // sent
	wait      time.Duration
	retry     *time.Timer
	limit     *time.Timer
}

// Send starts a transaction: it adds Via and sends the request. on is called
// with each response, of an INVITE with every 2xx too, or once with ErrTimeout
// or ErrTransport, and never again after that.
func (l *Layer) Send(req *sip.Request, to Hop, on func(*sip.Response, error)) *Client {
	branch := newBranch()
	l.addVia(req, to, branch)
	return l.start(req, to, branch, on)
}

func (l *Layer) start(req *sip.Request, to Hop, branch string, on func(*sip.Response, error)) *Client {
	c := &Client{layer: l, req: req, key: clientKey(branch, req.Method), invite: req.IsInvite(), to: to, on: on}
	c.raw = []byte(req.String())
	if to.Network != UDP && (to.flow == nil || to.flow.isClosed()) {
		if f, err := l.flowTo(to); err == nil {
			c.to.flow = f
		}
	}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.clients[c.key] = c
	}
	l.mu.Unlock()
	t := l.timers
	c.mu.Lock()
	if closed {
		c.state = terminated
		c.mu.Unlock()
		return c
	}
	c.limit = time.AfterFunc(64*t.T1, func() { c.fail(ErrTimeout) })
	if to.Network == UDP {
		c.wait = t.T1
		c.retry = time.AfterFunc(c.wait, c.resend)
	}
	raw := c.raw
	c.mu.Unlock()
	if err := l.write(raw, c.to); err != nil {
		// Not on this goroutine: the caller does not know the transaction yet.
		l.wg.Go(func() { c.fail(ErrTransport) })
	}
	return c
}

// resend is timer A of an INVITE, E of another request.
func (c *Client) resend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raw == nil || c.state != calling && (c.state != proceeding || c.invite) {
		return
	}
	c.wait *= 2
	if !c.invite {
		c.wait = min(c.wait, c.layer.timers.T2)
	}
	c.retry.Reset(c.wait)
	_ = c.layer.write(c.raw, c.to)
}

// Cancel gives an INVITE up: CANCEL is sent when a provisional response has come
// or as soon as one comes (RFC 3261 9.1), and the INVITE is not sent again. What
// comes of it, a 487 or a 2xx that was on its way, is reported as before.
func (c *Client) Cancel() {
	c.mu.Lock()
	if c.cancel || c.state > proceeding {
		c.mu.Unlock()
		return
	}
	c.cancel = true
	if c.state == calling {
		c.raw = nil
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.sendCancel()
}

func (c *Client) sendCancel() {
	c.mu.Lock()
	if c.cancelled || c.state != proceeding {
		c.mu.Unlock()
		return
	}
	c.cancelled = true
	// RFC 3261 9.1: without a final answer the INVITE counts as over.
	c.limit = time.AfterFunc(64*c.layer.timers.T1, func() { c.fail(ErrTimeout) })
	invite := c.req
	c.mu.Unlock()
	via := invite.Via()
	branch, _ := via.Params.Get("branch")
	req := sip.NewRequest(sip.CANCEL, invite.Recipient)
	req.AppendHeader(via.Clone())
	copyHeaders(invite, req, "route", "from", "to", "call-id")
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	copyHeaders(invite, req, "max-forwards")
	req.SetBody(nil)
	c.layer.start(req, c.to, branch, func(*sip.Response, error) {})
}

func copyHeaders(from, to sip.Message, names ...string) {
	for _, name := range names {
		for _, h := range from.GetHeaders(name) {
			to.AppendHeader(sip.HeaderClone(h))
		}
	}
}

func (c *Client) received(res *sip.Response) {
	c.mu.Lock()
	switch {
	case c.state == terminated:
	case c.state == completed:
		if c.ack != nil && res.StatusCode >= 300 {
			_ = c.layer.write(c.ack, c.to)
		}
	case c.state == accepted:
		if res.IsSuccess() {
			c.mu.Unlock()
			c.on(res, nil)
			return
		}
	case res.IsProvisional():
		first := c.state == calling
		c.state = proceeding
		if c.invite {
			c.stop()
			c.raw = nil
		} else {
			c.wait = c.layer.timers.T2
		}
		cancel := c.cancel && first
		c.mu.Unlock()
		if cancel {
			c.sendCancel()
		}
		c.on(res, nil)
		return
	default:
		c.final(res)
		c.mu.Unlock()
		c.on(res, nil)
		return
	}
	c.mu.Unlock()
}

// final is called with the lock held.
func (c *Client) final(res *sip.Response) {
	c.stop()
	c.raw = nil
	t, linger := c.layer.timers, time.Duration(0)
	switch {
	case c.invite && res.IsSuccess():
		c.state = accepted
		linger = 64 * t.T1 // M
	case c.invite:
		c.state = completed
		c.ack = c.ackOf(res)
		_ = c.layer.write(c.ack, c.to)
		if c.to.Network == UDP {
			linger = 64 * t.T1 // D
		}
	default:
		c.state = completed
		if c.to.Network == UDP {
			linger = t.T4 // K
		}
	}
	if linger == 0 {
		c.state = terminated
		c.layer.forget(c)
		return
	}
	c.req = nil
	c.limit = time.AfterFunc(linger, c.end)
}

// ackOf builds the ACK of a non-2xx, which belongs to the transaction (RFC 3261 17.1.1.3).
func (c *Client) ackOf(res *sip.Response) []byte {
	ack := sip.NewRequest(sip.ACK, c.req.Recipient)
	ack.AppendHeader(c.req.Via().Clone())
	copyHeaders(c.req, ack, "route", "from")
	copyHeaders(res, ack, "to")
	copyHeaders(c.req, ack, "call-id")
	ack.AppendHeader(&sip.CSeqHeader{SeqNo: c.req.CSeq().SeqNo, MethodName: sip.ACK})
	copyHeaders(c.req, ack, "max-forwards")
	ack.SetBody(nil)
	return []byte(ack.String())
}

func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.state > proceeding {
		c.mu.Unlock()
		if errors.Is(err, ErrTransport) {
			return
		}
		c.end()
		return
	}
	c.stop()
	c.state = terminated
	c.mu.Unlock()
	c.layer.forget(c)
	c.on(nil, err)
}

func (c *Client) end() {
	c.mu.Lock()
	c.stop()
	c.state = terminated
	c.mu.Unlock()
	c.layer.forget(c)
}

// stop is called with the lock held.
func (c *Client) stop() {
	if c.retry != nil {
		c.retry.Stop()
	}
	if c.limit != nil {
		c.limit.Stop()
	}
}

func (l *Layer) forget(c *Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[c.key] == c {
		delete(l.clients, c.key)
	}
}

// Challenged reports whether the response asks for credentials.
func Challenged(res *sip.Response) bool {
	return res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired
}

// Phrase returns the reason phrase of a status.
func Phrase(status int) string {
	if p, ok := phrases[status]; ok {
		return p
	}
	return strings.TrimSpace([]string{"", "Trying", "OK", "Moved", "Bad Request", "Server Error", "Declined"}[min(max(status/100, 0), 6)])
}

var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 400: "Bad Request", 401: "Unauthorized",
	403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout",
	415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension", 422: "Session Interval Too Small",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 486: "Busy Here",
	487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending", 500: "Server Internal Error",
	501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported", 603: "Decline",
}
