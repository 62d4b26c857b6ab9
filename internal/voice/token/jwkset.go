package token

import "slices"

// Limits of an issuer's JSON Web Key Set.
const (
	MaxKeySet     = 256 << 10 // bytes; what a reader of a set should stop at
	MaxKeySetKeys = 100
	maxKeyID      = 200 // bytes of a "kid"
)

// KeySet is what an issuer's JSON Web Key Set holds for us.
type KeySet struct {
	// Keys are the usable ones by their "kid": a JSON Web Key each, with its public
	// members and "alg" only, as NewPublicKey takes it.
	Keys    map[string][]byte
	Skipped []SkippedKey // in the order of the set
}

// SkippedKey is a key that no token is checked with.
type SkippedKey struct {
	KeyID  string // "" when it has none that is fit to be shown
	Reason Reason
}

// ParseJWKSet reads the JSON Web Key Set of an issuer (RFC 7517 section 5), or of
// an identity provider (OpenID Connect Discovery). Keys are skipped that have no
// "kid" (ReasonKeyIDMissing), that are for something else (ReasonKeyUse), of another
// algorithm than PublicAlgorithms, secret, published with their private half or too weak, or that cannot be read. An
// RSA key that does not say its "alg" is for RS256, as providers mean it that leave
// it out.
//
// A set is refused as a whole, with a *Refusal whose Part is KeyPart, when it is no
// JSON object with "keys", is larger than MaxKeySet or MaxKeySetKeys, or holds two
// usable keys of one "kid" (ReasonKeyCount): which of them is meant is unknown. A
// set without a usable key is none of these; whoever asks decides.
func ParseJWKSet(data []byte) (KeySet, error) {
	set, r := readSet(data)
	if r != "" {
		return KeySet{}, &Refusal{Reason: r, Part: KeyPart}
	}
	return set, nil
}

func readSet(data []byte) (KeySet, Reason) {
	if len(data) > MaxKeySet {
		return KeySet{}, ReasonTooLarge
	}
	set := KeySet{Keys: map[string][]byte{}}
	o := newObject(false)
	o.of(string(data))
	count, is := 0, false
	r := o.all([]string{"keys"}, func(string) Reason {
		is = true
		return o.elements(func() Reason {
			if count++; count > MaxKeySetKeys {
				return ReasonTooLarge
			}
			raw, r := o.raw()
			if r != "" {
				return r
			}
			id, key, r := readSetKey(raw)
			switch _, twice := set.Keys[id]; {
			case r != "":
				set.Skipped = append(set.Skipped, SkippedKey{id, r})
			case twice:
				return ReasonKeyCount
			default:
				set.Keys[id] = key
			}
			return ""
		})
	})
	switch {
	case r != "":
		return KeySet{}, r
	case !is:
		return KeySet{}, ReasonKeyCount
	}
	return set, ""
}

// readSetKey reads one key of a set, which is known to be JSON.
func readSetKey(raw string) (id string, key []byte, r Reason) {
	var w rawJWK
	private := false
	o := newObject(false)
	o.of(raw)
	r = o.all(append([]string{"kid", "d"}, jwkNames()...), func(name string) Reason {
		switch name {
		case "kid":
			return o.text(&id)
		case "d":
			private = true
			_, r := o.raw()
			return r
		}
		return w.member(o, name)
	})
	if len(id) > maxKeyID || id != "" && identityFault(id) != "" && identityFault(id) != ReasonIdentityLength {
		return "", nil, ReasonKeyMalformed
	}
	if r != "" {
		return id, nil, r
	}
	if id == "" {
		return "", nil, ReasonKeyIDMissing
	}
	if w.kty == "oct" || private {
		return id, nil, ReasonKeyUnsupported // whoever can read the set could sign
	}
	public, r := w.key()
	if r != "" {
		return id, nil, r
	}
	accepted := slices.DeleteFunc(PublicAlgorithms(), func(alg string) bool {
		return !slices.Contains(public.algorithms, alg)
	})
	if len(accepted) == 0 {
		return id, nil, ReasonKeyUnsupported
	}
	// For an RSA key of any algorithm the first is RS256.
	key, err := PublicJWK(public.public(), accepted[0], id)
	if err != nil {
		return id, nil, ReasonKeyMalformed
	}
	return id, key, ""
}
