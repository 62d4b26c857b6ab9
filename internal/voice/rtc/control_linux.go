package rtc

import (
	"encoding/binary"
	"net"
	"syscall"
)

// A socket bound to all addresses answers from the one that the system's routes
// prefer, which need not be the one that was asked: a browser would take such an
// answer for a stranger's. So we ask with every packet for which of our addresses
// it was, and answer from that one.

// controlSize holds a control message of each family.
const controlSize = 128

// askForDestination turns the control messages on. What a socket of the other
// family refuses is of no use to it.
func askForDestination(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_PKTINFO, 1)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, 1)
	})
}

// sourceOf turns a packet's control message into the one that answers from the
// address it came to. The layouts are struct in_pktinfo (interface, local
// address, destination) and in6_pktinfo (destination, interface); an interface of
// zero leaves the way to the routes.
func sourceOf(control []byte) []byte {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_PKTINFO && len(m.Data) >= 12:
			info := make([]byte, 12)
			copy(info[4:8], m.Data[4:8])
			return controlMessage(syscall.IPPROTO_IP, syscall.IP_PKTINFO, info)
		case m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_PKTINFO && len(m.Data) >= 20:
			info := make([]byte, 20)
			copy(info[:16], m.Data[:16])
			return controlMessage(syscall.IPPROTO_IPV6, syscall.IPV6_PKTINFO, info)
		}
	}
	return nil
}

func controlMessage(level, kind int32, data []byte) []byte {
	b := make([]byte, syscall.CmsgSpace(len(data)))
	length := syscall.CmsgLen(len(data))
	head := syscall.CmsgLen(0)
	// struct cmsghdr: its length in a machine word, then level and type.
	if word := head - 8; word == 8 {
		binary.NativeEndian.PutUint64(b, uint64(length))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(length))
	}
	binary.NativeEndian.PutUint32(b[head-8:], uint32(level))
	binary.NativeEndian.PutUint32(b[head-4:], uint32(kind))
	copy(b[head:], data)
	return b
}
