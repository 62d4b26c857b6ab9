package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
)

// The labels of the session keys (RFC 3711, 4.3.2); those of SRTCP are three more.
const (
	labelKey  = 0
	labelAuth = 1
	labelSalt = 2

	labelReports = 3
)

// derive returns n bytes for the label (RFC 3711, 4.3.1 and 4.3.3, with a key
// derivation rate of zero; RFC 7714, 11 for the short salt).
func derive(k Keys, label byte, n int) ([]byte, error) {
	block, err := aes.NewCipher(k.Key)
	if err != nil {
		return nil, err
	}
	var iv [aes.BlockSize]byte
	copy(iv[:14], k.Salt)
	iv[7] ^= label
	out := make([]byte, n)
	cipher.NewCTR(block, iv[:]).XORKeyStream(out, out)
	return out, nil
}

// DTLSLabel is what SRTP keys are exported with (RFC 5764, 4.2).
const DTLSLabel = "EXTRACTOR-dtls_srtp"

// DTLSLen is how many bytes are to be exported.
func (p Profile) DTLSLen() int { return 2 * (p.KeyLen() + p.SaltLen()) }

// FromDTLS cuts what a DTLS session exported into the keys of its client's and
// its server's packets (RFC 5764, 4.2).
func FromDTLS(p Profile, material []byte) (client, server Keys, err error) {
	if !p.Known() || len(material) != p.DTLSLen() {
		return client, server, errors.New("srtp: exported keys have the wrong length")
	}
	k, s := p.KeyLen(), p.SaltLen()
	cut := func(key, salt int) Keys {
		return Keys{Profile: p, Key: material[key : key+k : key+k], Salt: material[salt : salt+s : salt+s]}
	}
	return cut(0, 2*k), cut(k, 2*k+s), nil
}
