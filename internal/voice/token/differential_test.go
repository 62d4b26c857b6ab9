package token_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"dialtone/internal/voice/token"
)

// changes are what happens to one segment of a token on its way, or in a library
// that encodes it wrongly. Header and payload are signed as they were changed.
func changes() []func(segment string) string {
	return []func(string) string{
		func(s string) string { return s },
		func(s string) string { return s + "=" },
		func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) },
		func(s string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(s) },
		func(s string) string { return s[:len(s)/2] + "\r\n" + s[len(s)/2:] },
		func(s string) string { return s + "\n" },
		func(s string) string { return " " + s },
		func(s string) string {
			if s == "" {
				return s
			}
			return stray(s)
		},
		func(s string) string { return s + "A" },
		func(s string) string { return s[:max(len(s)-1, 0)] },
		func(s string) string { return s + "." },
		func(string) string { return "" },
		func(s string) string { return s + "\x00" },
	}
}

// sample is what the libraries and we are asked about.
type sample struct {
	header, payload string
	part, change    uint8
}

func (s sample) text() string {
	change := changes()[int(s.change)%len(changes())]
	seg := [2]string{encode(s.header), encode(s.payload)}
	if part := s.part % 3; part < 2 {
		seg[part] = change(seg[part])
		signed := seg[0] + "." + seg[1]
		return signed + "." + mac(signed, secret)
	}
	signed := seg[0] + "." + seg[1]
	return signed + "." + change(mac(signed, secret))
}

// strictReaders are the libraries as strict as each can be.
func strictReaders() []reader { return []reader{golangJWT, goJose, jwxJWT} }

// looser is the table of what we refuse and libraries accept: by which of them, and
// why we refuse. A reason that is not here is one that every library must share.
func looser() map[token.Reason]struct {
	by  []reader
	why string
} {
	type row = struct {
		by  []reader
		why string
	}
	all := strictReaders()
	return map[token.Reason]row{
		token.ReasonPadding:            {[]reader{jwxJWT}, "RFC 7515 section 2: no padding"},
		token.ReasonStandardAlphabet:   {[]reader{jwxJWT}, "RFC 7515 section 2: base64url"},
		token.ReasonLineBreak:          {all, "RFC 7515 section 2: no line breaks; encoding/base64 skips them"},
		token.ReasonTrailingBits:       {[]reader{goJose, jwxJWT}, "two texts would be one token (RFC 4648 section 3.5)"},
		token.ReasonTrailingData:       {[]reader{jwxJWT}, "a payload is one JSON object (RFC 7519 section 7.2)"},
		token.ReasonNotJSON:            {[]reader{jwxJWT}, "RFC 8259 section 7: control characters in strings must be escaped"},
		token.ReasonNotObject:          {[]reader{goJose}, "a claim set is an object (RFC 7519 section 7.2); null says nothing"},
		token.ReasonDuplicateName:      {all, "which counts is a matter of the reader (RFC 7515 section 4, RFC 7519 section 4)"},
		token.ReasonNameCase:           {all, "readers that fold names would take it for the real one"},
		token.ReasonInvalidUTF8:        {all, "RFC 7515 section 3: UTF-8; readers replace what is none, so that two names become one"},
		token.ReasonValueType:          {all, "a member with a meaning for us, or for the vendor, has none of this type"},
		token.ReasonCriticalHeader:     {all, "RFC 7515 section 4.1.11: what we do not implement must not be accepted; go-jose takes an empty list, jwx null for absent"},
		token.ReasonUnencodedPayload:   {[]reader{golangJWT, goJose}, "RFC 7797: whatever it says, it is about how the payload is encoded; go-jose takes null for absent"},
		token.ReasonWrongType:          {all, "RFC 8725 section 3.11: explicit types keep one kind of token from passing as another"},
		token.ReasonContentType:        {all, "it is another kind of token"},
		token.ReasonKeyIDMissing:       {all, "an issuer's keys are told apart by kid"},
		token.ReasonIssuer:             {all, "iss names the key"},
		token.ReasonSubject:            {all, "sub names the account"},
		token.ReasonAudience:           {all, "RFC 7519 section 4.1.3: it is meant for someone else"},
		token.ReasonExpiryMissing:      {[]reader{goJose, jwxJWT}, "a token without an end cannot be waited out"},
		token.ReasonExpired:            {[]reader{goJose}, "RFC 7519 section 4.1.4: on or after exp it must not be accepted"},
		token.ReasonDateRange:          {all, "no date of ours is before 1970 or after 9999: it is in milliseconds or made up"},
		token.ReasonIssuedInFuture:     {[]reader{golangJWT}, "the clock that made it is wrong, and so is its exp"},
		token.ReasonIdentityMissing:    {all, "a device needs a name"},
		token.ReasonIdentityLength:     {all, "as the vendor's"},
		token.ReasonIdentityCharacters: {all, "as the vendor's; such a name cannot be shown"},
		token.ReasonIdentityConflict:   {all, "which of the names is the device's is unknown"},
		token.ReasonScopeSyntax:        {all, "what a scope that cannot be read allows is unknown"},
		token.ReasonScopeDuplicate:     {all, "which of them counts is unknown"},
		token.ReasonVoiceNotGranted:    {all, "it is for another product"},
		token.ReasonUnknownKey:         {all, "the libraries are told the key; we look for it"},
		token.ReasonUnknownAccount:     {all, "as above"},
		token.ReasonUnknownIssuer:      {all, "as above"},
		token.ReasonAccountMismatch:    {all, "as above"},
		token.ReasonKeyDisabled:        {all, "as above"},
		token.ReasonKeyRetired:         {all, "as above"},
	}
}

