package trunk

import (
	"net"
	"strings"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/trunk/sdp"
)

// oneTrunk is a node with one peer as its carrier.
func oneTrunk(t *testing.T, change ...func(*Trunk)) (*node, *peer) {
	t.Helper()
	p := newPeer(t)
	tr := trunkTo("one", p)
	for _, f := range change {
		f(&tr)
	}
	return startNode(t, Config{Trunks: []Trunk{tr}}), p
}

// answered brings a call of the peer up.
func answered(t *testing.T, n *node, p *peer) (*callIn, offered) {
	t.Helper()
	c := p.call(n)
	c.invite(p.sdp())
	o := n.offered()
	o.leg.Answer(nil)
	c.noteTag(p.response(200))
	c.ack("")
	want[call.Up](t, o.reports)
	return c, o
}

func describe(t *testing.T, body []byte) sdp.Media {
	t.Helper()
	d, err := sdp.Parse(body)
	if err != nil || len(d.Media) == 0 {
		t.Fatalf("%v in\n%s", err, body)
	}
	return d.Media[0]
}

func TestLateOffer(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite("")
	o := n.offered()
	o.leg.Answer([]call.Codec{call.PCMA})
	m := describe(t, c.noteTag(p.response(200)).Body())
	if got := m.Codecs(); len(got) != 2 || got[0] != call.PCMA {
		t.Errorf("offered %v", got)
	}
	c.ack(p.sdp("8"))
	if up := want[call.Up](t, o.reports); up.Codec != call.PCMA {
		t.Errorf("up %+v", up)
	}
	o.leg.End(call.Completed)
	p.reply(p.request("BYE"), 200, "", "")
	wantDown(t, o.reports, call.Completed)
	n.quietly()
}

func TestLateOfferWithoutAnswer(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite("")
	o := n.offered()
	o.leg.Answer(nil)
	c.noteTag(p.response(200))
	c.ack("")
	p.reply(p.request("BYE"), 200, "", "")
	wantDown(t, o.reports, call.NoCodec)
	n.quietly()
}

func TestEarlyMedia(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite(p.sdp())
	o := n.offered()
	o.leg.Ringing(false, nil)
	p.response(180)
	o.leg.Ringing(true, []call.Codec{call.PCMA})
	early := describe(t, p.response(183).Body())
	if got := early.Codecs(); len(got) != 1 || got[0] != call.PCMA {
		t.Errorf("early %v", got)
	}
	if f, ok := o.leg.(*leg).session.Format(); !ok || f.Codec != call.PCMA || f.DTMF != 101 {
		t.Errorf("format %+v %v", f, ok)
	}
	o.leg.Answer([]call.Codec{call.PCMU})
	final := describe(t, c.noteTag(p.response(200)).Body())
	if got := final.Codecs(); len(got) != 1 || got[0] != call.PCMA || final.Port != early.Port {
		t.Errorf("the answer changed: %+v", final)
	}
	c.ack("")
	want[call.Up](t, o.reports)
}

func TestCancel(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite(p.sdp())
	o := n.offered()
	o.leg.Ringing(false, nil)
	p.response(180)
	c.cancel()
	p.response(200)
	p.response(487)
	c.ackRefusal()
	wantDown(t, o.reports, call.Cancelled)
	n.quietly()
	if n.counter("dialtone_trunk_calls_total", "direction", "inbound", "status", "487") != 1 {
		t.Error("not counted")
	}
}

// A CANCEL that comes when the call is answered changes nothing.
func TestCancelAfterAnswer(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite(p.sdp())
	o := n.offered()
	o.leg.Answer(nil)
	c.noteTag(p.response(200))
	tag := c.toTag
	c.toTag = ""
	c.cancel()
	p.response(200)
	c.toTag = tag
	c.ack("")
	want[call.Up](t, o.reports)
	c.request("BYE", "")
	p.response(200)
	wantDown(t, o.reports, call.Completed)
}

