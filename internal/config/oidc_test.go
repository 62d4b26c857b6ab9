package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIdentityProviders(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `oidc:
  - id: acme
    name: Acme
    issuer: https://id.acme.example/realms/staff
    client_id: dialtone
    client_secret_file: ` + secret + `
    domains: [acme.example]
    role_claim: groups
    roles:
      - {value: phone-admins, role: admin}
      - {value: phone-leads, role: team_lead}
    create: true
  - {id: test, name: Test, issuer: "http://127.0.0.1:9999", client_id: x}
`
	source := Sources{File: write(t, text)}
	c, err := Load(source)
	if err != nil {
		t.Fatal(err)
	}
	if p := c.OIDC[0]; p.ClientSecret != "hush" || len(p.Roles) != 2 || p.Roles[1].Role != "team_lead" || !p.Create {
		t.Errorf("%+v", p)
	}
	printed, err := Print(source)
	if err != nil || strings.Contains(string(printed), "hush") {
		t.Errorf("%v %s", err, printed)
	}
}

func TestIdentityProvidersAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		`{id: A b, name: x, issuer: "https://x.example", client_id: c}`:                                                            "oidc[0].id: must be a short name",
		`{id: a, issuer: "https://x.example", client_id: c}`:                                                                       "oidc[0].name: must be set",
		`{id: a, name: x, issuer: "http://x.example", client_id: c}`:                                                               "oidc[0].issuer: must be the provider's issuer",
		`{id: a, name: x, issuer: "https://x.example?", client_id: c}`:                                                             "oidc[0].issuer: must be the provider's issuer",
		`{id: a, name: x, issuer: "https://u:p@x.example", client_id: c}`:                                                          "oidc[0].issuer: must be the provider's issuer",
		`{id: a, name: x, issuer: "https://x.example"}`:                                                                            "oidc[0].client_id: must be set",
		`{id: a, name: x, issuer: "https://x.example", client_id: c, create: true}`:                                                "oidc[0].create: needs domains",
		`{id: a, name: x, issuer: "https://x.example", client_id: c, domains: [all]}`:                                              "oidc[0].domains[0]: must be a domain",
		`{id: a, name: x, issuer: "https://x.example", client_id: c, roles: [{value: v}]}`:                                         "oidc[0].roles[0].role: must be admin",
		`{id: a, name: x, issuer: "https://x.example", client_id: c, roles: [{role: admin}]}`:                                      "oidc[0].roles[0].value: must be set",
		`{id: a, name: x, issuer: "https://x.example", client_id: c, roles: [{role: agent, value: v}]}`:                            "oidc[0].role_claim: must name",
		`{id: a, name: x, issuer: "https://x.example", client_id: c, client_secret_file: /nowhere/x}`:                              "oidc[0].client_secret_file: cannot read",
		`{id: a, name: x, issuer: "https://x.example", client_id: c}, {id: a, name: y, issuer: "https://y.example", client_id: c}`: "oidc[1].id: is the id of oidc[0] already",
	} {
		if _, err := Load(Sources{File: write(t, "oidc: ["+text+"]\n")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
