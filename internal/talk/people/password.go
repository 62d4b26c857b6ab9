package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"dialtone/internal/fault"
)

// Params is the cost of a password's hash (argon2id, RFC 9106). It is written
// into each hash, so that a change counts for new passwords only.
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultParams are OWASP's first choice for argon2id: 19 MiB, 2 passes, 1
// thread; some 20 ms of one core.
var DefaultParams = Params{Memory: 19 << 10, Time: 2, Threads: 1}

const (
	saltSize = 16
	hashSize = 32
	// MinPassword and MaxPassword are the lengths of a new password: the first in
	// characters (NIST SP 800-63B), the second in bytes, so that nobody makes us
	// hash megabytes.
	MinPassword = 8
	MaxPassword = 1024
	// hashers is how many hashes are computed at once: they take memory.
	hashers = 2
	// mostMemory bounds what a stored hash can make us use.
	mostMemory = 1 << 20
)

// CheckPassword says why a new password cannot be taken: fault.Invalid, or nil.
func CheckPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return fault.New(fault.Invalid, "A password has at least %d characters.", MinPassword)
	case len(password) > MaxPassword:
		return fault.New(fault.Invalid, "A password has at most %d bytes.", MaxPassword)
	}
	return nil
}

// Hash returns the PHC string of the password with a fresh salt. It takes tens
// of milliseconds.
func Hash(password string, p Params) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	sum := argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, hashSize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// Matches reports whether the password is the one that phc was made of. The
// time it takes depends on the parameters in phc alone.
func Matches(password, phc string) bool {
	p, salt, sum, ok := parsePHC(phc)
	if !ok {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, uint32(len(sum)))
	return subtle.ConstantTimeCompare(got, sum) == 1
}

func parsePHC(phc string) (p Params, salt, sum []byte, ok bool) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return Params{}, nil, nil, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil {
		return Params{}, nil, nil, false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return Params{}, nil, nil, false
	}
	if sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return Params{}, nil, nil, false
	}
	ok = p.Memory >= 8 && p.Memory <= mostMemory && p.Time >= 1 && p.Time <= 64 && p.Threads >= 1 &&
		len(salt) >= 8 && len(salt) <= 64 && len(sum) >= 16 && len(sum) <= 64
	return p, salt, sum, ok
}

// RandomPassword returns a password of 96 bits that can be read out.
func RandomPassword() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:16] + "-" + text[16:]
}

// verifier checks passwords, a few at a time.
type verifier struct {
	slots chan struct{}
	decoy string // what the password of somebody unknown is compared with
}

func newVerifier(p Params) *verifier {
	return &verifier{slots: make(chan struct{}, hashers), decoy: Hash(RandomPassword(), p)}
}

// check compares with phc, or, when that is "", for as long with nothing.
func (v *verifier) check(ctx context.Context, password, phc string) (bool, error) {
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return false, fault.Wrap(fault.Unavailable, ctx.Err(), "Too many people sign in right now. Try again in a moment.")
	}
	if len(password) > MaxPassword {
		password, phc = "", ""
	}
	if phc == "" {
		Matches(password, v.decoy)
		return false, nil
	}
	return Matches(password, phc), nil
}
