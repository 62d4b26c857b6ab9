package conceal

import (
	"math"
	"testing"
)

// voice is a vowel of 125 Hz with some overtones.
func voice(n int) []int16 {
	s := make([]int16, n)
	for i := range s {
		x := 2 * math.Pi * 125 * float64(i) / 8000
		s[i] = int16(5000*math.Sin(x) + 3000*math.Sin(2*x+1) + 1500*math.Sin(5*x+2))
	}
	return s
}

func steepest(s []int16) (most int) {
	for i := 1; i < len(s); i++ {
		d := int(s[i]) - int(s[i-1])
		most = max(most, d, -d)
	}
	return most
}

func difference(a, b []int16) float64 {
	var d, p float64
	for i := range a {
		x := float64(a[i]) - float64(b[i])
		d, p = d+x*x, p+float64(a[i])*float64(a[i])
	}
	return 10 * math.Log10(d/p)
}

func TestALostFrameOfAVowel(t *testing.T) {
	want := voice(8000)
	got := append([]int16(nil), want...)
	var c Concealer
	for at := 0; at < len(got); at += 160 {
		if at/160%10 == 5 {
			c.Lost(got[at : at+160])
		} else {
			c.Good(got[at : at+160])
		}
	}
	// The second half of each lost frame fades by up to 20 %.
	if db := difference(want, got); db > -25 {
		t.Errorf("what was made up differs by %.1f dB", db)
	}
	if a, b := steepest(want), steepest(got); b > a*11/10 {
		t.Errorf("a click: a step of %d where the voice has %d", b, a)
	}
}

func TestALongLossFadesOut(t *testing.T) {
	var c Concealer
	c.Good(voice(800))
	gap := make([]int16, 2000)
	c.Lost(gap)
	for i, v := range gap[480:] {
		if v != 0 {
			t.Fatalf("%d after %d samples", v, 480+i)
		}
	}
	again := voice(160)
	first := again[0]
	c.Good(again)
	if again[0] != 0 && math.Abs(float64(again[0])) > math.Abs(float64(first)) || steepest(append([]int16{0}, again...)) > 4000 {
		t.Errorf("the voice is back with a click: %v", again[:8])
	}
	// Nothing is made of nothing.
	var fresh Concealer
	fresh.Lost(gap)
	fresh.Good(gap[:7])
	fresh.Lost(gap)
	for _, v := range gap {
		if v != 0 {
			t.Fatal("a sound from nowhere")
		}
	}
}

func TestShorten(t *testing.T) {
	s := voice(400)
	got := Shorten(append([]int16(nil), s...), 100)
	if taken := 400 - len(got); taken != 64 { // one period
		t.Errorf("%d samples were taken out", taken)
	}
	if steepest(got) > steepest(s)*11/10 {
		t.Errorf("a click of %d", steepest(got))
	}
	if got := Shorten(make([]int16, 400), 100); len(got) != 300 {
		t.Errorf("%d samples of silence are left", len(got))
	}
	for _, most := range []int{-5, 0, 19, 1 << 20} {
		if got := Shorten(append([]int16(nil), s...), most); len(got) > 400 || len(got) < 280 {
			t.Errorf("%d samples are left of 400 less at most %d", len(got), most)
		}
	}
	if got := Shorten(nil, 100); len(got) != 0 {
		t.Error("something of nothing")
	}
}

func FuzzConcealer(f *testing.F) {
	f.Add([]byte{160, 1, 160, 1, 160, 0, 160, 1})
	f.Add([]byte{255, 1, 255, 1, 255, 0, 1, 1, 3, 0, 200, 3})
	f.Fuzz(func(t *testing.T, in []byte) {
		var c Concealer
		x := uint32(1)
		for ; len(in) >= 2; in = in[2:] {
			frame := make([]int16, in[0])
			if in[1]&1 == 0 {
				c.Lost(frame)
				continue
			}
			for i := range frame {
				x = x*1664525 + 1013904223
				frame[i] = int16(x>>16) >> (in[1] >> 5)
			}
			c.Good(frame)
			Shorten(frame, int(in[1]))
		}
	})
}

func BenchmarkLostFrame(b *testing.B) {
	var c Concealer
	c.Good(voice(800))
	frame := make([]int16, 160)
	for b.Loop() {
		c.Lost(frame)
		c.lost = 0
	}
}

func BenchmarkGoodFrame(b *testing.B) {
	var c Concealer
	frame := voice(160)
	for b.Loop() {
		c.Good(frame)
	}
}
