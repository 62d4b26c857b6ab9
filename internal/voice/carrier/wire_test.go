package carrier

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// phoneBox speaks SIP by hand, so that the carrier's answers are seen as they
// are on the wire.
type phoneBox struct {
	t    *testing.T
	conn net.PacketConn
	to   net.Addr
	seq  int
	tag  string // the carrier's, once heard
	id   string
}

func newPhoneBox(t *testing.T, c *Carrier) *phoneBox {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn := loopback(t)
	t.Cleanup(func() { conn.Close() })
	return &phoneBox{t: t, conn: conn, to: to, id: sip.GenerateTagN(10)}
}

// send writes a request; headers are whole lines. It returns the number used.
func (p *phoneBox) send(method, user, body string, headers ...string) int {
	p.t.Helper()
	if method != "ACK" {
		p.seq++
	}
	own, tag := p.conn.LocalAddr().String(), ""
	if p.tag != "" {
		tag = ";tag=" + p.tag
	}
	lines := []string{
		fmt.Sprintf("%s sip:%s@%s SIP/2.0", method, user, p.to),
		fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=%s", own, sip.GenerateBranchN(10)),
		"From: <sip:+15550123@" + own + ">;tag=box",
		fmt.Sprintf("To: <sip:%s@%s>%s", user, p.to, tag),
		"Call-ID: " + p.id,
		fmt.Sprintf("CSeq: %d %s", p.seq, method),
		"Contact: <sip:box@" + own + ">",
		"Max-Forwards: 70",
	}
	lines = append(lines, headers...)
	if body != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)), "", body)
	if _, err := p.conn.WriteTo([]byte(strings.Join(lines, "\r\n")), p.to); err != nil {
		p.t.Fatal(err)
	}
	return p.seq
}

// hear returns the next message for which ok is true; others are dropped.
func (p *phoneBox) hear(what string, ok func(sip.Message) bool) sip.Message {
	p.t.Helper()
	buf := make([]byte, 4096)
	p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		n, _, err := p.conn.ReadFrom(buf)
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", what, err)
		}
		m, err := sip.ParseMessage(buf[:n])
		if err != nil {
			p.t.Fatalf("the carrier sent what is no SIP: %v", err)
		}
		if ok(m) {
			return m
		}
	}
}

func (p *phoneBox) response(seq, status int) *sip.Response {
	p.t.Helper()
	m := p.hear(fmt.Sprintf("%d to request %d", status, seq), func(m sip.Message) bool {
		r, is := m.(*sip.Response)
		if is && r.CSeq().SeqNo == uint32(seq) && r.StatusCode >= 200 && r.StatusCode != status {
			p.t.Fatalf("request %d got %d, want %d", seq, r.StatusCode, status)
		}
		return is && r.CSeq().SeqNo == uint32(seq) && r.StatusCode == status
	}).(*sip.Response)
	if tag, ok := m.To().Params.Get("tag"); ok && status < 300 && (m.CSeq().MethodName == sip.INVITE) {
		p.tag = tag
	}
	return m
}

func (p *phoneBox) offer(direction string) string {
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
		"m=audio 4000 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=" + direction + "\r\n"
}

func header(t *testing.T, m *sip.Response, name, part string) {
	t.Helper()
	if h := m.GetHeader(name); h == nil || !strings.Contains(h.Value(), part) {
		t.Errorf("%s is %v, want %q in it", name, h, part)
	}
}

func TestOptionsAndStrayRequests(t *testing.T) {
	c := start(t, Options{})
	p := newPhoneBox(t, c)
	header(t, p.response(p.send("OPTIONS", "", ""), 200), "Allow", "UPDATE")
	p.response(p.send("INVITE", "+15550100", p.offer("sendrecv"), "Require: teleport"), 420)
	p.send("ACK", "+15550100", "")
	p.response(p.send("SUBSCRIBE", "+15550100", ""), 405)
	p.tag = "unknown"
	for _, method := range []string{"BYE", "INVITE", "UPDATE", "INFO", "PRACK"} {
		p.response(p.send(method, "+15550100", ""), 481)
	}
	p.response(p.send("CANCEL", "+15550100", ""), 481)
	if calls := c.Calls(); len(calls) != 0 {
		t.Errorf("%d calls came of it", len(calls))
	}
}

