package people

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"dialtone/internal/fault"
)

// Passkey is a key pair that an authenticator holds for a user, of which we have
// the public half (WebAuthn Level 3).
type Passkey struct {
	ID         string // PK + 32 hex
	User       string
	Name       string // what its owner calls it
	Host       string // name of the site it was made for; it works nowhere else
	Credential []byte // id that the authenticator gave it
	PublicKey  []byte // COSE key, RFC 9052 section 7
	Counter    uint32 // signatures so far, as the authenticator told last; 0: it does not count
	Flags      byte   // of the authenticator data, section 6.1
	Created    time.Time
	Used       time.Time // zero: never
}

// Site is the address that a browser shows: passkeys are made for its name.
type Site struct {
	Host   string // name without port
	Origin string // https://HOST[:PORT]
}

// CanHavePasskeys says why browsers make no passkeys for the site: fault.Conflict, or nil.
func (s Site) CanHavePasskeys() error {
	switch {
	case net.ParseIP(strings.Trim(s.Host, "[]")) != nil:
		return fault.New(fault.Conflict, "Browsers have no passkeys for IP addresses. Open the console by its name, as https://localhost:8443 on the same machine.")
	case s.Host == "" || protocol.ValidateRPID(s.Host) != nil:
		return fault.New(fault.Conflict, "Browsers have no passkeys for this address. Open the console by its domain name.")
	}
	return nil
}

const (
	// mostPasskeys is how many a user may have.
	mostPasskeys = 20
	// longestPasskeyName is in characters.
	longestPasskeyName = 60
	// largestCredential bounds what a browser may answer; attestations are not asked for.
	largestCredential = 64 << 10
)

// relyingParty returns the library's view of the site.
func relyingParty(site Site) (*webauthn.WebAuthn, error) {
	if err := site.CanHavePasskeys(); err != nil {
		return nil, err
	}
	required := true
	w, err := webauthn.New(&webauthn.Config{
		RPID: site.Host, RPDisplayName: "Dialtone", RPOrigins: []string{site.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		// Some password managers answer what was not asked; none of it is used.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &required, ResidentKey: protocol.ResidentKeyRequirementRequired,
			UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: ceremonyLength},
			Registration: webauthn.TimeoutConfig{Timeout: ceremonyLength},
		},
	})
	if err != nil {
		return nil, fault.Wrap(fault.Conflict, err, "Browsers have no passkeys for this address. Open the console by its domain name.")
	}
	return w, nil
}

// holder is a user as the library wants one.
type holder struct {
	user User
	keys []Passkey
}

// WebAuthnID implements webauthn.User. The id is random and says nothing.
func (h holder) WebAuthnID() []byte          { return []byte(h.user.ID) }
func (h holder) WebAuthnName() string        { return h.user.Name }
func (h holder) WebAuthnDisplayName() string { return h.user.Name }

func (h holder) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, len(h.keys))
	for i, k := range h.keys {
		all[i] = webauthn.Credential{
			ID: k.Credential, PublicKey: k.PublicKey, Flags: webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(k.Flags)),
			Authenticator: webauthn.Authenticator{SignCount: k.Counter},
		}
	}
	return all
}

// Passkeys returns the user's passkeys, oldest first.
func (d *Door) Passkeys(ctx context.Context, user string) ([]Passkey, error) {
	return d.store.Passkeys(ctx, user)
}

