package opus

import "fmt"

// Config is how to encode.
type Config struct {
	Rate       int // samples a second: 8000, 12000, 16000, 24000 or 48000
	Complexity int // 0 (cheap) to 10
	Bitrate    int // bits a second, 6000 to 128000; 0 lets libopus choose by the rate
	Loss       int // percent of packets that the far end may lose: more than 0 adds in-band FEC
}

// requests of opus_encoder_ctl, and the application: from opus_defines.h.
const (
	applicationVoIP  = 2048
	setBitrate       = 4002
	setComplexity    = 4010
	setInbandFEC     = 4012
	setPacketLoss    = 4014
	setDTX           = 4016
	setSignal        = 4024
	signalVoice      = 3001
	errorBadArgument = -1
)

// Encoder is one stream to the far end: mono, variable rate, no DTX (a far end
// that hears nothing for long takes a leg for dead).
type Encoder struct {
	c      Config
	stream stream
}

// NewEncoder returns an encoder at rest, which must be closed.
func (l *Library) NewEncoder(c Config) (*Encoder, error) {
	if !known(c.Rate) || c.Complexity < 0 || c.Complexity > 10 || c.Loss < 0 || c.Loss > 100 ||
		c.Bitrate != 0 && (c.Bitrate < 6000 || c.Bitrate > 128000) {
		return nil, fmt.Errorf("opus: cannot encode as %+v", c)
	}
	e := &Encoder{c: c, stream: stream{library: l}}
	if err := e.stream.with(e.begin, func(*instance) error { return nil }); err != nil {
		return nil, err
	}
	return e, nil
}

func known(rate int) bool {
	switch rate {
	case 8000, 12000, 16000, 24000, 48000:
		return true
	}
	return false
}

func (e *Encoder) begin(i *instance) (uint32, error) {
	size, err := i.call(i.fn.encoderSize, 1)
	if err != nil {
		return 0, err
	}
	at, err := i.alloc(int(size))
	if err != nil {
		return 0, err
	}
	if err := status(i.call(i.fn.encoderInit, uint64(at), uint64(e.c.Rate), 1, applicationVoIP)); err != nil {
		return 0, err
	}
	set := [][2]int{{setComplexity, e.c.Complexity}, {setDTX, 0}, {setSignal, signalVoice}, {setPacketLoss, e.c.Loss}, {setInbandFEC, min(e.c.Loss, 1)}}
	if e.c.Bitrate != 0 {
		set = append(set, [2]int{setBitrate, e.c.Bitrate})
	}
	for _, s := range set {
		if err := status(i.call(i.fn.encSet, uint64(at), uint64(s[0]), uint64(s[1]))); err != nil {
			return 0, err
		}
	}
	return at, nil
}

// status makes an error of libopus's.
func status(n int32, err error) error {
	if err == nil && n < 0 {
		return fmt.Errorf("opus: libopus says %d", n)
	}
	return err
}

// Encode appends the packet of the samples to dst: 2.5, 5, 10, 20, 40 or 60 ms.
func (e *Encoder) Encode(dst []byte, samples []int16) ([]byte, error) {
	if len(samples) == 0 || len(samples) > maxSamples {
		return dst, status(errorBadArgument, nil)
	}
	err := e.stream.with(e.begin, func(i *instance) error {
		i.putSamples(samples)
		n, err := i.call(i.fn.encode, uint64(e.stream.state), uint64(i.samples), uint64(len(samples)), uint64(i.packet), maxPacket)
		if err := status(n, err); err != nil {
			return err
		}
		dst = append(dst, i.memory(i.packet, int(n))...)
		return nil
	})
	return dst, err
}

// Close frees the encoder.
func (e *Encoder) Close() { e.stream.close() }
