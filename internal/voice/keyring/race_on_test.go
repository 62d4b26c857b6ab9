//go:build race

package keyring_test

// manyKeys is fewer under the race detector, which makes everything tenfold slower.
const manyKeys = 5_000
