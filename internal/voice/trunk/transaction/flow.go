package transaction

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"dialtone/internal/voice/trunk/message"
)

const (
	dialTimeout  = 4 * time.Second
	writeTimeout = 10 * time.Second
	// messageTimeout is how long a begun message may take to arrive whole; an idle
	// connection stays open.
	messageTimeout = 32 * time.Second
	flowQueue      = 64  // messages waiting for a connection; a full queue closes it
	maxFlows       = 512 // connections at once; more are closed when they come
)

// flow is one TCP or TLS connection. Its writes are queued, since a connection
// can block and whoever sends must not.
type flow struct {
	layer *Layer
	hop   Hop
	out   chan []byte
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex
	conn net.Conn // nil while it is being dialled
}

func (l *Layer) newFlow(hop Hop, conn net.Conn) *flow {
	f := &flow{layer: l, hop: hop, conn: conn, out: make(chan []byte, flowQueue), done: make(chan struct{})}
	f.hop.flow = f
	return f
}

func (f *flow) isClosed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

func (f *flow) write(raw []byte) error {
	if f.isClosed() {
		return ErrTransport
	}
	select {
	case f.out <- raw:
		return nil
	default:
		f.close()
		return ErrTransport
	}
}

func (f *flow) close() {
	f.once.Do(func() {
		close(f.done)
		f.mu.Lock()
		if f.conn != nil {
			_ = f.conn.Close()
		}
		f.mu.Unlock()
		f.layer.lostFlow(f)
	})
}

// lostFlow forgets the connection and fails the transactions that wait for an
// answer on it.
func (l *Layer) lostFlow(f *flow) {
	l.mu.Lock()
	key := f.hop.String()
	if l.flows[key] == f {
		delete(l.flows, key)
	}
	var failed []*Client
	for _, c := range l.clients {
		if c.to.flow == f {
			failed = append(failed, c)
		}
	}
	l.mu.Unlock()
	for _, c := range failed {
		c.fail(ErrTransport)
	}
}

// flowTo returns the connection to a hop, or begins one.
func (l *Layer) flowTo(to Hop) (*flow, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrTransport
	}
	key := Hop{Network: to.Network, Addr: to.Addr}.String()
	if f := l.flows[key]; f != nil {
		return f, nil
	}
	f := l.newFlow(Hop{Network: to.Network, Addr: to.Addr, Name: to.Name}, nil)
	l.flows[key] = f
	l.wg.Go(func() { l.dial(f) })
	return f, nil
}

func (l *Layer) dial(f *flow) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	l.wg.Go(func() {
		select {
		case <-f.done:
			cancel()
		case <-ctx.Done():
		}
	})
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", f.hop.Addr.String())
	if err == nil && f.hop.Network == TLS {
		conn, err = l.handshake(ctx, conn, f.hop)
	}
	if err != nil {
		l.log.Info("sip connection failed", "hop", f.hop.String(), "error", err)
		f.close()
		return
	}
	f.mu.Lock()
	f.conn = conn
	f.mu.Unlock()
	if f.isClosed() {
		_ = conn.Close()
		return
	}
	l.wg.Go(func() { f.writeAll(conn) })
	f.readAll(conn)
}

func (l *Layer) handshake(ctx context.Context, conn net.Conn, hop Hop) (net.Conn, error) {
	config := l.o.TLSConfig.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName = hop.Name; hop.Name == "" {
		config.ServerName = hop.Addr.Addr().String()
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

func (l *Layer) accept(ln net.Listener, network string) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(50 * time.Millisecond) // out of file descriptors: do not spin
			continue
		}
		remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		hop := Hop{Network: network, Addr: netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())}
		if err != nil || !l.o.Handler.Known(hop.Addr.Addr()) {
			l.o.Handler.Dropped("stranger", hop)
			_ = conn.Close()
			continue
		}
		if network == TLS {
			conn = tls.Server(conn, l.o.TLSConfig)
		}
		f := l.newFlow(hop, conn)
		l.mu.Lock()
		full := l.closed || len(l.flows) >= maxFlows
		if !full {
			l.flows[hop.String()] = f
		}
		l.mu.Unlock()
		if full {
			_ = conn.Close()
			continue
		}
		l.wg.Go(func() { f.writeAll(conn) })
		l.wg.Go(func() { f.readAll(conn) })
	}
}

func (f *flow) writeAll(conn net.Conn) {
	defer f.close()
	for {
		select {
		case <-f.done:
			return
		case raw := <-f.out:
			_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := conn.Write(raw); err != nil {
				return
			}
		}
	}
}

func (f *flow) readAll(conn net.Conn) {
	defer f.close()
	r := bufio.NewReaderSize(conn, 4096)
	for {
		raw, rej, err := readMessage(conn, r, func() { _ = f.write([]byte("\r\n")) })
		if rej != nil {
			// Where the next message begins cannot be known.
			f.layer.o.Handler.Dropped("malformed", f.hop)
			if answer, ok := rej.Reply(raw); ok {
				_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
				_, _ = conn.Write(answer)
			}
			return
		}
		if err != nil {
			return
		}
		f.layer.received(raw, f.hop)
	}
}

// readMessage reads one message of a stream by its Content-Length (RFC 3261
// 18.3). pong answers a keep-alive of two empty lines (RFC 5626 3.5.1).
func readMessage(conn net.Conn, r *bufio.Reader, pong func()) (raw []byte, rej *message.Rejection, err error) {
	_ = conn.SetReadDeadline(time.Time{})
	for empty := 0; ; {
		b, err := r.Peek(1)
		if err != nil {
			return nil, nil, err
		}
		if b[0] != '\r' && b[0] != '\n' {
			break
		}
		_, _ = r.Discard(1)
		if b[0] == '\n' {
			if empty++; empty == 2 {
				pong()
				empty = 0
			}
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(messageTimeout))
	for !bytes.HasSuffix(raw, []byte("\r\n\r\n")) {
		line, err := r.ReadSlice('\n')
		raw = append(raw, line...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, nil, err
		}
		if len(raw) > message.MaxSize {
			return raw, &message.Rejection{Status: 400, Reason: "Message Too Large"}, nil
		}
	}
	n, rej := bodyLength(raw)
	if rej != nil {
		return raw, rej, nil
	}
	head := len(raw)
	raw = append(raw, make([]byte, n)...)
	_, err = io.ReadFull(r, raw[head:])
	return raw, nil, err
}

// bodyLength finds the Content-Length of a header section; a message without one has no body.
func bodyLength(head []byte) (int, *message.Rejection) {
	length := -1
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t")
		if !ok || !strings.EqualFold(name, "Content-Length") && !strings.EqualFold(name, "l") {
			continue
		}
		n, err := strconv.ParseUint(strings.Trim(value, " \t"), 10, 16)
		if err != nil || length >= 0 && int(n) != length || len(head)+int(n) > message.MaxSize {
			return 0, &message.Rejection{Status: 400, Reason: "Bad Content-Length"}
		}
		length = int(n)
	}
	return max(length, 0), nil
}
