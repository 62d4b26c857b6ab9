package keyring

import "hash/maphash"

// filter tells most of what was never revoked from what may have been, by one look
// at memory that stays in the processor's cache however many revocations there are.
// The maps that it stands before cost several looks at memory that does not.
type filter struct {
	seed maphash.Seed
	bits []uint64
}

// newFilter returns a filter for n values: 8 to 16 bits each.
func newFilter(n int) filter {
	size := 1
	for size*64 < 8*n {
		size *= 2
	}
	return filter{maphash.MakeSeed(), make([]uint64, size)}
}

// place returns the word of a value and its three bits there.
func (f filter) place(value string) (word *uint64, bits uint64) {
	h := maphash.String(f.seed, value)
	return &f.bits[h>>32&uint64(len(f.bits)-1)], 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63)
}

func (f filter) add(value string) {
	word, bits := f.place(value)
	*word |= bits
}

// may reports whether the value may have been added; false is certain.
func (f filter) may(value string) bool {
	word, bits := f.place(value)
	return *word&bits == bits
}
