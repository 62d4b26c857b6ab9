package rtc

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/reports"
	"dialtone/internal/voice/srtp"
)

// State of a peer's way to its browser.
type State int

// The states. Connected follows every successful ICE restart too.
const (
	Connecting State = iota
	Connected
	Disconnected // may come back
	Failed       // will hardly come back without an ICE restart
	Closed       // the browser closed DTLS, or we closed
)

// String returns the state's name for logs.
func (s State) String() string {
	return [...]string{"connecting", "connected", "disconnected", "failed", "closed"}[s]
}

// A browser sends ICE checks at least every 2.5 s (RFC 7675 asks for 5 s), so
// that silence is a loss. Before the first connection failedAfter is counted
// from the moment that both descriptions are known.
const (
	disconnectedAfter = 5 * time.Second
	failedAfter       = 20 * time.Second
)

// Peer is one browser's end of one leg.
type Peer struct {
	engine *Engine
	log    *slog.Logger
	ssrc   uint32
	books  *reports.Ledger

	format atomic.Pointer[media.Format]
	on     atomic.Pointer[func(*rtp.Header, []byte)]
	path   atomic.Pointer[path] // where packets go
	alive  atomic.Int64         // when the browser was last heard, on the engine's clock
	away   atomic.Bool          // the next packet must wake run
	wake   chan struct{}
	done   chan struct{} // closed by Close
	left   chan struct{} // closed when nothing of the peer runs any more
	close  sync.Once

	tx struct { // guards sending
		sync.Mutex
		out  [maxDatagram]byte
		head rtp.Header
	}
	rx struct { // belongs to the engine's reading goroutine
		head  rtp.Header
		heard bool // something
	}
	keys atomic.Pointer[keys] // of the present association

	mu      sync.Mutex
	local   []credentials // that a check may carry; the last is the one in our SDP
	remote  *description  // what the browser said last
	offered []call.Codec  // by us, if we made the first offer
	version uint64        // of our SDP
	id      uint64        // of our SDP's session
	dtls    *association
	early   *check    // came before the browser's description
	hello   [][]byte  // likewise, its first DTLS packets
	since   time.Time // both descriptions are known
	restart int       // counts credentials
	reached int       // the count when the path was chosen
	broken  bool      // DTLS failed
	gone    bool      // the browser closed DTLS
	closed  bool      // nothing starts any more

	sessions sync.WaitGroup // of DTLS; added to under mu

	paths []netip.AddrPort // by which authenticated checks came; guarded by Engine.mu
}

var (
	_ media.Wire     = (*Peer)(nil)
	_ media.Measured = (*Peer)(nil)
)

// path is a way to the browser: its address and ours.
type path struct {
	to   netip.AddrPort
	from []byte // control message that sets the source address, nil for the system's choice
}

// credentials are one side's of one ICE session.
type credentials struct{ ufrag, pwd string }

func newCredentials() credentials {
	// 8 and 26 characters of 5 bits: RFC 8445, 5.3 asks for 24 and 128 bits.
	return credentials{ufrag: rand.Text()[:8], pwd: rand.Text()}
}

// NewPeer returns a browser's end. onState is called for every change, never
// concurrently, on a goroutine of the peer's, and must not block.
func (e *Engine) NewPeer(onState func(State)) (*Peer, error) {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	p := &Peer{
		engine: e, log: e.log,
		ssrc:  binary.BigEndian.Uint32(b[:]),
		id:    binary.BigEndian.Uint64(b[4:]) >> 2, // RFC 9429, 5.2.1: fits 63 bits
		wake:  make(chan struct{}, 1),
		done:  make(chan struct{}),
		left:  make(chan struct{}),
		local: []credentials{newCredentials()},
	}
	p.books = reports.New(p.ssrc)
	p.restart = 1
	if err := e.add(p); err != nil {
		return nil, err
	}
	go p.run(onState)
	return p, nil
}

// Offer returns the SDP that offers the codecs (and telephone-event) to the
// browser. It is made once.
func (p *Peer) Offer(codecs []call.Codec) (sdp string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return "", errClosed
	}
	if p.remote != nil || p.offered != nil {
		return "", fault.New(fault.Conflict, "The call has an offer already.")
	}
	o := ownOffer(codecs)
	if len(o.formats) == 0 {
		return "", fault.New(fault.Invalid, "There is no codec to offer.")
	}
	p.offered = codecs
	p.version++
	return p.describe(o), nil
}

