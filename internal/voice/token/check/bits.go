package check

import "math/bits"

// set is a set of tokens, by their number.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) put(i int) { s[i>>6] |= 1 << (i & 63) }

func (s set) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s set) and(t set) set {
	u := make(set, len(s))
	for i, w := range s {
		u[i] = w & t[i]
	}
	return u
}

func (s set) without(t set) set {
	u := make(set, len(s))
	for i, w := range s {
		u[i] = w &^ t[i]
	}
	return u
}

func (s set) or(t set) set {
	u := make(set, len(s))
	for i, w := range s {
		u[i] = w | t[i]
	}
	return u
}

// both counts what is in s and in t.
func (s set) both(t set) int {
	n := 0
	for i, w := range s {
		n += bits.OnesCount64(w & t[i])
	}
	return n
}

// within reports whether everything of s is in t.
func (s set) within(t set) bool {
	for i, w := range s {
		if w&^t[i] != 0 {
			return false
		}
	}
	return true
}

// apart reports whether the sets have nothing in common.
func apart(sets ...set) bool {
	for i := range sets[0] {
		w := sets[0][i]
		for _, s := range sets[1:] {
			w &= s[i]
		}
		if w != 0 {
			return false
		}
	}
	return true
}

func (s set) equal(t set) bool {
	for i, w := range s {
		if w != t[i] {
			return false
		}
	}
	return true
}
