package sdk

import (
	"net/http/httptest"
	"testing"
)

func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		origin  string
		allowed []string
		want    bool
	}{
		{"", nil, true},
		{"https://phone.example.com", nil, true},
		{"https://phone.example.com:8443", nil, false},
		{"https://app.example.com", nil, false},
		{"https://app.example.com", []string{"app.example.com"}, true},
		{"http://app.example.com", []string{"https://app.example.com"}, false},
		{"https://APP.example.com", []string{"https://app.example.com"}, true},
		{"https://a.b.example.com", []string{"*.example.com"}, true},
		{"https://example.com", []string{"*.example.com"}, false},
		{"https://evilexample.com", []string{"*.example.com"}, false},
		{"https://app.example.com:444", []string{"app.example.com"}, false},
		{"https://anything.invalid", []string{"*"}, true},
		{"null", []string{"app.example.com"}, false},
		{"null", []string{"*"}, true},
		{"://", []string{"app.example.com"}, false},
	} {
		r := httptest.NewRequest("GET", "https://phone.example.com/signal", nil)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if got := originAllowed(r, c.allowed); got != c.want {
			t.Errorf("%q with %v: %v", c.origin, c.allowed, got)
		}
	}
}

func TestBadOriginsAreRefused(t *testing.T) {
	for entry, ok := range map[string]bool{
		"*": true, "app.example.com": true, "https://app.example.com:8443": true, "*.example.com": true, "http://localhost:5173": true,
		"": false, "ftp://example.com": false, "https://": false, "https://app.example.com/path": false, "a b": false, "app.*": false,
	} {
		if err := checkOrigin(entry); (err == nil) != ok {
			t.Errorf("%q: %v", entry, err)
		}
	}
}
