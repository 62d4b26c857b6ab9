package opus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"dialtone/internal/fault"
)

// Of the file in the npm package @evan/opus 1.0.3.
const programSum = "47705009f5a81ccf6b091d45b6e8f75d3f419ff27b75145c6c9a85d9dbd6f51c"

func TestTheProgramIsThePublishedOne(t *testing.T) {
	sum := sha256.Sum256(program)
	if got := hex.EncodeToString(sum[:]); got != programSum {
		t.Errorf("libopus/simd.wasm has SHA-256 %s, want %s", got, programSum)
	}
}

// One for all tests: compiling takes most of a second.
var library = sync.OnceValue(func() *Library { return NewLibrary(2) })

// speech returns 1.5 s of espeak-ng at a rate.
func speech(t testing.TB, rate int) []int16 {
	t.Helper()
	b, err := os.ReadFile("../g722/testdata/speech.s16le")
	if err != nil {
		t.Fatal(err)
	}
	in := make([]int16, len(b)/2)
	for i := range in {
		in[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	out := make([]int16, len(in)*rate/16000/(rate/50)*(rate/50))
	for i := range out {
		at := float64(i) * 16000 / float64(rate)
		k := min(int(at), len(in)-2)
		part := at - float64(k)
		v := (1-part)*float64(in[k]) + part*float64(in[k+1])
		if rate == 8000 { // the crudest of low-pass filters
			v = (float64(in[max(k-1, 0)]) + 2*float64(in[k]) + float64(in[k+1])) / 4
		}
		out[i] = int16(v)
	}
	return out
}

func tone(hz float64, rate int, d time.Duration) []int16 {
	out := make([]int16, int(d*time.Duration(rate)/time.Second))
	for i := range out {
		out[i] = int16(10000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return out
}

// alike returns the correlation of b with a at the delay (at most 20 ms) where it
// is highest, and that delay in samples.
func alike(a, b []int16, rate int) (best float64, delay int) {
	for d := range rate / 50 {
		var ab, aa, bb float64
		for i := d; i < min(len(b), len(a)+d); i++ {
			x, y := float64(a[i-d]), float64(b[i])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		if r := ab / math.Sqrt(aa*bb+1); r > best {
			best, delay = r, d
		}
	}
	return best, delay
}

func encodeAll(t testing.TB, c Config, in []int16) (packets [][]byte) {
	t.Helper()
	e, err := library().NewEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for frame := range slices.Chunk(in, c.Rate/50) {
		p, err := e.Encode(nil, frame)
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := Duration(p); !ok || d != 20*time.Millisecond {
			t.Fatalf("a packet of %v (%v)", d, ok)
		}
		packets = append(packets, p)
	}
	return packets
}

// decodeAll decodes what is not nil and lets what is be made up, from the packet
// after it if it is to be.
func decodeAll(t testing.TB, rate int, packets [][]byte, recover bool) (out []int16) {
	t.Helper()
	d, err := library().NewDecoder(rate)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for n, p := range packets {
		switch {
		case p != nil:
			out, err = d.Decode(out, p)
		case recover && n+1 < len(packets) && packets[n+1] != nil:
			out, err = d.Recover(out, packets[n+1], rate/50)
		default:
			out, err = d.Conceal(out, rate/50)
		}
		if err != nil || len(out) != (n+1)*rate/50 {
			t.Fatalf("packet %d: %d samples, %v", n, len(out), err)
		}
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		for name, in := range map[string][]int16{"speech": speech(t, rate), "tone": tone(1000, rate, time.Second)} {
			for _, complexity := range []int{0, 5, 10} {
				packets := encodeAll(t, Config{Rate: rate, Complexity: complexity, Bitrate: 32000}, in)
				size := 0
				for _, p := range packets {
					size += len(p)
				}
				r, delay := alike(in, decodeAll(t, rate, packets, false), rate)
				t.Logf("%5d Hz, complexity %2d, %s: correlation %.4f, delay %d, %d bit/s", rate, complexity, name, r, delay, size*8*50/len(packets))
				if want := 0.95; r < want {
					t.Errorf("%d Hz, complexity %d: %s comes out with correlation %.3f, want %.2f", rate, complexity, name, r, want)
				}
			}
		}
	}
}

func TestLossIsMadeUp(t *testing.T) {
	const rate = 16000
	in := speech(t, rate)
	packets := encodeAll(t, Config{Rate: rate, Complexity: 5, Bitrate: 32000, Loss: 15}, in)
	for n := 7; n < len(packets); n += 6 {
		packets[n] = nil
	}
	silent, err := library().NewDecoder(rate)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var gaps []int16
	for _, p := range packets {
		if p == nil {
			gaps = append(gaps, make([]int16, rate/50)...)
		} else if gaps, err = silent.Decode(gaps, p); err != nil {
			t.Fatal(err)
		}
	}
	with, _ := alike(in, decodeAll(t, rate, packets, true), rate)
	without, _ := alike(in, decodeAll(t, rate, packets, false), rate)
	nothing, _ := alike(in, gaps, rate)
	t.Logf("a sixth lost: correlation %.3f with FEC, %.3f concealed, %.3f with gaps", with, without, nothing)
	if with < without+0.02 || with < 0.9 || without < nothing {
		t.Errorf("correlation %.3f with FEC, %.3f concealed, %.3f with gaps", with, without, nothing)
	}
}

// A call of an engine must not disturb another's state in the same instance.
func TestStreamsAreApart(t *testing.T) {
	const rate = 8000
	c := Config{Rate: rate, Complexity: 3}
	ins := [][]int16{speech(t, rate), tone(440, rate, time.Second), tone(1700, rate, time.Second)}
	var group sync.WaitGroup
	for _, in := range ins {
		want := decodeAll(t, rate, encodeAll(t, c, in), false)
		for range 6 {
			group.Go(func() {
				if got := decodeAll(t, rate, encodeAll(t, c, in), false); !slices.Equal(got, want) {
					t.Error("another stream was heard")
				}
			})
		}
	}
	group.Wait()
	if instances, streams := library().Usage(); instances > 2 || streams != 0 {
		t.Errorf("%d instances, %d streams; want at most 2, and none", instances, streams)
	}
}

func TestATrapIsOutlived(t *testing.T) {
	l := NewLibrary(1)
	defer l.Close()
	e, err := l.NewEncoder(Config{Rate: 8000})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d, err := l.NewDecoder(8000)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if e.stream.in != d.stream.in {
		t.Fatal("two streams, two instances")
	}
	e.stream.state = 0xfffffff0 // its memory is gone: libopus runs out of bounds
	frame := tone(440, 8000, 20*time.Millisecond)
	if _, err := e.Encode(nil, frame); err == nil {
		t.Fatal("no error from a trap")
	}
	for range 2 {
		p, err := e.Encode(nil, frame)
		if err != nil {
			t.Fatal("after the trap: ", err)
		}
		if out, err := d.Decode(nil, p); err != nil || len(out) != 160 {
			t.Fatal("the other stream after the trap: ", err)
		}
	}
	if instances, streams := l.Usage(); instances != 1 || streams != 2 {
		t.Errorf("%d instances, %d streams", instances, streams)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	l := NewLibrary(1)
	var all []*Decoder
	for range perInstance {
		d, err := l.NewDecoder(8000)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if _, err := l.NewDecoder(8000); !errors.Is(err, ErrFull) || fault.KindOf(err) != fault.TooMany {
		t.Errorf("one too many: %v", err)
	}
	all[3].Close()
	if d, err := l.NewDecoder(8000); err != nil {
		t.Errorf("in place of one that left: %v", err)
	} else {
		d.Close()
	}
	l.Close()
	if _, err := all[0].Conceal(nil, 160); err == nil {
		t.Error("a closed library speaks")
	}
	if _, err := l.NewEncoder(Config{Rate: 8000}); err == nil {
		t.Error("a closed library makes encoders")
	}
	for _, d := range all {
		d.Close()
	}
}

func TestWhatIsNoPacket(t *testing.T) {
	d, err := library().NewDecoder(8000)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, p := range [][]byte{nil, {}, {3}, {3, 0}, {0xff, 0x3f}, make([]byte, 1501)} {
		if out, err := d.Decode(nil, p); !errors.Is(err, ErrPacket) || len(out) != 0 {
			t.Errorf("% x: %d samples, %v", p[:min(len(p), 4)], len(out), err)
		}
	}
	for _, n := range []int{0, -20, 7, 961, 1 << 20} {
		if _, err := d.Conceal(nil, n); err == nil {
			t.Errorf("%d samples were concealed", n)
		}
	}
	for _, c := range []Config{{}, {Rate: 44100}, {Rate: 8000, Complexity: 11}, {Rate: 8000, Bitrate: 1}, {Rate: 8000, Loss: 101}} {
		if _, err := library().NewEncoder(c); err == nil {
			t.Errorf("an encoder of %+v", c)
		}
	}
	if _, err := library().NewDecoder(44100); err == nil {
		t.Error("a decoder to 44100")
	}
}

func FuzzDecode(f *testing.F) {
	in := speech(f, 16000)[:3200]
	for _, c := range []Config{{Rate: 16000}, {Rate: 48000, Bitrate: 96000}, {Rate: 8000, Loss: 20}} {
		for _, p := range encodeAll(f, c, in[:c.Rate/50]) {
			f.Add(p, true)
		}
	}
	f.Add([]byte{0xfb, 0x43, 0x01, 0x02}, false)
	f.Add(bytes.Repeat([]byte{0xff}, 200), false)
	f.Fuzz(func(t *testing.T, p []byte, lost bool) {
		d, err := library().NewDecoder(8000)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if lost {
			if out, err := d.Recover(nil, p, 160); err == nil && len(out) != 160 {
				t.Fatalf("%d samples recovered", len(out))
			}
		}
		out, err := d.Decode(nil, p)
		long, _ := Duration(p)
		if err == nil && len(out) != int(long*8000/time.Second) {
			t.Fatalf("%d samples of %v", len(out), long)
		}
		if d.stream.in == nil {
			t.Fatal("the instance trapped")
		}
		if out, err := d.Conceal(nil, 160); err != nil || len(out) != 160 {
			t.Fatalf("afterwards: %d samples, %v", len(out), err)
		}
	})
}

func BenchmarkEncode20ms(b *testing.B) {
	for _, c := range []Config{
		{Rate: 8000},
		{Rate: 8000, Complexity: 5},
		{Rate: 8000, Complexity: 5, Loss: 10},
		{Rate: 16000, Complexity: 5},
		{Rate: 48000},
		{Rate: 48000, Complexity: 5},
		{Rate: 48000, Complexity: 9},
	} {
		name := map[bool]string{true: "+fec"}[c.Loss > 0]
		b.Run(strconv.Itoa(c.Rate/1000)+"k-complexity"+strconv.Itoa(c.Complexity)+name, func(b *testing.B) {
			in := speech(b, c.Rate)
			e, err := library().NewEncoder(c)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			n, at, p := c.Rate/50, 0, make([]byte, 0, maxPacket)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Encode(p, in[at:at+n]); err != nil {
					b.Fatal(err)
				}
				if at += n; at+n > len(in) {
					at = 0
				}
			}
		})
	}
}

func BenchmarkDecode20ms(b *testing.B) {
	packets := encodeAll(b, Config{Rate: 48000, Complexity: 5}, speech(b, 48000))
	for _, rate := range []int{8000, 16000, 48000} {
		b.Run(strconv.Itoa(rate/1000)+"k", func(b *testing.B) {
			d, err := library().NewDecoder(rate)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			out := make([]int16, 0, maxSamples)
			n := rand.IntN(len(packets))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(out, packets[n]); err != nil {
					b.Fatal(err)
				}
				n = (n + 1) % len(packets)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		l := NewLibrary(1)
		if err := l.Warm(); err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}