// Accept takes the browser's answer to Offer.
func (p *Peer) Accept(sdp string) error {
	d, err := parseDescription(sdp)
	if err != nil {
		return err
	}
	if err = d.complete(); err != nil {
		return err
	}
	if d.setup != "active" && d.setup != "passive" {
		return fault.New(fault.Invalid, "The SDP answer does not say which side begins DTLS (a=setup:active or passive).")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.offered == nil || p.remote != nil || p.closed {
		return fault.New(fault.Conflict, "The call has no open offer.")
	}
	f, err := d.accepted(p.offered)
	if err != nil {
		return err
	}
	p.format.Store(&f)
	p.books.Rate(f.ClockRate)
	p.agree(d, d.setup == "passive")
	return nil
}

// Answer takes the browser's offer, the first or an ICE restart, and returns our
// answer with the first of the codecs that the browser offered too; for a restart
// the codec stays. An offer with another fingerprint (a page that was loaded
// anew) begins DTLS afresh. A fault.Invalid error says what is wrong with the SDP.
func (p *Peer) Answer(offer string, codecs []call.Codec) (sdp string, err error) {
	d, err := parseDescription(offer)
	if err != nil {
		return "", err
	}
	if err = d.complete(); err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return "", errClosed
	case p.offered != nil && p.remote == nil:
		return "", fault.New(fault.Conflict, "The call waits for an answer, not for an offer.")
	}
	if was := p.format.Load(); was != nil {
		codecs = []call.Codec{was.Codec}
	}
	f, err := d.choose(codecs)
	if err != nil {
		return "", err
	}
	again := p.remote != nil && p.remote.ice == d.ice && p.remote.fingerprint == d.fingerprint
	if p.remote != nil && p.remote.ice != d.ice {
		p.renew()
	}
	// Where it leaves the choice to us the browser begins: of the SRTP profiles the
	// side that did not begin chooses, and Chromium would choose the slower one.
	active := d.setup == "passive"
	if p.dtls != nil && d.setup == "actpass" && p.remote.fingerprint == d.fingerprint {
		active = p.dtls.client
	}
	p.format.Store(&f)
	p.books.Rate(f.ClockRate)
	if !again {
		p.agree(d, active)
	} else {
		p.remote = d
	}
	p.version++
	return p.describe(ownAnswer(d, f, p.dtls.client)), nil
}

// renew makes new credentials for an ICE restart. Those before stay good until
// the browser uses the new ones (RFC 8445, 9). Called with mu held.
func (p *Peer) renew() {
	c := newCredentials()
	p.local = append(p.local[max(0, len(p.local)-1):], c)
	p.restart++
	p.engine.know(p, p.local)
}

// agree makes the browser's description the present one and starts DTLS if its
// fingerprint is a new one. Called with mu held.
func (p *Peer) agree(d *description, active bool) {
	fresh := p.remote == nil || p.remote.fingerprint != d.fingerprint || p.dtls.client != active
	p.remote, p.since = d, time.Now()
	if fresh {
		if p.dtls != nil { // the browser of the old one is not the one that we talk to now
			p.dtls.end()
			p.keys.Store(nil)
			p.path.Store(nil)
			p.broken, p.gone = false, false
		}
		p.dtls = newAssociation(p, d.fingerprint, active)
		for _, b := range p.hello {
			p.dtls.receive(b)
		}
		p.hello = nil
	}
	if c := p.early; c != nil {
		p.early = nil
		p.check(*c)
	} else if p.path.Load() != nil || !active {
		p.dtls.start()
	}
	p.stir()
}

// Format implements media.Wire.
func (p *Peer) Format() (media.Format, bool) {
	if f := p.format.Load(); f != nil {
		return *f, true
	}
	return media.Format{}, false
}

// OnRTP implements media.Wire.
func (p *Peer) OnRTP(f func(h *rtp.Header, payload []byte)) {
	if f == nil {
		p.on.Store(nil)
		return
	}
	p.on.Store(&f)
}

var errClosed = fault.New(fault.Conflict, "The call's media is closed.")

var errNotUp = errors.New("rtc: no way to the browser yet")

// WriteRTP implements media.Wire. Before ICE and DTLS are up it drops the packet
// and says so.
func (p *Peer) WriteRTP(h *rtp.Header, payload []byte) error {
	to, k := p.path.Load(), p.keys.Load()
	if to == nil || k == nil {
		return errNotUp
	}
	t := &p.tx
	t.Lock()
	defer t.Unlock()
	t.head = *h
	t.head.Version, t.head.SSRC, t.head.Padding, t.head.PaddingSize = 2, p.ssrc, false, 0
	n, err := t.head.MarshalTo(t.out[:])
	if err != nil {
		return err
	}
	if n+len(payload)+srtp.MaxOverhead > maxDatagram {
		return errors.New("rtc: packet is too long")
	}
	n += copy(t.out[n:], payload)
	b, err := k.tx.Protect(t.out[:n])
	if err != nil {
		return err
	}
	if err = p.engine.send(b, to); err == nil {
		p.books.Sent(t.head.Timestamp, len(payload))
	}
	return err
}

