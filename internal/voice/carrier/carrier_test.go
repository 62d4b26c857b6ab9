package carrier

import (
	"context"
	"math"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/carrier/hear"
	"dialtone/internal/voice/carrier/wav"
)

// stall is the longest gap that a busy machine may cause here; what is lost
// or cut is seen by other counts. The end-to-end tests ask for 60 ms.
const stall = 250 * time.Millisecond

// start runs a carrier on loopback until the test ends, and checks that it
// stops cleanly then.
func start(t *testing.T, o Options) *Carrier {
	t.Helper()
	if o.Conn == nil {
		o.Conn = loopback(t)
	}
	if o.Step == 0 {
		o.Step = 300 * time.Millisecond
	}
	if o.Ring == 0 {
		o.Ring = 50 * time.Millisecond
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ran:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run does not end")
		}
	})
	return c
}

func loopback(t testing.TB) net.PacketConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, c *Carrier, o CallOptions) Result {
	t.Helper()
	o.Node = c.Addr()
	if o.From == "" {
		o.From = "+15550123"
	}
	r, err := Call(within(t, 60*time.Second), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ended returns the carrier's own report of its latest call, once it ended.
func ended(t *testing.T, c *Carrier) Report {
	t.Helper()
	calls := c.Calls()
	if len(calls) == 0 {
		t.Fatal("the carrier saw no call")
	}
	id := calls[len(calls)-1].CallID
	r, err := c.Await(within(t, 10*time.Second), func(r Report) bool { return r.CallID == id && r.State == Ended })
	if err != nil {
		t.Fatalf("the carrier's call does not end: %+v", c.Calls())
	}
	return r
}

func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*want {
		t.Errorf("%s is %.2f, want %.2f within %.1f %%", what, got, want, 100*share)
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	for _, name := range []string{PCMU, PCMA} {
		r := dial(t, c, CallOptions{To: "+15550100", Tone: 425, For: 3 * time.Second, Codecs: []string{name}})
		if !r.Answered || r.Status != 200 || r.EndedBy != EndedHere || r.Call.Codec != name {
			t.Fatalf("%+v", r)
		}
		near(t, "the echo's frequency", r.Call.Heard.Frequency, 425, 0.01)
		near(t, "the echo's level", r.Call.Heard.Level, 8192/math.Sqrt2, 0.02)
		if h := r.Call.Heard; h.LongestGap > stall || h.LongestQuiet > 0 {
			t.Errorf("gap %v, quiet %v", h.LongestGap, h.LongestQuiet)
		}
		if r.RingTime == 0 || r.AnswerTime < 50*time.Millisecond || r.Talked < 3*time.Second || r.Talked > 4*time.Second {
			t.Errorf("rang after %v, answered after %v, talked %v", r.RingTime, r.AnswerTime, r.Talked)
		}
		there := ended(t, c)
		near(t, "the caller's frequency", there.Heard.Frequency, 425, 0.01)
		if there.Number != "+15550100" || there.From != "+15550123" || there.EndedBy != EndedThere || there.Direction != FromNode {
			t.Errorf("%+v", there)
		}
		// 50 packets a second, neither drifting nor lost.
		if n := float64(there.PacketsIn); math.Abs(n-r.Talked.Seconds()*50) > 6 {
			t.Errorf("%v packets in %v", n, r.Talked)
		}
		if there.Lost+there.Late+there.Strange+r.Call.Lost+r.Call.Late+r.Call.Strange != 0 || there.Sources != 1 {
			t.Errorf("lost or strange packets: %+v, %+v", there, r.Call)
		}
	}
}

func TestRefusals(t *testing.T) {
	c := start(t, Options{})
	for number, status := range map[string]int{"+15550101": 486, "+15550103": 503, "+15550199": 404, "+15559": 404} {
		r := dial(t, c, CallOptions{To: number})
		if r.Answered || r.Status != status || r.EndedBy != EndedThere {
			t.Errorf("%s: %+v", number, r)
		}
		if there := ended(t, c); there.Status != status || there.EndedBy != EndedHere {
			t.Errorf("%s: the carrier says %+v", number, there)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	r := dial(t, c, CallOptions{To: "+15550102", Ringing: 300 * time.Millisecond})
	if r.Answered || r.Status != 487 || r.EndedBy != EndedHere || r.RingTime == 0 {
		t.Errorf("%+v", r)
	}
	if there := ended(t, c); there.Status != 487 || there.EndedBy != EndedThere || there.Rang.IsZero() {
		t.Errorf("the carrier says %+v", there)
	}
}

func TestSilent(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	r := dial(t, c, CallOptions{To: "+15550104", For: time.Second})
	if h := r.Call.Heard; !r.Answered || h.Loudest > hear.Silence || h.Frames < 40 || !h.FirstSound.IsZero() {
		t.Errorf("%+v", r)
	}
}

func TestTalksAndIsRecorded(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	path := filepath.Join(t.TempDir(), "heard.wav")
	r := dial(t, c, CallOptions{To: "+15550105", For: 3 * time.Second, Silent: true, Record: path})
	if !r.Answered || r.Call.Heard.Loudest < 1000 {
		t.Fatalf("%+v", r)
	}
	s, err := wav.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the recording's length", float64(len(s.Samples)), 3*rate, 0.03)
	want := Clip()[:len(s.Samples)-rate/4]
	near(t, "the recording's level", hear.Level(s.Samples), hear.Level(want), 0.1)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	r := dial(t, c, CallOptions{To: "+15550106", For: 3 * time.Second, DTMF: "00*9#A"})
	if !strings.HasPrefix(r.Call.Digits, "123#123#") {
		t.Errorf("the caller heard the keys %q", r.Call.Digits)
	}
	there := ended(t, c)
	if there.Digits != "00*9#A" {
		t.Errorf("the carrier heard the keys %q", there.Digits)
	}
	if there.Heard.LongestGap > stall {
		t.Errorf("keys left a gap of %v", there.Heard.LongestGap)
	}
}

func TestEarlyMedia(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Step: time.Second})
	r := dial(t, c, CallOptions{To: "+15550107", For: 200 * time.Millisecond, Silent: true})
	if !r.Answered || r.AnswerTime < time.Second {
		t.Fatalf("%+v", r)
	}
	if first := r.Call.Heard.FirstSound; first.IsZero() || !first.Before(r.Call.Answered.Add(-300*time.Millisecond)) {
		t.Errorf("first sound %v before the answer", r.Call.Answered.Sub(first))
	}
}

func TestReliableProgressIsDemanded(t *testing.T) {
	c := start(t, Options{})
	if r := dial(t, c, CallOptions{To: "+15550112"}); r.Status != 421 {
		t.Errorf("a caller without 100rel gets %d", r.Status)
	}
}

func TestHangsUp(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	r := dial(t, c, CallOptions{To: "+15550109"})
	if !r.Answered || r.EndedBy != EndedThere || r.Talked > 2*time.Second {
		t.Errorf("%+v", r)
	}
	if there := ended(t, c); there.EndedBy != EndedHere {
		t.Errorf("the carrier says %+v", there)
	}
}

func TestALawOnly(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	if r := dial(t, c, CallOptions{To: "+15550110", For: 500 * time.Millisecond}); !r.Answered || r.Call.Codec != PCMA || r.Call.Heard.Loudest < 500 {
		t.Errorf("%+v", r)
	}
	if r := dial(t, c, CallOptions{To: "+15550110", Codecs: []string{PCMU}}); r.Status != 488 {
		t.Errorf("without A-law the status is %d", r.Status)
	}
}

func TestTone(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	r := dial(t, c, CallOptions{To: "+15550111", For: 1500 * time.Millisecond, Silent: true})
	near(t, "frequency", r.Call.Heard.Frequency, 1000, 0.001)
	if r.Call.Heard.LongestQuiet > 0 {
		t.Errorf("quiet for %v", r.Call.Heard.LongestQuiet)
	}
}

func TestCarrierHolds(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Step: 400 * time.Millisecond})
	caller := start(t, Options{})
	result := make(chan Result, 1)
	go func() {
		r, err := caller.CallIn(context.Background(), CallOptions{Node: c.Addr(), To: "+15550108", For: 2 * time.Second, Tone: 500})
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	if _, err := caller.Await(within(t, 10*time.Second), func(r Report) bool { return r.State == Held }); err != nil {
		t.Fatal("the caller is not put on hold")
	}
	if _, err := caller.Await(within(t, 10*time.Second), func(r Report) bool { return r.State == Answered && r.Holds == 1 }); err != nil {
		t.Fatal("the caller is not taken back")
	}
	r := <-result
	if r.Call.Heard.LongestGap > stall {
		t.Errorf("the holding side's own audio has a gap of %v", r.Call.Heard.LongestGap)
	}
	there := ended(t, c)
	// On hold for 400 of 2000 ms the caller says nothing, and that is no gap.
	if there.PacketsIn < 60 || there.PacketsIn > 90 || there.Heard.LongestGap > stall {
		t.Errorf("%d packets, gap %v", there.PacketsIn, there.Heard.LongestGap)
	}
	near(t, "frequency after the hold", there.Heard.Frequency, 500, 0.01)
}

// The other side holds: a carrier plays the node, as it is the same protocol.
func TestNodeHolds(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	node := start(t, Options{})
	done := make(chan struct{})
	ctx, hangUp := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		if _, err := node.CallIn(ctx, CallOptions{Node: c.Addr(), To: "+15550105", Tone: 700}); err != nil {
			t.Error(err)
		}
	}()
	if _, err := c.Await(within(t, 10*time.Second), func(r Report) bool { return r.Heard.Frames > 20 }); err != nil {
		t.Fatal(err)
	}
	node.mu.Lock()
	k := node.order[0]
	node.mu.Unlock()
	for _, d := range []direction{sendOnly, inactive, sendRecv} {
		if err := k.reoffer(d); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		sent := func() uint64 { n, _, _ := k.audio.snapshot(); return n.packetsIn }
		want := map[bool]State{true: Answered, false: Held}[d == sendRecv]
		if _, err := c.Await(within(t, 5*time.Second), func(r Report) bool { return r.State == want }); err != nil {
			t.Fatalf("%s: the carrier is not %s", d, want)
		}
		before := sent()
		k.pause(200 * time.Millisecond)
		if moves := sent() > before+5; moves != (d == sendRecv) {
			t.Errorf("%s: the carrier sent %d packets", d, sent()-before)
		}
	}
	hangUp()
	<-done
	if r := ended(t, c); r.Holds != 1 || r.Heard.LongestGap > stall {
		t.Errorf("%d holds, gap %v", r.Holds, r.Heard.LongestGap)
	}
}

