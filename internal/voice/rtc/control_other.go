//go:build !linux

package rtc

import "net"

// Elsewhere the system's routes choose the source address.

const controlSize = 0

func askForDestination(*net.UDPConn) {}

func sourceOf([]byte) []byte { return nil }
