package httpapi

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-webauthn/webauthn/protocol"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
)

// Passkey is one of the signed-in person's passkeys.
type Passkey struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created_at"`
	Used    time.Time `json:"last_used_at,omitzero"`
}

// Credential is the JSON of the PublicKeyCredential that a browser made.
type Credential map[string]any

// visit is where a request comes from and which site it is for.
type visit struct {
	client people.Client
	host   string // as the request names it, with the port
}

// Resolve implements huma.Resolver.
func (v *visit) Resolve(ctx huma.Context) []error {
	r, _ := humago.Unwrap(ctx)
	v.client, v.host = clientOf(r), r.Host
	return nil
}

type (
	passkeysAnswer struct {
		Body struct {
			Passkeys []Passkey `json:"passkeys"`
		}
	}
	passkeyAnswer   struct{ Body Passkey }
	creationOptions struct {
		Body struct {
			PublicKey *protocol.PublicKeyCredentialCreationOptions `json:"publicKey" doc:"for navigator.credentials.create; PublicKeyCredential.parseCreationOptionsFromJSON reads it"`
		}
	}
	requestOptions struct {
		Body struct {
			PublicKey *protocol.PublicKeyCredentialRequestOptions `json:"publicKey" doc:"for navigator.credentials.get; PublicKeyCredential.parseRequestOptionsFromJSON reads it"`
			ID        string                                      `json:"id" doc:"send it with the answer, within five minutes"`
		}
	}
	newPasskey struct {
		visit
		Body struct {
			Name       string     `json:"name,omitempty" maxLength:"240"`
			Credential Credential `json:"credential" doc:"PublicKeyCredential.toJSON()"`
		}
	}
	passkeyPath struct {
		ID string `path:"id" maxLength:"40"`
	}
	passkeySignIn struct {
		visit
		Body struct {
			ID         string     `json:"id" minLength:"1" maxLength:"200"`
			Credential Credential `json:"credential" doc:"PublicKeyCredential.toJSON()"`
		}
	}
)

func (s *Server) passkeyOperations(api huma.API) {
	open := map[string]any{public: true}
	huma.Register(api, huma.Operation{
		OperationID: "passkeys", Method: http.MethodGet, Path: "/api/v1/me/passkeys", Summary: "One's passkeys",
		Tags: []string{"me"}, Security: bySession, Errors: []int{401, 403},
	}, s.passkeys)
	huma.Register(api, huma.Operation{
		OperationID: "begin-passkey", Method: http.MethodPost, Path: "/api/v1/me/passkeys/options", Summary: "Begin to add a passkey",
		Tags: []string{"me"}, Security: bySession, Errors: []int{401, 403, 409},
	}, s.beginPasskey)
	huma.Register(api, huma.Operation{
		OperationID: "add-passkey", Method: http.MethodPost, Path: "/api/v1/me/passkeys", Summary: "Add the passkey that the browser made",
		DefaultStatus: http.StatusCreated, Tags: []string{"me"}, Security: bySession, Errors: []int{401, 403, 409, 422},
	}, s.addPasskey)
	huma.Register(api, huma.Operation{
		OperationID: "remove-passkey", Method: http.MethodDelete, Path: "/api/v1/me/passkeys/{id}", Summary: "Remove a passkey",
		DefaultStatus: http.StatusNoContent, Tags: []string{"me"}, Security: bySession, Errors: []int{401, 403, 404},
	}, s.removePasskey)
	huma.Register(api, huma.Operation{
		OperationID: "begin-passkey-sign-in", Method: http.MethodPost, Path: "/api/v1/session/passkey/options", Summary: "Begin to sign in by passkey",
		Tags: []string{"session"}, Metadata: open, Errors: []int{409, 429},
	}, s.beginPasskeySignIn)
	huma.Register(api, huma.Operation{
		OperationID: "passkey-sign-in", Method: http.MethodPost, Path: "/api/v1/session/passkey", Summary: "Sign in by passkey",
		Tags: []string{"session"}, Metadata: open, Errors: []int{401, 409, 429},
	}, s.passkeySignIn)
}

// site returns the address that the browser shows, if this node serves it: a
// name that somebody made up must not become part of a passkey or a redirect.
func (s *Server) site(host string) (people.Site, error) {
	authority := strings.ToLower(host)
	name, port, err := net.SplitHostPort(authority)
	switch {
	case err != nil:
		name = authority
	case port == "443": // browsers leave it out of an origin
		authority = strings.TrimSuffix(authority, ":443")
	}
	if name = strings.Trim(name, "[]"); !local(name) && (s.o.Hosts == nil || !s.o.Hosts(name)) {
		return people.Site{}, fault.New(fault.Conflict, "This node does not serve the name in the address. Open the console by a name that its certificate is valid for, or add the name to https.hosts.")
	}
	return people.Site{Host: name, Origin: "https://" + authority}, nil
}

func shownPasskey(k people.Passkey) Passkey {
	return Passkey{ID: k.ID, Name: k.Name, Created: k.Created, Used: k.Used}
}

func (s *Server) passkeys(ctx context.Context, _ *struct{}) (*passkeysAnswer, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	all, err := s.o.Door.Passkeys(ctx, c.user.ID)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &passkeysAnswer{}
	out.Body.Passkeys = make([]Passkey, len(all))
	for i, k := range all {
		out.Body.Passkeys[i] = shownPasskey(k)
	}
	return out, nil
}

func (s *Server) beginPasskey(ctx context.Context, in *visit) (*creationOptions, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	site, err := s.site(in.host)
	if err != nil {
		return nil, s.failed(err)
	}
	options, err := s.o.Door.BeginPasskey(ctx, c.user, site, in.client)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &creationOptions{}
	out.Body.PublicKey = options
	return out, nil
}

func (s *Server) addPasskey(ctx context.Context, in *newPasskey) (*passkeyAnswer, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	site, err := s.site(in.host)
	if err != nil {
		return nil, s.failed(err)
	}
	credential, err := json.Marshal(in.Body.Credential)
	if err != nil {
		return nil, s.failed(err)
	}
	k, err := s.o.Door.AddPasskey(ctx, c.actor(), c.user, site, in.Body.Name, credential)
	if err != nil {
		return nil, s.failed(err)
	}
	return &passkeyAnswer{Body: shownPasskey(k)}, nil
}

func (s *Server) removePasskey(ctx context.Context, in *passkeyPath) (*struct{}, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	return s.nothing(s.o.Door.RemovePasskey(ctx, c.actor(), c.user, in.ID))
}

func (s *Server) beginPasskeySignIn(_ context.Context, in *visit) (*requestOptions, error) {
	site, err := s.site(in.host)
	if err != nil {
		return nil, s.failed(err)
	}
	options, id, err := s.o.Door.BeginPasskeySignIn(site, in.client)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &requestOptions{}
	out.Body.PublicKey, out.Body.ID = options, id
	return out, nil
}

func (s *Server) passkeySignIn(ctx context.Context, in *passkeySignIn) (*sessionAnswer, error) {
	site, err := s.site(in.host)
	if err != nil {
		return nil, s.failed(err)
	}
	credential, err := json.Marshal(in.Body.Credential)
	if err != nil {
		return nil, s.failed(err)
	}
	user, session, cookie, err := s.o.Door.SignInByPasskey(ctx, site, in.Body.ID, credential, in.client)
	if err != nil {
		return nil, s.failed(err)
	}
	return s.signedIn(user, session, cookie), nil
}
