package people

// Expensive reports whether checking against the hash would take long.
func Expensive(phc string) bool {
	p, _, _, ok := parsePHC(phc)
	return ok && uint64(p.Memory)*uint64(p.Time) > 1<<12
}
