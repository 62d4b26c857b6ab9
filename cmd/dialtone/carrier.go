package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dialtone/internal/app/logging"
	"dialtone/internal/voice/carrier"
)

type carrierCommand struct {
	Serve carrierServe `cmd:"" default:"withargs" help:"Take calls to the numbers +1555010x and show them (the default)."`
	Call  carrierCall  `cmd:"" help:"Call a number of a node; exits with 0 when it was answered and ended well."`
}

type carrierServe struct {
	Listen string `placeholder:"ADDR" default:"127.0.0.1:5070" help:"SIP address to listen on (UDP; default: ${default})."`
	Node   string `placeholder:"ADDR" default:"127.0.0.1:5060" help:"SIP address of the node (default: ${default})."`
}

// Validate is asked by the parser.
func (c *carrierServe) Validate() error {
	return errors.Join(hasPort("--listen", c.Listen), hasPort("--node", c.Node))
}

func (c *carrierServe) Run(ctx context.Context, s streams) error {
	log, err := logging.New(s.err, "info", "text")
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, "udp", c.Listen)
	if err != nil {
		return err
	}
	simulated, err := carrier.New(carrier.Options{Conn: conn, Node: c.Node, Log: log})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "The simulated carrier listens on %s and belongs to the node at %s.\n", simulated.Addr(), c.Node)
	return simulated.Run(ctx)
}

type carrierCall struct {
	Number  string        `arg:"" help:"The number to call, E.164."`
	Node    string        `placeholder:"ADDR" default:"127.0.0.1:5060" help:"SIP address of the node (default: ${default})."`
	From    string        `placeholder:"NUMBER" default:"+15550100" help:"The caller's number; empty: anonymous (default: ${default})."`
	Play    string        `placeholder:"FILE" type:"existingfile" help:"WAV file to say; without it, sentences."`
	Record  string        `placeholder:"FILE" help:"WAV file to write what was heard to."`
	DTMF    string        `name:"dtmf" placeholder:"DIGITS" help:"Keys to press one second after the answer: 0 to 9, *, #, A to D."`
	Ringing time.Duration `default:"3m" help:"Give up when nobody answers for so long (default: ${default})."`
	For     time.Duration `default:"10s" help:"Hang up so long after the answer; 0: when the node does (default: ${default})."`
}

// Validate is asked by the parser. What could not be written after the call is
// said before it.
func (c *carrierCall) Validate() error {
	if strings.Trim(strings.ToUpper(c.DTMF), "0123456789*#ABCD") != "" {
		return fmt.Errorf("--dtmf: %q is not made of the keys 0 to 9, *, # and A to D alone", c.DTMF)
	}
	if c.For < 0 || c.Ringing < 0 {
		return errors.New("--for and --ringing cannot be less than nothing")
	}
	if c.Record != "" {
		if dir, err := os.Stat(filepath.Dir(c.Record)); err != nil || !dir.IsDir() {
			return fmt.Errorf("--record: %s is no directory", filepath.Dir(c.Record))
		}
	}
	return hasPort("--node", c.Node)
}

// hasPort says what is wrong with an address that is given as HOST:PORT.
func hasPort(flag, address string) error {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return fmt.Errorf("%s: must be ADDRESS:PORT, as 127.0.0.1:5060, but is %q", flag, address)
	}
	return nil
}

func (c *carrierCall) Run(ctx context.Context, s streams) error {
	result, err := carrier.Call(ctx, carrier.CallOptions{
		Node: c.Node, To: c.Number, From: c.From, PlayFile: c.Play, Record: c.Record, DTMF: c.DTMF, Ringing: c.Ringing, For: c.For,
	})
	if err != nil {
		return err
	}
	if !result.Answered {
		return fmt.Errorf("not answered: SIP status %d %s", result.Status, result.Reason)
	}
	return tellCall(s.out, result)
}

// tellCall prints what a call in was like, a line for each question.
func tellCall(w io.Writer, r carrier.Result) error {
	var t strings.Builder
	fmt.Fprintf(&t, "answered after %s (%d %s), %s\n", r.AnswerTime.Round(time.Millisecond), r.Status, r.Reason, r.Call.Codec)
	fmt.Fprintf(&t, "talked %s, ended by the %s\n", r.Talked.Round(100*time.Millisecond), r.EndedBy)
	h := r.Call.Heard
	fmt.Fprintf(&t, "heard at most level %.0f, in the last second %.0f at %.0f Hz; longest gap %s; %d packets in, %d lost, %d out\n",
		h.Loudest, h.Level, h.Frequency, h.LongestGap.Round(time.Millisecond), r.Call.PacketsIn, r.Call.Lost, r.Call.PacketsOut)
	if r.Call.Digits != "" {
		fmt.Fprintf(&t, "heard keys %s\n", r.Call.Digits)
	}
	_, err := io.WriteString(w, t.String())
	return err
}
