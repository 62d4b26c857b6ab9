package device

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v4/packetio"

	"dialtone/internal/voice/carrier/g711"
	"dialtone/internal/voice/carrier/hear"
)

// audio is the browser's end of one call: what a PeerConnection is in the SDK.
// It is made of pion's parts rather than of pion's PeerConnection, which waits
// 200 ms before it nominates a pair and would thereby measure itself.
type audio struct {
	microphone microphone
	ear        *hear.Ear
	note       func(func(*Times))
	frame      func(samples []int16, at time.Time) // nil: nobody is told

	agent       *ice.Agent
	certificate tls.Certificate
	ufrag, pwd  string
	fingerprint string
	session     uint32
	ssrc        uint32

	ctx     context.Context
	stop    context.CancelFunc
	sending sync.WaitGroup // handshake and microphone
	reading sync.WaitGroup // until ICE is closed

	mu      sync.Mutex
	agreed  bool
	closed  bool
	failure error

	hello *packetio.Buffer // DTLS packets on their way to the handshake
	in    atomic.Pointer[srtp.Context]
	sent  atomic.Uint64
	keys  keysHeard // the reading goroutine's, under its own lock

	tx struct {
		sync.Mutex
		conn     *ice.Conn
		out      *srtp.Context
		seq      uint16
		ts       uint32
		pressing bool
		codec    uint8
		events   uint8
	}
}

// checkInterval is how soon ICE goes on with what it learnt. Chromium's first
// checks come at once, too.
const checkInterval = 3 * time.Millisecond

func newAudio(microphone microphone, note func(func(*Times))) (*audio, error) {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	a := &audio{
		microphone: microphone, ear: hear.NewEar(8000), note: note,
		session: binary.BigEndian.Uint32(b[:]) >> 1, ssrc: binary.BigEndian.Uint32(b[4:]),
		hello: packetio.NewBuffer(),
	}
	a.ctx, a.stop = context.WithCancel(context.Background())
	if err := a.certify(); err != nil {
		return nil, err
	}
	var err error
	a.agent, err = ice.NewAgentWithOptions(
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithIncludeLoopback(),
		ice.WithInterfaceFilter(func(name string) bool { return name == "lo" || strings.HasPrefix(name, "lo0") }),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithHostAcceptanceMinWait(0),
		ice.WithCheckInterval(checkInterval),
	)
	if err != nil {
		return nil, fmt.Errorf("ICE: %w", err)
	}
	if a.ufrag, a.pwd, err = a.agent.GetLocalUserCredentials(); err == nil {
		if err = a.agent.OnCandidate(func(ice.Candidate) {}); err == nil {
			err = a.agent.GatherCandidates()
		}
	}
	if err != nil {
		_ = a.agent.Close()
		return nil, fmt.Errorf("ICE: %w", err)
	}
	return a, nil
}

// certify makes the certificate of the call, as a browser makes one for each.
func (a *audio) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 1, 0)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	a.certificate = tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
	a.fingerprint = fingerprintOf(raw)
	return nil
}

func fingerprintOf(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return strings.Join(parts, ":")
}

// offer describes what a dialling browser wants.
func (a *audio) offer() string { return a.ours("actpass", browserTypes) }

// accept takes the server's answer to our offer; only the first counts.
func (a *audio) accept(sdp string) error {
	d, err := parse(sdp)
	if err != nil {
		return err
	}
	// "active" of theirs makes us the DTLS server.
	return a.agree(d, d.setup == "passive")
}

// answer takes the server's offer and describes our side of it.
func (a *audio) answer(sdp string) (string, error) {
	d, err := parse(sdp)
	if err != nil {
		return "", err
	}
	types := fmt.Sprint(d.codec)
	if d.events != 0 {
		types += fmt.Sprintf(" %d", d.events)
	}
	if err := a.agree(d, true); err != nil {
		return "", err
	}
	return a.ours("active", types), nil
}

