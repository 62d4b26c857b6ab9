package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
)

// Session is what a browser knows of its sign-in.
type Session struct {
	User    people.User    `json:"user"`
	CSRF    string         `json:"csrf" doc:"send it as X-Dialtone-CSRF with every request that changes something"`
	Account SessionAccount `json:"account"`
	Demo    bool           `json:"demo"`
	Version string         `json:"version"`
}

// SessionAccount is the account that the user belongs to.
type SessionAccount struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	TimeZone string `json:"time_zone"`
	Country  string `json:"country"`
}

type signIn struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"254" doc:"name or e-mail address"`
		Password string `json:"password" minLength:"1" maxLength:"1024"`
	}
	client people.Client
}

// Resolve implements huma.Resolver: it keeps where the request comes from.
func (in *signIn) Resolve(ctx huma.Context) []error {
	r, _ := humago.Unwrap(ctx)
	in.client = clientOf(r)
	return nil
}

type sessionAnswer struct {
	SetCookie []http.Cookie `header:"Set-Cookie"`
	Body      Session
}

func (s *Server) sessionOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "sign-in", Method: http.MethodPost, Path: "/api/v1/session", Summary: "Sign in",
		Tags: []string{"session"}, Metadata: map[string]any{public: true}, Errors: []int{401, 429},
	}, s.signIn)
	huma.Register(api, huma.Operation{
		OperationID: "session", Method: http.MethodGet, Path: "/api/v1/session", Summary: "Who is signed in",
		Tags: []string{"session"}, Security: bySession, Errors: []int{401},
	}, s.session)
	huma.Register(api, huma.Operation{
		OperationID: "sign-out", Method: http.MethodDelete, Path: "/api/v1/session", Summary: "Sign out",
		Tags: []string{"session"}, Security: bySession, Errors: []int{401, 403}, DefaultStatus: http.StatusNoContent,
	}, s.signOut)
}

var (
	bySession = []map[string][]string{{"session": {}}}
	byBoth    = []map[string][]string{{"session": {}}, {"bearer": {}}}
)

func (s *Server) signIn(ctx context.Context, in *signIn) (*sessionAnswer, error) {
	user, session, cookie, err := s.o.Door.SignIn(ctx, in.Body.Name, in.Body.Password, in.client)
	if err != nil {
		return nil, s.failed(err)
	}
	return s.signedIn(user, session, cookie), nil
}

// signedIn is the answer that begins a session.
func (s *Server) signedIn(u people.User, session people.Session, cookie string) *sessionAnswer {
	return &sessionAnswer{SetCookie: []http.Cookie{*sessionCookie(cookie)}, Body: s.sessionOf(u, session)}
}

func (s *Server) sessionOf(u people.User, session people.Session) Session {
	account, ok := s.o.Accounts(u.Account)
	if !ok {
		account = talk.Account{ID: u.Account, TimeZone: "UTC"}
	}
	return Session{
		User: u, CSRF: session.CSRF, Demo: s.o.Demo != nil, Version: s.o.Version,
		Account: SessionAccount{ID: account.ID, Name: account.Name, TimeZone: account.TimeZone, Country: account.Country},
	}
}

func (s *Server) session(ctx context.Context, _ *struct{}) (*sessionAnswer, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	return &sessionAnswer{Body: s.sessionOf(c.user, c.session)}, nil
}

type signedOut struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *Server) signOut(ctx context.Context, _ *struct{}) (*signedOut, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	if err := s.o.Door.SignOut(ctx, c.actor(), c.user, c.session); err != nil {
		return nil, s.failed(err)
	}
	s.endStreams(c.session.Hash, byeSignedOut)
	gone := *sessionCookie("")
	gone.MaxAge = -1
	return &signedOut{SetCookie: gone}, nil
}
