package trunk

import (
	"net"
	"net/netip"

	"github.com/pion/rtp"
)

// talker sends RTP of one source.
type talker struct {
	conn net.PacketConn
	to   net.Addr
	h    rtp.Header
}

func newTalker(conn net.PacketConn, port int, host string) *talker {
	return &talker{
		conn: conn, to: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port))),
		h: rtp.Header{Version: 2, SSRC: 77, SequenceNumber: 100},
	}
}

// send sends one packet of n bytes of silence.
func (k *talker) send(n int) {
	k.h.SequenceNumber++
	k.h.Timestamp += uint32(n)
	b, _ := (&rtp.Packet{Header: k.h, Payload: make([]byte, n)}).Marshal()
	_, _ = k.conn.WriteTo(b, k.to)
}
