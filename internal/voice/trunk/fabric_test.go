package trunk

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// fabric is a network within a test, so that fake time passes while everyone on
// it waits.
type fabric struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*fabricConn
	next  uint16
}

func newFabric() *fabric { return &fabric{conns: map[netip.AddrPort]*fabricConn{}, next: 20000} }

type fabricConn struct {
	net   *fabric
	local netip.AddrPort
	in    chan packet

	mu       sync.Mutex
	closed   chan struct{}
	deadline *time.Timer
	late     chan struct{}
}

type packet struct {
	b    []byte
	from netip.AddrPort
}

func (f *fabric) listen(address string) *fabricConn {
	at := netip.MustParseAddrPort(address)
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Port() == 0 {
		f.next += 2
		at = netip.AddrPortFrom(at.Addr(), f.next)
	}
	c := &fabricConn{net: f, local: at, in: make(chan packet, 1000), closed: make(chan struct{}), late: make(chan struct{})}
	f.conns[at] = c
	return c
}

func (f *fabric) peer(t *testing.T, host string) *peer {
	return peerOn(t, f.listen(host+":5060"), f.listen(host+":0"))
}

func (c *fabricConn) WriteTo(b []byte, to net.Addr) (int, error) {
	at := netip.MustParseAddrPort(to.String())
	c.net.mu.Lock()
	other := c.net.conns[at]
	c.net.mu.Unlock()
	if other != nil {
		select {
		case other.in <- packet{append([]byte(nil), b...), c.local}:
		default:
		}
	}
	return len(b), nil
}

func (c *fabricConn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.mu.Lock()
	late := c.late
	c.mu.Unlock()
	select {
	case p := <-c.in:
		return copy(b, p.b), net.UDPAddrFromAddrPort(p.from), nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	case <-late:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (c *fabricConn) Close() error {
	c.net.mu.Lock()
	delete(c.net.conns, c.local)
	c.net.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
	default:
		close(c.closed)
		if c.deadline != nil {
			c.deadline.Stop()
		}
	}
	return nil
}

func (c *fabricConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local) }

func (c *fabricConn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *fabricConn) SetWriteDeadline(t time.Time) error { return nil }

func (c *fabricConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline != nil {
		c.deadline.Stop()
	}
	late := make(chan struct{})
	c.late = late
	if !t.IsZero() {
		c.deadline = time.AfterFunc(time.Until(t), func() { close(late) })
	}
	return nil
}
