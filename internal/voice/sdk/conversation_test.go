package sdk

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/rtc"
)

var update = flag.Bool("update", false, "write the golden conversations anew")

// conversations are what is said on the wire, for both versions of the SDK.
var conversations = []struct {
	name  string
	about string
	hold  func(*rig, func(string) *page)
}{
	{"register", "A device is let in, registers, keeps quiet for 31 s, registers again and leaves.", func(r *rig, open func(string) *page) {
		alice := open("alice")
		alice.listen("alice")
		alice.register()
		time.Sleep(31 * time.Second)
		alice.register()
		alice.say("register", object{"media": object{"audio": false}})
	}},
	{"refused", "Three bad tokens get the error of their kind; without a better one the device is told to stop.", func(r *rig, open func(string) *page) {
		alice := open("alice")
		for _, bad := range []string{"malformed", "expired", "unauthorized"} {
			alice.listen(bad)
			alice.register()
		}
		time.Sleep(21 * time.Second)
	}},
	{"recovered", "A refused device sends a better token.", func(r *rig, open func(string) *page) {
		alice := open("alice")
		alice.listen("expired")
		time.Sleep(19 * time.Second)
		alice.listen("alice")
		alice.register()
		time.Sleep(10 * time.Second)
	}},
	{"call-out", "A device calls, hears ringing, is answered, and hangs up.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		alice.calls("To=%2B1%20(555)%20010-0100&note=a%20b%26c")
		c := r.last()
		c.leg.Ringing(false, nil)
		c.leg.Answer(c.offer.Codecs)
		c.peer().onState(rtc.Connected)
		synctest.Wait()
		alice.say("hangup", object{"callsid": string(c.offer.Leg)})
	}},
	{"call-out-early", "A device hears early media, then that the number is busy.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		alice.calls("To=client%3Abob")
		c := r.last()
		c.leg.Ringing(true, []call.Codec{call.PCMU})
		c.leg.Ringing(true, []call.Codec{call.PCMU}) // repeating it is harmless
		c.leg.End(call.Busy)
	}},
	{"call-out-early-answered", "Early media, then the answer: formats stay as they were agreed.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		alice.calls("")
		c := r.last()
		c.leg.Ringing(true, []call.Codec{call.Opus})
		c.leg.Answer([]call.Codec{call.PCMU})
		c.peer().onState(rtc.Connected)
		synctest.Wait()
		c.leg.End(call.Completed)
	}},
	{"call-out-given-up", "A device hangs up before it knows our id of the call.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		id := alice.calls("To=%2B15550100")
		alice.say("hangup", object{"callsid": id})
	}},
	{"call-in", "A device is called, answers, presses keys, and the far end hangs up.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		c := r.dial("alice", func(d *call.Dial) {
			d.Codecs = []call.Codec{call.PCMU}
			d.Params = map[string][]string{"foo": {"bar baz"}, "x": {"&"}, "StirStatus": {"TN-Validation-Passed-A"}}
		})
		sid := str(alice.take("invite"), "callsid")
		alice.say("answer", object{"callsid": sid, "sdp": browserSDP("alice", "u1")})
		c.peer().onState(rtc.Connected)
		synctest.Wait()
		alice.say("dtmf", object{"callsid": sid, "dtmf": "1w#"})
		c.leg.End(call.Completed)
	}},
	{"call-in-declined", "A device declines.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		r.dial("alice", nil)
		alice.say("reject", object{"callsid": str(alice.take("invite"), "callsid")})
	}},
	{"call-in-no-answer", "Nobody answers in time.", func(r *rig, open func(string) *page) {
		open("alice").enter("alice")
		r.dial("alice", nil)
		time.Sleep(31 * time.Second)
	}},
	{"call-in-two-devices", "Both devices ring; one answers, the other is cancelled.", func(r *rig, open func(string) *page) {
		open("desk").enter("alice")
		home := open("home").enter("alice")
		c := r.dial("alice", nil)
		home.say("answer", object{"callsid": str(home.take("invite"), "callsid"), "sdp": browserSDP("home", "u1")})
		c.peer().onState(rtc.Connected)
		synctest.Wait()
		c.leg.End(call.Completed)
	}},
	{"call-in-cancelled", "The caller gives up before the answer.", func(r *rig, open func(string) *page) {
		open("alice").enter("alice")
		c := r.dial("alice", nil)
		c.leg.End(call.Cancelled)
	}},
	{"drop", "The signalling drops within a call and comes back.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		alice.calls("To=%2B15550100")
		c := r.last()
		c.leg.Answer(nil)
		c.peer().onState(rtc.Connected)
		synctest.Wait()
		token := str(alice.take("answer"), "reconnect")
		time.Sleep(2 * time.Second)
		alice.drop()
		time.Sleep(300 * time.Millisecond)
		again := open("alice")
		again.listen("alice")
		if again.protocol == "1.6" {
			again.say("invite", object{"callsid": string(c.offer.Leg), "reconnect": token, "sdp": browserSDP("alice", "u1"), "twilio": object{}})
		}
		again.say("hangup", object{"callsid": string(c.offer.Leg)})
	}},
	{"ice-restart", "The browser restarts ICE twice; the second offer is lost with the signalling and comes with the reconnect.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		alice.calls("To=%2B15550100")
		c := r.last()
		c.leg.Answer(nil)
		c.peer().onState(rtc.Connected)
		synctest.Wait()
		token := str(alice.take("answer"), "reconnect")
		c.peer().onState(rtc.Disconnected)
		synctest.Wait()
		alice.say("reinvite", object{"callsid": string(c.offer.Leg), "sdp": browserSDP("alice", "u2")})
		c.peer().onState(rtc.Connected)
		synctest.Wait()
		if alice.protocol == "1.6" {
			alice.drop()
			again := open("alice")
			again.listen("alice")
			again.say("invite", object{"callsid": string(c.offer.Leg), "reconnect": token, "sdp": browserSDP("alice", "u3"), "twilio": object{}})
		}
		c.leg.End(call.Completed)
	}},
	{"token-refresh", "A token is refreshed within a call.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice/60s")
		c := r.dial("alice", nil)
		invited := alice.take("invite")
		alice.say("answer", object{"callsid": invited["callsid"], "sdp": browserSDP("alice", "u1")})
		c.peer().onState(rtc.Connected)
		time.Sleep(50 * time.Second)
		alice.listen("alice/120s")
		if alice.protocol == "1.6" {
			alice.say("invite", object{"callsid": invited["callsid"], "reconnect": invited["reconnect"], "sdp": browserSDP("alice", "u1"), "twilio": object{}})
		} else {
			alice.register()
		}
		c.leg.End(call.Completed)
	}},
	{"token-expired", "A token expires: the device is told, then cannot be called any more, but its call goes on.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice/60s")
		c := r.dial("alice", nil)
		alice.say("answer", object{"callsid": alice.take("invite")["callsid"], "sdp": browserSDP("alice", "u1")})
		c.peer().onState(rtc.Connected)
		time.Sleep(95 * time.Second)
		alice.calls("To=%2B15550100")
		alice.listen("alice")
		alice.register()
		c.leg.End(call.Completed)
	}},
	{"messages", "App and server send each other messages within a call.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		c := r.dial("alice", nil)
		sid := alice.take("invite")["callsid"]
		alice.say("answer", object{"callsid": sid, "sdp": browserSDP("alice", "u1")})
		message := object{
			"callsid": sid, "content": object{"hello": 1}, "contenttype": "application/json",
			"messagetype": "user-defined-message", "voiceeventsid": "KX0123456789abcdef0123456789abcdef",
		}
		alice.say("message", message)
		message["messagetype"] = "unknown"
		alice.say("message", message)
		message["messagetype"], message["content"] = UserDefined, strings.Repeat("x", maxMessageBody)
		message["voiceeventsid"] = "KX1"
		alice.in <- []byte("\n") // what follows is too long for a golden file
		alice.raw(`{"type":"message","payload":{"callsid":"` + sid.(string) + `","content":"` + strings.Repeat("x", maxMessageBody) + `","messagetype":"user-defined-message","voiceeventsid":"KX1"}}`)
		if _, err := r.s.Send(c.leg.(*leg).id, []byte(`{"from":"server"}`)); err != nil {
			r.t.Error(err)
		}
		synctest.Wait()
		c.leg.End(call.Completed)
	}},
	{"two-calls", "A ringing call comes in while the device dials: the device's own ringing waits, as the SDK would mistake it.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		alice.calls("To=%2B15550100")
		out := r.last()
		in := r.dial("alice", nil)
		out.leg.Ringing(false, nil)
		synctest.Wait()
		time.Sleep(time.Second)
		in.leg.End(call.Cancelled)
		synctest.Wait()
		out.leg.Answer(nil)
		out.leg.End(call.Completed)
	}},
	{"unknown-calls", "Frames about calls that do not exist.", func(r *rig, open func(string) *page) {
		alice := open("alice").enter("alice")
		none := "CA" + strings.Repeat("0", 32)
		alice.say("reinvite", object{"callsid": none, "sdp": browserSDP("alice", "u1")})
		alice.say("answer", object{"callsid": none, "sdp": browserSDP("alice", "u1")})
		alice.say("invite", object{"callsid": none, "reconnect": "x", "sdp": browserSDP("alice", "u1"), "twilio": object{}})
		alice.say("invite", object{"callsid": "TJS1", "sdp": "", "twilio": object{}})
	}},
}