func TestInviteRefused(t *testing.T) {
	video := "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 4000 RTP/AVP 31\n"
	n, p := oneTrunk(t)
	for _, tc := range []struct {
		name, body string
		headers    []string
		status     int
		header     string
	}{
		{"unknown codecs", p.sdp("96", "a=rtpmap:96 EVS/16000"), nil, 488, "Warning"},
		{"video alone", video, nil, 488, "Warning"},
		{"audio off", strings.Replace(p.sdp(), "m=audio ", "m=audio 0 RTP/AVP 0\nm=video ", 1), nil, 488, "Warning"},
		{"SRTP", strings.Replace(p.sdp(), "RTP/AVP", "RTP/SAVP", 1), nil, 488, "Warning"},
		{"not SDP", "hello\n", nil, 400, ""},
		{"extension", p.sdp(), []string{"Require: 100rel, teleport"}, 420, "Unsupported"},
		{"our SDP not wanted", p.sdp(), []string{"Accept: text/plain"}, 406, ""},
		{"short session", p.sdp(), []string{"Supported: timer", "Session-Expires: 60"}, 422, "Min-SE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.t = t
			c := p.call(n)
			c.invite(tc.body, tc.headers...)
			res := c.noteTag(p.response(tc.status))
			if tc.header != "" && res.GetHeader(tc.header) == nil {
				t.Errorf("no %s in\n%s", tc.header, res)
			}
			c.ackRefusal()
		})
	}
	p.t = t
	c := p.call(n)
	c.seq++
	p.send(n.addr, c.raw("INVITE", 1, "xml"+c.id, "Content-Type: application/xml\n\n<a/>"))
	if res := p.response(415); res.GetHeader("Accept") == nil {
		t.Error("415 without Accept")
	}
	select {
	case o := <-n.offers:
		t.Errorf("offered %+v", o.Offer)
	default:
	}
	n.quietly()
}

func TestInviteRepeated(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	for range 3 {
		c.seq = 0
		c.invite(p.sdp())
	}
	o := n.offered()
	// The same call by another path of a forking proxy.
	p.send(n.addr, c.raw("INVITE", 1, "otherpath"+c.id, sdpType+p.sdp()))
	p.response(482)
	o.leg.End(call.Busy)
	p.response(486)
	c.ackRefusal()
	wantDown(t, o.reports, call.Busy)
	if len(n.offers) != 0 {
		t.Error("offered twice")
	}
}

func TestAnswerNeverAcknowledged(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite(p.sdp())
	o := n.offered()
	o.leg.Answer(nil)
	p.response(200)
	// Count the repetitions below the harness, which hides them.
	p.seen = nil
	p.response(200)
	p.seen = nil
	p.response(200)
	p.reply(p.request("BYE"), 200, "", "")
	want[call.Up](t, o.reports)
	wantDown(t, o.reports, call.CarrierError)
	n.quietly()
}

// A leg ended between its 200 and the ACK says BYE after the ACK (RFC 3261 15).
func TestEndBeforeAck(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite(p.sdp())
	o := n.offered()
	o.leg.Answer(nil)
	c.noteTag(p.response(200))
	o.leg.End(call.TimeLimit)
	want[call.Up](t, o.reports)
	wantDown(t, o.reports, call.TimeLimit)
	p.silence(40 * time.Millisecond)
	c.ack("")
	bye := p.request("BYE")
	if h := bye.GetHeader("Reason"); h == nil || h.Value() != "Q.850;cause=102" {
		t.Errorf("Reason %v", h)
	}
	p.reply(bye, 200, "", "")
	n.quietly()
}

func TestByeBeforeAnswer(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite(p.sdp())
	o := n.offered()
	o.leg.Ringing(false, nil)
	c.noteTag(p.response(180))
	c.request("BYE", "")
	p.response(200)
	p.response(487)
	wantDown(t, o.reports, call.Cancelled)
	n.quietly()
}

func TestHold(t *testing.T) {
	n, p := oneTrunk(t)
	c, o := answered(t, n, p)
	session := o.leg.(*leg).session
	hold := func(body, direction string, on, changed bool) {
		t.Helper()
		c.invite(body)
		m := describe(t, p.response(200).Body())
		c.ack("")
		if string(m.Direction) != direction {
			t.Errorf("answered %s, want %s", m.Direction, direction)
		}
		if changed {
			if got := want[call.FarHold](t, o.reports); got.On != on {
				t.Errorf("hold %v, want %v", got.On, on)
			}
		}
		if f, _ := session.Format(); f.SendOnly != on {
			t.Errorf("format %+v", f)
		}
	}
	hold(p.sdp("0 101", "a=rtpmap:101 telephone-event/8000", "a=sendonly"), "recvonly", true, true)
	hold(p.sdp("0", "a=inactive"), "inactive", true, false)
	hold(p.sdp("0"), "sendrecv", false, true)
	hold(strings.Replace(p.sdp("0"), "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", 1), "recvonly", true, true)
	hold(p.sdp("8 0"), "sendrecv", false, true)
	if f, _ := session.Format(); f.Codec != call.PCMU {
		t.Errorf("codec changed to %s although both are offered", f.Codec)
	}
	hold(p.sdp("8"), "sendrecv", false, false)
	if f, _ := session.Format(); f.Codec != call.PCMA {
		t.Errorf("codec %s", f.Codec)
	}
	// What cannot be answered leaves the call as it was.
	c.invite(p.sdp("96", "a=rtpmap:96 EVS/16000"))
	p.response(488)
	c.ackRefusal()
	if f, _ := session.Format(); f.Codec != call.PCMA {
		t.Errorf("codec %s", f.Codec)
	}
	c.request("BYE", "")
	p.response(200)
	wantDown(t, o.reports, call.Completed)
}

