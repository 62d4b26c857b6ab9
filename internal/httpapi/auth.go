package httpapi

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"dialtone/internal/fault"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
)

const (
	cookieName = "dialtone_session"
	csrfHeader = "X-Dialtone-CSRF"
)

// caller is who makes a request: a person with a session, or a machine.
type caller struct {
	viewer  talk.Viewer
	user    people.User // zero for a machine
	session people.Session
	key     string        // id of a machine's API key
	client  people.Client // where the request comes from
}

// identify returns who makes the request. A key without a role is let through
// only where letting devices in is all there is to do.
func (s *Server) identify(r *http.Request, lets bool) (caller, error) {
	if secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		key, ok := s.o.Keys.ByBearer(secret)
		if !ok || key.Role == "" && !lets {
			return caller{}, fault.New(fault.Unauthenticated, "this API key is not known, is disabled, retired or revoked, or has no role")
		}
		return caller{viewer: talk.ProgramViewer(key.Account, key.Name, people.Role(key.Role)), key: key.ID}, nil
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return caller{}, fault.New(fault.Unauthenticated, "sign in first, or send an API key")
	}
	user, session, err := s.o.Door.Resume(r.Context(), cookie.Value)
	if err != nil {
		return caller{}, err
	}
	if !safe(r.Method) && subtle.ConstantTimeCompare([]byte(r.Header.Get(csrfHeader)), []byte(session.CSRF)) != 1 {
		return caller{}, fault.New(fault.Forbidden, "the header %s is missing or wrong; it is in the session's answer", csrfHeader)
	}
	return caller{viewer: talk.ViewerOf(user), user: user, session: session}, nil
}

func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

type callerKey struct{}

const (
	// public marks operations that need no caller.
	public = "public"
	// letsDevicesIn marks operations that a key without a role may ask for.
	letsDevicesIn = "lets devices in"
)

// authenticate is the middleware that identifies the caller of every operation
// that is not public.
func (s *Server) authenticate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		if ctx.Operation().Metadata[public] == true {
			next(wholeBody(ctx, w, r))
			return
		}
		lets := ctx.Operation().Metadata[letsDevicesIn] == true
		c, err := s.identify(r, lets)
		if err == nil && r.ContentLength != 0 {
			// Who takes their time to say what they want may not be let in any more
			// when they have said it.
			ctx = wholeBody(ctx, w, r)
			c, err = s.identify(r, lets)
		}
		if err != nil {
			s.writeFault(w, err)
			return
		}
		c.client = clientOf(r)
		next(huma.WithValue(ctx, callerKey{}, c))
	}
}

// bodyContext is a request whose body is elsewhere. The request keeps its own, by
// which the server knows what was not read.
type bodyContext struct {
	anyContext
	body io.Reader
}

// anyContext can be embedded, which huma.Context cannot: it has a method of that name.
type anyContext huma.Context

// BodyReader implements huma.Context.
func (c bodyContext) BodyReader() io.Reader { return c.body }

// SetReadDeadline implements huma.Context: nothing is left to read.
func (c bodyContext) SetReadDeadline(time.Time) error { return nil }

// Unwrap lets the adapter find its own.
func (c bodyContext) Unwrap() huma.Context { return c.anyContext }

// wholeBody waits for the request's body, within the operation's bounds.
func wholeBody(ctx huma.Context, w http.ResponseWriter, r *http.Request) huma.Context {
	if r.ContentLength == 0 {
		return ctx
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(ctx.Operation().BodyReadTimeout)) // without it, the server's own holds
	var body bytes.Buffer
	_, err := io.CopyN(&body, r.Body, ctx.Operation().MaxBodyBytes)
	switch {
	case errors.Is(err, io.EOF):
		// It is there. Over HTTP/1.1 a deadline that passes now would end the request.
		_ = rc.SetReadDeadline(time.Time{})
		return bodyContext{ctx, &body}
	case err == nil:
		return bodyContext{ctx, &body} // of the size that is too large
	default:
		return bodyContext{ctx, io.MultiReader(&body, broken{err})}
	}
}

// broken is the rest of a body that did not come.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// person returns the caller when it is a person; a machine has no state, device or missed calls.
func person(ctx context.Context) (caller, error) {
	c := callerOf(ctx)
	if c.user.ID == "" {
		return caller{}, fault.New(fault.Forbidden, "this is a person's: sign in instead of sending an API key")
	}
	return c, nil
}

func clientOf(r *http.Request) people.Client {
	return people.Client{Remote: remote(r), Browser: r.UserAgent()}
}

// remote returns the address of the client, without its port.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
