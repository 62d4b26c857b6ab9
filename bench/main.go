// Bench measures a node that runs in a process of its own: how long calls and
// registrations take, what devices and calls cost in memory and CPU. It prints
// tables and, as its last line, one JSON object of all figures.
//
//	go run ./bench [-only NAMES] [-samples N] [-calls N] [-devices N] [-profile DIR]
//
// Absolute figures depend on the machine and on who else uses it; where there is
// an aim, the ratio to it is printed beside.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Settings are the flags.
type settings struct {
	samples int           // of each latency
	calls   int           // bridged at once
	devices int           // idle at once
	window  time.Duration // of each measurement of CPU
	profile string        // directory for CPU profiles of the node; "": none
}

// section measures one thing against a running node.
type section struct {
	name  string
	about string
	run   func(ctx context.Context, s settings, r *report) error
}

var sections = []section{
	{"calls", "setting calls up, with a client that speaks the SDK's protocol", measureCalls},
	{"browser", "setting calls up, with the unmodified Voice SDK in headless Chromium", measureBrowser},
	{"idle", "idle devices", measureIdle},
	{"load", "bridged calls", measureLoad},
	{"codec", "what a packet costs by itself", measureCodecs},
	{"token", "verifying a token, and what libraries take for the same one", measureTokens},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == nodeCommand {
		if err := runNode(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench: node:", err)
			os.Exit(1)
		}
		return
	}
	testing.Init() // package browser asks whether tests are to be short
	var s settings
	only := flag.String("only", "", "sections to run, separated by commas (default: all of "+names()+")")
	flag.IntVar(&s.samples, "samples", 40, "samples of each latency")
	flag.IntVar(&s.calls, "calls", 50, "bridged calls at once")
	flag.IntVar(&s.devices, "devices", 500, "idle devices at once")
	flag.DurationVar(&s.window, "window", 10*time.Second, "how long CPU is measured")
	flag.StringVar(&s.profile, "profile", "", "directory for CPU profiles of the node")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, s, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func names() string {
	var all []string
	for _, s := range sections {
		all = append(all, s.name)
	}
	return strings.Join(all, ",")
}

func measure(ctx context.Context, s settings, only string) error {
	wanted := strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	for _, name := range wanted {
		if !slices.ContainsFunc(sections, func(s section) bool { return s.name == name }) {
			return fmt.Errorf("there is no section %q, but %s", name, names())
		}
	}
	r := newReport()
	fmt.Printf("%s, %d processors, load %s\n", runtime.Version(), runtime.NumCPU(), load())
	var failed []error
	for _, sec := range sections {
		if len(wanted) > 0 && !slices.Contains(wanted, sec.name) {
			continue
		}
		fmt.Printf("\n%s: %s\n", sec.name, sec.about)
		from := len(r.figures)
		err := sec.run(ctx, s, r)
		r.table(os.Stdout, from)
		switch {
		case errors.Is(err, errNotHere):
			fmt.Printf("  left out: %v\n", err)
		case err != nil:
			fmt.Printf("  failed: %v\n", err)
			failed = append(failed, fmt.Errorf("%s: %w", sec.name, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	line, err := json.Marshal(r.byName())
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n", line)
	return errors.Join(failed...)
}

// errNotHere is of a section that this machine cannot run.
var errNotHere = errors.New("not possible here")

// load is the machine's load average, which every figure suffers from.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
