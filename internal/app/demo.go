package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/talk"
	"dialtone/internal/voice/carrier"
)

// demoCarrierAddr is where the simulated carrier listens in a demo.
const demoCarrierAddr = "127.0.0.1:0"

// DemoFile is the name of the file in the data directory that tells programs
// how to sign in to a demo.
const DemoFile = "demo.json"

// seedDemo makes the demo's account, people and line, and prints how to sign in.
func (n *Node) seedDemo(ctx context.Context) error {
	before, err := readDemo(n.path(DemoFile))
	if err != nil {
		return err
	}
	demo, err := talk.SeedDemo(ctx, n.store, before)
	if err != nil {
		return err
	}
	if demo.APIKey, err = ensureDemoKey(ctx, n.keys, demo.Account.ID, before.APIKey); err != nil {
		return err
	}
	text, err := json.MarshalIndent(demo, "", "  ")
	if err != nil {
		return err
	}
	if err := writeSecret(n.path(DemoFile), append(text, '\n')); err != nil {
		return err
	}
	n.demo, n.directory.account = demo, demo.Account
	o := n.o.Demo
	o.Conn, o.Node, o.Log = n.sockets.carrier, reachable(n.Addr().SIP), n.log.With("part", "carrier")
	n.carrier, err = carrier.New(o)
	return err
}

// writeSecret writes the file whole or not at all. Only the user who runs the
// node may read it, whatever was there before.
func writeSecret(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

func readDemo(path string) (talk.Demo, error) {
	var demo talk.Demo
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return demo, nil
	case err != nil:
		return demo, err
	}
	if err := json.Unmarshal(text, &demo); err != nil {
		return talk.Demo{}, fmt.Errorf("%s is not what a demo wrote; remove it: %w", path, err)
	}
	return demo, nil
}

// announce tells who started the node where it is.
func (n *Node) announce() {
	n.log.Info("serving", "https", n.Addr().HTTPS, "sip", n.Addr().SIP, "media", n.Addr().Media, "metrics", n.Addr().Metrics)
	out := n.o.Out
	fmt.Fprintf(out, "Dialtone %s\n\n  console   https://%s\n", n.o.Version, browsable(n.Addr().HTTPS))
	if n.carrier == nil {
		return
	}
	fmt.Fprintf(out, "  line      %s (call it with: dialtone carrier call %s --node %s)\n\n  sign in as\n",
		n.directory.line.Number, n.directory.line.Number, reachable(n.Addr().SIP))
	for _, u := range n.demo.Users {
		fmt.Fprintf(out, "    %-8s %s\n", u.Name, u.Password)
	}
	fmt.Fprintf(out, "\n  numbers to dial: +15550100 echoes, …105 talks, …101 is busy, …102 does not answer,\n"+
		"  …103 is refused by the carrier, …104 stays silent, …106 sends keys\n"+
		"  logins for programs are in %s\n", n.path(DemoFile))
}

// browsable is an address as a person types it into a browser on this machine.
func browsable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// reachable is an address on which this machine reaches a socket of its own.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// demoCarrier lets the console's "call me" call the line.
type demoCarrier struct {
	carrier *carrier.Carrier
	number  string
	log     *slog.Logger
	calls   *sync.WaitGroup // under way; they end when the carrier does
}

const (
	demoCaller   = "+15550123"
	demoTalksFor = 2 * time.Minute
	demoRings    = time.Minute
)

// CallMe implements httpapi.DemoCarrier. The call outlives the request.
func (d demoCarrier) CallMe(ctx context.Context, from string) error {
	if from == "" {
		from = demoCaller
	}
	ctx = context.WithoutCancel(ctx)
	began := make(chan error, 1)
	d.calls.Go(func() {
		result, err := d.carrier.CallIn(ctx, carrier.CallOptions{To: d.number, From: from, For: demoTalksFor, Ringing: demoRings})
		began <- err
		if err != nil {
			d.log.Warn("the simulated carrier could not call", "error", err)
			return
		}
		d.log.Info("the simulated carrier's call ended", "status", result.Status, "answered", result.Answered)
	})
	select {
	case err := <-began:
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "The simulated carrier could not call the line.")
		}
	case <-time.After(200 * time.Millisecond): // it is on its way
	}
	return nil
}
