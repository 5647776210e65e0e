// Package cpu is the backend of the host's own processor and memory. Its space
// is the one that graph inputs and outputs live in.
package cpu

import (
	"bufio"
	"context"
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/host"
	"mnnconv/schemas/op"
)

// Backend runs on Threads processors; fewer than one means all that the process
// may use.
type Backend struct {
	Table   op.Table
	Threads int
	Math    host.Math
	pool    host.Shared // by all that is open
}

// Name returns "cpu".
func (b *Backend) Name() string { return string(graph.Host) }

// Profile describes the processor. There is one cpu device.
func (b *Backend) Profile(ordinal int) (partition.Profile, error) {
	if ordinal != 0 {
		return partition.Profile{}, fmt.Errorf("%w: there is one cpu device, not cpu:%d", runtime.ErrUnavailable, ordinal)
	}
	return partition.Profile{Name: string(graph.Host), Vendor: field("/proc/cpuinfo", "model name"),
		Memory: memory("MemTotal"), Free: memory("MemAvailable"), Mapped: true, Align: 64}, nil
}

// Lower groups nodes into host kernels.
func (b *Backend) Lower(_ partition.Profile, g *graph.Graph) ([]partition.Kernel, error) {
	return kernels(host.Lower(g, b.Math)), nil
}

func kernels(groups []host.Group) []partition.Kernel {
	out := make([]partition.Kernel, len(groups))
	for i, g := range groups {
		out[i] = partition.Kernel{Name: g.Name, Nodes: g.Nodes, In: g.In, Out: g.Out, View: g.View}
		if g.InPlace {
			out[i].InPlace = 1
		}
	}
	return out
}

// Open starts the worker pool, or joins those who use it.
func (b *Backend) Open(partition.Profile) (runtime.Device, error) {
	if err := host.CheckVectors(); err != nil {
		return nil, fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	}
	return &device{table: b.Table, pool: b.pool.Open(b.Threads), backend: b}, nil
}

type device struct {
	table   op.Table
	pool    *host.Pool
	backend *Backend
	closed  bool
}

func (d *device) Close() error {
	if !d.closed {
		d.closed = true
		d.backend.pool.Close()
	}
	return nil
}

// Alloc returns host memory for both kinds.
func (d *device) Alloc(size int64, _ runtime.MemoryKind) (runtime.Buffer, error) {
	if size < 0 {
		return nil, fmt.Errorf("%w: allocation of %d bytes", runtime.ErrMemory, size)
	}
	return &buffer{bytes: make([]byte, size)}, nil
}

type buffer struct {
	bytes  []byte
	closed bool
}

func (b *buffer) Space() graph.Space { return graph.Host }
func (b *buffer) Size() int64        { return int64(len(b.bytes)) }

func (b *buffer) Close() error {
	if b.closed {
		return fmt.Errorf("%w: a buffer in %s is released twice", runtime.ErrAddress, graph.Host)
	}
	b.closed, b.bytes = true, nil
	return nil
}

func (b *buffer) Bytes() ([]byte, error) {
	if b.closed {
		return nil, fmt.Errorf("%w: a buffer in %s is used after its release", runtime.ErrAddress, graph.Host)
	}
	return b.bytes, nil
}

