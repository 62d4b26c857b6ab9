package talk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// spool is the local log of entries that wait for the store: one JSON object a
// line, synced to disk one by one, deleted when all of it is in the store. A
// line that a crash cut short is ignored; one that is written twice does no
// harm, because the store keeps each id once. One goroutine may use it.
type spool struct {
	path     string // "": memory only
	rejected string
	waiting  []entry
}

// openSpool reads what an earlier run left behind.
func openSpool(dir string, log *slog.Logger) (*spool, error) {
	if dir == "" {
		return &spool{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := &spool{path: filepath.Join(dir, "records.jsonl"), rejected: filepath.Join(dir, "rejected.jsonl")}
	file, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, 64<<10), 4<<20)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			log.Warn("spool: a line is damaged and left out", "error", err)
			continue
		}
		s.waiting = append(s.waiting, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("spool %s: %w", s.path, err)
	}
	return s, nil
}

func (s *spool) len() int { return len(s.waiting) }

// first returns the oldest entry.
func (s *spool) first() (entry, bool) {
	if len(s.waiting) == 0 {
		return entry{}, false
	}
	return s.waiting[0], true
}

// drop forgets the oldest entry; on disk it stays until clear.
func (s *spool) drop() { s.waiting = s.waiting[1:] }

// add appends an entry, in memory even when the disk refuses it.
func (s *spool) add(e entry) error {
	s.waiting = append(s.waiting, e)
	return appendLine(s.path, e)
}

// reject sets an entry aside for a person to look at.
func (s *spool) reject(e entry) error { return appendLine(s.rejected, e) }

// clear deletes the log after its last entry was dropped.
func (s *spool) clear() error {
	s.waiting = nil
	if s.path == "" {
		return nil
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// appendLine writes e to the end of the file and syncs it. A line that a crash
// cut short is ended first, so that it cannot spoil this one.
func appendLine(path string, e entry) error {
	if path == "" {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if size, err := file.Seek(0, 2); err == nil && size > 0 {
		last := make([]byte, 1)
		if _, err := file.ReadAt(last, size-1); err == nil && last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}
