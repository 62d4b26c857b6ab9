package opus

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

const (
	maxPacket  = 1500 // what fits into an Ethernet frame
	maxSamples = 5760 // 120 ms at 48 kHz, the longest packet
)

// instance is one running copy with a memory of its own.
type instance struct {
	streams int // guarded by Library.mu

	mu      sync.Mutex
	module  api.Module // nil when it is over
	fn      functions
	packet  uint32 // address of maxPacket bytes
	samples uint32 // address of maxSamples samples
	stack   [6]uint64
}

type functions struct {
	malloc, free                             api.Function
	encoderSize, encoderInit, encode, encSet api.Function
	decoderSize, decoderInit, decode, decSet api.Function
}

// open starts an instance. Called with Library.mu held.
func (l *Library) open() (*instance, error) {
	ctx := context.Background()
	m, err := l.runtime.InstantiateModule(ctx, l.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return nil, fmt.Errorf("opus: start: %w", err)
	}
	i := &instance{module: m, fn: functions{
		malloc: m.ExportedFunction("malloc"), free: m.ExportedFunction("free"),
		encoderSize: m.ExportedFunction("opus_encoder_get_size"), encoderInit: m.ExportedFunction("opus_encoder_init"),
		encode: m.ExportedFunction("opus_encode"), encSet: m.ExportedFunction("opus_encoder_ctl_set"),
		decoderSize: m.ExportedFunction("opus_decoder_get_size"), decoderInit: m.ExportedFunction("opus_decoder_init"),
		decode: m.ExportedFunction("opus_decode"), decSet: m.ExportedFunction("opus_decoder_ctl_set"),
	}}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.packet, err = i.alloc(maxPacket); err == nil {
		i.samples, err = i.alloc(2 * maxSamples)
	}
	if err != nil {
		_ = m.Close(ctx)
		return nil, err
	}
	return i, nil
}

// end frees the instance's memory.
func (i *instance) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.module != nil {
		_ = i.module.Close(context.Background())
		i.module = nil
	}
}

// call calls a function with mu held. An error means that the instance is over.
func (i *instance) call(f api.Function, args ...uint64) (int32, error) {
	if i.module == nil {
		return 0, errClosed
	}
	copy(i.stack[:], args)
	if err := f.CallWithStack(context.Background(), i.stack[:]); err != nil {
		_ = i.module.Close(context.Background())
		i.module = nil
		return 0, fmt.Errorf("opus: %w", err)
	}
	return int32(uint32(i.stack[0])), nil
}

func (i *instance) alloc(size int) (uint32, error) {
	at, err := i.call(i.fn.malloc, uint64(size))
	if err == nil && at == 0 {
		err = ErrFull
	}
	return uint32(at), err
}

// memory returns the bytes at an address, which must be within the memory.
func (i *instance) memory(at uint32, size int) []byte {
	b, _ := i.module.Memory().Read(at, uint32(size))
	return b
}

func (i *instance) putSamples(s []int16) {
	b := i.memory(i.samples, 2*len(s))
	for k, v := range s {
		binary.LittleEndian.PutUint16(b[2*k:], uint16(v))
	}
}

func (i *instance) appendSamples(dst []int16, n int) []int16 {
	b := i.memory(i.samples, 2*n)
	for k := range n {
		dst = append(dst, int16(binary.LittleEndian.Uint16(b[2*k:])))
	}
	return dst
}

// stream is a codec state within an instance.
type stream struct {
	library *Library
	in      *instance
	state   uint32
}

// with runs f with the stream's instance locked; after a trap it takes the stream
// to another instance first, where begin makes it anew.
func (s *stream) with(begin func(*instance) (uint32, error), f func(*instance) error) error {
	for range 2 {
		if s.library == nil {
			return errClosed
		}
		if s.in == nil {
			in, err := s.library.enter()
			if err != nil {
				return err
			}
			in.mu.Lock()
			at, err := begin(in)
			over := in.module == nil
			in.mu.Unlock()
			if err != nil {
				if over {
					s.library.discard(in)
				}
				s.leave(in, 0)
				return err
			}
			s.in, s.state = in, at
		}
		s.in.mu.Lock()
		if s.in.module != nil {
			err := f(s.in)
			over := s.in.module == nil
			s.in.mu.Unlock()
			if over {
				s.library.discard(s.in)
				s.leave(s.in, 0)
				s.in = nil
			}
			return err
		}
		s.in.mu.Unlock()
		s.leave(s.in, 0) // another stream's trap ended it
		s.in = nil
	}
	return errClosed
}

// leave frees the state and the place.
func (s *stream) leave(in *instance, state uint32) {
	if state != 0 {
		in.mu.Lock()
		_, _ = in.call(in.fn.free, uint64(state))
		in.mu.Unlock()
	}
	s.library.leave(in)
}

func (s *stream) close() {
	if s.in != nil {
		s.leave(s.in, s.state)
	}
	*s = stream{}
}
