//go:build !race

package keyring_test

const manyKeys = 100_000