func TestReinviteWithoutSDP(t *testing.T) {
	n, p := oneTrunk(t)
	c, o := answered(t, n, p)
	c.invite("")
	m := describe(t, p.response(200).Body())
	if len(m.Codecs()) != 2 || m.Direction != sdp.SendRecv {
		t.Errorf("offered %+v", m)
	}
	c.ack(p.sdp("8", "a=sendonly"))
	if got := want[call.FarHold](t, o.reports); !got.On {
		t.Error("the answer in the ACK does not count")
	}
	if f, _ := o.leg.(*leg).session.Format(); f.Codec != call.PCMA {
		t.Errorf("codec %s", f.Codec)
	}
}

// A re-INVITE before the last one is acknowledged is put off.
func TestReinviteOverlapping(t *testing.T) {
	n, p := oneTrunk(t)
	c, _ := answered(t, n, p)
	c.invite(p.sdp("0"))
	p.response(200)
	c.invite(p.sdp("8"))
	if res := p.response(500); res.GetHeader("Retry-After") == nil {
		t.Error("500 without Retry-After")
	}
}

func TestUpdate(t *testing.T) {
	n, p := oneTrunk(t)
	c, o := answered(t, n, p)
	c.request("UPDATE", sdpType+p.sdp("8", "a=sendonly"))
	if m := describe(t, p.response(200).Body()); m.Direction != sdp.RecvOnly {
		t.Errorf("answered %+v", m)
	}
	if got := want[call.FarHold](t, o.reports); !got.On {
		t.Error("not on hold")
	}
	c.request("UPDATE", "")
	if res := p.response(200); len(res.Body()) != 0 {
		t.Error("answer to no offer")
	}
	c.request("UPDATE", sdpType+p.sdp("96", "a=rtpmap:96 EVS/16000"))
	p.response(488)
}

func TestInfo(t *testing.T) {
	n, p := oneTrunk(t)
	c, o := answered(t, n, p)
	for body, digit := range map[string]byte{
		"Content-Type: application/dtmf-relay\n\nSignal=5\nDuration=160\n":  '5',
		"Content-Type: application/dtmf-relay\n\nSignal= #\nDuration=160\n": '#',
		"Content-Type: application/dtmf\n\n10":                              '*',
		"Content-Type: application/dtmf;x=y\n\na":                           'A',
	} {
		c.request("INFO", body)
		p.response(200)
		if d := want[call.Dialled](t, o.reports); d.Digit != digit || d.Relayed {
			t.Errorf("%q: %c %v", body, d.Digit, d.Relayed)
		}
	}
	c.request("INFO", "")
	p.response(200)
	c.request("INFO", "Content-Type: application/dtmf-relay\n\nSignal=flash\n")
	p.response(400)
	c.request("INFO", "Content-Type: application/media_control+xml\n\n<x/>")
	p.response(415)
}

func TestMethods(t *testing.T) {
	n, p := oneTrunk(t)
	for method, status := range map[string]int{
		"OPTIONS": 200, "REGISTER": 405, "SUBSCRIBE": 405, "MESSAGE": 405, "REFER": 405, "FLY": 501, "BYE": 481, "CANCEL": 481,
	} {
		c := p.call(n)
		c.request(method, "")
		res := p.response(status)
		if status != 481 && !strings.Contains(res.GetHeader("Allow").Value(), "INVITE") {
			t.Errorf("%s: Allow %v", method, res.GetHeader("Allow"))
		}
	}
	c := p.call(n)
	c.toTag = "nosuch"
	c.request("BYE", "")
	p.response(481)
	c.invite(p.sdp())
	p.response(481)
	c.ackRefusal()
	up, _ := answered(t, n, p)
	up.request("REFER", "Refer-To: <sip:x@127.0.0.1>\n")
	p.response(405)
	up.request("FLY", "")
	p.response(501)
	up.seq = 0
	up.request("OPTIONS", "")
	p.response(500) // an old CSeq
}

