package device

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// version is the protocol's that @twilio/voice-sdk 2.18 names in its frames.
const version = "1.6"

// maxFrame is more than any frame of an honest server.
const maxFrame = 1 << 20

// Frame is one message of the server. Heartbeats are none.
type Frame struct {
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

// Error is what the server says is wrong, with the SDK's code.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%d %s", e.Code, e.Message) }

// Signal is the WebSocket of a device with the frames as they are: for tests of
// what a server does with odd ones. Send and Raw may be used from any goroutine,
// Next from one.
type Signal struct{ conn *websocket.Conn }

// OpenSignal connects to wss://…/signal. Certificates are not judged.
func OpenSignal(ctx context.Context, url string) (*Signal, error) {
	return OpenSignalBy(ctx, url, &net.Dialer{})
}

// OpenSignalBy connects with a dialer of the caller's.
func OpenSignalBy(ctx context.Context, url string, dialer *net.Dialer) (*Signal, error) {
	client := &http.Client{Transport: &http.Transport{
		DialContext:     dialer.DialContext,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the node under test has one of its own
	}}
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{ //nolint:bodyclose // Dial closes it
		HTTPClient: client, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn.SetReadLimit(maxFrame)
	return &Signal{conn}, nil
}

// Raw sends a text frame as it is.
func (s *Signal) Raw(frame []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, frame)
}

// Binary sends a binary frame.
func (s *Signal) Binary(frame []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageBinary, frame)
}

// Send sends a message as the SDK frames it.
func (s *Signal) Send(kind string, payload any) error {
	frame, err := json.Marshal(struct {
		Type    string `json:"type"`
		Version string `json:"version"`
		Payload any    `json:"payload"`
	}{kind, version, payload})
	if err != nil {
		return err
	}
	return s.Raw(frame)
}

// Next returns the next message; it answers heartbeats.
func (s *Signal) Next(ctx context.Context) (Frame, error) {
	for {
		_, data, err := s.conn.Read(ctx)
		if err != nil {
			return Frame{}, err
		}
		if string(data) == "\n" {
			if err := s.Raw(data); err != nil {
				return Frame{}, err
			}
			continue
		}
		var f Frame
		if err := json.Unmarshal(data, &f); err != nil {
			return Frame{}, fmt.Errorf("not a frame: %q: %w", data, err)
		}
		return f, nil
	}
}

// Until returns the next message of one of the types; others are dropped.
func (s *Signal) Until(ctx context.Context, kinds ...string) (Frame, error) {
	for {
		f, err := s.Next(ctx)
		if err != nil {
			return f, fmt.Errorf("waiting for %v: %w", kinds, err)
		}
		for _, kind := range kinds {
			if f.Type == kind {
				return f, nil
			}
		}
	}
}

// Listen sends the first frame of a device.
func (s *Signal) Listen(token string) error {
	return s.Send("listen", map[string]any{
		"token": token, "reconnectTimeout": 0,
		"browserinfo": map[string]any{
			"p": "browser", "plugin": "rtc", "v": "2.18.5",
			"browser": map[string]string{"platform": "Go", "userAgent": "dialtone/e2e"},
		},
	})
}

// Register asks to be called, or not.
func (s *Signal) Register(on bool) error {
	return s.Send("register", map[string]any{"media": map[string]bool{"audio": on}})
}

// Close says goodbye; Cut does not.
func (s *Signal) Close() { _ = s.conn.Close(websocket.StatusNormalClosure, "") }

// Cut drops the connection as a lost network does.
func (s *Signal) Cut() { _ = s.conn.CloseNow() }

// Closed returns the code that the server closed with, -1 if it did not say.
func Closed(err error) websocket.StatusCode { return websocket.CloseStatus(err) }
