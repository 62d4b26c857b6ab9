package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"dialtone/e2e/device"
)

// stranger is an address of this machine from which no carrier calls.
const stranger = "127.0.0.2"

// attacks is everything that can be sent to a node.
var attacks = []struct {
	name   string
	attack func(*world, context.Context, *goodCall) error
}{
	{"nothing", nothing},
	{"garbage on the SIP port", (*world).sipGarbage},
	{"RFC 4475 on the SIP port", (*world).torture},
	{"garbage on the WebSocket", (*world).signalGarbage},
	{"a flood from one client", (*world).flood},
	{"descriptions that cannot be used", (*world).oddDescriptions},
	{"refused tokens", (*world).refusedTokens},
	{"audio from strangers", (*world).strangeAudio},
	{"a device that does not read", (*world).unread},
	{"nothing any more", nothing},
}

func nothing(_ *world, ctx context.Context, _ *goodCall) error {
	<-ctx.Done()
	return nil
}

// paced calls f so many times a second until the context is done.
func paced(ctx context.Context, perSecond int, f func(n int) error) error {
	const tick = 5 * time.Millisecond
	t := time.NewTicker(tick)
	defer t.Stop()
	each := max(1, perSecond*int(tick)/int(time.Second))
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		for range each {
			if err := f(n); err != nil {
				return err
			}
			n++
		}
	}
}

// phone is a UDP socket towards the SIP port.
type phone struct{ *net.UDPConn }

func (w *world) phone(from string) (phone, error) {
	to, err := net.ResolveUDPAddr("udp", w.node.Addr().SIP)
	if err != nil {
		return phone{}, err
	}
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, to)
	return phone{conn}, err
}

// request returns a request that a carrier could send.
func (p phone) request(method, number, body string, headers ...string) []byte {
	var b strings.Builder
	at := p.LocalAddr()
	fmt.Fprintf(&b, "%s sip:%s@%s SIP/2.0\r\n", method, number, p.RemoteAddr())
	fmt.Fprintf(&b, "Via: SIP/2.0/UDP %s;branch=z9hG4bK%016x;rport\r\n", at, rand.Uint64())
	fmt.Fprintf(&b, "From: <sip:%s@%s>;tag=%08x\r\n", uncounted, at, rand.Uint32())
	fmt.Fprintf(&b, "To: <sip:%s@%s>\r\n", number, p.RemoteAddr())
	fmt.Fprintf(&b, "Call-ID: %016x@%s\r\nCSeq: 1 %s\r\nContact: <sip:x@%s>\r\nMax-Forwards: 70\r\n", rand.Uint64(), at, method, at)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return []byte(b.String())
}

// ask sends a request and returns the status of its final response, 0 when there
// was no answer at all.
func (p phone) ask(request []byte) (int, error) {
	if _, err := p.Write(request); err != nil {
		return 0, err
	}
	callID := header(request, "Call-ID")
	_ = p.SetReadDeadline(time.Now().Add(time.Second))
	var b [8192]byte
	for {
		n, err := p.Read(b[:])
		if err != nil {
			return 0, nil // nobody answers
		}
		var status int
		if _, err := fmt.Sscanf(string(b[:n]), "SIP/2.0 %d", &status); err != nil || header(b[:n], "Call-ID") != callID || status < 200 {
			continue
		}
		if bytes.HasPrefix(request, []byte("INVITE ")) {
			ack := bytes.Replace(bytes.Replace(request, []byte("INVITE "), []byte("ACK "), 1), []byte("CSeq: 1 INVITE"), []byte("CSeq: 1 ACK"), 1)
			ack = bytes.Replace(ack, []byte("To: "+header(request, "To")), []byte("To: "+header(b[:n], "To")), 1)
			_, _ = p.Write(ack)
		}
		return status, nil
	}
}

