package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// gcm is AEAD_AES_128_GCM (RFC 7714).
type gcm struct {
	rtp, reports         aead
	salt, saltOfReports  [12]byte
	nonce                [12]byte
	associated, loosened [aeadTag]byte
}

const aeadTag = 16

type aead struct{ cipher.AEAD }

func (a *aead) init(key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	a.AEAD, err = cipher.NewGCM(block)
	return err
}

func newGCM(k Keys) (*gcm, error) {
	g := &gcm{}
	for _, d := range []struct {
		label byte
		aead  *aead
		salt  *[12]byte
	}{{0, &g.rtp, &g.salt}, {labelReports, &g.reports, &g.saltOfReports}} {
		key, err := derive(k, d.label+labelKey, keyLen)
		if err != nil {
			return nil, err
		}
		salt, err := derive(k, d.label+labelSalt, k.Profile.SaltLen())
		if err != nil {
			return nil, err
		}
		copy(d.salt[:], salt)
		if err = d.aead.init(key); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// nonceOf makes the nonce of an RTP packet (RFC 7714, 8.1).
func (g *gcm) nonceOf(ssrc uint32, index uint64) []byte {
	n := &g.nonce
	*n = g.salt
	binary.BigEndian.PutUint32(n[2:], binary.BigEndian.Uint32(n[2:])^ssrc)
	binary.BigEndian.PutUint32(n[6:], binary.BigEndian.Uint32(n[6:])^uint32(index>>16))
	binary.BigEndian.PutUint16(n[10:], binary.BigEndian.Uint16(n[10:])^uint16(index))
	return n[:]
}

// nonceOfReport makes the nonce of an RTCP packet (RFC 7714, 9.1).
func (g *gcm) nonceOfReport(ssrc, index uint32) []byte {
	n := &g.nonce
	*n = g.saltOfReports
	binary.BigEndian.PutUint32(n[2:], binary.BigEndian.Uint32(n[2:])^ssrc)
	binary.BigEndian.PutUint32(n[8:], binary.BigEndian.Uint32(n[8:])^index)
	return n[:]
}

func (g *gcm) seal(b []byte, head, n int, ssrc uint32, index uint64) {
	g.rtp.Seal(b[head:head], g.nonceOf(ssrc, index), b[head:n], b[:head])
}

func (g *gcm) open(b []byte, head int, ssrc uint32, index uint64) bool {
	_, err := g.rtp.Open(b[head:head], g.nonceOf(ssrc, index), b[head:], b[:head])
	return err == nil
}

func (g *gcm) word(b []byte) uint32 { return binary.BigEndian.Uint32(b[len(b)-indexLen:]) }

func (g *gcm) sealReport(b []byte, n int, ssrc, index uint32) {
	binary.BigEndian.PutUint32(b[n+aeadTag:], index|encrypted)
	g.reports.Seal(b[reportLen:reportLen], g.nonceOfReport(ssrc, index), b[reportLen:n], g.associate(b, index|encrypted))
}

// associate returns what is authenticated beside an encrypted report: its head
// and the index (RFC 7714, 9.2).
func (g *gcm) associate(b []byte, word uint32) []byte {
	copy(g.associated[:], b[:reportLen])
	binary.BigEndian.PutUint32(g.associated[reportLen:], word)
	return g.associated[:reportLen+indexLen]
}

func (g *gcm) openReport(b []byte, ssrc, word uint32) bool {
	nonce := g.nonceOfReport(ssrc, word&^encrypted)
	n := len(b) - indexLen
	if word&encrypted != 0 {
		_, err := g.reports.Open(b[reportLen:reportLen], nonce, b[reportLen:n], g.associate(b, word))
		return err == nil
	}
	// All of it is authenticated only, with the index behind it (RFC 7714, 9.3).
	n -= aeadTag
	tag := g.loosened[:]
	copy(tag, b[n:])
	binary.BigEndian.PutUint32(b[n:], word)
	_, err := g.reports.Open(nil, nonce, tag, b[:n+indexLen])
	return err == nil
}