// stricter is the table of what we accept and a library refuses.
func stricter() []struct {
	by   reader
	when func(s sample) bool
	why  string
} {
	const (
		huge  = "a number that no float64 holds: we convert none that means nothing to us"
		early = "nbf and iat may be Leeway ahead with us; the library has none, or another"
	)
	return []struct {
		by   reader
		when func(s sample) bool
		why  string
	}{
		{golangJWT, sample.huge, huge},
		{goJose, sample.huge, huge},
		{jwxJWT, sample.huge, huge},
		{golangJWT, sample.early, early},
		{goJose, sample.early, early},
		{jwxJWT, sample.early, early},
		{goJose, sample.bringsKey, `it reads "jwk" and "x5c"; we never take a key from a token, whatever it is`},
		{goJose, sample.nonce, `it reads "nonce", which is ACME's (RFC 8555 section 6.5.2) and means nothing here`},
	}
}

// huge reports whether a number is too large for a float64.
func (s sample) huge() bool {
	for _, text := range []string{s.header, s.payload} {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		for {
			t, err := dec.Token()
			if err != nil {
				break
			}
			if n, ok := t.(json.Number); ok {
				if _, err := n.Float64(); err != nil {
					return true
				}
			}
		}
	}
	return false
}

func (s sample) early() bool {
	c := token.Inspect(s.text()).Claims
	return c.Issued.After(clock) || c.NotBefore.After(clock)
}

func (s sample) bringsKey() bool { return s.names("jwk") || s.names("x5c") }

func (s sample) nonce() bool { return s.names("nonce") }

// names reports whether the header has the member.
func (s sample) names(member string) bool {
	var h map[string]json.RawMessage
	return json.Unmarshal([]byte(s.header), &h) == nil && h[member] != nil
}

// explained says what in the tables explains that a library and we disagree.
func explained(s sample, r reader, accepts bool, ours token.Reason) (string, bool) {
	if accepts {
		row, ok := looser()[ours]
		return row.why, ok && slices.Contains(row.by, r)
	}
	for _, row := range stricter() {
		if row.by == r && row.when(s) {
			return row.why, true
		}
	}
	return "", false
}

// sameSecret is a ring whose every key has the secret that the libraries are given.
func sameSecret() *ring {
	r := newRing()
	r.tokens[account] = secret
	delete(r.keys, "SK384")
	return r
}

func compare(t *testing.T, s sample) {
	t.Helper()
	text := s.text()
	var ours token.Reason
	if _, err := verifier(sameSecret()).Verify(context.Background(), text); err != nil {
		ours = refused(t, err).Reason
	}
	for _, r := range strictReaders() {
		accepts := r.accepts(text, secret)
		if accepts == (ours == "") {
			continue
		}
		if _, ok := explained(s, r, accepts, ours); !ok {
			t.Fatalf("%s accepts: %t, we refuse for %q, and no row says why: header %q, payload %q, change %d of part %d",
				r, accepts, ours, s.header, s.payload, int(s.change)%len(changes()), s.part%3)
		}
	}
}