func header(message []byte, name string) string {
	for line := range strings.SplitSeq(string(message), "\r\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	return ""
}

// lives asks the node from a carrier's address whether it does.
func (w *world) lives() error {
	p, err := w.phone("127.0.0.1")
	if err != nil {
		return err
	}
	defer p.Close()
	status, err := p.ask(p.request("OPTIONS", "dialtone", ""))
	if err == nil && status != 200 {
		err = fmt.Errorf("OPTIONS was answered %d", status)
	}
	return err
}

func (w *world) sipGarbage(ctx context.Context, _ *goodCall) error {
	carrier, err := w.phone("127.0.0.1")
	if err != nil {
		return err
	}
	defer carrier.Close()
	nobody, err := w.phone(stranger)
	if err != nil {
		return err
	}
	defer nobody.Close()
	random := rand.New(rand.NewPCG(1, 2))
	invite := carrier.request("INVITE", w.cast.Line, audioSDP)
	err = paced(ctx, 1000, func(n int) error {
		var b []byte
		switch n % 5 {
		case 0: // noise of any length
			b = noise(random, random.IntN(1500))
		case 1: // cut off
			b = invite[:random.IntN(len(invite))]
		case 2: // bytes changed
			b = bytes.Clone(invite)
			for range 1 + random.IntN(20) {
				b[random.IntN(len(b))] = byte(random.Uint32())
			}
			b = bytes.Replace(b, []byte("INVITE"), []byte("OPTION"), -1) // no call may come of it
		case 3: // endless headers
			b = append(bytes.TrimSuffix(carrier.request("OPTIONS", "x", ""), []byte("\r\n")), bytes.Repeat([]byte("Subject: x\r\n"), random.IntN(2000))...)
		case 4: // empty lines, keep-alives
			b = bytes.Repeat([]byte("\r\n"), random.IntN(20))
		}
		for _, p := range []phone{carrier, nobody} {
			_, _ = p.Write(b) // too long for one datagram: not sent
		}
		return nil
	})
	if err != nil {
		return err
	}
	// A stranger is told nothing, however well they ask.
	_ = nobody.SetReadDeadline(time.Now().Add(time.Millisecond))
	for _, request := range [][]byte{nobody.request("OPTIONS", "x", ""), nobody.request("INVITE", w.cast.Line, audioSDP)} {
		if status, err := nobody.ask(request); err != nil || status != 0 {
			return fmt.Errorf("a stranger was answered %d, %w", status, err)
		}
	}
	return w.lives()
}

func noise(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

const audioSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"

func (w *world) torture(ctx context.Context, _ *goodCall) error {
	files, err := filepath.Glob("../../internal/voice/trunk/message/testdata/rfc4475/*.dat")
	if err != nil || len(files) < 49 {
		return fmt.Errorf("%d messages of RFC 4475: %w", len(files), err)
	}
	udp, err := w.phone("127.0.0.1")
	if err != nil {
		return err
	}
	defer udp.Close()
	for round := 0; ctx.Err() == nil; round++ {
		for _, file := range files {
			message, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if _, err := udp.Write(message); err != nil {
				return err
			}
			if round > 0 {
				pause(ctx, 2*time.Millisecond)
				continue
			}
			tcp, err := net.Dial("tcp", w.node.Addr().SIP)
			if err != nil {
				return err
			}
			_, _ = tcp.Write(message)
			_ = tcp.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, _ = tcp.Read(make([]byte, 4096)) // what is answered is tested where messages are judged
			tcp.Close()
		}
	}
	return w.lives()
}

// closedWith sends frames over a connection of its own and says how it was closed.
func (w *world) closedWith(frames func(*device.Signal) error) (websocket.StatusCode, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	s, err := device.OpenSignal(ctx, w.signal())
	if err != nil {
		return 0, err
	}
	defer s.Cut()
	_ = frames(s) // fails once the node has closed
	for {
		if _, err := s.Next(ctx); err != nil {
			if ctx.Err() != nil {
				return 0, errors.New("the connection was not closed")
			}
			return device.Closed(err), nil
		}
	}
}

func (w *world) signalGarbage(ctx context.Context, _ *goodCall) error {
	random := rand.New(rand.NewPCG(3, 4))
	text, err := w.cast.Token("garbage", time.Hour, time.Now())
	if err != nil {
		return err
	}
	listened := func(frames ...string) func(*device.Signal) error {
		return func(s *device.Signal) error {
			err := s.Listen(text)
			for _, f := range frames {
				err = errors.Join(err, s.Raw([]byte(f)))
			}
			return err
		}
	}
	six := func(f string) []string { return []string{f, f, f, f, f, f} }
	cases := []struct {
		name   string
		frames func(*device.Signal) error
		code   websocket.StatusCode
	}{
		{"an oversized frame", listened(strings.Repeat("x", 1<<17)), websocket.StatusMessageTooBig},
		{"a binary frame", func(s *device.Signal) error { return s.Binary([]byte{1, 2, 3}) }, websocket.StatusUnsupportedData},
		{"a frame before listen", func(s *device.Signal) error { return s.Register(true) }, websocket.StatusPolicyViolation},
		{"no JSON", listened(six("hello")...), websocket.StatusPolicyViolation},
		{"half a JSON", listened(six(`{"type":"regis`)...), websocket.StatusPolicyViolation},
		{"deep JSON", listened(six(strings.Repeat("[", 30000))...), websocket.StatusPolicyViolation},
		{"an unknown type", listened(six(`{"type":"dance","payload":{}}`)...), websocket.StatusPolicyViolation},
		{"payloads of another type", listened(six(`{"type":"invite","payload":[1e999,"\u0000"]}`)...), websocket.StatusPolicyViolation},
		{"the same key twice", listened(six(`{"type":"register","type":"invite","payload":{}}`)...), websocket.StatusPolicyViolation},
		{"noise", func(s *device.Signal) error {
			err := s.Listen(text)
			for range 6 {
				err = errors.Join(err, s.Raw(bytes.ToValidUTF8(noise(random, 2000), []byte("?"))))
			}
			return err
		}, websocket.StatusPolicyViolation},
	}
	for first := true; first || ctx.Err() == nil; first = false {
		for _, c := range cases {
			if !first && ctx.Err() != nil {
				break
			}
			code, err := w.closedWith(c.frames)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if code != c.code {
				return fmt.Errorf("%s: closed with %d, want %d", c.name, code, c.code)
			}
		}
		// The port without TLS, and with TLS without HTTP.
		for _, secure := range []bool{false, true} {
			conn, err := net.Dial("tcp", w.node.Addr().HTTPS)
			if err != nil {
				return err
			}
			if secure {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			}
			_, _ = conn.Write(noise(random, 3000))
			_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, _ = conn.Read(make([]byte, 4096))
			conn.Close()
		}
	}
	return nil
}

// flood is one client that sends as fast as it can, and opens what it can.
func (w *world) flood(ctx context.Context, _ *goodCall) error {
	text, err := w.cast.Token("flood", time.Hour, time.Now())
	if err != nil {
		return err
	}
	var idle []*device.Signal
	defer func() {
		for _, s := range idle {
			s.Cut()
		}
	}()
	for range 100 {
		s, err := device.OpenSignal(ctx, w.signal())
		if err != nil {
			break // the time is up
		}
		idle = append(idle, s)
	}
	for first := true; first || ctx.Err() == nil; first = false {
		code, err := w.closedWith(func(s *device.Signal) error {
			if err := s.Listen(text); err != nil {
				return err
			}
			for range 5000 {
				if err := s.Register(true); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		// The node closes while we still write: the close frame may be lost to the
		// reset that follows.
		if code != websocket.StatusPolicyViolation && code != -1 {
			return fmt.Errorf("closed with %d", code)
		}
	}
	return nil
}

func (w *world) oddDescriptions(ctx context.Context, _ *goodCall) error {
	text, err := w.cast.Token("odd", time.Hour, time.Now())
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	s, err := device.OpenSignal(within, w.signal())
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Listen(text); err != nil {
		return err
	}
	const head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
	offers := map[string]string{
		"no audio":       head + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\n",
		"no section":     head,
		"unknown codecs": head + "m=audio 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:96 speex/8000\r\na=rtpmap:97 iLBC/8000\r\n",
		"plain RTP":      audioSDP,
		"no SDP":         "hello",
		"too long":       head + strings.Repeat("a=x\r\n", 6700),
	}
	for name, offer := range offers {
		id := "TJS" + strings.ReplaceAll(name, " ", "")
		if err := s.Send("invite", map[string]any{"callsid": id, "sdp": offer, "twilio": map[string]string{"params": "To=%2B15550105"}}); err != nil {
			return err
		}
		f, err := s.Until(within, "hangup", "answer", "ringing", "error")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if f.Type != "hangup" || !strings.Contains(string(f.Payload), "31400") || !strings.Contains(string(f.Payload), id) {
			return fmt.Errorf("%s: got %s %s, want a hangup with 31400", name, f.Type, f.Payload)
		}
	}
	p, err := w.phone("127.0.0.1")
	if err != nil {
		return err
	}
	defer p.Close()
	const sdp = "Content-Type: application/sdp"
	for first := true; first || ctx.Err() == nil; first = false {
		for _, c := range []struct {
			name, kind, body string
			status           []int
		}{
			{"no audio", sdp, strings.Replace(audioSDP, "m=audio 9 RTP/AVP 0", "m=video 9 RTP/AVP 31", 1), []int{488}},
			{"unknown codecs", sdp, strings.Replace(audioSDP, "RTP/AVP 0", "RTP/AVP 3 4 15", 1), []int{488}},
			{"no SDP", sdp, "hello", []int{400, 488}},
			{"not SDP", "Content-Type: application/isup", audioSDP, []int{415}},
		} {
			status, err := p.ask(p.request("INVITE", w.cast.Line, c.body, c.kind))
			if err != nil {
				return err
			}
			fits := false
			for _, s := range c.status {
				fits = fits || s == status
			}
			if !fits {
				return fmt.Errorf("a carrier's INVITE with %s was answered %d, want %v", c.name, status, c.status)
			}
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

func (w *world) refusedTokens(ctx context.Context, _ *goodCall) error {
	forged, err := w.cast.Forged("alice")
	if err != nil {
		return err
	}
	expired, err := w.cast.Token("alice", time.Minute, time.Now().Add(-time.Hour))
	if err != nil {
		return err
	}
	good, err := w.cast.Token("alice", time.Hour, time.Now())
	if err != nil {
		return err
	}
	parts := strings.Split(good, ".")
	elsewhere := w.cast
	elsewhere.Account = "AC" + strings.Repeat("0", 32)
	foreign, err := elsewhere.Token("alice", time.Hour, time.Now())
	if err != nil {
		return err
	}
	cases := []struct {
		name, token string
		code        int
	}{
		{"expired", expired, 31205},
		{"forged", forged, 31204},
		{"of another account", foreign, 31201},
		{"without a signature", parts[0] + "." + parts[1] + ".", 31204},
		{"without an algorithm", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + ".", 31204},
		{"empty", "", 31204},
		{"no token", "hello", 31204},
		{"huge", strings.Repeat("x", 50000), 31204},
	}
	for first := true; first || ctx.Err() == nil; first = false {
		for _, c := range cases {
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			_, err := device.Open(within, device.Options{URL: w.signal(), Token: c.token})
			cancel()
			var refused *device.Error
			if !errors.As(err, &refused) || refused.Code != c.code {
				return fmt.Errorf("a token that is %s was met with %w, want %d", c.name, err, c.code)
			}
		}
	}
	return nil
}

// strangeAudio sends to the browsers' port what looks like their packets, and to
// the call's own port what looks like the carrier's.
func (w *world) strangeAudio(ctx context.Context, g *goodCall) error {
	to := g.nodes.addr()
	for ; to == nil; to = g.nodes.addr() {
		if !pause(ctx, 5*time.Millisecond) {
			return errors.New("the carrier heard nothing")
		}
	}
	media, err := net.ResolveUDPAddr("udp", w.node.Addr().Media)
	if err != nil {
		return err
	}
	var from []net.PacketConn
	for _, host := range []string{"127.0.0.1", stranger} {
		conn, err := net.ListenPacket("udp", host+":0")
		if err != nil {
			return err
		}
		defer conn.Close()
		from = append(from, conn)
	}
	random := rand.New(rand.NewPCG(5, 6))
	return paced(ctx, 1000, func(n int) error {
		// A loud square wave, in sequence as of one source.
		b := make([]byte, 12, 172)
		b[0] = 0x80
		binary.BigEndian.PutUint16(b[2:], uint16(n))
		binary.BigEndian.PutUint32(b[4:], uint32(n*160))
		binary.BigEndian.PutUint32(b[8:], 0xDEADBEEF)
		for i := range 160 {
			b = append(b, byte(0x80*(i/2%2)))
		}
		guess := noise(random, 20+random.IntN(200))
		switch n % 4 {
		case 0: // STUN: a binding request without proof
			copy(guess, []byte{0, 1, 0, byte(len(guess) - 20), 0x21, 0x12, 0xA4, 0x42})
		case 1: // DTLS
			copy(guess, []byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, byte(n)})
		case 2: // SRTP
			guess = b
		}
		for _, conn := range from {
			_, _ = conn.WriteTo(guess, media)
			_, _ = conn.WriteTo(b, to)
		}
		return nil
	})
}

// deaf opens a device that never reads again, not even heartbeats. The function
// waits until the node has cut it off.
func (w *world) deaf(t *testing.T) (cut func() error) {
	t.Helper()
	text, err := w.cast.Token("deaf", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	s, err := device.OpenSignal(ctx, w.signal())
	if err == nil {
		err = errors.Join(s.Listen(text), s.Register(true))
	}
	if err == nil {
		_, err = s.Until(ctx, "ready")
	}
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	return func() error {
		defer cancel()
		defer s.Cut()
		for w.node.Open().Devices.Connections > len(w.agents)+len(w.callers) {
			if !pause(ctx, 50*time.Millisecond) || time.Since(began) > time.Minute {
				return errors.New("a device that does not read was not cut off within a minute")
			}
		}
		return nil
	}
}

// unread lets calls ring at a device that does not read.
func (w *world) unread(ctx context.Context, _ *goodCall) error {
	text, err := w.cast.Token("slow", time.Hour, time.Now())
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	slow, err := device.OpenSignal(within, w.signal())
	if err != nil {
		return err
	}
	defer slow.Cut()
	if err := errors.Join(slow.Listen(text), slow.Register(true)); err != nil {
		return err
	}
	if _, err := slow.Until(within, "ready"); err != nil {
		return err
	}
	failed := make(chan error, len(w.callers))
	for _, d := range w.callers {
		go func() {
			for ctx.Err() == nil {
				c, err := d.Call(url.Values{"To": {"client:slow"}})
				if err == nil {
					err = errors.Join(rings(within, c), c.HangUp())
				}
				if err != nil {
					failed <- err
					return
				}
				pause(ctx, 150*time.Millisecond) // a device may send 20 frames a second
			}
			failed <- nil
		}()
	}
	for range w.callers {
		err = errors.Join(err, <-failed)
	}
	return err
}