func (a *audio) agree(d description, client bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.agreed || a.closed {
		return nil
	}
	a.agreed = true
	a.tx.Lock()
	a.tx.codec, a.tx.events = d.codec, d.events
	a.tx.Unlock()
	for _, c := range d.candidates {
		if err := a.agent.AddRemoteCandidate(c); err != nil {
			return fmt.Errorf("candidate: %w", err)
		}
	}
	a.sending.Go(func() {
		if err := a.connect(d, client); err != nil && a.ctx.Err() == nil {
			a.mu.Lock()
			a.failure = err
			a.mu.Unlock()
		}
	})
	return nil
}

// failed returns why there is no audio, nil while there may be.
func (a *audio) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

// connect brings the audio up and sends until the end.
func (a *audio) connect(d description, client bool) error {
	conn, err := a.agent.Dial(a.ctx, d.ufrag, d.pwd)
	if err != nil {
		return fmt.Errorf("ICE: %w", err)
	}
	a.note(func(t *Times) { t.ICE = time.Now() })
	a.reading.Go(func() { a.read(conn) })
	session, out, in, err := a.shakeHands(conn, d.fingerprint, client)
	if err != nil {
		return fmt.Errorf("DTLS: %w", err)
	}
	a.note(func(t *Times) { t.DTLS = time.Now() })
	a.in.Store(in)
	a.tx.Lock()
	a.tx.conn, a.tx.out = conn, out
	a.tx.Unlock()
	a.speak()
	return session.Close()
}

func (a *audio) shakeHands(conn *ice.Conn, fingerprint string, client bool) (session *dtls.Conn, out, in *srtp.Context, err error) {
	pc := handshake{audio: a, conn: conn}
	_, want, _ := strings.Cut(fingerprint, " ")
	shared := []dtls.Option{
		dtls.WithCertificates(a.certificate),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithInsecureSkipVerify(true), // the fingerprint stands for it (RFC 8827, 6.5)
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 || !strings.EqualFold(fingerprintOf(raw[0]), want) {
				return errors.New("the server's certificate is not the one it announced")
			}
			return nil
		}),
		dtls.WithFlightInterval(50 * time.Millisecond), // Chromium's first
	}
	if client {
		opts := make([]dtls.ClientOption, len(shared))
		for i, o := range shared {
			opts[i] = o
		}
		session, err = dtls.ClientWithOptions(pc, conn.RemoteAddr(), opts...)
	} else {
		opts := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithInsecureSkipVerifyHello(true)}
		for _, o := range shared {
			opts = append(opts, o)
		}
		session, err = dtls.ServerWithOptions(pc, conn.RemoteAddr(), opts...)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if err = session.HandshakeContext(a.ctx); err == nil {
		out, in, err = derive(session, client)
	}
	if err != nil {
		_ = session.Close()
	}
	return session, out, in, err
}

func derive(session *dtls.Conn, client bool) (out, in *srtp.Context, err error) {
	state, ok := session.ConnectionState()
	profile, chosen := session.SelectedSRTPProtectionProfile()
	if !ok || !chosen {
		return nil, nil, errors.New("no SRTP profile")
	}
	c := srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	if err := c.ExtractSessionKeysFromDTLS(&state, client); err != nil {
		return nil, nil, err
	}
	if out, err = srtp.CreateContext(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt, c.Profile); err != nil {
		return nil, nil, err
	}
	in, err = srtp.CreateContext(c.Keys.RemoteMasterKey, c.Keys.RemoteMasterSalt, c.Profile, srtp.SRTPReplayProtection(128))
	return out, in, err
}

// read tells DTLS and SRTP apart (RFC 7983) and listens.
func (a *audio) read(conn *ice.Conn) {
	defer a.hello.Close()
	var (
		buf, plain [2048]byte
		samples    [2048]int16
		h          rtp.Header
	)
	for {
		n, err := conn.Read(buf[:])
		if err != nil {
			return
		}
		b := buf[:n]
		switch {
		case n == 0:
		case b[0] >= 20 && b[0] < 64:
			_, _ = a.hello.Write(b) // full: DTLS repeats
		case b[0] >= 128 && b[0] < 192 && n > 12 && (b[1] < 192 || b[1] >= 224): // not RTCP
			in := a.in.Load()
			if in == nil {
				continue
			}
			out, err := in.DecryptRTP(plain[:0], b, &h)
			if err != nil {
				continue
			}
			payload := out[h.MarshalSize():]
			switch h.PayloadType {
			case pcmu, pcma:
				decode := g711.DecodeMu
				if h.PayloadType == pcma {
					decode = g711.DecodeA
				}
				for i, s := range payload {
					samples[i] = decode(s)
				}
				now := time.Now()
				a.ear.Frame(samples[:len(payload)], now)
				if a.frame != nil {
					a.frame(samples[:len(payload)], now)
				}
			case eventsType:
				a.keys.event(h.Timestamp, payload)
				a.ear.Pause()
			}
		}
	}
}

