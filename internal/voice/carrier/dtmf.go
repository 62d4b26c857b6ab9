package carrier

import "strings"

// RFC 4733 telephone events, and how long the carrier presses its keys.
const (
	keys         = "0123456789*#ABCD" // the events 0 to 15 (RFC 4733, 3.2)
	eventsPT     = 101                // what our offers call telephone-event
	framesPerKey = 5                  // 100 ms
	framesApart  = 5                  // 100 ms of audio between keys
	eventVolume  = 10                 // −10 dBm0
)

// press is one key on its way out: a packet for each frame, the last one
// three times with the end bit (RFC 4733, 2.5.1.4).
type press struct {
	event  byte
	ts     uint32 // of its first packet, and of all
	frames int    // sent so far
}

func (p *press) payload() (b []byte, end bool) {
	p.frames++
	end = p.frames == framesPerKey
	duration := uint16(p.frames * frameSamples)
	volume := byte(eventVolume)
	if end {
		volume |= 0x80
	}
	return []byte{p.event, volume, byte(duration >> 8), byte(duration)}, end
}

// keyEvents turns digits into events, leaving out what is no key.
func keyEvents(digits string) []byte {
	var events []byte
	for _, d := range strings.ToUpper(digits) {
		if e := strings.IndexRune(keys, d); e >= 0 {
			events = append(events, byte(e))
		}
	}
	return events
}

// keyHeard returns the key of a telephone-event payload.
func keyHeard(payload []byte) (byte, bool) {
	if len(payload) < 4 || int(payload[0]) >= len(keys) {
		return 0, false
	}
	return keys[payload[0]], true
}
