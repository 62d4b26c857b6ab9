// Package rtc holds the browser legs: ICE (lite) on one UDP port for all calls,
// DTLS-SRTP, and the SDP that the Voice SDK's browsers exchange with us.
//
// An Engine owns the port and the certificate; a Peer is one browser's end of
// one leg and a media.Wire. Both are safe for concurrent use.
//
// One goroutine reads the port, tells STUN, DTLS and SRTP apart by their first
// byte (RFC 7983), finds the peer by the address that an authenticated ICE check
// came from, decrypts, and hands the packet to the peer's OnRTP function: no
// queue lies between a browser and the other leg of its call. There is no
// PeerConnection: a lite agent that never trickles needs little of one, and
// without it audio comes up sooner and a packet costs less.
package rtc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/fault"
)

// Options is what an Engine needs.
type Options struct {
	Conn     net.PacketConn // the UDP port of all browser legs; closed by Engine.Close
	Announce []netip.Addr   // addresses put into SDP; empty: those of the local interfaces that Conn listens on
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil: counted for nobody
}

// Engine owns the port and the certificate of all browser legs.
type Engine struct {
	conn        net.PacketConn
	udp         *net.UDPConn // conn, if it is one
	log         *slog.Logger
	metrics     *metrics
	certificate tls.Certificate
	print       string
	announce    []netip.Addr
	listen      netip.AddrPort
	epoch       time.Time
	request     stun.Message // belongs to the reading goroutine

	running sync.WaitGroup

	mu     sync.RWMutex
	closed bool
	peers  map[*Peer][]credentials
	ufrags map[string]owner
	addrs  map[netip.AddrPort]*Peer
}

// owner of an ICE user fragment.
type owner struct {
	peer *Peer
	pwd  string
}

// maxDatagram is more than any packet of ours or an honest browser's.
const maxDatagram = 2048

// New returns an Engine that serves the connection until Close.
func New(o Options) (*Engine, error) {
	if o.Conn == nil {
		return nil, errors.New("rtc: no connection")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		conn: o.Conn, log: o.Log, announce: o.Announce, epoch: time.Now(),
		listen: addrPort(o.Conn.LocalAddr()), metrics: newMetrics(o.Metrics),
		peers: map[*Peer][]credentials{}, ufrags: map[string]owner{}, addrs: map[netip.AddrPort]*Peer{},
	}
	e.udp, _ = o.Conn.(*net.UDPConn)
	if e.udp != nil {
		_ = e.udp.SetReadBuffer(socketBuffer)  // as much as the system allows
		_ = e.udp.SetWriteBuffer(socketBuffer) // likewise
		if e.listen.Addr().IsUnspecified() {
			askForDestination(e.udp)
		}
	}
	if err := e.certify(); err != nil {
		return nil, err
	}
	e.running.Add(1)
	go e.read()
	return e, nil
}

// socketBuffer holds a second of two hundred calls.
const socketBuffer = 2 << 20

// certify makes the certificate of all DTLS sessions of this engine.
func (e *Engine) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("rtc: make key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "WebRTC"},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("rtc: make certificate: %w", err)
	}
	e.certificate = tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
	sum := sha256.Sum256(raw)
	e.print = colons(sum[:])
	return nil
}

// Close ends all peers, waits until they are gone, and closes the port.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	var peers []*Peer
	for p := range e.peers {
		peers = append(peers, p)
	}
	e.mu.Unlock()
	var leaving sync.WaitGroup
	for _, p := range peers {
		leaving.Go(func() {
			_ = p.Close()
			<-p.left
		})
	}
	leaving.Wait() // with the port open: the browsers are told
	err := e.conn.Close()
	e.running.Wait()
	return err
}

// now is a clock for atomics: nanoseconds since the engine began.
func (e *Engine) now() int64 { return int64(time.Since(e.epoch)) }

