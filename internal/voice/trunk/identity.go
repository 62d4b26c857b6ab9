package trunk

import (
	"log/slog"
	"net/url"
	"strings"
	"unicode"

	"github.com/emiago/sipgo/sip"
	"github.com/nyaruka/phonenumbers"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/trunk/message"
)

// maxUser bounds what is kept of a user part that is no number, in bytes.
const maxUser = 64

// normalise returns a carrier's way of writing a number as E.164 where that is
// possible without doubt, and as it came where not, but for what is not
// printable text: whoever calls can write anything there.
func normalise(user, country string) string {
	s, _, _ := strings.Cut(user, ";") // +4930123;phone-context=…, ;npdi and the like
	if decoded, err := url.PathUnescape(s); err == nil {
		s = decoded
	}
	s = printable(s, maxUser)
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -().", r) {
			return -1
		}
		return r
	}, s)
	if isE164(digits) {
		return digits
	}
	if rest, ok := strings.CutPrefix(digits, "00"); ok && isE164("+"+rest) {
		if n, err := phonenumbers.Parse("+"+rest, ""); err == nil && phonenumbers.IsValidNumber(n) {
			return "+" + rest
		}
	}
	for _, r := range digits {
		if r < '0' || r > '9' {
			return s
		}
	}
	// Without a plus it may be national or have its country code already.
	if n, err := phonenumbers.Parse(digits, country); err == nil && country != "" && phonenumbers.IsValidNumber(n) {
		return phonenumbers.Format(n, phonenumbers.E164)
	}
	if len(digits) >= 8 && isE164("+"+digits) {
		if n, err := phonenumbers.Parse("+"+digits, ""); err == nil && phonenumbers.IsValidNumber(n) {
			return "+" + digits
		}
	}
	return s
}

// write returns an E.164 number as the format wants it; others stay as they are.
func (f NumberFormat) write(number string) string {
	if !isE164(number) {
		return number
	}
	switch f {
	case FormatE164:
		return number[1:]
	case FormatNational:
		if n, err := phonenumbers.Parse(number, ""); err == nil {
			return strings.Map(func(r rune) rune {
				if r < '0' || r > '9' {
					return -1
				}
				return r
			}, phonenumbers.Format(n, phonenumbers.NATIONAL))
		}
	case FormatPlus:
	}
	return number
}

// phone is a number as logs may hold it: its last two digits.
type phone string

// LogValue implements slog.LogValuer.
func (p phone) LogValue() slog.Value {
	if len(p) < 5 {
		return slog.StringValue("…")
	}
	return slog.StringValue("…" + string(p[len(p)-2:]))
}

// user returns the user part of a sip or tel URI.
func user(u *sip.Uri) string {
	if u.Scheme == "tel" {
		return u.Raw()
	}
	return u.User
}

// caller says who calls: P-Asserted-Identity, Remote-Party-ID, From, in this
// order (RFC 3325; the carrier is trusted to have checked them). Who wants to be
// anonymous stays so.
func caller(req *sip.Request, country string) (call.Address, string) {
	from := req.From()
	verified := verstat(&from.Address, from.Params)
	private := strings.EqualFold(from.Address.Host, "anonymous.invalid") || strings.EqualFold(from.Address.User, "anonymous")
	for _, h := range req.GetHeaders("privacy") {
		for p := range strings.SplitSeq(h.Value(), ";") {
			switch strings.ToLower(strings.TrimSpace(p)) {
			case "id", "user", "header":
				private = true
			}
		}
	}
	who := call.Address{Number: normalise(user(&from.Address), country), Name: unquote(from.DisplayName)}
	for _, name := range []string{"p-asserted-identity", "remote-party-id"} {
		a, params, ok := firstAddress(req, name)
		if !ok || user(&a.Address) == "" {
			continue
		}
		if p, _ := params.Get("privacy"); name == "remote-party-id" && strings.EqualFold(p, "full") {
			private = true
		}
		if v := verstat(&a.Address, params); v != "" {
			verified = v
		}
		who.Number = normalise(user(&a.Address), country)
		if a.DisplayName != "" {
			who.Name = unquote(a.DisplayName)
		}
		break
	}
	// The level of attestation may come in a header of its own (ATIS-1000074).
	if h := req.GetHeader("p-attestation-indicator"); h != nil && verified == "TN-Validation-Passed" {
		switch level := strings.ToUpper(strings.TrimSpace(h.Value())); level {
		case "A", "B", "C":
			verified += "-" + level
		}
	}
	if private || who.Number == "" {
		return call.Address{}, verified
	}
	return who, verified
}

// firstAddress reads the first address of a header that the message parser
// leaves as text, preferring one with digits over a SIP name.
func firstAddress(req *sip.Request, name string) (found *sip.ContactHeader, params sip.HeaderParams, ok bool) {
	for _, h := range req.GetHeaders(name) {
		list, err := message.Addresses(h.Value())
		if err != nil {
			continue
		}
		for _, a := range list {
			if found == nil || user(&found.Address) == "" || !strings.ContainsAny(user(&found.Address), "0123456789") {
				found = a
			}
		}
	}
	if found == nil {
		return nil, nil, false
	}
	return found, found.Params, true
}

// verstat returns the STIR verdict of an address (3GPP TS 24.229 7.2A.20). It
// stands among the parameters of a tel URI, of a SIP URI, or within its user part.
func verstat(u *sip.Uri, params sip.HeaderParams) string {
	v, ok := u.UriParams.Get("verstat")
	if !ok {
		v, ok = params.Get("verstat")
	}
	if !ok {
		for p := range strings.SplitSeq(user(u), ";") {
			if value, is := strings.CutPrefix(strings.ToLower(p), "verstat="); is {
				v = p[len(p)-len(value):]
			}
		}
	}
	switch {
	case len(v) > 40 || !strings.HasPrefix(v, "TN-Validation-") && v != "No-TN-Validation":
		return ""
	}
	return v
}

func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return strings.TrimSpace(printable(b.String(), 128))
}

// printable returns s without what is not text or cannot be seen, and at most
// so many bytes of it.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r != ' ' && !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// called says which of our numbers is called: the Request-URI's, or where that is
// only our registration's contact, P-Called-Party-ID's or To's.
func called(req *sip.Request, t *Trunk) call.Address {
	number := user(&req.Recipient)
	if t.Register.Enabled && (number == t.Register.User || number == t.contactUser()) || number == "" {
		if a, _, ok := firstAddress(req, "p-called-party-id"); ok && user(&a.Address) != "" {
			number = user(&a.Address)
		} else if u := user(&req.To().Address); u != "" {
			number = u
		}
	}
	return call.Address{Number: normalise(number, t.Country)}
}

func (t *Trunk) contactUser() string {
	if t.Register.Enabled && t.Register.User != "" {
		return t.Register.User
	}
	return "dialtone"
}
