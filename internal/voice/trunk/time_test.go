package trunk

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/health"
	"dialtone/internal/voice/call"
)

// Tests with the RFC's own times, on a network of the test's own where they pass
// at once.

func inBubble(t *testing.T, change func(*Trunk), f func(t *testing.T, n *node, p *peer)) {
	synctest.Test(t, func(t *testing.T) {
		fab := newFabric()
		p := fab.peer(t, "10.0.0.2")
		tr := trunkTo("one", p)
		if change != nil {
			change(&tr)
		}
		n := startNodeOn(t, fab, Config{Trunks: []Trunk{tr}})
		f(t, n, p)
		n.stop()
		<-n.ended
		synctest.Wait()
	})
}

// until reads requests of the peer and hands them to f until it returns true.
func (p *peer) until(wait time.Duration, f func(*sip.Request) bool) time.Duration {
	p.t.Helper()
	start := time.Now()
	for {
		msg, from, err := p.read(wait - time.Since(start))
		if err != nil {
			p.t.Fatalf("nothing came in %s", wait)
		}
		if req, ok := msg.(*sip.Request); ok {
			req.SetSource(from.String())
			if f(req) {
				return time.Since(start)
			}
		}
	}
}

func TestSessionTheyRefresh(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, n *node, p *peer) {
		c := p.call(n)
		c.invite(p.sdp(), "Supported: timer", "Session-Expires: 300")
		o := n.offered()
		o.leg.Answer(nil)
		res := c.noteTag(p.response(200))
		if v := res.GetHeader("Session-Expires").Value(); v != "300;refresher=uac" || !has(res, "require", "timer") {
			t.Errorf("Session-Expires %s", v)
		}
		c.ack("")
		want[call.Up](t, o.reports)
		for range 3 {
			time.Sleep(150 * time.Second)
			c.request("UPDATE", "Supported: timer\nSession-Expires: 300;refresher=uac\n")
			p.response(200)
		}
		// Then they are gone: 32 s before the interval ends we hang up.
		start := time.Now()
		after := p.until(10*time.Minute, func(req *sip.Request) bool { return req.Method == sip.BYE })
		if after != 268*time.Second {
			t.Errorf("hung up after %s, at %s", after, time.Since(start))
		}
		wantDown(t, o.reports, call.CarrierDown)
		time.Sleep(32 * time.Second) // the BYE has no answer
		n.quietly()
	})
}

func TestSessionWeRefresh(t *testing.T) {
	for _, method := range []sip.RequestMethod{sip.UPDATE, sip.INVITE} {
		inBubble(t, nil, func(t *testing.T, n *node, p *peer) {
			_, r := n.dial(call.Dial{To: call.Phone("+15550100")})
			inv := p.request("INVITE")
			allow := "Allow: INVITE, ACK, BYE, UPDATE\n"
			if method == sip.INVITE {
				allow = "Allow: INVITE, ACK, BYE\n"
			}
			p.reply(inv, 200, "t1", allow+"Require: timer\nSession-Expires: 200;refresher=uac\n"+sdpType+p.sdp())
			p.request("ACK")
			want[call.Up](t, r)
			for i := range 3 {
				var req *sip.Request
				if after := p.until(5*time.Minute, func(r *sip.Request) bool { req = r; return true }); after != 100*time.Second {
					t.Errorf("refresh %d after %s", i, after)
				}
				if req.Method != method || req.GetHeader("Session-Expires").Value() != "200;refresher=uac" {
					t.Fatalf("refresh\n%s", req)
				}
				body := ""
				if method == sip.INVITE {
					if string(req.Body()) != string(inv.Body()) {
						t.Errorf("the description changed without need:\n%s\n%s", inv.Body(), req.Body())
					}
					body = sdpType + p.sdp()
				}
				p.reply(req, 200, "", "Session-Expires: 200;refresher=uac\n"+body)
				if method == sip.INVITE {
					p.request("ACK")
				}
			}
			// The carrier has forgotten the call.
			p.until(5*time.Minute, func(r *sip.Request) bool { p.reply(r, 481, "", ""); return true })
			p.until(time.Minute, func(r *sip.Request) bool {
				if r.Method == sip.BYE {
					p.reply(r, 200, "", "")
				}
				return r.Method == sip.BYE
			})
			wantDown(t, r, call.CarrierDown)
			n.quietly()
		})
	}
}

