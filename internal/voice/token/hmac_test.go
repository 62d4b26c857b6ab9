package token

import (
	"bytes"
	"crypto/hmac"
	"testing"
)

// TestPaddedKeys compares HMACs of padded keys with crypto/hmac's, for secrets
// around the length of a block and texts around its multiples, one after the other
// with the same hashes.
func TestPaddedKeys(t *testing.T) {
	var m macs
	for _, alg := range []string{HS256, HS384, HS512} {
		for _, length := range []int{1, 31, 32, 63, 64, 65, 127, 128, 129, 300} {
			secret := bytes.Repeat([]byte{byte(length), 0xa5}, length)[:length]
			p, ok := pad(hmacHash(alg), secret)
			if !ok {
				t.Fatalf("%s cannot be resumed", alg)
			}
			for _, size := range []int{0, 1, 55, 56, 63, 64, 65, 111, 112, 128, 500, 8192} {
				text := bytes.Repeat([]byte("x"), size)
				mac := hmac.New(hmacHash(alg), secret)
				mac.Write(text)
				if got := m.of(alg, p, text); !bytes.Equal(got, mac.Sum(nil)) {
					t.Errorf("%s, a secret of %d bytes, a text of %d: another HMAC", alg, length, size)
				}
			}
		}
	}
	if mac := m.of(HS256, padded{}, nil); mac != nil {
		t.Error("a key that was never padded signs")
	}
}
