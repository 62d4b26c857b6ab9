package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/srtp"
)

const (
	key30 = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" // RFC 4568, 9.4
	key28 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="
)

func TestParseCrypto(t *testing.T) {
	for value, want := range map[string]srtp.Profile{
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30:                       srtp.AES128CMSHA1Tag80,
		"999999999 AES_CM_128_HMAC_SHA1_32 inline:" + key30 + "|2^20":     srtp.AES128CMSHA1Tag32,
		"1 aes_cm_128_hmac_sha1_80 INLINE:" + key30 + "|2^48":             srtp.AES128CMSHA1Tag80,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1048576 WSH=64":   srtp.AES128CMSHA1Tag80,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " -FUTURE=1":        srtp.AES128CMSHA1Tag80,
		"2 AEAD_AES_128_GCM inline:" + key28:                              srtp.AEADAES128GCM,
		"2 AEAD_AES_128_GCM inline:" + strings.TrimRight(key28, "="):      srtp.AEADAES128GCM,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20|1:4":         0, // master key identifier
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1:4":              0,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^10":             0,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + ";inline:" + key30:  0,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " UNENCRYPTED_SRTP": 0,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " KDR=1":            0,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key28:                       0,
		"1 AEAD_AES_128_GCM inline:" + key30:                              0,
		"1 AEAD_AES_256_GCM inline:" + key30:                              0,
		"1 AES_CM_128_HMAC_SHA1_80 uri:" + key30:                          0,
		"1 AES_CM_128_HMAC_SHA1_80 inline:":                               0,
		"1 AES_CM_128_HMAC_SHA1_80":                                       0,
		"x AES_CM_128_HMAC_SHA1_80 inline:" + key30:                       0,
		"": 0,
	} {
		c, ok := parseCrypto(value)
		if ok != (want != 0) || ok && c.Keys.Profile != want {
			t.Errorf("%q: %v, %+v", value, ok, c)
		}
	}
}

