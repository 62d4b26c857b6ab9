package app

import (
	"net"
	"testing"
	"time"
)

func TestOneAddressCannotTakeAllConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan struct{}, 10)
	c := newCrowd(l, 2, func() { refused <- struct{}{} })
	accepted := make(chan net.Conn, 10)
	go func() {
		defer close(accepted)
		for {
			conn, err := c.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	dial()
	first := <-accepted
	dial()
	second := <-accepted
	third := dial()
	<-refused
	_ = third.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Errorf("the third stays open: %v", err)
	}
	first.Close()
	first.Close() // counts once
	dial()
	fourth := <-accepted
	dial()
	<-refused
	for _, conn := range []net.Conn{second, fourth} {
		conn.Close()
	}
	l.Close()
	for range accepted {
	}
	if len(c.here) != 0 {
		t.Errorf("still counted: %v", c.here)
	}
}
