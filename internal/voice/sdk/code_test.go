package sdk

import (
	"slices"
	"testing"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/token"
)

// known are the error codes of @twilio/voice-sdk 2.18.5 (errorsByCode); others
// become 53000 or 31005 in an app.
var known = []int{
	20101, 20104, 20151, 31000, 31001, 31002, 31003, 31005, 31008, 31009, 31100, 31101, 31102, 31103, 31104, 31105, 31107,
	31201, 31202, 31203, 31204, 31205, 31206, 31207, 31209, 31210, 31212, 31400, 31401, 31402, 31404, 31480, 31486, 31603,
	53000, 53001, 53400, 53402, 53405,
}

func TestEveryEndCauseHasACode(t *testing.T) {
	for _, cause := range call.Causes {
		code, ok := endCodes[cause]
		if !ok {
			t.Errorf("%s has no code", cause)
			continue
		}
		e := endError(cause)
		if (code == codeNone) != (e == nil) {
			t.Errorf("%s: code %d, error %v", cause, code, e)
		}
		if e == nil {
			continue
		}
		if !slices.Contains(known, e.Code) {
			t.Errorf("%s: the SDKs do not know %d", cause, e.Code)
		}
		if e.Message == "" {
			t.Errorf("%s has no text", cause)
		}
	}
	if len(endCodes) != len(call.Causes) {
		t.Errorf("%d codes for %d causes", len(endCodes), len(call.Causes))
	}
	if e := endError("new cause"); e == nil || e.Code != codeUnknown {
		t.Errorf("an unknown cause: %v", e)
	}
}

func TestRefusalsAreToldApart(t *testing.T) {
	want := map[token.Class]int{token.Malformed: 31204, token.Expired: 31205, token.Unauthorized: 31201}
	for _, reason := range token.Reasons() {
		if e := refusal(reason.Class()); e.Code != want[reason.Class()] || e.Message == "" {
			t.Errorf("%s: %+v", reason, e)
		}
	}
}

func TestRefusedOffers(t *testing.T) {
	for kind, want := range map[fault.Kind]call.EndCause{
		fault.TooMany: call.Overload, fault.Unavailable: call.Shutdown, fault.Forbidden: call.Forbidden,
		fault.NotFound: call.NotFound, fault.Internal: call.Failed, fault.Invalid: call.Failed,
	} {
		if got := refusedCause(fault.New(kind, "no")); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func TestDestination(t *testing.T) {
	for to, want := range map[string]call.Address{
		"+15550100":         call.Phone("+15550100"),
		" +1 (555) 010-0 ":  call.Phone("+15550100"),
		"00441632960001":    call.Phone("00441632960001"),
		"112":               call.Phone("112"),
		"client:bob":        call.Client("bob"),
		"client:":           {},
		"":                  {},
		"conference-room":   {},
		"sip:a@example.com": {},
		"+":                 {},
		"+1234567890123456": {},
		"1+5550100":         {},
		"٣٣٣":               {},
	} {
		if got := destination(to); got != want {
			t.Errorf("%q: %+v, want %+v", to, got, want)
		}
	}
}