// A carrier that finds no interval long enough is not asked without pause.
func TestSessionNeverLongEnough(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, n *node, p *peer) {
		_, r := n.dial(call.Dial{To: call.Phone("+15550100")})
		inv := p.request("INVITE")
		p.reply(inv, 200, "t1", "Allow: INVITE, ACK, BYE, UPDATE\nRequire: timer\nSession-Expires: 200;refresher=uac\n"+sdpType+p.sdp())
		p.request("ACK")
		want[call.Up](t, r)
		began := time.Now()
		for range 4 {
			p.until(5*time.Minute, func(r *sip.Request) bool {
				if r.Method != sip.UPDATE && r.Method != sip.INVITE {
					return false
				}
				p.reply(r, 422, "", "Min-SE: 120\n")
				return true
			})
		}
		if took := time.Since(began); took < 2*time.Minute {
			t.Errorf("asked four times within %s", took)
		}
	})
}

// Both sides re-INVITE at once: 491 both ways, and ours comes again later.
func TestGlare(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, n *node, p *peer) {
		c := p.call(n)
		c.invite(p.sdp(), "Session-Expires: 200;refresher=uas")
		o := n.offered()
		o.leg.Answer(nil)
		c.noteTag(p.response(200))
		c.ack("")
		want[call.Up](t, o.reports)
		var ours *sip.Request
		p.until(5*time.Minute, func(r *sip.Request) bool { ours = r; return true })
		if ours.Method != sip.INVITE {
			t.Fatalf("refresh\n%s", ours)
		}
		c.invite(p.sdp("0", "a=sendonly"))
		p.response(491)
		c.ackRefusal()
		p.reply(ours, 491, "", "")
		p.request("ACK")
		after := p.until(time.Minute, func(r *sip.Request) bool { ours = r; return r.Method == sip.INVITE })
		if after > 2*time.Second {
			t.Errorf("came again after %s", after)
		}
		p.reply(ours, 200, "", "Session-Expires: 200;refresher=uac\n"+sdpType+p.sdp("0"))
		p.request("ACK")
		c.invite(p.sdp("0", "a=sendonly"))
		p.response(200)
		c.ack("")
		if h := want[call.FarHold](t, o.reports); !h.On {
			t.Error("not on hold")
		}
	})
}

// Without any answer the INVITE is repeated 500 ms, 1 s, 2 s … apart, and the
// carrier is given up after TryFor.
func TestInviteRetransmission(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, n *node, p *peer) {
		_, r := n.dial(call.Dial{To: call.Phone("+15550100")})
		start := time.Now()
		var at []time.Duration
		for time.Since(start) < 40*time.Second {
			p.seen = nil
			if _, _, err := p.read(40*time.Second - time.Since(start)); err == nil {
				at = append(at, time.Since(start))
			}
		}
		if len(at) != 4 || at[1] != 500*time.Millisecond || at[2] != 1500*time.Millisecond || at[3] != 3500*time.Millisecond {
			t.Errorf("INVITEs at %v", at)
		}
		wantDown(t, r, call.CarrierDown)
		n.quietly()
	})
}

