package peers

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"dialtone/internal/voice/carrier/g711"
)

//go:embed caller.xml.tmpl
var callerScenario string

//go:embed callee.xml.tmpl
var calleeScenario string

// SippCaller says how SIPp calls. Node and To are required.
type SippCaller struct {
	Node  string  // host:port
	To    string  // the number to call
	From  string  // empty: +15550123
	Codec string  // PCMU (default) or PCMA
	Tone  float64 // Hz, sent as RTP once answered; 0: nothing is sent
	Echo  bool    // send back what comes in instead

	Talk     time.Duration // from the answer to the BYE; 0: 3 s
	NodeEnds bool          // wait for the other side's BYE instead
	Cancel   time.Duration // cancel so long after the 180 instead of waiting for an answer
	Expect   int           // the final status, if it is not to be 200

	Calls int // 0: one
	Rate  int // new calls per second; 0: 10
}

// SippCallee says how SIPp answers.
type SippCallee struct {
	Codec  string
	Tone   float64
	Echo   bool
	Ring   time.Duration // from 180 to 200; 0: 100 ms
	Refuse int           // final status instead of an answer
	Early  bool          // 183 with SDP instead of the 180; a tone starts with it
	Talk   time.Duration // hang up so long after the answer; 0: the other side does
	Calls  int           // how many calls Wait waits for; 0: one
}

// Sipp is a running SIPp.
type Sipp struct {
	// Addr is where it takes calls, host:port.
	Addr string

	p      *process
	dir    string
	calls  int
	limit  time.Duration
	failed string // file of unexpected messages
}

// SippCall starts SIPp as a caller. Wait tells how it went.
func SippCall(t testing.TB, o SippCaller) *Sipp {
	t.Helper()
	if o.From == "" {
		o.From = "+15550123"
	}
	if o.Talk == 0 {
		o.Talk = 3 * time.Second
	}
	if o.Expect == 0 {
		o.Expect = 200
	}
	if o.Cancel > 0 {
		o.Expect = 487
	}
	if o.Calls == 0 {
		o.Calls = 1
	}
	if o.Rate == 0 {
		o.Rate = 10
	}
	return startSipp(t, callerScenario, o.Codec, o.Tone, o.Echo, o.Calls, o.Talk+o.Cancel, map[string]any{
		"From": o.From, "Talk": o.Talk.Milliseconds(), "NodeEnds": o.NodeEnds, "Cancel": o.Cancel.Milliseconds(), "Expect": o.Expect,
	}, o.Node, "-s", o.To, "-r", strconv.Itoa(o.Rate))
}

// SippAnswer starts SIPp as a callee and returns once it can take calls.
func SippAnswer(t testing.TB, o SippCallee) *Sipp {
	t.Helper()
	if o.Ring == 0 {
		o.Ring = 100 * time.Millisecond
	}
	if o.Calls == 0 {
		o.Calls = 1
	}
	s := startSipp(t, calleeScenario, o.Codec, o.Tone, o.Echo, o.Calls, o.Ring+o.Talk, map[string]any{
		"Ring": o.Ring.Milliseconds(), "Refuse": o.Refuse, "Early": o.Early, "Talk": o.Talk.Milliseconds(),
	}, "-aa")
	s.awaitSocket(t)
	return s
}

func startSipp(t testing.TB, scenario, codec string, tone float64, echo bool, calls int, length time.Duration, values map[string]any, args ...string) *Sipp {
	t.Helper()
	program := need(t, "sipp", "sip-tester")
	dir := t.TempDir()
	payload, encode := 0, g711.EncodeMu
	if codec == PCMA {
		payload, encode = 8, g711.EncodeA
	} else {
		codec = PCMU
	}
	values["Codec"], values["Payload"], values["Tone"], values["File"] = codec, payload, tone > 0, ""
	if tone > 0 {
		file := filepath.Join(dir, "tone.raw")
		if err := os.WriteFile(file, toneBytes(tone, encode), 0o600); err != nil {
			t.Fatal(err)
		}
		values["File"] = fmt.Sprintf("%s,-1,%d", file, payload)
	}
	var xml bytes.Buffer
	if err := template.Must(template.New("").Parse(scenario)).Execute(&xml, values); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "scenario.xml")
	if err := os.WriteFile(path, xml.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}

	limit := length + time.Duration(calls)*time.Second + patience
	port := ports(t, 2)
	s := &Sipp{
		Addr: fmt.Sprintf("127.0.0.1:%d", port), dir: dir, calls: calls, limit: limit, failed: filepath.Join(dir, "unexpected.log"),
	}
	// The echo takes the media port and the next but one; the streams of calls
	// count upwards from it.
	args = append(args,
		"-sf", path, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", strconv.Itoa(port), "-cp", strconv.Itoa(port+1),
		"-mp", strconv.Itoa(ports(t, 4)), "-m", strconv.Itoa(calls), "-nostdin",
		"-timeout", fmt.Sprintf("%.0fs", min(limit, life).Seconds()), "-timeout_error",
		"-trace_err", "-error_file", s.failed, "-trace_msg", "-message_file", filepath.Join(dir, "messages.log"))
	if echo {
		args = append(args, "-rtp_echo")
	}
	s.p = launch(t, dir, program, args...)
	return s
}

// toneBytes is ten seconds of a tone at −12 dBFS; with whole periods, as its
// end is followed by its beginning.
func toneBytes(hz float64, encode func(int16) byte) []byte {
	const rate = 8000
	n := rate * 10
	hz = math.Round(hz*10) / 10
	b := make([]byte, n)
	for i := range b {
		b[i] = encode(int16(8192 * math.Sin(2*math.Pi*hz*float64(i)/rate)))
	}
	return b
}

// awaitSocket waits until SIPp has bound its port. It looks instead of trying to
// bind, which could take the port away from it.
func (s *Sipp) awaitSocket(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	n, _ := strconv.Atoi(port)
	entry := fmt.Sprintf(" 0100007F:%04X ", n) // 127.0.0.1, as the kernel lists it
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	give := time.After(patience)
	for {
		bound, err := os.ReadFile("/proc/net/udp")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(bound), entry) {
			return
		}
		select {
		case <-look.C:
		case <-s.p.done:
			t.Fatalf("sipp ended at once:\n%s", s.report())
		case <-give:
			t.Fatalf("sipp does not bind %s:\n%s", s.Addr, s.report())
		}
	}
}

// Wait waits until all calls are over and fails the test unless each went as the
// scenario says.
func (s *Sipp) Wait(t testing.TB) {
	t.Helper()
	if code := s.p.wait(t, s.limit+patience); code != 0 {
		t.Fatalf("sipp exits with %d:\n%s", code, s.report())
	}
}

// Messages returns the SIP messages that SIPp sent and received, as it logs them.
func (s *Sipp) Messages(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "messages.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// report is what SIPp found wrong, and the end of its statistics.
func (s *Sipp) report() string {
	wrong, _ := os.ReadFile(s.failed)
	lines := strings.Split(s.p.output.String(), "\n")
	return string(wrong) + "\n" + strings.Join(lines[max(0, len(lines)-45):], "\n")
}
