package rtc

import (
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// browser is a real WebRTC client that behaves as the Voice SDK lets a browser
// behave: it does not wait for candidates and never sends any.
type browser struct {
	*webrtc.PeerConnection
	t     *testing.T
	track *microphone
	seq   uint16
	heard chan *rtp.Packet
}

func newBrowser(t *testing.T, mime string) *browser {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	return newBrowserOn(t, mime, s)
}

func newBrowserOn(t *testing.T, mime string, s webrtc.SettingEngine) *browser {
	t.Helper()
	var m webrtc.MediaEngine
	for _, c := range []webrtc.RTPCodecParameters{
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}, PayloadType: 0},
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, PayloadType: 111},
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMA, ClockRate: 8000}, PayloadType: 8},
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: 48000}, PayloadType: 110},
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: 8000}, PayloadType: 126},
	} {
		if err := m.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			t.Fatal(err)
		}
	}
	s.SetHandleUndeclaredSSRCWithoutAnswer(true) // as browsers do: our SDP names no SSRC
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(&m), webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	b := &browser{PeerConnection: pc, t: t, heard: make(chan *rtp.Packet, 1000)}
	c := webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 8000}
	if mime == webrtc.MimeTypeOpus {
		c.ClockRate, c.Channels = 48000, 2
	}
	track, err := webrtc.NewTrackLocalStaticRTP(c, "audio", "mic")
	if err != nil {
		t.Fatal(err)
	}
	b.track = &microphone{TrackLocalStaticRTP: track}
	if _, err = pc.AddTrack(b.track); err != nil {
		t.Fatal(err)
	}
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := r.ReadRTP()
			if err != nil {
				return
			}
			select {
			case b.heard <- p:
			default:
			}
		}
	})
	return b
}

// microphone is a track that can also send telephone events: packets whose
// payload type is their own.
type microphone struct {
	*webrtc.TrackLocalStaticRTP

	mu  sync.Mutex
	out webrtc.TrackLocalContext
}

// Bind implements webrtc.TrackLocal.
func (m *microphone) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	m.mu.Lock()
	m.out = c
	m.mu.Unlock()
	return m.TrackLocalStaticRTP.Bind(c)
}

func (m *microphone) write(h rtp.Header, payload []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	h.SSRC = uint32(m.out.SSRC())
	_, err := m.out.WriteStream().WriteRTP(&h, payload)
	return err
}

// offer returns an offer without candidates.
func (b *browser) offer(o *webrtc.OfferOptions) string {
	b.t.Helper()
	d, err := b.CreateOffer(o)
	if err == nil {
		err = b.SetLocalDescription(d)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return bare(d.SDP)
}

// bare leaves the candidates out of an SDP.
func bare(sdp string) string {
	var out strings.Builder
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate") && !strings.HasPrefix(line, "a=end-of-candidates") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func (b *browser) accept(answer string) {
	b.t.Helper()
	if err := b.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		b.t.Fatalf("%v in\n%s", err, answer)
	}
}

// answer takes an offer and returns an answer without candidates.
func (b *browser) answer(offer string) string {
	b.t.Helper()
	if err := b.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		b.t.Fatalf("%v in\n%s", err, offer)
	}
	d, err := b.CreateAnswer(nil)
	if err == nil {
		err = b.SetLocalDescription(d)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return bare(d.SDP)
}

// say sends one packet of 20 ms.
func (b *browser) say(payload byte) {
	b.seq++
	p := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: b.seq, Timestamp: uint32(b.seq) * 160}, Payload: make([]byte, 160)}
	for i := range p.Payload {
		p.Payload[i] = payload
	}
	_ = b.track.WriteRTP(p) // before DTLS is up there is nowhere to write to
}

// states keeps a peer's changes of state.
type states struct{ ch chan State }

func newStates() *states { return &states{make(chan State, 100)} }

func (s *states) put(x State) { s.ch <- x }

func (s *states) wait(t *testing.T, want State) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case got := <-s.ch:
			if got == want {
				return
			}
		case <-limit:
			t.Fatalf("state %v never came", want)
		}
	}
}

func newEngine(t *testing.T, addr string) *Engine {
	t.Helper()
	network := "udp" // both families, if the address is nobody's
	if strings.HasPrefix(addr, "0.0.0.0") {
		network = "udp4"
	}
	conn, err := net.ListenPacket(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{Conn: conn, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// talk sends from both sides every 20 ms until both heard the other, and returns
// how long after the beginning each first did.
func talk(t *testing.T, b *browser, p *Peer) (browserHears, peerHears time.Duration) {
	t.Helper()
	begin := time.Now()
	arrived := make(chan time.Duration, 1)
	p.OnRTP(func(h *rtp.Header, payload []byte) {
		if len(payload) != 160 || payload[0] != 0x11 {
			t.Errorf("peer heard %d bytes of %#x", len(payload), payload[0])
		}
		select {
		case arrived <- time.Since(begin):
		default:
		}
	})
	for len(b.heard) > 0 {
		<-b.heard
	}
	f, ok := p.Format()
	if !ok {
		t.Fatal("no format")
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = 0x22
	}
	var seq uint16
	for browserHears == 0 || peerHears == 0 {
		select {
		case <-tick.C:
			seq++
			_ = p.WriteRTP(&rtp.Header{PayloadType: f.PayloadType, SequenceNumber: seq, Timestamp: uint32(seq) * 160}, payload)
			b.say(0x11)
		case got := <-b.heard:
			if got.Payload[0] != 0x22 {
				t.Fatalf("browser heard %#x", got.Payload[0])
			}
			if browserHears == 0 {
				browserHears = time.Since(begin)
			}
		case at := <-arrived:
			if peerHears == 0 {
				peerHears = at
			}
		case <-limit:
			t.Fatalf("no audio: browser after %v, peer after %v; browser %v, ICE %v; peer has keys: %v, path: %v", browserHears, peerHears, b.ConnectionState(), b.ICEConnectionState(), p.keys.Load() != nil, p.path.Load())
		}
	}
	return browserHears, peerHears
}
