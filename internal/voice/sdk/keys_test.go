package sdk

import (
	"testing"
	"testing/synctest"

	"dialtone/internal/voice/call"
)

// v2 sends what an app presses in its "accept" before the answer itself
// (observed with 2.18.5). Keys of a device that does not get the call are nobody's.
func TestKeysBeforeTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		desk := r.open("desk", "2.18.5").enter("alice")
		home := r.open("home", "2.18.5").enter("alice")
		c := r.dial("alice", nil)
		sid := str(desk.take("invite"), "callsid")
		home.take("invite")
		home.say("dtmf", object{"callsid": sid, "dtmf": "7"})
		desk.say("dtmf", object{"callsid": sid, "dtmf": "1"})
		desk.say("dtmf", object{"callsid": sid, "dtmf": "w#"})
		desk.say("answer", object{"callsid": sid, "sdp": browserSDP("desk", "u1")})
		desk.say("dtmf", object{"callsid": sid, "dtmf": "2"})
		synctest.Wait()
		up, keys := false, ""
		for _, rep := range c.got() {
			switch rep := rep.(type) {
			case call.Up:
				up = true
			case call.Dialled:
				if !up {
					t.Error("a key was told before the answer")
				}
				keys += string(rune(rep.Digit))
			}
		}
		if keys != "1#2" {
			t.Errorf("keys %q", keys)
		}
		c.leg.End(call.Completed)
	})
}
