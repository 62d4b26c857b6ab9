package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"dialtone/e2e/device"
)

// aimIdle is what docs say an idle device may keep resident.
const aimIdle = 14.0 // KB

// measureIdle registers many devices that do nothing.
func measureIdle(ctx context.Context, o settings, r *report) (err error) {
	s, err := open(ctx, 2, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	// What the first of anything brings is not a device's.
	for i := range 20 {
		if _, err := s.device(ctx, fmt.Sprintf("first%d", i), device.Options{}); err != nil {
			return err
		}
	}
	before, was, err := s.node.resident()
	if err != nil {
		return err
	}
	busy, err := s.node.cpu()
	if err != nil {
		return err
	}
	for i := range o.devices {
		if _, err := s.device(ctx, fmt.Sprintf("idle%d", i), device.Options{}); err != nil {
			return err
		}
	}
	opened, err := s.node.cpu()
	if err != nil {
		return err
	}
	pause(ctx, time.Second)
	after, is, err := s.node.resident()
	if err != nil {
		return err
	}
	began := time.Now()
	idle, err := s.node.cpu()
	if err != nil {
		return err
	}
	pause(ctx, max(o.window, 11*time.Second)) // one heartbeat of each at least
	passed := time.Since(began)
	idled, err := s.node.cpu()
	if err != nil {
		return err
	}
	if o.profile != "" {
		if _, err := s.node.ask("heap " + filepath.Join(o.profile, "idle.heap")); err != nil {
			return err
		}
	}
	n := float64(o.devices)
	r.add("idle_device_kb", fmt.Sprintf("resident per idle device (of %d)", o.devices), "KB", aimIdle, float64(after-before)/1024/n)
	r.add("idle_device_heap_kb", "  of that Go's heap and stacks", "KB", 0, float64(int64(is.Heap)-int64(was.Heap))/1024/n)
	r.add("idle_device_goroutines", "goroutines per idle device", "", 0, float64(is.Goroutines-was.Goroutines)/n)
	r.add("idle_device_cpu_us", "CPU per idle device and second", "µs", 0, float64((idled-idle).Microseconds())/n/passed.Seconds())
	r.add("registration_cpu_us", "CPU per registration (TLS included)", "µs", 0, float64((opened-busy).Microseconds())/n)
	return nil
}
