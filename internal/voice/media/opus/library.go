// Package opus encodes and decodes Opus (RFC 6716) with libopus, compiled to
// WebAssembly and run by wazero, so that the binary needs no C library.
//
// A Library is one compiled copy of it; its methods are for concurrent use. It is
// compiled when the first Encoder or Decoder is made (or by Warm), not before: a
// node that never transcodes pays nothing. Streams share a bounded number of
// instances; an Encoder or Decoder is one stream's state and not for concurrent
// use. No packet makes it panic: an instance that traps is thrown away, and its
// streams begin anew on another.
package opus

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"dialtone/internal/fault"
)

//go:embed libopus/simd.wasm
var program []byte

// perInstance is how many streams share an instance, whose calls run one at a time.
const (
	perInstance = 64
	spread      = 4 // streams of an instance before another is opened
	memoryPages = 512
)

// ErrFull says that no more streams can be had.
var ErrFull = fault.New(fault.TooMany, "There are too many calls whose audio must be translated to or from Opus.")

var errClosed = errors.New("opus: closed")

// Library is libopus, ready to run.
type Library struct {
	max int // instances

	warm sync.Once
	cold error // why it could not be compiled

	mu        sync.Mutex
	runtime   wazero.Runtime
	compiled  wazero.CompiledModule
	instances []*instance
	closed    bool
}

// NewLibrary returns a library that runs in at most so many instances at a time
// (about 64 streams each); 0 takes two for each core.
func NewLibrary(instances int) *Library {
	if instances <= 0 {
		instances = 2 * runtime.GOMAXPROCS(0)
	}
	return &Library{max: instances}
}

// Warm compiles the library if it is not yet, which takes a second or so of a core.
func (l *Library) Warm() error {
	l.warm.Do(func() { l.cold = l.compile() })
	return l.cold
}

func (l *Library) compile() error {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithMemoryLimitPages(memoryPages).WithDebugInfoEnabled(false))
	fail := func(err error) error {
		_ = r.Close(ctx)
		return fmt.Errorf("opus: compile: %w", err)
	}
	// libopus does no input or output; what it was linked with could, to report an
	// assertion. All of it is refused (WASI errno 8, badf).
	const badf = 8
	refused := func(args ...api.ValueType) func(wazero.HostModuleBuilder, string) wazero.HostModuleBuilder {
		return func(b wazero.HostModuleBuilder, name string) wazero.HostModuleBuilder {
			f := api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = badf })
			return b.NewFunctionBuilder().WithGoFunction(f, args, []api.ValueType{api.ValueTypeI32}).Export(name)
		}
	}
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	wasi := r.NewHostModuleBuilder("wasi_snapshot_preview1")
	wasi = refused(i32)(wasi, "fd_close")
	wasi = refused(i32, i32, i32, i32)(wasi, "fd_write")
	wasi = refused(i32, i64, i32, i32)(wasi, "fd_seek")
	wasi = wasi.NewFunctionBuilder().WithFunc(func(code uint32) { panic(fmt.Errorf("libopus gave up: %d", code)) }).Export("proc_exit")
	if _, err := wasi.Instantiate(ctx); err != nil {
		return fail(err)
	}
	if _, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithFunc(func(uint32) {}).Export("emscripten_notify_memory_growth").Instantiate(ctx); err != nil {
		return fail(err)
	}
	m, err := r.CompileModule(ctx, program)
	if err != nil {
		return fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fail(errClosed)
	}
	l.runtime, l.compiled = r, m
	return nil
}

// Close ends every instance. Streams that are left return errors from then on.
func (l *Library) Close() {
	l.mu.Lock()
	was := l.instances
	l.instances, l.closed = nil, true
	r := l.runtime
	l.mu.Unlock()
	for _, i := range was {
		i.end()
	}
	if r != nil {
		_ = r.Close(context.Background())
	}
}

// Streams returns how many there can be.
func (l *Library) Streams() int { return l.max * perInstance }

// Usage returns how many instances are open and how many streams they have, for
// metrics and tests.
func (l *Library) Usage() (instances, streams int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range l.instances {
		streams += i.streams
	}
	return len(l.instances), streams
}

// enter finds an instance with room for a stream.
func (l *Library) enter() (*instance, error) {
	if err := l.Warm(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	var best *instance
	for _, i := range l.instances {
		if best == nil || i.streams < best.streams {
			best = i
		}
	}
	if best == nil || best.streams >= spread && len(l.instances) < l.max {
		i, err := l.open()
		if err != nil {
			return nil, err
		}
		l.instances = append(l.instances, i)
		best = i
	}
	if best.streams >= perInstance {
		return nil, ErrFull
	}
	best.streams++
	return best, nil
}

// leave takes a stream off; an instance without any is closed, but for one.
func (l *Library) leave(i *instance) {
	l.mu.Lock()
	i.streams--
	at := slices.Index(l.instances, i)
	last := i.streams == 0 && (at < 0 || len(l.instances) > 1)
	if last && at >= 0 {
		l.instances = slices.Delete(l.instances, at, at+1)
	}
	l.mu.Unlock()
	if last {
		i.end()
	}
}

// discard keeps new streams away from an instance that trapped.
func (l *Library) discard(i *instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := slices.Index(l.instances, i); at >= 0 {
		l.instances = slices.Delete(l.instances, at, at+1)
	}
}
