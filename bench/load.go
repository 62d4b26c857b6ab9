package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"dialtone/e2e/device"
	"dialtone/internal/voice/carrier"
)

// measureLoad holds many bridged calls at once.
func measureLoad(ctx context.Context, o settings, r *report) (err error) {
	s, err := open(ctx, 2, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var devices []*device.Device
	for i := range o.calls {
		d, err := s.device(ctx, fmt.Sprintf("caller%d", i), device.Options{Tone: deviceTone})
		if err != nil {
			return err
		}
		devices = append(devices, d)
	}
	// What the first call brings is not a call's.
	if _, err := s.hold(ctx, devices[:1]); err != nil {
		return err
	}
	if err := s.letGo(ctx, devices[:1]); err != nil {
		return err
	}
	before, was, err := s.node.resident()
	if err != nil {
		return err
	}
	calls, err := s.hold(ctx, devices)
	if err != nil {
		return err
	}
	pause(ctx, 2*time.Second)
	after, is, err := s.node.resident()
	if err != nil {
		return err
	}
	n := float64(o.calls)
	r.add("call_kb", fmt.Sprintf("resident per bridged call (of %d)", o.calls), "KB", 0, float64(after-before)/1024/n)
	r.add("call_heap_kb", "  of that Go's heap and stacks", "KB", 0, float64(int64(is.Heap)-int64(was.Heap))/1024/n)
	r.add("call_goroutines", "goroutines per bridged call", "", 0, float64(is.Goroutines-was.Goroutines)/n)

	if o.profile != "" {
		if _, err := s.node.ask("heap " + filepath.Join(o.profile, "calls.heap")); err != nil {
			return err
		}
	}

	// Three windows: the median says more than one number.
	var perSecond, perPacket, lost []float64
	err = s.profiled(o, "load", func() error {
		for range 3 {
			w, err := s.window(ctx, calls, o.window/3)
			if err != nil {
				return err
			}
			perSecond = append(perSecond, w.cpu.Seconds()*1e6/n/w.passed.Seconds())
			perPacket = append(perPacket, w.cpu.Seconds()*1e6/float64(w.relayed))
			lost = append(lost, 100*(float64(w.sent)-float64(w.relayed))/float64(w.sent))
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.add("call_cpu_us", "CPU per bridged call and second (PCMU, 50 packets a second each way)", "µs", 0, perSecond...)
	r.add("packet_cpu_us", "CPU per relayed packet (SRTP ↔ RTP)", "µs", 0, perPacket...)
	r.add("packets_lost", "packets lost", "%", 0, lost...)
	return s.letGo(ctx, devices)
}

// hold lets every device call the echo and waits until each hears itself.
func (s *stage) hold(ctx context.Context, devices []*device.Device) ([]*device.Call, error) {
	within, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var calls []*device.Call
	for _, d := range devices {
		c, err := d.Call(url.Values{"To": {echoing}})
		if err == nil {
			err = c.AwaitSound(within)
		}
		if err != nil {
			return nil, fmt.Errorf("call %d: %w", len(calls)+1, err)
		}
		calls = append(calls, c)
	}
	return calls, nil
}

// letGo ends the devices' calls by closing the devices' ends of them.
func (s *stage) letGo(ctx context.Context, devices []*device.Device) error {
	var errs []error
	for _, d := range devices {
		for _, c := range d.Calls() {
			errs = append(errs, c.HangUp())
		}
	}
	return errors.Join(append(errs, s.quiet(ctx))...)
}

// window is what happened in a stretch of time.
type window struct {
	passed        time.Duration
	cpu           time.Duration
	sent, relayed uint64 // packets to the node, and from it
}

func (s *stage) window(ctx context.Context, calls []*device.Call, length time.Duration) (w window, err error) {
	sent, relayed := s.packets(calls)
	cpu, err := s.node.cpu()
	if err != nil {
		return w, err
	}
	began := time.Now()
	pause(ctx, length)
	after, err := s.node.cpu()
	if err != nil {
		return w, err
	}
	w.passed, w.cpu = time.Since(began), after-cpu
	w.sent, w.relayed = s.packets(calls)
	w.sent -= sent
	w.relayed -= relayed
	if w.relayed == 0 {
		return w, errors.New("no packet was relayed")
	}
	return w, nil
}

// packets counts what went to the node and came from it.
func (s *stage) packets(calls []*device.Call) (sent, relayed uint64) {
	for _, c := range calls {
		sent += c.Sent()
		relayed += c.Heard().Frames
	}
	for _, k := range s.carrier.Calls() {
		if k.State != carrier.Ended {
			sent += k.PacketsOut
			relayed += k.PacketsIn
		}
	}
	return sent, relayed
}
