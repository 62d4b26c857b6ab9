package check

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"sync"
	"time"

	"dialtone/internal/voice/token"
)

// ownTime is the clock of the own ring: a check of this binary alone is the same
// at any time.
var ownTime = time.Unix(1763830000, 0)

// Own returns this binary's verifier with keys of every algorithm and tickets of
// its own, drawn from the seed.
func Own(seed uint64) (Source, error) {
	return OwnAt(seed, func() time.Time { return ownTime })
}

// OwnAt is Own with another clock, for a server that has its own.
func OwnAt(seed uint64, now func() time.Time) (Source, error) {
	r := &ring{
		now:     now,
		tickets: map[string]*ticket{}, keys: map[string]*token.Key{}, auth: map[string][]*token.Key{},
		rand: rand.New(rand.NewPCG(seed, 0x7469636b657473)),
	}
	var keys []Key
	for _, k := range []struct {
		kind      token.Kind
		algorithm string
		account   string
	}{
		{token.Access, token.HS256, "first"},
		{token.Access, token.HS256, "second"},
		{token.Access, token.HS384, "first"},
		{token.Access, token.HS512, "first"},
		{token.Access, token.ES256, "first"},
		{token.Access, token.EdDSA, "first"},
		{token.Access, token.RS256, "first"},
		{token.Access, token.PS256, "first"},
		{token.Capability, token.HS256, "first"},
		{token.Capability, token.HS256, "first"},
		{token.Capability, token.HS256, "second"},
	} {
		n := len(keys)
		key := Key{Kind: k.kind, Algorithm: k.algorithm, Account: "AC" + constant("account "+k.account)}
		id := fmt.Sprintf("key %d", n)
		if key.ID = "SK" + constant(id); k.kind == token.Capability {
			key.ID = "AT" + constant(id)
		}
		keys = append(keys, key)
	}
	// The key of an account's own issuer: its id is a "kid" and may be any text.
	keys = append(keys, Key{
		Kind: token.Access, Algorithm: token.ES256, Account: keys[0].Account, ID: "2025-11?",
		Issuer: "https://issuer.example/~tenant", Audience: "dialtone",
	})
	var wait sync.WaitGroup
	for i := range keys {
		wait.Go(func() { keys[i].generate(rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "check %d %d", seed, i)))) })
	}
	wait.Wait()
	for _, k := range keys {
		if err := r.put(k); err != nil {
			return Source{}, err
		}
	}
	return Source{Keys: keys, Verifier: token.NewVerifier(r, r, now), Tickets: r, Account: keys[0].Account, Now: now}, nil
}

// constant returns 32 hexadecimal digits that are always the same for a name.
func constant(name string) string {
	sum := sha256.Sum256([]byte("dialtone token check: " + name))
	return hex.EncodeToString(sum[:16])
}

// generate makes the key's secret. The standard library draws keys from no
// source but the system's, so numbers are made into keys here; they are of no
// use beyond a check.
func (k *Key) generate(from *rand.ChaCha8) {
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = from.Read(b)
		return b
	}
	switch k.Algorithm {
	case token.ES256:
		for {
			if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), read(32)); err == nil {
				k.Private = key
				return
			}
		}
	case token.EdDSA:
		k.Private = ed25519.NewKeyFromSeed(read(ed25519.SeedSize))
	case token.RS256:
		// 384 bytes: the one length of a signature beside HS384's that is a
		// multiple of 3, so that the two can be told apart.
		k.Private = rsaKey(3072, read)
	case token.PS256:
		k.Private = rsaKey(2048, read)
	default:
		k.Secret = []byte(hex.EncodeToString(read(32)))
	}
}

// rsaKey makes an RSA key of two primes that are found from what read gives.
func rsaKey(bits int, read func(int) []byte) *rsa.PrivateKey {
	one, e := big.NewInt(1), big.NewInt(65537)
	for {
		p, q := prime(bits/2, read), prime(bits/2, read)
		n := new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if n.BitLen() != bits || d == nil || p.Cmp(q) == 0 {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, D: d, Primes: []*big.Int{p, q}}
		key.Precompute()
		if key.Validate() == nil {
			return key
		}
	}
}

// prime searches upwards from a random number with its two highest bits set.
func prime(bits int, read func(int) []byte) *big.Int {
	var small []uint64
	for n := uint64(3); n < 5000; n += 2 {
		if big.NewInt(int64(n)).ProbablyPrime(0) {
			small = append(small, n)
		}
	}
	for {
		start := new(big.Int).SetBytes(read(bits / 8))
		start.SetBit(start, bits-1, 1).SetBit(start, bits-2, 1).SetBit(start, 0, 1)
		left := make([]uint64, len(small))
		for i, n := range small {
			left[i] = new(big.Int).Mod(start, new(big.Int).SetUint64(n)).Uint64()
		}
	search:
		for delta := uint64(0); delta < 1<<14; delta += 2 {
			for i, n := range small {
				if (left[i]+delta)%n == 0 {
					continue search
				}
			}
			if p := new(big.Int).Add(start, new(big.Int).SetUint64(delta)); p.BitLen() == bits && p.ProbablyPrime(1) {
				return p
			}
		}
	}
}

