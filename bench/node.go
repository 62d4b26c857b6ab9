package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"dialtone/internal/app"
	"dialtone/internal/app/logging"
	"dialtone/internal/config"
)

// nodeCommand makes this program a node: figures are then of a process that
// does nothing else.
const nodeCommand = "be-the-node"

// runNode serves from a data directory until stdin is closed. Its first line on
// stdout is its addresses; each further line answers one of stdin.
func runNode(args []string) error {
	flags := flag.NewFlagSet(nodeCommand, flag.ContinueOnError)
	dir := flags.String("dir", "", "data directory")
	carrier := flags.String("carrier", "", "SIP address of the carrier")
	if err := flags.Parse(args); err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(*carrier)
	if err != nil {
		return err
	}
	c := config.Default()
	c.DataDir, c.Account.Name = *dir, "demo" // as cast seeds it
	c.HTTPS.Listen, c.SIP.Listen, c.Media.Listen, c.Metrics.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Media.RTPPorts = config.PortRange{}
	c.Devices.Origins = []string{"*"}
	c.Calls.Drain = time.Second
	c.Trunks = []config.Trunk{{
		Name: "bench", Host: at.Addr().String(), Port: int(at.Port()), Addresses: []netip.Prefix{netip.PrefixFrom(at.Addr(), at.Addr().BitLen())},
		Announce: "127.0.0.1",
	}}
	log, err := logging.New(io.Discard, c.Log.Level, c.Log.Format) // written as in production, kept nowhere
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n, err := app.New(ctx, app.Options{Config: c, Log: log, Version: "bench"})
	if err != nil {
		return err
	}
	ran := make(chan error, 1)
	go func() { ran <- n.Run(ctx) }()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(n.Addr()); err != nil {
		return err
	}
	asked := bufio.NewScanner(os.Stdin)
	for asked.Scan() {
		if err := out.Encode(answer(asked.Text(), n)); err != nil {
			return err
		}
	}
	cancel()
	return <-ran
}

// state is what a node says of itself.
type state struct {
	Goroutines int
	Heap       uint64 // bytes in use
	Open       app.Counts
	Err        string
}

func answer(question string, n *app.Node) state {
	verb, path, _ := strings.Cut(question, " ")
	var err error
	switch verb {
	case "collect":
		runtime.GC()
		debug.FreeOSMemory()
	case "profile":
		var f *os.File
		if f, err = os.Create(path); err == nil {
			err = pprof.StartCPUProfile(f)
		}
	case "heap":
		var f *os.File
		if f, err = os.Create(path); err == nil {
			err = errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
		}
	case "profiled":
		pprof.StopCPUProfile()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := state{Goroutines: runtime.NumGoroutine(), Heap: m.HeapInuse + m.StackInuse, Open: n.Open()}
	if err != nil {
		s.Err = err.Error()
	}
	return s
}

// process is a node from outside.
type process struct {
	app.Addresses
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	pid int
}

func startNode(dir, carrier string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, nodeCommand, "-dir", dir, "-carrier", carrier)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	if err := p.out.Decode(&p.Addresses); err != nil {
		return nil, errors.Join(fmt.Errorf("the node did not start: %w", err), p.cmd.Wait())
	}
	return p, nil
}

func (p *process) stop() error {
	_ = p.in.Close()
	impatient := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer impatient.Stop()
	return p.cmd.Wait()
}

func (p *process) ask(question string) (s state, err error) {
	if _, err = fmt.Fprintln(p.in, question); err != nil {
		return s, err
	}
	if err = p.out.Decode(&s); err == nil && s.Err != "" {
		err = errors.New(s.Err)
	}
	return s, err
}

// cpu is the process's user and system time.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNotHere, err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks uint64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, the same on every Linux
	return time.Duration(ticks) * time.Second / perSecond, nil
}

// resident is the process's memory in bytes, after what is unused was given back.
func (p *process) resident() (int64, state, error) {
	s, err := p.ask("collect")
	if err != nil {
		return 0, s, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, s, fmt.Errorf("%w: %w", errNotHere, err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10, s, nil
		}
	}
	return 0, s, errors.New("no VmRSS")
}