// The 200 is sent again until its ACK comes; the answer mirrors the offer.
func TestAnswerIsRepeatedUntilAcknowledged(t *testing.T) {
	c := start(t, Options{Ring: -1})
	p := newPhoneBox(t, c)
	offer := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5000 RTP/AVP 31\r\n" +
		"m=audio 4000 RTP/AVP 18 8 96\r\na=rtpmap:96 telephone-event/8000\r\nm=image 5002 udptl t38\r\n"
	seq := p.send("INVITE", "+15550104", offer)
	first := p.response(seq, 200)
	again := p.response(seq, 200)
	if string(first.Body()) != string(again.Body()) || first.To().Value() != again.To().Value() {
		t.Error("the repeated 200 differs")
	}
	var sections []string
	for line := range strings.SplitSeq(string(first.Body()), "\r\n") {
		if strings.HasPrefix(line, "m=") {
			sections = append(sections, line)
		}
	}
	if len(sections) != 3 || sections[0] != "m=video 0 RTP/AVP 31" || !strings.HasSuffix(sections[1], " RTP/AVP 8 96") || sections[2] != "m=image 0 udptl t38" {
		t.Errorf("the answer's sections are %q", sections)
	}
	p.send("ACK", "+15550104", "")

	// A re-INVITE without an offer gets one, and the ACK answers it.
	seq = p.send("INVITE", "+15550104", "")
	if res := p.response(seq, 200); !strings.Contains(string(res.Body()), "m=audio") {
		t.Errorf("no offer in %s", res.Body())
	}
	p.send("ACK", "+15550104", p.offer("sendonly"))
	if _, err := c.Await(within(t, 5*time.Second), func(r Report) bool { return r.State == Held }); err != nil {
		t.Error("the answer in the ACK is not heeded")
	}

	// UPDATE with an offer, and without; a request out of order.
	if res := p.response(p.send("UPDATE", "+15550104", p.offer("sendrecv")), 200); !strings.Contains(string(res.Body()), "a=sendrecv") {
		t.Errorf("UPDATE got %s", res.Body())
	}
	p.response(p.send("UPDATE", "+15550104", ""), 200)
	p.response(p.send("INFO", "+15550104", ""), 200)
	p.response(p.send("INVITE", "+15550104", "v=0\r\nno sense"), 488)
	p.send("ACK", "+15550104", "")
	now := p.seq
	p.seq = 0
	p.response(p.send("UPDATE", "+15550104", ""), 500)
	p.seq = now
	p.response(p.send("BYE", "+15550104", ""), 200)
	if r := ended(t, c); r.EndedBy != EndedThere || r.Holds != 1 || r.Codec != PCMA {
		t.Errorf("%+v", r)
	}
}

func TestLateOffer(t *testing.T) {
	c := start(t, Options{Ring: -1})
	p := newPhoneBox(t, c)
	rtp := loopback(t)
	defer rtp.Close()
	res := p.response(p.send("INVITE", "+15550111", ""), 200)
	if !strings.Contains(string(res.Body()), "RTP/AVP 0 8 101") {
		t.Errorf("the offer is %s", res.Body())
	}
	port := rtp.LocalAddr().(*net.UDPAddr).Port
	p.send("ACK", "+15550111", strings.Replace(p.offer("sendrecv"), "4000", fmt.Sprint(port), 1))
	rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 2048)
	n, _, err := rtp.ReadFrom(buf)
	if err != nil || n != 172 || buf[1] != 0x80|8 { // the marker begins the talk spurt
		t.Errorf("%d bytes of RTP, % x, %v", n, buf[:min(n, 2)], err)
	}
	p.response(p.send("BYE", "+15550111", ""), 200)
}

func TestReliableProgress(t *testing.T) {
	c := start(t, Options{Ring: -1})
	p := newPhoneBox(t, c)
	seq := p.send("INVITE", "+15550112", p.offer("sendrecv"), "Supported: 100rel, timer")
	res := p.response(seq, 183)
	header(t, res, "Require", "100rel")
	header(t, res, "RSeq", "1")
	p.response(seq, 183) // again, as nobody acknowledged it
	p.response(p.send("PRACK", "+15550112", "", "RAck: 7 1 INVITE"), 481)
	p.response(p.send("PRACK", "+15550112", "", fmt.Sprintf("RAck: 1 %d INVITE", seq)), 200)
	p.response(seq, 200)
	now := p.seq
	p.seq = seq
	p.send("ACK", "+15550112", "")
	p.seq = now
	p.response(p.send("BYE", "+15550112", ""), 200)
}

