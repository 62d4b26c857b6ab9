package message

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

var errGrammar = errors.New("message: not in the grammar")

// number reads 1*DIGIT up to limit.
func number(s string, limit int) (int, bool) {
	if !isDigits(s) || len(s) > 18 {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n <= limit
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isToken reports whether s is a token of RFC 3261 25.1.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("-.!%*_+`'~", c) >= 0
}

// skipQuoted returns the index after the quoted string that begins at s[i], -1 when it does not end.
func skipQuoted(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// splitList splits a header's value at the commas outside of quotes and angle brackets.
func splitList(s string) []string {
	if !strings.Contains(s, ",") {
		return []string{s}
	}
	var list []string
	start, inside := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			if inside {
				continue
			}
			end := skipQuoted(s, i)
			if end < 0 {
				return append(list, s[start:])
			}
			i = end - 1
		case '<':
			inside = true
		case '>':
			inside = false
		case ',':
			if !inside {
				list = append(list, s[start:i])
				start = i + 1
			}
		}
	}
	return append(list, s[start:])
}

type address struct {
	display   string // as between the quotes, escapes kept
	uri       sip.Uri
	params    sip.HeaderParams
	bracketed bool
}

// parseAddress reads (name-addr / addr-spec) *(SEMI generic-param), RFC 3261 25.1.
func parseAddress(s string) (a address, err error) {
	s = strings.Trim(s, " \t")
	rest := s
	if strings.HasPrefix(s, `"`) {
		end := skipQuoted(s, 0)
		if end < 0 {
			return a, errGrammar
		}
		a.display = s[1 : end-1]
		rest = strings.TrimLeft(s[end:], " \t")
		if !strings.HasPrefix(rest, "<") {
			return a, errGrammar
		}
	} else if i := strings.IndexByte(s, '<'); i >= 0 && isDisplayTokens(s[:i]) {
		a.display, rest = strings.Trim(s[:i], " \t"), s[i:]
	}
	var uri string
	if strings.HasPrefix(rest, "<") {
		end := strings.IndexByte(rest, '>')
		if end < 0 {
			return a, errGrammar
		}
		a.bracketed = true
		uri, rest = rest[1:end], strings.Trim(rest[end+1:], " \t")
	} else {
		// Without brackets parameters belong to the header, and a question mark or
		// comma may not occur (RFC 3261 20.10).
		i := strings.IndexByte(rest, ';')
		if i < 0 {
			i = len(rest)
		}
		uri, rest = strings.TrimRight(rest[:i], " \t"), rest[i:]
		if strings.ContainsAny(uri, "?,") {
			return a, errGrammar
		}
	}
	if err := parseURI(uri, &a.uri); err != nil {
		return a, err
	}
	a.params, err = parseParams(rest)
	return a, err
}

// isDisplayTokens reports whether s is *(token LWS); bytes of UTF-8 are let pass,
// since phones send names unquoted.
func isDisplayTokens(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != ' ' && c != '\t' && c < 0x80 && !isTokenByte(c) {
			return false
		}
	}
	return true
}

// parseParams reads *(SEMI name [EQUAL value]). A value in quotes keeps its quotes
// unless it holds white space, as sipgo writes it back.
func parseParams(s string) (sip.HeaderParams, error) {
	s = strings.Trim(s, " \t")
	if s == "" {
		return nil, nil
	}
	var params sip.HeaderParams
	for s != "" {
		if s[0] != ';' {
			return nil, errGrammar
		}
		s = strings.TrimLeft(s[1:], " \t")
		end := 0
		for end < len(s) && isTokenByte(s[end]) {
			end++
		}
		name := s[:end]
		if name == "" {
			return nil, errGrammar
		}
		s = strings.TrimLeft(s[end:], " \t")
		value := ""
		if strings.HasPrefix(s, "=") {
			var err error
			if value, s, err = paramValue(strings.TrimLeft(s[1:], " \t")); err != nil {
				return nil, err
			}
		}
		// The first of two of a name counts, and names are compared without case.
		if name = strings.ToLower(name); !params.Has(name) {
			params = append(params, sip.HeaderKV{K: name, V: value})
		}
		s = strings.TrimLeft(s, " \t")
	}
	return params, nil
}

func paramValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		end := skipQuoted(s, 0)
		if end < 0 {
			return "", "", errGrammar
		}
		value = s[:end]
		if strings.ContainsAny(value, " \t") {
			value = value[1 : len(value)-1]
		}
		return value, s[end:], nil
	}
	end := 0
	for end < len(s) && s[end] > ' ' && s[end] != 0x7f && strings.IndexByte(`;,"<>`, s[end]) < 0 {
		end++
	}
	if end == 0 {
		return "", "", errGrammar
	}
	return s[:end], s[end:], nil
}

// parseURI reads a SIP URI in full and any other as scheme and the rest.
func parseURI(s string, u *sip.Uri) error {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || scheme == "" {
		return errGrammar
	}
	for i := range len(scheme) {
		c := scheme[i] | 0x20
		if alpha := c >= 'a' && c <= 'z'; !alpha && (i == 0 || !strings.Contains("0123456789+-.", scheme[i:i+1])) {
			return errGrammar
		}
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"' {
			return errGrammar
		}
	}
	if low := strings.ToLower(scheme); low != "sip" && low != "sips" {
		// sipgo takes letters only in a scheme; the rest is opaque to it.
		if err := sip.ParseUri("opaque:"+rest, u); err != nil {
			return errGrammar
		}
		u.Scheme = low
		return nil
	}
	if err := sip.ParseUri(s, u); err != nil {
		return errGrammar
	}
	if u.HierarhicalSlashes || u.Wildcard || u.Port < 0 || u.Port > 65535 || !isHost(u.Host) {
		return errGrammar
	}
	return nil
}

// isHost reports whether s is a host name, an IPv4 address, or an IPv6 address in brackets.
func isHost(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6()
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return s != ""
}

// parseVia reads one via-parm, RFC 3261 25.1; white space may stand around its slashes.
func parseVia(s string) (*sip.ViaHeader, error) {
	name, rest, ok1 := strings.Cut(s, "/")
	version, rest, ok2 := strings.Cut(rest, "/")
	rest = strings.TrimLeft(rest, " \t")
	i := strings.IndexAny(rest, " \t")
	name, version = strings.Trim(name, " \t"), strings.Trim(version, " \t")
	if !ok1 || !ok2 || i < 0 || !strings.EqualFold(name, "SIP") || version != "2.0" || !isToken(rest[:i]) {
		return nil, errGrammar
	}
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: version, Transport: strings.ToUpper(rest[:i])}
	sentBy := strings.TrimLeft(rest[i:], " \t")
	params := ""
	if i := strings.IndexByte(sentBy, ';'); i >= 0 {
		sentBy, params = sentBy[:i], sentBy[i:]
	}
	sentBy = strings.TrimRight(sentBy, " \t")
	host, port := sentBy, ""
	if i := strings.LastIndexByte(sentBy, ':'); i >= 0 && !strings.HasSuffix(sentBy, "]") {
		host, port = strings.TrimRight(sentBy[:i], " \t"), strings.TrimLeft(sentBy[i+1:], " \t")
		n, ok := number(port, 65535)
		if !ok {
			return nil, errGrammar
		}
		via.Port = n
	}
	if !isHost(host) {
		return nil, errGrammar
	}
	via.Host = strings.Trim(host, "[]")
	var err error
	via.Params, err = parseParams(params)
	return via, err
}

// Addresses reads a header value that is a list of name-addr or addr-spec, as
// P-Asserted-Identity's (RFC 3325 9.1). It gives them in the form of Contact.
func Addresses(value string) ([]*sip.ContactHeader, error) {
	var list []*sip.ContactHeader
	for _, v := range splitList(value) {
		a, err := parseAddress(v)
		if err != nil {
			return nil, err
		}
		list = append(list, &sip.ContactHeader{DisplayName: a.display, Address: a.uri, Params: a.params})
	}
	return list, nil
}
