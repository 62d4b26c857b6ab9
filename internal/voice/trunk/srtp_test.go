package trunk

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	peersrtp "github.com/pion/srtp/v3"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/srtp"
	"dialtone/internal/voice/trunk/sdp"
)

// keyed is a carrier's end of encrypted audio, by another implementation.
type keyed struct {
	t    *testing.T
	conn net.PacketConn
	to   net.Addr
	send *peersrtp.Context
	hear *peersrtp.Context
	seq  uint16
}

// carrierKeys is what the carrier sends with.
func carrierKeys(p srtp.Profile) srtp.Keys {
	k := srtp.Keys{Profile: p, Key: bytes.Repeat([]byte{7}, p.KeyLen()), Salt: bytes.Repeat([]byte{8}, p.SaltLen())}
	return k
}

func cryptoLine(tag int, k srtp.Keys) string {
	return fmt.Sprintf("a=crypto:%d %s inline:%s", tag, k.Profile, base64.StdEncoding.EncodeToString(append(bytes.Clone(k.Key), k.Salt...)))
}

// secured is the peer's description with keys.
func (p *peer) secured(proto string, lines ...string) string {
	return strings.Replace(p.sdp(), "RTP/AVP", proto, 1) + strings.Join(lines, "\n") + "\n"
}

// talks joins the carrier's keys and what our description says.
func (p *peer) talks(ours sdp.Media, theirs srtp.Keys, tag int) *keyed {
	p.t.Helper()
	k := &keyed{t: p.t, conn: p.rtp, to: &net.UDPAddr{IP: ours.Addr.AsSlice(), Port: ours.Port}, seq: 65533}
	var mine srtp.Keys
	for _, c := range ours.Crypto {
		if c.Tag == tag {
			mine = c.Keys
		}
	}
	if mine.Profile != theirs.Profile {
		p.t.Fatalf("we said %+v", ours.Crypto)
	}
	var err error
	if k.send, err = peersrtp.CreateContext(theirs.Key, theirs.Salt, peersrtp.ProtectionProfile(theirs.Profile)); err != nil {
		p.t.Fatal(err)
	}
	if k.hear, err = peersrtp.CreateContext(mine.Key, mine.Salt, peersrtp.ProtectionProfile(mine.Profile)); err != nil {
		p.t.Fatal(err)
	}
	return k
}