// speak sends what the microphone hears, frame by frame by the clock.
func (a *audio) speak() {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		select {
		case <-a.ctx.Done():
			return
		case <-timer.C:
		}
		a.tx.Lock()
		if a.tx.pressing {
			a.tx.ts += frameSamples
		} else {
			says := a.microphone[a.tx.codec]
			a.sendLocked(a.tx.codec, n == 0, a.tx.ts, says[n%len(says)])
			a.tx.ts += frameSamples
		}
		a.tx.Unlock()
		if behind := time.Since(start) - time.Duration(n)*frameTime; behind > 200*time.Millisecond {
			start = start.Add(behind) // the machine slept: no burst
		}
		timer.Reset(time.Until(start.Add(time.Duration(n+1) * frameTime)))
	}
}

func (a *audio) sendLocked(pt uint8, marker bool, ts uint32, payload []byte) {
	a.tx.seq++
	h := rtp.Header{Version: 2, Marker: marker, PayloadType: pt, SequenceNumber: a.tx.seq, Timestamp: ts, SSRC: a.ssrc}
	plain, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
	if err != nil {
		return
	}
	if b, err := a.tx.out.EncryptRTP(nil, plain, &h); err == nil {
		_, _ = a.tx.conn.Write(b) // lost as on any network
		a.sent.Add(1)
	}
}

// press sends each key as a telephone event of 100 ms (RFC 4733).
func (a *audio) press(keys string) error {
	a.tx.Lock()
	ready, pt := a.tx.conn != nil, a.tx.events
	a.tx.Unlock()
	if !ready || pt == 0 {
		return errors.New("telephone-event is not possible: no audio yet, or not agreed")
	}
	for _, key := range []byte(keys) {
		code := strings.IndexByte("0123456789*#ABCD", key)
		if code < 0 {
			return fmt.Errorf("%q is not a key", key)
		}
		a.tx.Lock()
		a.tx.pressing = true
		ts := a.tx.ts
		a.tx.Unlock()
		for i := 1; i <= 5+2; i++ { // the end is sent three times
			end := byte(0)
			if i >= 5 {
				end = 0x80
			}
			lasted := uint16(min(i, 5) * frameSamples)
			a.tx.Lock()
			a.sendLocked(pt, i == 1, ts, []byte{byte(code), end | 10, byte(lasted >> 8), byte(lasted)})
			a.tx.Unlock()
			if i < 5 && !a.pause(frameTime) {
				return errors.New("the call ended")
			}
		}
		a.tx.Lock()
		a.tx.pressing = false
		a.tx.Unlock()
		if !a.pause(70 * time.Millisecond) {
			return errors.New("the call ended")
		}
	}
	return nil
}

func (a *audio) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-a.ctx.Done():
		return false
	}
}

// close ends the audio and waits until nothing of it runs.
func (a *audio) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.ear.End(time.Now())
	a.stop()
	a.sending.Wait() // DTLS says goodbye over ICE
	_ = a.agent.GracefulClose()
	a.reading.Wait()
}

// keysHeard collects telephone events.
type keysHeard struct {
	mu   sync.Mutex
	last uint32
	some bool
	all  []byte
}

func (k *keysHeard) event(ts uint32, payload []byte) {
	if len(payload) < 4 || payload[0] > 15 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.some && k.last == ts || len(k.all) >= 64 {
		return
	}
	k.last, k.some = ts, true
	k.all = append(k.all, "0123456789*#ABCD"[payload[0]])
}

func (a *audio) keysHeard() string {
	a.keys.mu.Lock()
	defer a.keys.mu.Unlock()
	return string(a.keys.all)
}
