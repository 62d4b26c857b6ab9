package app

import (
	"crypto/tls"
	"net"
	"os/user"
	"slices"
	"strings"

	"dialtone/internal/app/certs"
	"dialtone/internal/config"
	"dialtone/internal/httpapi"
	"dialtone/internal/talk/people"
	"dialtone/internal/talk/people/sso"
)

// openPeople builds what lets people in, and adds it to the front door's options.
func (n *Node) openPeople(o *httpapi.Options) {
	log := n.log.With("part", "people")
	recorder := people.NewRecorder(n.store, n.health, log)
	staff := people.NewStaff(people.StaffOptions{
		Store: n.store, Audit: recorder, RevokeIdentity: n.RevokeIdentity, Changed: n.reload,
	})
	n.people = people.NewDoor(n.store, people.DoorOptions{Staff: staff, Account: n.directory.account.ID})
	o.Door, o.Staff, o.Audit, o.AuditLog = n.people, staff, recorder, n.store
	o.SSO = sso.New(sso.Options{Account: n.directory.account.ID, Providers: providers(n.o.Config.OIDC)})
	o.Hosts = n.serves
}

// reload asks for people and lines to be read again.
func (n *Node) reload() {
	select {
	case n.reloads <- struct{}{}:
	default: // asked for already
	}
}

// serves reports whether browsers reach this node by the name.
func (n *Node) serves(name string) bool {
	h := n.o.Config.HTTPS
	is := func(other string) bool { return strings.EqualFold(strings.TrimSuffix(other, "."), name) }
	if slices.ContainsFunc(certs.Names(h), is) || slices.ContainsFunc(h.Domains, is) {
		return true
	}
	if h.Cert == "" || net.ParseIP(name) != nil {
		return false
	}
	cert, err := n.certs.TLSConfig().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	return err == nil && cert.Leaf != nil && cert.Leaf.VerifyHostname(name) == nil
}

// providers are the identity providers of the configuration.
func providers(set []config.OIDC) []sso.Provider {
	all := make([]sso.Provider, len(set))
	for i, p := range set {
		all[i] = sso.Provider{
			ID: p.ID, Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret,
			Domains: p.Domains, Scopes: p.Scopes, RoleClaim: p.RoleClaim, Roles: map[string]people.Role{}, Create: p.Create,
		}
		for _, r := range p.Roles {
			all[i].Roles[r.Value] = people.Role(r.Role)
		}
	}
	return all
}

// commander is who uses the dialtone command, for the audit log.
func commander() people.Actor {
	a := people.Actor{Kind: people.ByCommand, Name: "dialtone command"}
	if u, err := user.Current(); err == nil && u.Username != "" {
		a.Name = u.Username
	}
	return a
}
