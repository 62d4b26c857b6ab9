package token_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"dialtone/internal/voice/token"
)

// disputed are the vectors of Wycheproof whose label we do not follow, or that
// contradict another vector; accept is what we do.
var disputed = map[int]struct {
	accept bool
	why    string
}{
	346: {false, `labelled valid; the key's "alg" is PS256, the header says PS384: the key decides`},
	347: {false, `labelled valid; the key's "alg" is "ES521", which is no algorithm, and the header says ES512`},
	350: {false, "as 346, with key_ops"},
	351: {false, "as 347, with key_ops"},
	367: {true, "labelled invalid for its padding, but has none: byte for byte the valid vector 357"},
	370: {true, "as 367"},
	372: {false, "labelled valid with a '?' in the header, which is not in the alphabet (RFC 7515 section 2)"},
	373: {false, "labelled valid with a '?' in the payload, as 372"},
}

func TestWycheproof(t *testing.T) {
	data, err := os.ReadFile("testdata/jose/wycheproof-jws.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			Public, Private json.RawMessage
			Tests           []struct {
				TcID         int
				Comment, JWS string
				Result       string
			}
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	right, other := 0, 0
	for _, g := range file.TestGroups {
		key := g.Public
		if key == nil {
			key = g.Private
		}
		for _, v := range g.Tests {
			_, err := token.VerifyJWS(key, v.JWS)
			want := v.Result == "valid"
			d, isDisputed := disputed[v.TcID]
			if isDisputed {
				want = d.accept
				other++
			}
			if (err == nil) != want {
				t.Errorf("%d %s: accepted %t, want %t (%v) %s", v.TcID, v.Comment, err == nil, want, err, d.why)
				continue
			}
			if !isDisputed {
				right++
			}
		}
	}
	if file.NumberOfTests != 401 || right != 393 || other != 8 {
		t.Errorf("%d of 393 right, %d disputed, %d in all", right, other, file.NumberOfTests)
	}
}

// cookbook is one example of the JOSE cookbook (RFC 7520, 8037, 7797).
type cookbook struct {
	Input struct {
		Payload string
		Key     json.RawMessage
	}
	Output struct {
		Compact  string
		JSONFlat struct{ Payload, Protected, Signature string } `json:"json_flat"`
	}
}

func readCookbook(t *testing.T, name string) cookbook {
	t.Helper()
	data, err := os.ReadFile("testdata/jose/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var c cookbook
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCookbook(t *testing.T) {
	for _, name := range []string{
		"jws-4_1.rsa_v15_signature", "jws-4_2.rsa-pss_signature", "jws-4_3.ecdsa_signature",
		"jws-4_4.hmac-sha2_integrity_protection", "curve25519-jws",
	} {
		t.Run(name, func(t *testing.T) {
			c := readCookbook(t, name)
			payload, err := token.VerifyJWS(c.Input.Key, c.Output.Compact)
			if err != nil || string(payload) != c.Input.Payload {
				t.Fatalf("%q, %v", payload, err)
			}
			set := append(append([]byte(`{"keys":[`), c.Input.Key...), "]}"...)
			if _, err := token.VerifyJWS(set, c.Output.Compact); err != nil {
				t.Errorf("as a set of one key: %v", err)
			}
			// Every byte of the signature counts; some of each are enough.
			dot := strings.LastIndexByte(c.Output.Compact, '.') + 1
			sig, err := base64.RawURLEncoding.DecodeString(c.Output.Compact[dot:])
			if err != nil {
				t.Fatal(err)
			}
			key, err := token.ParseJWK(c.Input.Key)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(sig); i += 1 + len(sig)/16 {
				changed := bytes.Clone(sig)
				changed[i] ^= 1
				if _, err := key.Verify(c.Output.Compact[:dot] + base64.RawURLEncoding.EncodeToString(changed)); err == nil {
					t.Fatalf("accepted with byte %d of the signature changed", i)
				}
			}
		})
	}
}

func TestUnencodedPayloadRefused(t *testing.T) {
	c := readCookbook(t, "rfc7797-hmac-sha2_b64_false")
	var key struct{ K string }
	if err := json.Unmarshal(c.Input.Key, &key); err != nil {
		t.Fatal(err)
	}
	secret, err := base64.RawURLEncoding.DecodeString(key.K)
	if err != nil {
		t.Fatal(err)
	}
	jsonOnly := readCookbook(t, "rfc7797-4.2.hmac-sha2_b64_false").Output.JSONFlat
	for name, r := range map[string]struct {
		text   string
		reason token.Reason
	}{
		"RFC 7797 section 4.1":      {jsonOnly.Protected + "." + jsonOnly.Payload + "." + jsonOnly.Signature, token.ReasonSegments},
		"as it stands":              {c.Output.Compact, token.ReasonIllegalCharacter},
		"detached":                  {strings.Replace(c.Output.Compact, c.Input.Payload, "", 1), token.ReasonCriticalHeader},
		"encoded, b64 without crit": {forge(`{"alg":"HS256","b64":false}`, "$.02", secret), token.ReasonUnencodedPayload},
		"encoded, b64 with crit":    {forge(`{"alg":"HS256","b64":false,"crit":["b64"]}`, "$.02", secret), token.ReasonCriticalHeader},
		"encoded, b64 true":         {forge(`{"alg":"HS256","b64":true}`, "$.02", secret), token.ReasonUnencodedPayload},
	} {
		_, err := token.VerifyJWS(c.Input.Key, r.text)
		if got := refused(t, err).Reason; got != r.reason {
			t.Errorf("%s: %s, want %s", name, got, r.reason)
		}
	}
	if _, err := token.VerifyJWS(c.Input.Key, forge(`{"alg":"HS256"}`, "$.02", secret)); err != nil {
		t.Errorf("the same key, encoded, without b64: %v", err)
	}
}

type keyCase struct {
	name, jwk string
	reason    token.Reason
}

func keyCases() []keyCase {
	k32 := encode(strings.Repeat("k", 32))
	oct := `{"kty":"oct","k":"` + k32 + `"}`
	const x, y = "04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY", "UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"
	rsa := func(bytes int) string {
		return `{"kty":"RSA","e":"AQAB","n":"` + encode("\xc1"+strings.Repeat("\x55", bytes-2)+"\x01") + `"}`
	}
	return []keyCase{
		{"no JSON", "kty=oct", token.ReasonNotJSON},
		{"a list", "[" + oct + "]", token.ReasonNotObject},
		{"two texts", oct + oct, token.ReasonTrailingData},
		{"kty twice", `{"kty":"oct","kty":"oct","k":"` + k32 + `"}`, token.ReasonDuplicateName},
		{"Alg", `{"kty":"oct","Alg":"HS512","k":"` + k32 + `"}`, token.ReasonNameCase},
		{"k as a number", `{"kty":"oct","k":1}`, token.ReasonValueType},
		{"an empty object", `{}`, token.ReasonKeyMalformed},
		{"no k", `{"kty":"oct"}`, token.ReasonKeyMalformed},
		{"k with padding", `{"kty":"oct","k":"` + k32 + `="}`, token.ReasonKeyMalformed},
		{"k with stray bits", `{"kty":"oct","k":"` + stray(k32) + `"}`, token.ReasonKeyMalformed},
		{"31 bytes for HS256", `{"kty":"oct","k":"` + encode(strings.Repeat("k", 31)) + `"}`, token.ReasonKeyWeak},
		{"32 bytes for HS512", `{"kty":"oct","alg":"HS512","k":"` + k32 + `"}`, token.ReasonKeyWeak},
		{"an unknown kty", `{"kty":"AKP"}`, token.ReasonKeyUnsupported},
		{"an alg of another kty", `{"kty":"oct","alg":"RS256","k":"` + k32 + `"}`, token.ReasonKeyUnsupported},
		{"alg none", `{"kty":"oct","alg":"none","k":"` + k32 + `"}`, token.ReasonKeyUnsupported},
		{"an empty alg", `{"kty":"oct","alg":"","k":"` + k32 + `"}`, token.ReasonKeyUnsupported},
		{"use enc", `{"kty":"oct","use":"enc","k":"` + k32 + `"}`, token.ReasonKeyUse},
		{"an empty use", `{"kty":"oct","use":"","k":"` + k32 + `"}`, token.ReasonKeyUse},
		{"key_ops without verify", `{"kty":"oct","key_ops":["sign"],"k":"` + k32 + `"}`, token.ReasonKeyUse},
		{"no key_ops", `{"kty":"oct","key_ops":[],"k":"` + k32 + `"}`, token.ReasonKeyUse},
		{"an empty set", `{"keys":[]}`, token.ReasonKeyCount},
		{"two keys", `{"keys":[` + oct + `,` + oct + `]}`, token.ReasonKeyCount},
		{"a set and a key", `{"keys":[` + oct + `],"kty":"oct","k":"` + k32 + `"}`, token.ReasonKeyCount},
		{"a set in a set", `{"keys":{}}`, token.ReasonValueType},
		{"P-256K", `{"kty":"EC","crv":"secp256k1","x":"` + x + `","y":"` + y + `"}`, token.ReasonKeyUnsupported},
		{"a point off the curve", `{"kty":"EC","crv":"P-256","x":"` + y + `","y":"` + x + `"}`, token.ReasonKeyMalformed},
		{"a short coordinate", `{"kty":"EC","crv":"P-256","x":"` + x[:40] + `","y":"` + y + `"}`, token.ReasonKeyMalformed},
		{"another curve's point", `{"kty":"EC","crv":"P-384","x":"` + x + `","y":"` + y + `"}`, token.ReasonKeyMalformed},
		{"ES384 on P-256", `{"kty":"EC","crv":"P-256","alg":"ES384","x":"` + x + `","y":"` + y + `"}`, token.ReasonKeyUnsupported},
		{"RSA of 1024 bits", rsa(128), token.ReasonKeyWeak},
		{"RSA of 2040 bits", rsa(255), token.ReasonKeyWeak},
		{"RSA of 16392 bits", rsa(2049), token.ReasonKeyUnsupported},
		{"an even modulus", `{"kty":"RSA","e":"AQAB","n":"` + encode(strings.Repeat("\xaa", 256)) + `"}`, token.ReasonKeyMalformed},
		{"a leading zero", `{"kty":"RSA","e":"AQAB","n":"` + encode("\x00"+strings.Repeat("\xab", 256)) + `"}`, token.ReasonKeyMalformed},
		{"exponent 1", `{"kty":"RSA","e":"AQ","n":"` + encode(strings.Repeat("\xab", 256)) + `"}`, token.ReasonKeyMalformed},
		{"a huge exponent", `{"kty":"RSA","e":"` + encode("\x81\x01\x01\x01\x01") + `","n":"` + encode(strings.Repeat("\xab", 256)) + `"}`, token.ReasonKeyMalformed},
		{"X25519", `{"kty":"OKP","crv":"X25519","x":"` + k32 + `"}`, token.ReasonKeyUnsupported},
		{"a short Ed25519 key", `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, token.ReasonKeyMalformed},
		{"too much", `{"kty":"oct","k":"` + strings.Repeat("a", 64<<10) + `"}`, token.ReasonTooLarge},
	}
}

func TestKeyRefusals(t *testing.T) {
	for _, c := range keyCases() {
		_, err := token.ParseJWK([]byte(c.jwk))
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		if r := refused(t, err); r.Reason != c.reason || r.Part != token.KeyPart {
			t.Errorf("%s: refused for %q in %q, want %q", c.name, r.Reason, r.Part, c.reason)
		}
	}
}

func TestJWSRefusals(t *testing.T) {
	key := strings.Repeat("k", 32)
	jwk := []byte(`{"kty":"oct","k":"` + encode(key) + `"}`)
	sign := func(header string) string { return forge(header, "payload", []byte(key)) }
	if p, err := token.VerifyJWS(jwk, sign(`{"alg":"HS256"}`)); err != nil || string(p) != "payload" {
		t.Fatalf("%q, %v", p, err)
	}
	if p, err := token.VerifyJWS(jwk, forge(`{"alg":"HS256"}`, "", []byte(key))); err != nil || len(p) != 0 {
		t.Fatalf("an empty payload: %q, %v", p, err)
	}
	for name, c := range map[string]struct {
		text   string
		reason token.Reason
	}{
		"an algorithm for a longer key": {sign(`{"alg":"HS512"}`), token.ReasonAlgorithmMismatch},
		"another type's algorithm":      {sign(`{"alg":"ES256"}`), token.ReasonAlgorithmMismatch},
		"an unknown algorithm":          {sign(`{"alg":"HS1"}`), token.ReasonAlgorithmUnknown},
		"none":                          {encode(`{"alg":"none"}`) + "." + encode("payload") + ".", token.ReasonAlgorithmNone},
		"crit":                          {sign(`{"alg":"HS256","crit":["x"],"x":1}`), token.ReasonCriticalHeader},
		"another key":                   {forge(`{"alg":"HS256"}`, "payload", secret), token.ReasonSignatureMismatch},
		"too much":                      {sign(`{"alg":"HS256","x":"` + strings.Repeat("x", 64<<10) + `"}`), token.ReasonTooLarge},
	} {
		if _, err := token.VerifyJWS(jwk, c.text); err == nil || refused(t, err).Reason != c.reason {
			t.Errorf("%s: %v, want %s", name, err, c.reason)
		}
	}
}
