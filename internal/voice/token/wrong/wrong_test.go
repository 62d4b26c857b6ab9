package wrong_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"dialtone/internal/voice/token"
	"dialtone/internal/voice/token/wrong"
)

// real lets everything in that it was told to, and says who asked.
type real struct {
	accepts  map[string]token.Claims
	examined int
}

func (r *real) Verify(_ context.Context, text string) (token.Claims, error) {
	if c, ok := r.accepts[text]; ok {
		return c, nil
	}
	return token.Claims{}, &token.Refusal{Reason: token.ReasonSignatureMismatch}
}

func (r *real) Examine(ctx context.Context, text string) (token.Claims, error) {
	r.examined++
	return r.Verify(ctx, text)
}

func (*real) Revoked(c token.Claims) bool { return c.Identity == "gone" }

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

const ticket = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// TestDoublesPassOnWhatTheyAreNotWrongAbout: each double is a whole verifier.
func TestDoublesPassOnWhatTheyAreNotWrongAbout(t *testing.T) {
	names := map[string]bool{}
	for _, d := range wrong.Doubles() {
		if names[d.Name] || d.Name == "" || d.What == "" {
			t.Errorf("%q: no name of its own, or nothing said of it", d.Name)
		}
		names[d.Name] = true
		inner := &real{accepts: map[string]token.Claims{ticket: {Identity: "alice"}}}
		v := d.Wrap(inner)
		if c, err := v.Verify(t.Context(), ticket); err != nil || c.Identity != "alice" {
			t.Errorf("%s: a ticket: %+v %v", d.Name, c, err)
		}
		if c, err := v.Examine(t.Context(), ticket); err != nil || c.Identity != "alice" || inner.examined == 0 {
			t.Errorf("%s: examined: %+v %v", d.Name, c, err)
		}
		if !v.Revoked(token.Claims{Identity: "gone"}) || v.Revoked(token.Claims{Identity: "alice"}) {
			t.Errorf("%s does not pass on revocation", d.Name)
		}
		if _, err := v.Verify(t.Context(), "nonsense"); err == nil {
			t.Errorf("%s accepts nonsense", d.Name)
		}
	}
}

func TestOneWayInIsRefused(t *testing.T) {
	access := encode(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1"}`) + "." + encode("{}") + ".AA"
	capability := encode(`{"alg":"HS256","typ":"JWT"}`) + "." + encode("{}") + ".AA"
	inner := &real{accepts: map[string]token.Claims{ticket: {}, access: {}, capability: {}}}
	for want, v := range map[string]*wrong.Verifier{
		"-ac": wrong.Tickets(inner), "t-c": wrong.Access(inner), "ta-": wrong.Capability(inner),
	} {
		got := ""
		for _, text := range []string{ticket, access, capability} {
			_, err := v.Verify(t.Context(), text)
			var r *token.Refusal
			switch {
			case err == nil:
				got += map[string]string{ticket: "t", access: "a", capability: "c"}[text]
			case errors.As(err, &r) && r.Reason.Class() == token.Malformed && r.Features.Size == len(text):
				got += "-"
			}
		}
		if got != want {
			t.Errorf("%s lets in %s", want, got)
		}
	}
}

// TestWithoutExamine: what cannot look without using up says so.
func TestWithoutExamine(t *testing.T) {
	v := wrong.Tickets(struct{ wrong.Judge }{&real{}})
	if _, err := v.Examine(t.Context(), ticket); err == nil || !strings.Contains(err.Error(), "cannot examine") {
		t.Error(err)
	}
	if v.Revoked(token.Claims{Identity: "gone"}) {
		t.Error("revoked by nobody")
	}
}
