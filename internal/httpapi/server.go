// Package httpapi is the front door: sign-in and sessions, the API of the
// console and of machines with its OpenAPI document, the stream of events, the
// console's files, and the paths of the devices' protocol.
//
// A Server is an http.Handler, safe for concurrent use. It decides who may ask,
// and leaves what the answer is to the wings. docs/api.md is its contract.
package httpapi

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/health"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/talk/people/sso"
	"dialtone/internal/voice/keyring"
)

// Keys finds the API key that a machine shows.
type Keys interface {
	// ByBearer returns the key of what follows "Bearer " in a request.
	ByBearer(secret string) (keyring.Key, bool)
}

// Recordings opens the audio of recordings.
type Recordings interface {
	Open(id string) (audio io.ReadSeekCloser, written time.Time, err error)
}

// DemoCarrier makes the simulated carrier call the demo's line.
type DemoCarrier interface {
	CallMe(ctx context.Context, from string) error
}

// Options is what a Server serves.
type Options struct {
	Door         *people.Door
	Staff        *people.Staff
	SSO          *sso.Providers         // nil: no identity providers
	AuditLog     AuditLog               // where the audit log is read
	Hosts        func(name string) bool // whether the node serves the name, besides localhost; nil: none
	Desk         *talk.Desk
	Accounts     func(id string) (talk.Account, bool)
	Keys         Keys
	Ring         Ring         // what devices are let in by; *keyring.Ring
	Devices      Devices      // those that are let in right now
	FellBack     FellBack     // told of devices whose first way in could not be had
	Audit        people.Audit // where changes are written down; nil: nowhere
	Recordings   Recordings
	Demo         DemoCarrier // nil: not a demo
	Console      fs.FS
	Signal       http.Handler // devices' signalling
	EventGateway http.Handler // devices' reports
	Health       *health.Board
	Ready        func() bool
	Metrics      prometheus.Registerer
	Log          *slog.Logger
	Version      string

	// OutgoingApp returns the AP… that an account's own consoles call by.
	OutgoingApp func(account string) string

	Pulse time.Duration // between two signs of life of an event stream; 0: 15 s
}

// Server is the front door.
type Server struct {
	o       Options
	mux     *http.ServeMux
	handler http.Handler
	origin  http.CrossOriginProtection
	served  *prometheus.CounterVec

	mu      sync.Mutex
	streams map[*stream]struct{}
	closing bool
}

// New returns the front door.
func New(o Options) *Server {
	if o.Pulse <= 0 {
		o.Pulse = pulse
	}
	s := &Server{o: o, mux: http.NewServeMux(), streams: map[*stream]struct{}{}}
	s.served = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dialtone_http_requests_total", Help: "Requests served, by area and class of status.",
	}, []string{"area", "class"})
	if o.Metrics != nil {
		o.Metrics.MustRegister(s.served)
	}
	config := huma.DefaultConfig("Dialtone", o.Version)
	config.Info.Description = "The API of the console and of machines. See docs/api.md."
	config.OpenAPIPath = "/api/v1/openapi"
	config.DocsPath = "" // its page would load scripts from elsewhere
	config.SchemasPath = ""
	config.CreateHooks = nil
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: cookieName},
		"bearer":  {Type: "http", Scheme: "bearer"},
	}
	api := humago.New(s.mux, config)
	api.UseMiddleware(s.authenticate(api))
	s.sessionOperations(api)
	s.methodOperations(api)
	s.passkeyOperations(api)
	s.ownOperations(api)
	s.userOperations(api)
	s.auditOperations(api)
	s.agentOperations(api)
	s.callOperations(api)
	s.voicemailOperations(api)
	s.deviceTokenOperations(api)
	s.keyOperations(api)
	s.wayOperations(api)
	s.revocationOperations(api)
	s.issuerOperations(api)
	s.demoOperations(api)

	s.mux.HandleFunc("GET /api/v1/session/oidc/{id}/start", s.oidcStart)
	s.mux.HandleFunc("GET /api/v1/session/oidc/{id}/callback", s.oidcCallback)
	s.mux.HandleFunc("GET /api/v1/events", s.events)
	s.mux.HandleFunc("GET /api/v1/voicemails/{id}/audio", s.voicemailAudio)
	s.mux.HandleFunc("GET /healthz", s.healthz)
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("/api/", s.noSuchOperation)
	s.mux.Handle("/", s.console())
	s.handler = s.count(s.protect(http.HandlerFunc(s.route)))
	return s
}

// route sends devices' requests on, whatever prefix the SDK (or its app's
// chunderw) put before the path, and everything else to the mux.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	switch area(r.URL.Path) {
	case areaEvents:
		s.o.EventGateway.ServeHTTP(w, r)
	case areaSignal:
		if r.ProtoMajor > 1 { // the headers of a refusal by HTTP/1.1's rules are illegal in HTTP/2
			writeProblem(w, problem(http.StatusUpgradeRequired, "This is for devices: connect with a WebSocket over HTTP/1.1."))
			return
		}
		s.o.Signal.ServeHTTP(w, r)
	default:
		// Other sites' pages, those of the same domain and other ports included, can
		// make a browser sign in as somebody else, or try names and passwords.
		if s.origin.Check(r) != nil {
			writeProblem(w, problem(http.StatusForbidden, "Pages of other sites cannot use this API from a browser."))
			return
		}
		s.mux.ServeHTTP(w, r)
	}
}

// Limit sets how long clients of the HTTP server that serves s may take, so that
// slow ones do not hold connections. Event streams and devices' signalling set
// limits of their own.
func (s *Server) Limit(h *http.Server) {
	h.ReadHeaderTimeout = 10 * time.Second
	h.ReadTimeout = 30 * time.Second // the body too, also one that nobody reads
	h.WriteTimeout = 5 * time.Minute // the console over a bad line; a browser asks again for the rest of a message
	h.IdleTimeout = 2 * time.Minute
	h.MaxHeaderBytes = 64 << 10
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "alive\n")
}

// readyz says whether this node should get new devices and calls, and why not.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if s.o.Ready != nil && !s.o.Ready() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: stopping\n")
		return
	}
	var text strings.Builder
	for _, warning := range s.o.Health.Warnings() {
		// Anybody may ask: which carrier or host it is about is for the console.
		text.WriteString(string(warning.Severity) + ": " + warning.Code + "\n")
	}
	if !s.o.Health.Ready() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready\n"+text.String())
		return
	}
	_, _ = io.WriteString(w, "ready\n"+text.String())
}

func (s *Server) noSuchOperation(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, problem(http.StatusNotFound, "There is no such operation: "+r.Method+" "+r.URL.Path+". The API is described at /api/v1/openapi.json."))
}
