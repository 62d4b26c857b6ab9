// Package probe shows tokens to a live voice provider as a device with the Voice
// SDK does, and tells what the provider says of each: it opens the WebSocket,
// sends "listen" and waits for the answer. It never registers and never calls,
// so nobody's devices or calls are touched.
//
// It shares no code with the server's side of the protocol, so that one mistake
// cannot hide in both. A Probe may be used by several goroutines; each token has
// a connection of its own.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/fault"
	"dialtone/internal/voice/token"
)

// Options says where the provider is.
type Options struct {
	URL   string         // wss://HOST[:PORT][/PATH]/signal
	Roots *x509.CertPool // nil: the system's
	Each  time.Duration  // from the dial to the verdict; 0: 10 s
}

// Probe asks one provider.
type Probe struct {
	url    string
	client *http.Client
	each   time.Duration
}

// New returns a Probe, or fault.Invalid for an address that is none.
func New(o Options) (*Probe, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "wss" || u.Host == "" || u.User != nil {
		return nil, fault.New(fault.Invalid, "A provider's address is wss://HOST/signal.")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/signal"
	}
	if o.Each <= 0 {
		o.Each = 10 * time.Second
	}
	return &Probe{url: u.String(), each: o.Each, client: &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64)},
	}}}, nil
}

// Refusal is a provider's no to a token.
type Refusal struct {
	Code int // as in docs/tokens.md: 31204, 31205, 31201, or another provider's
}

// Error implements error.
func (r *Refusal) Error() string {
	return "the provider refused the token with " + strconv.Itoa(r.Code)
}

// Refused returns the code as text.
func (r *Refusal) Refused() string { return strconv.Itoa(r.Code) }

// frame is what the provider says, as far as it matters here.
type frame struct {
	Type    string `json:"type"`
	Payload struct {
		Token struct {
			Identity string  `json:"identity"`
			TTL      float64 `json:"ttl"`
		} `json:"token"`
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	} `json:"payload"`
}

type listen struct {
	Type    string        `json:"type"`
	Version string        `json:"version"`
	Payload listenPayload `json:"payload"`
}

type listenPayload struct {
	Token            string         `json:"token"`
	ReconnectTimeout int            `json:"reconnectTimeout"`
	BrowserInfo      map[string]any `json:"browserinfo"`
}

// maxFrame bounds what a provider may say at once.
const maxFrame = 64 << 10

// Verify shows a token. The claims are what the provider shows of them: the
// identity, and how long it lasts. The error is a *Refusal, or says that there
// was no verdict.
func (p *Probe) Verify(ctx context.Context, text string) (token.Claims, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.each, fmt.Errorf("no verdict within %v", p.each))
	defer cancel()
	c, err := p.ask(ctx, text)
	var refused *Refusal
	if err != nil && ctx.Err() != nil && !errors.As(err, &refused) {
		return token.Claims{}, context.Cause(ctx)
	}
	return c, err
}

func (p *Probe) ask(ctx context.Context, text string) (token.Claims, error) {
	c, response, err := websocket.Dial(ctx, p.url, &websocket.DialOptions{HTTPClient: p.client, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		if response != nil {
			return token.Claims{}, fmt.Errorf("there is no WebSocket: HTTP status %d", response.StatusCode)
		}
		return token.Claims{}, err
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(maxFrame)
	// As the SDK for browsers does; the version is the one that it was seen with.
	hello, err := json.Marshal(listen{Type: "listen", Version: "1.6", Payload: listenPayload{Token: text, BrowserInfo: map[string]any{
		"p": "browser", "plugin": "rtc", "v": "2.18.5", "browser": map[string]string{"platform": "Linux x86_64", "userAgent": "dialtone token check"},
	}}})
	if err != nil {
		return token.Claims{}, err
	}
	if err := c.Write(ctx, websocket.MessageText, hello); err != nil {
		return token.Claims{}, err
	}
	for {
		_, data, err := c.Read(ctx)
		if err != nil {
			if status := websocket.CloseStatus(err); status >= 0 {
				return token.Claims{}, fmt.Errorf("the connection was closed without a verdict (%d)", status)
			}
			return token.Claims{}, err
		}
		if strings.TrimSpace(string(data)) == "" { // a heartbeat, which wants itself back
			if err := c.Write(ctx, websocket.MessageText, data); err != nil {
				return token.Claims{}, err
			}
			continue
		}
		var f frame
		if err := json.Unmarshal(data, &f); err != nil {
			return token.Claims{}, errors.New("the answer is no frame of the protocol")
		}
		switch {
		case f.Type == "connected":
			_ = c.Close(websocket.StatusNormalClosure, "")
			return token.Claims{Identity: f.Payload.Token.Identity, Expires: time.Now().Add(time.Duration(f.Payload.Token.TTL) * time.Second)}, nil
		case f.Type == "error" && ours(f.Payload.Error.Code):
			return token.Claims{}, fmt.Errorf("the provider answered with %d, which is no verdict", f.Payload.Error.Code)
		case f.Type == "error":
			return token.Claims{}, &Refusal{Code: f.Payload.Error.Code}
		}
	}
}

// ours reports whether a code says that the provider failed, or that there is too
// much at the moment, and nothing of the token.
func ours(code int) bool {
	switch code {
	case 31000, 31005, 31009, 31206, 31209, 53000, 53001:
		return true
	}
	return false
}
