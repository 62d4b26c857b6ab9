package trunk

import (
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/health"
	"dialtone/internal/voice/trunk/transaction"
)

// The codes of the health warnings, whose subject is the trunk's name.
const (
	WarnUnregistered = "trunk-unregistered"
	WarnUnreachable  = "trunk-unreachable"
)

// keep does what a carrier needs besides calls until ctx is done: its names
// resolved, our registration kept up, its presence watched.
func (s *Server) keep(ctx context.Context, c *carrier) {
	s.resolve(ctx, c)
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			pause := resolveEvery
			if _, ok := c.target(); !ok {
				pause = resolveSoon
			}
			if !wait(ctx, pause) {
				return
			}
			s.resolve(ctx, c)
		}
	})
	if c.OptionsInterval > 0 {
		s.metrics.reachable.WithLabelValues(c.Name).Set(1)
		tasks.Go(func() {
			s.watch(ctx, c)
			every(ctx, c.OptionsInterval, func() { s.watch(ctx, c) })
		})
	}
	if c.Register.Enabled {
		tasks.Go(func() { s.register(ctx, c) })
	}
	tasks.Wait()
}

// every calls f after each pause until ctx is done.
func every(ctx context.Context, pause time.Duration, f func()) {
	for wait(ctx, pause) {
		f()
	}
}

// wait sleeps; false means that ctx is done.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) resolve(ctx context.Context, c *carrier) {
	if err := c.resolve(ctx, s.o.Resolver); err != nil && ctx.Err() == nil {
		s.log.Warn("a trunk's name cannot be resolved", "trunk", c.Name, "error", err)
	}
}

