package srtp

// suite is what a profile does with one packet whose index is known. Buffers have
// room for the overhead; what is opened has at least its length.
type suite interface {
	// seal encrypts b[head:n] and writes the tag behind n.
	seal(b []byte, head, n int, ssrc uint32, index uint64)
	// open authenticates b and decrypts it. It may clobber what it refuses.
	open(b []byte, head int, ssrc uint32, index uint64) bool
	// sealReport encrypts b[reportLen:n] and writes index and tag behind n.
	sealReport(b []byte, n int, ssrc, index uint32)
	// openReport does it for RTCP; word is the index with its flag.
	openReport(b []byte, ssrc, word uint32) bool
	// word returns the index of a protected report, with its flag.
	word(b []byte) uint32
}

// encrypted is the flag beside the SRTCP index (RFC 3711, 3.4).
const encrypted = 1 << 31

func newSuite(k Keys) (suite, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	if k.Profile == AEADAES128GCM {
		return newGCM(k)
	}
	return newCM(k)
}
