package trunk

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

var errNoChallenge = errors.New("trunk: no challenge that we can answer")

// credentials answers the challenge of a 401 or 407 for a request that will be
// sent in place of the challenged one (RFC 3261 22, RFC 8760).
func credentials(req *sip.Request, res *sip.Response, username, password string) (sip.Header, error) {
	ask, answer := "www-authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		ask, answer = "proxy-authenticate", "Proxy-Authorization"
	}
	for _, h := range res.GetHeaders(ask) {
		challenge, err := digest.ParseChallenge(h.Value())
		if err != nil {
			continue
		}
		for i := range challenge.QOP {
			challenge.QOP[i] = strings.TrimSpace(challenge.QOP[i])
		}
		if !digest.CanDigest(challenge) {
			continue
		}
		cred, err := digest.Digest(challenge, digest.Options{
			Method: string(req.Method), URI: req.Recipient.String(), Username: username, Password: password,
			GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(req.Body())), nil },
		})
		if err != nil {
			continue
		}
		return sip.NewHeader(answer, cred.String()), nil
	}
	return nil, errNoChallenge
}

// stale reports whether a second challenge is due to the nonce's age alone.
func stale(res *sip.Response) bool {
	for _, name := range []string{"www-authenticate", "proxy-authenticate"} {
		for _, h := range res.GetHeaders(name) {
			if c, err := digest.ParseChallenge(h.Value()); err == nil && c.Stale {
				return true
			}
		}
	}
	return false
}

// nonceLife is how long a challenge may be answered.
const nonceLife = time.Minute

// guard makes and checks challenges to carriers without keeping any state: a
// nonce is a time and its seal, good for one Call-ID.
type guard struct{ secret []byte }

func (g guard) nonce(callID string, now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 36)
	mac := hmac.New(sha256.New, g.secret)
	mac.Write([]byte(at + "|" + callID))
	return at + "." + hex.EncodeToString(mac.Sum(nil)[:16])
}

// challenge adds the demand for credentials to a 401. SHA-256 stands before MD5
// (RFC 8760 2.4).
func (g guard) challenge(res *sip.Response, realm string, now time.Time, old bool) {
	for _, algorithm := range []string{"SHA-256", "MD5"} {
		c := digest.Challenge{
			Realm: realm, Nonce: g.nonce(string(*res.CallID()), now), Algorithm: algorithm, QOP: []string{"auth"}, Stale: old,
		}
		res.AppendHeader(sip.NewHeader("WWW-Authenticate", c.String()))
	}
}

type authorization int

const (
	unauthorized authorization = iota
	outdated                   // right but for the nonce's age
	authorized
)

// check judges the credentials of a request.
func (g guard) check(req *sip.Request, username, password, realm string, now time.Time) authorization {
	for _, h := range req.GetHeaders("authorization") {
		cred, err := digest.ParseCredentials(h.Value())
		if err != nil || cred.Username != username || cred.Realm != realm || cred.Userhash {
			continue
		}
		at, _, _ := strings.Cut(cred.Nonce, ".")
		unix, err := strconv.ParseInt(at, 36, 64)
		if err != nil {
			continue
		}
		made := time.Unix(unix, 0)
		if g.nonce(string(*req.CallID()), made) != cred.Nonce {
			continue
		}
		c := &digest.Challenge{Realm: cred.Realm, Nonce: cred.Nonce, Algorithm: cred.Algorithm, Opaque: cred.Opaque}
		switch cred.QOP {
		case "auth":
			c.QOP = []string{"auth"}
		case "":
		default:
			continue
		}
		if !digest.CanDigest(c) {
			continue
		}
		want, err := digest.Digest(c, digest.Options{
			Method: string(req.Method), URI: cred.URI, Count: cred.Nc, Cnonce: cred.Cnonce,
			Username: username, Password: password,
		})
		if err != nil || subtle.ConstantTimeCompare([]byte(want.Response), []byte(strings.ToLower(cred.Response))) != 1 {
			continue
		}
		if now.Sub(made) > nonceLife {
			return outdated
		}
		return authorized
	}
	return unauthorized
}
