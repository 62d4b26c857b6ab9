package keyring

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"dialtone/internal/voice/token"
)

// Bounds of an issuer's key set.
const (
	maxRedirects = 3
	fetchTimeout = 10 * time.Second
)

var (
	errPrivate   = errors.New("not a public address")
	errElsewhere = errors.New("redirects to another host")
)

// publicClient reads from public addresses alone: who may name a key set must
// not be able to ask this machine's neighbours.
func publicClient() *http.Client {
	dialer := &net.Dialer{
		Timeout: fetchTimeout,
		// With the address that is connected to, after names were resolved.
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !public(at.Addr().Unmap()) {
				return errPrivate
			}
			return nil
		},
	}
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: fetchTimeout, ResponseHeaderTimeout: fetchTimeout,
			MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		},
	}
}

// notPublic are ranges that netip has no word for (RFC 6890 and its successors).
func notPublic() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
	}
}

func public(at netip.Addr) bool {
	if !at.IsGlobalUnicast() || at.IsPrivate() || at.Is6() && !netip.MustParsePrefix("2000::/3").Contains(at) {
		return false
	}
	for _, p := range notPublic() {
		if p.Contains(at) {
			return false
		}
	}
	return true
}

// fetch reads the key set of an issuer. What went wrong is in the set's problem,
// in words that say nothing of what was answered.
func (r *Ring) fetch(ctx context.Context, i Issuer) keySet {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	set := keySet{tried: r.now().UTC()}
	body, problem := r.get(ctx, i.JWKS)
	if problem == "" {
		set.keys, problem = parseKeySet(body, i.Account)
	}
	set.problem = problem
	if problem == "" {
		set.fetched, set.text = set.tried, body
	}
	return set
}

func (r *Ring) get(ctx context.Context, address string) (body []byte, problem string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, "has an address that cannot be used"
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	client := *r.issuers.client
	client.CheckRedirect = func(to *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects || to.URL.Scheme != "https" || to.URL.Host != via[0].URL.Host {
			return errElsewhere
		}
		return nil
	}
	client.Jar = nil
	response, err := client.Do(request)
	switch {
	case errors.Is(err, errPrivate):
		return nil, "is not at a public address"
	case errors.Is(err, errElsewhere):
		return nil, "leads to another host"
	case err != nil:
		r.log.Info("an issuer's key set could not be fetched", "error", err)
		return nil, "cannot be reached"
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, "was answered with status " + strconv.Itoa(response.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, token.MaxKeySet+1))
	switch {
	case err != nil:
		return nil, "could not be read to its end"
	case len(body) > token.MaxKeySet:
		return nil, "is too large"
	}
	return body, ""
}

// parseKeySet returns the keys of a JSON Web Key Set (RFC 7517 section 5) that
// tokens can be checked with, by kid; others are passed over, as the RFC demands.
func parseKeySet(body []byte, account string) (keys map[string]*token.Key, problem string) {
	set, err := token.ParseJWKSet(body)
	if err != nil {
		return nil, "is no JSON Web Key Set of at most " + strconv.Itoa(token.MaxKeySetKeys) + " keys with an id each"
	}
	keys = make(map[string]*token.Key, len(set.Keys))
	for kid, jwk := range set.Keys {
		k, err := token.NewPublicKey(kid, account, jwk)
		if err != nil {
			continue
		}
		keys[kid] = k
	}
	if len(keys) == 0 {
		return nil, "holds no key that tokens can be checked with (ES256, EdDSA, RS256 or PS256, with a kid)"
	}
	return keys, ""
}