func TestExchangeRefuses(t *testing.T) {
	n, p := oneTrunk(t)
	for err, status := range map[error]int{
		fault.New(fault.TooMany, "full"): 503, fault.New(fault.Unavailable, "stopping"): 503,
		fault.New(fault.NotFound, "no line"): 404, fault.New(fault.Forbidden, "no"): 403,
	} {
		n.mu.Lock()
		n.refuse = err
		n.mu.Unlock()
		c := p.call(n)
		c.invite(p.sdp())
		res := p.response(status)
		if status == 503 && res.GetHeader("Retry-After") == nil {
			t.Error("503 without Retry-After")
		}
		c.ackRefusal()
	}
	n.quietly()
}

func TestEndedBeforeAnswer(t *testing.T) {
	n, p := oneTrunk(t)
	for _, cause := range call.Causes {
		c := p.call(n)
		c.invite(p.sdp())
		o := n.offered()
		o.leg.End(cause)
		p.response(StatusOf(cause))
		c.ackRefusal()
		wantDown(t, o.reports, cause)
	}
	n.quietly()
}

func TestDrain(t *testing.T) {
	n, p := oneTrunk(t)
	up, o := answered(t, n, p)
	n.Drain()
	c := p.call(n)
	c.invite(p.sdp())
	if res := p.response(503); res.GetHeader("Retry-After") == nil {
		t.Error("503 without Retry-After")
	}
	c.ackRefusal()
	c = p.call(n)
	c.request("OPTIONS", "")
	p.response(503)
	if _, err := n.Dial("CA1", call.Dial{To: call.Phone("+15550100")}, nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("dial: %v", err)
	}
	// Live calls go on.
	up.request("INFO", "Content-Type: application/dtmf\n\n1")
	p.response(200)
	want[call.Dialled](t, o.reports)
}

func TestMaxCalls(t *testing.T) {
	n, p := oneTrunk(t, func(tr *Trunk) { tr.MaxCalls = 1 })
	up, o := answered(t, n, p)
	c := p.call(n)
	c.invite(p.sdp())
	p.response(503)
	c.ackRefusal()
	r := make(reports, 10)
	if _, err := n.Dial("CA2", call.Dial{Leg: call.NewLegID(), To: call.Phone("+15550100"), From: call.Phone("+15550199")}, r.reporter()); err != nil {
		t.Fatal(err)
	}
	wantDown(t, r, call.Overload)
	up.request("BYE", "")
	p.response(200)
	wantDown(t, o.reports, call.Completed)
	n.quietly()
	answered(t, n, p)
}

func TestShutdown(t *testing.T) {
	n, p := oneTrunk(t)
	_, o := answered(t, n, p)
	ringing := p.call(n)
	ringing.invite(p.sdp())
	r := n.offered()
	n.stop()
	refused, hungUp := false, false
	for !refused || !hungUp {
		msg, _, err := p.read(patience)
		if err != nil {
			t.Fatalf("refused %v, hung up %v", refused, hungUp)
		}
		switch text := msg.String(); {
		case strings.HasPrefix(text, "SIP/2.0 503"):
			refused = true
			ringing.ackRefusal()
		case strings.HasPrefix(text, "BYE "):
			hungUp = true
			p.send(n.addr, "SIP/2.0 200 OK\n"+msg.Via().String()+"\n"+msg.From().String()+"\n"+msg.To().String()+"\n"+msg.CallID().String()+"\n"+msg.CSeq().String()+"\n")
		}
	}
	wantDown(t, o.reports, call.Shutdown)
	wantDown(t, r.reports, call.Shutdown)
	select {
	case <-n.ended:
	case <-time.After(partingTime):
		t.Error("Run waits although everyone has answered")
	}
}

func TestStranger(t *testing.T) {
	n, _ := oneTrunk(t)
	stranger := newPeerAt(t, "127.0.0.9")
	c := stranger.call(n)
	c.invite(stranger.sdp())
	c.request("OPTIONS", "")
	c.request("REGISTER", "")
	c.request("BYE", "")
	if _, err := stranger.conn.WriteTo([]byte("INVITE nonsense\r\n\r\n"), n.addr); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.conn.WriteTo([]byte("SIP/2.0 200 OK\r\n\r\n"), n.addr); err != nil {
		t.Fatal(err)
	}
	eventually(t, "four strangers are counted", func() bool {
		return n.counter("dialtone_trunk_dropped_total", "why", "stranger") == 4
	})
	stranger.silence(100 * time.Millisecond)
	if len(n.offers) != 0 {
		t.Error("offered a stranger's call")
	}
}