// samples is where the fuzzer begins: every case of the refusals that is signed,
// and each change of each part.
func samples() []sample {
	var all []sample
	for _, header := range []string{accessHeader, capabilityHeader} {
		payload := accessPayload
		if header == capabilityHeader {
			payload = scoped("scope:client:incoming?clientName=a%3F")
		}
		for part := range uint8(3) {
			for change := range uint8(len(changes())) {
				all = append(all, sample{header, payload, part, change})
			}
		}
	}
	all = append(all,
		sample{`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","x":"` + "\x01" + `"}`, accessPayload, 0, 0},
		sample{`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","b64":null}`, accessPayload, 0, 0},
		sample{`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1","crit":null}`, accessPayload, 0, 0},
	)
	for _, c := range refusalCases() {
		seg := strings.Split(c.text, ".")
		if len(seg) != 3 {
			continue
		}
		header, err := base64.RawURLEncoding.DecodeString(seg[0])
		payload, err2 := base64.RawURLEncoding.DecodeString(seg[1])
		if err == nil && err2 == nil && len(c.text) < 4000 {
			all = append(all, sample{string(header), string(payload), 0, 0})
		}
	}
	return all
}

// FuzzLibraries asks golang-jwt, go-jose and jwx about the tokens that we are asked
// about. Where one of them disagrees, a row of a table says why.
func FuzzLibraries(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.header, s.payload, s.part, s.change)
	}
	f.Fuzz(func(t *testing.T, header, payload string, part, change uint8) {
		compare(t, sample{header, payload, part, change})
	})
}

// TestLibrariesOnMembers puts members that some reader knows into header and
// payload, with values of every type.
func TestLibrariesOnMembers(t *testing.T) {
	values := []string{
		`null`, `true`, `0`, `-1`, `1763830000`, `1763833600.5`, `1.7638336e9`, `17638336e2`, `1e400`, `1763830030`, `1763830031`, `253402300800`,
		`""`, `"x"`, `"1763833600"`, `"https://a.example"`, `"HS256"`, `"DEF"`, `[]`, `["x"]`, `[1]`, `{}`, `{"a":1}`,
	}
	for _, s := range []sample{
		{accessHeader, accessPayload, 0, 0},
		{capabilityHeader, scoped("scope:client:incoming?clientName=a"), 0, 0},
		{issuerHeader, issuerPayload, 0, 0},
	} {
		for _, value := range values {
			for _, name := range strings.Fields("jwk jku x5u x5c x5t x5t#S256 kid zip enc p2c epk nonce b64 crit cty typ alg iss sub aud exp") {
				compare(t, sample{`{"` + name + `":` + value + `,` + s.header[1:], s.payload, 0, 0})
			}
			for _, name := range strings.Fields("jti iss sub aud exp nbf iat grants scope cnf") {
				compare(t, sample{s.header, `{"` + name + `":` + value + `,` + s.payload[1:], 0, 0})
				if from := strings.Index(s.payload, `"`+name+`":`); from >= 0 && name != "grants" && name != "scope" {
					to := from + strings.IndexAny(s.payload[from:], ",}")
					compare(t, sample{s.header, s.payload[:from] + `"` + name + `":` + value + s.payload[to:], 0, 0})
				}
			}
		}
	}
}

// TestLibrariesOnChangedTexts changes header and payload at every place.
func TestLibrariesOnChangedTexts(t *testing.T) {
	pieces := []string{"", `"`, `\`, "{", "]", ",", "0", "e", "\x00", "\xff", "é", "A"}
	for i := range accessHeader {
		for _, p := range pieces {
			compare(t, sample{accessHeader[:i] + p + accessHeader[i:], accessPayload, 0, 0})
			compare(t, sample{accessHeader[:i] + p + accessHeader[i+1:], accessPayload, 0, 0})
		}
	}
	for i := range accessPayload {
		for _, p := range pieces[i%2*6:][:6] {
			compare(t, sample{accessHeader, accessPayload[:i] + p + accessPayload[i+1:], 0, 0})
		}
	}
}

// TestTheTableIsNeeded: each row of looser is a disagreement that really occurs
// among the samples, so that a row cannot hide a fault that nobody looks for.
func TestTheTableIsNeeded(t *testing.T) {
	used := map[token.Reason]map[reader]bool{}
	v := verifier(sameSecret())
	for _, s := range samples() {
		_, err := v.Verify(context.Background(), s.text())
		if err == nil {
			continue
		}
		reason := refused(t, err).Reason
		for _, r := range strictReaders() {
			if r.accepts(s.text(), secret) {
				if used[reason] == nil {
					used[reason] = map[reader]bool{}
				}
				used[reason][r] = true
			}
		}
	}
	for reason, row := range looser() {
		for _, r := range row.by {
			if !used[reason][r] {
				t.Errorf("no sample shows %s accepting what we refuse for %s", r, reason)
			}
		}
	}
}
