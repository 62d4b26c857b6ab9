package trunk

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
)

// twoTrunks is a node with two carriers.
func twoTrunks(t *testing.T, tryFor time.Duration) (*node, *peer, *peer) {
	t.Helper()
	a, b := newPeer(t), newPeer(t)
	return startNode(t, Config{TryFor: tryFor, Trunks: []Trunk{trunkTo("a", a), trunkTo("b", b)}}), a, b
}

func out(t *testing.T, n *node) reports {
	t.Helper()
	_, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	return r
}

// accept answers an INVITE and takes the ACK.
func (p *peer) accept(inv *sip.Request, tag string) {
	p.t.Helper()
	p.reply(inv, 200, tag, sdpType+p.sdp())
	p.request("ACK")
}

func TestFailover(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504, 408} {
		n, a, b := twoTrunks(t, 0)
		r := out(t, n)
		inv := a.request("INVITE")
		a.reply(inv, status, "x", "")
		a.request("ACK")
		b.accept(b.request("INVITE"), "y")
		if up := want[call.Up](t, r); up.Trunk != "b" {
			t.Errorf("%d: up by %s", status, up.Trunk)
		}
		got := n.trunkAnswers()
		if len(got) != 2 || got[0].Status != status || !got[0].Next || got[1].Status != 200 || got[1].Next || got[0].Call != "CA1" {
			t.Errorf("%d: answers %+v", status, got)
		}
	}
}

func TestNoFailover(t *testing.T) {
	for status, cause := range map[int]call.EndCause{
		486: call.Busy, 404: call.NotFound, 603: call.Declined, 600: call.Busy, 403: call.Forbidden,
		480: call.NoAnswer, 488: call.NoCodec, 401: call.CarrierError, 302: call.CarrierError, 499: call.CarrierError,
	} {
		n, a, b := twoTrunks(t, 0)
		r := out(t, n)
		inv := a.request("INVITE")
		extra := ""
		if status == 302 {
			extra = "Contact: <sip:x@192.0.2.99>\n"
		}
		a.reply(inv, status, "x", extra)
		a.request("ACK")
		if d := wantDown(t, r, cause); d.Status != status {
			t.Errorf("status %d, want %d", d.Status, status)
		}
		b.silence(10 * time.Millisecond)
		n.quietly()
	}
}

func TestFailoverOnSilence(t *testing.T) {
	n, a, b := twoTrunks(t, 50*time.Millisecond)
	r := out(t, n)
	late := a.request("INVITE")
	b.accept(b.request("INVITE"), "y")
	want[call.Up](t, r)
	// The silent carrier answers after all: it is told that nobody wants it.
	a.reply(late, 200, "x", sdpType+a.sdp())
	a.request("ACK")
	a.reply(a.request("BYE"), 200, "", "")
	got := n.trunkAnswers()
	if len(got) != 2 || got[0].Status != 0 || !got[0].Next {
		t.Errorf("answers %+v", got)
	}
}

// A carrier that rings too late is cancelled.
func TestFailoverCancelsLateRinging(t *testing.T) {
	n, a, b := twoTrunks(t, 50*time.Millisecond)
	r := out(t, n)
	late := a.request("INVITE")
	inv := b.request("INVITE")
	a.reply(late, 180, "x", "")
	cancel := a.request("CANCEL")
	a.reply(cancel, 200, "x", "")
	a.reply(late, 487, "x", "")
	a.request("ACK")
	b.accept(inv, "y")
	want[call.Up](t, r)
}

func TestNobodyAnswers(t *testing.T) {
	n, a, b := twoTrunks(t, 30*time.Millisecond)
	r := out(t, n)
	a.request("INVITE")
	b.request("INVITE")
	if d := wantDown(t, r, call.CarrierDown); d.Status != 0 {
		t.Errorf("status %d", d.Status)
	}
	n.quietly()
}

// What the last one said counts more than that another was silent.
func TestOneRefusesOneIsSilent(t *testing.T) {
	n, a, b := twoTrunks(t, 30*time.Millisecond)
	r := out(t, n)
	inv := a.request("INVITE")
	a.reply(inv, 503, "x", "")
	a.request("ACK")
	b.request("INVITE")
	if d := wantDown(t, r, call.CarrierError); d.Status != 503 {
		t.Errorf("status %d", d.Status)
	}
}

