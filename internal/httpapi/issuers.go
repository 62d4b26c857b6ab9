package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
)

// Issuers keeps whose access tokens an account takes besides our own.
type Issuers interface {
	Issuers(account string) []keyring.Issuer
	AddIssuer(ctx context.Context, i keyring.Issuer) (keyring.Issuer, error)
	RemoveIssuer(ctx context.Context, account, id string) error
}

// Issuer makes access tokens for an account with keys of its own.
type Issuer struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	URL      string    `json:"url" doc:"the \"iss\" of its tokens"`
	JWKS     string    `json:"jwks" doc:"where its public keys are"`
	Audience string    `json:"audience" doc:"the \"aud\" of its tokens"`
	Fetched  time.Time `json:"fetched_at,omitzero" doc:"when its keys were last read"`
	Keys     int       `json:"keys" doc:"how many of them are usable"`
	Problem  string    `json:"problem,omitempty" doc:"why its keys could not be read the last time"`
}

// IssuerPath is a part of inputs, exported as Page is.
type IssuerPath struct {
	ID string `path:"id" maxLength:"64" doc:"IS…"`
}

type (
	issuersAnswer struct {
		Body struct {
			Issuers []Issuer `json:"issuers"`
		}
	}
	issuerAnswer   struct{ Body Issuer }
	addIssuerInput struct {
		Body struct {
			Name     string `json:"name" minLength:"1" maxLength:"80"`
			URL      string `json:"url" minLength:"9" maxLength:"500" pattern:"^https://[^\\s]+$" patternDescription:"an https URL"`
			JWKS     string `json:"jwks" minLength:"9" maxLength:"500" pattern:"^https://[^\\s]+$" patternDescription:"an https URL"`
			Audience string `json:"audience" minLength:"1" maxLength:"300"`
		}
	}
)

func (s *Server) issuerOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "issuers", Method: http.MethodGet, Path: "/api/v1/issuers", Summary: "Whose access tokens are taken besides our own",
		Tags: []string{"issuers"}, Security: byBoth, Errors: []int{401, 403},
	}, s.issuers)
	huma.Register(api, huma.Operation{
		OperationID: "add-issuer", Method: http.MethodPost, Path: "/api/v1/issuers", Summary: "Trust an issuer; its keys are read at once",
		Tags: []string{"issuers"}, Security: byBoth, Errors: []int{401, 403, 409, 422}, DefaultStatus: http.StatusCreated,
	}, s.addIssuer)
	huma.Register(api, huma.Operation{
		OperationID: "remove-issuer", Method: http.MethodDelete, Path: "/api/v1/issuers/{id}", Summary: "Trust an issuer no longer",
		Tags: []string{"issuers"}, Security: byBoth, Errors: []int{401, 403, 404}, DefaultStatus: http.StatusNoContent,
	}, s.removeIssuer)
}

func (s *Server) issuers(ctx context.Context, _ *struct{}) (*issuersAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &issuersAnswer{}
	out.Body.Issuers = []Issuer{}
	for _, i := range s.o.Ring.Issuers(c.viewer.Account) {
		out.Body.Issuers = append(out.Body.Issuers, issuerOf(i))
	}
	return out, nil
}

func (s *Server) addIssuer(ctx context.Context, in *addIssuerInput) (*issuerAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	i, err := s.o.Ring.AddIssuer(ctx, keyring.Issuer{
		Account: c.viewer.Account, Name: in.Body.Name, URL: in.Body.URL, JWKS: in.Body.JWKS, Audience: in.Body.Audience,
	})
	if err != nil {
		return nil, s.failed(err)
	}
	s.changed(ctx, c, people.IssuerAdd, i.ID, map[string]string{"name": i.Name, "url": i.URL, "jwks": i.JWKS, "audience": i.Audience})
	return &issuerAnswer{Body: issuerOf(i)}, nil
}

func (s *Server) removeIssuer(ctx context.Context, in *IssuerPath) (*struct{}, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	all := s.o.Ring.Issuers(c.viewer.Account)
	if err := s.o.Ring.RemoveIssuer(ctx, c.viewer.Account, in.ID); err != nil {
		return nil, s.failed(err)
	}
	detail := map[string]string{}
	if at := slices.IndexFunc(all, func(i keyring.Issuer) bool { return i.ID == in.ID }); at >= 0 {
		detail = map[string]string{"name": all[at].Name, "url": all[at].URL}
	}
	s.changed(ctx, c, people.IssuerRemove, in.ID, detail)
	return nil, nil
}

func issuerOf(i keyring.Issuer) Issuer {
	return Issuer{ID: i.ID, Name: i.Name, URL: i.URL, JWKS: i.JWKS, Audience: i.Audience, Fetched: i.Fetched, Keys: i.Keys, Problem: i.Problem}
}
