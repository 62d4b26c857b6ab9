package carrier

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/carrier/hear"
)

const (
	frameTime    = 20 * time.Millisecond
	frameSamples = rate / 50
	maxBehind    = 10 // frames sent in a burst after a stall; what is older is skipped
	maxRecorded  = 15 * 60 * rate
	maxDigits    = 64
)

// stream is the audio of one call: one UDP socket, one sender, one listener.
// run owns the pacing; every method is safe for concurrent use.
type stream struct {
	conn net.PacketConn
	ear  *hear.Ear

	mu        sync.Mutex
	remote    netip.AddrPort
	codec     codec
	accepted  []codec // what we listen to: all that our description named
	eventsOut uint8   // payload type of the keys we send, 0: not agreed
	eventsIn  uint8   // payload type of the keys we hear
	direction direction
	voice     voice
	echo      bool // send back what is heard instead of the voice, once something is

	// sending
	ssrc      uint32
	seq       uint16
	ts        uint32 // of the frame to be sent next
	marker    bool   // the next audio packet begins a talk spurt (RFC 3551, 4.1)
	echoing   bool
	echoShift uint32 // our timestamp less theirs
	keys      []byte // events to send
	key       *press
	apart     int // frames until the next key

	// listening
	known      bool
	theirSSRC  uint32
	theirSeq   uint16
	theirTS    uint32 // where their next packet should begin
	theirKeyTS uint32
	record     bool
	recording  []int16
	digits     []byte
	counts     counts
}

// counts are a stream's packets.
type counts struct {
	packetsIn, packetsOut uint64
	bytesIn, bytesOut     uint64 // RTP packets whole, without UDP and IP
	lost                  uint64 // never came, by sequence number
	late                  uint64 // came twice or after a later one
	strange               uint64 // no RTP, or of a payload type that was not agreed
	sources               int    // how many SSRCs were heard
}

func newStream(conn net.PacketConn, random func() uint32) *stream {
	return &stream{
		conn: conn, ear: hear.NewEar(rate), direction: inactive, voice: silence{}, marker: true,
		ssrc: random(), seq: uint16(random()), ts: random(),
	}
}

// run sends and listens until the context ends, then closes the socket.
func (s *stream) run(ctx context.Context) {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		s.listen()
	}()
	s.pace(ctx)
	s.conn.Close()
	<-heard
}

// pace sends a frame every 20 ms, by the clock and not by the previous frame, so
// that nothing drifts.
func (s *stream) pace(ctx context.Context) {
	start, sent := time.Now(), 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		due := int(time.Since(start)/frameTime) + 1
		if skip := due - sent - maxBehind; skip > 0 {
			sent += skip
			s.skip(skip)
		}
		for ; sent < due; sent++ {
			s.tick()
		}
		timer.Reset(time.Until(start.Add(time.Duration(sent) * frameTime)))
	}
}

func (s *stream) skip(frames int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ts += uint32(frames * frameSamples)
	s.marker = true
}

// tick sends what is due in this frame: a key, audio or, on hold, nothing.
func (s *stream) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.ts += frameSamples }()
	if !s.direction.sends() || !s.remote.IsValid() {
		s.marker = true
		return
	}
	if s.key == nil && len(s.keys) > 0 && s.eventsOut != 0 {
		if s.apart--; s.apart < 0 {
			s.key = &press{event: s.keys[0], ts: s.ts}
			s.keys = s.keys[1:]
		}
	}
	if s.key != nil {
		s.sendKeyLocked()
		return
	}
	if s.echoing {
		return
	}
	var frame [frameSamples]int16
	s.voice.fill(frame[:])
	s.sendLocked(s.codec.pt, s.marker, s.ts, s.codec.pack(frame[:]))
	s.marker = false
}

func (s *stream) sendKeyLocked() {
	first := s.key.frames == 0
	payload, end := s.key.payload()
	s.sendLocked(s.eventsOut, first, s.key.ts, payload)
	if end {
		s.sendLocked(s.eventsOut, false, s.key.ts, payload)
		s.sendLocked(s.eventsOut, false, s.key.ts, payload)
		s.key, s.apart = nil, framesApart
	}
}

func (s *stream) sendLocked(pt uint8, marker bool, ts uint32, payload []byte) {
	p := rtp.Packet{
		Header: rtp.Header{
			Version: 2, Marker: marker, PayloadType: pt, SequenceNumber: s.seq, Timestamp: ts, SSRC: s.ssrc,
		},
		Payload: payload,
	}
	b, err := p.Marshal()
	if err != nil {
		return // cannot be: the header is complete
	}
	s.seq++
	// A refused datagram is the network's loss, as on any path.
	if n, err := s.conn.WriteTo(b, net.UDPAddrFromAddrPort(s.remote)); err == nil {
		s.counts.packetsOut++
		s.counts.bytesOut += uint64(n)
	}
}

