package token

import (
	"crypto"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"dialtone/internal/fault"
)

// Lifetimes of minted tokens.
const (
	DefaultTTL = time.Hour
	MaxTTL     = 24 * time.Hour // the vendor's limit, so that a token is good on either side
)

// Signer is what an account's tokens are signed with.
type Signer struct {
	Account   string        // AC…
	KeyID     string        // SK…, for access tokens
	Secret    []byte        // of an API key of HMAC
	Private   crypto.Signer // of any other API key; then Secret is not used
	Algorithm string        // of the API key; "" means HS256, and with Private the usual one of its type: ES256, EdDSA, RS256
	AuthToken []byte        // of the account, for capability tokens

	// Issuer and Audience make the access tokens those of an account's own issuer:
	// its "iss" (an https URL) and "aud". Then KeyID is the "kid" in its key set.
	Issuer, Audience string
}

// Minter makes the tokens of one account, byte for byte as the vendor's Node
// helper library makes them for the same grants and time.
type Minter struct{ signer Signer }

// NewMinter returns a Minter that signs with s.
func NewMinter(s Signer) *Minter {
	s.Secret, s.AuthToken = slices.Clone(s.Secret), slices.Clone(s.AuthToken)
	if s.Algorithm == "" {
		s.Algorithm = HS256
		if s.Private != nil {
			s.Algorithm = ""
			if usual := algorithmsOf(s.Private.Public()); len(usual) > 0 {
				s.Algorithm = usual[0]
			}
		}
	}
	return &Minter{signer: s}
}

// AccessGrant is what an access token allows, and to whom.
type AccessGrant struct {
	Identity       string        // 1 to MaxIdentity characters, no control characters
	TTL            time.Duration // rounded up to a second; 0 means DefaultTTL, at most MaxTTL
	NotBefore      time.Time     // zero means none
	Incoming       bool          // may be called
	OutgoingApp    string        // AP…; "" means that it may not call
	OutgoingParams url.Values    // only with OutgoingApp
	PushCredential string        // CR…; "" means none
	Endpoint       string        // endpoint_id; "" means none
	Region         string        // "twr" of the header; "" means none
	ID             string        // "jti"; "" means the vendor's form, the key and the second, which several tokens may share
}

// CapabilityGrant is what a capability token allows, and to whom.
type CapabilityGrant struct {
	ClientName     string        // like AccessGrant.Identity; required with Incoming
	TTL            time.Duration // as in AccessGrant
	Incoming       bool
	OutgoingApp    string
	OutgoingParams url.Values // nil means none; an empty one is written as such
}

// MintAccess returns an access token. Its errors are fault.Invalid and say what
// of the grant or the signer is wrong.
func (m *Minter) MintAccess(g AccessGrant, now time.Time) (string, error) {
	s := m.signer
	if err := s.fit(); err != nil {
		return "", err
	}
	switch {
	case g.OutgoingApp == "" && len(g.OutgoingParams) > 0:
		return "", fault.New(fault.Invalid, "Outgoing parameters need an application id.")
	}
	if err := fit(g.Identity); err != nil {
		return "", err
	}
	seconds, err := lifetime(g.TTL)
	if err != nil {
		return "", err
	}

	header := newWriter().text("alg", s.Algorithm).text("typ", "JWT").text("cty", contentType)
	if s.Issuer != "" {
		header.text("kid", s.KeyID)
	}
	if g.Region != "" {
		header.text("twr", g.Region)
	}
	header.end()

	voice := newWriter()
	if g.Incoming {
		voice.object("incoming", newWriter().raw("allow", "true"))
	}
	if g.OutgoingApp != "" {
		outgoing := newWriter().text("application_sid", g.OutgoingApp)
		if len(g.OutgoingParams) > 0 {
			outgoing.object("params", params(g.OutgoingParams))
		}
		voice.object("outgoing", outgoing)
	}
	if g.PushCredential != "" {
		voice.text("push_credential_sid", g.PushCredential)
	}
	if g.Endpoint != "" {
		voice.text("endpoint_id", g.Endpoint)
	}

	unix := now.Unix()
	if g.ID == "" {
		g.ID = s.KeyID + "-" + strconv.FormatInt(unix, 10)
	}
	payload := newWriter().
		text("jti", g.ID).
		object("grants", newWriter().text("identity", g.Identity).object("voice", voice))
	if !g.NotBefore.IsZero() {
		payload.number("nbf", g.NotBefore.Unix())
	}
	payload.number("iat", unix).number("exp", unix+seconds)
	if s.Issuer != "" {
		payload.text("iss", s.Issuer).text("aud", s.Audience).text("sub", g.Identity)
	} else {
		payload.text("iss", s.KeyID).text("sub", s.Account)
	}
	var key any = s.Secret
	if s.Private != nil {
		key = s.Private
	}
	return seal(header, payload.end(), s.Algorithm, key)
}

// fit says in words what keeps a signer from signing access tokens.
func (s Signer) fit() error {
	switch {
	case s.Issuer != "":
		if !issuerURL(s.Issuer) || s.Audience == "" || s.KeyID == "" || s.Private == nil {
			return fault.New(fault.Invalid, "A token of an own issuer needs its https URL, an audience, a private key and its id.")
		}
	case !sid("AC", s.Account):
		return fault.New(fault.Invalid, "An access token needs an account id (AC…).")
	case !sid("SK", s.KeyID):
		return fault.New(fault.Invalid, "An access token needs the id of an API key (SK…).")
	}
	switch {
	case s.Private != nil:
		if !slices.Contains(PublicAlgorithms(), s.Algorithm) || !slices.Contains(algorithmsOf(s.Private.Public()), s.Algorithm) {
			return fault.New(fault.Invalid, "The algorithm of a private key is ES256, EdDSA, RS256 or PS256, as its type demands.")
		}
	case len(s.Secret) == 0:
		return fault.New(fault.Invalid, "An access token needs the secret of an API key.")
	case hmacHash(s.Algorithm) == nil:
		return fault.New(fault.Invalid, "The algorithm of a secret is HS256, HS384 or HS512.")
	}
	return nil
}

