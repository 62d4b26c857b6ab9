package peers

import (
	"context"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/carrier"
)

// network runs the simulated carrier until the test ends.
func network(t *testing.T) *carrier.Carrier {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return run(t, carrier.Options{Conn: conn, Ring: 100 * time.Millisecond, Step: 500 * time.Millisecond})
}

func run(t *testing.T, o carrier.Options) *carrier.Carrier {
	t.Helper()
	c, err := carrier.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return c
}

// ended returns the only call's report once it ended.
func ended(t *testing.T, c *carrier.Carrier) carrier.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := c.Await(ctx, func(r carrier.Report) bool { return r.State == carrier.Ended })
	if err != nil {
		t.Fatalf("no call ended: %+v", c.Calls())
	}
	return r
}

func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*want {
		t.Errorf("%s is %.2f, want %.2f within %.1f %%", what, got, want, 100*share)
	}
}

func callSipp(t *testing.T, s *Sipp, o carrier.CallOptions) carrier.Result {
	t.Helper()
	o.Node, o.To, o.From = s.Addr, "+15550177", "+15550123"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := carrier.Call(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSippCalls(t *testing.T) {
	for _, codec := range []string{PCMU, PCMA} {
		c := network(t)
		SippCall(t, SippCaller{Node: c.Addr(), To: "+15550104", Tone: 425, Codec: codec, Talk: 2 * time.Second}).Wait(t)
		r := ended(t, c)
		near(t, "what SIPp says", r.Heard.Frequency, 425, 0.01)
		if r.Codec != codec || r.From != "+15550123" || r.PacketsIn < 90 || r.Heard.LongestQuiet > 0 || r.EndedBy != carrier.EndedThere {
			t.Errorf("%+v", r)
		}
	}
}

func TestSippCallsAndEchoes(t *testing.T) {
	c := network(t)
	SippCall(t, SippCaller{Node: c.Addr(), To: "+15550111", Echo: true, Talk: 2 * time.Second}).Wait(t)
	r := ended(t, c)
	near(t, "the echo", r.Heard.Frequency, 1000, 0.01)
	if r.Heard.LongestQuiet > 0 {
		t.Errorf("the echo has a hole of %v", r.Heard.LongestQuiet)
	}
}

func TestSippIsRefusedCancelsAndIsHungUp(t *testing.T) {
	c := network(t)
	SippCall(t, SippCaller{Node: c.Addr(), To: "+15550101", Expect: 486}).Wait(t)
	SippCall(t, SippCaller{Node: c.Addr(), To: "+15550199", Expect: 404}).Wait(t)
	SippCall(t, SippCaller{Node: c.Addr(), To: "+15550102", Cancel: 300 * time.Millisecond}).Wait(t)
	SippCall(t, SippCaller{Node: c.Addr(), To: "+15550109", NodeEnds: true, Tone: 300}).Wait(t)
	var got []int
	for _, r := range c.Calls() {
		got = append(got, r.Status)
	}
	if len(got) != 4 || got[0] != 486 || got[1] != 404 || got[2] != 487 || got[3] != 200 {
		t.Errorf("statuses %v", got)
	}
}

// A scenario that does not come true fails the test: the helper can fail.
func TestSippNotices(t *testing.T) {
	c := network(t)
	s := SippCall(t, SippCaller{Node: c.Addr(), To: "+15550101"})
	if code := s.p.wait(t, patience); code == 0 {
		t.Error("SIPp is content with a 486")
	}
	if !strings.Contains(s.report(), "486") {
		t.Errorf("the report does not say why:\n%s", s.report())
	}
}

func TestSippManyCalls(t *testing.T) {
	c := network(t)
	SippCall(t, SippCaller{Node: c.Addr(), To: "+15550100", Tone: 425, Talk: time.Second, Calls: 12, Rate: 12}).Wait(t)
	heard := 0
	for _, r := range c.Calls() {
		if math.Abs(r.Heard.Frequency-425) < 4 {
			heard++
		}
	}
	if heard != 12 {
		t.Errorf("%d calls were heard, want 12", heard)
	}
}

func TestSippAnswers(t *testing.T) {
	s := SippAnswer(t, SippCallee{Echo: true})
	r := callSipp(t, s, carrier.CallOptions{Tone: 600, For: 2 * time.Second})
	s.Wait(t)
	near(t, "the echo", r.Call.Heard.Frequency, 600, 0.01)
	if !r.Answered || r.RingTime == 0 || r.EndedBy != carrier.EndedHere {
		t.Errorf("%+v", r)
	}
	if m := s.Messages(t); !strings.Contains(m, "INVITE sip:+15550177@") || !strings.Contains(m, "ACK sip:sipp@") {
		t.Errorf("the messages are not kept:\n%s", m)
	}
}

func TestSippAnswersTalksAndHangsUp(t *testing.T) {
	for _, o := range []SippCallee{
		{Tone: 700, Codec: PCMA, Talk: 1500 * time.Millisecond},
		{Tone: 700, Early: true, Ring: time.Second, Talk: 500 * time.Millisecond},
	} {
		s := SippAnswer(t, o)
		r := callSipp(t, s, carrier.CallOptions{Silent: true})
		s.Wait(t)
		near(t, "the tone", r.Call.Heard.Frequency, 700, 0.01)
		if !r.Answered || r.EndedBy != carrier.EndedThere || o.Codec == PCMA && r.Call.Codec != PCMA {
			t.Errorf("%+v", r)
		}
		if early := r.Call.Heard.FirstSound.Before(r.Call.Answered); early != o.Early {
			t.Errorf("sound before the answer: %t", early)
		}
	}
}

func TestSippRefuses(t *testing.T) {
	s := SippAnswer(t, SippCallee{Refuse: 503})
	r := callSipp(t, s, carrier.CallOptions{})
	s.Wait(t)
	if r.Status != 503 || r.Answered || r.EndedBy != carrier.EndedThere {
		t.Errorf("%+v", r)
	}
}
