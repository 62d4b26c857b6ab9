// Package peers runs SIP agents that are not ours against a node or any other
// SIP peer on loopback: SIPp as caller and as callee, baresip as a phone. What
// they hear is measured from recordings of theirs or from their echo.
//
// Every process belongs to the test that started it and is stopped when that
// ends; each also ends by itself after a few minutes. Ports are free ones of
// 127.0.0.1. The helpers fail the test, with what the process said, when the
// process cannot do its part. They are not for concurrent use of one peer.
package peers

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"dialtone/internal/voice/carrier/hear"
	"dialtone/internal/voice/carrier/wav"
)

// The codecs that the peers speak.
const (
	PCMU = "PCMU"
	PCMA = "PCMA"
)

// patience bounds each wait for a peer: none takes that long but a broken one.
const patience = 30 * time.Second

// life bounds a process whose test was killed before it could stop it.
const life = 5 * time.Minute

// Heard is what a peer heard, or said, in one call.
type Heard struct {
	Level        float64       // root mean square, 0 to 32768
	Frequency    float64       // Hz, the strongest of the middle half; 0: silent
	LongestQuiet time.Duration // the longest hole between the first and the last sound
	Length       time.Duration
	Sound        wav.Sound
}

// Measure measures a recording.
func Measure(s wav.Sound) Heard {
	n := len(s.Samples)
	return Heard{
		Level: hear.Level(s.Samples), Frequency: hear.Frequency(s.Samples[n/4:n-n/4], s.Rate),
		LongestQuiet: hear.LongestQuiet(s.Samples, s.Rate),
		Length:       time.Duration(n) * time.Second / time.Duration(s.Rate), Sound: s,
	}
}

// need fails the test when a program is missing: a peer that is not there shows
// nothing.
func need(t testing.TB, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed (Debian package %s)", program, debian)
	}
	return path
}

// ports returns the first of n ports in a row that are free, for UDP and TCP, at
// 127.0.0.1. They lie below those that the system hands out by itself.
func ports(t testing.TB, n int) int {
	t.Helper()
	for range 200 {
		first := 20000 + 2*rand.IntN(5000)
		free := true
		for p := first; p < first+n && free; p++ {
			free = isFree(p)
		}
		if free {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

func isFree(port int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	tcp.Close()
	return true
}

// process is a running peer.
type process struct {
	cmd    *exec.Cmd
	name   string
	output *output
	done   chan struct{}
	err    error // once done
}

// launch starts a program in dir and stops it when the test ends.
func launch(t testing.TB, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), name: filepath.Base(name), output: &output{}, done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), "TERM=dumb", "HOME="+dir)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C must not reach it before us
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	p.cmd.Process.Kill()
	<-p.done
}

// wait returns the exit status, once there is one.
func (p *process) wait(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		t.Fatalf("%s does not end; it said:\n%s", p.name, p.output)
	}
	var exit *exec.ExitError
	if p.err == nil {
		return 0
	}
	if errors.As(p.err, &exit) {
		return exit.ExitCode()
	}
	t.Fatalf("%s: %v", p.name, p.err)
	return -1
}

// output keeps the last 64 KB that a process said.
type output struct {
	mu sync.Mutex
	b  []byte
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, b...)
	if extra := len(o.b) - 64<<10; extra > 0 {
		o.b = append(o.b[:0], o.b[extra:]...)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(bytes.ToValidUTF8(o.b, []byte("?")))
}
