package sdp

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dialtone/internal/voice/srtp"
)

// Policy says whether a leg's audio is encrypted (SRTP by SDES, RFC 4568).
type Policy int

// The policies. Optional offers plain RTP with keys beside it (RFC 8643), and
// takes what comes, encrypted where that can be had.
const (
	Off Policy = iota
	Optional
	Required
)

// ErrNoKeys: the stream is encrypted, or must be, and there is no key that we
// understand.
var ErrNoKeys = errors.New("sdp: no usable SRTP key")

// Crypto is one crypto attribute: with which keys its author sends.
type Crypto struct {
	Tag  int
	Keys srtp.Keys
}

// suites are ours, the most wanted first. The last is answered, never offered.
var suites = []srtp.Profile{srtp.AEADAES128GCM, srtp.AES128CMSHA1Tag80, srtp.AES128CMSHA1Tag32}

// NewCrypto makes a key for each suite, to be used in all descriptions of one
// dialog.
func NewCrypto() []Crypto {
	var list []Crypto
	for i, p := range suites {
		c := Crypto{Tag: i + 1, Keys: srtp.Keys{Profile: p, Key: make([]byte, p.KeyLen()), Salt: make([]byte, p.SaltLen())}}
		_, _ = rand.Read(c.Keys.Key) // never fails since Go 1.24
		_, _ = rand.Read(c.Keys.Salt)
		list = append(list, c)
	}
	return list
}

// line writes the attribute.
func (c Crypto) line() string {
	return fmt.Sprintf("a=crypto:%d %s inline:%s\r\n", c.Tag, c.Keys.Profile,
		base64.StdEncoding.EncodeToString(slices.Concat(c.Keys.Key, c.Keys.Salt)))
}

const (
	maxCrypto = 16 // attributes of a stream that are looked at
	// leastLifetime is how many packets a key must be good for, since we never
	// change it: five hours of them.
	leastLifetime = 1 << 20
)

// parseCrypto reads the value of a crypto attribute (RFC 4568, 9.1). ok is false
// for suites, parameters and keys that we do not speak: another attribute may do.
func parseCrypto(value string) (c Crypto, ok bool) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return c, false
	}
	tag, err := strconv.ParseUint(f[0], 10, 30)
	if err != nil || len(f[0]) > 9 {
		return c, false
	}
	c.Tag = int(tag)
	for _, p := range suites {
		if strings.EqualFold(f[1], p.String()) {
			c.Keys.Profile = p
		}
	}
	for _, param := range f[3:] {
		// Of session parameters only those that change nothing for us (RFC 4568, 6.3).
		if !strings.HasPrefix(param, "WSH=") && !strings.HasPrefix(param, "-") {
			return c, false
		}
	}
	method, info, _ := strings.Cut(f[2], ":")
	if c.Keys.Profile == 0 || !strings.EqualFold(method, "inline") || strings.Contains(info, ";") {
		return c, false // several keys in turn need a master key identifier
	}
	parts := strings.Split(info, "|")
	if len(parts) > 2 || len(parts) == 2 && !lives(parts[1]) {
		return c, false
	}
	// Padding is left out by some.
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil || len(raw) != c.Keys.Profile.KeyLen()+c.Keys.Profile.SaltLen() {
		return c, false
	}
	c.Keys.Key, c.Keys.Salt = raw[:c.Keys.Profile.KeyLen()], raw[c.Keys.Profile.KeyLen():]
	return c, true
}

// lives reads a lifetime, "2^48" or a number; it may be a master key identifier,
// which we do not speak.
func lives(s string) bool {
	if power, ok := strings.CutPrefix(s, "2^"); ok {
		n, err := strconv.ParseUint(power, 10, 8)
		return err == nil && n >= 20 && n <= 48
	}
	n, err := strconv.ParseUint(s, 10, 48)
	return err == nil && n >= leastLifetime
}

// Secure reports whether the stream's profile demands encryption.
func (m Media) Secure() bool { return m.Proto == "RTP/SAVP" || m.Proto == "RTP/SAVPF" }

func (m Media) plain() bool { return m.Proto == "RTP/AVP" || m.Proto == "RTP/AVPF" }

// fits says whether the stream can be used under the policy. The profiles of
// DTLS never can.
func (m Media) fits(p Policy) bool {
	switch {
	case m.Secure():
		return p != Off
	case !m.plain():
		return false
	}
	return p != Required || len(m.Crypto) > 0
}

// Keyed reports whether an offered stream has the keys that it or the policy demands.
func (m Media) Keyed(p Policy) bool {
	return len(m.Crypto) > 0 || p != Required && !m.Secure()
}

// Keying is what two descriptions agreed: with which keys each side sends. The
// zero Keying is plain RTP.
type Keying struct {
	Tag         int
	Send, Heard srtp.Keys
}

// Encrypted reports whether keys were agreed.
func (k Keying) Encrypted() bool { return k.Send.Profile != 0 }

// ChooseKeys answers an offered stream's keys: the best suite that both know, with
// our own key of it (RFC 4568, 5.1.2). ours is what NewCrypto made.
func (m Media) ChooseKeys(ours []Crypto, p Policy) (Keying, error) {
	if p == Off && !m.Secure() {
		return Keying{}, nil
	}
	for _, mine := range ours {
		for _, theirs := range m.Crypto {
			if theirs.Keys.Profile == mine.Keys.Profile {
				return Keying{Tag: theirs.Tag, Send: mine.Keys, Heard: theirs.Keys}, nil
			}
		}
	}
	if p == Required || m.Secure() {
		return Keying{}, ErrNoKeys
	}
	return Keying{}, nil
}

// AcceptKeys takes an answered stream's keys, which name one of those that we
// offered (RFC 4568, 5.1.3).
func (m Media) AcceptKeys(ours []Crypto, p Policy) (Keying, error) {
	if p != Off && len(m.Crypto) > 0 {
		for _, mine := range offeredOf(ours) {
			if theirs := m.Crypto[0]; theirs.Tag == mine.Tag && theirs.Keys.Profile == mine.Keys.Profile {
				return Keying{Tag: mine.Tag, Send: mine.Keys, Heard: theirs.Keys}, nil
			}
		}
		return Keying{}, ErrNoKeys
	}
	if p == Required || m.Secure() {
		return Keying{}, ErrNoKeys
	}
	return Keying{}, nil
}

// offeredOf leaves out the suite that is answered only.
func offeredOf(ours []Crypto) []Crypto {
	return slices.DeleteFunc(slices.Clone(ours), func(c Crypto) bool { return c.Keys.Profile == srtp.AES128CMSHA1Tag32 })
}
