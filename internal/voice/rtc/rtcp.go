package rtc

import (
	"time"

	"dialtone/internal/voice/reports"
	"dialtone/internal/voice/srtp"
)

// Figures returns how the leg's packets fare, by our own count and by the
// browser's reports.
func (p *Peer) Figures() reports.Figures { return p.books.Figures() }

// report sends the browser what we sent and what came (RFC 3550, 6.4).
func (p *Peer) report(now time.Time) {
	to, k := p.path.Load(), p.keys.Load()
	if to == nil || k == nil {
		return
	}
	plain := p.books.Report(now)
	if plain == nil {
		return
	}
	room := make([]byte, len(plain), len(plain)+srtp.MaxOverhead)
	copy(room, plain)
	p.tx.Lock()
	b, err := k.tx.ProtectReport(room)
	p.tx.Unlock()
	if err == nil {
		_ = p.engine.send(b, to) // the next one makes up for it
	}
}

// receiveRTCP takes an SRTCP packet on the reading goroutine.
func (p *Peer) receiveRTCP(b []byte, now int64) {
	k := p.keys.Load()
	if k == nil {
		return
	}
	plain, err := k.rx.UnprotectReport(b)
	if err != nil {
		p.engine.metrics.refuse(err)
		return
	}
	p.lives(now)
	if p.books.Take(plain, p.engine.epoch.Add(time.Duration(now))) != nil {
		p.engine.metrics.malformed.Inc()
	}
}
