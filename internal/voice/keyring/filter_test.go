package keyring

import (
	"fmt"
	"testing"
)

func TestFilter(t *testing.T) {
	for _, n := range []int{0, 1, 7, 1000, 50000} {
		f := newFilter(n)
		for i := range n {
			f.add(fmt.Sprint("in", i))
		}
		for i := range n {
			if !f.may(fmt.Sprint("in", i)) {
				t.Fatalf("of %d, %d was forgotten", n, i)
			}
		}
		wrong := 0
		for i := range 20000 {
			if f.may(fmt.Sprint("out", i)) {
				wrong++
			}
		}
		if wrong > 20000/10 {
			t.Errorf("of %d, %d of 20000 others seem to be in it", n, wrong)
		}
	}
}
