package check

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"dialtone/internal/voice/token"
)

// wish is a shape of the signature that chance alone rarely brings.
type wish uint8

const (
	anyShape   wish = iota
	clean           // without '-' and '_'
	zeroLast        // the last byte is zero
	zeroFirst       // the first byte is zero
	spaceLast       // the last byte is a space, tab or line break
	spaceFirst      // the first byte is one
)

func (w wish) met(signature []byte, text string) bool {
	first, last := signature[0], signature[len(signature)-1]
	switch w {
	case clean:
		return !strings.ContainsAny(text, "-_")
	case zeroLast:
		return last == 0
	case zeroFirst:
		return first == 0
	case spaceLast:
		return blank(last)
	case spaceFirst:
		return blank(first)
	default:
		return true
	}
}

func blank(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }

// spec is what one token is made of.
type spec struct {
	source *Source
	key    *Key
	keyNo  int
	name   string
	style  *style

	incoming, outgoing bool
	app                string
	params             [][2]string
	push, stream       bool
	region, kid        string
	id                 string
	issued, expires    int64
	notBefore          int64 // 0: none
	noIssued, noID     bool
	half               bool // dates with a fraction
	size               int  // wanted; 0: as it comes
	wish               wish

	change *change // what makes it one that must be refused; nil: it is valid
	edit   func(header, payload map[string][]byte)
	cty    string
	alg    string
	typ    string
}

// draft is a token on its way.
type draft struct {
	spec            *spec
	header, payload []byte // JSON
	h, p, s         string // segments
	signature       []byte
}

func (d *draft) text() string { return d.h + "." + d.p + "." + d.s }

var raw = base64.RawURLEncoding

// maker makes the tokens of one goroutine.
type maker struct {
	plan *plan
	rand *rand.Rand
	pcg  *rand.PCG
	sign *signer
}

// byteReader is where PS256 has its salts from.
type byteReader struct{ r *rand.Rand }

func (b byteReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b.r.Uint32())
	}
	return len(p), nil
}

func newMaker(p *plan) *maker {
	pcg := rand.NewPCG(p.seed, 0)
	r := rand.New(pcg)
	return &maker{plan: p, rand: r, pcg: pcg, sign: newSigner(byteReader{r})}
}

// draw plans token number i: the same for the same seed, number and keys.
func (m *maker) draw(i int) *spec {
	m.pcg.Seed(m.plan.seed, uint64(i)+1)
	r := m.rand
	s := &spec{typ: "JWT"}
	k := m.plan.pick(r)
	s.source, s.key, s.keyNo = k.source, k.key, k.no
	s.name = name(r, m.plan.prefix)
	now := s.source.now().Unix()
	s.style = &styles[r.IntN(len(styles))]
	switch r.IntN(3) {
	case 0:
		s.incoming = true
	case 1:
		s.outgoing = true
	default:
		s.incoming, s.outgoing = true, true
	}
	s.app = s.source.app(s.key.Account)
	if s.outgoing && r.IntN(2) == 0 {
		for n := 1 + r.IntN(3); n > 0; n-- {
			s.params = append(s.params, [2]string{"p" + strconv.Itoa(n), parameters[r.IntN(len(parameters))]})
		}
	}
	s.push, s.stream = r.IntN(10) == 0, r.IntN(10) == 0
	if r.IntN(3) == 0 {
		s.region = regions[r.IntN(len(regions))]
	}
	if s.key.Issuer != "" {
		s.kid = s.key.ID
	} else if r.IntN(8) == 0 {
		s.kid = kids[r.IntN(len(kids))]
	}
	s.id = s.key.ID + "-" + strconv.FormatInt(now-int64(r.IntN(20)), 10)
	s.issued, s.expires = now-int64(r.IntN(20)), now+3600+int64(r.IntN(3000))
	if r.IntN(3) == 0 {
		s.notBefore = now - int64(r.IntN(20))
	}
	s.noIssued, s.noID, s.half = r.IntN(8) == 0, r.IntN(12) == 0, r.IntN(12) == 0
	if r.IntN(33) == 0 {
		s.size = []int{1024, 2048, 4096, token.MaxSize}[r.IntN(4)]
	}
	switch p := r.IntN(1000); {
	case p < 140:
		s.wish = clean
	case p < 144:
		s.wish = zeroLast
	case p < 148:
		s.wish = zeroFirst
	case p < 151:
		s.wish = spaceLast
	case p < 154:
		s.wish = spaceFirst
	}
	if !s.key.secret() {
		s.wish = anyShape
	}
	s.alg = s.key.Algorithm
	if s.key.Kind == token.Access {
		s.cty = "twilio-fpa;v=1"
	}
	s.change = m.plan.change(r, k)
	return s
}