// jwk returns the JSON Web Key of the public half.
func (k *Key) jwk() ([]byte, error) {
	m := map[string]string{"alg": k.Algorithm}
	switch key := k.Private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return nil, err
		}
		m["kty"], m["crv"], m["x"], m["y"] = "EC", "P-256", raw.EncodeToString(point[1:33]), raw.EncodeToString(point[33:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", raw.EncodeToString(key)
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", raw.EncodeToString(key.N.Bytes()), raw.EncodeToString(big.NewInt(int64(key.E)).Bytes())
	}
	return json.Marshal(m)
}

// publicBytes is the public key as a confused verifier would take it for a secret.
func publicBytes(k *Key) []byte {
	public, err := x509.MarshalPKIXPublicKey(k.Private.Public())
	if err != nil {
		panic("check: " + err.Error())
	}
	return public
}

// ring is a key ring and an issuer of tickets in memory.
type ring struct {
	keys map[string]*token.Key   // by id, or issuer and kid
	auth map[string][]*token.Key // by account

	issuer, audience string

	now func() time.Time

	mu      sync.Mutex
	rand    *rand.Rand
	tickets map[string]*ticket
}

type ticket struct {
	account, identity string
	issued, expires   time.Time
	redeemed          time.Time
}

func (r *ring) put(k Key) error {
	var key *token.Key
	var err error
	if k.secret() {
		key, err = token.NewSecretKey(k.ID, k.Account, k.Algorithm, k.Secret)
	} else {
		var jwk []byte
		if jwk, err = k.jwk(); err != nil {
			return err
		}
		key, err = token.NewPublicKey(k.ID, k.Account, jwk)
	}
	if err != nil {
		return err
	}
	switch {
	case k.Kind == token.Capability:
		r.auth[k.Account] = append(r.auth[k.Account], key)
	case k.Issuer != "":
		r.issuer, r.audience = k.Issuer, k.Audience
		r.keys[k.Issuer+" "+k.ID] = key
	default:
		r.keys[k.ID] = key
	}
	return nil
}

// APIKey implements token.Keys.
func (r *ring) APIKey(id string) (*token.Key, token.Reason) {
	if k := r.keys[id]; k != nil {
		return k, ""
	}
	return nil, token.ReasonUnknownKey
}

// AuthTokens implements token.Keys.
func (r *ring) AuthTokens(account string) ([]*token.Key, token.Reason) {
	if k := r.auth[account]; k != nil {
		return k, ""
	}
	return nil, token.ReasonUnknownAccount
}

// IssuerKey implements token.Keys.
func (r *ring) IssuerKey(issuer, kid string) (*token.Key, string, token.Reason) {
	switch k := r.keys[issuer+" "+kid]; {
	case issuer != r.issuer:
		return nil, "", token.ReasonUnknownIssuer
	case k == nil:
		return nil, "", token.ReasonUnknownKey
	default:
		return k, r.audience, ""
	}
}

// Closed implements token.Keys.
func (r *ring) Closed(string, token.Kind, time.Time) bool { return false }

// Revoked implements token.Keys.
func (r *ring) Revoked(*token.Claims) bool { return false }

// Issue implements Tickets.
func (r *ring) Issue(_ context.Context, account, identity string) (string, error) {
	return r.issue(account, identity, r.now().Add(2*time.Minute)), nil
}

// Lapsed issues a ticket whose time is over.
func (r *ring) Lapsed(_ context.Context, account, identity string) (string, error) {
	return r.issue(account, identity, r.now().Add(-time.Second)), nil
}

func (r *ring) issue(account, identity string, expires time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := digits(r.rand)
	r.tickets[text] = &ticket{account: account, identity: identity, issued: expires.Add(-2 * time.Minute), expires: expires}
	return text
}

// Redeem implements token.Tickets.
func (r *ring) Redeem(_ context.Context, text string, now time.Time) (token.Claims, token.Reason, error) {
	return r.find(text, now, true)
}

// Look implements token.Tickets.
func (r *ring) Look(_ context.Context, text string, now time.Time) (token.Claims, token.Reason, error) {
	return r.find(text, now, false)
}

func (r *ring) find(text string, now time.Time, use bool) (token.Claims, token.Reason, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tickets[text]
	switch {
	case t == nil:
		return token.Claims{}, token.ReasonTicketUnknown, nil
	case use && !t.redeemed.IsZero():
		return token.Claims{}, token.ReasonTicketUsed, nil
	case !now.Before(t.expires):
		return token.Claims{}, token.ReasonTicketExpired, nil
	case use:
		t.redeemed = now
	}
	return token.Claims{
		Kind: token.Ticket, Account: t.account, Identity: t.identity, Issued: t.issued,
		Expires: now.Add(time.Hour), Redeemed: t.redeemed, Incoming: true,
	}, "", nil
}