// A carrier's inner hosts may speak within a dialog, nobody else.
func TestDialogFromElsewhere(t *testing.T) {
	n, p := oneTrunk(t)
	c, o := answered(t, n, p)
	inner := newPeerAt(t, "127.0.0.7")
	tag := c.toTag
	c.p, c.toTag = inner, "guessed"
	c.request("BYE", "")
	inner.silence(50 * time.Millisecond)
	c.toTag = tag
	c.request("BYE", "")
	inner.response(200)
	wantDown(t, o.reports, call.Completed)
}

func TestInboundDigest(t *testing.T) {
	p := newPeer(t)
	tr := trunkTo("one", p)
	tr.Username, tr.Password, tr.InboundAuth, tr.Sources = "carrier", "secret", true, []string{"0.0.0.0/0"}
	tr.FromDomain = "dialtone.example"
	n := startNode(t, Config{Trunks: []Trunk{tr}})
	for _, tc := range []struct {
		password string
		ok       bool
	}{{"wrong", false}, {"secret", true}} {
		c := p.call(n)
		c.invite(p.sdp())
		res := p.response(401)
		c.ackRefusal()
		challenges := res.GetHeaders("www-authenticate")
		if len(challenges) != 2 || !strings.Contains(challenges[0].Value(), "SHA-256") {
			t.Fatalf("challenges %v", challenges)
		}

		req := parse(t, c.raw("INVITE", 2, "x", ""))
		h, err := credentials(req, res, "carrier", tc.password)
		if err != nil {
			t.Fatal(err)
		}
		c.invite(p.sdp(), h.String())
		if !tc.ok {
			p.response(401)
			c.ackRefusal()
			continue
		}
		o := n.offered()
		if o.Trunk != "one" {
			t.Errorf("trunk %q", o.Trunk)
		}
		o.leg.End(call.Declined)
		p.response(603)
		c.ackRefusal()
		// The same credentials are worth nothing for another call.
		c = p.call(n)
		c.invite(p.sdp(), h.String())
		p.response(401)
		c.ackRefusal()
	}
	n.quietly()
}

// A node that listens everywhere tells each carrier the address that it sees.
func TestListensEverywhere(t *testing.T) {
	conn, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t)
	n := startNode(t, Config{Trunks: []Trunk{trunkTo("one", p)}}, func(o *Options) { o.UDP = []net.PacketConn{conn} })
	n.addr = &net.UDPAddr{IP: net.ParseIP("127.0.0.1"), Port: conn.LocalAddr().(*net.UDPAddr).Port}
	c := p.call(n)
	c.invite(p.sdp("0 101", "a=rtpmap:101 telephone-event/8000", "a=sendonly"))
	o := n.offered()
	o.leg.Answer(nil)
	res := c.noteTag(p.response(200))
	c.ack("")
	want[call.Up](t, o.reports)
	if h := want[call.FarHold](t, o.reports); !h.On {
		t.Error("answered on hold, not reported")
	}
	m := describe(t, res.Body())
	if m.Addr.String() != "127.0.0.1" || res.Contact().Address.Host != "127.0.0.1" {
		t.Errorf("audio at %s, contact %s", m.Addr, res.Contact())
	}
	newTalker(p.rtp, m.Port, "127.0.0.1").send(160)
	heard := <-o.reports
	if _, ok := heard.(call.Heard); !ok {
		t.Errorf("report %T", heard)
	}
	o.leg.End(call.Completed)
	p.reply(p.request("BYE"), 200, "", "")
	wantDown(t, o.reports, call.Completed)
	_, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	p.accept(p.request("INVITE"), "x")
	want[call.Up](t, r)
}

func TestSource(t *testing.T) {
	c := newCarrier(Trunk{Host: "192.0.2.1", Transport: "udp", Sources: []string{"192.0.2.0/28", "2001:db8::1"}})
	for addr, known := range map[string]bool{"192.0.2.9": true, "192.0.2.16": false, "2001:db8::1": true, "192.0.2.1": true} {
		if got := c.knows(mustAddr(addr)); got != known {
			t.Errorf("%s: %v", addr, got)
		}
	}
}