func TestFailoverOnTransport(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	p := newPeer(t)
	n := startNode(t, Config{Trunks: []Trunk{
		{Name: "tcp", Host: "127.0.0.1", Port: closed, Transport: "tcp"}, trunkTo("b", p),
	}})
	r := out(t, n)
	p.accept(p.request("INVITE"), "y")
	want[call.Up](t, r)
}

// Once it rang the call is not begun anew elsewhere.
func TestNoFailoverAfterRinging(t *testing.T) {
	n, a, b := twoTrunks(t, 0)
	r := out(t, n)
	inv := a.request("INVITE")
	a.reply(inv, 180, "x", "")
	want[call.Progress](t, r)
	a.reply(inv, 500, "x", "")
	a.request("ACK")
	wantDown(t, r, call.CarrierError)
	b.silence(10 * time.Millisecond)
}

func TestDigestOut(t *testing.T) {
	for status, header := range map[int][2]string{
		401: {"WWW-Authenticate", "Authorization"}, 407: {"Proxy-Authenticate", "Proxy-Authorization"},
	} {
		n, p := oneTrunk(t, func(tr *Trunk) { tr.Username, tr.Password = "user", "secret" })
		leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
		first := p.request("INVITE")
		challenge := header[0] + `: Digest realm="carrier", nonce="abc", algorithm=MD5, qop="auth, auth-int"` + "\n"
		p.reply(first, status, "x", challenge)
		p.request("ACK")
		second := p.request("INVITE")
		h := second.GetHeader(header[1])
		if h == nil || !strings.Contains(h.Value(), `username="user"`) || !strings.Contains(h.Value(), "qop=auth,") {
			t.Fatalf("credentials %v", h)
		}
		if second.CSeq().SeqNo != first.CSeq().SeqNo+1 || string(*second.CallID()) != string(*first.CallID()) {
			t.Errorf("not the same call:\n%s\n%s", first, second)
		}
		p.accept(second, "y")
		want[call.Up](t, r)
		// Within the dialog too.
		leg.End(call.Completed)
		bye := p.request("BYE")
		p.reply(bye, status, "", challenge)
		again := p.request("BYE")
		if again.GetHeader(header[1]) == nil || again.CSeq().SeqNo != bye.CSeq().SeqNo+1 {
			t.Errorf("BYE without credentials:\n%s", again)
		}
		p.reply(again, 200, "", "")
		wantDown(t, r, call.Completed)
		n.quietly()
	}
}

func TestDigestOutWrong(t *testing.T) {
	n, p := oneTrunk(t, func(tr *Trunk) { tr.Username, tr.Password = "user", "wrong" })
	r := out(t, n)
	for range 2 {
		p.reply(p.request("INVITE"), 401, "x", `WWW-Authenticate: Digest realm="carrier", nonce="abc"`+"\n")
		p.request("ACK")
	}
	wantDown(t, r, call.CarrierError)
	p.silence(10 * time.Millisecond)
}

func TestEarlyMediaOut(t *testing.T) {
	n, p := oneTrunk(t)
	r := out(t, n)
	inv := p.request("INVITE")
	p.reply(inv, 183, "t1", sdpType+p.sdp("8"))
	if pr := want[call.Progress](t, r); !pr.Early || len(pr.Codecs) != 1 || pr.Codecs[0] != call.PCMA {
		t.Errorf("progress %+v", pr)
	}
	p.reply(inv, 180, "t1", "")
	// The answer without SDP: what was said early counts.
	p.reply(inv, 200, "t1", "")
	p.request("ACK")
	if up := want[call.Up](t, r); up.Codec != call.PCMA {
		t.Errorf("up %+v", up)
	}
}

func TestAnswerWithoutSDP(t *testing.T) {
	n, p := oneTrunk(t)
	r := out(t, n)
	inv := p.request("INVITE")
	p.reply(inv, 200, "t1", "")
	p.request("ACK")
	p.reply(p.request("BYE"), 200, "", "")
	wantDown(t, r, call.NoCodec)
	n.quietly()
}

