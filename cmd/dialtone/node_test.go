package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// served is the node that a script started.
type served struct {
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended and all of its log was read
	state error         // after done

	mu  sync.Mutex
	log strings.Builder
}

type servedKey struct{}

var serving = regexp.MustCompile(`"msg":"serving","https":"([^"]+)","sip":"([^"]+)","media":"([^"]+)","metrics":"([^"]*)"`)

// serve [FLAG…] starts "dialtone serve" on free ports and waits until it serves.
// $HTTPS, $SIP and $METRICS are then its addresses, and the file serve.out what
// it prints. "! serve" wants it to end instead.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	self, err := os.Executable()
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, self, append([]string{
		"serve", "--https", "127.0.0.1:0", "--sip", "127.0.0.1:0", "--media", "127.0.0.1:0", "--metrics", "127.0.0.1:0",
	}, args...)...)
	cmd.Args[0] = "dialtone" // by which TestMain knows what to run
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	out, err := os.Create(ts.MkAbs("serve.out"))
	ts.Check(err)
	cmd.Stdout = out
	log, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())

	n := &served{cmd: cmd, done: make(chan struct{})}
	ready := make(chan []string, 1)
	go func() {
		defer close(n.done)
		scan := bufio.NewScanner(log)
		for scan.Scan() {
			n.mu.Lock()
			fmt.Fprintln(&n.log, scan.Text())
			n.mu.Unlock()
			if found := serving.FindStringSubmatch(scan.Text()); found != nil {
				ready <- found
			}
		}
		n.state = cmd.Wait()
		_ = out.Close()
	}()
	ts.Defer(func() {
		cancel()
		<-n.done
	})
	select {
	case found := <-ready:
		ts.Setenv("HTTPS", found[1])
		ts.Setenv("SIP", found[2])
		ts.Setenv("METRICS", found[4])
		ts.Value(servedKey{}).(map[string]*served)["node"] = n
		if neg {
			ts.Fatalf("it serves")
		}
	case <-n.done:
		ts.Logf("[log]\n%s", n.logged())
		if !neg {
			ts.Fatalf("serve ended: %v", n.state)
		}
	case <-time.After(time.Minute):
		ts.Fatalf("serve is not ready after a minute:\n%s", n.logged())
	}
}

func (n *served) logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// terminate sends SIGTERM to the node and waits for its end; it must end well. The
// file serve.log is then its log.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	n := ts.Value(servedKey{}).(map[string]*served)["node"]
	if n == nil || neg || len(args) != 0 {
		ts.Fatalf("usage: terminate, after serve")
	}
	ts.Check(n.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-n.done:
	case <-time.After(30 * time.Second):
		ts.Fatalf("it still runs half a minute after SIGTERM:\n%s", n.logged())
	}
	ts.Check(os.WriteFile(ts.MkAbs("serve.log"), []byte(n.logged()), 0o600))
	if n.state != nil {
		ts.Fatalf("serve ended: %v\n%s", n.state, n.logged())
	}
}
