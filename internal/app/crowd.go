package app

import (
	"net"
	"net/netip"
	"sync"
)

// connectionsPerAddress bounds what one address can take of the front door. An
// office behind one address has a few connections an agent.
const connectionsPerAddress = 4096

// crowd is a listener that closes connections of an address beyond its share at
// once, so that nobody can use up the process's descriptors alone.
type crowd struct {
	net.Listener
	most    int
	refused func()

	mu   sync.Mutex
	here map[netip.Addr]int
}

func newCrowd(l net.Listener, most int, refused func()) *crowd {
	return &crowd{Listener: l, most: most, refused: refused, here: map[netip.Addr]int{}}
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at, ok := conn.RemoteAddr().(*net.TCPAddr)
		if !ok {
			return conn, nil
		}
		from := at.AddrPort().Addr().Unmap().WithZone("")
		if c.enter(from) {
			return &member{Conn: conn, leave: sync.OnceFunc(func() { c.leave(from) })}, nil
		}
		c.refused()
		_ = conn.Close() // it was never used
	}
}

func (c *crowd) enter(from netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.here[from] >= c.most {
		return false
	}
	c.here[from]++
	return true
}

func (c *crowd) leave(from netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.here[from]--; c.here[from] == 0 {
		delete(c.here, from)
	}
}

// member is a connection that counts until it is closed.
type member struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (m *member) Close() error {
	m.leave()
	return m.Conn.Close()
}
