package trunk

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/trunk/message"
)

// certificate is self-signed for 127.0.0.1, with the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sip"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// streamPeer is a scripted carrier on one connection.
type streamPeer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func (p *streamPeer) read() sip.Message {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	var raw []byte
	for !bytes.HasSuffix(raw, []byte("\r\n\r\n")) {
		line, err := p.r.ReadBytes('\n')
		if err != nil {
			p.t.Fatalf("%v after %q", err, raw)
		}
		raw = append(raw, line...)
	}
	_, rest, _ := strings.Cut(strings.ToLower(string(raw)), "content-length:")
	var n int
	_, _ = fmt.Sscan(rest, &n)
	body := make([]byte, n)
	if _, err := io.ReadFull(p.r, body); err != nil {
		p.t.Fatal(err)
	}
	msg, rej := message.Parse(append(raw, body...))
	if rej != nil {
		p.t.Fatalf("%v in\n%s", rej, raw)
	}
	return msg
}

func (p *streamPeer) status(want int) *sip.Response {
	p.t.Helper()
	for {
		res, ok := p.read().(*sip.Response)
		if !ok || res.StatusCode != want && res.StatusCode != 100 {
			p.t.Fatalf("instead of %d came\n%s", want, res)
		}
		if res.StatusCode == want {
			return res
		}
	}
}

func (p *streamPeer) method(want sip.RequestMethod) *sip.Request {
	p.t.Helper()
	req, ok := p.read().(*sip.Request)
	if !ok || req.Method != want {
		p.t.Fatalf("instead of %s came\n%s", want, req)
	}
	return req
}

func (p *streamPeer) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func TestStreams(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			cert, pool := certificate(t)
			carrierLn, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if network == "tls" {
				carrierLn = tls.NewListener(carrierLn, &tls.Config{Certificates: []tls.Certificate{cert}})
			}
			defer carrierLn.Close()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			n := startNode(t, Config{Trunks: []Trunk{{
				Name: "one", Host: "127.0.0.1", Port: carrierLn.Addr().(*net.TCPAddr).Port, Transport: network,
			}}}, func(o *Options) {
				o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}
				if network == "tls" {
					o.TLS = []net.Listener{ln}
				} else {
					o.TCP = []net.Listener{ln}
				}
			})

			// In: the carrier connects; two messages in one segment, one in pieces.
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if network == "tls" {
				conn = tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
			}
			defer conn.Close()
			p := &streamPeer{t, conn, bufio.NewReader(conn)}
			udp := newPeer(t)
			c := udp.call(n)
			via := "SIP/2.0/" + strings.ToUpper(network) + " "
			raw := func(method string, seq int, branch, extra string) []byte {
				return crlf(strings.Replace(c.raw(method, seq, branch, extra), "SIP/2.0/UDP ", via, 1))
			}
			p.write(append([]byte("\r\n\r\n"), raw("OPTIONS", 1, "o1"+c.id, "")...))
			if pong, err := p.r.Peek(2); err != nil || string(pong) != "\r\n" {
				t.Errorf("keep-alive answered with %q, %v", pong, err)
			}
			p.status(200)
			p.write(append(raw("OPTIONS", 2, "o2"+c.id, ""), raw("OPTIONS", 3, "o3"+c.id, "")...))
			p.status(200)
			p.status(200)
			invite := raw("INVITE", 4, "i"+c.id, sdpType+udp.sdp())
			p.write(invite[:100])
			p.write(invite[100 : len(invite)-10])
			p.write(invite[len(invite)-10:])
			o := n.offered()
			o.leg.Answer(nil)
			res := c.noteTag(p.status(200))
			if tr, _ := res.Contact().Address.UriParams.Get("transport"); tr != network {
				t.Errorf("Contact %s", res.Contact())
			}
			p.write(raw("ACK", 4, "a"+c.id, ""))
			want[call.Up](t, o.reports)
			o.leg.End(call.Completed)
			// The BYE comes by the connection that is there, not to the Contact's port.
			bye := p.method("BYE")
			p.write(crlf("SIP/2.0 200 OK\n" + bye.Via().String() + "\n" + bye.From().String() + "\n" + bye.To().String() + "\n" + bye.CallID().String() + "\n" + bye.CSeq().String() + "\n"))
			wantDown(t, o.reports, call.Completed)

			// What cannot be cut into messages ends the connection, with a word.
			p.write([]byte(strings.Replace(string(raw("OPTIONS", 9, "o9"+c.id, "")), "Content-Length: 0", "Content-Length: 3\r\nContent-Length: 4", 1)))
			p.status(400)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := p.r.ReadByte(); err != io.EOF {
				t.Errorf("the connection stays open: %v", err)
			}

			// Out: we connect.
			leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
			out, err := carrierLn.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			q := &streamPeer{t, out, bufio.NewReader(out)}
			inv := q.method("INVITE")
			answer := func(req *sip.Request, extra string) {
				q.write(crlf("SIP/2.0 200 OK\n" + req.Via().String() + "\n" + req.From().String() + "\n" + req.To().String() + ";tag=x\n" +
					req.CallID().String() + "\n" + req.CSeq().String() + "\nContact: <sip:gw@" + carrierLn.Addr().String() + ";transport=" + network + ">\n" + extra))
			}
			answer(inv, sdpType+udp.sdp())
			q.method("ACK")
			want[call.Up](t, r)
			leg.End(call.Completed)
			answer(q.method("BYE"), "")
			wantDown(t, r, call.Completed)
			n.quietly()
		})
	}
}

// A carrier's certificate that nobody vouches for is no carrier: the next one is tried.
func TestUntrustedCertificate(t *testing.T) {
	cert, _ := certificate(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	p := newPeer(t)
	n := startNode(t, Config{Trunks: []Trunk{
		{Name: "tls", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port, Transport: "tls"}, trunkTo("b", p),
	}})
	r := out(t, n)
	p.accept(p.request("INVITE"), "y")
	want[call.Up](t, r)
}

func TestStreamFromStranger(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t)
	n := startNode(t, Config{Trunks: []Trunk{trunkTo("one", p)}}, func(o *Options) { o.TCP = []net.Listener{ln} })
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}
	conn, err := d.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write(crlf(p.call(n).raw("OPTIONS", 1, "x", "")))
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(conn); len(b) != 0 {
		t.Errorf("a stranger is told %q (%v)", b, err)
	}
}

func TestListen(t *testing.T) {
	s, err := Listen("127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if u, c := s.UDP[0].LocalAddr().(*net.UDPAddr).Port, s.TCP[0].Addr().(*net.TCPAddr).Port; u != c {
		t.Errorf("UDP on %d, TCP on %d", u, c)
	}
	if _, err := Listen(s.UDP[0].LocalAddr().String(), ""); err == nil {
		t.Error("the port is taken")
	}
}