func TestConversations(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			archive := &txtar.Archive{Comment: []byte(c.about + "\n\n")}
			for _, sdk := range []string{"2.18.5", "1.15.1"} {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, nil)
					c.hold(r, func(name string) *page { return r.open(name, sdk) })
					synctest.Wait()
					r.mu.Lock()
					lines := strings.Join(settled(r.trace), "\n") + "\n"
					r.mu.Unlock()
					archive.Files = append(archive.Files, txtar.File{Name: sdk, Data: []byte(lines)})
					r.stop()
				})
			}
			path := filepath.Join("testdata", "conversations", c.name+".txtar")
			got := txtar.Format(archive)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff.Diff("want", want, "got", got); d != nil {
				t.Errorf("the conversation changed :\n%s", d)
			}
		})
	}
}

// settled puts what happened at one instant between two frames of clients in
// the order of the actors: only the order within each is a promise.
func settled(trace []string) []string {
	actor := func(line string) string { // "  0.000 S→alice {…}": everything up to the frame or report
		line = strings.TrimSpace(line)
		if strings.Contains(line, " C ") && !strings.Contains(line, "S→") && !strings.Contains(line, "    ") {
			return ""
		}
		fields := strings.Fields(line)
		return fields[0] + " " + fields[1]
	}
	out := slices.Clone(trace)
	for from := 0; from < len(out); {
		to := from
		for to < len(out) && actor(out[to]) != "" && strings.Fields(out[to])[0] == strings.Fields(out[from])[0] {
			to++
		}
		slices.SortStableFunc(out[from:to], func(a, b string) int { return strings.Compare(actor(a), actor(b)) })
		from = max(to, from+1)
	}
	return out
}
