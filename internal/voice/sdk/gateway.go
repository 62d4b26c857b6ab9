package sdk

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"dialtone/internal/event"
	"dialtone/internal/voice/token"
)

const (
	eventsPath  = "/v4/EndpointEvents"
	metricsPath = "/v4/EndpointMetrics"
	maxSamples  = 120 // in one post; the SDKs send ten
)

// EventGateway returns the handler of what the SDKs report about their calls, to
// be mounted at every path that ends in /v4/EndpointEvents or
// /v4/EndpointMetrics: a v2 device that was told Options.EventHost puts a part
// of the vendor's host name before it. Other paths get 404.
func (s *Server) EventGateway() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var kind string
		switch {
		case strings.HasSuffix(r.URL.Path, eventsPath):
			kind = "event"
		case strings.HasSuffix(r.URL.Path, metricsPath):
			kind = "metrics"
		default:
			http.NotFound(w, r)
			return
		}
		status, outcome := s.report(w, r, kind)
		s.metrics.posts.WithLabelValues(kind, outcome).Inc()
		if status == http.StatusOK {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{}")
			return
		}
		if status == http.StatusNoContent {
			w.WriteHeader(status)
			return
		}
		http.Error(w, http.StatusText(status), status)
	})
}

func (s *Server) report(w http.ResponseWriter, r *http.Request, kind string) (status int, outcome string) {
	if !originAllowed(r, s.o.Origins) {
		return http.StatusForbidden, "origin"
	}
	h := w.Header()
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	}
	switch r.Method {
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Content-Type, X-Twilio-Token")
		h.Set("Access-Control-Max-Age", "86400")
		return http.StatusNoContent, "preflight"
	case http.MethodPost:
	default:
		h.Set("Allow", "POST, OPTIONS")
		return http.StatusMethodNotAllowed, "method"
	}
	select {
	case s.posts <- struct{}{}:
		defer func() { <-s.posts }()
	default:
		h.Set("Retry-After", "5")
		return http.StatusServiceUnavailable, "full"
	}
	claims, err := s.o.Verifier.Examine(r.Context(), r.Header.Get("X-Twilio-Token"))
	if err != nil {
		return http.StatusUnauthorized, "token"
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.ReportBytes))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return http.StatusRequestEntityTooLarge, "too_large"
		}
		return http.StatusBadRequest, "broken"
	}
	if !s.take(body, kind, claims, time.Now()) {
		return http.StatusBadRequest, "invalid"
	}
	return http.StatusOK, "taken"
}

// take publishes what a post says; false when it cannot be understood.
func (s *Server) take(body []byte, kind string, claims token.Claims, now time.Time) bool {
	e, ok := parseEnvelope(body)
	if !ok {
		return false
	}
	if kind == "metrics" {
		samples, ok := parseSamples(e.Payload, now)
		if !ok {
			return false
		}
		for _, q := range samples {
			q.Account, q.Identity = claims.Account, claims.Identity
			s.events.Publish(q)
		}
		return true
	}
	about := parseSubject(e.Payload)
	s.events.Publish(event.DeviceReport{
		At: now, Account: claims.Account, Identity: claims.Identity,
		Call: about.call(), Group: cut(e.Group, 64), Name: cut(e.Name, 64), Level: cut(e.Level, 16),
		SDK: cut(about.SDK, maxVersion), Payload: e.Payload,
	})
	return true
}

// envelope is what every post has in common.
type envelope struct {
	Group   string         `json:"group"`
	Name    string         `json:"name"`
	Level   string         `json:"level"`
	Payload jsontext.Value `json:"payload"`
}

func parseEnvelope(body []byte) (envelope, bool) {
	var e envelope
	if json.Unmarshal(body, &e, lenient) != nil || e.Group == "" {
		return envelope{}, false
	}
	return e, true
}

// lenient takes what browsers' JSON.stringify makes of odd strings.
var lenient = jsontext.AllowInvalidUTF8(true)

// subject says which call a report is about.
type subject struct {
	CallSid string `json:"call_sid"`
	TempSid string `json:"temp_call_sid"`
	SDK     string `json:"sdk_version"`
}

func (s subject) call() string {
	if s.CallSid != "" {
		return cut(s.CallSid, maxCallSid)
	}
	return cut(s.TempSid, maxCallSid)
}

func parseSubject(payload jsontext.Value) (s subject) {
	if json.Unmarshal(payload, &s, lenient) != nil {
		return subject{}
	}
	return s
}

// parseSamples reads the payload of a metrics post: an array of samples, of
// which those that do not fit are left out.
func parseSamples(payload jsontext.Value, now time.Time) ([]event.QualitySample, bool) {
	var raw []jsontext.Value
	if json.Unmarshal(payload, &raw, lenient) != nil || len(raw) > maxSamples {
		return nil, false
	}
	samples := make([]event.QualitySample, 0, len(raw))
	for _, r := range raw {
		var m struct {
			CallSid   string  `json:"call_sid"`
			TempSid   string  `json:"temp_call_sid"`
			SDK       string  `json:"sdk_version"`
			Codec     string  `json:"audio_codec"`
			Jitter    number  `json:"jitter"`
			RTT       number  `json:"rtt"`
			Loss      number  `json:"packets_lost_fraction"`
			MOS       number  `json:"mos"`
			LevelIn   number  `json:"audio_level_in"`
			LevelOut  number  `json:"audio_level_out"`
			Timestamp anyText `json:"timestamp"`
		}
		if json.Unmarshal(r, &m, lenient) != nil {
			continue
		}
		samples = append(samples, event.QualitySample{
			At: m.Timestamp.near(now), Call: subject{CallSid: m.CallSid, TempSid: m.TempSid}.call(),
			SDK: cut(m.SDK, maxVersion), Codec: cut(m.Codec, 16),
			JitterMS: m.Jitter.within(0, 1e6), RTTMS: m.RTT.within(0, 1e6),
			LossPercent: m.Loss.within(0, 100), MOS: m.MOS.within(0, 5),
			LevelIn: int(m.LevelIn.within(0, math.MaxInt16)), LevelOut: int(m.LevelOut.within(0, math.MaxInt16)),
		})
	}
	return samples, true
}

// number is a JSON number; null and anything else is no number.
type number struct{ v float64 }

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &n.v) != nil {
		n.v = 0
	}
	return nil
}

func (n number) within(low, high float64) float64 { return min(max(n.v, low), high) }

// anyText is a JSON string; anything else is "".
type anyText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *anyText) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s, lenient) == nil {
		*t = anyText(s)
	}
	return nil
}

// near returns the time a device's clock says, unless that clock is off.
func (t anyText) near(now time.Time) time.Time {
	at, err := time.Parse(time.RFC3339Nano, string(t))
	if err != nil || at.Sub(now).Abs() > 2*time.Minute {
		return now
	}
	return at
}
