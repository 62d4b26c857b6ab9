package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"dialtone/internal/fault"
)

// MaxWAV is the largest WAV file that ReadWAV reads, in bytes: an hour of 16-bit
// telephone audio, more than a prompt ever is.
const MaxWAV = 64 << 20

// wavFormat is a WAV file's "fmt " chunk.
type wavFormat struct {
	tag      uint16 // 1 PCM, 6 A-law, 7 mu-law
	channels int
	rate     int
	bits     int
}

// ReadWAV reads a RIFF/WAVE file: PCM 16 bit, mu-law or A-law, one to eight
// channels (mixed into one), 4 to 192 kHz (resampled to 8 kHz). What is wrong
// with a file is said in a fault.Invalid error. A data chunk whose length is
// unknown (0 or 0xffffffff, as from a recorder that died) reaches to the end.
func ReadWAV(r io.Reader) (*Clip, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxWAV+1))
	if err != nil {
		return nil, fmt.Errorf("read WAV: %w", err)
	}
	if len(b) > MaxWAV {
		return nil, fault.New(fault.Invalid, "The WAV file is larger than %d MB.", MaxWAV>>20)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, fault.New(fault.Invalid, "This is not a WAV file: it does not begin with RIFF and WAVE.")
	}
	var f wavFormat
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), uint64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		body := b[:min(size, uint64(len(b)))]
		switch id {
		case "fmt ":
			if f, err = parseWAVFormat(body); err != nil {
				return nil, err
			}
		case "data":
			if f.rate == 0 {
				return nil, fault.New(fault.Invalid, "The WAV file has its data before its format.")
			}
			if size == 0 || size == math.MaxUint32 {
				body = b
			}
			return &Clip{Samples: resample(f.mono(body), f.rate)}, nil
		}
		b = b[min(size+size&1, uint64(len(b))):]
	}
	return nil, fault.New(fault.Invalid, "The WAV file has no data.")
}

func parseWAVFormat(b []byte) (wavFormat, error) {
	if len(b) < 16 {
		return wavFormat{}, fault.New(fault.Invalid, "The WAV file's format is cut short.")
	}
	f := wavFormat{
		tag:      binary.LittleEndian.Uint16(b),
		channels: int(binary.LittleEndian.Uint16(b[2:])),
		rate:     int(binary.LittleEndian.Uint32(b[4:])),
		bits:     int(binary.LittleEndian.Uint16(b[14:])),
	}
	if f.tag == 0xfffe && len(b) >= 26 { // WAVE_FORMAT_EXTENSIBLE: the tag begins the sub-format
		f.tag = binary.LittleEndian.Uint16(b[24:])
	}
	want := map[uint16]int{1: 16, 6: 8, 7: 8}[f.tag]
	switch {
	case want == 0:
		return f, fault.New(fault.Invalid, "The WAV file's encoding %d is not known; use 16-bit PCM, mu-law or A-law.", f.tag)
	case f.bits != want:
		return f, fault.New(fault.Invalid, "The WAV file has %d bits a sample; use 16-bit PCM, or 8-bit mu-law or A-law.", f.bits)
	case f.channels < 1 || f.channels > 8:
		return f, fault.New(fault.Invalid, "The WAV file has %d channels; one to eight can be read.", f.channels)
	case f.rate < 4000 || f.rate > 192000:
		return f, fault.New(fault.Invalid, "The WAV file has %d samples a second; 4000 to 192000 can be read.", f.rate)
	}
	return f, nil
}

// mono decodes the data and mixes its channels.
func (f wavFormat) mono(b []byte) []int16 {
	width := f.bits / 8
	out := make([]int16, len(b)/(width*f.channels))
	for i := range out {
		var sum int32
		for range f.channels {
			switch f.tag {
			case 6:
				sum += int32(aLaw.decode[b[0]])
			case 7:
				sum += int32(muLaw.decode[b[0]])
			default:
				sum += int32(int16(binary.LittleEndian.Uint16(b)))
			}
			b = b[width:]
		}
		out[i] = int16(sum / int32(f.channels))
	}
	return out
}

