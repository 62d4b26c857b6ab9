package carrier

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

const (
	realm       = "carrier.example"
	nonceLife   = 5 * time.Minute
	maxExpires  = 3600 // seconds that a registration lasts at most
	maxContacts = 1000
)

// Registration is a node that registered for calls.
type Registration struct {
	User    string
	Contact string
	Expires time.Time
	Times   int // REGISTERs that were accepted
}

// Registrations returns those in force, by user.
func (c *Carrier) Registrations() []Registration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Registration
	for _, r := range c.registrations {
		if time.Now().Before(r.Expires) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Registration) int { return strings.Compare(a.User, b.User) })
	return all
}

// register binds a user to a contact, for as long as asked but no longer than an
// hour; an expiry of zero unbinds it (RFC 3261, 10.3).
func (c *Carrier) register(req *sip.Request, tx sip.ServerTransaction) {
	if c.o.Users != nil && !c.authorized(req, tx, 401) {
		return
	}
	to, contact := req.To(), req.Contact()
	if to == nil || contact == nil {
		c.refuse(req, tx, 400, "Bad Request")
		return
	}
	asked := contact.Params.GetOr("expires", "")
	if h := req.GetHeader("Expires"); asked == "" && h != nil {
		asked = h.Value()
	}
	expires, err := strconv.Atoi(asked)
	if err != nil || expires > maxExpires {
		expires = maxExpires
	}
	user := to.Address.User
	c.mu.Lock()
	r := c.registrations[user]
	full := r.Times == 0 && len(c.registrations) >= maxContacts
	switch {
	case full:
	case expires <= 0:
		delete(c.registrations, user)
	default:
		c.registrations[user] = Registration{
			User: user, Contact: contact.Address.String(), Times: r.Times + 1,
			Expires: time.Now().Add(time.Duration(expires) * time.Second),
		}
	}
	c.mu.Unlock()
	if full {
		c.refuse(req, tx, 503, "Service Unavailable")
		return
	}
	bound := sip.NewHeader("Contact", fmt.Sprintf("<%s>;expires=%d", contact.Address.String(), max(0, expires)))
	c.refuse(req, tx, 200, "OK", bound, sip.NewHeader("Expires", strconv.Itoa(max(0, expires))))
}

// authorized checks a request's digest (RFC 8760 leaves MD5 to old peers, which
// carriers are) and asks for one with status, 401 or 407, if it does not hold.
func (c *Carrier) authorized(req *sip.Request, tx sip.ServerTransaction, status int) bool {
	ask, have, reason := "WWW-Authenticate", "Authorization", "Unauthorized"
	if status == 407 {
		ask, have, reason = "Proxy-Authenticate", "Proxy-Authorization", "Proxy Authentication Required"
	}
	stale := ""
	if h := req.GetHeader(have); h != nil {
		creds, err := digest.ParseCredentials(h.Value())
		if err == nil {
			fresh := c.fresh(creds.Nonce)
			if c.proves(creds, req.Method.String()) && fresh {
				return true
			}
			if !fresh {
				stale = ", stale=true"
			}
		}
	}
	c.refuse(req, tx, status, reason, sip.NewHeader(ask, fmt.Sprintf(
		`Digest realm="%s", nonce="%s", algorithm=MD5, qop="auth"%s`, realm, c.nonce(time.Now()), stale)))
	return false
}

// proves reports whether the credentials show knowledge of the user's password
// (RFC 2617, 3.2.2).
func (c *Carrier) proves(creds *digest.Credentials, method string) bool {
	password, known := c.o.Users[creds.Username]
	if !known || creds.Realm != realm {
		return false
	}
	ha1 := md5hex(creds.Username + ":" + realm + ":" + password)
	ha2 := md5hex(method + ":" + creds.URI)
	want := md5hex(ha1 + ":" + creds.Nonce + ":" + ha2)
	if creds.QOP != "" {
		want = md5hex(fmt.Sprintf("%s:%s:%08x:%s:%s:%s", ha1, creds.Nonce, creds.Nc, creds.Cnonce, creds.QOP, ha2))
	}
	return subtle.ConstantTimeCompare([]byte(want), []byte(creds.Response)) == 1
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// nonce is the time with a proof that we said it: nothing needs to be kept.
func (c *Carrier) nonce(at time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))
	mac := hmac.New(sha256.New, binary.BigEndian.AppendUint32(nil, c.secret))
	mac.Write(b)
	return hex.EncodeToString(mac.Sum(b)[:24])
}

func (c *Carrier) fresh(nonce string) bool {
	b, err := hex.DecodeString(nonce)
	if err != nil || len(b) != 24 {
		return false
	}
	at := time.Unix(0, int64(binary.BigEndian.Uint64(b)))
	return c.nonce(at) == nonce && time.Since(at) < nonceLife
}
