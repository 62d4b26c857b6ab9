package httpapi

import (
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
)

// protect sets what every answer carries, and turns a panic into an error of
// this one request.
func (s *Server) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Permissions-Policy", "microphone=(self), camera=(), geolocation=()")
		if !local(r.Host) { // it would hold for every port of the developer's own machine
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.o.Log.Error("request ended by a fault", "panic", p, "path", area(r.URL.Path), "stack", string(debug.Stack()))
				writeProblem(w, problem(http.StatusInternalServerError, "Something went wrong on our side."))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// local reports whether the host is the machine that the browser runs on.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// The areas that devices use.
const (
	areaEvents = "event_gateway"
	areaSignal = "signal"
)

// area is a request's part of the front door, for logs and metrics: paths hold ids.
func area(path string) string {
	switch {
	case strings.HasSuffix(path, "/signal"):
		return areaSignal
	case strings.HasSuffix(path, "/v4/EndpointEvents"), strings.HasSuffix(path, "/v4/EndpointMetrics"):
		return areaEvents
	case strings.HasPrefix(path, "/api/v1/"):
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/v1/"), "/")
		switch name {
		case "session", "device-tokens", "me", "lines", "agents", "calls", "missed", "voicemails", "demo", "events",
			"keys", "auth-tokens", "ways", "revocations", "issuers", "users", "audit":
			return name
		}
		return "api"
	case path == "/healthz", path == "/readyz":
		return "health"
	}
	return "console"
}

// count counts answers.
func (s *Server) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if area(r.URL.Path) == areaSignal { // lives as long as a device; voice/sdk counts it
			next.ServeHTTP(w, r)
			return
		}
		counted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(counted, r)
		s.served.WithLabelValues(area(r.URL.Path), strconv.Itoa(counted.status/100)+"xx").Inc()
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
