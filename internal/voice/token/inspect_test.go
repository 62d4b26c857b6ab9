package token_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/token"
)

func TestInspect(t *testing.T) {
	text, err := minter().MintCapability(token.CapabilityGrant{ClientName: "who?", Incoming: true}, clock)
	if err != nil {
		t.Fatal(err)
	}
	i := token.Inspect(text).At(clock)
	signature := text[strings.LastIndexByte(text, '.')+1:]
	for _, want := range []string{
		"gate         passes, if the key exists and the signature is right\n",
		"kind         capability\n",
		"header       36 characters, 27 bytes (0 mod 3), neither '-' nor '_'\n",
		"    \"scope\": \"scope:client:incoming?clientName=who%3F\",\n",
		"account      " + account + "\n",
		"identity     who? (4 bytes, 1 mod 3)\n",
		"allows       incoming\n",
		"issued       2025-11-22T16:46:40Z\n",
		"expires      2025-11-22T17:46:40Z\n",
	} {
		if !strings.Contains(i.String(), want) {
			t.Errorf("the inspection lacks %q:\n%s", want, i)
		}
	}
	if strings.Contains(i.String(), signature) {
		t.Error("the inspection shows the signature")
	}
	for _, p := range i.Parts {
		segment := strings.Split(text, ".")[map[token.Part]int{token.Header: 0, token.Payload: 1, token.Signature: 2}[p.Part]]
		for _, at := range p.Underscores {
			if segment[at] != '_' {
				t.Errorf("no underscore at %d of the %s", at, p.Part)
			}
		}
		if len(p.Underscores) != strings.Count(segment, "_") || len(p.Dashes) != strings.Count(segment, "-") {
			t.Errorf("%s: %v %v in %s", p.Part, p.Dashes, p.Underscores, segment)
		}
	}
	if late := i.At(clock.Add(time.Hour)); late.Reason != token.ReasonExpired || !strings.Contains(late.String(), "refuses it: expired (payload)") {
		t.Errorf("an hour later: %s", late)
	}
}

// TestInspectAgreesWithVerify: without a key, an inspection finds the same
// reason unless the reason lies in the key or the signature.
func TestInspectAgreesWithVerify(t *testing.T) {
	keyed := map[token.Reason]bool{
		token.ReasonSignatureMismatch: true, token.ReasonAlgorithmMismatch: true, token.ReasonUnknownKey: true,
		token.ReasonUnknownAccount: true, token.ReasonAccountMismatch: true, token.ReasonKeyDisabled: true, token.ReasonKeyRetired: true,
		token.ReasonUnknownIssuer: true, token.ReasonTicketUnknown: true,
	}
	for _, c := range refusalCases() {
		i := token.Inspect(c.text).At(clock)
		other := c.reason == token.ReasonAudience && i.Claims.Issuer != "" // whom an issuer must mean is known with its key
		if i.Reason != c.reason && !((keyed[c.reason] || other) && i.Reason == "") {
			t.Errorf("%s: inspected as %q, refused for %s", c.name, i.Reason, c.reason)
		}
		if i.String() == "" {
			t.Errorf("%s: nothing to show", c.name)
		}
	}
}

func TestInspectShowsBrokenTokens(t *testing.T) {
	good := forge(accessHeader, accessPayload, secret)
	i := token.Inspect(strings.ReplaceAll(good, ".", "=.") + "\n")
	if i.Reason != token.ReasonPadding || i.Part != token.Header || i.Claims.Identity != "alice" || !strings.Contains(i.String(), `"identity": "alice"`) {
		t.Errorf("%s", i)
	}
	hostile := token.Inspect(forge(`{"alg":"HS256","typ":"JWT"}`, "{\"scope\":\"\u009b31m\u202e\",\"iss\":\"AC\\u001b\"}\x1b[2J", nil))
	if s := hostile.String(); strings.ContainsAny(s, "\x1b\u009b\u202e") {
		t.Errorf("a terminal would act on %q", s)
	}
	if s := token.Inspect("").String(); !strings.Contains(s, "refuses it: empty") {
		t.Errorf("nothing is shown as %s", s)
	}
}

// TestCohorts mints and verifies names that put '-' and '_' at every place of a
// group of the payload and of the signature where they can stand, for both
// kinds and every length modulo 3: the cohorts of the outage.
func TestCohorts(t *testing.T) {
	v, m := verifier(newRing()), minter()
	type place struct {
		kind token.Kind
		part token.Part
		char byte
		at   int
	}
	seen := map[place]int{}
	var mods [3]int
	for n := range 24 {
		for _, piece := range []string{"a", "?", ">", "~", "é", "日", "ÿ", "û", "￿", "𝄞"} {
			name := strings.Repeat("c", n) + piece + strings.Repeat(piece, n%4)
			for s := range 4 {
				at := clock.Add(time.Duration(-s) * time.Second)
				access, err := m.MintAccess(token.AccessGrant{Identity: name, Incoming: true}, at)
				if err != nil {
					t.Fatal(err)
				}
				// The vendor's libraries escape a client name; others may not.
				legacy := forge(capabilityHeader, `{"scope":"scope:client:incoming?clientName=`+name+`","iss":"`+account+`","exp":1763833600,"iat":`+at.Format("150405")+`}`, authToken)
				for _, text := range []string{access, legacy} {
					c, err := v.Verify(context.Background(), text)
					if err != nil || c.Identity != name {
						t.Fatalf("%q: %q, %v", name, c.Identity, err)
					}
					mods[c.Features.IdentityMod3]++
					for _, p := range token.Inspect(text).Parts {
						for _, at := range p.Dashes {
							seen[place{c.Kind, p.Part, '-', at % 4}]++
						}
						for _, at := range p.Underscores {
							seen[place{c.Kind, p.Part, '_', at % 4}]++
						}
					}
				}
			}
		}
	}
	for _, k := range []token.Kind{token.Access, token.Capability} {
		for _, c := range []byte("-_") {
			for at := range 4 {
				if seen[place{k, token.Signature, c, at}] == 0 {
					t.Errorf("no %s token has %q at %d mod 4 of its signature", k, c, at)
				}
				// The first character of a group is the upper six bits of a byte, and
				// no byte of UTF-8 is 0xf8 or above.
				if (at > 0) != (seen[place{k, token.Payload, c, at}] > 0) {
					t.Errorf("%s tokens and %q at %d mod 4 of their payload: want them exactly at 1, 2 and 3", k, c, at)
				}
			}
		}
	}
	for mod, n := range mods {
		if n == 0 {
			t.Errorf("no identity of length %d mod 3", mod)
		}
	}
}
