package trunk

import (
	"context"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/switchboard"
)

// sipp is a SIPp process; what it hears as RTP it sends back.
type sipp struct {
	t    *testing.T
	cmd  *exec.Cmd
	port int
	done chan error
}

func startSIPp(t *testing.T, args ...string) *sipp {
	t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sipp is not installed (Debian: sip-tester)")
		}
		t.Skip("sipp is not installed (Debian: sip-tester)")
	}
	s := &sipp{t: t, port: freePort(t), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.cmd = exec.CommandContext(ctx, path, append([]string{
		"-i", "127.0.0.1", "-p", strconv.Itoa(s.port), "-mp", strconv.Itoa(freePort(t)), "-rtp_echo", "-nostdin", "-timeout", "40s",
	}, args...)...)
	s.cmd.Dir = t.TempDir()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-s.done
	})
	return s
}

// freePort finds a port whose next two are free too, as SIPp takes them.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		c := listenUDP(t, "127.0.0.1")
		port := int(netip.MustParseAddrPort(c.LocalAddr().String()).Port())
		c.Close()
		if port%2 == 0 && port < 60000 {
			return port
		}
	}
}

func (s *sipp) wait() {
	s.t.Helper()
	select {
	case err := <-s.done:
		s.done <- nil
		if err != nil {
			s.t.Fatalf("sipp: %v", err)
		}
	case <-time.After(30 * time.Second):
		s.t.Fatal("sipp does not end")
	}
}

// ear measures what a leg hears.
type ear struct {
	mu      sync.Mutex
	samples []int16
}

func (e *ear) WriteSamples(s []int16) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.samples = append(e.samples, s...)
	return nil
}

// tone plays a tone to the leg, which its far end sends back, and checks its
// frequency and that no part of it is missing.
func tone(t *testing.T, leg switchboard.Leg, frequency float64) {
	t.Helper()
	clip := &media.Clip{Name: "tone", Samples: make([]int16, 8000)}
	for i := range clip.Samples {
		clip.Samples[i] = int16(8000 * math.Sin(2*math.Pi*frequency*float64(i)/8000))
	}
	e := &ear{}
	stop := leg.Endpoint().Record(e)
	leg.Endpoint().Play(clip, true, nil)
	eventually(t, "a second of audio heard", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.samples) > 12000
	})
	stop()
	leg.Endpoint().Stop()
	s := e.samples[4000:12000]
	crossings, quiet, longest := 0, 0, 0
	for i := 1; i < len(s); i++ {
		if s[i-1] < 0 && s[i] >= 0 {
			crossings++
		}
		if quiet++; s[i] > 1000 || s[i] < -1000 {
			quiet = 0
		}
		longest = max(longest, quiet)
	}
	if f := float64(crossings); math.Abs(f-frequency) > frequency/100+1 {
		t.Errorf("heard %.0f Hz, want %.0f", f, frequency)
	}
	if gap := time.Duration(longest) * time.Second / 8000; gap > 60*time.Millisecond {
		t.Errorf("a gap of %s", gap)
	}
}

func TestSIPpCalls(t *testing.T) {
	n := startNode(t, Config{Trunks: []Trunk{{Name: "sipp", Host: "127.0.0.1", Port: 5060, Account: "AC1"}}})
	s := startSIPp(t, "-sn", "uac", "-m", "1", "-d", "2500", "-s", "+15550199", n.addr.String())
	o := n.offered()
	o.leg.Ringing(false, nil)
	o.leg.Answer(nil)
	if up := want[call.Up](t, o.reports); up.Codec != call.PCMU {
		t.Errorf("codec %s", up.Codec)
	}
	tone(t, o.leg, 440)
	s.wait()
	wantDown(t, o.reports, call.Completed)
	if m := o.leg.Endpoint().Stats(); m.PacketsIn < 50 || m.PacketsOut < 50 || !m.SpeechIn {
		t.Errorf("stats %+v", m)
	}
	n.quietly()
}

func TestSIPpIsCalled(t *testing.T) {
	s := startSIPp(t, "-sn", "uas", "-m", "1")
	n := startNode(t, Config{Trunks: []Trunk{{Name: "sipp", Host: "127.0.0.1", Port: s.port}}})
	leg, r := n.dial(call.Dial{To: call.Phone("+15550100"), Codecs: []call.Codec{call.PCMU}})
	want[call.Progress](t, r)
	want[call.Up](t, r)
	tone(t, leg, 600)
	leg.End(call.Completed)
	wantDown(t, r, call.Completed)
	s.wait()
	n.quietly()
}

// Two hundred calls, up to fifty at once, leave nothing behind.
func TestSIPpManyCalls(t *testing.T) {
	// SIPp repeats after half a second; our transactions must remember that long.
	n := startNode(t, Config{Trunks: []Trunk{{Name: "sipp", Host: "127.0.0.1", Port: 5060}}}, func(o *Options) {
		o.Timers = Timers{T1: 60 * time.Millisecond, T2: 200 * time.Millisecond, T4: 300 * time.Millisecond}
	})
	before := runtime.NumGoroutine()
	s := startSIPp(t, "-sn", "uac", "-m", "200", "-l", "50", "-r", "100", "-d", "200", "-s", "+15550199", n.addr.String())
	for i := range 200 {
		o := n.offered()
		o.leg.Answer(nil)
		want[call.Up](t, o.reports)
		if i == 100 {
			if open := n.Open(); open.Dialogs == 0 || open.Sockets == 0 {
				t.Errorf("nothing is counted in the middle: %+v", open)
			}
		}
	}
	s.wait()
	n.quietly()
	eventually(t, "transactions gone", func() bool { return n.Open() == Counts{} })
	// The node's own may have been starting when they were counted; a leak shows by
	// the hundred.
	eventually(t, "goroutines gone", func() bool { return runtime.NumGoroutine() <= before+10 })
	if got := n.counter("dialtone_trunk_calls_total", "direction", "inbound", "status", "200"); got != 200 {
		t.Errorf("%v calls counted", got)
	}
}