var (
	parameters = []string{"v", "a b", "?", "x~y>z", "a+b", "50%", "é", "日本", "k=v&w", "-_-", "To: alice"}
	regions    = []string{"us1", "ie1", "au", "jp12"}
	kids       = []string{"k", "k1", "who?", "a~b", "o>", "~~", "??", "k-_2"}
)

// build makes the token of a spec. It is a must-refuse one if the spec has a
// change; ok is false when that change leaves this token as it is.
func (m *maker) build(s *spec) (d draft, text string, ok bool) {
	if s.change != nil && s.change.plan != nil {
		s.change.plan(m, s)
	}
	d.spec = s
	filler := m.fill(s)
	m.write(&d, filler)
	if s.wish != anyShape && (s.change == nil || s.change.segment == nil) {
		m.search(&d)
	}
	if s.change == nil || s.change.after == nil {
		return d, d.text(), true
	}
	before := d.text()
	text = s.change.after(m, &d)
	return d, text, text != "" && (text != before || s.change.segment != nil)
}

// search varies four digits of the payload, which do not change what the token
// says, until the signature has the shape wished for.
func (m *maker) search(d *draft) {
	s := d.spec
	of, n := "-0000", int64(0)
	if s.key.Kind != token.Access || s.noID {
		of, n = strconv.FormatInt(s.expires, 10), s.expires
	}
	at := bytes.Index(d.payload, []byte(of))
	if at < 0 {
		return // the change took it away
	}
	const tries = 3000
	number := make([]byte, 0, 16)
	text := make([]byte, 0, len(d.h)+1+raw.EncodedLen(len(d.payload)))
	for tail := int64(0); tail < tries && !s.wish.met(d.signature, d.s); tail++ {
		if n > 0 {
			number = strconv.AppendInt(number[:0], n-tail, 10)
		} else {
			number = strconv.AppendInt(number[:0], 10000+tail, 10)
			number[0] = '-'
		}
		copy(d.payload[at:], number)
		text = append(append(text[:0], d.h...), '.')
		text = raw.AppendEncode(text, d.payload)
		d.signature = m.sign.sign(s.key, text)
		d.s = raw.EncodeToString(d.signature)
	}
	d.p = raw.EncodeToString(d.payload)
}

// fill returns how many characters of filling bring the token to the wanted size,
// or just under it.
func (m *maker) fill(s *spec) int {
	if s.size == 0 {
		return 0
	}
	s.outgoing = true
	quiet := *s
	quiet.change, quiet.edit, quiet.wish = nil, nil, anyShape
	d := draft{spec: &quiet}
	size := func(filler int) int {
		d.header, d.payload = m.object(&quiet, filler)
		return raw.EncodedLen(len(d.header)) + raw.EncodedLen(len(d.payload)) + 2 + raw.EncodedLen(signatureLen(s.key))
	}
	// What is left, in bytes of the payload; then the few that rounding leaves.
	least := size(1)
	if least > s.size {
		return 1
	}
	filler := 1 + (s.size-least)*3/4
	for filler > 1 && size(filler) > s.size {
		filler--
	}
	for more := filler + 1; more < filler+3; more++ {
		if size(more) <= s.size {
			filler = more
		}
	}
	return filler
}

func signatureLen(k *Key) int {
	switch {
	case k.secret():
		return hashOf(k.Algorithm)().Size()
	case k.Algorithm == token.ES256, k.Algorithm == token.EdDSA:
		return 64
	}
	return k.Private.(interface{ Size() int }).Size()
}

// write fills in the draft: JSON, segments, signature.
func (m *maker) write(d *draft, filler int) {
	s := d.spec
	d.header, d.payload = m.object(s, filler)
	c := s.change
	if c != nil && c.json != nil {
		d.header, d.payload = c.json(m, d.header, d.payload)
	}
	d.h, d.p = raw.EncodeToString(d.header), raw.EncodeToString(d.payload)
	if c != nil && c.segment != nil {
		if c.where == token.Header {
			d.h = c.segment(m, d.h)
		} else {
			d.p = c.segment(m, d.p)
		}
	}
	d.signature = m.sign.sign(s.key, []byte(d.h+"."+d.p))
	d.s = raw.EncodeToString(d.signature)
}

