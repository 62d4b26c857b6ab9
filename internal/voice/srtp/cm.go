package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding"
	"encoding/binary"
	"errors"
	"hash"
)

// cm is AES in counter mode with HMAC-SHA1 (RFC 3711, 4.1.1 and 4.2.1).
type cm struct {
	tag           int // bytes of RTP's
	rtp, reports  counter
	auth, authRep mac
}

// reportTag is the length of RTCP's tag, whatever RTP's is.
const reportTag = 10

func newCM(k Keys) (*cm, error) {
	c := &cm{tag: k.Profile.Overhead()}
	for _, d := range []struct {
		label byte
		ctr   *counter
		mac   *mac
	}{{0, &c.rtp, &c.auth}, {labelReports, &c.reports, &c.authRep}} {
		key, err := derive(k, d.label+labelKey, keyLen)
		if err != nil {
			return nil, err
		}
		salt, err := derive(k, d.label+labelSalt, k.Profile.SaltLen())
		if err != nil {
			return nil, err
		}
		secret, err := derive(k, d.label+labelAuth, sha1.Size)
		if err != nil {
			return nil, err
		}
		if d.ctr.block, err = aes.NewCipher(key); err != nil {
			return nil, err
		}
		copy(d.ctr.salt[:], salt)
		if err = d.mac.init(secret); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cm) seal(b []byte, head, n int, ssrc uint32, index uint64) {
	c.rtp.xor(b[head:n], ssrc, index)
	copy(b[n:n+c.tag], c.auth.sum(b[:n], uint32(index>>16), true))
}

func (c *cm) open(b []byte, head int, ssrc uint32, index uint64) bool {
	n := len(b) - c.tag
	if subtle.ConstantTimeCompare(b[n:], c.auth.sum(b[:n], uint32(index>>16), true)[:c.tag]) != 1 {
		return false
	}
	c.rtp.xor(b[head:n], ssrc, index)
	return true
}

func (c *cm) sealReport(b []byte, n int, ssrc, index uint32) {
	c.reports.xor(b[reportLen:n], ssrc, uint64(index))
	binary.BigEndian.PutUint32(b[n:], index|encrypted)
	n += indexLen
	copy(b[n:n+reportTag], c.authRep.sum(b[:n], 0, false))
}

func (c *cm) word(b []byte) uint32 {
	return binary.BigEndian.Uint32(b[len(b)-reportTag-indexLen:])
}

func (c *cm) openReport(b []byte, ssrc, word uint32) bool {
	n := len(b) - reportTag
	if subtle.ConstantTimeCompare(b[n:], c.authRep.sum(b[:n], 0, false)[:reportTag]) != 1 {
		return false
	}
	if word&encrypted != 0 {
		c.reports.xor(b[reportLen:n-indexLen], ssrc, uint64(word&^encrypted))
	}
	return true
}

// counter is AES in counter mode. cipher.NewCTR is twice as fast for one packet,
// but allocates half a kilobyte for each.
type counter struct {
	block   cipher.Block
	salt    [14]byte
	iv, key [aes.BlockSize]byte
}

// xor encrypts or decrypts b (RFC 3711, 4.1.1).
func (c *counter) xor(b []byte, ssrc uint32, index uint64) {
	iv, key := &c.iv, &c.key
	copy(iv[:14], c.salt[:])
	high := binary.BigEndian.Uint64(iv[4:12])
	binary.BigEndian.PutUint64(iv[4:12], high^uint64(ssrc)<<32^index>>16)
	low := binary.BigEndian.Uint16(iv[12:14])
	binary.BigEndian.PutUint16(iv[12:14], low^uint16(index))
	for n := uint16(0); len(b) > 0; n++ {
		binary.BigEndian.PutUint16(iv[14:], n)
		c.block.Encrypt(key[:], iv[:])
		if len(b) < aes.BlockSize {
			for i := range b {
				b[i] ^= key[i]
			}
			return
		}
		binary.NativeEndian.PutUint64(b, binary.NativeEndian.Uint64(b)^binary.NativeEndian.Uint64(key[:]))
		binary.NativeEndian.PutUint64(b[8:], binary.NativeEndian.Uint64(b[8:])^binary.NativeEndian.Uint64(key[8:]))
		b = b[aes.BlockSize:]
	}
}

// mac is HMAC-SHA1 that begins from stored states: crypto/hmac does the same by
// way of more copies.
type mac struct {
	hash         hash.Hash
	set          encoding.BinaryUnmarshaler // hash
	inner, outer []byte                     // its state after the padded key
	roc          [4]byte
	out          [sha1.Size]byte
}

func (m *mac) init(key []byte) error {
	m.hash = sha1.New()
	set, ok := m.hash.(encoding.BinaryUnmarshaler)
	get, also := m.hash.(encoding.BinaryMarshaler)
	if !ok || !also {
		return errors.New("srtp: SHA-1 cannot be resumed")
	}
	m.set = set
	state := func(pad byte) ([]byte, error) {
		var block [sha1.BlockSize]byte
		copy(block[:], key)
		for i := range block {
			block[i] ^= pad
		}
		m.hash.Reset()
		m.hash.Write(block[:])
		return get.MarshalBinary()
	}
	var err error
	if m.inner, err = state(0x36); err != nil {
		return err
	}
	m.outer, err = state(0x5c)
	return err
}

// sum returns the whole tag of b, with the roll-over counter behind it for RTP.
// It is good until the next call.
func (m *mac) sum(b []byte, roc uint32, rtp bool) []byte {
	_ = m.set.UnmarshalBinary(m.inner) // made by the same hash
	m.hash.Write(b)
	if rtp {
		binary.BigEndian.PutUint32(m.roc[:], roc)
		m.hash.Write(m.roc[:])
	}
	inner := m.hash.Sum(m.out[:0])
	_ = m.set.UnmarshalBinary(m.outer)
	m.hash.Write(inner)
	return m.hash.Sum(m.out[:0])
}
