// Package sim is a discrete device made of host memory. Its address space is its
// own: a buffer is a handle, and nothing outside this package can reach the bytes
// behind it but by Transfer. Fresh memory and released memory are poisoned,
// allocations stand between guard zones, and weights are uploaded, so that what
// would crash on a real device fails here with a name.
package sim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/host"
	"mnnconv/schemas/op"
)

// Devices is how many simulated devices there are.
const Devices = 4

// memory is the size a simulated device claims: 8 GiB.
const memory = 8 << 30

// Backend makes simulated devices that compute with the host's kernels.
type Backend struct {
	Table   op.Table
	Threads int
}

// Name returns "sim".
func (b *Backend) Name() string { return "sim" }

// Profile describes device sim:ordinal.
func (b *Backend) Profile(ordinal int) (partition.Profile, error) {
	if ordinal < 0 || ordinal >= Devices {
		return partition.Profile{}, fmt.Errorf("%w: there are sim:0 to sim:%d, not sim:%d", runtime.ErrUnavailable, Devices-1, ordinal)
	}
	return partition.Profile{Name: fmt.Sprintf("sim:%d", ordinal), Vendor: "simulated device in host memory", Memory: memory, Align: 256}, nil
}

// Lower groups nodes into host kernels.
func (b *Backend) Lower(_ partition.Profile, g *graph.Graph) ([]partition.Kernel, error) {
	groups := host.Lower(g)
	out := make([]partition.Kernel, len(groups))
	for i, g := range groups {
		out[i] = partition.Kernel{Name: g.Name, Nodes: g.Nodes, In: g.In, Out: g.Out, View: g.View, InPlace: g.InPlace}
	}
	return out, nil
}

// Open makes the device.
func (b *Backend) Open(p partition.Profile) (runtime.Device, error) {
	return &device{table: b.Table, pool: host.NewPool(b.Threads), space: p.Space(), heap: newHeap(p.Space(), p.Memory)}, nil
}

type device struct {
	table op.Table
	pool  *host.Pool
	space graph.Space
	heap  *heap
	queue sync.Mutex // one in-order queue
}

func (d *device) Close() error {
	d.pool.Close()
	return d.heap.close()
}

// Alloc returns a handle for device memory; pinned memory is the host's.
func (d *device) Alloc(size int64, kind runtime.MemoryKind) (runtime.Buffer, error) {
	if kind == runtime.PinnedHost {
		return &pinned{bytes: make([]byte, size)}, nil
	}
	id, err := d.heap.alloc(size)
	if err != nil {
		return nil, err
	}
	return &buffer{d.heap, id, size}, nil
}

// buffer is a handle: where the bytes are, only the heap knows.
type buffer struct {
	heap *heap
	id   uint64
	size int64
}

func (b *buffer) Space() graph.Space { return b.heap.space }
func (b *buffer) Size() int64        { return b.size }
func (b *buffer) Close() error       { return b.heap.release(b.id) }

// pinned is host memory that the device transfers to and from.
type pinned struct{ bytes []byte }

func (p *pinned) Space() graph.Space     { return graph.Host }
func (p *pinned) Size() int64            { return int64(len(p.bytes)) }
func (p *pinned) Close() error           { return nil }
func (p *pinned) Bytes() ([]byte, error) { return p.bytes, nil }

// Transfer moves bytes between this device and host memory.
func (d *device) Transfer(dst, src runtime.View, waits []runtime.Event) (runtime.Event, error) {
	for _, w := range waits {
		if err := w.Wait(context.Background()); err != nil {
			return nil, err
		}
	}
	d.queue.Lock()
	defer d.queue.Unlock()
	start := time.Now()
	to, err := d.bytes(dst)
	if err != nil {
		return nil, err
	}
	from, err := d.bytes(src)
	if err != nil {
		return nil, err
	}
	copy(to, from)
	return done{start, time.Now()}, nil
}

// bytes resolves a view of this device's memory or of host memory.
func (d *device) bytes(v runtime.View) ([]byte, error) {
	if h, ok := v.Buffer.(runtime.HostBuffer); ok {
		if err := v.Check(graph.Host, "transfer"); err != nil {
			return nil, err
		}
		b, err := h.Bytes()
		if err != nil {
			return nil, err
		}
		return b[v.Offset : v.Offset+v.Size], nil
	}
	if err := v.Check(d.space, "transfer"); err != nil {
		return nil, err
	}
	b, ok := v.Buffer.(*buffer)
	if !ok {
		return nil, fmt.Errorf("%w: a buffer of another backend is used in %s", runtime.ErrAddress, d.space)
	}
	mem, err := d.heap.bytes(b.id)
	if err != nil {
		return nil, err
	}
	return mem[v.Offset : v.Offset+v.Size], nil
}

type done struct{ start, end time.Time }

func (done) Wait(context.Context) error            { return nil }
func (d done) Times() (time.Time, time.Time, bool) { return d.start, d.end, true }

