package carriers

import (
	"context"
	"testing"

	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/e2e/peers"
	"dialtone/internal/config"
	"dialtone/internal/talk"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/token"
)

// A carrier that insists on SRTP, and one that leaves it open, are heard and hear
// us, whoever calls.
func TestEncryptedCarriers(t *testing.T) {
	if testing.Short() {
		t.Skip("needs baresip")
	}
	for _, c := range []struct{ ours, theirs string }{
		{"required", "srtp-mand"}, {"optional", "srtp-mand"}, {"optional", "srtp"}, {"optional", ""},
	} {
		t.Run("ours "+c.ours+" theirs "+c.theirs, func(t *testing.T) {
			w := &world{t: t, phone: peers.StartBaresip(t, peers.PhoneOptions{Number: phoneNumber, Tone: phoneTone, SRTP: c.theirs})}
			w.node = node.Start(t, node.Options{Config: func(conf *config.Config) {
				conf.Calls.Countries = []string{"DE"}
				trunk := trunkTo("phone", w.phone.Addr, "DE")
				trunk.SRTP, trunk.SRTPWithoutTLS = c.ours, true
				conf.Trunks = []config.Trunk{trunk}
			}})
			ctx, cancel := context.WithTimeout(t.Context(), patient)
			defer cancel()
			var err error
			w.agent, err = device.Open(ctx, device.Options{
				URL: "wss://" + w.node.Addr().HTTPS + "/signal", Token: w.node.Token(t, token.Access, "alice"), Tone: agentTone,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.agent.Close)
			if err := w.agent.Register(ctx); err != nil {
				t.Fatal(err)
			}

			w.phone.Dial(talk.DemoNumber, w.node.Addr().SIP)
			in := w.rings()
			w.accept(in)
			w.phone.Await(peers.Established)
			w.hears(in, phoneTone)
			w.hangUp(in)
			w.phone.Await(peers.Closed)
			if h := w.phone.Heard(); !isNear(h.Frequency, agentTone) {
				t.Errorf("baresip heard %.0f Hz", h.Frequency)
			}

			out := w.dial(phoneNumber)
			w.phone.Await(peers.Incoming)
			w.phone.Answer()
			w.answered(out)
			w.hears(out, phoneTone)
			w.phone.HangUp()
			w.over(out)
			if h := w.phone.Heard(); !isNear(h.Frequency, agentTone) {
				t.Errorf("baresip heard %.0f Hz", h.Frequency)
			}
			if last := w.calls()[0]; last.Cause != call.Completed {
				t.Errorf("ended with %s", last.Cause)
			}
		})
	}
}