// MintCapability returns a capability token, with the outgoing scope before the
// incoming one. Its errors are fault.Invalid.
func (m *Minter) MintCapability(g CapabilityGrant, now time.Time) (string, error) {
	s := m.signer
	switch {
	case !sid("AC", s.Account):
		return "", fault.New(fault.Invalid, "A capability token needs an account id (AC…).")
	case len(s.AuthToken) == 0:
		return "", fault.New(fault.Invalid, "A capability token needs the account's auth token.")
	case !g.Incoming && g.OutgoingApp == "":
		return "", fault.New(fault.Invalid, "A capability token must allow incoming or outgoing calls.")
	case g.Incoming && g.ClientName == "":
		return "", fault.New(fault.Invalid, "Incoming calls need a client name.")
	case g.OutgoingApp == "" && len(g.OutgoingParams) > 0:
		return "", fault.New(fault.Invalid, "Outgoing parameters need an application id.")
	}
	if g.ClientName != "" {
		if err := fit(g.ClientName); err != nil {
			return "", err
		}
	}
	seconds, err := lifetime(g.TTL)
	if err != nil {
		return "", err
	}

	var scope string
	if g.OutgoingApp != "" {
		scope = outgoingScope + "?appSid=" + escape(g.OutgoingApp)
		if g.ClientName != "" {
			scope += "&clientName=" + escape(g.ClientName)
		}
		if g.OutgoingParams != nil {
			scope += "&appParams=" + escape(query(g.OutgoingParams))
		}
	}
	if g.Incoming {
		if scope != "" {
			scope += " "
		}
		scope += incomingScope + "?clientName=" + escape(g.ClientName)
	}

	unix := now.Unix()
	header := newWriter().text("alg", HS256).text("typ", "JWT").end()
	payload := newWriter().text("scope", scope).text("iss", s.Account).
		number("exp", unix+seconds).number("iat", unix).end()
	return seal(header, payload, HS256, s.AuthToken)
}

// fit says in words what keeps a name from being an identity.
func fit(identity string) error {
	switch identityFault(identity) {
	case "":
		return nil
	case ReasonIdentityMissing:
		return fault.New(fault.Invalid, "A token needs an identity.")
	case ReasonIdentityLength:
		return fault.New(fault.Invalid, "An identity has at most %d characters.", MaxIdentity)
	default:
		return fault.New(fault.Invalid, "An identity is valid UTF-8 without control characters.")
	}
}

// lifetime returns the whole seconds of a TTL.
func lifetime(ttl time.Duration) (int64, error) {
	switch {
	case ttl == 0:
		ttl = DefaultTTL
	case ttl < 0 || ttl > MaxTTL:
		return 0, fault.New(fault.Invalid, "A token lives for more than nothing and at most %d hours.", int(MaxTTL.Hours()))
	}
	return int64((ttl + time.Second - 1) / time.Second), nil
}

// params writes one value as a string and several as an array of strings.
func params(v url.Values) *writer {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	w := newWriter()
	for _, name := range names {
		if len(v[name]) == 1 {
			w.text(name, v[name][0])
			continue
		}
		w.array(name, v[name])
	}
	return w
}

// seal signs and joins; a token that our own gate would find too large, or that
// holds invalid UTF-8, is not made.
func seal(header, payload *writer, alg string, key any) (string, error) {
	if header.err != nil || payload.err != nil {
		return "", fault.New(fault.Invalid, "A token holds valid UTF-8 only.")
	}
	text, err := Seal(header.buf, payload.buf, alg, key)
	if err != nil {
		return "", err
	}
	if len(text) > MaxSize {
		return "", fault.New(fault.Invalid, "The token would be longer than %d bytes.", MaxSize)
	}
	return text, nil
}

// writer writes a JSON object with its members in the order they are given, as
// the vendor's byte shapes demand.
type writer struct {
	buf []byte
	err error
}

func newWriter() *writer { return &writer{buf: []byte{'{'}} }

func (w *writer) name(name string) {
	if len(w.buf) > 1 {
		w.buf = append(w.buf, ',')
	}
	w.quote(name)
	w.buf = append(w.buf, ':')
}

func (w *writer) quote(s string) {
	b, err := jsontext.AppendQuote(w.buf, s)
	w.buf = b
	if err != nil {
		w.err = err
	}
}

func (w *writer) raw(name, value string) *writer {
	w.name(name)
	w.buf = append(w.buf, value...)
	return w
}

func (w *writer) text(name, value string) *writer {
	w.name(name)
	w.quote(value)
	return w
}

func (w *writer) number(name string, n int64) *writer {
	return w.raw(name, strconv.FormatInt(n, 10))
}

func (w *writer) object(name string, o *writer) *writer {
	if o.err != nil {
		w.err = o.err
	}
	return w.raw(name, string(o.end().buf))
}

func (w *writer) array(name string, values []string) *writer {
	w.name(name)
	w.buf = append(w.buf, '[')
	for i, v := range values {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.quote(v)
	}
	w.buf = append(w.buf, ']')
	return w
}

func (w *writer) end() *writer {
	w.buf = append(w.buf, '}')
	return w
}