// Compile uploads the partition's weights.
func (d *device) Compile(p *partition.Partition) (runtime.Program, error) {
	prog := &program{d: d, p: p}
	upload := func(v *graph.Value) (*graph.Tensor, error) {
		if v.Const.DType == graph.String {
			return v.Const, nil
		}
		id, err := d.heap.alloc(int64(len(v.Const.Data)))
		if err != nil {
			return nil, err
		}
		prog.weights = append(prog.weights, id)
		mem, err := d.heap.bytes(id)
		if err != nil {
			return nil, err
		}
		copy(mem, v.Const.Data)
		t := *v.Const
		t.Data = mem
		return &t, nil
	}
	var err error
	if prog.host, err = host.Compile(d.table, host.Lower(p.Graph()), p.Inputs, p.Outputs, upload); err != nil {
		prog.Close()
		return nil, err
	}
	return prog, nil
}

type program struct {
	d       *device
	p       *partition.Partition
	host    *host.Program
	weights []uint64
}

func (p *program) Close() error {
	var first error
	for _, id := range p.weights {
		if err := p.d.heap.release(id); err != nil && first == nil {
			first = err
		}
	}
	p.weights = nil
	return first
}

func (p *program) Record(b runtime.Bindings) (runtime.Launch, error) {
	in := make([]*graph.Tensor, len(b.Inputs))
	for i, x := range b.Inputs {
		name := p.p.Inputs[i].Name
		if err := x.View.Check(p.d.space, name); err != nil {
			return nil, err
		}
		mem, err := p.d.bytes(x.View)
		if err != nil {
			return nil, fmt.Errorf("value %q: %w", name, err)
		}
		in[i] = &graph.Tensor{DType: x.DType, Shape: x.Shape, Data: mem}
	}
	l := &launch{p: p, b: b, outs: make([]runtime.Bound, len(p.p.Outputs)), states: map[int]runtime.Bound{}}
	for _, s := range p.p.States {
		if k := slices.Index(p.p.Inputs, s.In); k >= 0 {
			l.states[slices.Index(p.p.Outputs, s.Out)] = b.Inputs[k]
		}
	}
	var arena []byte
	if b.Arena != nil {
		var err error
		if arena, err = p.d.bytes(runtime.View{Buffer: b.Arena, Size: b.Arena.Size()}); err != nil {
			return nil, err
		}
	}
	var err error
	l.frame, err = p.host.Frame(in, p.d.pool, func(v *graph.Value, size int64) ([]byte, error) { return b.Place(arena, v, size) })
	if err != nil {
		return nil, err
	}
	return l, nil
}

type launch struct {
	p      *program
	frame  *host.Frame
	b      runtime.Bindings
	outs   []runtime.Bound
	states map[int]runtime.Bound // outputs that are states: written where they lie
}

func (l *launch) Close() error {
	var first error
	for i := range l.outs {
		if err := l.release(i); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// release gives back output i's memory if it is its own.
func (l *launch) release(i int) error {
	b, ok := l.outs[i].View.Buffer.(*buffer)
	l.outs[i] = runtime.Bound{}
	if _, state := l.states[i]; !ok || state || runtime.Buffer(b) == l.b.Arena {
		return nil
	}
	return b.Close()
}

func (l *launch) Submit(ctx context.Context, waits []runtime.Event) (runtime.Event, error) {
	for _, w := range waits {
		if err := w.Wait(ctx); err != nil {
			return nil, err
		}
	}
	l.p.d.queue.Lock()
	defer l.p.d.queue.Unlock()
	start := time.Now()
	if err := l.frame.Run(ctx); err != nil {
		return nil, err
	}
	if err := l.p.d.heap.checkGuards(); err != nil {
		return nil, err
	}
	return done{start, time.Now()}, nil
}

// Outputs says where results lie: in the arena, in their state, or, where only
// running told their size, in device memory of their own.
func (l *launch) Outputs() ([]runtime.Bound, error) {
	for i, v := range l.p.p.Outputs {
		if b, ok := l.states[i]; ok {
			l.outs[i] = b
			continue
		}
		t := l.frame.Out(i)
		if t.Kind != graph.TensorKind {
			return nil, fmt.Errorf("%w: output %q is no tensor and cannot leave its partition", op.ErrUnsupported, v.Name)
		}
		size := int64(len(t.Data))
		if view, ok := l.b.InArena(v, size); ok {
			l.outs[i] = runtime.Bound{View: view, DType: t.DType, Shape: t.Shape}
			continue
		}
		if l.outs[i].View.Buffer == nil || l.outs[i].View.Size != size {
			if err := l.release(i); err != nil {
				return nil, err
			}
			b, err := l.p.d.Alloc(size, runtime.DeviceMemory)
			if err != nil {
				return nil, fmt.Errorf("output %q: %w", v.Name, err)
			}
			l.outs[i].View = runtime.View{Buffer: b, Size: size}
		}
		l.outs[i].DType, l.outs[i].Shape = t.DType, t.Shape
		mem, err := l.p.d.bytes(l.outs[i].View)
		if err != nil {
			return nil, err
		}
		copy(mem, t.Data)
	}
	return l.outs, nil
}