// A carrier rings two phones: two early dialogs, two answers.
func TestFork(t *testing.T) {
	n, p := oneTrunk(t)
	leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	inv := p.request("INVITE")
	p.reply(inv, 183, "t1", sdpType+p.sdp("8"))
	want[call.Progress](t, r)
	p.reply(inv, 180, "t2", "")
	p.reply(inv, 200, "t2", sdpType+p.sdp("0"))
	if ack := p.request("ACK"); !strings.Contains(ack.To().String(), "tag=t2") {
		t.Errorf("ACK to %s", ack.To())
	}
	if up := want[call.Up](t, r); up.Codec != call.PCMU {
		t.Errorf("up %+v", up)
	}
	p.reply(inv, 200, "t1", sdpType+p.sdp("8"))
	if ack := p.request("ACK"); !strings.Contains(ack.To().String(), "tag=t1") {
		t.Errorf("ACK to %s", ack.To())
	}
	bye := p.request("BYE")
	if !strings.Contains(bye.To().String(), "tag=t1") {
		t.Errorf("BYE to %s", bye.To())
	}
	p.reply(bye, 200, "", "")
	leg.End(call.Completed)
	bye = p.request("BYE")
	if !strings.Contains(bye.To().String(), "tag=t2") {
		t.Errorf("BYE to %s", bye.To())
	}
	p.reply(bye, 200, "", "")
	wantDown(t, r, call.Completed)
	n.quietly()
}

// A repeated 200 is acknowledged again.
func TestAnswerRepeated(t *testing.T) {
	n, p := oneTrunk(t)
	r := out(t, n)
	inv := p.request("INVITE")
	for range 3 {
		p.seen = nil
		p.reply(inv, 200, "t1", sdpType+p.sdp())
		p.request("ACK")
	}
	want[call.Up](t, r)
	if len(r) != 0 {
		t.Errorf("reported again: %+v", <-r)
	}
}

func TestEndWhileRinging(t *testing.T) {
	n, p := oneTrunk(t)
	leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	inv := p.request("INVITE")
	p.reply(inv, 180, "t1", "")
	want[call.Progress](t, r)
	leg.End(call.Replaced)
	wantDown(t, r, call.Replaced)
	cancel := p.request("CANCEL")
	if cancel.CSeq().SeqNo != inv.CSeq().SeqNo || cancel.Via().Value() != inv.Via().Value() {
		t.Errorf("CANCEL does not match:\n%s\n%s", cancel, inv)
	}
	p.reply(cancel, 200, "t1", "")
	p.reply(inv, 487, "t1", "")
	p.request("ACK")
	n.quietly()
}

// CANCEL waits for a provisional response (RFC 3261 9.1).
func TestEndBeforeProvisional(t *testing.T) {
	n, p := oneTrunk(t)
	leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	inv := p.request("INVITE")
	leg.End(call.Cancelled)
	wantDown(t, r, call.Cancelled)
	p.silence(30 * time.Millisecond)
	p.reply(inv, 100, "", "")
	cancel := p.request("CANCEL")
	p.reply(cancel, 200, "t1", "")
	p.reply(inv, 487, "t1", "")
	p.request("ACK")
	n.quietly()
}

// The 200 and our CANCEL cross: the call is acknowledged and hung up.
func TestCancelRace(t *testing.T) {
	n, p := oneTrunk(t)
	leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	inv := p.request("INVITE")
	p.reply(inv, 180, "t1", "")
	want[call.Progress](t, r)
	leg.End(call.Cancelled)
	cancel := p.request("CANCEL")
	p.reply(inv, 200, "t1", sdpType+p.sdp())
	p.reply(cancel, 481, "t1", "")
	p.request("ACK")
	p.reply(p.request("BYE"), 200, "", "")
	wantDown(t, r, call.Cancelled)
	n.quietly()
}

func TestRingsTooLong(t *testing.T) {
	n, p := oneTrunk(t)
	_, r := n.dial(call.Dial{To: call.Phone("+15550100"), Timeout: 50 * time.Millisecond})
	inv := p.request("INVITE")
	p.reply(inv, 180, "t1", "")
	want[call.Progress](t, r)
	wantDown(t, r, call.NoAnswer)
	p.reply(p.request("CANCEL"), 200, "t1", "")
	p.reply(inv, 487, "t1", "")
	p.request("ACK")
	n.quietly()
}

func TestRedirect(t *testing.T) {
	n, p := oneTrunk(t)
	other := newPeer(t)
	r := out(t, n)
	inv := p.request("INVITE")
	p.reply(inv, 302, "x", "Contact: <sip:+15550777@"+other.addr.String()+">\n")
	p.request("ACK")
	second := other.request("INVITE")
	if second.Recipient.User != "+15550777" {
		t.Errorf("redirected to %s", &second.Recipient)
	}
	other.accept(second, "y")
	want[call.Up](t, r)
}

