package sdk

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/rtc"
	"dialtone/internal/voice/switchboard"
)

type nowhere struct{}

func (nowhere) Offer(call.Offer, switchboard.Leg) (switchboard.Reporter, error) {
	return func(call.Report) {}, nil
}

// listening serves devices over real sockets.
func listening(t *testing.T, change func(*Options)) (*Server, *httptest.Server) {
	t.Helper()
	o := Options{Verifier: words{}, Exchange: nowhere{}, NewPeer: func(f func(rtc.State)) (Peer, error) {
		return &fakePeer{onState: f}, nil
	}}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	web := httptest.NewServer(s.Signal())
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		web.Close()
		if open := s.Open(); open != (Counts{}) {
			t.Errorf("left behind: %+v", open)
		}
	})
	return s, web
}

const listenFrame = `{"type":"listen","version":"1.6","payload":{"token":"alice","browserinfo":{"v":"2.18.5"}}}`

func connect(t *testing.T, web *httptest.Server, origin string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	c, r, err := websocket.Dial(t.Context(), web.URL+"/tenant/a/signal", &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		t.Cleanup(func() { _ = c.CloseNow() })
	}
	return c, r, err
}

func TestWebSocket(t *testing.T) {
	_, web := listening(t, nil)
	c, _, err := connect(t, web, web.URL)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(want string) {
		t.Helper()
		_, data, err := c.Read(t.Context())
		if err != nil || !strings.Contains(string(data), want) {
			t.Fatalf("%s %v, want %s", data, err, want)
		}
	}
	write(listenFrame)
	read(`"type":"connected"`)
	write(`{"type":"register","version":"1.6","payload":{"media":{"audio":true}}}`)
	read(`"type":"ready"`)
	write(`{"type":"message","payload":{"content":"` + strings.Repeat("x", 65<<10) + `"}}`)
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("an oversized frame: %v", err)
	}
}

func TestConnectionsThatAreTurnedAway(t *testing.T) {
	_, web := listening(t, func(o *Options) {
		o.Origins = []string{"https://app.example.com"}
		o.Limits.PerAddress = 2
	})
	refused := func(origin string, want int) {
		t.Helper()
		_, r, err := connect(t, web, origin)
		if err == nil || r == nil || r.StatusCode != want {
			t.Errorf("from %q: %v %v, want %d", origin, r, err, want)
		}
	}
	refused("https://evil.example.com", http.StatusForbidden)
	for _, origin := range []string{"https://app.example.com", ""} {
		if _, _, err := connect(t, web, origin); err != nil {
			t.Errorf("from %q: %v", origin, err)
		}
	}
	refused("", http.StatusTooManyRequests)
	r, err := http.Get(web.URL + "/signal")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusTooManyRequests { // counted before the upgrade
		t.Errorf("no WebSocket: %s", r.Status)
	}
}

func TestBinaryFramesAreRefused(t *testing.T) {
	_, web := listening(t, nil)
	c, _, err := connect(t, web, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(t.Context(), websocket.MessageBinary, []byte(listenFrame)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Errorf("%v", err)
	}
}

// What an idle device costs: bare TCP clients have no goroutines of their own.
func TestIdleDevicesAreCheap(t *testing.T) {
	s, web := listening(t, nil)
	const devices = 200
	runtime.GC()
	before := runtime.NumGoroutine()
	var memory [2]runtime.MemStats
	runtime.ReadMemStats(&memory[0])
	for i := range devices {
		c := bareClient(t, web.Listener.Addr().String())
		send(t, c, fmt.Sprintf(`{"type":"listen","version":"1.6","payload":{"token":"agent%d","browserinfo":{"v":"2.18.5"}}}`, i))
		send(t, c, `{"type":"register","version":"1.6","payload":{"media":{"audio":true}}}`)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if open := s.Open(); open.Registered == devices && open.Goroutines == devices {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%+v", open)
		}
		runtime.Gosched()
	}
	each := float64(runtime.NumGoroutine()-before) / devices
	runtime.GC()
	runtime.ReadMemStats(&memory[1])
	bytes := (int64(memory[1].HeapAlloc) + int64(memory[1].StackInuse) - int64(memory[0].HeapAlloc) - int64(memory[0].StackInuse)) / devices
	t.Logf("an idle device: %.2f goroutines, %d bytes", each, bytes)
	if each > 2 {
		t.Errorf("an idle device costs %.2f goroutines", each)
	}
}

// bareClient is a WebSocket without a library.
func bareClient(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, err = fmt.Fprintf(c, "GET /signal HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", r, err)
	}
	return c
}

// send writes a masked text frame (RFC 6455 section 5.2; the mask is zero).
func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	frame := []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}
	if len(text) < 126 {
		frame = []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}
	}
	if _, err := c.Write(append(frame, text...)); err != nil {
		t.Fatal(err)
	}
}
