package token

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// scopes is what the scopes of a capability token say of the voice client.
type scopes struct {
	client             bool // at least one scope of a client
	identity           string
	incoming, outgoing bool
	app                string
	params             url.Values
}

const (
	incomingScope = "scope:client:incoming"
	outgoingScope = "scope:client:outgoing"
)

// readScopes reads the "scope" claim: scopes separated by one space each,
// "scope:SERVICE:PRIVILEGE" with an optional query. Scopes of other services or
// privileges, such as scope:stream:subscribe, grant nothing here and are
// skipped. What was read before a fault is returned with it.
func readScopes(claim string) (scopes, Reason) {
	var s scopes
	for text := range strings.SplitSeq(claim, " ") {
		name, query, _ := strings.Cut(text, "?")
		if !strings.HasPrefix(name, "scope:") || strings.Count(name, ":") != 2 || strings.HasSuffix(name, ":") {
			return s, ReasonScopeSyntax
		}
		var r Reason
		switch name {
		case incomingScope:
			r = s.readIncoming(query)
		case outgoingScope:
			r = s.readOutgoing(query)
		}
		if r != "" {
			return s, r
		}
	}
	return s, ""
}

func (s *scopes) readIncoming(query string) Reason {
	if s.incoming {
		return ReasonScopeDuplicate
	}
	var name string
	var named bool
	for part := range strings.SplitSeq(query, "&") {
		key, value, r := parameter(part)
		if r != "" {
			return r
		}
		if key != "clientName" {
			continue
		}
		if named {
			return ReasonScopeDuplicate
		}
		name, named = value, true
	}
	if !named {
		return ReasonScopeSyntax
	}
	s.client, s.incoming = true, true
	return s.name(name)
}

func (s *scopes) readOutgoing(query string) Reason {
	if s.outgoing {
		return ReasonScopeDuplicate
	}
	var app, name string
	var named, fixed bool
	var params url.Values
	for part := range strings.SplitSeq(query, "&") {
		if fixed && !strings.Contains(part, "=") {
			// The Ruby library escapes each "k=v" by itself and joins them with a
			// bare "&", so that all but the first end up beside appParams.
			text, ok := unescape(part)
			if !ok {
				return ReasonScopeSyntax
			}
			addParams(params, text)
			continue
		}
		key, value, r := parameter(part)
		if r != "" {
			return r
		}
		switch key {
		case "appSid":
			if app != "" {
				return ReasonScopeDuplicate
			}
			app = value
		case "clientName":
			if named {
				return ReasonScopeDuplicate
			}
			name, named = value, true
		case "appParams":
			if fixed {
				return ReasonScopeDuplicate
			}
			fixed, params = true, appParams(value)
		}
	}
	if app == "" {
		return ReasonScopeSyntax
	}
	s.client, s.outgoing, s.app, s.params = true, true, app, params
	if !named {
		return ""
	}
	return s.name(name)
}

// name takes a clientName; all of a token's must be the same.
func (s *scopes) name(n string) Reason {
	if r := identityFault(n); r != "" {
		return r
	}
	if s.identity != "" && s.identity != n {
		return ReasonIdentityConflict
	}
	s.identity = n
	return ""
}

// parameter reads one "key=value" of a scope's query.
func parameter(part string) (key, value string, r Reason) {
	k, v, ok := strings.Cut(part, "=")
	key, okKey := unescape(k)
	value, okValue := unescape(v)
	if !ok || !okKey || !okValue || key == "" {
		return "", "", ReasonScopeSyntax
	}
	return key, value, ""
}

// unescape undoes percent-encoding in either form that the libraries use: a
// space is "%20" (Node) or "+" (PHP, Python, Ruby, Java).
func unescape(s string) (string, bool) {
	u, err := url.QueryUnescape(s)
	return u, err == nil && utf8.ValidString(u)
}

// appParams reads the query string of the parameters that a token fixes.
//
// An escape that is none is taken as it stands, not refused: libraries that
// escape the parameters once instead of twice leave a "%" of the value bare
// here, and an agent must not be locked out by a parameter.
func appParams(query string) url.Values {
	v := url.Values{}
	addParams(v, query)
	return v
}

func addParams(v url.Values, query string) {
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		v.Add(literal(key), literal(value))
	}
}

func literal(s string) string {
	if u, ok := unescape(s); ok {
		return u
	}
	return s
}

// escape percent-encodes all but A–Z a–z 0–9 - _ . ! ~ * ' ( ), as the Node
// library's querystring.escape does.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.!~*'()", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// query writes parameters, by name in alphabetical order.
func query(v url.Values) string {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	var parts []string
	for _, name := range names {
		for _, value := range v[name] {
			parts = append(parts, escape(name)+"="+escape(value))
		}
	}
	return strings.Join(parts, "&")
}