func TestSessionTooSmall(t *testing.T) {
	n, p := oneTrunk(t, func(tr *Trunk) { tr.SessionExpires = 100 * time.Second })
	r := out(t, n)
	inv := p.request("INVITE")
	if v := inv.GetHeader("Session-Expires").Value(); v != "100" {
		t.Errorf("asked for %s", v)
	}
	p.reply(inv, 422, "x", "Min-SE: 600\n")
	p.request("ACK")
	inv = p.request("INVITE")
	if v := inv.GetHeader("Session-Expires").Value(); v != "600" {
		t.Errorf("asked for %s", v)
	}
	p.accept(inv, "y")
	want[call.Up](t, r)
}

func TestReliableOut(t *testing.T) {
	n, p := oneTrunk(t, func(tr *Trunk) { tr.Require100rel = true })
	leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	inv := p.request("INVITE")
	if !has(inv, "require", "100rel") {
		t.Error("100rel is not required")
	}
	p.reply(inv, 183, "t1", "Require: 100rel\nRSeq: 7\nRecord-Route: <sip:"+p.addr.String()+";lr>\n"+sdpType+p.sdp())
	prack := p.request("PRACK")
	if v := prack.GetHeader("RAck").Value(); v != "7 "+strings.Fields(inv.CSeq().Value())[0]+" INVITE" {
		t.Errorf("RAck %q for %s", v, inv.CSeq())
	}
	if prack.Route() == nil {
		t.Error("PRACK without the dialog's route")
	}
	p.reply(prack, 200, "", "")
	want[call.Progress](t, r)
	p.reply(inv, 180, "t1", "Require: 100rel\nRSeq: 8\n")
	p.reply(p.request("PRACK"), 200, "", "")
	p.reply(inv, 200, "t1", "")
	p.request("ACK")
	want[call.Up](t, r)
	leg.End(call.Completed)
	bye := p.request("BYE")
	if bye.CSeq().SeqNo != inv.CSeq().SeqNo+3 {
		t.Errorf("CSeq %d after two PRACK and INVITE %d", bye.CSeq().SeqNo, inv.CSeq().SeqNo)
	}
	p.reply(bye, 200, "", "")
}

func TestReliableIn(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite(p.sdp(), "Require: 100rel")
	o := n.offered()
	o.leg.Ringing(true, nil)
	o.leg.Answer(nil)
	ringing := c.noteTag(p.response(183))
	rseq := ringing.GetHeader("RSeq").Value()
	p.seen = nil
	p.response(183) // it is repeated, and the 200 waits
	c.request("PRACK", "RAck: 999999 1 INVITE\n")
	p.response(481)
	c.request("PRACK", "RAck: "+rseq+" 1 INVITE\n")
	final := 0
	for range 2 {
		msg, _, err := p.read(patience)
		if err != nil {
			t.Fatal("no 200")
		}
		res := msg.(*sip.Response)
		if res.StatusCode != 200 {
			t.Fatalf("%s", res)
		}
		if res.CSeq().MethodName == sip.INVITE {
			final++
			if len(res.Body()) != 0 {
				t.Error("the answer was acknowledged already")
			}
		}
	}
	if final != 1 {
		t.Error("no 200 to the INVITE")
	}
	c.p.send(n.addr, c.raw("ACK", 1, "ack"+c.id, ""))
	want[call.Up](t, o.reports)
}

// Early media for a caller without offer: ours goes out reliably, the answer
// comes with the PRACK.
func TestReliableLateOffer(t *testing.T) {
	n, p := oneTrunk(t)
	c := p.call(n)
	c.invite("", "Supported: 100rel")
	o := n.offered()
	o.leg.Ringing(true, nil)
	res := c.noteTag(p.response(183))
	describe(t, res.Body())
	c.request("PRACK", "RAck: "+res.GetHeader("RSeq").Value()+" 1 INVITE\n"+sdpType+p.sdp("8"))
	p.response(200)
	o.leg.Answer(nil)
	if res := p.response(200); len(res.Body()) != 0 {
		t.Error("SDP twice")
	}
	c.p.send(n.addr, c.raw("ACK", 1, "ack"+c.id, ""))
	if up := want[call.Up](t, o.reports); up.Codec != call.PCMA {
		t.Errorf("up %+v", up)
	}
}

