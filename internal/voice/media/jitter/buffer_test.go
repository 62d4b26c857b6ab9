package jitter

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
)

const ms = time.Millisecond

// numbered is packet n of a telephone stream, which carries its number.
func numbered(n int) Packet {
	return Packet{Seq: uint64(n + 1000), TS: uint32(n*160) + 4294967000, Ticks: 160, Payload: binary.BigEndian.AppendUint32(nil, uint32(n))}
}

func number(p Piece) int {
	if p.Kind != Audio {
		return -1
	}
	return int(binary.BigEndian.Uint32(p.Payload))
}

func TestPacketsComeInOrder(t *testing.T) {
	b := New(Options{Rate: 8000, Min: 60 * ms, Max: 60 * ms})
	for _, n := range []int{0, 2, 1, 1, 4, 3, 0, 6} {
		b.Push(numbered(n), time.Duration(n)*20*ms)
	}
	if p := b.Pull(59 * ms); p.Kind != None || p.Ticks != 160 {
		t.Errorf("too early: %+v", p)
	}
	for i, want := range []int{0, 1, 2, 3, 4, -1, 6} {
		p := b.Pull(60*ms + time.Duration(i)*20*ms)
		if number(p) != want || p.Ticks != 160 {
			t.Errorf("piece %d is %d (%+v), want %d", i, number(p), p, want)
		}
		if want < 0 && (p.Kind != Lost || !bytes.Equal(p.Next, numbered(6).Payload)) {
			t.Errorf("in place of what is lost: %+v", p)
		}
	}
	if c := b.Counts(); c.Packets != 8 || c.Duplicate != 2 || c.Lost != 1 || c.Late != 0 {
		t.Errorf("%+v", c)
	}
}

func TestDelayFollowsTheNetwork(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := New(Options{Rate: 48000, Min: 20 * ms, Max: 300 * ms})
	n := 0
	run := func(jitter time.Duration, packets int) {
		for range packets {
			now := time.Duration(n) * 20 * ms
			p := numbered(n)
			p.TS, p.Ticks = uint32(n*960), 960
			b.Push(p, now+time.Duration(r.Int64N(int64(jitter)+1)))
			n++
		}
	}
	run(0, 200)
	if d := b.Delay(); d != 20*ms {
		t.Errorf("on a good network %v", d)
	}
	run(150*ms, 500)
	if d := b.Delay(); d < 130*ms || d > 170*ms {
		t.Errorf("with 150 ms of jitter %v", d)
	}
	run(10*ms, 3000)
	if d := b.Delay(); d > 30*ms {
		t.Errorf("afterwards %v", d)
	}
}

func TestSilenceIsNoLoss(t *testing.T) {
	b := New(Options{Rate: 8000, Min: 40 * ms, Max: 40 * ms})
	p := numbered(0)
	b.Push(p, 0)
	p.Seq, p.TS = p.Seq+1, p.TS+160*10 // the far end sent nothing for nine packets
	b.Push(p, 200*ms)
	kinds := map[Kind]int{}
	for i := range 12 {
		kinds[b.Pull(40*ms+time.Duration(i)*20*ms).Kind]++
	}
	// What is not there yet may still be lost; what is known to be a pause is one.
	if kinds[Audio] != 2 || kinds[Pause] < 2 || kinds[None] != 0 {
		t.Errorf("%v", kinds)
	}
	p.Seq, p.TS, p.Noise = p.Seq+1, p.TS+160, true
	b.Push(p, 220*ms)
	if p := b.Pull(280 * ms); p.Kind != Pause {
		t.Errorf("comfort noise that is late: %+v", p)
	}
	p.Seq, p.TS, p.Noise = p.Seq+1, p.TS+3*160, false
	b.Push(p, 280*ms)
	p.Seq, p.TS, p.Noise = p.Seq+1, p.TS+160, true
	b.Push(p, 300*ms)
	for i := range 50 {
		if p := b.Pull(300*ms + time.Duration(i)*20*ms); p.Kind != Audio && p.Kind != Pause {
			t.Errorf("after comfort noise: %+v", p)
		}
	}
}

// What a peer might send, in any order, at any time. What comes out obeys the
// package's promises.
func FuzzBuffer(f *testing.F) {
	var good []byte
	for n := range 40 {
		good = append(good, 0, byte(n), byte(n), 20)
	}
	f.Add(good, true)
	f.Add(good, false)
	f.Add([]byte{0, 5, 5, 0, 0, 1, 1, 200, 0x80, 2, 9, 9, 3, 255, 255, 255, 0, 5, 5, 0, 1, 0, 128, 77}, true)
	f.Add(bytes.Repeat([]byte{7, 250, 3, 255}, 300), true)
	f.Fuzz(func(t *testing.T, in []byte, adaptive bool) {
		o := Options{Rate: 8000, Min: 100 * ms, Max: 100 * ms}
		if adaptive {
			o.Min, o.Max = 20*ms, 250*ms
		}
		b := New(o)
		sent := map[string]uint64{}
		var now time.Duration
		var played int64
		// Four bytes a step: kind, number, timestamp, and milliseconds that pass.
		for ; len(in) >= 4; in = in[4:] {
			p := Packet{
				Gen: uint32(in[0] & 1), Seq: uint64(in[1]), TS: uint32(int8(in[2])) * 160, Ticks: uint32(in[0]&0x0e) * 40,
				Noise: in[0]&0x10 != 0, Payload: []byte{in[0], in[1], in[2], byte(len(in))},
			}
			if in[0]&0x20 != 0 {
				p.TS *= 1e5
			}
			if p.Ticks == 0 {
				p.Ticks = 160
			}
			sent[string(p.Payload)] = p.Seq
			b.Push(p, now)
			if b.Held() > maxHeld {
				t.Fatalf("%d packets held", b.Held())
			}
			end := now + time.Duration(in[3])*ms
			if in[0]&0x40 != 0 {
				end += time.Duration(in[3]) * 100 * ms
			}
			for ; now+20*ms <= end; now += 20 * ms {
				before, begun := b.next, b.begun
				piece := b.Pull(now)
				if piece.Ticks == 0 || piece.Ticks > 960 {
					t.Fatalf("a piece of %d ticks", piece.Ticks)
				}
				if b.next < before || begun && b.next < played {
					t.Fatalf("back from %d to %d", before, b.next)
				}
				if begun && b.next-before < int64(piece.Ticks) && piece.Kind != Wait {
					t.Fatalf("%d ticks further by a piece of %d", b.next-before, piece.Ticks)
				}
				if piece.Kind == Audio {
					if _, ok := sent[string(piece.Payload)]; !ok {
						t.Fatalf("% x was never sent", piece.Payload)
					}
					delete(sent, string(piece.Payload))
				}
				if b.begun {
					played = b.next
					if delay := b.ticks(now) - b.reference() - (b.next - int64(piece.Ticks)); piece.Kind != Wait && delay > b.max+b.piece+int64(piece.Ticks) {
						t.Fatalf("a delay of %d ticks", delay)
					}
				}
			}
			now = end
		}
	})
}

func BenchmarkPacket(b *testing.B) {
	buf := New(Options{Rate: 8000, Min: 20 * ms, Max: 250 * ms})
	p := Packet{Ticks: 160, Payload: make([]byte, 160)}
	b.ReportAllocs()
	var now time.Duration
	for b.Loop() {
		buf.Push(p, now)
		buf.Pull(now)
		p.Seq++
		p.TS += 160
		now += 20 * ms
	}
}
