// Package wav reads and writes RIFF WAVE files: what a simulated caller plays
// and records.
//
// It reads PCM of 16 bits, µ-law and A-law at 4 to 192 kHz, one channel or
// more (they are mixed down), and writes 16-bit mono PCM. It never guesses: an
// error says which part of the file is wrong. All functions are safe for
// concurrent use.
package wav

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"dialtone/internal/voice/carrier/g711"
)

// MaxBytes is the largest file that Decode takes: an hour at 8 kHz.
const MaxBytes = 64 << 20

// Sound is one channel of linear samples.
type Sound struct {
	Rate    int // samples per second
	Samples []int16
}

// The codes of the format chunk (RFC 2361, mmreg.h).
const (
	formatPCM        = 0x0001
	formatALaw       = 0x0006
	formatMuLaw      = 0x0007
	formatExtensible = 0xFFFE
)

// ReadFile reads a file; its errors name it.
func ReadFile(path string) (Sound, error) {
	f, err := os.Open(path)
	if err != nil {
		return Sound{}, err
	}
	defer f.Close()
	s, err := Decode(f)
	if err != nil {
		return Sound{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Decode reads a whole file. A length of zero or too large in the data chunk, as a
// recorder leaves behind that was stopped before it could fill it in, means
// everything until the end.
func Decode(r io.Reader) (Sound, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return Sound{}, err
	}
	if len(b) > MaxBytes {
		return Sound{}, fmt.Errorf("more than %d MB: too long to play on a call", MaxBytes>>20)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return Sound{}, errors.New("not a WAV file: it does not begin with RIFF and WAVE")
	}
	b = b[12:]

	var f format
	for {
		if len(b) < 8 {
			if f.channels == 0 {
				return Sound{}, errors.New("no format chunk before the end of the file")
			}
			return Sound{}, errors.New("no data chunk before the end of the file")
		}
		name, size := string(b[:4]), uint64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		switch name {
		case "fmt ":
			if size > uint64(len(b)) {
				return Sound{}, fmt.Errorf("the format chunk claims %d bytes, %d are left", size, len(b))
			}
			if f, err = readFormat(b[:size]); err != nil {
				return Sound{}, err
			}
		case "data":
			if f.channels == 0 {
				return Sound{}, errors.New("the data chunk comes before the format chunk")
			}
			if size == 0 || size > uint64(len(b)) {
				size = uint64(len(b))
			}
			return f.sound(b[:size]), nil
		}
		b = b[min(size+size%2, uint64(len(b))):]
	}
}

type format struct {
	code     uint16
	channels int
	rate     int
}

func readFormat(b []byte) (format, error) {
	if len(b) < 16 {
		return format{}, fmt.Errorf("the format chunk has %d bytes, 16 are the least", len(b))
	}
	f := format{
		code:     binary.LittleEndian.Uint16(b),
		channels: int(binary.LittleEndian.Uint16(b[2:])),
		rate:     int(binary.LittleEndian.Uint32(b[4:])),
	}
	width := binary.LittleEndian.Uint16(b[14:])
	if f.code == formatExtensible {
		if len(b) < 26 {
			return format{}, fmt.Errorf("the extensible format chunk has %d bytes, 26 are the least", len(b))
		}
		f.code = binary.LittleEndian.Uint16(b[24:]) // the first two bytes of the subformat's GUID
	}
	switch {
	case f.code == formatPCM && width != 16:
		return format{}, fmt.Errorf("PCM of %d bits: only 16 bits are read", width)
	case (f.code == formatMuLaw || f.code == formatALaw) && width != 8:
		return format{}, fmt.Errorf("companded samples of %d bits: they have 8", width)
	case f.code != formatPCM && f.code != formatMuLaw && f.code != formatALaw:
		return format{}, fmt.Errorf("format %#04x: only 16-bit PCM, µ-law and A-law are read", f.code)
	case f.channels < 1 || f.channels > 8:
		return format{}, fmt.Errorf("%d channels: 1 to 8 are read", f.channels)
	case f.rate < 4000 || f.rate > 192000:
		return format{}, fmt.Errorf("%d samples per second: 4000 to 192000 are read", f.rate)
	}
	return f, nil
}

func (f format) sound(b []byte) Sound {
	width := 1
	if f.code == formatPCM {
		width = 2
	}
	samples := make([]int16, 0, len(b)/(width*f.channels))
	for ; len(b) >= width*f.channels; b = b[width*f.channels:] {
		sum := 0
		for c := range f.channels {
			switch f.code {
			case formatPCM:
				sum += int(int16(binary.LittleEndian.Uint16(b[2*c:])))
			case formatMuLaw:
				sum += int(g711.DecodeMu(b[c]))
			case formatALaw:
				sum += int(g711.DecodeA(b[c]))
			}
		}
		samples = append(samples, int16(sum/f.channels))
	}
	return Sound{Rate: f.rate, Samples: samples}
}

// WriteFile writes a file of 16-bit mono PCM.
func WriteFile(path string, s Sound) error {
	var b bytes.Buffer
	if err := Encode(&b, s); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Encode writes 16-bit mono PCM.
func Encode(w io.Writer, s Sound) error {
	size := 2 * len(s.Samples)
	if size > math.MaxUint32-36 {
		return errors.New("too long for a WAV file")
	}
	b := make([]byte, 0, 44+size)
	b = append(b, "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(36+size))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, formatPCM)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint32(b, uint32(s.Rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(2*s.Rate))
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	for _, v := range s.Samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	_, err := w.Write(b)
	return err
}
