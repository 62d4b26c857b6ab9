// Package recordings keeps the audio of recordings as WAV files in a directory,
// one file an id.
//
// A Dir may be used from any goroutine; a recording under way belongs to one.
// Ids become file names: only letters, digits, '-' and '_' are taken.
package recordings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/switchboard"
)

const samplesPerSecond = 8000

var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Dir is a directory of recordings.
type Dir struct{ path string }

// Open returns the directory, which is made when missing (mode 0700).
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	return &Dir{path: path}, nil
}

func (d *Dir) file(id string) (string, error) {
	if !validID.MatchString(id) {
		return "", fault.New(fault.Invalid, "a recording's id has letters, digits, - and _ only")
	}
	return filepath.Join(d.path, id+".wav"), nil
}

// Create begins a recording. An id that exists is an error.
func (d *Dir) Create(id string) (switchboard.Recording, error) {
	name, err := d.file(id)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin recording: %w", err)
	}
	w, err := media.NewWAVRecorder(f)
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(name))
	}
	return &recording{WAVRecorder: w}, nil
}

type recording struct{ *media.WAVRecorder }

// Close makes the file whole and returns how long the recording is.
func (r *recording) Close() (time.Duration, error) {
	length := time.Duration(r.Samples()) * time.Second / samplesPerSecond
	return length, r.WAVRecorder.Close()
}

// Open returns the audio and when it was last written; fault.NotFound without it.
func (d *Dir) Open(id string) (io.ReadSeekCloser, time.Time, error) {
	name, err := d.file(id)
	if err != nil {
		return nil, time.Time{}, err
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, fault.New(fault.NotFound, "the audio of this recording is gone")
	}
	if err != nil {
		return nil, time.Time{}, fault.Wrap(fault.Unavailable, err, "the recording cannot be read now")
	}
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, errors.Join(fault.Wrap(fault.Unavailable, err, "the recording cannot be read now"), f.Close())
	}
	return f, info.ModTime(), nil
}

// Delete removes the audio; that it is gone already is no error.
func (d *Dir) Delete(id string) error {
	name, err := d.file(id)
	if err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Unavailable, err, "the recording cannot be deleted now")
	}
	return nil
}
