package token_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dialtone/internal/event"
	"dialtone/internal/voice/token"
)

// with replaces one piece of the good payload.
func with(old, replacement string) string {
	if !strings.Contains(accessPayload, old) {
		panic("the payload has no " + old)
	}
	return strings.Replace(accessPayload, old, replacement, 1)
}

type refusalCase struct {
	name   string
	text   string
	reason token.Reason
	part   token.Part
}

func refusalCases() []refusalCase {
	good := forge(accessHeader, accessPayload, secret)
	seg := strings.Split(good, ".")
	access := func(payload string) string { return forge(accessHeader, payload, secret) }
	capability := func(scope string) string { return forge(capabilityHeader, scoped(scope), authToken) }
	header := func(h string) string { return forge(h, accessPayload, secret) }
	long := strings.Repeat("é", token.MaxIdentity+1)
	const whole, inHeader, inPayload, inSignature = token.Whole, token.Header, token.Payload, token.Signature
	return []refusalCase{
		{"nothing", "", token.ReasonEmpty, whole},
		{"over 8 KiB", access(with(`"alice"`, `"`+strings.Repeat("a", 8<<10)+`"`)), token.ReasonTooLarge, whole},
		{"a ticket of nobody's", strings.Repeat("0a", 32), token.ReasonTicketUnknown, whole},
		{"a ticket of another length", strings.Repeat("0a", 16), token.ReasonTicketUnknown, whole},
		{"hexadecimal digits in capitals", strings.Repeat("0A", 32), token.ReasonSegments, whole},
		{"hexadecimal digits over 8 KiB", strings.Repeat("0a", 5<<10), token.ReasonTooLarge, whole},
		{"two segments", seg[0] + "." + seg[1], token.ReasonSegments, whole},
		{"four segments", good + ".", token.ReasonSegments, whole},
		{"JSON serialization", `{"payload":"","signatures":[]}`, token.ReasonSegments, whole},
		{"no header", "." + seg[1] + "." + seg[2], token.ReasonSegmentEmpty, inHeader},
		{"no payload", forge(accessHeader, "", secret), token.ReasonSegmentEmpty, inPayload},
		{"a padded header", seg[0] + "=." + seg[1] + "." + seg[2], token.ReasonPadding, inHeader},
		{"a padded signature", good + "=", token.ReasonPadding, inSignature},
		{"a signature in the standard alphabet", seg[0] + "." + seg[1] + "." + standard(good), token.ReasonStandardAlphabet, inSignature},
		{"a line break at the end", good + "\n", token.ReasonLineBreak, inSignature},
		{"a line break in the payload", seg[0] + "." + seg[1][:8] + "\r\n" + seg[1][8:] + "." + seg[2], token.ReasonLineBreak, inPayload},
		{"a space before", " " + good, token.ReasonIllegalCharacter, inHeader},
		{"a zero byte", good + "\x00", token.ReasonIllegalCharacter, inSignature},
		{"a length of 1 mod 4", seg[0] + "." + seg[1] + "." + seg[2] + "AA", token.ReasonSegmentLength, inSignature},
		{"stray bits in the signature", seg[0] + "." + seg[1] + "." + stray(seg[2]), token.ReasonTrailingBits, inSignature},
		{"no signature", seg[0] + "." + seg[1] + ".", token.ReasonSignatureMissing, inSignature},
		{"a shortened signature", good[:len(good)-3], token.ReasonSignatureMismatch, inSignature},
		{"another key's signature", forge(accessHeader, accessPayload, authToken), token.ReasonSignatureMismatch, inSignature},
		{"the empty key's signature", forge(accessHeader, accessPayload, nil), token.ReasonSignatureMismatch, inSignature},
		{"another token's payload", seg[0] + "." + encode(with("alice", "mallory")) + "." + seg[2], token.ReasonSignatureMismatch, inSignature},

		{"a header that is no JSON", header("HS256"), token.ReasonNotJSON, inHeader},
		{"a byte order mark", header("\ufeff" + accessHeader), token.ReasonNotJSON, inHeader},
		{"a cut payload", access(accessPayload[:len(accessPayload)-1]), token.ReasonNotJSON, inPayload},
		{"a header that is an array", header(`["HS256"]`), token.ReasonNotObject, inHeader},
		{"a payload that is null", access("null"), token.ReasonNotObject, inPayload},
		{"a second payload", access(accessPayload + "{}"), token.ReasonTrailingData, inPayload},
		{"junk after the claims", access(accessPayload + "junk"), token.ReasonTrailingData, inPayload},
		{"a zero byte after the claims", access(accessPayload + "\x00"), token.ReasonTrailingData, inPayload},
		{"alg twice", header(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","alg":"HS256"}`), token.ReasonDuplicateName, inHeader},
		{"sub twice", access(with(`"sub":`, `"sub":"`+account+`","sub":`)), token.ReasonDuplicateName, inPayload},
		{"sub twice, once escaped", access(with(`"sub":`, `"\u0073ub":"`+account+`","sub":`)), token.ReasonDuplicateName, inPayload},
		{"a name twice in an unknown claim", access(with(`"sub":`, `"x":[{"y":1,"y":2}],"sub":`)), token.ReasonDuplicateName, inPayload},
		{"an identity twice", access(with(`"identity":`, `"identity":"bob","identity":`)), token.ReasonDuplicateName, inPayload},
		{"an expired exp and a future EXP", access(with(`"exp":1763833600`, `"exp":1763820000,"EXP":1763833600`)), token.ReasonNameCase, inPayload},
		{"an escaped EXP", access(with(`"exp":1763833600`, `"exp":1763833600,"\u0045xp":1`)), token.ReasonNameCase, inPayload},
		{"ſub, which folds to sub", access(with(`"sub":`, `"ſub":"x","sub":`)), token.ReasonNameCase, inPayload},
		{"Alg beside alg", header(`{"alg":"HS256","Alg":"none","typ":"JWT","cty":"twilio-fpa;v=1"}`), token.ReasonNameCase, inHeader},
		{"Identity beside identity", access(with(`"identity":`, `"Identity":"bob","identity":`)), token.ReasonNameCase, inPayload},
		{"invalid UTF-8 in the identity", access(with("alice", "al\xffce")), token.ReasonInvalidUTF8, inPayload},
		{"invalid UTF-8 in an unknown claim", access(with(`"sub":`, "\"x\":\"\xc0\xaf\",\"sub\":")), token.ReasonInvalidUTF8, inPayload},
		{"a lone surrogate", access(with("alice", `al\ud800ce`)), token.ReasonInvalidUTF8, inPayload},
		{"a surrogate in UTF-8", access(with("alice", "al\xed\xa0\x80ce")), token.ReasonInvalidUTF8, inPayload},
		{"exp as a string", access(with("1763833600", `"1763833600"`)), token.ReasonValueType, inPayload},
		{"exp null", access(with("1763833600", "null")), token.ReasonValueType, inPayload},
		{"nbf true", access(with(`"iat":`, `"nbf":true,"iat":`)), token.ReasonValueType, inPayload},
		{"a numeric identity", access(with(`"alice"`, "7")), token.ReasonValueType, inPayload},
		{"allow as a string", access(with("true", `"true"`)), token.ReasonValueType, inPayload},
		{"alg as a list", header(`{"alg":["HS256"],"typ":"JWT","cty":"twilio-fpa;v=1"}`), token.ReasonValueType, inHeader},
		{"grants as a list", access(with(`{"identity":"alice","voice":{"incoming":{"allow":true}}}`, "[]")), token.ReasonValueType, inPayload},
		{"nested parameters", access(with(`{"incoming":{"allow":true}}`, `{"outgoing":{"application_sid":"AP1","params":{"a":{"b":1}}}}`)), token.ReasonValueType, inPayload},

		{"alg none", encode(`{"alg":"none","typ":"JWT","cty":"twilio-fpa;v=1"}`) + "." + seg[1] + ".", token.ReasonAlgorithmNone, inHeader},
		{"alg NonE, signed", header(`{"alg":"NonE","typ":"JWT","cty":"twilio-fpa;v=1"}`), token.ReasonAlgorithmNone, inHeader},
		{"alg RS256 for a key of HS256", header(`{"alg":"RS256","typ":"JWT","cty":"twilio-fpa;v=1"}`), token.ReasonAlgorithmMismatch, whole},
		{"alg ES384", header(`{"alg":"ES384","typ":"JWT","cty":"twilio-fpa;v=1"}`), token.ReasonAlgorithmUnknown, inHeader},
		{"alg RS256 in a capability token", forge(`{"alg":"RS256","typ":"JWT"}`, scoped("scope:client:incoming?clientName=bob"), authToken), token.ReasonAlgorithmMismatch, inHeader},
		{"typ of an issuer's token", header(`{"alg":"HS256","typ":"at+jwt","cty":"twilio-fpa;v=1"}`), token.ReasonWrongType, inHeader},
		{"a numeric kid", header(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","kid":1}`), token.ReasonValueType, inHeader},
		{"alg hs256", header(`{"alg":"hs256","typ":"JWT","cty":"twilio-fpa;v=1"}`), token.ReasonAlgorithmUnknown, inHeader},
		{"no alg", header(`{"typ":"JWT","cty":"twilio-fpa;v=1"}`), token.ReasonAlgorithmUnknown, inHeader},
		{"HS512 for a key of HS256", header(`{"alg":"HS512","typ":"JWT","cty":"twilio-fpa;v=1"}`), token.ReasonAlgorithmMismatch, whole},
		{"HS256 for a key of HS384", access(strings.ReplaceAll(accessPayload, keyID, "SK384")), token.ReasonAlgorithmMismatch, whole},
		{"HS384 in a capability token", forge(`{"alg":"HS384","typ":"JWT"}`, scoped("scope:client:incoming?clientName=bob"), authToken), token.ReasonAlgorithmMismatch, inHeader},
		{"an unknown crit", header(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","crit":["exp"]}`), token.ReasonCriticalHeader, inHeader},
		{"an empty crit", header(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","crit":[]}`), token.ReasonCriticalHeader, inHeader},
		{"b64 without crit", header(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","b64":false}`), token.ReasonUnencodedPayload, inHeader},
		{"another typ", header(`{"alg":"HS256","typ":"JWE","cty":"twilio-fpa;v=1"}`), token.ReasonWrongType, inHeader},
		{"no typ", header(`{"alg":"HS256","cty":"twilio-fpa;v=1"}`), token.ReasonWrongType, inHeader},
		{"another cty", header(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=2"}`), token.ReasonContentType, inHeader},
		{"an empty cty", header(`{"alg":"HS256","typ":"JWT","cty":""}`), token.ReasonContentType, inHeader},

		{"no iss", access(with(`"iss":"`+keyID+`",`, "")), token.ReasonIssuer, inPayload},
		{"an account as iss of an access token", access(with(`"iss":"`+keyID, `"iss":"`+account)), token.ReasonIssuer, inPayload},
		{"a key as iss of a capability token", forge(capabilityHeader, strings.Replace(scoped("scope:client:incoming?clientName=b"), account, keyID, 1), secret), token.ReasonIssuer, inPayload},
		{"no sub", access(with(`,"sub":"`+account+`"`, "")), token.ReasonSubject, inPayload},
		{"an aud", access(with(`"sub":`, `"aud":"dialtone","sub":`)), token.ReasonAudience, inPayload},
		{"no exp", access(with(`"exp":1763833600,`, "")), token.ReasonExpiryMissing, inPayload},
		{"exp in milliseconds", access(with("1763833600", "1763833600000")), token.ReasonDateRange, inPayload},
		{"exp beyond floating point", access(with("1763833600", "1e999")), token.ReasonDateRange, inPayload},
		{"a negative iat", access(with(`"iat":1763830000`, `"iat":-1`)), token.ReasonDateRange, inPayload},
		{"exp now", access(with("1763833600", "1763830000")), token.ReasonExpired, inPayload},
		{"exp now and a fraction before", access(with("1763833600", "1763829999.9")), token.ReasonExpired, inPayload},
		{"exp zero", access(with("1763833600", "0")), token.ReasonExpired, inPayload},
		{"nbf beyond the leeway", access(with(`"iat":`, `"nbf":1763830031,"iat":`)), token.ReasonNotYetValid, inPayload},
		{"iat beyond the leeway", access(with(`"iat":1763830000`, `"iat":1763830031`)), token.ReasonIssuedInFuture, inPayload},

		{"no identity", access(with(`"identity":"alice",`, "")), token.ReasonIdentityMissing, inPayload},
		{"an empty identity", access(with("alice", "")), token.ReasonIdentityMissing, inPayload},
		{"no grants", access(with(`"grants":{"identity":"alice","voice":{"incoming":{"allow":true}}},`, "")), token.ReasonIdentityMissing, inPayload},
		{"a long identity", access(with("alice", long)), token.ReasonIdentityLength, inPayload},
		{"a control character", access(with("alice", `al\u0007ice`)), token.ReasonIdentityCharacters, inPayload},
		{"a C1 control character", access(with("alice", "al\u009bice")), token.ReasonIdentityCharacters, inPayload},
		{"DEL", access(with("alice", "al\x7fice")), token.ReasonIdentityCharacters, inPayload},
		{"no voice grant", access(with(`,"voice":{"incoming":{"allow":true}}`, `,"chat":{}`)), token.ReasonVoiceNotGranted, inPayload},

		{"no scope", capability(""), token.ReasonVoiceNotGranted, inPayload},
		{"a stream scope alone", capability("scope:stream:subscribe?path=/2010-04-01/Events"), token.ReasonVoiceNotGranted, inPayload},
		{"a scope that is none", capability("client:incoming"), token.ReasonScopeSyntax, inPayload},
		{"two spaces", capability("scope:client:incoming?clientName=b  scope:stream:subscribe"), token.ReasonScopeSyntax, inPayload},
		{"a bad escape", capability("scope:client:incoming?clientName=b%zz"), token.ReasonScopeSyntax, inPayload},
		{"an escape of invalid UTF-8", capability("scope:client:incoming?clientName=b%ff"), token.ReasonScopeSyntax, inPayload},
		{"incoming for nobody", capability("scope:client:incoming"), token.ReasonScopeSyntax, inPayload},
		{"outgoing without an application", capability("scope:client:outgoing?clientName=b"), token.ReasonScopeSyntax, inPayload},
		{"two incoming scopes", capability("scope:client:incoming?clientName=b scope:client:incoming?clientName=b"), token.ReasonScopeDuplicate, inPayload},
		{"two names in a scope", capability("scope:client:incoming?clientName=b&clientName=c"), token.ReasonScopeDuplicate, inPayload},
		{"an escaped second name", capability("scope:client:incoming?clientName=b&client%4eame=c"), token.ReasonScopeDuplicate, inPayload},
		{"two clients", capability("scope:client:outgoing?appSid=AP1&clientName=a scope:client:incoming?clientName=b"), token.ReasonIdentityConflict, inPayload},
		{"an empty client name", capability("scope:client:incoming?clientName="), token.ReasonIdentityMissing, inPayload},
		{"a control character in a client name", capability("scope:client:incoming?clientName=b%0a"), token.ReasonIdentityCharacters, inPayload},
		{"a long client name", capability("scope:client:incoming?clientName=" + strings.Repeat("%C3%A9", token.MaxIdentity+1)), token.ReasonIdentityLength, inPayload},

		{"an unknown key", access(strings.ReplaceAll(accessPayload, keyID, "SKunknown")), token.ReasonUnknownKey, whole},
		{"a key without a secret", forge(accessHeader, strings.ReplaceAll(accessPayload, keyID, "SKnone"), nil), token.ReasonUnknownKey, whole},
		{"an unknown account", forge(capabilityHeader, strings.Replace(scoped("scope:client:incoming?clientName=b"), account, "ACunknown", 1), authToken), token.ReasonUnknownAccount, whole},
		{"another account's key", access(with(`"sub":"`+account, `"sub":"ACother`)), token.ReasonAccountMismatch, inPayload},
		{"a disabled key", access(strings.ReplaceAll(accessPayload, keyID, disabled)), token.ReasonKeyDisabled, whole},
		{"a replaced key", access(strings.ReplaceAll(accessPayload, keyID, retired)), token.ReasonKeyRetired, whole},

		{"an issuer nobody trusts", forge(issuerHeader, strings.Replace(issuerPayload, ownIssuer, "https://evil.example", 1), secret), token.ReasonUnknownIssuer, whole},
		{"an issuer without TLS", forge(accessHeader, strings.Replace(issuerPayload, "https:", "http:", 1), secret), token.ReasonIssuer, inPayload},
		{"an issuer with a line break", forge(accessHeader, strings.Replace(issuerPayload, ownIssuer, ownIssuer+`\n`, 1), secret), token.ReasonIssuer, inPayload},
		{"an issuer's token without kid", forge(`{"alg":"HS256","typ":"JWT"}`, issuerPayload, secret), token.ReasonKeyIDMissing, inHeader},
		{"an issuer's token with an empty kid", forge(`{"alg":"HS256","typ":"JWT","kid":""}`, issuerPayload, secret), token.ReasonKeyIDMissing, inHeader},
		{"another kid", forge(`{"alg":"HS256","typ":"JWT","kid":"k2"}`, issuerPayload, secret), token.ReasonUnknownKey, whole},
		{"an issuer's token of another typ", forge(`{"alg":"HS256","typ":"id+jwt","kid":"k1"}`, issuerPayload, secret), token.ReasonWrongType, inHeader},
		{"an issuer's token for nobody", forge(issuerHeader, strings.Replace(issuerPayload, `"aud":"`+audience+`",`, "", 1), secret), token.ReasonAudience, inPayload},
		{"an issuer's token for another", forge(issuerHeader, strings.Replace(issuerPayload, `"aud":"`+audience, `"aud":"x`+audience, 1), secret), token.ReasonAudience, inPayload},
		{"an issuer's token for no one of others", forge(issuerHeader, strings.Replace(issuerPayload, `"`+audience+`"`, `[]`, 1), secret), token.ReasonAudience, inPayload},
		{"a numeric aud", forge(issuerHeader, strings.Replace(issuerPayload, `"`+audience+`"`, `7`, 1), secret), token.ReasonValueType, inPayload},
		{"a number among aud", forge(issuerHeader, strings.Replace(issuerPayload, `"`+audience+`"`, `["`+audience+`",7]`, 1), secret), token.ReasonValueType, inPayload},
		{"an issuer's token without identity", forge(issuerHeader, strings.Replace(issuerPayload, `"identity":"alice",`, "", 1), secret), token.ReasonIdentityMissing, inPayload},
		{"an issuer's token with another's signature", forge(issuerHeader, issuerPayload, authToken), token.ReasonSignatureMismatch, inSignature},
		{"an issuer's expired token", forge(issuerHeader, strings.Replace(issuerPayload, "1763833600", "1763830000", 1), secret), token.ReasonExpired, inPayload},
	}
}

// standard writes the signature of text with '+' and '/'; for a signature that
// has neither it is made to have one.
func standard(text string) string {
	s := text[strings.LastIndexByte(text, '.')+1:]
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	if !strings.ContainsAny(s, "+/") {
		s = "+" + s[1:]
	}
	return s
}

// stray sets an unused bit of the last character.
func stray(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + string(alphabet[last|1])
}

func TestRefusals(t *testing.T) {
	v := verifier(newRing())
	for _, c := range refusalCases() {
		t.Run(c.name, func(t *testing.T) {
			claims, err := v.Verify(context.Background(), c.text)
			r := refused(t, err)
			if r.Reason != c.reason || r.Part != c.part {
				t.Errorf("refused for %q in %q, want %q in %q", r.Reason, r.Part, c.reason, c.part)
			}
			if claims.Identity != "" || claims.Account != "" {
				t.Errorf("a refused token gave claims: %+v", claims)
			}
			if r.Features.Size != len(c.text) {
				t.Errorf("Features.Size = %d, want %d", r.Features.Size, len(c.text))
			}
		})
	}
}

func TestRevoked(t *testing.T) {
	good := forge(accessHeader, accessPayload, secret)
	for name, is := range map[string]func(token.Claims) bool{
		"key":      func(c token.Claims) bool { return c.KeyID == keyID },
		"token":    func(c token.Claims) bool { return c.ID == keyID+"-1" },
		"identity": func(c token.Claims) bool { return c.Account == account && c.Identity == "alice" },
	} {
		r := newRing()
		r.revoked = is
		_, err := verifier(r).Verify(context.Background(), good)
		if got := refused(t, err).Reason; got != token.ReasonRevoked {
			t.Errorf("a revoked %s: %s", name, got)
		}
	}
}

// counter is a box of tickets that finds each in the state that its text begins with.
type counter struct{}

func (counter) Redeem(_ context.Context, ticket string, now time.Time) (token.Claims, token.Reason, error) {
	switch ticket[:2] {
	case "00":
		return token.Claims{}, token.ReasonTicketUsed, nil
	case "01":
		return token.Claims{}, token.ReasonTicketExpired, nil
	case "02":
		return token.Claims{}, "", errors.New("the store is away")
	case "03":
		return token.Claims{}, token.ReasonTicketUnknown, nil
	}
	return token.Claims{Account: account, ID: "TK1", Identity: "日本?", Incoming: true, Issued: now, Expires: now.Add(time.Hour)}, "", nil
}

func (c counter) Look(ctx context.Context, ticket string, now time.Time) (token.Claims, token.Reason, error) {
	if ticket[:2] == "00" {
		ticket = "ff" + ticket[2:]
	}
	return c.Redeem(ctx, ticket, now)
}

func ticket(state string) string { return state + strings.Repeat("ab", 31) }

func ticketCases() []refusalCase {
	return []refusalCase{
		{"a used ticket", ticket("00"), token.ReasonTicketUsed, token.Whole},
		{"an old ticket", ticket("01"), token.ReasonTicketExpired, token.Whole},
		{"a ticket of nobody's", ticket("03"), token.ReasonTicketUnknown, token.Whole},
		{"too short a ticket", ticket("ff")[:62], token.ReasonTicketUnknown, token.Whole},
	}
}

func TestTickets(t *testing.T) {
	r := newRing()
	v := token.NewVerifier(r, counter{}, func() time.Time { return clock })
	for _, c := range ticketCases() {
		_, err := v.Verify(context.Background(), c.text)
		got := refused(t, err)
		if got.Reason != c.reason || got.Part != c.part || got.Features.Kind != "ticket" || got.Features.Size != len(c.text) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if i := token.Inspect(c.text); i.Claims.Kind != token.Ticket || (i.Reason != "") != (len(c.text) != token.TicketSize) || i.Features != got.Features {
			t.Errorf("%s: inspected as %+v", c.name, i)
		}
	}

	good := ticket("ff")
	c, err := v.Verify(context.Background(), good)
	if err != nil || c.Kind != token.Ticket || c.Account != account || c.Identity != "日本?" || c.ID != "TK1" ||
		c.Features.Kind != "ticket" || c.Features.IdentityMod3 != 7%3 || !c.Features.IdentityNonASCII || c.Features.Size != 64 {
		t.Errorf("%+v, %v", c, err)
	}
	if i := token.Inspect(good).At(clock.Add(time.Hour)); i.Reason != "" || !strings.Contains(i.String(), "kind         ticket\n") {
		t.Errorf("inspected as %s", i)
	}
	if _, err := v.Examine(context.Background(), ticket("00")); err != nil {
		t.Errorf("a used ticket, examined: %v", err)
	}
	var judged *token.Refusal
	if _, err := v.Verify(context.Background(), ticket("02")); err == nil || errors.As(err, &judged) {
		t.Errorf("no store, but the ticket is judged: %v", err)
	}
	r.revoked = func(c token.Claims) bool { return c.ID == "TK1" }
	if _, err := v.Verify(context.Background(), good); refused(t, err).Reason != token.ReasonRevoked {
		t.Errorf("revoked: %v", err)
	}
	if !v.Revoked(c) {
		t.Error("a revoked ticket's claims still hold")
	}
}

// TestWaysClosed closes one way in after the other; the others stay open.
func TestWaysClosed(t *testing.T) {
	for way, text := range map[token.Kind]string{
		token.Access:     forge(accessHeader, accessPayload, secret),
		token.Capability: forge(capabilityHeader, scoped("scope:client:incoming?clientName=b"), authToken),
		token.Ticket:     ticket("ff"),
	} {
		for _, closed := range []token.Kind{token.Access, token.Capability, token.Ticket} {
			r := newRing()
			r.closed = map[token.Kind]bool{closed: true}
			_, err := token.NewVerifier(r, counter{}, func() time.Time { return clock }).Verify(context.Background(), text)
			if closed != way {
				if err != nil {
					t.Errorf("%s closed, %s refused: %v", closed, way, err)
				}
				continue
			}
			if got := refused(t, err); got.Reason != token.ReasonWayClosed || got.Part != token.Whole {
				t.Errorf("%s closed: %+v", closed, got)
			}
		}
	}
}

// TestEveryReasonIsShown fails when a Reason exists that no case is refused for.
func TestEveryReasonIsShown(t *testing.T) {
	shown := map[token.Reason]bool{token.ReasonRevoked: true, token.ReasonWayClosed: true} // TestRevoked, TestWaysClosed
	for _, c := range ticketCases() {
		shown[c.reason] = true
	}
	for _, c := range refusalCases() {
		shown[c.reason] = true
	}
	for _, c := range keyCases() {
		shown[c.reason] = true
	}
	all := token.Reasons()
	for _, r := range all {
		if !shown[r] {
			t.Errorf("no case is refused for %s", r)
		}
	}
	for r := range shown {
		if !slices.Contains(all, r) {
			t.Errorf("%s is not in Reasons", r)
		}
	}
	if slices.Sort(all); len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Error("Reasons holds a reason twice")
	}
}

func TestClasses(t *testing.T) {
	want := map[token.Reason]token.Class{
		token.ReasonExpired: token.Expired, token.ReasonTicketUsed: token.Expired, token.ReasonTicketExpired: token.Expired,
		token.ReasonKeyRetired: token.Unauthorized, token.ReasonUnknownIssuer: token.Unauthorized, token.ReasonWayClosed: token.Unauthorized,
		token.ReasonUnknownKey: token.Unauthorized, token.ReasonUnknownAccount: token.Unauthorized,
		token.ReasonAccountMismatch: token.Unauthorized, token.ReasonKeyDisabled: token.Unauthorized,
		token.ReasonRevoked: token.Unauthorized, token.ReasonVoiceNotGranted: token.Unauthorized,
	}
	for _, r := range token.Reasons() {
		class := want[r]
		if class == "" {
			class = token.Malformed
		}
		if r.Class() != class {
			t.Errorf("%s is %s, want %s", r, r.Class(), class)
		}
	}
}

func TestAccepted(t *testing.T) {
	v := verifier(newRing())
	for name, payload := range map[string]string{
		"as the helpers write it":   accessPayload,
		"space between":             strings.ReplaceAll(accessPayload, ",", " ,\n\t"),
		"dates as floats":           with("1763833600", "1.7638336e9"),
		"dates with a fraction":     with(`"iat":1763830000`, `"nbf":1763829999.25,"iat":1763830000.5`),
		"nbf and iat at the leeway": with(`"iat":1763830000`, `"nbf":1763830030,"iat":1763830030`),
		"a second left":             with("1763833600", "1763830001"),
		"half a second left":        with("1763833600", "1763830000.5"),
		"unknown claims":            with(`"sub":`, `"x":{"EXP":1,"a":[1,{"b":null}]},"sub":`),
		"an escaped name":           with(`"sub":`, `"\u0073ub":`),
		"no jti":                    with(`"jti":"`+keyID+`-1",`, ""),
		"other products' grants":    with(`"voice":`, `"chat":{"service_sid":"IS1"},"voice":`),
	} {
		c, err := v.Verify(context.Background(), forge(accessHeader, payload, secret))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Kind != token.Access || c.Account != account || c.KeyID != keyID || c.Identity != "alice" || !c.Incoming || c.Outgoing {
			t.Errorf("%s: %+v", name, c)
		}
	}
	for name, header := range map[string]string{
		"an unknown member": `{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","kid":"x","twr":"ie1","x":[1]}`,
		"another order":     ` { "cty" : "twilio-fpa;v=1" , "typ" : "JWT" , "alg" : "HS256" } `,
		"escapes":           `{"\u0061lg":"HS25\u0036","typ":"JWT","cty":"twilio-fpa;v=1"}`,
	} {
		if _, err := v.Verify(context.Background(), forge(header, accessPayload, secret)); err != nil {
			t.Errorf("a header with %s: %v", name, err)
		}
	}
}

func TestDates(t *testing.T) {
	c, err := verifier(newRing()).Verify(context.Background(),
		forge(accessHeader, with(`"iat":1763830000,"exp":1763833600`, `"iat":1.76383e9,"nbf":1763829999.25,"exp":1763833600.5`), secret))
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string][2]time.Time{
		"iat": {c.Issued, time.Unix(1763830000, 0)},
		"nbf": {c.NotBefore, time.Unix(1763829999, 250e6)},
		"exp": {c.Expires, time.Unix(1763833600, 500e6)},
	} {
		if !d[0].Equal(d[1]) {
			t.Errorf("%s is %v, want %v", name, d[0], d[1])
		}
	}
}

func TestOutgoingParams(t *testing.T) {
	for params, want := range map[string]string{
		`{"a":"1","b":2.50,"c":true,"d":null,"e":["x","y"]}`: "map[a:[1] b:[2.50] c:[true] e:[x y]]",
		`"a=1&b=x%20y"`: "map[a:[1] b:[x y]]", // twilio-go writes a string
		`{}`:            "map[]",
	} {
		c, err := verifier(newRing()).Verify(context.Background(), forge(accessHeader,
			with(`{"incoming":{"allow":true}}`, `{"outgoing":{"application_sid":"`+app+`","params":`+params+`},"push_credential_sid":"CR1"}`), secret))
		if err != nil {
			t.Errorf("%s: %v", params, err)
			continue
		}
		if !c.Outgoing || c.Incoming || c.OutgoingApp != app || c.PushCredential != "CR1" || fmt.Sprint(map[string][]string(c.OutgoingParams)) != want {
			t.Errorf("%s: %+v", params, c)
		}
	}
}

func TestIdentities(t *testing.T) {
	v, m := verifier(newRing()), minter()
	names := []string{"a", "who?", "a~b", "a>b", "é", "日本", "Ann O'Neil", `say "hi" \ /`, "a&b=c+d%20e;f", " ", "😀😀", strings.Repeat("日", token.MaxIdentity)}
	for _, name := range names {
		access, err := m.MintAccess(token.AccessGrant{Identity: name, Incoming: true}, clock)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		capability, err := m.MintCapability(token.CapabilityGrant{ClientName: name, Incoming: true, OutgoingApp: app}, clock)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		for _, text := range []string{access, capability} {
			c, err := v.Verify(context.Background(), text)
			if err != nil || c.Identity != name {
				t.Errorf("%q came back as %q, %v", name, c.Identity, err)
			}
			if c.Features.IdentityMod3 != len(name)%3 || c.Features.IdentityNonASCII != (strings.IndexFunc(name, func(r rune) bool { return r > 127 }) >= 0) {
				t.Errorf("%q: features %+v", name, c.Features)
			}
		}
	}
}

// TestFeaturesOfRefused shows that a cohort can be told also when the gate, or
// a key, refuses.
func TestFeaturesOfRefused(t *testing.T) {
	v := verifier(newRing())
	good := forge(accessHeader, with("alice", "日本>?"), secret)
	seg := strings.Split(good, ".")
	for name, text := range map[string]string{
		"padding":         good + "=",
		"a line break":    good + "\r\n",
		"stray bits":      seg[0] + "." + seg[1] + "." + stray(seg[2]),
		"a wrong payload": seg[0] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(seg[1]) + "." + seg[2],
		"a wrong key":     forge(accessHeader, with("alice", "日本>?"), authToken),
		"expired":         forge(accessHeader, strings.Replace(with("alice", "日本>?"), "1763833600", "1763830000", 1), secret),
	} {
		_, err := v.Verify(context.Background(), text)
		r := refused(t, err)
		if r.Account != account || r.Identity != "日本>?" {
			t.Errorf("%s: account %q, identity %q", name, r.Account, r.Identity)
		}
		f := r.Features
		if f.Kind != "access" || f.KeyID != keyID || f.Algorithm != "HS256" || f.Size != len(text) || f.IdentityMod3 != 8%3 || !f.IdentityNonASCII {
			t.Errorf("%s: %+v", name, f)
		}
		if name != "a wrong payload" && (f.PayloadDash != strings.Contains(seg[1], "-") || f.PayloadUnderscore != strings.Contains(seg[1], "_")) {
			t.Errorf("%s: %+v", name, f)
		}
	}

	_, err := v.Verify(context.Background(), strings.Repeat("0123456789abcdef", 2))
	if k := refused(t, err).Features.Kind; k != "ticket" {
		t.Errorf("32 hexadecimal digits are of kind %q", k)
	}
	_, err = v.Verify(context.Background(), forge(`{"alg":"x\u001b[31m","typ":"JWT"}`, `{"iss":"AC\u001b[31m","scope":"scope:client:incoming?clientName=%1b"}`, nil))
	if r := refused(t, err); r.Features.Algorithm != "other" || r.Features.KeyID != "" || r.Identity != "" || r.Account != "" {
		t.Errorf("what a stranger wrote got through: %+v", r)
	}
}

// TestFeatures compares the features of accepted and of refused tokens with what
// their segments hold, over names and signatures of every kind.
func TestFeatures(t *testing.T) {
	v := verifier(newRing())
	seen := map[string]int{}
	for n := range 300 {
		name := strings.Repeat("c", n%7) + []string{"?", "~", "é", "日本", "x"}[n%5]
		header := accessHeader
		if n%2 > 0 {
			header = `{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","x":"` + strings.Repeat(" ", n%3) + []string{"?", "~"}[n/2%2] + `"}`
		}
		key := secret
		if n%3 == 0 {
			key = authToken
		}
		text := forge(header, with("alice", name), key)
		c, err := v.Verify(context.Background(), text)
		f := c.Features
		if err != nil {
			f = refused(t, err).Features
		}
		seg := strings.Split(text, ".")
		holds := func(part int, chars string) bool { return strings.ContainsAny(seg[part], chars) }
		want := event.TokenFeatures{
			Kind: "access", KeyID: keyID, Algorithm: "HS256", Size: len(text),
			HeaderURLSafe: holds(0, "-_"), PayloadURLSafe: holds(1, "-_"), SignatureURLSafe: holds(2, "-_"),
			PayloadDash: holds(1, "-"), PayloadUnderscore: holds(1, "_"), SignatureDash: holds(2, "-"), SignatureUnderscore: holds(2, "_"),
			HeaderMod3: len(header) % 3, PayloadMod3: len(with("alice", name)) % 3, SignatureMod3: 32 % 3,
			IdentityMod3: len(name) % 3, IdentityNonASCII: name[len(name)-1] > 127,
		}
		if f != want {
			t.Fatalf("%q, %v:\n got %+v\nwant %+v", name, err, f, want)
		}
		for what, is := range map[string]bool{
			"header": f.HeaderURLSafe, "payload -": f.PayloadDash, "payload _": f.PayloadUnderscore,
			"signature -": f.SignatureDash, "signature _": f.SignatureUnderscore,
		} {
			seen[fmt.Sprint(what, is)]++
		}
	}
	if len(seen) != 10 {
		t.Errorf("not every feature was seen with and without: %v", seen)
	}
}

// TestErrorsSayNothing: no error holds a piece of the token.
func TestErrorsSayNothing(t *testing.T) {
	v := verifier(newRing())
	for _, c := range refusalCases() {
		_, err := v.Verify(context.Background(), c.text)
		for i := 0; i+12 <= len(c.text); i += 4 {
			if strings.Contains(err.Error(), c.text[i:i+12]) {
				t.Fatalf("%s: the error quotes the token", c.name)
			}
		}
	}
}

// TestConcurrent lets good and bad tokens pass one verifier side by side: no
// token's claims may appear in another's.
func TestConcurrent(t *testing.T) {
	v, m := verifier(newRing()), minter()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 50 {
				name := fmt.Sprintf("agent-%d-%d?", g, n)
				text, err := m.MintAccess(token.AccessGrant{Identity: name, Incoming: true}, clock)
				if err != nil {
					t.Error(err)
					return
				}
				if c, err := v.Verify(context.Background(), text); err != nil || c.Identity != name {
					t.Errorf("%q came back as %q, %v", name, c.Identity, err)
				}
				_, err = v.Verify(context.Background(), text[:len(text)-4]+"AAAA")
				if r, ok := err.(*token.Refusal); !ok || r.Identity != name || r.Reason != token.ReasonSignatureMismatch { //nolint:errorlint // not wrapped, by contract
					t.Errorf("%q, forged: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestReasonsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range token.Reasons() {
		if !strings.Contains(string(doc), "`"+string(r)+"`") {
			t.Errorf("docs/tokens.md does not explain %s", r)
		}
	}
}
