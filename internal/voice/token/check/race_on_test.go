//go:build race

package check

// racing says that the race detector is on, which makes all this ten times as slow.
const racing = true
