package media

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/health"
	"dialtone/internal/voice/media/opus"
)

// CodecsOptions is what Codecs need; every field may be left out.
type CodecsOptions struct {
	Instances int // of libopus, for 64 streams each; 0: two for each core
	Metrics   prometheus.Registerer
	Health    *health.Board // is told while Opus streams are refused
	Log       *slog.Logger
}

// Codecs is what a node's legs are translated with to and from Opus: libopus, which
// costs nothing before it is needed, and the count of who needs it. Endpoints share
// one. A nil *Codecs refuses every stream.
type Codecs struct {
	opus    *opus.Library
	log     *slog.Logger
	health  *health.Board
	bridges atomic.Int64 // that translate, now
	refused prometheus.Counter

	mu   sync.Mutex
	full bool // a stream was refused, and there are hardly fewer since
}

// codeFull is the health warning's.
const codeFull = "opus_full"

// NewCodecs returns codecs that are in no use. They are to be closed when no
// endpoint is left that has them.
func NewCodecs(o CodecsOptions) *Codecs {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Codecs{
		opus: opus.NewLibrary(o.Instances), log: o.Log, health: o.Health,
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dialtone_media_opus_refused_total",
			Help: "Legs, clips and recordings whose audio could not be translated to or from Opus, because too much was already.",
		}),
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	if o.Metrics != nil {
		o.Metrics.MustRegister(
			c.refused,
			gauge("dialtone_media_translating_bridges", "Bridges right now whose legs' audio is decoded and encoded anew.",
				func() int { return int(c.bridges.Load()) }),
			gauge("dialtone_media_opus_streams", "Opus encoders and decoders in use.", c.streams),
			gauge("dialtone_media_opus_streams_limit", "Opus encoders and decoders that can be in use.", func() int { return c.opus.Streams() }),
		)
	}
	return c
}

// Close gives libopus back. What still needs it hears and says nothing.
func (c *Codecs) Close() error {
	c.opus.Close()
	return nil
}

func (c *Codecs) streams() int {
	_, streams := c.opus.Usage()
	return streams
}

// warm compiles libopus, where nobody waits for it.
func (c *Codecs) warm() {
	if c != nil {
		if err := c.opus.Warm(); err != nil {
			c.log.Error("libopus cannot be used", "error", err)
		}
	}
}

func (c *Codecs) encoder() (*opus.Encoder, error) {
	if c == nil {
		return nil, opus.ErrFull
	}
	return c.opus.NewEncoder(opusVoice)
}

func (c *Codecs) decoder() (*opus.Decoder, error) {
	if c == nil {
		return nil, opus.ErrFull
	}
	return c.opus.NewDecoder(sampleRate)
}

// refuse notes that somebody waited in vain for a stream.
func (c *Codecs) refuse() {
	if c == nil {
		return
	}
	c.refused.Inc()
	c.log.Warn("no Opus stream could be had", "limit", c.opus.Streams())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = true
	if c.health != nil {
		c.health.Raise(health.Warning{
			Code: codeFull, Severity: health.Degraded,
			Text: "Calls are ended because their audio cannot be translated: as many Opus streams as this machine may have are in use. " +
				"Use PCMU between apps and carriers where the network allows it, or more nodes or cores.",
		})
	}
}

// released is called when a stream was given back.
func (c *Codecs) released() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full && c.streams() <= c.opus.Streams()*7/8 {
		c.full = false
		if c.health != nil {
			c.health.Clear(codeFull, "")
		}
	}
}

// untranslatedAfter is how long audio may go untranslated before the leg's owner is
// told: streams of a call that is being transferred are given back a moment later.
const untranslatedAfter = 2 * time.Second

// patience is how long something went without a stream.
type patience struct {
	since time.Time // zero: it has one
	over  bool
}

// lost takes note whether it lacks one now, and reports once that it did for too long.
func (p *patience) lost(lacks bool, now time.Time) bool {
	switch {
	case !lacks:
		p.since = time.Time{}
	case p.since.IsZero():
		p.since = now
	case !p.over && now.Sub(p.since) >= untranslatedAfter:
		p.over = true
		return true
	}
	return false
}

// untranslated tells the owner, once, that what the far end says or is to hear is lost.
func (e *Endpoint) untranslated() {
	if e.refused.Swap(true) {
		return
	}
	e.codecs.refuse()
	if e.hooks.Untranslated != nil && !e.closed.Load() {
		e.hooks.Untranslated()
	}
}

// translating counts a bridge that begins (1) or ceases (-1) to translate.
func (c *Codecs) translating(n int64) {
	if c != nil {
		c.bridges.Add(n)
	}
}
