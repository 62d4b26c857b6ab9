package device

import (
	"net"
	"time"

	"github.com/pion/ice/v4"
)

// handshake is the net.PacketConn of a call's DTLS: packets come from the
// buffer that audio.read fills and leave over ICE.
type handshake struct {
	audio *audio
	conn  *ice.Conn
}

var _ net.PacketConn = handshake{}

func (h handshake) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := h.audio.hello.Read(b)
	return n, h.conn.RemoteAddr(), err
}

func (h handshake) WriteTo(b []byte, _ net.Addr) (int, error) { return h.conn.Write(b) }

// Close ends ReadFrom; ICE is closed after it.
func (h handshake) Close() error { return h.audio.hello.Close() }

func (h handshake) LocalAddr() net.Addr { return h.conn.LocalAddr() }

func (h handshake) SetDeadline(t time.Time) error     { return h.audio.hello.SetReadDeadline(t) }
func (h handshake) SetReadDeadline(t time.Time) error { return h.audio.hello.SetReadDeadline(t) }
func (h handshake) SetWriteDeadline(time.Time) error  { return nil }