func (e *Engine) add(p *Peer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return fault.New(fault.Unavailable, "The node is stopping.")
	}
	e.running.Add(1)
	e.peers[p] = nil
	e.knowLocked(p, p.local)
	return nil
}

// know makes these the credentials by which checks find the peer.
func (e *Engine) know(p *Peer, c []credentials) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.knowLocked(p, c)
}

func (e *Engine) knowLocked(p *Peer, c []credentials) {
	was, present := e.peers[p]
	if !present {
		return
	}
	for _, old := range was {
		delete(e.ufrags, old.ufrag)
	}
	e.peers[p] = slices.Clone(c)
	for _, n := range c {
		e.ufrags[n.ufrag] = owner{peer: p, pwd: n.pwd}
	}
}

// remove is the last that a peer's goroutine does.
func (e *Engine) remove(p *Peer) {
	e.mu.Lock()
	e.knowLocked(p, nil)
	delete(e.peers, p)
	for _, a := range p.paths {
		if e.addrs[a] == p {
			delete(e.addrs, a)
		}
	}
	e.mu.Unlock()
	close(p.left)
	e.running.Done()
}

func (e *Engine) byUfrag(ufrag string) (*Peer, string) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	o := e.ufrags[ufrag]
	return o.peer, o.pwd
}

func (e *Engine) byAddr(a netip.AddrPort) *Peer {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.addrs[a]
}

// read is the goroutine of the port.
func (e *Engine) read() {
	defer e.running.Done()
	var b [maxDatagram]byte
	var control [controlSize]byte
	for {
		n, m, from, err := e.receive(b[:], control[:])
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			if e.over() {
				return
			}
			continue
		}
		e.dispatch(b[:n], control[:m], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

func (e *Engine) over() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.closed
}

// dispatch tells the protocols on the port apart (RFC 7983, 7).
func (e *Engine) dispatch(b, control []byte, from netip.AddrPort) {
	switch first := b[0]; {
	case first < 4:
		e.receiveSTUN(b, from, control, e.now())
	case first >= 20 && first < 64:
		if p := e.byAddr(from); p != nil {
			p.receiveDTLS(b)
		}
	case first >= 128 && first < 192:
		p := e.byAddr(from)
		switch {
		case p == nil:
			e.metrics.strange.Inc()
		case len(b) > 1 && b[1] >= 192 && b[1] < 224: // RFC 5761, 4
			p.receiveRTCP(b, e.now())
		default:
			p.receiveRTP(b, e.now())
		}
	}
}

// maxHello is how many DTLS packets may come before the browser's answer: its
// ClientHello in two parts, twice.
const maxHello = 4

// receiveDTLS hands a packet to the present association. The browser's hello may
// be faster than its answer, and is kept for it.
func (p *Peer) receiveDTLS(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.dtls != nil:
		p.dtls.receive(b)
	case len(p.hello) < maxHello:
		p.hello = append(p.hello, bytes.Clone(b))
	}
}

func (e *Engine) receive(b, control []byte) (n, m int, from netip.AddrPort, err error) {
	if e.udp != nil {
		n, m, _, from, err = e.udp.ReadMsgUDPAddrPort(b, control)
		return n, m, from, err
	}
	var a net.Addr
	n, a, err = e.conn.ReadFrom(b)
	if err != nil {
		return 0, 0, from, err
	}
	return n, 0, addrPort(a), nil
}

// send writes a packet to the browser.
func (e *Engine) send(b []byte, to *path) error {
	var err error
	switch {
	case e.udp != nil && to.from != nil:
		_, _, err = e.udp.WriteMsgUDPAddrPort(b, to.from, to.to)
	case e.udp != nil:
		_, err = e.udp.WriteToUDPAddrPort(b, to.to)
	default:
		_, err = e.conn.WriteTo(b, net.UDPAddrFromAddrPort(to.to))
	}
	return err
}

func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		p := u.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
	}
	if a == nil {
		return netip.AddrPort{}
	}
	p, _ := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
