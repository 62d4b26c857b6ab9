package opus

import (
	"errors"
	"fmt"
	"time"
)

// Decoder is one stream from a far end. Of a stereo packet the channels are mixed.
type Decoder struct {
	rate   int
	stream stream
}

// NewDecoder returns a decoder to so many samples a second (8000, 12000, 16000,
// 24000 or 48000), which must be closed.
func (l *Library) NewDecoder(rate int) (*Decoder, error) {
	if !known(rate) {
		return nil, fmt.Errorf("opus: cannot decode to %d samples a second", rate)
	}
	d := &Decoder{rate: rate, stream: stream{library: l}}
	if err := d.stream.with(d.begin, func(*instance) error { return nil }); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Decoder) begin(i *instance) (uint32, error) {
	size, err := i.call(i.fn.decoderSize, 1)
	if err != nil {
		return 0, err
	}
	at, err := i.alloc(int(size))
	if err != nil {
		return 0, err
	}
	return at, status(i.call(i.fn.decoderInit, uint64(at), uint64(d.rate), 1))
}

// ErrPacket says that bytes are no Opus packet. The decoder goes on as if they
// had not been there.
var ErrPacket = errors.New("opus: not an Opus packet")

// Decode appends the packet's samples to dst.
func (d *Decoder) Decode(dst []int16, packet []byte) ([]int16, error) {
	if _, ok := Duration(packet); !ok {
		return dst, ErrPacket
	}
	return d.decode(dst, packet, maxSamples*d.rate/48000, 0)
}

// Recover appends so many samples in place of a lost packet, from what the packet
// after it repeats (in-band FEC); where it repeats nothing they are made up as by
// Conceal. The next packet is to be decoded afterwards. samples is a multiple of
// 2.5 ms.
func (d *Decoder) Recover(dst []int16, next []byte, samples int) ([]int16, error) {
	if _, ok := Duration(next); !ok {
		return dst, ErrPacket
	}
	return d.decode(dst, next, samples, 1)
}

// Conceal appends so many samples, a multiple of 2.5 ms and at most 120 ms, in
// place of lost packets.
func (d *Decoder) Conceal(dst []int16, samples int) ([]int16, error) {
	return d.decode(dst, nil, samples, 0)
}

func (d *Decoder) decode(dst []int16, packet []byte, samples int, fec uint64) ([]int16, error) {
	if step := d.rate / 400; samples <= 0 || samples > maxSamples*d.rate/48000 || samples%step != 0 {
		return dst, status(errorBadArgument, nil)
	}
	err := d.stream.with(d.begin, func(i *instance) error {
		at := uint64(0)
		if packet != nil {
			copy(i.memory(i.packet, len(packet)), packet)
			at = uint64(i.packet)
		}
		n, err := i.call(i.fn.decode, uint64(d.stream.state), at, uint64(len(packet)), uint64(i.samples), uint64(samples), fec)
		if err := status(n, err); err != nil {
			return err
		}
		dst = i.appendSamples(dst, int(n))
		return nil
	})
	return dst, err
}

// Close frees the decoder.
func (d *Decoder) Close() { d.stream.close() }

// Duration returns how much audio a packet carries (RFC 6716, 3.1 and 3.2.5);
// ok is false for what can be no packet.
func Duration(packet []byte) (d time.Duration, ok bool) {
	if len(packet) == 0 || len(packet) > maxPacket {
		return 0, false
	}
	toc := packet[0]
	var frame time.Duration
	switch config := toc >> 3; {
	case config < 12: // SILK
		frame = [4]time.Duration{10, 20, 40, 60}[config&3] * time.Millisecond
	case config < 16: // hybrid
		frame = [2]time.Duration{10, 20}[config&1] * time.Millisecond
	default: // CELT
		frame = 2500 * time.Microsecond << (config & 3)
	}
	frames := 1
	switch toc & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0, false
		}
		frames = int(packet[1] & 0x3f)
	}
	d = time.Duration(frames) * frame
	return d, d > 0 && d <= 120*time.Millisecond
}
