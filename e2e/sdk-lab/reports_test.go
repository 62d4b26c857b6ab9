package sdklab

import (
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/internal/voice/call"
)

// Chromium and we know by each other's RTCP how the packets fare.
func TestReports(t *testing.T) {
	both(t, func(t *testing.T, l *lab, p *browser.Page) {
		l.register(p, "alice")
		p.Eval("lab.connect({})", nil)
		c := l.offered()
		c.leg.Answer([]call.Codec{call.PCMU})
		want[call.Up](c)
		c.talk()
		p.Until("lab.isOpen()")
		var told struct {
			Trip       float64
			Lost, Sent int
		}
		for end := time.Now().Add(20 * time.Second); told.Trip == 0 || told.Sent == 0; time.Sleep(50 * time.Millisecond) {
			if p.Eval("lab.reported()", &told); time.Now().After(end) {
				break
			}
		}
		if told.Trip > 1 || told.Lost != 0 || told.Sent < 50 {
			t.Errorf("the page was told %+v", told)
		}
		l.mu.Lock()
		peer := l.peers[0]
		l.mu.Unlock()
		for end := time.Now().Add(20 * time.Second); peer.Figures().RoundTrip == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("we were told nothing: %+v", peer.Figures())
			}
		}
		f := peer.Figures()
		t.Logf("the page was told %+v, we %+v", told, f)
		if f.RoundTrip > time.Second || f.FarLost != 0 || f.FarFraction != 0 || f.Received < 50 {
			t.Errorf("%+v", f)
		}
		c.leg.End(call.Completed)
		p.Until("lab.saw('disconnect')")
	})
}
