package main

import (
	"context"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/carrier/g711"
	"dialtone/internal/voice/media"
)

// wire is a far end without a network.
type wire struct {
	format media.Format
	hear   func(*rtp.Header, []byte)
}

func (w *wire) Format() (media.Format, bool)          { return w.format, true }
func (w *wire) WriteRTP(*rtp.Header, []byte) error    { return nil }
func (w *wire) OnRTP(f func(h *rtp.Header, p []byte)) { w.hear = f }
func speaks(c call.Codec, pt uint8) *wire {
	return &wire{format: media.Format{Codec: c, PayloadType: pt, ClockRate: 8000}}
}

func (r *report) nanoseconds(name, about string, f func(b *testing.B)) {
	var samples []float64
	for range 5 {
		res := testing.Benchmark(f)
		samples = append(samples, float64(res.T.Nanoseconds())/float64(res.N))
	}
	r.add(name, about, "ns", 0, samples...)
}

// measureCodecs times the parts of a packet's way that need no network.
func measureCodecs(_ context.Context, _ settings, r *report) error {
	for _, to := range []struct {
		name, about string
		codec       call.Codec
		pt          uint8
	}{
		{"bridge_pcmu_pcmu_ns", "bridge, PCMU to PCMU (untouched)", call.PCMU, 0},
		{"bridge_pcmu_pcma_ns", "bridge, PCMU to PCMA (transcoded)", call.PCMA, 8},
	} {
		r.nanoseconds(to.name, to.about, func(b *testing.B) {
			from, far := speaks(call.PCMU, 0), speaks(to.codec, to.pt)
			one, two := media.NewEndpoint(from, nil, media.Hooks{}), media.NewEndpoint(far, nil, media.Hooks{})
			defer one.Close()
			defer two.Close()
			media.Bridge(one, two)
			h, payload := rtp.Header{Version: 2, SSRC: 1}, make([]byte, 160)
			for i := range payload {
				payload[i] = byte(i)
			}
			b.ResetTimer()
			for range b.N {
				h.SequenceNumber++
				h.Timestamp += 160
				from.hear(&h, payload)
			}
		})
	}
	r.nanoseconds("g711_encode_ns", "G.711 µ-law, encode 20 ms (of the simulated carrier, computed)", func(b *testing.B) {
		var out [160]byte
		for range b.N {
			for i := range out {
				out[i] = g711.EncodeMu(int16(i * 200))
			}
		}
	})
	for _, p := range []struct {
		name, about string
		profile     srtp.ProtectionProfile
	}{
		{"srtp_gcm_ns", "SRTP AEAD_AES_128_GCM", srtp.ProtectionProfileAeadAes128Gcm},
		{"srtp_cm_ns", "SRTP AES_CM_128_HMAC_SHA1_80", srtp.ProtectionProfileAes128CmHmacSha1_80},
	} {
		if err := r.srtp(p.name, p.about, p.profile); err != nil {
			return err
		}
	}
	return nil
}

// srtp times one packet's encryption and decryption together.
func (r *report) srtp(name, about string, profile srtp.ProtectionProfile) error {
	key, err := profile.KeyLen()
	if err != nil {
		return err
	}
	salt, err := profile.SaltLen()
	if err != nil {
		return err
	}
	out, err := srtp.CreateContext(make([]byte, key), make([]byte, salt), profile)
	if err != nil {
		return err
	}
	in, err := srtp.CreateContext(make([]byte, key), make([]byte, salt), profile, srtp.SRTPReplayProtection(128))
	if err != nil {
		return err
	}
	var failed error
	seq := uint16(0)
	r.nanoseconds(name, about+", encrypt and decrypt 160 bytes", func(b *testing.B) {
		var plain, secret, back [2048]byte
		h := rtp.Header{Version: 2, SSRC: 1}
		for range b.N {
			seq++
			h.SequenceNumber = seq
			n, err := h.MarshalTo(plain[:])
			if err != nil {
				failed = err
				return
			}
			e, err := out.EncryptRTP(secret[:0], plain[:n+160], &h)
			if err != nil {
				failed = err
				return
			}
			if _, err := in.DecryptRTP(back[:0], e, &h); err != nil {
				failed = err
				return
			}
		}
	})
	return failed
}
