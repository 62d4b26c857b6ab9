package sdk

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/rogpeppe/go-internal/txtar"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/rtc"
	"dialtone/internal/voice/switchboard"
)

// FuzzFrame: whatever a client sends is understood or refused, and what is
// understood is within bounds.
func FuzzFrame(f *testing.F) {
	for _, frame := range goldenFrames(f) {
		f.Add([]byte(frame))
	}
	f.Add([]byte(`{"type":"listen","payload":{"token":"","browserinfo":{"v":1,"browser":[]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		msg, version, err := parseFrame(data)
		if (msg == nil) != (err != nil) || len(version) > maxVersion {
			t.Fatalf("%v %q %v", msg, version, err)
		}
		switch m := msg.(type) {
		case listen:
			sdk, agent := m.browser()
			if len(sdk) > maxVersion || len(agent) > maxUserAgent {
				t.Fatalf("%q %q", sdk, agent)
			}
		case invite:
			if params, err := m.params(); err == nil {
				if len(params) > maxParamKeys {
					t.Fatal("too many parameters")
				}
				to := destination(params.Get("To"))
				if to.Number != "" && to.Identity != "" || len(to.Number) > 16 {
					t.Fatalf("%+v", to)
				}
			}
			fp := fingerprintOf(m.SDP)
			if strings.ContainsAny(fp.ufrag+fp.certificate, "\r\n") && !strings.Contains(m.SDP, "\r\r") {
				t.Fatalf("%+v", fp)
			}
		}
		if s := cut(string(data), 10); len(s) > 10 || utf8.Valid(data) && !utf8.ValidString(s) {
			t.Fatalf("%q", s)
		}
	})
}

// goldenFrames are the clients' frames of the golden conversations.
func goldenFrames(f *testing.F) []string {
	paths, err := filepath.Glob(filepath.Join("testdata", "conversations", "*.txtar"))
	if err != nil || len(paths) == 0 {
		f.Fatal("no golden conversations", err)
	}
	client := regexp.MustCompile(`(?m)^ *[0-9.]+ C \w+ (\{.*\})$`)
	label := regexp.MustCompile(`<browser's SDP, ICE (\w+)>`)
	seen := map[string]bool{}
	var frames []string
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			for _, m := range client.FindAllSubmatch(file.Data, -1) {
				frame := label.ReplaceAllStringFunc(string(m[1]), func(l string) string {
					return strconv.Quote(browserSDP("alice", label.FindStringSubmatch(l)[1]))
				})
				if !seen[frame] {
					seen[frame] = true
					frames = append(frames, frame)
				}
			}
		}
	}
	return frames
}

// FuzzReport: whatever is posted is understood or refused, within bounds.
func FuzzReport(f *testing.F) {
	f.Add([]byte(eventPost))
	f.Add([]byte(metricsPost(sample, `{"mos":null,"jitter":-1,"audio_level_in":1e99}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		now := time.Unix(1e9, 0)
		e, ok := parseEnvelope(data)
		if !ok {
			return
		}
		if about := parseSubject(e.Payload); len(about.call()) > maxCallSid {
			t.Fatal("an unbounded call id")
		}
		samples, ok := parseSamples(e.Payload, now)
		if !ok && samples != nil || len(samples) > maxSamples {
			t.Fatal(len(samples))
		}
		for _, q := range samples {
			if q.At.Sub(now).Abs() > 2*time.Minute || q.JitterMS < 0 || q.LossPercent > 100 || q.MOS > 5 || q.LevelIn < 0 || q.LevelOut > 32767 || len(q.Codec) > 16 {
				t.Fatalf("%+v", q)
			}
		}
		if ok && !jsontext.Value(e.Payload).IsValid(jsontext.AllowInvalidUTF8(true)) {
			t.Fatal("the payload is not JSON")
		}
	})
}

// FuzzSignalling: a client that says anything, a frame a line, ends without a
// trace and without a crash, and another device does not notice.
func FuzzSignalling(f *testing.F) {
	frames := goldenFrames(f)
	for from := 0; from < len(frames); from += 10 {
		f.Add([]byte(strings.Join(append([]string{listenFrame}, frames[from:min(from+10, len(frames))]...), "\n")))
	}
	f.Add([]byte(listenFrame + "\n" + `{"type":"invite","payload":{"callsid":"TJS1","sdp":"v=0","twilio":{"params":"To=1"}}}` + "\n" + `{"type":"hangup","payload":{"callsid":"TJS1"}}`))
	f.Fuzz(func(t *testing.T, script []byte) {
		s, err := New(Options{Verifier: words{}, Exchange: answers{}, NewPeer: func(onState func(rtc.State)) (Peer, error) {
			return &fakePeer{onState: onState}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		c := &script1{lines: bytes.Split(script, []byte("\n"))}
		s.serve(c, netip.Addr{}, "")
		for _, l := range s.directory.allLegs() {
			l.End(call.Shutdown)
		}
		s.directory.waitLegs(t.Context())
		if err := s.crew.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if open := s.Open(); open != (Counts{}) {
			t.Fatalf("left behind: %+v", open)
		}
	})
}

// answers is an exchange that answers every call at once.
type answers struct{}

func (answers) Offer(_ call.Offer, leg switchboard.Leg) (switchboard.Reporter, error) {
	leg.Ringing(true, nil)
	leg.Answer(nil)
	return func(call.Report) {}, nil
}

// script1 is a socket that says its lines and hears nothing.
type script1 struct {
	lines [][]byte
	mu    sync.Mutex
	over  bool
}

func (c *script1) Read() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || len(c.lines) == 0 {
		return nil, errNotText
	}
	line := c.lines[0]
	c.lines = c.lines[1:]
	return line, nil
}
func (c *script1) Write([]byte, time.Duration) error         { return nil }
func (c *script1) Close(code websocket.StatusCode, r string) { c.Cut() }
func (c *script1) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}