// Transfer copies within host memory.
func (d *device) Transfer(dst, src runtime.View, waits []runtime.Event) (runtime.Event, error) {
	for _, w := range waits {
		if err := w.Wait(context.Background()); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	to, err := hostBytes(dst)
	if err != nil {
		return nil, err
	}
	from, err := hostBytes(src)
	if err != nil {
		return nil, err
	}
	copy(to, from)
	return done{start, time.Now()}, nil
}

func hostBytes(v runtime.View) ([]byte, error) {
	if err := v.Check(graph.Host, "transfer"); err != nil {
		return nil, err
	}
	b, err := v.Buffer.(runtime.HostBuffer).Bytes()
	if err != nil {
		return nil, err
	}
	return b[v.Offset : v.Offset+v.Size], nil
}

// done is the event of work that ran inside Submit or Transfer.
type done struct{ start, end time.Time }

func (done) Wait(context.Context) error            { return nil }
func (d done) Times() (time.Time, time.Time, bool) { return d.start, d.end, true }

func (d *device) Compile(p *partition.Partition) (runtime.Program, error) {
	prog, err := host.Compile(d.table, host.Lower(p.Graph(), d.backend.Math), p.Inputs, p.Outputs, nil)
	if err != nil {
		return nil, err
	}
	return &program{d, prog, p}, nil
}

type program struct {
	d    *device
	prog *host.Program
	p    *partition.Partition
}

func (p *program) Close() error { return nil }

func (p *program) Record(b runtime.Bindings) (runtime.Launch, error) {
	in := make([]*graph.Tensor, len(b.Inputs))
	for i, x := range b.Inputs {
		if x.Held != nil {
			in[i] = x.Held
			continue
		}
		bytes, err := hostBytes(x.View)
		if err != nil {
			return nil, fmt.Errorf("value %q: %w", p.p.Inputs[i].Name, err)
		}
		in[i] = &graph.Tensor{DType: x.DType, Shape: x.Shape, Data: bytes}
	}
	var arena []byte
	if b.Arena != nil {
		var err error
		if arena, err = hostBytes(runtime.View{Buffer: b.Arena, Size: b.Arena.Size()}); err != nil {
			return nil, err
		}
	}
	f, err := p.prog.Frame(in, p.d.pool, func(v *graph.Value, size int64) ([]byte, error) { return b.Place(arena, v, size) })
	if err != nil {
		return nil, err
	}
	if b.TimeKernels {
		f.Time()
	}
	return &launch{p: p.p, f: f, b: b, outs: make([]runtime.Bound, len(p.p.Outputs))}, nil
}

type launch struct {
	p    *partition.Partition
	f    *host.Frame
	b    runtime.Bindings
	outs []runtime.Bound // kept from run to run, so that readers recorded against them stay valid
}

func (l *launch) Close() error { return nil }

func (l *launch) Submit(ctx context.Context, waits []runtime.Event) (runtime.Event, error) {
	for _, w := range waits {
		if err := w.Wait(ctx); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	if err := l.f.Run(ctx); err != nil {
		return nil, err
	}
	return done{start, time.Now()}, nil
}

// KernelTimes tells when the kernels of the last run ran.
func (l *launch) KernelTimes(f func(kernel int, start, end time.Time)) {
	l.f.Times(func(k int, at host.Span) { f(k, at.Start, at.End) })
}

func (l *launch) Outputs() ([]runtime.Bound, error) {
	for i, v := range l.p.Outputs {
		t := l.f.Out(i)
		if !t.Flat() {
			l.outs[i] = runtime.Bound{Held: t, DType: t.DType, Shape: t.Shape}
			continue
		}
		view, ok := l.b.InArena(v, int64(len(t.Data)))
		if ok {
			mem, err := hostBytes(view)
			if err != nil {
				return nil, err
			}
			if len(mem) > 0 && &mem[0] != &t.Data[0] { // made by a kernel whose inputs only running shaped
				copy(mem, t.Data)
			}
		} else {
			view = l.outs[i].View
			if b, mine := view.Buffer.(*buffer); !mine || len(b.bytes) != len(t.Data) || len(t.Data) > 0 && &b.bytes[0] != &t.Data[0] {
				view = runtime.View{Buffer: &buffer{bytes: t.Data}, Size: int64(len(t.Data))}
			}
		}
		l.outs[i] = runtime.Bound{View: view, DType: t.DType, Shape: t.Shape}
	}
	return l.outs, nil
}

// field returns the value of the first line "name : value" of a file.
func field(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return goruntime.GOARCH
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return goruntime.GOARCH
}

// memory returns a figure of the machine's memory in bytes, 0 where it cannot be
// told.
func memory(name string) int64 {
	kb, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", name), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}
