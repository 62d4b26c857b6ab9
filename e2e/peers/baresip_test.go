package peers

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/carrier"
)

func await(t *testing.T, c *carrier.Carrier, what string, ok func(carrier.Report) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := c.Await(ctx, ok); err != nil {
		t.Fatalf("%s: %+v", what, c.Calls())
	}
}

func TestBaresipCalls(t *testing.T) {
	c := network(t)
	b := StartBaresip(t, PhoneOptions{Tone: 425})
	b.Dial("+15550111", c.Addr())
	b.Await(Ringing)
	b.Await(Established)
	await(t, c, "not heard", func(r carrier.Report) bool { return r.Heard.Frames > 100 })
	b.Press("15#")
	await(t, c, "keys not heard", func(r carrier.Report) bool { return r.Digits == "15#" })
	b.Hold(true)
	await(t, c, "not held", func(r carrier.Report) bool { return r.State == carrier.Held })
	b.Hold(false)
	await(t, c, "not taken back", func(r carrier.Report) bool { return r.State == carrier.Answered && r.Holds == 1 })
	b.HangUp()
	b.Await(Closed)

	h := b.Heard()
	near(t, "what baresip hears", h.Frequency, 1000, 0.01)
	if h.Level < 4000 || h.Length < 2*time.Second {
		t.Errorf("level %.0f, length %v", h.Level, h.Length)
	}
	near(t, "what baresip says", b.Said().Frequency, 425, 0.01)
	r := ended(t, c)
	if r.From != "+15550188" || r.EndedBy != carrier.EndedThere || r.Codec != PCMU {
		t.Errorf("%+v", r)
	}
}

func TestBaresipHearsRefusalsAndKeys(t *testing.T) {
	c := network(t)
	b := StartBaresip(t, PhoneOptions{Codecs: []string{PCMA}})
	b.Dial("+15550101", c.Addr())
	if e := b.Await(Closed); !strings.Contains(e.Param, "486") {
		t.Errorf("closed with %+v", e)
	}
	b.Dial("+15550106", c.Addr())
	b.Await(Established)
	for _, want := range "123#" {
		if e := b.Await(KeyDown); e.Param != string(want) {
			t.Errorf("key %q, want %q", e.Param, want)
		}
	}
	b.HangUp()
	b.Await(Closed)
	if r := c.Calls()[1]; r.Codec != PCMA {
		t.Errorf("%+v", r)
	}
}

func TestBaresipAnswers(t *testing.T) {
	b := StartBaresip(t, PhoneOptions{Number: "+15550188", Tone: 700})
	result := make(chan carrier.Result, 1)
	go func() {
		r, err := carrier.Call(context.Background(), carrier.CallOptions{
			Node: b.Addr, To: "+15550188", From: "+15550123", Tone: 440, DTMF: "42", For: 3 * time.Second, Ringing: patience,
		})
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	if e := b.Await(Incoming); !strings.Contains(e.Peer, "+15550123") {
		t.Errorf("called by %+v", e)
	}
	b.Answer()
	b.Await(Established)
	b.Await(Closed)
	r := <-result
	if !r.Answered || r.EndedBy != carrier.EndedHere {
		t.Fatalf("%+v", r)
	}
	near(t, "what baresip says", r.Call.Heard.Frequency, 700, 0.01)
	if r.Call.Heard.LongestQuiet > 0 {
		t.Errorf("a hole of %v in it", r.Call.Heard.LongestQuiet)
	}
	near(t, "what baresip hears", b.Heard().Frequency, 440, 0.01)
	if keys := b.Keys(); keys != "42" {
		t.Errorf("baresip heard the keys %q", keys)
	}
}

func TestBaresipEchoesAndHangsUp(t *testing.T) {
	b := StartBaresip(t, PhoneOptions{Echo: true, Answers: true})
	c := network(t)
	result := make(chan carrier.Result, 1)
	go func() {
		r, err := c.CallIn(context.Background(), carrier.CallOptions{Node: b.Addr, To: "+15550188", Tone: 520, Ringing: patience})
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	b.Await(Established)
	await(t, c, "no echo", func(r carrier.Report) bool { return r.Heard.Frequency > 515 && r.Heard.Frequency < 525 })
	b.HangUp()
	if r := <-result; r.EndedBy != carrier.EndedThere || !r.Answered {
		t.Errorf("%+v", r)
	}
}

func TestBaresipRefuses(t *testing.T) {
	b := StartBaresip(t, PhoneOptions{})
	result := make(chan carrier.Result, 1)
	go func() {
		r, err := carrier.Call(context.Background(), carrier.CallOptions{Node: b.Addr, To: "+15550188", Ringing: patience})
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	b.Await(Incoming)
	b.HangUp()
	if r := <-result; r.Answered || r.Status != 486 {
		t.Errorf("%+v", r)
	}
}

// SIPp and baresip talk to each other: no code of ours is in between.
func TestSippCallsBaresip(t *testing.T) {
	b := StartBaresip(t, PhoneOptions{Answers: true})
	SippCall(t, SippCaller{Node: b.Addr, To: "+15550188", Tone: 350, Talk: 2 * time.Second}).Wait(t)
	b.Await(Closed)
	near(t, "what baresip hears", b.Heard().Frequency, 350, 0.01)
}

// The digest of a client that is not ours holds, at REGISTER and at INVITE.
func TestBaresipRegistersAndProves(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := run(t, carrier.Options{Conn: conn, Ring: -1, Users: map[string]string{"+15550188": "open-sesame"}, Challenge: true})
	b := StartBaresip(t, PhoneOptions{Register: c.Addr(), Password: "open-sesame"})
	b.Await(Registered)
	if r := c.Registrations(); len(r) != 1 || r[0].User != "+15550188" {
		t.Errorf("registered: %+v", r)
	}
	b.Dial("+15550111", c.Addr())
	b.Await(Established)
	b.HangUp()
	b.Await(Closed)

	stranger := StartBaresip(t, PhoneOptions{Number: "+15550189", Register: c.Addr(), Password: "guess"})
	stranger.Await(NotAllowed)
}
