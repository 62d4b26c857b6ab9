package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"dialtone/e2e/device"
	"dialtone/e2e/device/cast"
	"dialtone/internal/voice/carrier"
)

const (
	deviceTone  = 440.0
	carrierTone = 1000.0
	talking     = "+15550111" // sends a tone of 1000 Hz
	echoing     = "+15550100"
	patience    = 30 * time.Second
)

// stage is a node, and a carrier and devices in this process.
type stage struct {
	node    *process
	cast    cast.Cast
	carrier *carrier.Carrier
	dir     string

	stopCarrier context.CancelFunc
	ran         chan error
	devices     []*device.Device
}

// open builds a stage; ring is how long the carrier's numbers ring.
func open(ctx context.Context, agents int, ring time.Duration) (s *stage, err error) {
	s = &stage{ran: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "dialtone-bench"); err != nil {
		return s, err
	}
	if s.cast, err = cast.Seed(ctx, s.dir, agents); err != nil {
		return s, err
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	if s.node, err = startNode(s.dir, conn.LocalAddr().String()); err != nil {
		return s, err
	}
	if s.carrier, err = carrier.New(carrier.Options{Conn: conn, Node: s.node.SIP, Ring: ring}); err != nil {
		return s, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopCarrier = stop
	go func() { s.ran <- s.carrier.Run(running) }()
	return s, nil
}

func (s *stage) close() error {
	for _, d := range s.devices {
		d.Close()
	}
	var err error
	if s.stopCarrier != nil {
		s.stopCarrier()
		err = <-s.ran
	}
	if s.node != nil {
		err = errors.Join(err, s.node.stop())
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

func (s *stage) signal() string { return "wss://" + s.node.HTTPS + "/signal" }

// device registers one.
func (s *stage) device(ctx context.Context, identity string, o device.Options) (*device.Device, error) {
	var err error
	if o.Token, err = s.cast.Token(identity, time.Hour, time.Now()); err != nil {
		return nil, err
	}
	o.URL = s.signal()
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := device.Open(within, o)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", identity, err)
	}
	s.devices = append(s.devices, d)
	if err := d.Register(within); err != nil {
		return nil, fmt.Errorf("device %s: %w", identity, err)
	}
	return d, nil
}

// profiled runs f while the node's CPU is profiled, if that was asked for.
func (s *stage) profiled(o settings, name string, f func() error) error {
	if o.profile == "" {
		return f()
	}
	if _, err := s.node.ask("profile " + filepath.Join(o.profile, name+".pprof")); err != nil {
		return err
	}
	err := f()
	_, stopped := s.node.ask("profiled")
	return errors.Join(err, stopped)
}

// quiet waits until the node has no call.
func (s *stage) quiet(ctx context.Context) error {
	for {
		st, err := s.node.ask("state")
		if err != nil || st.Open.Calls == 0 && st.Open.Trunks.Dialogs == 0 {
			return err
		}
		if !pause(ctx, 5*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
