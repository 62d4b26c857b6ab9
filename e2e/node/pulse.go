package node

import (
	"testing"
	"time"
)

// Pulse tells how late the machine is with what is due. Gaps in audio that is
// sent by the clock cannot be told from the machine's own below that.
type Pulse struct {
	stop chan struct{}
	late chan time.Duration
}

// beat is how often a Pulse looks at the clock.
const beat = 5 * time.Millisecond

// StartPulse starts to watch the clock. Stop ends it, at the latest the test does.
func StartPulse(t testing.TB) *Pulse {
	p := &Pulse{stop: make(chan struct{}), late: make(chan time.Duration, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(beat)
		defer tick.Stop()
		last, worst := time.Now(), time.Duration(0)
		for {
			select {
			case <-p.stop:
				p.late <- worst
				return
			case <-tick.C:
			}
			now := time.Now()
			worst = max(worst, now.Sub(last)-beat)
			last = now
		}
	}()
	t.Cleanup(func() {
		p.end()
		<-done
	})
	return p
}

func (p *Pulse) end() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
}

// Stop returns the longest delay since the start. It may be called once.
func (p *Pulse) Stop() time.Duration {
	p.end()
	return <-p.late
}