func (s *stream) listen() {
	buf := make([]byte, 2048)
	for {
		n, _, err := s.conn.ReadFrom(buf)
		if err != nil {
			return // closed by run
		}
		s.packet(buf[:n], time.Now())
	}
}

// packet takes one datagram.
func (s *stream) packet(b []byte, now time.Time) {
	var p rtp.Packet
	err := p.Unmarshal(b)

	s.mu.Lock()
	defer s.mu.Unlock()
	c, audio := s.acceptedLocked(p.PayloadType)
	key := s.eventsIn != 0 && p.PayloadType == s.eventsIn
	if err != nil || !audio && !key {
		s.counts.strange++
		return
	}
	s.counts.packetsIn++
	s.counts.bytesIn += uint64(len(b))
	if !s.orderLocked(p.Header) {
		s.counts.late++
		return
	}
	if key {
		s.keyLocked(p, now)
		return
	}
	if len(p.Payload) == 0 || !s.direction.receives() {
		return
	}
	frame := c.unpack(p.Payload)
	s.ear.Frame(frame, now)
	s.recordLocked(p.Timestamp, frame)
	if s.echo && s.direction.sends() && s.remote.IsValid() && s.key == nil {
		s.echoLocked(p)
	}
}

func (s *stream) acceptedLocked(pt uint8) (codec, bool) {
	for _, c := range s.accepted {
		if c.pt == pt {
			return c, true
		}
	}
	return codec{}, false
}

// orderLocked counts what is missing, and reports whether the packet is newer
// than all before it.
func (s *stream) orderLocked(h rtp.Header) bool {
	if !s.known || h.SSRC != s.theirSSRC {
		s.known, s.theirSSRC, s.theirSeq, s.theirTS = true, h.SSRC, h.SequenceNumber, h.Timestamp
		s.echoing = false
		s.counts.sources++
		return true
	}
	ahead := int16(h.SequenceNumber - s.theirSeq)
	if ahead <= 0 {
		return false
	}
	s.counts.lost += uint64(ahead - 1)
	s.theirSeq = h.SequenceNumber
	return true
}

// keyLocked hears a key once: all packets of one press carry one timestamp.
// Keys keep the stream alive like audio does, so the ear hears silence then.
func (s *stream) keyLocked(p rtp.Packet, now time.Time) {
	if s.direction.receives() {
		s.ear.Frame(nil, now)
	}
	k, ok := keyHeard(p.Payload)
	if !ok || p.Timestamp == s.theirKeyTS && len(s.digits) > 0 || len(s.digits) >= maxDigits {
		return
	}
	s.theirKeyTS = p.Timestamp
	s.digits = append(s.digits, k)
}

// recordLocked keeps the frame where its timestamp puts it: what is missing
// is silent.
func (s *stream) recordLocked(ts uint32, frame []int16) {
	gap := int32(ts - s.theirTS)
	s.theirTS = ts + uint32(len(frame))
	if !s.record || len(s.recording)+len(frame) > maxRecorded {
		return
	}
	if gap > 0 && gap < 60*rate && len(s.recording) > 0 {
		gap = min(gap, int32(maxRecorded-len(s.recording)-len(frame)))
		s.recording = append(s.recording, make([]int16, gap)...)
	}
	s.recording = append(s.recording, frame...)
}

// echoLocked sends a heard packet back at once, with its own spacing, in our
// own sequence.
func (s *stream) echoLocked(p rtp.Packet) {
	marker := p.Marker
	if !s.echoing {
		s.echoing, s.echoShift, marker = true, s.ts-p.Timestamp, true
	}
	s.sendLocked(p.PayloadType, marker, p.Timestamp+s.echoShift, p.Payload)
}

// terms are what an offer and an answer agreed on.
type terms struct {
	remote    netip.AddrPort
	codec     codec
	accepted  []codec
	eventsOut uint8
	eventsIn  uint8
	direction direction // as we say it
}

// agree puts new terms in force, with the next packet.
func (s *stream) agree(t terms) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remote, s.codec, s.accepted = t.remote, t.codec, t.accepted
	s.eventsOut, s.eventsIn = t.eventsOut, t.eventsIn
	if s.direction != t.direction {
		s.echoing, s.marker = false, true
	}
	s.direction = t.direction
	if !t.direction.receives() {
		s.ear.Pause()
	}
}

// say changes what is sent from the next frame on.
func (s *stream) say(v voice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.voice = v
}

// press sends keys as telephone events, one after the other. It reports
// whether the other side understands them.
func (s *stream) press(digits string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.eventsOut == 0 {
		return false
	}
	s.keys = append(s.keys, keyEvents(digits)...)
	return true
}

func (s *stream) snapshot() (c counts, codecName string, digits string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts, s.codec.name, string(s.digits)
}

func (s *stream) recorded() []int16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recording
}
