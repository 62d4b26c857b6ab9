package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

var providerID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

func checkOIDC(c *Config, bad report) {
	seen := map[string]int{}
	for i, p := range c.OIDC {
		key := fmt.Sprintf("oidc[%d].", i)
		if !providerID.MatchString(p.ID) {
			bad(key+"id", "must be a short name of small letters, digits and -, as google")
		} else if first, twice := seen[p.ID]; twice {
			bad(key+"id", "is the id of oidc[%d] already", first)
		} else {
			seen[p.ID] = i
		}
		if strings.TrimSpace(p.Name) == "" {
			bad(key+"name", "must be set: people see it on the sign-in page")
		}
		if !validIssuer(p.Issuer) {
			bad(key+"issuer", "must be the provider's issuer, an https:// URL without ? and #, as https://accounts.google.com")
		}
		if p.ClientID == "" {
			bad(key+"client_id", "must be set: the provider gives it when the node is registered there")
		}
		for j, d := range p.Domains {
			if !validHost(d) || net.ParseIP(d) != nil || !strings.Contains(d, ".") {
				bad(fmt.Sprintf("%sdomains[%d]", key, j), "must be a domain of e-mail addresses, as example.com")
			}
		}
		for j, r := range p.Roles {
			role := fmt.Sprintf("%sroles[%d].", key, j)
			oneOf(bad, role+"role", r.Role, "admin", "team_lead", "agent")
			if r.Value == "" {
				bad(role+"value", "must be set: whoever has it in the role claim gets the role")
			}
		}
		if len(p.Roles) > 0 && p.RoleClaim == "" {
			bad(key+"role_claim", "must name the claim that roles are found by, as groups")
		}
		if p.Create && len(p.Domains) == 0 {
			bad(key+"create", "needs domains: without them, everybody with an address at the provider would be let in")
		}
	}
}

// validIssuer reports whether the text is an issuer (OpenID Connect Discovery
// 1.0 section 3). Without TLS it may only be on this machine, for tests.
func validIssuer(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, "?#") {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}
