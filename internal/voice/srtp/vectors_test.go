package srtp

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 3711, B.2: the key stream, with a session salt and everything else zero.
func TestKeyStreamOfRFC3711(t *testing.T) {
	block, err := aes.NewCipher(unhex(t, "2B7E151628AED2A6ABF7158809CF4F3C"))
	if err != nil {
		t.Fatal(err)
	}
	c := counter{block: block, salt: [14]byte(unhex(t, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD"))}
	stream := make([]byte, 0xff02*aes.BlockSize)
	c.xor(stream, 0, 0)
	for n, want := range map[int]string{
		0x0000: "E03EAD0935C95E80E166B16DD92B4EB4",
		0x0001: "D23513162B02D0F72A43A2FE4A5F97AB",
		0x0002: "41E95B3BB0A2E8DD477901E4FCA894C0",
		0xfeff: "EC8CDF7398607CB0F2D21675EA9EA1E4",
		0xff00: "362B7C3C6773516318A077D7FC5073AE",
		0xff01: "6A2CC3787889374FBEB4C81B17BA6C44",
	} {
		if got := stream[16*n : 16*n+16]; !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("block %#x is %X, want %s", n, got, want)
		}
	}
}

// RFC 3711, B.3: session keys of a master key.
func TestKeysOfRFC3711(t *testing.T) {
	k := Keys{Profile: AES128CMSHA1Tag80, Key: unhex(t, "E1F97A0D3E018BE0D64FA32C06DE4139"), Salt: unhex(t, "0EC675AD498AFEEBB6960B3AABE6")}
	for label, want := range map[byte]string{
		labelKey:  "C61E7A93744F39EE10734AFE3FF7A087",
		labelSalt: "30CBBC08863D8C85D49DB34A9AE1",
		labelAuth: `CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
			E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
			6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2`,
	} {
		w := unhex(t, want)
		got, err := derive(k, label, len(w))
		if err != nil || !bytes.Equal(got, w) {
			t.Errorf("label %d: %X, %v, want %X", label, got, err, w)
		}
	}
}

// RFC 7714, 16 and 17, whose keys are session keys.
func TestPacketsOfRFC7714(t *testing.T) {
	key, salt := unhex(t, "000102030405060708090a0b0c0d0e0f"), unhex(t, "517569642070726f2071756f")
	g := &gcm{salt: [12]byte(salt), saltOfReports: [12]byte(salt)}
	if err := g.rtp.init(key); err != nil {
		t.Fatal(err)
	}
	if err := g.reports.init(key); err != nil {
		t.Fatal(err)
	}
	plain := unhex(t, `8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
		69736120 696e2070 61727465 73207472 6573`)
	sealed := unhex(t, `8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
		0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce`)
	b := append(bytes.Clone(plain), make([]byte, 16)...)
	g.seal(b, 12, len(plain), 0x5501a0b2, 0xf17b)
	if !bytes.Equal(b, sealed) {
		t.Errorf("16.1.1: %x", b)
	}
	if !g.open(b, 12, 0x5501a0b2, 0xf17b) || !bytes.Equal(b[:len(plain)], plain) {
		t.Errorf("16.1.2: %x", b)
	}

	plain = unhex(t, `81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
		deadbeef deadbeef deadbeef deadbeef deadbeef`)
	sealed = unhex(t, `81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
		c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4`)
	b = append(bytes.Clone(plain), make([]byte, 20)...)
	g.sealReport(b, len(plain), 0x4d617273, 0x5d4)
	if !bytes.Equal(b, sealed) {
		t.Errorf("17.1: %x", b)
	}
	if g.word(b) != encrypted|0x5d4 || !g.openReport(b, 0x4d617273, g.word(b)) || !bytes.Equal(b[:len(plain)], plain) {
		t.Errorf("17.2: %x", b)
	}
	// Authenticated only.
	b = append(bytes.Clone(plain), unhex(t, "841dd968 3dd78ec9 2ae58790 125f62b3 000005d4")...)
	if g.word(b) != 0x5d4 || !g.openReport(b, 0x4d617273, g.word(b)) || !bytes.Equal(b[:len(plain)], plain) {
		t.Errorf("17.3: %x", b)
	}
}
