// Package logging makes the process's logger: structured lines as JSON or text,
// from which phone numbers, tokens and other secrets are taken out.
//
// What is taken out is decided twice: by an attribute's name (number, token,
// password, …) and by the shape of any text (a JSON Web Token, a number in
// E.164, credentials in a header or a URL), in messages, attributes, errors and
// values alike. Whoever logs should still not log them; this is the net below.
// A logger is safe for concurrent use. The package never writes anywhere but to
// the writer it is given.
package logging

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// New returns a logger that writes to w. Level is debug, info, warn or error;
// format is json or text: what config.Log allows.
func New(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: must be debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l, ReplaceAttr: redact}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return nil, fmt.Errorf("log format %q: must be json or text", format)
}

// Redacted stands in the log for a secret.
const Redacted = "[redacted]"

// redact is slog's hook for every attribute that is no group, its LogValuer resolved.
func redact(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return a
	}
	switch what := named(a.Key); {
	case what == secret && !empty(a.Value):
		return slog.String(a.Key, Redacted)
	case what == phone && a.Value.Kind() != slog.KindAny:
		return slog.String(a.Key, phoneOrText(a.Value.String()))
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Scrub(a.Value.String()))
	case slog.KindDuration: // in words: JSON would have nanoseconds
		a.Value = slog.StringValue(a.Value.Duration().String())
	case slog.KindAny:
		a.Value = scrubAny(a.Key, a.Value)
	}
	return a
}

// scrubAny redacts a value as the handler would write it.
func scrubAny(key string, v slog.Value) slog.Value {
	var text string
	switch value := v.Any().(type) {
	case nil:
		return v
	case error:
		text = value.Error()
	case fmt.Stringer:
		text = value.String()
	case []byte:
		text = string(value)
	default:
		j, err := json.Marshal(value)
		if err != nil {
			return slog.StringValue(fmt.Sprintf("!%T cannot be logged", value))
		}
		if text = string(j); Scrub(text) == text {
			return v
		}
	}
	if named(key) == phone {
		return slog.StringValue(phoneOrText(text))
	}
	return slog.StringValue(Scrub(text))
}

func empty(v slog.Value) bool {
	switch v.Kind() {
	case slog.KindString:
		return v.String() == ""
	case slog.KindAny:
		return v.Any() == nil
	}
	return false
}

type sensitivity int

const (
	plain sensitivity = iota
	phone
	secret
)

// named judges an attribute by the last word of its name: api_token is a token.
func named(key string) sensitivity {
	key = strings.ToLower(key)
	if i := strings.LastIndexAny(key, "_-."); i >= 0 && key != "caller_id" {
		key = key[i+1:]
	}
	switch key {
	case "number", "from", "to", "caller", "caller_id", "called", "callee", "phone", "msisdn":
		return phone
	case "token", "ticket", "password", "passwd", "secret", "authorization", "cookie", "csrf", "credentials", "jwt":
		return secret
	}
	return plain
}
