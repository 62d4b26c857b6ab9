// Package srtp encrypts and authenticates RTP and RTCP in place (RFC 3711,
// RFC 7714): a Sender for the packets that one side sends, a Receiver for those
// that it gets, each with keys of its own.
//
// A packet lies in the caller's buffer and stays there; nothing is allocated for
// it. Whatever arrives, a Receiver does not panic, and a packet that it refuses
// changes nothing that it knows. A Sender uses no packet index twice.
//
// Neither is safe for concurrent use. There are no sockets, clocks and goroutines
// here. What they know can be exported (State) and taken up by another process
// (ResumeSender, ResumeReceiver).
//
// Not supported: key derivation rates other than zero, master key identifiers on
// the wire, encrypted header extensions (RFC 6904, RFC 9335).
package srtp

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
)

// Profile is a protection profile, numbered as in DTLS (RFC 5764, 4.1.2;
// RFC 7714, 14.2).
type Profile uint16

// The profiles that are spoken. The last is for gateways that know no better: its
// short tag is of RTP only, RTCP has the long one (RFC 5764, 4.1.2).
const (
	AES128CMSHA1Tag80 Profile = 0x0001
	AES128CMSHA1Tag32 Profile = 0x0002
	AEADAES128GCM     Profile = 0x0007
)

// keyLen is the length of every master key here.
const keyLen = 16

// String returns the name that SDP uses (RFC 4568, RFC 7714).
func (p Profile) String() string {
	switch p {
	case AES128CMSHA1Tag80:
		return "AES_CM_128_HMAC_SHA1_80"
	case AES128CMSHA1Tag32:
		return "AES_CM_128_HMAC_SHA1_32"
	case AEADAES128GCM:
		return "AEAD_AES_128_GCM"
	}
	return fmt.Sprintf("profile %d", uint16(p))
}

// Known reports whether the profile is one of those above.
func (p Profile) Known() bool {
	return p == AES128CMSHA1Tag80 || p == AES128CMSHA1Tag32 || p == AEADAES128GCM
}

// KeyLen and SaltLen are the lengths of a master key and its salt in bytes.
func (p Profile) KeyLen() int { return keyLen }

// SaltLen is the length of a master salt in bytes.
func (p Profile) SaltLen() int {
	if p == AEADAES128GCM {
		return 12
	}
	return 14
}

// Overhead is how many bytes longer an RTP packet becomes.
func (p Profile) Overhead() int {
	switch p {
	case AES128CMSHA1Tag32:
		return 4
	case AEADAES128GCM:
		return 16
	case AES128CMSHA1Tag80:
	}
	return 10
}

// ReportOverhead is how many bytes longer an RTCP packet becomes.
func (p Profile) ReportOverhead() int {
	if p == AEADAES128GCM {
		return indexLen + 16
	}
	return indexLen + 10
}

// MaxOverhead is the longest of all overheads.
const MaxOverhead = indexLen + 16

// indexLen is the length of the SRTCP index with its flag.
const indexLen = 4

// Keys are the master key and salt of one direction.
type Keys struct {
	Profile   Profile
	Key, Salt []byte
}

// Equal reports whether both are the same keys.
func (k Keys) Equal(o Keys) bool {
	return k.Profile == o.Profile && bytes.Equal(k.Key, o.Key) && bytes.Equal(k.Salt, o.Salt)
}

// LogValue keeps the keys out of logs.
func (k Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// String keeps the keys out of messages.
func (k Keys) String() string { return k.Profile.String() + " keys" }

// GoString keeps the keys out of messages.
func (k Keys) GoString() string { return k.String() }

func (k Keys) check() error {
	switch {
	case !k.Profile.Known():
		return fmt.Errorf("srtp: %s is not spoken", k.Profile)
	case len(k.Key) != k.Profile.KeyLen() || len(k.Salt) != k.Profile.SaltLen():
		return errors.New("srtp: master key or salt has the wrong length")
	}
	return nil
}

// Why a packet is refused.
var (
	ErrMalformed = errors.New("srtp: no RTP or RTCP packet of this profile")
	ErrForged    = errors.New("srtp: authentication failed")
	ErrReplayed  = errors.New("srtp: packet came before, or is too late to tell")
	ErrReused    = errors.New("srtp: sequence number was used before")
	ErrExhausted = errors.New("srtp: no packet may use these keys any more")
	ErrSources   = errors.New("srtp: too many SSRCs under one key")
	ErrRoom      = errors.New("srtp: no room for the tag behind the packet")
)

// headerLen returns the length of an RTP header with its CSRCs and extension
// (RFC 3550, 5.1), 0 if b is none.
func headerLen(b []byte) int {
	if len(b) < 12 || b[0]>>6 != 2 {
		return 0
	}
	n := 12 + 4*int(b[0]&15)
	if b[0]&0x10 != 0 {
		if len(b) < n+4 {
			return 0
		}
		n += 4 + 4*(int(b[n+2])<<8|int(b[n+3]))
	}
	if n > len(b) {
		return 0
	}
	return n
}

// reportLen is the part of an RTCP packet that is never encrypted.
const reportLen = 8

func isReport(b []byte) bool { return len(b) >= reportLen && b[0]>>6 == 2 }
