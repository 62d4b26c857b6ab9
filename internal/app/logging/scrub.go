package logging

import (
	"regexp"
	"strings"
)

var (
	// A token may have been mangled on its way, as in the outage that Dialtone
	// exists for: the other Base64 alphabet and padding count too.
	jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_+/=-]{5,}\.[A-Za-z0-9_+/=.-]*`)
	// Credentials in a header and in a URL or form.
	header = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9_+/=.:~-]{6,}`)
	param  = regexp.MustCompile(`(?i)\b((?:access_?)?token|ticket|password|secret|response|nonce|sig)=("[^"]*"|[^&\s",;]+)`)
	// E.164 with its plus, also percent-encoded; and any number in a SIP or tel URI.
	number = regexp.MustCompile(`(?i)(\+|%2B|\b(?:sips?|tel):\+?)([0-9]{7,})`)
)

// Scrub returns the text without tokens, credentials and phone numbers.
func Scrub(text string) string {
	if !strings.ContainsAny(text, "+.=%:") && !strings.Contains(strings.ToLower(text), "ic ") && !strings.Contains(strings.ToLower(text), "rer ") {
		return text
	}
	text = jwt.ReplaceAllString(text, Redacted)
	text = header.ReplaceAllString(text, "$1 "+Redacted)
	text = param.ReplaceAllString(text, "$1="+Redacted)
	return number.ReplaceAllStringFunc(text, func(match string) string {
		digits := match[strings.LastIndexAny(match, "+:B")+1:]
		if strings.HasPrefix(strings.ToLower(match), "%2b") {
			digits = match[3:]
		}
		return strings.TrimSuffix(match, digits) + shorten(digits)
	})
}

// Number returns a phone number with its middle left out: "+1415…71". At least
// six digits are hidden where there are that many to hide; of a short one only
// the last two remain.
func Number(n string) string {
	plus := strings.HasPrefix(n, "+")
	digits := strings.TrimPrefix(n, "+")
	if plus {
		return "+" + shorten(digits)
	}
	return shorten(digits)
}

func shorten(digits string) string {
	if len(digits) < 3 {
		return "…"
	}
	return digits[:min(4, max(0, len(digits)-6))] + "…" + digits[len(digits)-2:]
}

// phoneOrText shortens what is a phone number, however it is punctuated, and
// scrubs what is something else: a device's name, or a state that changed.
func phoneOrText(text string) string {
	compact := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -().\u00a0", r) {
			return -1
		}
		return r
	}, text)
	bare := strings.TrimPrefix(compact, "+")
	if bare != "" && strings.Trim(bare, "0123456789*#") == "" {
		return Number(compact)
	}
	return Scrub(text)
}
