package sdk

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Signal returns the handler of the devices' WebSocket, to be mounted at every
// path that ends in /signal (an app may put a prefix into chunderw).
func (s *Server) Signal() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.crew.Join() // before the look at stopped: whoever stops waits for this
		defer s.crew.Leave()
		from := s.remote(r)
		turnAway := func(why string, status int) {
			s.metrics.turnedAway.WithLabelValues(why).Inc()
			if status == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "5")
			}
			http.Error(w, http.StatusText(status), status)
		}
		if !originAllowed(r, s.o.Origins) {
			s.log.Warn("device connection from a page that is not allowed", "origin", cut(r.Header.Get("Origin"), 200))
			turnAway("origin", http.StatusForbidden)
			return
		}
		if s.stopped.Load() {
			turnAway("stopping", http.StatusServiceUnavailable)
			return
		}
		switch why := s.admit(from); why {
		case "":
		case "address":
			turnAway(why, http.StatusTooManyRequests)
			return
		default:
			turnAway(why, http.StatusServiceUnavailable)
			return
		}
		// The origin was judged above; compression would cost a window of memory per device.
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
		if err != nil {
			s.dismiss(from)
			s.metrics.turnedAway.WithLabelValues("upgrade").Inc()
			return
		}
		conn.SetReadLimit(s.limits.FrameBytes)
		origin := strings.Clone(cut(r.Header.Get("Origin"), maxOrigin))
		// A goroutine of its own: the handler's would keep the request, its buffers
		// and a grown stack for as long as the device stays.
		s.crew.Go(func() {
			defer s.dismiss(from)
			// As net/http does for handlers: one device's frame ends no other's call.
			defer func() {
				if p := recover(); p != nil {
					s.log.Error("panic while serving a device", "panic", p, "stack", string(debug.Stack()))
					_ = conn.CloseNow()
				}
			}()
			s.serve(webSocket{conn}, from, origin)
		})
	})
}

// serve carries one connection until it is gone; the caller belongs to the crew.
func (s *Server) serve(c socket, from netip.Addr, origin string) {
	d := newDevice(s, c, from, origin)
	s.directory.add(d)
	s.metrics.connections.Inc()
	defer s.metrics.connections.Dec()
	if s.stopped.Load() { // Run ended between admission and here
		d.out.cut()
	}
	defer d.gone()
	d.read()
}

func newDevice(s *Server, c socket, from netip.Addr, origin string) *device {
	now := time.Now()
	d := &device{
		server: s, id: connectionID(), remote: from, origin: origin, opened: now,
		bucket: bucket{rate: s.limits.FramesPerSec, burst: float64(s.limits.FrameBurst), tokens: float64(s.limits.FrameBurst), at: now},
	}
	d.log = s.log.With("connection", d.id)
	d.out = outbox{
		socket: c, crew: &s.crew, limit: s.limits.QueueFrames, within: s.times.Write,
		onSlow: func() {
			s.metrics.slow.Inc()
			d.log.Warn("device cut off because it does not read")
		},
	}
	d.heard.Store(now.UnixNano())
	d.beat = now
	return d
}

func connectionID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return "SC" + hex.EncodeToString(b[:])
}

// bucket is a token bucket. It belongs to the goroutine that reads.
type bucket struct {
	rate, burst, tokens float64
	at                  time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
