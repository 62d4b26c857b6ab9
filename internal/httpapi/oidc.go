package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/talk/people"
	"dialtone/internal/talk/people/sso"
)

// Methods is how people can sign in here.
type Methods struct {
	Password bool         `json:"password"`
	Passkeys bool         `json:"passkeys" doc:"false when the address in the browser cannot have any, such as an IP address"`
	OIDC     []OIDCMethod `json:"oidc"`
}

// OIDCMethod is a company's identity provider.
type OIDCMethod struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	URL  string `json:"url" doc:"send the browser there"`
}

type methodsAnswer struct{ Body Methods }

// carryCookie holds what a browser carries to an identity provider and back. It
// is Lax, as the way back begins at the provider's page; the prefix keeps other
// hosts of the domain from setting it (RFC 6265bis section 4.1.3.2).
const carryCookie = "__Host-dialtone_oidc"

func (s *Server) methodOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "sign-in-methods", Method: http.MethodGet, Path: "/api/v1/session/methods", Summary: "How people can sign in",
		Tags: []string{"session"}, Metadata: map[string]any{public: true},
	}, s.methods)
}

func (s *Server) methods(_ context.Context, in *visit) (*methodsAnswer, error) {
	out := &methodsAnswer{Body: Methods{Password: true, OIDC: []OIDCMethod{}}}
	site, err := s.site(in.host)
	if err == nil {
		out.Body.Passkeys = site.CanHavePasskeys() == nil
	}
	if err == nil && s.o.SSO != nil {
		for _, p := range s.o.SSO.List() {
			out.Body.OIDC = append(out.Body.OIDC, OIDCMethod{ID: p.ID, Name: p.Name, URL: sso.StartPath(p.ID)})
		}
	}
	return out, nil
}

// oidcStart sends the browser to the provider.
func (s *Server) oidcStart(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if s.o.SSO == nil {
		s.noSuchOperation(w, r)
		return
	}
	site, err := s.site(r.Host)
	if err != nil {
		s.writeFault(w, err)
		return
	}
	target, carry, err := s.o.SSO.Start(r.Context(), r.PathValue("id"), site)
	if err != nil {
		s.turnAway(w, r, err)
		return
	}
	http.SetCookie(w, carried(carry, 0))
	http.Redirect(w, r, target, http.StatusFound)
}

// oidcCallback takes the browser back from the provider. Where it goes next is
// fixed: nothing in the request can send it elsewhere.
func (s *Server) oidcCallback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if s.o.SSO == nil {
		s.noSuchOperation(w, r)
		return
	}
	http.SetCookie(w, carried("", -1)) // good for one return
	site, err := s.site(r.Host)
	if err != nil {
		s.writeFault(w, err)
		return
	}
	carry := ""
	if cookie, err := r.Cookie(carryCookie); err == nil {
		carry = cookie.Value
	}
	client := clientOf(r)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		s.turnAway(w, r, &people.Refused{Problem: people.ProblemRefused, Cause: err})
		return
	}
	assertion, err := s.o.SSO.Finish(r.Context(), r.PathValue("id"), site, carry, query)
	if err != nil {
		s.o.Door.RefuseCompany(r.Context(), people.User{}, people.ProblemOf(err), client)
		s.turnAway(w, r, err)
		return
	}
	_, _, cookie, err := s.o.Door.SignInAs(r.Context(), assertion, client)
	if err != nil {
		s.turnAway(w, r, err)
		return
	}
	http.SetCookie(w, sessionCookie(cookie))
	http.Redirect(w, r, "/", http.StatusFound)
}

// turnAway sends the browser back to the sign-in page, which says what happened.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	problem := people.ProblemOf(err)
	var known *people.Refused
	switch {
	case !errors.As(err, &known), problem == people.ProblemUnavailable:
		s.o.Log.Error("sign-in by identity provider failed", slog.Any("error", err))
	default:
		s.o.Log.Info("sign-in by identity provider refused", slog.Any("reason", err))
	}
	http.Redirect(w, r, "/sign-in?problem="+url.QueryEscape(string(problem)), http.StatusFound)
}

func carried(value string, maxAge int) *http.Cookie {
	if maxAge == 0 {
		maxAge = int(sso.FlowLength.Seconds())
	}
	return &http.Cookie{
		Name: carryCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode,
	}
}

// sessionCookie is what a signed-in browser sends.
func sessionCookie(value string) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode}
}