func (k *keyed) packet() []byte {
	k.t.Helper()
	k.seq++
	plain, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 77, SequenceNumber: k.seq, Timestamp: uint32(k.seq) * 160}, Payload: bytes.Repeat([]byte{3}, 160)}).Marshal()
	if err != nil {
		k.t.Fatal(err)
	}
	b, err := k.send.EncryptRTP(nil, plain, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

func (k *keyed) write(b []byte) {
	k.t.Helper()
	if _, err := k.conn.WriteTo(b, k.to); err != nil {
		k.t.Fatal(err)
	}
}

// talk exchanges audio both ways until each side heard the other.
func (k *keyed) talk(n *node, e *media.Endpoint) {
	k.t.Helper()
	tone := &media.Clip{Samples: make([]int16, 8000)}
	e.Play(tone, true, nil)
	before := e.Stats().PacketsIn
	buf := make([]byte, 2000)
	heard := 0
	for end := time.Now().Add(patience); heard < 5 || e.Stats().PacketsIn < before+5; {
		if time.Now().After(end) {
			k.t.Fatalf("heard %d, it %d", heard, e.Stats().PacketsIn-before)
		}
		k.write(k.packet())
		_ = k.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		m, _, err := k.conn.ReadFrom(buf)
		if err != nil {
			continue
		}
		plain, err := k.hear.DecryptRTP(nil, buf[:m], &rtp.Header{})
		if err != nil {
			k.t.Fatalf("the carrier cannot read us: %v", err)
		}
		if len(plain) != 172 {
			k.t.Errorf("%d bytes", len(plain))
		}
		heard++
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// secureNode has one trunk that may tell keys without TLS, and logs into a buffer.
func secureNode(t *testing.T, policy SRTP) (*node, *peer) {
	t.Helper()
	p := newPeer(t)
	trunk := trunkTo("one", p)
	trunk.SRTP, trunk.SRTPWithoutTLS = policy, true
	var log lockedBuffer
	n := startNode(t, Config{Trunks: []Trunk{trunk}}, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	t.Cleanup(func() {
		log.mu.Lock()
		defer log.mu.Unlock()
		text := log.b.String()
		for _, secret := range []string{"inline:", "BwcHBwcH", "7 7 7 7", "070707"} {
			if strings.Contains(text, secret) {
				t.Errorf("a key is in the log:\n%s", text)
			}
		}
		if !strings.Contains(text, "told in clear") {
			t.Errorf("no warning in\n%s", text)
		}
	})
	return n, p
}

func TestEncryptedCallIn(t *testing.T) {
	for _, profile := range []srtp.Profile{srtp.AEADAES128GCM, srtp.AES128CMSHA1Tag80, srtp.AES128CMSHA1Tag32} {
		for _, c := range []struct {
			policy SRTP
			proto  string
		}{{SRTPRequired, "RTP/SAVP"}, {SRTPOptional, "RTP/SAVP"}, {SRTPOptional, "RTP/AVP"}} {
			t.Run(fmt.Sprint(profile, c), func(t *testing.T) {
				n, p := secureNode(t, c.policy)
				theirs := carrierKeys(profile)
				in := p.call(n)
				in.invite(p.secured(c.proto, "a=crypto:4 F8_128_HMAC_SHA1_80 inline:AAAA", cryptoLine(5, theirs)))
				o := n.offered()
				o.leg.Answer(nil)
				m := describe(t, in.noteTag(p.response(200)).Body())
				in.ack("")
				want[call.Up](t, o.reports)
				if m.Proto != c.proto || len(m.Crypto) != 1 {
					t.Fatalf("answered %+v", m)
				}
				k := p.talks(m, theirs, 5)
				k.talk(n, o.leg.Endpoint())

				// A stranger's, a replayed and a plain packet change nothing.
				again := k.packet()
				k.write(again)
				k.write(again)
				forged := k.packet()
				forged[len(forged)-1] ^= 1
				k.write(forged)
				plain, _ := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 77, SequenceNumber: k.seq + 1}, Payload: make([]byte, 160)}).Marshal()
				k.write(plain)
				eventually(t, "refused packets are counted", func() bool {
					return n.counter("dialtone_trunk_srtp_refused_total", "why", "replayed") == 1 &&
						n.counter("dialtone_trunk_srtp_refused_total", "why", "forged") == 2
				})

				// The same keys again in a re-INVITE: numbers and keys go on.
				in.seq++
				in.p.send(in.to, in.raw("INVITE", in.seq, fmt.Sprintf("i%s%d", in.id, in.seq), sdpType+p.secured(c.proto, cryptoLine(5, theirs))))
				m2 := describe(t, p.response(200).Body())
				in.ack("")
				if len(m2.Crypto) != 1 || !m2.Crypto[0].Keys.Equal(m.Crypto[0].Keys) {
					t.Errorf("our key is another one: %+v", m2)
				}
				k.talk(n, o.leg.Endpoint())

				o.leg.End(call.Completed)
				p.reply(p.request("BYE"), 200, "", "")
				wantDown(t, o.reports, call.Completed)
			})
		}
	}
}

func TestEncryptedCallOut(t *testing.T) {
	for _, c := range []struct {
		policy SRTP
		proto  string
	}{{SRTPRequired, "RTP/SAVP"}, {SRTPOptional, "RTP/AVP"}} {
		t.Run(string(c.policy), func(t *testing.T) {
			n, p := secureNode(t, c.policy)
			leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
			inv := p.request("INVITE")
			m := describe(t, inv.Body())
			if m.Proto != c.proto || len(m.Crypto) != 2 || m.Crypto[0].Keys.Profile != srtp.AEADAES128GCM || m.Crypto[1].Keys.Profile != srtp.AES128CMSHA1Tag80 {
				t.Fatalf("offered %+v", m)
			}
			theirs := carrierKeys(srtp.AES128CMSHA1Tag80)
			p.reply(inv, 200, "t1", sdpType+p.secured(c.proto, cryptoLine(m.Crypto[1].Tag, theirs)))
			p.request("ACK")
			want[call.Up](t, r)
			p.talks(m, theirs, m.Crypto[1].Tag).talk(n, leg.Endpoint())
			leg.End(call.Completed)
			p.reply(p.request("BYE"), 200, "", "")
			wantDown(t, r, call.Completed)
		})
	}
}

// A carrier that refuses plain audio with keys beside it may demand them: it is
// offered what it demands, once.
func TestEncryptedAfterRefusal(t *testing.T) {
	n, p := secureNode(t, SRTPOptional)
	leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	inv := p.request("INVITE")
	p.reply(inv, 488, "x", "")
	p.request("ACK")
	inv = p.request("INVITE")
	m := describe(t, inv.Body())
	if m.Proto != "RTP/SAVP" || len(m.Crypto) != 2 {
		t.Fatalf("offered %+v", m)
	}
	theirs := carrierKeys(srtp.AEADAES128GCM)
	p.reply(inv, 200, "t1", sdpType+p.secured("RTP/SAVP", cryptoLine(1, theirs)))
	p.request("ACK")
	want[call.Up](t, r)
	p.talks(m, theirs, 1).talk(n, leg.Endpoint())
	leg.End(call.Completed)
	p.reply(p.request("BYE"), 200, "", "")
	wantDown(t, r, call.Completed)

	_, r = n.dial(call.Dial{To: call.Phone("+15550100")})
	for range 2 {
		p.reply(p.request("INVITE"), 488, "x", "")
		p.request("ACK")
	}
	wantDown(t, r, call.NoCodec)
}

// What a trunk does not allow is refused both ways; what it leaves open works in clear.
func TestEncryptionIsNotAgreed(t *testing.T) {
	theirs := carrierKeys(srtp.AEADAES128GCM)
	t.Run("plain call in where keys are required", func(t *testing.T) {
		n, p := secureNode(t, SRTPRequired)
		for _, body := range []string{
			p.sdp(), p.secured("RTP/SAVP"),
			p.secured("RTP/SAVP", cryptoLine(1, theirs)+"|2^31|1:1"),
		} {
			in := p.call(n)
			in.invite(body)
			if res := in.noteTag(p.response(488)); res.GetHeader("Warning") == nil {
				t.Errorf("no warning in\n%s", res)
			}
			in.ackRefusal()
		}
	})
	t.Run("plain answer where keys are required", func(t *testing.T) {
		n, p := secureNode(t, SRTPRequired)
		_, r := n.dial(call.Dial{To: call.Phone("+15550100")})
		inv := p.request("INVITE")
		p.reply(inv, 200, "t1", sdpType+p.sdp())
		p.request("ACK")
		wantDown(t, r, call.NoCodec)
		p.reply(p.request("BYE"), 200, "", "")
	})
	t.Run("plain call where keys are optional", func(t *testing.T) {
		n, p := secureNode(t, SRTPOptional)
		_, o := answered(t, n, p)
		o.leg.End(call.Completed)
		p.reply(p.request("BYE"), 200, "", "")
		wantDown(t, o.reports, call.Completed)
	})
	t.Run("keys over UDP where the trunk is TLS", func(t *testing.T) {
		p := newPeer(t)
		trunk := trunkTo("one", p)
		trunk.SRTP, trunk.Transport = SRTPRequired, "tls"
		n := startNode(t, Config{Trunks: []Trunk{trunk}})
		in := p.call(n)
		in.invite(p.secured("RTP/SAVP", cryptoLine(1, theirs)))
		in.noteTag(p.response(488))
		in.ackRefusal()
	})
}

// RTCP of an encrypted leg is encrypted, and the carrier's is read.
func TestEncryptedReports(t *testing.T) {
	n, p := secureNode(t, SRTPRequired)
	theirs := carrierKeys(srtp.AES128CMSHA1Tag80)
	in := p.call(n)
	reports := listenUDP(t, "127.0.0.1")
	in.invite(p.secured("RTP/SAVP", cryptoLine(1, theirs), fmt.Sprintf("a=rtcp:%d", reports.LocalAddr().(*net.UDPAddr).Port)))
	o := n.offered()
	o.leg.Answer(nil)
	m := describe(t, in.noteTag(p.response(200)).Body())
	in.ack("")
	want[call.Up](t, o.reports)
	k := p.talks(m, theirs, 1)
	k.talk(n, o.leg.Endpoint())
	buf := make([]byte, 2000)
	_ = reports.SetReadDeadline(time.Now().Add(patience))
	size, from, err := reports.ReadFrom(buf)
	if err != nil {
		t.Fatal("no report came")
	}
	plain, err := k.hear.DecryptRTCP(nil, buf[:size], nil)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := rtcp.Unmarshal(plain)
	if err != nil || len(packets) != 2 {
		t.Fatal(packets, err)
	}
	sr, ok := packets[0].(*rtcp.SenderReport)
	if !ok || sr.PacketCount == 0 || len(sr.Reports) != 1 || sr.Reports[0].SSRC != 77 {
		t.Fatalf("%v", packets[0])
	}
	plain, err = (&rtcp.ReceiverReport{SSRC: 77, Reports: []rtcp.ReceptionReport{{SSRC: sr.SSRC, TotalLost: 3}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.send.EncryptRTCP(nil, plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]byte{plain, b} { // the one in clear is not believed
		if _, err := reports.WriteTo(c, from); err != nil {
			t.Fatal(err)
		}
	}
	session := o.leg.(*leg).session
	eventually(t, "the carrier's report is read", func() bool { return session.Figures().FarLost == 3 })
	if got := n.counter("dialtone_trunk_srtp_refused_total"); got != 1 {
		t.Errorf("%v refused", got)
	}
	o.leg.End(call.Completed)
	p.reply(p.request("BYE"), 200, "", "")
	wantDown(t, o.reports, call.Completed)
}

func TestSRTPConfig(t *testing.T) {
	for _, c := range []struct {
		srtp      SRTP
		transport string
		clear     bool
		want      string
	}{
		{"", "udp", false, ""},
		{SRTPOff, "udp", false, ""},
		{SRTPRequired, "tls", false, ""},
		{SRTPOptional, "tls", false, ""},
		{SRTPRequired, "udp", true, ""},
		{SRTPRequired, "udp", false, "tls"},
		{SRTPOptional, "", false, "tls"},
		{"maybe", "tls", false, "srtp must be"},
		{"", "udp", true, "srtp_without_tls"},
	} {
		err := Config{Trunks: []Trunk{{Name: "x", Host: "carrier.example", Transport: c.transport, SRTP: c.srtp, SRTPWithoutTLS: c.clear}}}.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
