package trunk

import (
	"testing"

	"dialtone/internal/voice/call"
)

func TestCallIn(t *testing.T) {
	p := newPeer(t)
	n := startNode(t, Config{Trunks: []Trunk{trunkTo("one", p)}})
	c := p.call(n)
	c.invite(p.sdp())
	p.response(100)
	o := n.offered()
	if o.From.Number != "+15550123" || o.From.Name != `Ann "A" Caller` || o.To.Number != "+15550199" || o.Trunk != "one" || o.Account != "AC1" {
		t.Errorf("offered %+v", o.Offer)
	}
	o.leg.Ringing(false, nil)
	p.response(180)
	o.leg.Answer([]call.Codec{call.PCMA, call.PCMU})
	res := c.noteTag(p.response(200))
	c.ack("")
	if up := want[call.Up](t, o.reports); up.Codec != call.PCMA || up.Trunk != "one" {
		t.Errorf("up %+v", up)
	}
	if len(res.Body()) == 0 {
		t.Error("200 without SDP")
	}
	c.request("BYE", "")
	p.response(200)
	wantDown(t, o.reports, call.Completed)
	n.quietly()
}

func TestCallOut(t *testing.T) {
	p := newPeer(t)
	n := startNode(t, Config{Trunks: []Trunk{trunkTo("one", p)}})
	leg, r := n.dial(call.Dial{To: call.Phone("+15550100")})
	inv := p.request("INVITE")
	if inv.Recipient.User != "+15550100" || inv.From().Address.User != "+15550199" {
		t.Errorf("INVITE\n%s", inv)
	}
	p.reply(inv, 100, "", "")
	p.reply(inv, 180, "t1", "")
	if pr := want[call.Progress](t, r); pr.Early || pr.Trunk != "one" {
		t.Errorf("progress %+v", pr)
	}
	p.reply(inv, 200, "t1", sdpType+p.sdp())
	p.request("ACK")
	if up := want[call.Up](t, r); up.Codec != call.PCMU {
		t.Errorf("up %+v", up)
	}
	leg.End(call.Completed)
	bye := p.request("BYE")
	p.reply(bye, 200, "", "")
	wantDown(t, r, call.Completed)
	n.quietly()
	if a := n.trunkAnswers(); len(a) != 1 || a[0].Status != 200 || a[0].Trunk != "one" || a[0].Next {
		t.Errorf("answers %+v", a)
	}
}
