package sdk

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/voice/strand"
)

// socket is one WebSocket. Reads and writes may run at once, two reads or two
// writes may not.
type socket interface {
	// Read returns the next text frame; tooLarge and notText are its own errors.
	Read() ([]byte, error)
	// Write sends one text frame or fails within the time; then the socket is broken.
	Write(frame []byte, within time.Duration) error
	// Close sends a close frame and ends the socket; Read returns.
	Close(code websocket.StatusCode, reason string)
	// Cut ends the socket at once.
	Cut()
}

var (
	errTooLarge = errors.New("frame too large")
	errNotText  = errors.New("frame is not text")
)

type webSocket struct{ conn *websocket.Conn }

func (s webSocket) Read() ([]byte, error) {
	kind, data, err := s.conn.Read(context.Background())
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return nil, errTooLarge
	case err != nil:
		return nil, err
	case kind != websocket.MessageText:
		return nil, errNotText
	}
	return data, nil
}

func (s webSocket) Write(frame []byte, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, frame)
}

func (s webSocket) Close(code websocket.StatusCode, reason string) { _ = s.conn.Close(code, reason) }

func (s webSocket) Cut() { _ = s.conn.CloseNow() }

// outbox is the bounded queue of what a connection is to hear. A goroutine
// writes while there is something to write. When the queue is full the device
// does not read: it is cut off, as anything else would let it fall behind for good.
type outbox struct {
	socket socket
	crew   *strand.Crew
	limit  int
	within time.Duration
	onSlow func() // the queue was full or a write took too long

	mu      sync.Mutex
	queue   [][]byte
	writing bool
	closed  bool                 // nothing more is taken
	code    websocket.StatusCode // with farewell: how to close when the queue is empty
	reason  string
	bye     bool
}

// send queues a frame and reports whether it was taken.
func (o *outbox) send(frame []byte) bool {
	o.mu.Lock()
	if o.closed || frame == nil {
		o.mu.Unlock()
		return false
	}
	if len(o.queue) >= o.limit {
		o.closed, o.queue = true, nil
		o.mu.Unlock()
		o.onSlow()
		o.socket.Cut()
		return false
	}
	o.queue = append(o.queue, frame)
	o.wakeLocked()
	o.mu.Unlock()
	return true
}

// farewell closes the socket after what is queued was written.
func (o *outbox) farewell(code websocket.StatusCode, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.closed, o.bye, o.code, o.reason = true, true, code, reason
	o.wakeLocked()
}

// finish ends the socket after a farewell that is on its way, otherwise at once.
func (o *outbox) finish() {
	o.mu.Lock()
	leaving := o.bye || o.closed && o.writing
	o.mu.Unlock()
	if !leaving {
		o.cut()
	}
}

// cut ends the socket at once.
func (o *outbox) cut() {
	o.mu.Lock()
	o.closed, o.queue = true, nil
	o.mu.Unlock()
	o.socket.Cut()
}

func (o *outbox) wakeLocked() {
	if !o.writing {
		o.writing = true
		o.crew.Go(o.write)
	}
}

func (o *outbox) write() {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 {
			o.queue, o.writing = nil, false
			bye, code, reason := o.bye, o.code, o.reason
			o.mu.Unlock()
			if bye {
				o.socket.Close(code, reason)
			}
			return
		}
		frame := o.queue[0]
		o.queue = o.queue[1:]
		o.mu.Unlock()
		if err := o.socket.Write(frame, o.within); err != nil {
			o.mu.Lock()
			first := !o.closed
			o.closed, o.bye, o.queue, o.writing = true, false, nil, false
			o.mu.Unlock()
			if first && errors.Is(err, context.DeadlineExceeded) {
				o.onSlow()
			}
			o.socket.Cut()
			return
		}
	}
}
