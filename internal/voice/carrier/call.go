package carrier

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// call is one call of either direction: its dialog, its audio and what became
// of it. Several goroutines post an end; the first wins, and only finish acts on
// it.
type call struct {
	carrier   *Carrier
	dialog    *dialog
	audio     *stream
	direction Direction
	number    string
	from      string
	session   uint64
	offered   []codec // what our own offers name

	ctx    context.Context // ends with the call
	cancel context.CancelFunc

	mu       sync.Mutex
	state    State
	status   int
	reason   string
	endedBy  Side
	version  int       // of our latest description
	want     direction // ours: sendonly while we hold
	theirs   direction // the node's latest, seen from it
	holds    int
	started  time.Time
	rang     time.Time
	answered time.Time
	ended    time.Time
	acks     map[uint32]chan *sip.Request // 2xx waiting for their ACK, by CSeq
	prack    chan struct{}                // closed by the PRACK to the one reliable 183; nil: none was sent
	pending  bool                         // a re-INVITE of ours is on its way
	runs     sync.WaitGroup               // the audio and the script
	sounding bool

	last atomic.Pointer[Report] // set when nothing changes any more
}

func (c *Carrier) newCall(d *dialog, way Direction, number, from string, codecs []string) (*call, error) {
	conn, err := c.o.ListenRTP()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &call{
		carrier: c, dialog: d, direction: way, number: number, from: from,
		audio: newStream(conn, random32), session: uint64(random32()), offered: codecsNamed(codecs),
		ctx: ctx, cancel: cancel, state: Calling, want: sendRecv, theirs: sendRecv, started: time.Now(),
		acks: map[uint32]chan *sip.Request{},
	}, nil
}

func (k *call) rings() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state == Calling {
		k.state, k.rang = Ringing, time.Now()
	}
}

// answer marks the call answered. False: it is over already.
func (k *call) answer(status int, reason string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state == Ended || k.ctx.Err() != nil {
		return false
	}
	k.state, k.answered, k.status, k.reason = Answered, time.Now(), status, reason
	return true
}

// sound starts the audio, once.
func (k *call) sound() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sounding || k.state == Ended {
		return
	}
	k.sounding = true
	k.runs.Go(func() { k.audio.run(k.ctx) })
}

// hangUp posts that the call shall end, by whom. It does not wait.
func (k *call) hangUp(by Side) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.endedBy == NotEnded {
		k.endedBy = by
	}
	k.cancel()
}

// finish waits for nothing but the call's own goroutines, says BYE if it is on us
// to do so, and lets the carrier forget the call. Whoever made the call calls
// it, once, when the call is over.
func (k *call) finish() {
	k.cancel()
	k.mu.Lock()
	k.audio.ear.End(time.Now())
	bye := k.state != Ended && !k.answered.IsZero() && k.endedBy == EndedHere
	sounding := k.sounding
	k.state = Ended
	k.ended = time.Now()
	k.mu.Unlock()

	if bye {
		// The call's own context is over; the other side must hear of it all the same.
		if _, _, err := k.dialog.do(context.Background(), sip.BYE, nil); err != nil {
			k.carrier.log.Warn("BYE not answered", "call", k.dialog.callID.Value(), "error", err)
		}
	}
	if !sounding {
		k.audio.conn.Close()
	}
	k.runs.Wait()
	r := k.report()
	k.last.Store(&r)
	k.carrier.log.Info("call ended", "call", r.CallID, "direction", r.Direction, "number", phone(r.Number), "from", phone(r.From),
		"status", r.Status, "by", r.EndedBy, "codec", r.Codec, "packets_in", r.PacketsIn, "packets_out", r.PacketsOut,
		"level", int(r.Heard.Level), "gap_ms", r.Heard.LongestGap.Milliseconds())
	k.carrier.forget(k)
}

// refused notes a final status without an answer.
func (k *call) refused(status int, reason string, by Side) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.status == 0 {
		k.status, k.reason = status, reason
	}
	if k.endedBy == NotEnded {
		k.endedBy = by
	}
}

// describe returns our description in the direction we want now, as an offer.
func (k *call) describe() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.version++
	return ours{
		session: k.session, version: k.version, audio: k.address(), codecs: k.offered, events: eventsPT, direction: k.want,
	}.offer()
}

// answerTo agrees to an offer, if it holds one of the codecs that the call
// speaks, and returns the description to answer with.
func (k *call) answerTo(offer description) ([]byte, bool) {
	var names []string
	for _, c := range k.offered {
		names = append(names, c.name)
	}
	chosen, ok := offer.pick(names)
	if !ok {
		return nil, false
	}
	k.mu.Lock()
	k.version++
	dir := offer.direction.answer(k.want)
	o := ours{
		session: k.session, version: k.version, audio: k.address(), codecs: []codec{chosen}, events: offer.events, direction: dir,
	}
	k.heldLocked(offer.direction)
	k.mu.Unlock()
	k.audio.agree(terms{
		remote: offer.audio, codec: chosen, accepted: []codec{chosen},
		eventsOut: offer.events, eventsIn: offer.events, direction: dir,
	})
	return o.answer(offer), true
}

// agreeTo takes the answer to an offer of ours.
func (k *call) agreeTo(answer description) bool {
	var names []string
	for _, c := range k.offered {
		names = append(names, c.name)
	}
	chosen, ok := answer.pick(names)
	if !ok {
		return false
	}
	k.mu.Lock()
	dir := answer.direction.reverse()
	if !k.want.sends() || !k.want.receives() { // we hold: what they answer cannot widen it
		dir = k.want
	} else {
		k.heldLocked(answer.direction)
	}
	k.mu.Unlock()
	k.audio.agree(terms{
		remote: answer.audio, codec: chosen, accepted: k.offered,
		eventsOut: answer.events, eventsIn: eventsPT, direction: dir,
	})
	return true
}

func (k *call) heldLocked(theirs direction) {
	if k.theirs == sendRecv && theirs != sendRecv && k.state == Answered {
		k.holds++
	}
	k.theirs = theirs
}

func (k *call) report() Report {
	if last := k.last.Load(); last != nil {
		return *last
	}
	packets, codecName, digits := k.audio.snapshot()
	heard := k.audio.ear.Heard(time.Now())
	k.mu.Lock()
	defer k.mu.Unlock()
	state := k.state
	if state == Answered && (k.theirs != sendRecv || k.want != sendRecv) {
		state = Held
	}
	endedBy := k.endedBy
	if state != Ended {
		endedBy = NotEnded
	}
	return Report{
		CallID: k.dialog.callID.Value(), Direction: k.direction, Number: k.number, From: k.from,
		State: state, Status: k.status, Reason: k.reason, EndedBy: endedBy,
		Codec: codecName, Digits: digits, Holds: k.holds, Heard: heard,
		PacketsIn: packets.packetsIn, PacketsOut: packets.packetsOut, BytesIn: packets.bytesIn, BytesOut: packets.bytesOut,
		Lost: packets.lost, Late: packets.late, Strange: packets.strange, Sources: packets.sources,
		Started: k.started, Rang: k.rang, Answered: k.answered, Ended: k.ended,
	}
}

// address is where the call's audio is received.
func (k *call) address() netip.AddrPort {
	port := k.audio.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	return netip.AddrPortFrom(k.carrier.end.addr.Addr(), port)
}

// pause waits, false if the call ended before.
func (k *call) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-k.ctx.Done():
		return false
	}
}
