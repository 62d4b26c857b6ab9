package media

import "slices"

const (
	// opusSound is the least size of an Opus packet that may carry sound: silence
	// takes a few bytes, and is not worth decoding.
	opusSound = 10
	// opusLoud is the size from which on a packet counts as sound where too many
	// streams are decoded already.
	opusLoud = 30
	// overheard is how many packets may wait to be decoded; more are not listened to.
	overheard = 16
)

// overhear has a packet of Opus decoded on a goroutine that ends when enough was
// heard.
func (e *Endpoint) overhear(payload []byte) {
	if len(payload) < opusSound {
		return
	}
	if e.in.decode == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.closed.Load() {
			return
		}
		e.in.decode = make(chan []byte, overheard)
		e.workers.Add(1)
		go e.listenTo(e.in.decode)
	}
	select {
	case e.in.decode <- slices.Clone(payload):
	default:
	}
}

func (e *Endpoint) listenTo(packets <-chan []byte) {
	defer e.workers.Done()
	d, err := e.codecs.decoder()
	if err == nil {
		defer e.codecs.released()
		defer d.Close()
	}
	var samples []int16
	for sound := 0; sound < enoughSound; {
		select {
		case <-e.quit:
			return
		case p := <-packets:
			if err != nil {
				if len(p) >= opusLoud {
					sound++
				}
				continue
			}
			samples, _ = d.Decode(samples[:0], p)
			var power uint64
			for _, s := range samples {
				power += uint64(int64(s) * int64(s))
			}
			if len(samples) > 0 && power > loudPower*uint64(len(samples)) {
				sound++
			}
		}
	}
	e.in.speech.Store(true)
}
