package device

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"dialtone/internal/voice/carrier/hear"
)

// Times are when each step of a call was, as the device saw it; zero: not yet.
type Times struct {
	Began    time.Time // the invite was sent or came
	Ringing  time.Time // of an outgoing call
	Answered time.Time // the answer came or was sent
	ICE      time.Time // a way to the server was found
	DTLS     time.Time // the handshake was done: audio may flow
	Ended    time.Time
}

// Call is one call at a device.
type Call struct {
	Parameters map[string]string // of an incoming call

	device    *Device
	temporary string // of an outgoing call: TJS…
	incoming  bool
	theirs    string // the server's offer
	audio     *audio
	answered  chan struct{}
	done      chan struct{}

	mu     sync.Mutex
	sid    string
	state  int
	times  Times
	failed error
}

const (
	pending = iota // rings or dials
	open           // answered
	ended
)

func (d *Device) newCall(sid string) *Call {
	c := &Call{device: d, sid: sid, answered: make(chan struct{}), done: make(chan struct{})}
	if sid == "" {
		c.temporary = "TJS" + rand.Text()
	}
	return c
}

// prepare makes the call's audio: at connect, or at accept.
func (c *Call) prepare() (*audio, error) {
	a, err := newAudio(c.device.microphone, c.note)
	if err != nil {
		return nil, err
	}
	if frame := c.device.frame; frame != nil {
		a.frame = func(samples []int16, at time.Time) { frame(c, samples, at) }
	}
	c.mu.Lock()
	fresh := c.audio == nil && c.state != ended
	if fresh {
		c.audio = a
	}
	c.mu.Unlock()
	if !fresh {
		a.close()
		return nil, errors.New("the call has audio already, or is over")
	}
	return a, nil
}

func (c *Call) audioNow() *audio {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.audio
}

// SID is the server's id of the call, "" before it said one.
func (c *Call) SID() string { return c.sidNow() }

func (c *Call) sidNow() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sid
}

// Answered is closed when the call is answered.
func (c *Call) Answered() <-chan struct{} { return c.answered }

// Done is closed when the call is over.
func (c *Call) Done() <-chan struct{} { return c.done }

// Err says how the call ended: nil for an ordinary end, an *Error with the
// server's code, or what went wrong here. It is nil while the call goes on.
func (c *Call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Times returns the steps until now.
func (c *Call) Times() Times {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.times
}

// Heard returns what was heard until now.
func (c *Call) Heard() hear.Heard {
	if a := c.audioNow(); a != nil {
		return a.ear.Heard(time.Now())
	}
	return hear.Heard{}
}

// Sent returns how many packets of audio were sent.
func (c *Call) Sent() uint64 {
	if a := c.audioNow(); a != nil {
		return a.sent.Load()
	}
	return 0
}

// Keys returns the keys that were heard as telephone events.
func (c *Call) Keys() string {
	if a := c.audioNow(); a != nil {
		return a.keysHeard()
	}
	return ""
}

func (c *Call) note(f func(*Times)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.times)
}

// Accept answers an incoming call.
func (c *Call) Accept() error {
	a, err := c.prepare()
	if err != nil {
		return err
	}
	answer, err := a.answer(c.theirs)
	if err != nil {
		c.over(err)
		return err
	}
	c.mu.Lock()
	if c.state != pending {
		c.mu.Unlock()
		return errors.New("the call is not ringing")
	}
	c.state, c.times.Answered = open, time.Now()
	close(c.answered)
	c.mu.Unlock()
	return c.device.signal.Send("answer", map[string]string{"callsid": c.sidNow(), "sdp": answer})
}

// Reject declines an incoming call.
func (c *Call) Reject() error {
	err := c.device.signal.Send("reject", map[string]string{"callsid": c.sidNow()})
	c.over(nil)
	return err
}

// HangUp ends the call.
func (c *Call) HangUp() error {
	sid := c.sidNow()
	if sid == "" {
		sid = c.temporary
	}
	err := c.device.signal.Send("hangup", map[string]string{"callsid": sid})
	c.over(nil)
	return err
}

// Press sends keys as telephone events within the audio, as the browser does
// where they were negotiated. It returns when they are sent.
func (c *Call) Press(keys string) error {
	a := c.audioNow()
	if a == nil {
		return errors.New("the call has no audio yet")
	}
	return a.press(keys)
}

// PressBySignal sends keys as a message, as the SDK does without them.
func (c *Call) PressBySignal(keys string) error {
	return c.device.signal.Send("dtmf", map[string]string{"callsid": c.sidNow(), "dtmf": keys})
}

// AwaitAnswer waits until the call is answered; how it ended instead is the error.
func (c *Call) AwaitAnswer(ctx context.Context) error {
	select {
	case <-c.answered:
		return nil
	case <-c.done:
		if err := c.Err(); err != nil {
			return err
		}
		return errors.New("the call ended unanswered")
	case <-ctx.Done():
		return fmt.Errorf("the call was not answered: %w", ctx.Err())
	}
}

// AwaitEnd waits until the call is over and returns how it ended.
func (c *Call) AwaitEnd(ctx context.Context) error {
	select {
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return fmt.Errorf("the call did not end: %w", ctx.Err())
	}
}

// AwaitSound waits until the first sound is heard.
func (c *Call) AwaitSound(ctx context.Context) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for c.Heard().FirstSound.IsZero() {
		if a := c.audioNow(); a != nil && a.failed() != nil {
			return a.failed()
		}
		select {
		case <-look.C:
		case <-c.done:
			return errors.Join(errors.New("the call ended before anything was heard"), c.Err())
		case <-ctx.Done():
			return fmt.Errorf("nothing was heard: %w", ctx.Err())
		}
	}
	return nil
}

// told takes a message about the call.
func (c *Call) told(kind string, p callPayload) {
	now := time.Now()
	switch kind {
	case "ringing", "answer":
		c.mu.Lock()
		if c.incoming || c.state == ended {
			c.mu.Unlock()
			return
		}
		if c.sid == "" {
			c.sid = p.CallSid
		}
		if kind == "ringing" {
			c.times.Ringing = now
		} else if c.state == pending {
			c.state, c.times.Answered = open, now
			close(c.answered)
		}
		c.mu.Unlock()
		if p.SDP != "" { // the first wins
			if err := c.audioNow().accept(p.SDP); err != nil {
				c.over(err)
			}
		}
	case "cancel":
		c.mu.Lock()
		rings := c.incoming && c.state == pending
		c.mu.Unlock()
		if rings {
			c.over(nil)
		}
	case "hangup", "error":
		c.mu.Lock()
		ignored := c.incoming && c.state == pending // only cancel ends what rings
		c.mu.Unlock()
		switch {
		case ignored:
		case p.Error != nil:
			c.over(p.Error)
		case kind == "hangup":
			c.over(nil)
		}
	}
}

// over ends the call here: audio closed, forgotten. Repeating it is harmless.
func (c *Call) over(err error) {
	c.mu.Lock()
	if c.state == ended {
		c.mu.Unlock()
		<-c.done
		return
	}
	c.state, c.failed, c.times.Ended = ended, err, time.Now()
	c.mu.Unlock()
	c.device.drop(c)
	if a := c.audioNow(); a != nil {
		a.close()
	}
	close(c.done)
}
