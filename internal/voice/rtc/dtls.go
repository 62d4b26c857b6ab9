package rtc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/transport/v4/packetio"

	"dialtone/internal/voice/srtp"
)

// fingerprint of a certificate as SDP carries it (RFC 8122).
type fingerprint struct{ hash, value string }

// matches reports whether the certificate is the one that was announced.
func (f fingerprint) matches(raw []byte) bool {
	var sum []byte
	switch f.hash {
	case "sha-256":
		s := sha256.Sum256(raw)
		sum = s[:]
	case "sha-384":
		s := sha512.Sum384(raw)
		sum = s[:]
	case "sha-512":
		s := sha512.Sum512(raw)
		sum = s[:]
	default:
		return false
	}
	return strings.EqualFold(colons(sum), f.value)
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return strings.Join(parts, ":")
}

// keys are the two directions of SRTP that a handshake agreed. Peer.tx guards one,
// the engine's reading goroutine has the other.
type keys struct {
	tx *srtp.Sender
	rx *srtp.Receiver
}

// association is one DTLS session with a browser.
type association struct {
	peer   *Peer
	client bool // we begin
	remote fingerprint

	in      *packetio.Buffer
	started bool // guarded by Peer.mu
	ctx     context.Context
	stop    context.CancelFunc
}

const (
	// maxFlight is how many DTLS packets wait for the handshake; more are dropped
	// and come again. A flight with a certificate chain takes ten.
	maxFlight = 32
	// The first repetition comes soon: the browser drops what arrives before its
	// ICE is up.
	flightInterval = 100 * time.Millisecond
	handshakeLimit = 20 * time.Second
)

func newAssociation(p *Peer, remote fingerprint, client bool) *association {
	a := &association{peer: p, client: client, remote: remote, in: packetio.NewBuffer()}
	a.in.SetLimitCount(maxFlight)
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a
}

// start begins the handshake; once. Called with Peer.mu held.
func (a *association) start() {
	if a.started || a.peer.closed {
		return
	}
	a.started = true
	a.peer.sessions.Go(a.run)
}

// end tells the browser that it is over, if there is a session, and stops.
func (a *association) end() { a.stop() }

// run shakes hands and then waits for the end.
func (a *association) run() {
	conn, err := a.connect()
	if err != nil {
		_ = a.in.Close()
		a.failed(err)
		return
	}
	ctx, cancel := context.WithTimeout(a.ctx, handshakeLimit)
	err = conn.HandshakeContext(ctx)
	cancel()
	if err == nil {
		var k *keys
		if k, err = a.derive(conn); err == nil {
			a.peer.log.Debug("browser leg is encrypted", "profile", k.tx.Profile().String(), "dtls_client", a.client)
			a.up(k)
		}
	}
	if err != nil {
		_ = conn.Close() // the handshake's failure is what counts
		a.failed(err)
		return
	}
	closed := make(chan struct{})
	release := context.AfterFunc(a.ctx, func() {
		_ = conn.Close()
		close(closed)
	})
	var b [maxDatagram]byte
	for err == nil {
		_, err = conn.Read(b[:]) // data channels are not negotiated: dropped
	}
	if release() {
		_ = conn.Close()
		a.gone()
		return
	}
	<-closed
}

func (a *association) connect() (*dtls.Conn, error) {
	shared := []dtls.Option{
		dtls.WithCertificates(a.peer.engine.certificate),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithInsecureSkipVerify(true), // the fingerprint stands for it (RFC 8827, 6.5)
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 || !a.remote.matches(raw[0]) {
				return errFingerprint
			}
			return nil
		}),
		dtls.WithFlightInterval(flightInterval),
		dtls.WithLoggerFactory(quiet{}),
	}
	if a.client {
		opts := make([]dtls.ClientOption, len(shared))
		for i, o := range shared {
			opts[i] = o
		}
		return dtls.ClientWithOptions(a, a.RemoteAddr(), opts...)
	}
	opts := []dtls.ServerOption{
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerifyHello(true), // ICE has shown that the address is real
	}
	for _, o := range shared {
		opts = append(opts, o)
	}
	return dtls.ServerWithOptions(a, a.RemoteAddr(), opts...)
}

var errFingerprint = errors.New("certificate does not match the SDP's fingerprint")

func (a *association) derive(conn *dtls.Conn) (*keys, error) {
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, errors.New("no DTLS state")
	}
	chosen, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return nil, errors.New("no SRTP profile was agreed")
	}
	profile := srtp.Profile(chosen)
	if !profile.Known() {
		return nil, fmt.Errorf("%s is not spoken", profile)
	}
	material, err := state.ExportKeyingMaterial(srtp.DTLSLabel, nil, profile.DTLSLen())
	if err != nil {
		return nil, fmt.Errorf("export SRTP keys: %w", err)
	}
	ours, theirs, err := srtp.FromDTLS(profile, material)
	if err != nil {
		return nil, err
	}
	if !a.client {
		ours, theirs = theirs, ours
	}
	k := &keys{}
	if k.tx, err = srtp.NewSender(ours); err != nil {
		return nil, err
	}
	if k.rx, err = srtp.NewReceiver(theirs); err != nil {
		return nil, err
	}
	return k, nil
}

// up, failed and gone tell the peer, unless another association took over.
func (a *association) up(k *keys) {
	a.tell(func(p *Peer) {
		p.alive.Store(p.engine.now())
		p.keys.Store(k)
	})
}

func (a *association) failed(err error) {
	if a.ctx.Err() != nil {
		return
	}
	a.peer.log.Warn("DTLS with a browser failed", "error", err)
	a.tell(func(p *Peer) { p.broken = true })
}

func (a *association) gone() { a.tell(func(p *Peer) { p.gone = true }) }

func (a *association) tell(f func(*Peer)) {
	p := a.peer
	p.mu.Lock()
	if p.dtls == a {
		f(p)
	}
	p.mu.Unlock()
	p.stir()
}

// receive takes a DTLS packet on the reading goroutine.
func (a *association) receive(b []byte) {
	_, _ = a.in.Write(b) // full or closed: dropped, DTLS repeats
}

// association is the net.PacketConn of its DTLS session.
var _ net.PacketConn = (*association)(nil)

// ReadFrom returns the next DTLS packet from the browser.
func (a *association) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := a.in.Read(b)
	return n, a.RemoteAddr(), err
}

// WriteTo sends to the browser, wherever it is now.
func (a *association) WriteTo(b []byte, _ net.Addr) (int, error) {
	if to := a.peer.path.Load(); to != nil {
		_ = a.peer.engine.send(b, to) // lost packets come again
	}
	return len(b), nil
}

// Close ends ReadFrom.
func (a *association) Close() error { return a.in.Close() }

// LocalAddr returns the engine's address.
func (a *association) LocalAddr() net.Addr { return a.peer.engine.conn.LocalAddr() }

// RemoteAddr returns a name for the browser, whose address may change.
func (a *association) RemoteAddr() net.Addr { return browserAddr{} }

// SetDeadline implements net.PacketConn.
func (a *association) SetDeadline(t time.Time) error { return a.in.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (a *association) SetReadDeadline(t time.Time) error { return a.in.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writing never waits.
func (a *association) SetWriteDeadline(time.Time) error { return nil }

type browserAddr struct{}

func (browserAddr) Network() string { return "udp" }
func (browserAddr) String() string  { return "browser" }
