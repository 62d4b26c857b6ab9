// Package softkey is an authenticator in software for tests: it makes passkeys
// and signs with them as a browser and its security key do together (WebAuthn
// Level 3 sections 5.8.1, 6.1 and 6.5.1; ES256, attestation "none"). Every part
// of what it says can be made wrong.
//
// A Key is used by one goroutine.
package softkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// The flags of the authenticator data, section 6.1.
const (
	UserPresent  = 0x01
	UserVerified = 0x04
	attested     = 0x40
)

// Key is a passkey and how its authenticator behaves.
type Key struct {
	ID      []byte
	User    []byte // the handle it was made for
	Counter uint32 // signatures so far; each use adds Step
	Step    uint32
	Flags   byte
	Origin  string // that the browser says it is on
	Host    string // whose hash is signed: the relying party's id
	private *ecdsa.PrivateKey
}

// New returns a key for a site's origin and host, not known to anybody yet.
func New(origin, host string) (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id) // never fails since Go 1.24
	return &Key{ID: id, Step: 1, Flags: UserPresent | UserVerified, Origin: origin, Host: host, private: private}, nil
}

type clientData struct {
	Type        string `json:"type"`
	Challenge   string `json:"challenge"`
	Origin      string `json:"origin"`
	CrossOrigin bool   `json:"crossOrigin"`
}

func (k *Key) clientData(kind, challenge string) []byte {
	text, _ := json.Marshal(clientData{Type: kind, Challenge: challenge, Origin: k.Origin}) // texts always marshal
	return text
}

func (k *Key) authenticatorData(flags byte) []byte {
	sum := sha256.Sum256([]byte(k.Host))
	data := append(sum[:], flags)
	return binary.BigEndian.AppendUint32(data, k.Counter)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Create answers the options of navigator.credentials.create, and returns the
// JSON of the PublicKeyCredential.
func (k *Key) Create(options []byte) ([]byte, error) {
	var o struct {
		Challenge string
		User      struct{ ID string }
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	var err error
	if k.User, err = base64.RawURLEncoding.DecodeString(o.User.ID); err != nil {
		return nil, err
	}
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	point, err := k.private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	cose, err := mode.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]}) // RFC 9053 sections 2.1 and 7.1.1
	if err != nil {
		return nil, err
	}
	data := append(k.authenticatorData(k.Flags|attested), make([]byte, 16)...) // no AAGUID
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.ID)))
	data = append(append(data, k.ID...), cose...)
	object, err := mode.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"id": encode(k.ID), "rawId": encode(k.ID), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": encode(k.clientData("webauthn.create", o.Challenge)), "attestationObject": encode(object),
			"transports": []string{"internal"},
		},
	})
}

// Get answers the options of navigator.credentials.get.
func (k *Key) Get(options []byte) ([]byte, error) {
	var o struct{ Challenge string }
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	return k.sign(o.Challenge, "webauthn.get")
}

func (k *Key) sign(challenge, kind string) ([]byte, error) {
	k.Counter += k.Step
	data, client := k.authenticatorData(k.Flags), k.clientData(kind, challenge)
	clientHash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), clientHash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return json.Marshal(map[string]any{
		"id": encode(k.ID), "rawId": encode(k.ID), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": encode(client), "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(k.User),
		},
	})
}