// described is what the far end reads of our description.
func described(t *testing.T, b []byte) *Description {
	t.Helper()
	d, err := Parse(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return d
}

// Both ends of an offer and its answer have the same keys, whatever their policies;
// where they cannot agree, the one that notices says so.
func TestKeysAreAgreed(t *testing.T) {
	pcmu := []call.Codec{call.PCMU}
	for _, c := range []struct {
		offerer, answerer Policy
		proto             string
		encrypted         bool
		answers, accepts  error
	}{
		{Off, Off, "RTP/AVP", false, nil, nil},
		{Off, Optional, "RTP/AVP", false, nil, nil},
		{Off, Required, "RTP/AVP", false, ErrNoAudio, nil},
		{Optional, Off, "RTP/AVP", false, nil, nil},
		{Optional, Optional, "RTP/AVP", true, nil, nil}, // RFC 8643
		{Optional, Required, "RTP/AVP", true, nil, nil},
		{Required, Off, "RTP/SAVP", false, ErrNoAudio, nil},
		{Required, Optional, "RTP/SAVP", true, nil, nil},
		{Required, Required, "RTP/SAVP", true, nil, nil},
	} {
		t.Run(fmt.Sprint(c.offerer, c.answerer), func(t *testing.T) {
			a := Local{Addr: netip.MustParseAddr("192.0.2.1"), Port: 2, Policy: c.offerer, Crypto: NewCrypto()}
			b := Local{Addr: netip.MustParseAddr("192.0.2.2"), Port: 2, Policy: c.answerer, Crypto: NewCrypto()}
			offer := described(t, a.Offer(pcmu, SendRecv))
			if offer.Media[0].Proto != c.proto {
				t.Errorf("offered %s", offer.Media[0].Proto)
			}
			f, m, err := Choose(offer, pcmu, c.answerer)
			if !errors.Is(err, c.answers) {
				t.Fatalf("chosen: %v, want %v", err, c.answers)
			}
			if err != nil {
				return
			}
			theirs, err := m.ChooseKeys(b.Crypto, c.answerer)
			if err != nil {
				t.Fatal(err)
			}
			answer := described(t, b.Answer(offer, f, SendRecv, theirs))
			_, m, err = Accept(answer, pcmu, c.offerer)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := m.AcceptKeys(a.Crypto, c.offerer)
			if !errors.Is(err, c.accepts) {
				t.Fatal(err)
			}
			if ours.Encrypted() != c.encrypted || theirs.Encrypted() != c.encrypted || answer.Media[0].Proto != c.proto {
				t.Errorf("%+v, %+v", ours, theirs)
			}
			same := func(x, y srtp.Keys) bool {
				return x.Profile == y.Profile && bytes.Equal(x.Key, y.Key) && bytes.Equal(x.Salt, y.Salt)
			}
			if !same(ours.Send, theirs.Heard) || !same(ours.Heard, theirs.Send) {
				t.Error("the keys differ")
			}
			if c.encrypted && (ours.Send.Profile != srtp.AEADAES128GCM || same(ours.Send, ours.Heard)) {
				t.Errorf("%+v", ours)
			}
		})
	}
}

// What must not be answered or believed.
func TestKeysAreRefused(t *testing.T) {
	ours := NewCrypto()
	crypto := func(tag int, p srtp.Profile) []Crypto {
		k := srtp.Keys{Profile: p, Key: make([]byte, p.KeyLen()), Salt: make([]byte, p.SaltLen())}
		return []Crypto{{Tag: tag, Keys: k}}
	}
	for name, c := range map[string]struct {
		m      Media
		policy Policy
		answer bool
		want   error
	}{
		"encrypted without a key":                      {Media{Proto: "RTP/SAVP"}, Optional, false, ErrNoKeys},
		"answer without a key":                         {Media{Proto: "RTP/SAVP"}, Required, true, ErrNoKeys},
		"plain answer where keys are required":         {Media{Proto: "RTP/AVP"}, Required, true, ErrNoKeys},
		"answer of a tag that was not offered":         {Media{Proto: "RTP/SAVP", Crypto: crypto(9, srtp.AEADAES128GCM)}, Required, true, ErrNoKeys},
		"answer of another suite than the tag's":       {Media{Proto: "RTP/SAVP", Crypto: crypto(1, srtp.AES128CMSHA1Tag80)}, Required, true, ErrNoKeys},
		"answer of the short tag, which is not ours":   {Media{Proto: "RTP/SAVP", Crypto: crypto(3, srtp.AES128CMSHA1Tag32)}, Required, true, ErrNoKeys},
		"offer of the short tag alone":                 {Media{Proto: "RTP/SAVP", Crypto: crypto(7, srtp.AES128CMSHA1Tag32)}, Required, false, nil},
		"plain offer with keys where they are not off": {Media{Proto: "RTP/AVP", Crypto: crypto(7, srtp.AES128CMSHA1Tag80)}, Off, false, nil},
	} {
		var k Keying
		var err error
		if c.answer {
			k, err = c.m.AcceptKeys(ours, c.policy)
		} else {
			k, err = c.m.ChooseKeys(ours, c.policy)
		}
		if !errors.Is(err, c.want) || k.Encrypted() != (c.want == nil && c.policy != Off) {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
	}
	// Of two streams the encrypted one is used.
	d := described(t, []byte("v=0\nm=audio 1 RTP/AVP 0\nm=audio 2 RTP/SAVP 0\na=crypto:1 AEAD_AES_128_GCM inline:"+key28+"\n"))
	for p, want := range map[Policy]int{Off: 0, Optional: 1, Required: 1} {
		if i, err := d.Audio(p); i != want || err != nil {
			t.Errorf("%d: stream %d, %v", p, i, err)
		}
	}
}

// Whatever a crypto attribute says, what is taken is usable and comes back as it was.
func FuzzCrypto(f *testing.F) {
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20|1:4")
	f.Add("2 AEAD_AES_128_GCM inline:" + key28 + " WSH=64")
	f.Add("3 AES_CM_128_HMAC_SHA1_32 inline:" + key30 + "|2^31")
	f.Fuzz(func(t *testing.T, value string) {
		c, ok := parseCrypto(value)
		if !ok {
			return
		}
		if _, err := srtp.NewSender(c.Keys); err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		again, ok := parseCrypto(strings.TrimSuffix(strings.TrimPrefix(c.line(), "a=crypto:"), "\r\n"))
		if !ok || again.Tag != c.Tag || again.Keys.Profile != c.Keys.Profile || !bytes.Equal(again.Keys.Key, c.Keys.Key) || !bytes.Equal(again.Keys.Salt, c.Keys.Salt) {
			t.Fatalf("%q became %q", value, c.line())
		}
	})
}