// BeginPasskey returns what the browser's navigator.credentials.create is to be
// given. fault.Conflict when there can be no (more) passkeys.
func (d *Door) BeginPasskey(ctx context.Context, u User, site Site, c Client) (*protocol.PublicKeyCredentialCreationOptions, error) {
	rp, err := relyingParty(site)
	if err != nil {
		return nil, err
	}
	keys, err := d.store.Passkeys(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	if len(keys) >= mostPasskeys {
		return nil, fault.New(fault.Conflict, "You have %d passkeys already. Remove one first.", len(keys))
	}
	who := holder{u, keys}
	var known []protocol.CredentialDescriptor
	for _, k := range who.WebAuthnCredentials() {
		known = append(known, k.Descriptor())
	}
	options, session, err := rp.BeginRegistration(who, webauthn.WithExclusions(known))
	if err != nil {
		return nil, err
	}
	d.ceremonies.begin(time.Now(), c.Remote, ceremony{user: u.ID, site: site, session: *session})
	return &options.Response, nil
}

// AddPasskey keeps the passkey that the browser made. The credential is the JSON
// of its PublicKeyCredential. fault.Invalid when it is not what was asked for.
func (d *Door) AddPasskey(ctx context.Context, by Actor, u User, site Site, name string, credential []byte) (Passkey, error) {
	if name = strings.TrimSpace(name); name == "" {
		name = "Passkey"
	}
	if utf8.RuneCountInString(name) > longestPasskeyName || !printable(name) {
		return Passkey{}, fault.New(fault.Invalid, "A passkey's name has at most %d characters, all of them printable.", longestPasskeyName)
	}
	rp, err := relyingParty(site)
	if err != nil {
		return Passkey{}, err
	}
	answer, err := parseCreation(credential)
	if err != nil {
		return Passkey{}, err
	}
	one, ok := d.ceremonies.take(time.Now(), answer.Response.CollectedClientData.Challenge)
	if !ok || one.user != u.ID || one.site != site {
		return Passkey{}, fault.New(fault.Invalid, "This took too long, or was used before. Begin again.")
	}
	made, err := rp.CreateCredential(holder{user: u}, one.session, answer)
	if err != nil {
		return Passkey{}, refusedPasskey(err)
	}
	k := Passkey{
		ID: newID("PK"), User: u.ID, Name: name, Host: site.Host, Credential: made.ID, PublicKey: made.PublicKey,
		Counter: made.Authenticator.SignCount, Flags: byte(made.Flags.ProtocolValue()), Created: now(),
	}
	if err := d.store.AddPasskey(ctx, k); err != nil {
		return Passkey{}, err
	}
	d.staff.note(ctx, by, u.Account, PasskeyAdd, u.Name, map[string]string{"id": u.ID, "passkey": name, "host": site.Host})
	return k, nil
}

// RemovePasskey removes one of the user's passkeys.
func (d *Door) RemovePasskey(ctx context.Context, by Actor, u User, id string) error {
	keys, err := d.store.Passkeys(ctx, u.ID)
	if err != nil {
		return err
	}
	if err := d.store.DeletePasskey(ctx, u.ID, id); err != nil {
		return err
	}
	name := ""
	for _, k := range keys {
		if k.ID == id {
			name = k.Name
		}
	}
	d.staff.note(ctx, by, u.Account, PasskeyRemove, u.Name, map[string]string{"id": u.ID, "passkey": name})
	return nil
}

// BeginPasskeySignIn returns what the browser's navigator.credentials.get is to
// be given, and the id of this attempt. Nobody says who they are yet.
func (d *Door) BeginPasskeySignIn(site Site, c Client) (options *protocol.PublicKeyCredentialRequestOptions, id string, err error) {
	rp, err := relyingParty(site)
	if err != nil {
		return nil, "", err
	}
	if err := d.mayTry(time.Now(), c); err != nil {
		return nil, "", err
	}
	assertion, session, err := rp.BeginDiscoverableLogin()
	if err != nil {
		return nil, "", err
	}
	return &assertion.Response, d.ceremonies.begin(time.Now(), c.Remote, ceremony{site: site, session: *session}), nil
}

// SignInByPasskey begins a session for whom the credential proves to be there.
// Its errors are those of SignIn; which of the many things is wrong is for the
// audit log alone.
func (d *Door) SignInByPasskey(ctx context.Context, site Site, id string, credential []byte, c Client) (User, Session, string, error) {
	now := time.Now()
	if err := d.mayTry(now, c); err != nil {
		return User{}, Session{}, "", err
	}
	k, u, reason, err := d.provePasskey(ctx, now, site, id, credential)
	if err != nil && reason == "" {
		return User{}, Session{}, "", err // ours to answer for
	}
	if reason == "" && u.Disabled {
		reason = "disabled"
	}
	if reason != "" {
		d.throttle.charge(now, remoteKey(c), remoteFree)
		d.refused(ctx, u, methodPasskey, reason, c)
		return User{}, Session{}, "", fault.Wrap(fault.Unauthenticated, err, "This passkey does not let you in. Try again, or sign in another way.")
	}
	return d.begin(ctx, u, c, map[string]string{"method": methodPasskey, "passkey": k.Name})
}

// The reasons of refused passkeys.
const (
	reasonExpired = "expired" // no such ceremony: too late, used, or of another site
	reasonUnknown = "unknown"
	reasonInvalid = "invalid"
	reasonCloned  = "cloned" // its counter went back: there may be a copy
)

// provePasskey checks the browser's answer. Without a reason the error is not
// the browser's fault. The user is known as soon as the passkey is.
func (d *Door) provePasskey(ctx context.Context, now time.Time, site Site, id string, credential []byte) (k Passkey, u User, reason string, err error) {
	rp, err := relyingParty(site)
	if err != nil {
		return Passkey{}, User{}, "", err
	}
	one, ok := d.ceremonies.take(now, id)
	if !ok || one.user != "" || one.site != site {
		return Passkey{}, User{}, reasonExpired, errCeremony
	}
	answer, err := parseAssertion(credential)
	if err != nil {
		return Passkey{}, User{}, reasonInvalid, err
	}
	if k, u, err = d.store.PasskeyByCredential(ctx, answer.RawID); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return Passkey{}, User{}, reasonUnknown, err
		}
		return Passkey{}, User{}, "", err
	}
	if k.Host != site.Host {
		return Passkey{}, u, reasonInvalid, errSite
	}
	_, checked, err := rp.ValidatePasskeyLogin(func([]byte, []byte) (webauthn.User, error) {
		return holder{u, []Passkey{k}}, nil
	}, one.session, answer)
	if err != nil {
		return Passkey{}, u, reasonInvalid, err
	}
	if checked.Authenticator.CloneWarning {
		return Passkey{}, u, reasonCloned, errCloned
	}
	// Two answers with one counter, at once, are a copy as well.
	used, err := d.store.UsePasskey(ctx, k.ID, k.Counter, checked.Authenticator.SignCount, byte(checked.Flags.ProtocolValue()), now.UTC())
	if err != nil {
		return Passkey{}, u, "", err
	}
	if !used {
		return Passkey{}, u, reasonCloned, errCloned
	}
	return k, u, "", nil
}

