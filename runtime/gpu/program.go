package gpu

import (
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// program is a partition with its weights on the device.
type program struct {
	d      *Device
	p      *partition.Partition
	groups []Group
	consts map[constKey]*Tensor
	held   []weightKey
}

// constKey is a constant as one group reads it.
type constKey struct {
	v      *graph.Value
	layout Layout
}

// Compile groups the partition's nodes into kernels and uploads what they read.
func (d *Device) Compile(p *partition.Partition) (runtime.Program, error) {
	groups, err := Groups(p.Graph())
	if err != nil {
		return nil, err
	}
	prog := &program{d: d, p: p, groups: groups, consts: map[constKey]*Tensor{}}
	err = d.do(func() error {
		for i := range groups {
			if err := prog.hold(&groups[i]); err != nil {
				return err
			}
		}
		return d.drain()
	})
	if err != nil {
		return nil, errors.Join(err, prog.Close())
	}
	return prog, nil
}

// hold uploads the constants of a group.
func (p *program) hold(g *Group) error {
	for i, v := range g.In {
		if v == nil || v.Const == nil || slices.Contains(g.Host, i) {
			continue
		}
		k := constKey{v, g.Layout[i]}
		if p.consts[k] != nil {
			continue
		}
		if v.Const.Kind != graph.TensorKind || v.Const.DType.Bits() == 0 {
			return fmt.Errorf("%w: %s reads constant %q, %s", partition.ErrPlacement, g.Nodes[0].ID(), v.Name, v.Type)
		}
		m, key, err := p.d.hold(v.Const, k.layout)
		if err != nil {
			return fmt.Errorf("weight %q on %s: %w", v.Name, p.d.space, err)
		}
		p.held = append(p.held, key)
		t := &Tensor{DType: v.Const.DType, Shape: v.Const.Shape, memory: m, size: int64(len(v.Const.Data))}
		if k.layout == Transposed {
			n := len(t.Shape)
			t.Shape = slices.Clone(t.Shape)
			t.Shape[n-1], t.Shape[n-2] = t.Shape[n-2], t.Shape[n-1]
		}
		p.consts[k] = t
	}
	return nil
}

// Close releases the weights that no other program reads.
func (p *program) Close() error {
	held := p.held
	p.held, p.consts = nil, nil
	return p.d.release(func() error {
		var errs []error
		for _, k := range held {
			errs = append(errs, p.d.drop(k))
		}
		return errors.Join(errs...)
	})
}

// Record resolves all shapes and binds all arguments.
func (p *program) Record(b runtime.Bindings) (runtime.Launch, error) {
	l := &launch{d: p.d, b: b, outs: make([]runtime.Bound, len(p.p.Outputs))}
	r := &frame{program: p, launch: l, tensors: map[*graph.Value]*Tensor{}, env: graph.Env{}}
	err := r.record()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// frame is a program being laid out for the shapes of its inputs.
type frame struct {
	*program
	launch   *launch
	tensors  map[*graph.Value]*Tensor
	env      graph.Env
	commands []Command
	scratch  []scratched
	needs    int64 // bytes of scratch
	counts   int64 // and of counts behind them
}

func (f *frame) record() error {
	if err := f.bind(); err != nil {
		return err
	}
	for i := range f.groups {
		g := &f.groups[i]
		if err := f.group(g); err != nil {
			return fmt.Errorf("%s on %s: %w", g.Nodes[len(g.Nodes)-1].ID(), f.d.space, err)
		}
	}
	for i, v := range f.p.Outputs {
		t := f.tensors[v]
		if t == nil {
			return fmt.Errorf("%w: output %q of partition %d is made by no kernel", graph.ErrInvalid, v.Name, f.p.Index)
		}
		if t.of == nil && t.size > 0 { // a view of a constant
			return fmt.Errorf("%w: output %q of partition %d is a constant", graph.ErrInvalid, v.Name, f.p.Index)
		}
		view := runtime.View{Offset: t.offset, Size: t.size}
		if view.Buffer = t.of; t.of == nil {
			if err := f.apart(t); err != nil {
				return err
			}
			view = runtime.View{Buffer: t.of}
		}
		f.launch.outs[i] = runtime.Bound{View: view, DType: t.DType, Shape: t.Shape}
	}
	return f.d.do(f.finish)
}

// finish gives the launches their scratch memory and hands them to the driver.
func (f *frame) finish() (err error) {
	behind := (f.needs + f.d.align - 1) / f.d.align * f.d.align
	if size := behind + f.counts; size > 0 {
		if f.launch.scratch, err = f.d.driver.Alloc(size); err != nil {
			return fmt.Errorf("scratch of partition %d on %s, %d bytes: %w", f.p.Index, f.d.space, size, err)
		}
	}
	if f.counts > 0 {
		if err := f.d.driver.Zero(f.launch.scratch, behind, f.counts); err != nil {
			return err
		}
	}
	for _, s := range f.scratch {
		a := &f.commands[s.command].Args[s.arg]
		if a.Memory = f.launch.scratch; s.counts {
			a.Offset += behind
		}
	}
	f.launch.counts = map[string]int{}
	for _, c := range f.commands {
		if c.Product != nil {
			f.launch.counts["library."+c.Kernel]++
			continue
		}
		f.launch.counts[c.Module+"."+c.Kernel]++
		if err := f.d.load(c.Module); err != nil {
			return err
		}
	}
	if len(f.commands) > 0 {
		f.launch.sequence, err = f.d.driver.Record(f.commands)
	}
	return err
}

// bind takes the inputs' shapes and places.
func (f *frame) bind() error {
	for i, v := range f.p.Inputs {
		x := f.launch.b.Inputs[i]
		if err := x.View.Check(f.d.space, v.Name); err != nil {
			return err
		}
		b, ok := x.View.Buffer.(*buffer)
		if !ok {
			return fmt.Errorf("%w: value %q: a buffer of another backend is used on %s", runtime.ErrAddress, v.Name, f.d.space)
		}
		if err := b.open(f.d); err != nil {
			return fmt.Errorf("value %q: %w", v.Name, err)
		}
		if x.View.Offset%f.d.align != 0 {
			return fmt.Errorf("%w: value %q lies at byte %d of its buffer, %s wants multiples of %d", runtime.ErrAddress, v.Name, x.View.Offset, f.d.space, f.d.align)
		}
		f.launch.use(b)
		if err := f.env.Bind(v, &graph.Tensor{DType: x.DType, Shape: x.Shape}); err != nil {
			return err
		}
		f.tensors[v] = &Tensor{DType: x.DType, Shape: x.Shape, memory: b.memory, offset: x.View.Offset, size: x.View.Size, of: b}
	}
	if a, ok := f.launch.b.Arena.(*buffer); ok {
		if err := a.open(f.d); err != nil {
			return err
		}
		f.launch.use(a)
	}
	return nil
}

// group lays out one group and adds its launches.
func (f *frame) group(g *Group) error {
	r := &Recorder{In: make([]*Tensor, len(g.In)), Out: make([]*Tensor, len(g.Out)), Node: g.Nodes[len(g.Nodes)-1].ID(), d: f.d, limits: f.d.limits,
		host: make([]*graph.Tensor, len(g.In))}
	for i, v := range g.In {
		if v == nil {
			continue
		}
		r.host[i] = v.Const
		if slices.Contains(g.Host, i) {
			continue
		}
		if r.In[i] = f.tensors[v]; v.Const != nil {
			r.In[i] = f.consts[constKey{v, g.Layout[i]}]
		}
		if r.In[i] == nil {
			return fmt.Errorf("%w: value %q has not been made", graph.ErrInvalid, v.Name)
		}
	}
	for i, v := range g.Out {
		if v == nil {
			continue
		}
		t, err := f.shaped(v)
		if err != nil {
			return err
		}
		if i == 0 && g.View || i < g.InPlace {
			x := r.In[i]
			if x.size != t.size {
				return fmt.Errorf("%w: value %q of shape %v and %q of shape %v are one memory", graph.ErrInvalid, v.Name, t.Shape, g.In[i].Name, x.Shape)
			}
			t.memory, t.offset, t.of = x.memory, x.offset, x.of
		} else if err := f.place(v, t); err != nil {
			return err
		}
		f.tensors[v], r.Out[i] = t, t
	}
	r.Work = make([]*Tensor, len(g.Work))
	for i, v := range g.Work {
		t, err := f.shaped(v)
		if err == nil {
			err = f.place(v, t)
		}
		if err != nil {
			return err
		}
		r.Work[i] = t
	}
	if g.Record == nil {
		return nil
	}
	if err := g.Record(r); err != nil {
		return err
	}
	for _, s := range r.scratch {
		s.command += len(f.commands)
		f.scratch = append(f.scratch, s)
	}
	f.commands = append(f.commands, r.commands...)
	f.needs, f.counts = max(f.needs, r.needs), max(f.counts, r.counts)
	return nil
}

// shaped returns a value's tensor without a place.
func (f *frame) shaped(v *graph.Value) (*Tensor, error) {
	if v.Type.Kind != graph.TensorKind || !v.Type.Shape.Ranked() {
		return nil, fmt.Errorf("%w: value %q is %s: its shape must be known on %s; place its node on cpu", partition.ErrPlacement, v.Name, v.Type, f.d.space)
	}
	shape, err := v.Type.Shape.Eval(f.env)
	if err != nil {
		return nil, fmt.Errorf("%w: value %q: its shape depends on data: place its node on cpu: %w", partition.ErrPlacement, v.Name, err)
	}
	n, err := graph.Elements(shape)
	if err != nil {
		return nil, fmt.Errorf("value %q: %w", v.Name, err)
	}
	size, ok := v.Type.DType.Bytes(n)
	if !ok || n > maxElements {
		return nil, fmt.Errorf("%w: value %q of shape %v: a GPU's kernels take %d elements", partition.ErrLimit, v.Name, shape, maxElements)
	}
	return &Tensor{DType: v.Type.DType, Shape: shape, size: size}, nil
}

// place gives a tensor its slot in the arena, or memory of its own.
func (f *frame) place(v *graph.Value, t *Tensor) error {
	b := &f.launch.b
	s := b.Memory.Slot(v)
	a, ok := b.Arena.(*buffer)
	if s == nil || !ok {
		return f.apart(t)
	}
	if t.size > s.Size {
		return fmt.Errorf("%w: value %q needs %d bytes, the session was opened for %d (%v)", partition.ErrLimit, v.Name, t.size, s.Size, b.Memory.Bounds)
	}
	t.memory, t.offset, t.of = a.memory, s.Offset, a
	return nil
}

// apart gives a tensor memory that the launch owns.
func (f *frame) apart(t *Tensor) error {
	x, err := f.d.Alloc(t.size, runtime.DeviceMemory)
	if err != nil {
		return err
	}
	t.of = x.(*buffer)
	t.memory, t.offset = t.of.memory, 0
	f.launch.apart = append(f.launch.apart, t.of)
	return nil
}