// A leg whose audio is away too long is ended.
func TestMediaLost(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, n *node, p *peer) {
		c := p.call(n)
		c.invite(p.sdp("0"), "Session-Expires: 3600;refresher=uac")
		o := n.offered()
		o.leg.Answer(nil)
		c.noteTag(p.response(200))
		c.ack("")
		want[call.Up](t, o.reports)
		session := o.leg.(*leg).session
		rtp := newTalker(p.rtp, session.Port(), "10.0.0.1")
		for range 50 {
			rtp.send(160)
			time.Sleep(20 * time.Millisecond)
		}
		p.until(5*time.Minute, func(r *sip.Request) bool { return r.Method == sip.BYE })
		wantDown(t, o.reports, call.MediaLost)
	})
}

func TestRegister(t *testing.T) {
	change := func(tr *Trunk) {
		tr.Username, tr.Password, tr.FromDomain = "user", "secret", "carrier.example"
		tr.Register = Register{Enabled: true, Expires: 10 * time.Minute}
	}
	inBubble(t, change, func(t *testing.T, n *node, p *peer) {
		challenge := `WWW-Authenticate: Digest realm="carrier", nonce="n1", qop="auth"` + "\n"
		first := p.request("REGISTER")
		if first.Recipient.String() != "sip:carrier.example" || first.To().Address.User != "user" || first.Contact().Address.User != "user" {
			t.Errorf("REGISTER\n%s", first)
		}
		p.reply(first, 401, "x", challenge)
		second := p.request("REGISTER")
		if second.GetHeader("Authorization") == nil || string(*second.CallID()) != string(*first.CallID()) || second.CSeq().SeqNo != first.CSeq().SeqNo+1 {
			t.Errorf("REGISTER\n%s", second)
		}
		p.reply(second, 200, "x", "Contact: "+strings.TrimPrefix(second.Contact().Value(), "Contact: ")+";expires=300\n")
		eventually(t, "registered", func() bool { return n.counter("dialtone_trunk_registered") == 1 })
		// Refreshed at half of what was granted.
		var refresh *sip.Request
		after := p.until(10*time.Minute, func(r *sip.Request) bool { refresh = r; return true })
		if after < 149*time.Second || after > 151*time.Second {
			t.Errorf("refreshed after %s", after)
		}
		if refresh.GetHeader("Expires").Value() != "600" || string(*refresh.CallID()) != string(*first.CallID()) {
			t.Errorf("refresh\n%s", refresh)
		}
		p.reply(refresh, 500, "x", "")
		eventually(t, "a warning", func() bool { return len(n.health.Warnings()) == 1 })
		if w := n.health.Warnings()[0]; w.Code != WarnUnregistered || w.Subject != "one" || w.Severity != health.Degraded {
			t.Errorf("warning %+v", w)
		}
		// It is tried again, less and less often.
		var pauses []time.Duration
		for range 5 {
			pauses = append(pauses, p.until(time.Hour, func(r *sip.Request) bool { p.reply(r, 503, "x", ""); return true }))
		}
		for i, d := range pauses {
			if base := 2 * time.Second << i; d < base*2/3 || d > base*4/3 {
				t.Errorf("pause %d is %s", i, d)
			}
		}
		p.until(time.Hour, func(r *sip.Request) bool { p.reply(r, 200, "x", "Expires: 600\n"); return true })
		eventually(t, "the warning gone", func() bool { return len(n.health.Warnings()) == 0 })
		// A registrar that wants longer intervals says so.
		p.until(time.Hour, func(r *sip.Request) bool { p.reply(r, 423, "x", "Min-Expires: 1800\n"); return true })
		p.until(time.Hour, func(r *sip.Request) bool {
			if v := r.GetHeader("Expires").Value(); v != "1800" {
				t.Errorf("asked for %s", v)
			}
			p.reply(r, 200, "x", "")
			return true
		})
		eventually(t, "registered", func() bool { return n.counter("dialtone_trunk_registered") == 1 })
		n.stop()
		p.until(time.Hour, func(r *sip.Request) bool {
			if v := r.GetHeader("Expires").Value(); v != "0" {
				t.Errorf("taken back with %s", v)
			}
			p.reply(r, 200, "x", "")
			return true
		})
	})
}