func TestIdentityOut(t *testing.T) {
	n, p := oneTrunk(t, func(tr *Trunk) {
		tr.CallerIDFormat, tr.NumberFormat, tr.FromDomain = FormatE164, FormatNational, "pbx.example"
	})
	n.dial(call.Dial{To: call.Phone("+12015550123"), From: call.Address{Number: "+15550199", Name: `Ann "B"`}})
	inv := p.request("INVITE")
	if got := inv.From().Value(); !strings.HasPrefix(got, `"Ann \"B\"" <sip:15550199@pbx.example>`) {
		t.Errorf("From %s", got)
	}
	if got := inv.GetHeader("P-Asserted-Identity").Value(); got != "<sip:15550199@pbx.example>" {
		t.Errorf("P-Asserted-Identity %s", got)
	}
	if inv.Recipient.User != "2015550123" {
		t.Errorf("called %s", inv.Recipient.User)
	}
	p.reply(inv, 486, "x", "")
}

func TestDialRefused(t *testing.T) {
	n, p := oneTrunk(t)
	for to, kind := range map[string]fault.Kind{
		"+442071838750": fault.Forbidden, "+19005550100": fault.Forbidden, "hello": fault.Invalid, "": fault.Invalid,
	} {
		if _, err := n.Dial("CA1", call.Dial{Leg: call.NewLegID(), To: call.Phone(to), From: call.Phone("+15550199")}, nil); fault.KindOf(err) != kind {
			t.Errorf("%s: %v", to, err)
		}
	}
	r := make(reports, 10)
	if _, err := n.Dial("CA1", call.Dial{Leg: call.NewLegID(), To: call.Phone("911"), From: call.Phone("+15550199")}, r.reporter()); err != nil {
		t.Errorf("emergency call: %v", err)
	}
	inv := p.request("INVITE")
	if inv.Recipient.User != "911" {
		t.Errorf("called %s", &inv.Recipient)
	}
	p.reply(inv, 486, "x", "")
	wantDown(t, r, call.Busy)
}

// names is a Resolver with fixed answers.
type names map[string][]string

func (r names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var list []netip.Addr
	for _, a := range r[host] {
		list = append(list, netip.MustParseAddr(a))
	}
	if list == nil {
		return nil, errors.New("no such host")
	}
	return list, nil
}

func (r names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	var list []*net.SRV
	for _, target := range r["_"+service+"._"+proto+"."+name] {
		host, port, _ := strings.Cut(target, ":")
		n, _ := strconv.Atoi(port)
		list = append(list, &net.SRV{Target: host, Port: uint16(n)})
	}
	if list == nil {
		return "", nil, errors.New("no such service")
	}
	return "", list, nil
}

// A name with several addresses: each is tried, and all of them may call.
func TestResolvedNames(t *testing.T) {
	a, b := newPeerAt(t, "127.0.0.2"), newPeerAt(t, "127.0.0.3")
	port := func(p *peer) string { return strconv.Itoa(int(p.addr.Port())) }
	n := startNode(t, Config{TryFor: 50 * time.Millisecond, Trunks: []Trunk{{Name: "one", Host: "sip.carrier.example"}}}, func(o *Options) {
		o.Resolver = names{
			"_sip._udp.sip.carrier.example": {"a.carrier.example.:" + port(a), "b.carrier.example.:" + port(b)},
			"a.carrier.example":             {"127.0.0.2"}, "b.carrier.example": {"127.0.0.3"},
			"sip.carrier.example": {"127.0.0.2", "127.0.0.3"},
		}
	})
	eventually(t, "resolved", func() bool { return len(n.carriers[0].targets()) == 2 })
	r := out(t, n)
	if inv := a.request("INVITE"); inv.Recipient.Host != "sip.carrier.example" {
		t.Errorf("called %s", &inv.Recipient)
	}
	b.accept(b.request("INVITE"), "x")
	want[call.Up](t, r)
	c := b.call(n)
	c.invite(b.sdp())
	n.offered().leg.End(call.Busy)
	b.response(486)
	c.ackRefusal()
}

func TestUnresolvedName(t *testing.T) {
	n := startNode(t, Config{Trunks: []Trunk{{Name: "one", Host: "nowhere.example"}}}, func(o *Options) { o.Resolver = names{} })
	wantDown(t, out(t, n), call.CarrierDown)
	if a := n.trunkAnswers(); len(a) != 1 || a[0].Status != 0 || a[0].Next {
		t.Errorf("answers %+v", a)
	}
	n.quietly()
}
