package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/talk"
)

// The reasons for the end of a stream, besides those of talk.Feed.
const (
	byeSignedOut = "signed_out"
	byeChanged   = "changed" // what the viewer may see is different now: connect again
	byeShutdown  = talk.ByeShutdown
)

const (
	pulse       = 15 * time.Second // a comment shows that a silent stream still works
	writeWithin = 10 * time.Second // a console that does not read for so long is cut off
	maxStreams  = 5000             // at once, on one node
	maxOfOne    = 100              // of these, of one person, or of an account's machines
)

// stream is one console's event stream.
type stream struct {
	session string      // hash of the session it belongs to, "" for a machine's
	whose   whose       // whom it counts for
	end     chan string // reason; holds one
}

// whose is a person, or the machines of an account.
type whose struct{ account, user string }

func (s *Server) openStream(c caller) (*stream, error) {
	st := &stream{session: c.session.Hash, whose: whose{c.viewer.Account, c.viewer.User}, end: make(chan string, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, fault.New(fault.Unavailable, "this node is stopping; connect again")
	}
	if len(s.streams) >= maxStreams {
		return nil, fault.New(fault.TooMany, "too many consoles are open on this node")
	}
	same := 0
	for other := range s.streams {
		if other.whose == st.whose {
			same++
		}
	}
	if same >= maxOfOne {
		return nil, fault.New(fault.TooMany, "you have too many consoles open; close some")
	}
	s.streams[st] = struct{}{}
	return st, nil
}

func (s *Server) closeStream(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
}

// endStreams ends the streams of a session.
func (s *Server) endStreams(session, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.streams {
		if st.session == session {
			st.finish(reason)
		}
	}
}

// endStreamsOf ends the streams of a user, except those of one session.
func (s *Server) endStreamsOf(user, except, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.streams {
		if st.whose.user == user && (except == "" || st.session != except) {
			st.finish(reason)
		}
	}
}

// Close ends all event streams and refuses new ones, so that the HTTP server
// can stop.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for st := range s.streams {
		st.finish(byeShutdown)
	}
}

func (st *stream) finish(reason string) {
	select {
	case st.end <- reason:
	default:
	}
}

// events serves the stream described in docs/api.md.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	c, err := s.identify(r, false)
	if err != nil {
		s.writeFault(w, err)
		return
	}
	st, err := s.openStream(c)
	if err != nil {
		s.writeFault(w, err)
		return
	}
	defer s.closeStream(st)
	feed, err := s.o.Desk.Subscribe(r.Context(), c.viewer)
	if err != nil {
		s.writeFault(w, err)
		return
	}
	defer feed.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not hold events back
	out := eventWriter{w: w, rc: http.NewResponseController(w)}
	comment := time.NewTicker(s.o.Pulse)
	defer comment.Stop()
	for {
		select {
		case change, ok := <-feed.Changes():
			if !ok {
				_ = out.event("bye", bye{feed.Reason()})
				return
			}
			err = out.event(change.Event, change.Data)
		case <-comment.C:
			now, gone := s.identify(r, false)
			if gone != nil && fault.KindOf(gone) == fault.Unauthenticated {
				_ = out.event("bye", bye{byeSignedOut}) // elsewhere: by a new password, or the key was revoked
				return
			}
			if gone == nil && now.viewer != c.viewer {
				_ = out.event("bye", bye{byeChanged}) // elsewhere: by a command, or an identity provider
				return
			}
			err = out.comment()
		case reason := <-st.end:
			_ = out.event("bye", bye{reason})
			return
		case <-r.Context().Done():
			return
		}
		if err != nil {
			s.o.Log.Debug("event stream broke", "error", err)
			return
		}
	}
}

type bye struct {
	Reason string `json:"reason"`
}

type eventWriter struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	id  int
	buf bytes.Buffer
}

func (e *eventWriter) event(name string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	e.id++
	e.buf.Reset()
	fmt.Fprintf(&e.buf, "id: %d\nevent: %s\ndata: %s\n\n", e.id, name, body)
	return e.flush()
}

func (e *eventWriter) comment() error {
	e.buf.Reset()
	e.buf.WriteString(": still here\n\n")
	return e.flush()
}

func (e *eventWriter) flush() error {
	if err := e.rc.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := e.w.Write(e.buf.Bytes()); err != nil {
		return err
	}
	if err := e.rc.Flush(); err != nil {
		return err
	}
	// Over HTTP/2 a deadline resets the stream although nothing is being written.
	return e.rc.SetWriteDeadline(time.Time{})
}