func TestByeBeforeTheAnswer(t *testing.T) {
	c := start(t, Options{})
	p := newPhoneBox(t, c)
	seq := p.send("INVITE", "+15550102", p.offer("sendrecv"))
	p.response(seq, 180)
	bye := p.send("BYE", "+15550102", "")
	seen := map[int]int{}
	p.hear("200 to BYE and 487 to INVITE", func(m sip.Message) bool {
		if r, ok := m.(*sip.Response); ok {
			seen[int(r.CSeq().SeqNo)] = r.StatusCode
		}
		return seen[bye] == 200 && seen[seq] == 487
	})
	if r := ended(t, c); r.Status != 487 || r.EndedBy != EndedThere {
		t.Errorf("%+v", r)
	}
}

func (p *phoneBox) prove(res *sip.Response, ask, have, method, uri, user, password string) string {
	p.t.Helper()
	challenge, err := digest.ParseChallenge(res.GetHeader(ask).Value())
	if err != nil {
		p.t.Fatal(err)
	}
	creds, err := digest.Digest(challenge, digest.Options{Method: method, URI: uri, Username: user, Password: password, Count: 1})
	if err != nil {
		p.t.Fatal(err)
	}
	return have + ": " + creds.String()
}

func TestRegister(t *testing.T) {
	c := start(t, Options{Users: map[string]string{"node": "open sesame"}})
	p := newPhoneBox(t, c)
	uri := "sip:" + c.Addr()
	ask := p.response(p.send("REGISTER", "node", ""), 401)
	wrong := p.prove(ask, "WWW-Authenticate", "Authorization", "REGISTER", uri, "node", "guess")
	p.response(p.send("REGISTER", "node", "", wrong), 401)
	if len(c.Registrations()) != 0 {
		t.Error("a wrong password registers")
	}
	right := p.prove(ask, "WWW-Authenticate", "Authorization", "REGISTER", uri, "node", "open sesame")
	header(t, p.response(p.send("REGISTER", "node", "", right, "Expires: 120"), 200), "Expires", "120")
	if r := c.Registrations(); len(r) != 1 || r[0].User != "node" || !strings.Contains(r[0].Contact, "box@") || r[0].Times != 1 {
		t.Errorf("registered: %+v", r)
	}
	p.response(p.send("REGISTER", "node", "", right, "Expires: 0"), 200)
	if len(c.Registrations()) != 0 {
		t.Error("an expiry of zero does not unregister")
	}
	old := &sip.Response{}
	old.AppendHeader(sip.NewHeader("WWW-Authenticate", fmt.Sprintf(
		`Digest realm="%s", nonce="%s", algorithm=MD5, qop="auth"`, realm, c.nonce(time.Now().Add(-time.Hour)))))
	stale := p.prove(old, "WWW-Authenticate", "Authorization", "REGISTER", uri, "node", "open sesame")
	header(t, p.response(p.send("REGISTER", "node", "", stale), 401), "WWW-Authenticate", "stale=true")
}

func TestChallengesAtInvite(t *testing.T) {
	c := start(t, Options{Users: map[string]string{"node": "open sesame"}, Challenge: true})
	if r := dial(t, c, CallOptions{To: "+15550111"}); r.Status != 407 {
		t.Errorf("without credentials: %+v", r)
	}
	if r := dial(t, c, CallOptions{To: "+15550111", Username: "node", Password: "guess"}); r.Status != 407 {
		t.Errorf("with a wrong password: %+v", r)
	}
	r := dial(t, c, CallOptions{To: "+15550111", Username: "node", Password: "open sesame", For: 300 * time.Millisecond})
	if !r.Answered || r.Call.Heard.Loudest < 5000 {
		t.Errorf("with the password: %+v", r)
	}
}

// Garbage on the SIP port and on a call's audio harms no call.
func TestGarbage(t *testing.T) {
	c := start(t, Options{Ring: -1})
	result := make(chan Result, 1)
	go func() {
		r, err := Call(context.Background(), CallOptions{Node: c.Addr(), To: "+15550100", Tone: 600, For: time.Second})
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	if _, err := c.Await(within(t, 5*time.Second), func(r Report) bool { return r.PacketsIn > 5 }); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	audio := c.order[0].audio.conn.LocalAddr()
	c.mu.Unlock()
	p := newPhoneBox(t, c)
	for _, b := range []string{"", "\x00", "\r\n\r\n", "INVITE", "INVITE sip:x SIP/2.0\r\n\r\n", strings.Repeat("A", 8000), "\x80\x00\x00\x01"} {
		for _, to := range []net.Addr{p.to, audio} {
			if _, err := p.conn.WriteTo([]byte(b), to); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := <-result
	near(t, "frequency", r.Call.Heard.Frequency, 600, 0.01)
	if there := ended(t, c); there.Strange < 6 || there.Heard.LongestQuiet > 0 {
		t.Errorf("%d strange packets, quiet for %v", there.Strange, there.Heard.LongestQuiet)
	}
}
