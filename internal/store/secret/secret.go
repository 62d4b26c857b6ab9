// Package secret keeps secrets unreadable in a database: they are sealed with
// AES-256-GCM (NIST SP 800-38D) under a key that lives in a file beside it, so
// that a copy of the database alone gives nothing away.
//
// A Box is safe for concurrent use. It never logs what it holds.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"dialtone/internal/fault"
)

// KeyFile is the name of the key's file.
const KeyFile = "secret.key"

// version is the first byte of what Seal returns.
const version = 1

// Box seals and opens secrets.
type Box struct{ aead cipher.AEAD }

// Open returns the box of the key in dir/secret.key. With fresh, the key is made
// (mode 0600) when it does not exist; without, secrets were sealed already, and
// another key could read none of them. fault.Invalid when the key is missing,
// others may read the file or it is no key.
func Open(dir string, fresh bool) (*Box, error) {
	path := filepath.Join(dir, KeyFile)
	key, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && fresh:
		key, err = create(dir, path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "%s is missing. It belongs to the database beside it, whose secrets nothing else can read: restore it from a backup (docs/runbooks.md, keys_unreadable).", path)
	}
	if err != nil {
		return nil, err
	}
	return New(key)
}

// New returns the box of a key of 32 bytes.
func New(key []byte) (*Box, error) {
	block, err := aes.NewCipher(key)
	if err != nil || len(key) != 32 {
		return nil, fault.New(fault.Invalid, "A key for secrets has 32 bytes.")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Box{aead: aead}, nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "Others may read %s. Run chmod 600 on it.", path)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(key) != 32 {
		return nil, fault.New(fault.Invalid, "%s is damaged: it must hold 32 bytes. Restore it from a backup; without it the stored API keys cannot be read.", path)
	}
	return key, nil
}

// create makes the key in one step, so that of two processes that start at once
// one wins and both use its key.
func create(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)                         // never fails since Go 1.24
	file, err := os.CreateTemp(dir, KeyFile+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(key)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return read(path)
}

// Seal returns the secret unreadable. Only Open with the same purpose (say, the
// table and the row's id) reads it again, so that rows cannot be exchanged.
func (b *Box) Seal(plain []byte, purpose string) []byte {
	nonce := make([]byte, b.aead.NonceSize())
	_, _ = rand.Read(nonce) // random nonces: good for 2^32 secrets a key
	out := append([]byte{version}, nonce...)
	return b.aead.Seal(out, nonce, plain, []byte(purpose))
}

// Open returns what Seal was given; fault.Invalid when key or purpose differ.
func (b *Box) Open(sealed []byte, purpose string) ([]byte, error) {
	head := 1 + b.aead.NonceSize()
	if len(sealed) < head || sealed[0] != version {
		return nil, fault.New(fault.Invalid, "The stored secret of %s is damaged. docs/runbooks.md says how to go on (keys_unreadable).", purpose)
	}
	plain, err := b.aead.Open(nil, sealed[1:head], sealed[head:], []byte(purpose))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The stored secret of "+purpose+" cannot be read with this "+KeyFile+". Restore the file that belongs to this database.")
	}
	return plain, nil
}
