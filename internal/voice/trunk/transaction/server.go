package transaction

import (
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Server is a server transaction (RFC 3261 17.2).
type Server struct {
	Request *sip.Request
	From    Hop

	layer *Layer
	key   string
	to    Hop

	mu       sync.Mutex
	last     []byte // the latest response
	status   int    // of last
	acked    bool
	over     bool
	cancel   bool
	onCancel func()
	wait     time.Duration
	retry    *time.Timer
	limit    *time.Timer
}

// NewResponse begins a response to the request: Via, From, To, Call-ID and CSeq
// repeated, and Record-Route where a dialog may come of it. tag is put into To
// when the request had none there; "" leaves To as it is (RFC 3261 8.2.6).
func NewResponse(req *sip.Request, status int, tag string) *sip.Response {
	res := sip.NewResponse(status, Phrase(status))
	copyHeaders(req, res, "via", "from")
	to := *req.To()
	to.Params = to.Params.Clone()
	if tag != "" && !to.Params.Has("tag") {
		to.Params.Add("tag", tag)
	}
	res.AppendHeader(&to)
	copyHeaders(req, res, "call-id", "cseq")
	if status > 100 && status < 300 && req.Method != sip.REGISTER {
		copyHeaders(req, res, "record-route")
	}
	if status == 100 {
		copyHeaders(req, res, "timestamp")
	}
	return res
}

// Respond sends a response, provisional or final. After a final one others are
// ignored. The 2xx of an INVITE is not repeated here: its user does that with
// Repeat until the ACK comes (RFC 3261 13.3.1.4).
func (s *Server) Respond(res *sip.Response) {
	if res.Body() == nil {
		res.SetBody(nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.status >= 200 {
		return
	}
	s.last, s.status = []byte(res.String()), res.StatusCode
	_ = s.layer.write(s.last, s.to)
	if s.status < 200 {
		return
	}
	t, invite := s.layer.timers, s.Request.IsInvite()
	linger := 64 * t.T1 // H and L of an INVITE, J of another request
	if !invite && s.to.Network != UDP {
		linger = 0
	}
	if invite && s.status >= 300 && s.to.Network == UDP {
		s.wait = t.T1
		s.retry = time.AfterFunc(s.wait, s.resend) // G
	}
	if linger == 0 {
		s.over = true
		s.layer.forgetServer(s)
		return
	}
	s.limit = time.AfterFunc(linger, s.end)
}

// Answer is Respond with a response without body or further headers.
func (s *Server) Answer(status int, tag string) { s.Respond(NewResponse(s.Request, status, tag)) }

// Repeat sends the 2xx of an INVITE once more.
func (s *Server) Repeat() { s.again() }

// OnCancel sets who is told of a CANCEL; at once if it has come already. It is
// called at most once, and not after a final response.
func (s *Server) OnCancel(f func()) {
	s.mu.Lock()
	s.onCancel = f
	now := s.cancel && s.status < 200
	if now {
		s.onCancel = nil
	}
	s.mu.Unlock()
	if now {
		f()
	}
}

func (s *Server) cancelled() {
	s.mu.Lock()
	s.cancel = true
	f := s.onCancel
	s.onCancel = nil
	late := s.status >= 200
	s.mu.Unlock()
	if f != nil && !late {
		f()
	}
}

// acknowledged takes an ACK; true means that it is one of a 2xx, for the user.
func (s *Server) acknowledged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status >= 200 && s.status < 300 {
		return true
	}
	if s.status >= 300 && !s.acked {
		s.acked = true
		s.stop()
		linger := s.layer.timers.T4 // I
		if s.to.Network != UDP {
			linger = 0
		}
		s.limit = time.AfterFunc(linger, s.end)
	}
	return false
}

// again answers a repeated request as before.
func (s *Server) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && !s.over && !s.acked {
		_ = s.layer.write(s.last, s.to)
	}
}

func (s *Server) resend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.acked {
		return
	}
	s.wait = min(2*s.wait, s.layer.timers.T2)
	s.retry.Reset(s.wait)
	_ = s.layer.write(s.last, s.to)
}

func (s *Server) end() {
	s.mu.Lock()
	s.stop()
	s.over = true
	s.mu.Unlock()
	s.layer.forgetServer(s)
}

// stop is called with the lock held.
func (s *Server) stop() {
	if s.retry != nil {
		s.retry.Stop()
	}
	if s.limit != nil {
		s.limit.Stop()
	}
}

func (l *Layer) forgetServer(s *Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.servers[s.key] == s {
		delete(l.servers, s.key)
	}
}
