package config

import (
	"fmt"
	"strconv"
	"strings"
)

// PortRange is a range of ports, both ends included, written "41000-42999".
type PortRange struct{ From, To uint16 }

// UnmarshalText reads "FROM-TO".
func (r *PortRange) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "-")
	if !ok {
		return fmt.Errorf("must be two ports, as 41000-42999")
	}
	lo, errLo := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
	hi, errHi := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
	if errLo != nil || errHi != nil || lo == 0 || lo > hi {
		return fmt.Errorf("must be two ports from 1 to 65535, the lower first")
	}
	*r = PortRange{uint16(lo), uint16(hi)}
	return nil
}

// String returns the range as it is written in a file.
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.From, r.To) }

// Size returns how many ports the range has.
func (r PortRange) Size() int { return int(r.To) - int(r.From) + 1 }