// resample brings the samples to 8 kHz with a windowed sinc that lets pass what
// both rates can carry.
func resample(in []int16, rate int) []int16 {
	if rate == sampleRate || len(in) == 0 {
		return in
	}
	const zeros = 16 // crossings of the sinc on either side
	step := float64(rate) / sampleRate
	cut := 0.95 * min(1, 1/step) // of the input's half rate
	half := zeros / cut
	out := make([]int16, int(float64(len(in))/step))
	// The kernel is tabulated: some hundred points between two crossings are exact
	// beyond 16 bits of telephone audio.
	const fine = 256
	kernel := make([]float64, zeros*fine+2)
	for i := range kernel {
		x := float64(i) / fine
		if x == 0 {
			kernel[i] = 1
			continue
		}
		w := 0.42 + 0.5*math.Cos(math.Pi*x/zeros) + 0.08*math.Cos(2*math.Pi*x/zeros)
		kernel[i] = w * math.Sin(math.Pi*x) / (math.Pi * x)
	}
	for n := range out {
		at := float64(n) * step
		lo, hi := max(0, int(math.Ceil(at-half))), min(len(in)-1, int(at+half))
		var sum float64
		for k := lo; k <= hi; k++ {
			sum += float64(in[k]) * kernel[int(math.Abs(at-float64(k))*cut*fine+0.5)]
		}
		out[n] = int16(max(-32768, min(32767, math.Round(sum*cut))))
	}
	return out
}

// WAVFile is where a WAVRecorder writes: an *os.File opened for writing at its
// start.
type WAVFile interface {
	io.Writer
	io.WriterAt
}

// WAVRecorder writes a recording as a WAV file (16-bit PCM, 8 kHz, mono). The
// header is right after every second of audio, so that a file left by a process
// that died can be played. It is a Recorder; its methods are not for concurrent use.
type WAVRecorder struct {
	file    WAVFile
	samples int64
	pending []byte
	err     error
}

const (
	wavHeader  = 44
	wavPending = 2 * sampleRate // a second
)

// NewWAVRecorder writes the header of an empty recording.
func NewWAVRecorder(f WAVFile) (*WAVRecorder, error) {
	if _, err := f.Write(header(0)); err != nil {
		return nil, fmt.Errorf("begin recording: %w", err)
	}
	return &WAVRecorder{file: f, pending: make([]byte, 0, wavPending)}, nil
}

func header(samples int64) []byte {
	le := binary.LittleEndian
	data := uint32(min(2*samples, math.MaxUint32-wavHeader))
	b := make([]byte, 0, wavHeader)
	b = le.AppendUint32(append(b, "RIFF"...), wavHeader-8+data)
	b = le.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = le.AppendUint16(le.AppendUint16(b, 1), 1) // PCM, mono
	b = le.AppendUint32(le.AppendUint32(b, sampleRate), 2*sampleRate)
	b = le.AppendUint16(le.AppendUint16(b, 2), 16)
	return le.AppendUint32(append(b, "data"...), data)
}

// WriteSamples implements Recorder. After an error it writes no more.
func (w *WAVRecorder) WriteSamples(samples []int16) error {
	for _, s := range samples {
		w.pending = binary.LittleEndian.AppendUint16(w.pending, uint16(s))
		if len(w.pending) == wavPending {
			if w.flush(); w.err != nil {
				return w.err
			}
		}
	}
	return w.err
}

func (w *WAVRecorder) flush() {
	if w.err != nil || len(w.pending) == 0 {
		return
	}
	if _, w.err = w.file.Write(w.pending); w.err != nil {
		w.err = fmt.Errorf("write recording: %w", w.err)
		return
	}
	w.samples += int64(len(w.pending) / 2)
	w.pending = w.pending[:0]
	if _, err := w.file.WriteAt(header(w.samples), 0); err != nil {
		w.err = fmt.Errorf("write recording: %w", err)
	}
}

// Samples returns how many samples were recorded.
func (w *WAVRecorder) Samples() int64 { return w.samples + int64(len(w.pending)/2) }

// Close writes what is left and closes the file if it can be closed. It returns
// the first error of the recording.
func (w *WAVRecorder) Close() error {
	w.flush()
	err := w.err
	if w.err == nil {
		w.err = errors.New("recording is closed")
	}
	if c, ok := w.file.(io.Closer); ok {
		return errors.Join(err, c.Close())
	}
	return err
}