// ask sends a request outside of any dialog and waits for the final response; an
// error is one of the transaction package, or ctx's.
func (s *Server) ask(ctx context.Context, req *sip.Request, hop transaction.Hop) (*sip.Response, error) {
	type answer struct {
		res *sip.Response
		err error
	}
	got := make(chan answer, 1)
	s.layer.Send(req, hop, func(res *sip.Response, err error) {
		if res != nil && res.IsProvisional() {
			return
		}
		select {
		case got <- answer{res, err}:
		default:
		}
	})
	select {
	case a := <-got:
		return a.res, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// outside builds a request of ours outside of a call.
func (s *Server) outside(c *carrier, method sip.RequestMethod, uri, who sip.Uri, tag, callID string, seq uint32) *sip.Request {
	req := sip.NewRequest(method, uri)
	if c.Proxy != "" {
		if hop, ok := c.target(); ok {
			proxy := sip.Uri{Scheme: "sip", Host: hop.Addr.Addr().String(), Port: int(hop.Addr.Port())}
			proxy.UriParams.Add("lr", "")
			req.AppendHeader(&sip.RouteHeader{Address: proxy})
		}
	}
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
	from := &sip.FromHeader{Address: who}
	from.Params.Add("tag", tag)
	req.AppendHeader(from)
	to := who
	if method != sip.REGISTER {
		to = uri
	}
	req.AppendHeader(&sip.ToHeader{Address: to})
	id := sip.CallIDHeader(callID)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	req.AppendHeader(sip.NewHeader("User-Agent", s.o.UserAgent))
	return req
}

// watch asks the carrier whether it is there. Any answer counts, also a refusal:
// what matters is that something speaks SIP at its end.
func (s *Server) watch(ctx context.Context, c *carrier) {
	reached := false
	for _, hop := range c.targets() {
		if reached = s.answers(ctx, c, hop); reached {
			c.prefer(hop)
			break
		}
	}
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	was := c.down
	c.down = !reached
	c.mu.Unlock()
	switch {
	case reached && was:
		s.metrics.reachable.WithLabelValues(c.Name).Set(1)
		s.o.Health.Clear(WarnUnreachable, c.Name)
		s.log.Info("trunk answers again", "trunk", c.Name)
	case !reached && !was:
		s.metrics.reachable.WithLabelValues(c.Name).Set(0)
		s.o.Health.Raise(health.Warning{
			Code: WarnUnreachable, Subject: c.Name, Severity: health.Degraded,
			Text: "The carrier does not answer. Calls use the other trunks first. Check its host and port, the firewall, and that it knows this node's address.",
		})
		s.log.Warn("trunk does not answer", "trunk", c.Name)
	}
}

// answers asks one address of the carrier.
func (s *Server) answers(ctx context.Context, c *carrier, hop transaction.Hop) bool {
	uri := sip.Uri{Scheme: "sip", Host: strings.Trim(c.Host, "[]"), Port: c.Port}
	who := sip.Uri{Scheme: "sip", User: c.contactUser(), Host: c.FromDomain}
	req := s.outside(c, sip.OPTIONS, uri, who, newTag(), rand.Text(), 1)
	req.AppendHeader(s.contact(c, hop))
	req.AppendHeader(sip.NewHeader("Accept", "application/sdp"))
	req.SetBody(nil)
	limit, cancel := context.WithTimeout(ctx, min(64*s.timers.T1, max(c.OptionsInterval, time.Second)))
	defer cancel()
	res, err := s.ask(limit, req, hop)
	// 503 is how a carrier says that it takes no calls now; 408 comes from a proxy
	// that reaches nobody behind it.
	return err == nil && res.StatusCode != sip.StatusServiceUnavailable && res.StatusCode != sip.StatusRequestTimeout
}

const (
	retryFirst = 2 * time.Second
	retryMost  = 5 * time.Minute
)

// registration is what has to stay the same over all REGISTERs of a trunk
// (RFC 3261 10.2).
type registration struct {
	callID string
	tag    string
	seq    uint32
	asked  time.Duration
}

// register keeps the carrier informed of our address until ctx is done, and then
// takes the registration back.
func (s *Server) register(ctx context.Context, c *carrier) {
	r := &registration{callID: rand.Text(), tag: newTag(), asked: c.Register.Expires}
	failures := 0
	registered := false
	s.metrics.registered.WithLabelValues(c.Name).Set(0)
	for ctx.Err() == nil {
		granted, status := s.bind(ctx, c, r, r.asked)
		if ctx.Err() != nil {
			break
		}
		s.metrics.registrations.WithLabelValues(c.Name, strconv.Itoa(status)).Inc()
		if granted > 0 {
			failures = 0
			registered = true
			s.metrics.registered.WithLabelValues(c.Name).Set(1)
			s.o.Health.Clear(WarnUnregistered, c.Name)
			wait(ctx, granted/2)
			continue
		}
		failures++
		s.metrics.registered.WithLabelValues(c.Name).Set(0)
		s.o.Health.Raise(health.Warning{
			Code: WarnUnregistered, Subject: c.Name, Severity: health.Degraded,
			Text: "The carrier does not take our registration (" + registerTrouble(status) + "). Calls from it do not reach us; it is tried again.",
		})
		s.log.Warn("registration failed", "trunk", c.Name, "status", status, "failures", failures)
		wait(ctx, backOff(failures))
	}
	if registered {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingTime)
		defer cancel()
		_, status := s.bind(last, c, r, 0)
		s.log.Info("registration taken back", "trunk", c.Name, "status", status)
	}
	s.metrics.registered.WithLabelValues(c.Name).Set(0)
}

// backOff doubles from two seconds to five minutes, with a third of jitter so that
// the nodes of an outage do not come back all at once.
func backOff(failures int) time.Duration {
	d := min(retryFirst<<min(failures-1, 10), retryMost)
	return d*2/3 + time.Duration(mrand.Int64N(int64(d)*2/3))
}

func registerTrouble(status int) string {
	switch status {
	case 0:
		return "no answer: check host, port and firewall"
	case 401, 403, 407:
		return fmt.Sprintf("status %d: check username and password", status)
	case 404:
		return "status 404: check register_user and registrar"
	}
	return fmt.Sprintf("status %d", status)
}

// bind sends one REGISTER, with credentials if asked for them, and returns for
// how long it was granted: 0 when it was not.
func (s *Server) bind(ctx context.Context, c *carrier, r *registration, expires time.Duration) (granted time.Duration, status int) {
	registrar := sip.Uri{Scheme: "sip", Host: c.Register.Registrar}
	who := sip.Uri{Scheme: "sip", User: c.Register.User, Host: c.Register.Registrar}
	var auth sip.Header
	for tries := 0; tries < 4; tries++ {
		hop, ok := c.target()
		if !ok {
			return 0, 0
		}
		r.seq++
		req := s.outside(c, sip.REGISTER, registrar, who, r.tag, r.callID, r.seq)
		contact := s.contact(c, hop)
		req.AppendHeader(contact)
		req.AppendHeader(sip.NewHeader("Expires", seconds(expires)))
		req.AppendHeader(sip.NewHeader("Allow", allowed))
		if auth != nil {
			req.AppendHeader(auth)
		}
		req.SetBody(nil)
		res, err := s.ask(ctx, req, hop)
		if err != nil {
			return 0, 0
		}
		switch {
		case res.IsSuccess():
			return grantedTo(res, contact, expires), res.StatusCode
		case transaction.Challenged(res) && c.Username != "" && (auth == nil || stale(res)):
			probe := sip.NewRequest(sip.REGISTER, registrar)
			if auth, err = credentials(probe, res, c.Username, c.Password); err != nil {
				return 0, res.StatusCode
			}
		case res.StatusCode == sip.StatusIntervalToBrief && expires > 0:
			// RFC 3261 10.3: the registrar names the shortest interval it takes.
			h := res.GetHeader("min-expires")
			if h == nil {
				return 0, res.StatusCode
			}
			least, ok := interval(h.Value())
			if !ok || least <= expires || least > 24*time.Hour {
				return 0, res.StatusCode
			}
			expires, r.asked = least, least
		default:
			return 0, res.StatusCode
		}
	}
	return 0, sip.StatusUnauthorized
}

// grantedTo finds our contact's lifetime in a 200: its own parameter, the Expires
// header, or what was asked for.
func grantedTo(res *sip.Response, ours *sip.ContactHeader, asked time.Duration) time.Duration {
	for _, h := range res.GetHeaders("contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok || c.Address.User != ours.Address.User || !strings.EqualFold(c.Address.Host, ours.Address.Host) {
			continue
		}
		if e, ok := c.Params.Get("expires"); ok {
			if d, ok := interval(e); ok && d > 0 {
				return max(d, 10*time.Second)
			}
		}
	}
	if h := res.GetHeader("expires"); h != nil {
		if d, ok := interval(h.Value()); ok && d > 0 {
			return max(d, 10*time.Second)
		}
	}
	return asked
}