func TestRegisterWrongPassword(t *testing.T) {
	change := func(tr *Trunk) {
		tr.Username, tr.Password = "user", "wrong"
		tr.Register = Register{Enabled: true}
	}
	inBubble(t, change, func(t *testing.T, n *node, p *peer) {
		for range 2 {
			p.reply(p.request("REGISTER"), 401, "x", `WWW-Authenticate: Digest realm="r", nonce="n"`+"\n")
		}
		eventually(t, "a warning", func() bool { return len(n.health.Warnings()) == 1 })
		if text := n.health.Warnings()[0].Text; !strings.Contains(text, "password") {
			t.Errorf("warning %q", text)
		}
		if n.counter("dialtone_trunk_registrations_total", "trunk", "one", "status", "401") != 1 {
			t.Error("not counted")
		}
	})
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fab := newFabric()
		a, b := fab.peer(t, "10.0.0.2"), fab.peer(t, "10.0.0.3")
		ta, tb := trunkTo("a", a), trunkTo("b", b)
		ta.OptionsInterval = 30 * time.Second
		n := startNodeOn(t, fab, Config{Trunks: []Trunk{ta, tb}})
		options := func(status int) {
			t.Helper()
			a.reply(a.request("OPTIONS"), status, "x", "")
		}
		options(200)
		a.until(time.Minute, func(r *sip.Request) bool { a.reply(r, 404, "x", ""); return true }) // alive enough
		if len(n.health.Warnings()) != 0 {
			t.Errorf("warnings %+v", n.health.Warnings())
		}
		a.until(time.Minute, func(*sip.Request) bool { return true }) // no answer
		time.Sleep(31 * time.Second)
		eventually(t, "a warning", func() bool { return len(n.health.Warnings()) == 1 })
		if w := n.health.Warnings()[0]; w.Code != WarnUnreachable || w.Subject != "a" {
			t.Errorf("warning %+v", w)
		}
		// A trunk that is down is tried last.
		_, r := n.dial(call.Dial{To: call.Phone("+15550100")})
		b.reply(b.request("INVITE"), 486, "x", "")
		b.request("ACK")
		wantDown(t, r, call.Busy)
		a.until(5*time.Minute, func(r *sip.Request) bool { a.reply(r, 200, "x", ""); return true })
		eventually(t, "the warning gone", func() bool { return len(n.health.Warnings()) == 0 })
		_, r = n.dial(call.Dial{To: call.Phone("+15550100")})
		a.until(time.Minute, func(r *sip.Request) bool {
			if r.Method == sip.OPTIONS {
				a.reply(r, 200, "x", "")
				return false
			}
			a.reply(r, 486, "x", "")
			return true
		})
		wantDown(t, r, call.Busy)
		n.stop()
		<-n.ended
		synctest.Wait()
	})
}

func TestBackOff(t *testing.T) {
	for i, base := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300} {
		base *= time.Second
		for range 100 {
			if d := backOff(i + 1); d < base*2/3 || d > base*4/3 {
				t.Fatalf("failure %d: %s, want about %s", i+1, d, base)
			}
		}
	}
}

func TestSessionExpiresHeader(t *testing.T) {
	for value, wanted := range map[string]string{
		"1800": "30m0s,,true", "90;refresher=uac": "1m30s,uac,true", "90 ; Refresher = UAS": "1m30s,uas,true",
		"x": "0s,,false", "-5": "0s,,false", "99999999999": "0s,,false", "": "0s,,false",
	} {
		req := parse(t, "INVITE sip:a@b SIP/2.0\nSession-Expires: "+value+"\n")
		d, who, ok := sessionExpires(req)
		if got := d.String() + "," + who + "," + strconv.FormatBool(ok); got != wanted {
			t.Errorf("%q: %s", value, got)
		}
	}
}
