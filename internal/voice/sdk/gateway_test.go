package sdk

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dialtone/internal/event"
)

const (
	// Posts as the SDKs make them (docs/voice-sdk.md says where they come from).
	eventPost = `{"publisher":"twilio-js-sdk","group":"connection","name":"outgoing","level":"INFO","timestamp":"2026-01-01T00:00:00Z","payload_type":"application/json","private":false,` +
		`"payload":{"sdk_version":"2.18.5","platform":"WebRTC","direction":"OUTGOING","temp_call_sid":"TJS1","call_sid":"CA0001","gateway":"gw1"},"publisher_metadata":{"app_name":"x"}}`
	sample = `{"audio_codec":"PCMU","audio_level_in":2046,"audio_level_out":10068,"jitter":1.5,"mos":null,"packets_lost_fraction":2.5,"rtt":31,"timestamp":"%s","call_sid":"CA0001","sdk_version":"1.15.1"}`
)

func metricsPost(samples ...string) string {
	return `{"publisher":"twilio-js-sdk","group":"quality-metrics-samples","name":"metrics-sample","level":"INFO","payload":[` + strings.Join(samples, ",") + `]}`
}

func gateway(t *testing.T, events *[]event.Event) *Server {
	t.Helper()
	s, err := New(Options{
		Verifier: words{}, Exchange: nowhere{}, NewPeer: RTC(nil), Origins: []string{"https://app.example.com"},
		Events: event.SinkFunc(func(e event.Event) { *events = append(*events, e) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func post(s *Server, method, path, tok, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://phone.example.com"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "https://app.example.com")
	if tok != "" {
		r.Header.Set("X-Twilio-Token", tok)
	}
	w := httptest.NewRecorder()
	s.EventGateway().ServeHTTP(w, r)
	return w
}

func TestEventGateway(t *testing.T) {
	now := time.Now().UTC()
	recent := strings.Replace(sample, "%s", now.Add(-3*time.Second).Format(time.RFC3339Nano), 1)
	wrongClock := strings.Replace(sample, "%s", "2001-01-01T00:00:00Z", 1)
	for _, c := range []struct {
		name, method, path, token, body string
		status, published               int
	}{
		{"an event", "POST", "/v4/EndpointEvents", "alice", eventPost, 200, 1},
		{"behind the vendor's host", "POST", "/.twilio.com/v4/EndpointEvents", "alice", eventPost, 200, 1},
		{"samples", "POST", "/v4/EndpointMetrics", "alice", metricsPost(recent, wrongClock), 200, 2},
		{"samples that do not fit", "POST", "/v4/EndpointMetrics", "alice", metricsPost(recent, "7", `{"call_sid":1}`, `{"jitter":"x","timestamp":9}`), 200, 2},
		{"no samples", "POST", "/v4/EndpointMetrics", "alice", metricsPost(), 200, 0},
		{"too many samples", "POST", "/v4/EndpointMetrics", "alice", metricsPost(strings.Split(strings.Repeat("{}|", 120), "|")[:120]...) + " ", 200, 120},
		{"one too many", "POST", "/v4/EndpointMetrics", "alice", metricsPost(strings.Split(strings.Repeat("{}|", 121), "|")[:121]...), 400, 0},
		{"an event where samples belong", "POST", "/v4/EndpointMetrics", "alice", eventPost, 400, 0},
		{"no token", "POST", "/v4/EndpointEvents", "", eventPost, 401, 0},
		{"an expired token", "POST", "/v4/EndpointEvents", "expired", eventPost, 401, 0},
		{"garbage", "POST", "/v4/EndpointEvents", "alice", "{", 400, 0},
		{"too long", "POST", "/v4/EndpointEvents", "alice", `{"group":"` + strings.Repeat("x", 130<<10) + `"}`, 413, 0},
		{"reading", "GET", "/v4/EndpointEvents", "alice", "", 405, 0},
		{"elsewhere", "POST", "/v4/Endpoint", "alice", eventPost, 404, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var events []event.Event
			w := post(gateway(t, &events), c.method, c.path, c.token, c.body)
			if w.Code != c.status || len(events) != c.published {
				t.Errorf("status %d with %d events, want %d with %d", w.Code, len(events), c.status, c.published)
			}
			if c.status != 404 && w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" {
				t.Error("the page may not read the answer")
			}
		})
	}
}

func TestWhatReportsSay(t *testing.T) {
	var events []event.Event
	s := gateway(t, &events)
	at := time.Now().Add(-3 * time.Second).UTC().Round(0)
	post(s, "POST", "/v4/EndpointEvents", "alice", eventPost)
	post(s, "POST", "/v4/EndpointMetrics", "alice", metricsPost(strings.Replace(sample, "%s", at.Format(time.RFC3339Nano), 1)))
	r := events[0].(event.DeviceReport)
	if r.Account != account || r.Identity != "alice" || r.Call != "CA0001" || r.Group != "connection" || r.Name != "outgoing" ||
		r.Level != "INFO" || r.SDK != "2.18.5" || !strings.Contains(string(r.Payload), `"gateway":"gw1"`) {
		t.Errorf("%+v", r)
	}
	q := events[1].(event.QualitySample)
	want := event.QualitySample{
		At: at, Account: account, Identity: "alice", Call: "CA0001", SDK: "1.15.1", Codec: "PCMU",
		JitterMS: 1.5, RTTMS: 31, LossPercent: 2.5, LevelIn: 2046, LevelOut: 10068,
	}
	if !q.At.Equal(want.At) {
		t.Errorf("at %s, want %s", q.At, want.At)
	}
	if q.At = want.At; q != want {
		t.Errorf("%+v", q)
	}
}

func TestPreflight(t *testing.T) {
	var events []event.Event
	s := gateway(t, &events)
	w := post(s, "OPTIONS", "/v4/EndpointEvents", "", "")
	h := w.Header()
	if w.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Headers") != "Content-Type, X-Twilio-Token" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") || h.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("%d %v", w.Code, h)
	}
	r := httptest.NewRequest("OPTIONS", "https://phone.example.com/v4/EndpointEvents", nil)
	r.Header.Set("Origin", "https://evil.example.com")
	w = httptest.NewRecorder()
	s.EventGateway().ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another page: %d %v", w.Code, w.Header())
	}
}