func TestStopHangsUpCalls(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Conn: loopback(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	result := make(chan Result, 2)
	for _, to := range []string{"+15550105", "+15550102"} {
		go func() {
			r, err := Call(context.Background(), CallOptions{Node: c.Addr(), To: to})
			if err != nil {
				t.Error(err)
			}
			result <- r
		}()
	}
	for _, want := range []State{Answered, Ringing} {
		if _, err := c.Await(within(t, 10*time.Second), func(r Report) bool { return r.State == want }); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	for range 2 {
		if r := <-result; r.EndedBy != EndedThere || r.Answered == (r.Status != 200) || !r.Answered && r.Status != 503 {
			t.Errorf("%+v", r)
		}
	}
	for _, r := range c.Calls() {
		if r.State != Ended || r.EndedBy != EndedHere {
			t.Errorf("%+v", r)
		}
	}
}

func TestContextCancelsAndHangsUp(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	for to, status := range map[string]int{"+15550102": 487, "+15550105": 200} {
		ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
		r, err := Call(ctx, CallOptions{Node: c.Addr(), To: to})
		cancel()
		if err != nil || r.Status != status || r.EndedBy != EndedHere {
			t.Errorf("%s: %+v, %v", to, r, err)
		}
		ended(t, c)
	}
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]CallOptions{
		"no number":    {Node: "127.0.0.1:1"},
		"no node":      {To: "+15550100"},
		"no such file": {Node: "127.0.0.1:1", To: "+15550100", PlayFile: filepath.Join(t.TempDir(), "none.wav")},
		"no codec":     {Node: "127.0.0.1:1", To: "+15550100", Codecs: []string{"G729"}},
		"no port":      {Node: "127.0.0.1", To: "+15550100"},
	} {
		if _, err := Call(within(t, 5*time.Second), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a carrier without a socket")
	}
}

func TestKeepsTheLatest(t *testing.T) {
	c := start(t, Options{Keep: 3})
	for range 5 {
		dial(t, c, CallOptions{To: "+15550101"})
		ended(t, c)
	}
	if n := len(c.Calls()); n != 3 {
		t.Errorf("%d calls are kept, want 3", n)
	}
}

func TestTooManyCalls(t *testing.T) {
	c := start(t, Options{MaxCalls: 1})
	ctx, hangUp := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Call(ctx, CallOptions{Node: c.Addr(), To: "+15550104"})
	}()
	if _, err := c.Await(within(t, 10*time.Second), func(r Report) bool { return r.State == Answered }); err != nil {
		t.Fatal(err)
	}
	if r := dial(t, c, CallOptions{To: "+15550104"}); r.Status != 503 {
		t.Errorf("the second call: %+v", r)
	}
	hangUp()
	<-done
}

// Calls in a row and at once leave no goroutine behind.
func TestNothingLeaks(t *testing.T) {
	c := start(t, Options{Ring: -1})
	dial(t, c, CallOptions{To: "+15550100", For: 100 * time.Millisecond})
	before := runtime.NumGoroutine()
	done := make(chan Result, 20)
	for i := range 20 {
		go func() {
			to := []string{"+15550100", "+15550101", "+15550109", "+15550106"}[i%4]
			r, err := Call(context.Background(), CallOptions{Node: c.Addr(), To: to, For: 500 * time.Millisecond, DTMF: "1"})
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
	}
	for range 20 {
		<-done
	}
	if _, err := c.Await(within(t, 10*time.Second), func(Report) bool {
		for _, r := range c.Calls() {
			if r.State != Ended {
				return false
			}
		}
		return runtime.NumGoroutine() <= before
	}); err != nil {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
	}
}