var (
	errCeremony = errors.New("there is no such ceremony")
	errSite     = errors.New("the passkey was made for another site")
	errCloned   = errors.New("the signature counter did not go up")
)

// parseCreation reads a browser's answer to create; fault.Invalid when it is none.
func parseCreation(text []byte) (*protocol.ParsedCredentialCreationData, error) {
	if len(text) > largestCredential {
		return nil, fault.New(fault.Invalid, "This is no passkey: it is too large.")
	}
	answer, err := protocol.ParseCredentialCreationResponseBytes(text)
	if err != nil {
		return nil, refusedPasskey(err)
	}
	return answer, nil
}

// parseAssertion reads a browser's answer to get; fault.Invalid when it is none.
func parseAssertion(text []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(text) > largestCredential {
		return nil, fault.New(fault.Invalid, "This is no passkey's answer: it is too large.")
	}
	answer, err := protocol.ParseCredentialRequestResponseBytes(text)
	if err != nil {
		return nil, refusedPasskey(err)
	}
	return answer, nil
}

func refusedPasskey(err error) error {
	var told *protocol.Error
	if errors.As(err, &told) && told.DevInfo != "" {
		err = errors.Join(err, errors.New(told.DevInfo))
	}
	return fault.Wrap(fault.Invalid, err, "What the browser sent is not the passkey that was asked for. Try again.")
}