// object writes header and payload.
func (m *maker) object(s *spec, filler int) (header, payload []byte) {
	w := s.style
	h := map[string][]byte{"alg": w.text(s.alg), "typ": w.text(s.typ)}
	if s.cty != "" {
		h["cty"] = w.text(s.cty)
	}
	if s.region != "" {
		h["twr"] = w.text(s.region)
	}
	if s.kid != "" {
		h["kid"] = w.text(s.kid)
	}
	p := map[string][]byte{}
	if !s.noIssued {
		p["iat"] = number(s.issued, false)
	}
	if s.notBefore != 0 {
		p["nbf"] = number(s.notBefore, false)
	}
	order := w.access
	if s.key.Kind == token.Access {
		if !s.noID {
			p["jti"] = w.text(s.id + "-0000")
		}
		p["exp"] = number(s.expires, s.half)
		p["iss"], p["sub"] = w.text(s.key.ID), w.text(s.key.Account)
		if s.key.Issuer != "" {
			p["iss"], p["aud"] = w.text(s.key.Issuer), w.text(s.key.Audience)
		}
		p["grants"] = m.grants(s, filler)
	} else {
		order = w.capability
		p["exp"] = number(s.expires, s.half)
		p["iss"] = w.text(s.key.Account)
		p["scope"] = w.text(m.scope(s, filler))
	}
	if s.edit != nil {
		s.edit(h, p)
	}
	return w.object(nil, w.header, h), w.object(nil, order, p)
}

func (m *maker) grants(s *spec, filler int) []byte {
	w := s.style
	voice := map[string][]byte{}
	if s.incoming {
		voice["incoming"] = w.object(nil, []string{"allow"}, map[string][]byte{"allow": []byte("true")})
	}
	if s.outgoing {
		outgoing := map[string][]byte{"application_sid": w.text(s.app)}
		params, order := map[string][]byte{}, []string{}
		for _, p := range s.allParams(filler) {
			params[p[0]] = w.text(p[1])
			order = append(order, p[0])
		}
		if len(order) > 0 {
			outgoing["params"] = w.object(nil, order, params)
		}
		voice["outgoing"] = w.object(nil, []string{"application_sid", "params"}, outgoing)
	}
	if s.push {
		voice["push_credential_sid"] = w.text("CR" + strings.TrimPrefix(s.key.Account, "AC"))
	}
	grants := map[string][]byte{"identity": w.text(s.name), "voice": w.object(nil, []string{"incoming", "outgoing", "push_credential_sid"}, voice)}
	return w.object(nil, []string{"identity", "voice"}, grants)
}

// scope writes the scopes of a capability token. What a token fixes is a query
// string within a query string, so it is escaped twice.
func (m *maker) scope(s *spec, filler int) string {
	w := s.style
	var scopes []string
	if s.stream {
		scopes = append(scopes, "scope:stream:subscribe?path="+w.query("/2010-04-01/Events"))
	}
	if s.outgoing {
		scope := "scope:client:outgoing?appSid=" + s.app + "&clientName=" + w.query(s.name)
		var query []string
		for _, p := range s.allParams(filler) {
			query = append(query, w.query(p[0])+"="+w.query(p[1]))
		}
		if len(query) > 0 {
			scope += "&appParams=" + w.query(strings.Join(query, "&"))
		}
		scopes = append(scopes, scope)
	}
	if s.incoming {
		scopes = append(scopes, "scope:client:incoming?clientName="+w.query(s.name))
	}
	return strings.Join(scopes, " ")
}

func (s *spec) allParams(filler int) [][2]string {
	if filler == 0 {
		return s.params
	}
	return append(slices.Clone(s.params), [2]string{"filler", strings.Repeat("x", filler)})
}

// differs says which of the claims are not what was minted; "" when all are.
func (s *spec) differs(c token.Claims, identityOnly bool) string {
	switch {
	case c.Identity != s.name:
		return "identity"
	case identityOnly:
		return ""
	case c.Kind != s.key.Kind:
		return "kind"
	case c.Account != s.key.Account:
		return "account"
	}
	if s.key.Kind == token.Ticket {
		return ""
	}
	app := ""
	params := url.Values{}
	if s.outgoing {
		app = s.app
		for _, p := range s.params {
			params.Add(p[0], p[1])
		}
	}
	switch {
	case c.KeyID != s.key.ID:
		return "key"
	case c.Incoming != s.incoming, c.Outgoing != s.outgoing, c.OutgoingApp != app:
		return "grants"
	case !sameParams(c.OutgoingParams, params):
		return "parameters"
	case c.Expires.Unix() < s.expires-3000 || c.Expires.Unix() > s.expires:
		return "expiry"
	}
	return ""
}

func sameParams(got, want url.Values) bool {
	n := 0
	for name, values := range got {
		if name == "filler" {
			continue
		}
		n++
		if !slices.Equal(values, want[name]) {
			return false
		}
	}
	return n == len(want)
}
