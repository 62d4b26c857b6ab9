package sdk

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxOrigin bounds what is kept of a page's origin, in bytes.
const maxOrigin = 200

// checkOrigin returns what is wrong with an entry of Options.Origins.
func checkOrigin(entry string) error {
	if entry == "*" {
		return nil
	}
	host := entry
	if scheme, rest, ok := strings.Cut(entry, "://"); ok {
		if scheme != "https" && scheme != "http" {
			return fmt.Errorf("sdk: origin %q: the scheme is neither https nor http", entry)
		}
		host = rest
	}
	host = strings.TrimPrefix(host, "*.")
	if host == "" || strings.ContainsAny(host, "/*?# ") {
		return fmt.Errorf("sdk: origin %q: want a host, scheme://host, *.host or *", entry)
	}
	return nil
}

// originAllowed reports whether the page that made the request may use us.
func originAllowed(r *http.Request, allowed []string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		// "null" (a file or a sandboxed frame) is allowed by "*" alone.
		return slices.Contains(allowed, "*")
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	for _, entry := range allowed {
		if entry == "*" {
			return true
		}
		host := entry
		if scheme, rest, ok := strings.Cut(entry, "://"); ok {
			if !strings.EqualFold(scheme, u.Scheme) {
				continue
			}
			host = rest
		}
		if suffix, ok := strings.CutPrefix(host, "*"); ok {
			if len(u.Host) > len(suffix) && strings.EqualFold(u.Host[len(u.Host)-len(suffix):], suffix) {
				return true
			}
			continue
		}
		if strings.EqualFold(host, u.Host) {
			return true
		}
	}
	return false
}