// receiveRTP takes an SRTP packet on the reading goroutine, and decrypts it where
// it lies.
func (p *Peer) receiveRTP(b []byte, now int64) {
	k := p.keys.Load()
	if k == nil {
		return
	}
	out, err := k.rx.Unprotect(b)
	if err != nil {
		p.engine.metrics.refuse(err) // or of an association that is over
		return
	}
	r := &p.rx
	was := r.head.SSRC
	n, err := r.head.Unmarshal(out)
	if err != nil {
		p.engine.metrics.malformed.Inc()
		return
	}
	if r.heard && was != r.head.SSRC {
		p.engine.metrics.changes.Inc()
	}
	r.heard = true
	p.books.Received(&r.head, p.engine.epoch.Add(time.Duration(now)))
	p.lives(now)
	f := p.on.Load()
	if f == nil {
		return
	}
	payload := out[n:]
	if r.head.Padding {
		if len(payload) == 0 || int(payload[len(payload)-1]) > len(payload) {
			p.engine.metrics.malformed.Inc()
			return
		}
		payload = payload[:len(payload)-int(payload[len(payload)-1])]
	}
	(*f)(&r.head, payload)
}

// lives notes that the browser was heard.
func (p *Peer) lives(now int64) {
	p.alive.Store(now)
	if p.away.Load() {
		p.away.Store(false)
		p.stir()
	}
}

// stir lets run look at the state again.
func (p *Peer) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Close ends the leg's media: the browser is told by DTLS, and everything is
// freed soon after. onState hears Closed.
func (p *Peer) Close() error {
	p.close.Do(func() { close(p.done) })
	return nil
}

// run tells the owner of every change of state, and frees everything in the end.
func (p *Peer) run(onState func(State)) {
	defer p.engine.remove(p)
	state, told := Connecting, 0
	tell := func(s State) {
		state = s
		p.log.Debug("browser leg", "state", s.String())
		if onState != nil {
			onState(s)
		}
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	report := time.Now().Add(reports.Interval() / 2) // RFC 3550, 6.2: the first comes sooner
	for {
		now, reached, again := p.state()
		if now != state || now == Connected && reached != told {
			if now == Connected {
				told = reached
			}
			tell(now)
		}
		if state == Connected {
			until := time.Until(report)
			if until <= 0 {
				p.report(time.Now())
				until = reports.Interval()
				report = time.Now().Add(until)
			}
			again = min(again, until)
		}
		timer.Reset(again)
		select {
		case <-p.done:
			p.end()
			f := p.Figures()
			p.log.Debug("browser leg is over", "received", f.Received, "lost", f.Lost, "jitter", f.Jitter,
				"far_lost", f.FarLost, "far_jitter", f.FarJitter, "round_trip", f.RoundTrip)
			if state != Closed {
				tell(Closed)
			}
			return
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// state returns what the state is, for which credentials, and when it may change
// by time alone.
func (p *Peer) state() (s State, reached int, again time.Duration) {
	const never = time.Hour
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone:
		return Closed, p.reached, never
	case p.broken:
		return Failed, p.reached, never
	case p.remote == nil:
		return Connecting, 0, never
	case p.path.Load() == nil || p.keys.Load() == nil:
		waited := time.Since(p.since)
		if waited >= failedAfter {
			return Failed, p.reached, never
		}
		return Connecting, p.reached, failedAfter - waited
	}
	p.away.Store(true)
	idle := time.Duration(p.engine.now() - p.alive.Load())
	switch {
	case idle >= failedAfter:
		return Failed, p.reached, never
	case idle >= disconnectedAfter:
		return Disconnected, p.reached, failedAfter - idle
	}
	p.away.Store(false)
	return Connected, p.reached, disconnectedAfter - idle
}

// end frees what the peer holds, but its place in the engine.
func (p *Peer) end() {
	p.on.Store(nil)
	p.mu.Lock()
	p.closed = true
	if p.dtls != nil {
		p.dtls.end()
	}
	p.mu.Unlock()
	p.sessions.Wait()
	p.keys.Store(nil)
}
