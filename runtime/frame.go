package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"mnnconv/graph"
	"mnnconv/partition"
)

// frame is a plan recorded for one set of input shapes. A launch is recorded once
// its inputs' shapes are known, and again where data changed them.
type frame struct {
	s       *Session
	l       *laidOut
	inputs  []*graph.Tensor // shapes only
	staging map[*graph.Node]HostBuffer
	apart   map[*graph.Value]Buffer // values of a size that only running tells, which crossed
	launch  map[*partition.Partition]*recorded
	outs    []*graph.Tensor

	mu    sync.Mutex // of bound: queues may run at once
	bound map[*graph.Value]Bound
}

type recorded struct {
	launch Launch
	inputs []Bound
}

func newFrame(s *Session, inputs []*graph.Tensor) (*frame, error) {
	plan := s.e.plan
	f := &frame{s: s, l: s.arenas.phases[plan.Phase], inputs: make([]*graph.Tensor, len(inputs)),
		staging: map[*graph.Node]HostBuffer{}, apart: map[*graph.Value]Buffer{}, launch: map[*partition.Partition]*recorded{},
		outs: make([]*graph.Tensor, len(plan.Graph.Outputs)), bound: map[*graph.Value]Bound{}}
	for i, v := range plan.Graph.Inputs {
		t := inputs[i]
		if b, ok := s.states[v.Name]; ok && t == nil {
			f.bound[v] = b
			continue
		}
		if t == nil {
			return nil, fmt.Errorf("%w: input %q is missing", graph.ErrType, v.Name)
		}
		f.inputs[i] = &graph.Tensor{Kind: t.Kind, DType: t.DType, Shape: slices.Clone(t.Shape)}
		view, ok, err := s.arenas.view(plan.Phase, v, int64(len(t.Data)))
		if err != nil {
			return nil, err
		}
		if !ok { // a rank that is not declared: memory of its own
			b, err := s.e.host().Alloc(int64(len(t.Data)), PinnedHost)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("input %q: %w", v.Name, err), f.close())
			}
			f.apart[v] = b
			view = View{b, 0, b.Size()}
		}
		f.bound[v] = Bound{view, t.DType, f.inputs[i].Shape}
	}
	return f, nil
}

// host returns the device whose space is the host's, which every plan has:
// graph inputs and outputs live there.
func (e *Executor) host() Device { return e.devices[string(graph.Host)] }

func (f *frame) fits(inputs []*graph.Tensor) bool {
	for i, t := range inputs {
		have := f.inputs[i]
		if (t == nil) != (have == nil) {
			return false
		}
		if t != nil && (t.DType != have.DType || !slices.Equal(t.Shape, have.Shape)) {
			return false
		}
	}
	return true
}

func (f *frame) run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error) {
	plan := f.s.e.plan
	for i, t := range inputs {
		if t == nil {
			continue
		}
		v := f.bound[plan.Graph.Inputs[i]].View
		b, err := v.Buffer.(HostBuffer).Bytes()
		if err != nil {
			return nil, err
		}
		copy(b[v.Offset:v.Offset+v.Size], t.Data)
	}
	if err := f.s.schedule.run(ctx, f.l.commands, f.command); err != nil {
		return nil, err
	}
	for i, v := range plan.Graph.Outputs {
		if err := f.output(i, v); err != nil {
			return nil, err
		}
	}
	return f.outs, nil
}

// command runs one entry of a queue to its end.
func (f *frame) command(ctx context.Context, c partition.Command) error {
	s := f.s.e.plan.Steps[c.Step]
	if s.Partition != nil {
		return f.partition(ctx, s.Partition)
	}
	return f.copy(ctx, s.Copy, c.Hop)
}

func (f *frame) get(v *graph.Value) (Bound, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.bound[v]
	return b, ok
}

func (f *frame) set(v *graph.Value, b Bound) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bound[v] = b
}

// partition runs one partition to its end.
func (f *frame) partition(ctx context.Context, p *partition.Partition) error {
	where := func(err error) error {
		return fmt.Errorf("partition %d on %s: %w", p.Index, p.Target, err)
	}
	f.mu.Lock()
	r := f.launch[p]
	if r == nil {
		r = &recorded{inputs: make([]Bound, len(p.Inputs))}
		f.launch[p] = r
	}
	f.mu.Unlock()
	fresh := r.launch == nil
	for i, v := range p.Inputs {
		b, ok := f.get(v)
		if !ok {
			return where(fmt.Errorf("%w: value %q has not been made", graph.ErrInvalid, v.Name))
		}
		if err := b.View.Check(p.Space, v.Name); err != nil {
			return where(err)
		}
		if !fresh && (b.View != r.inputs[i].View || !slices.Equal(b.Shape, r.inputs[i].Shape)) {
			fresh = true
		}
		r.inputs[i] = b
	}
	if fresh {
		if r.launch != nil {
			if err := r.launch.Close(); err != nil {
				return where(err)
			}
			r.launch = nil
		}
		launch, err := f.s.e.programs[p].Record(Bindings{r.inputs, f.l.memory, f.s.arenas.buffers[p.Space]})
		if err != nil {
			return where(err)
		}
		r.launch = launch
	}
	ev, err := r.launch.Submit(ctx, nil)
	if err != nil {
		return where(err)
	}
	if err := ev.Wait(ctx); err != nil {
		return where(err)
	}
	outs, err := r.launch.Outputs()
	if err != nil {
		return where(err)
	}
	for i, v := range p.Outputs {
		f.set(v, outs[i])
	}
	return nil
}

// copy moves one value from its space to another; between two devices in two
// hops, through pinned memory of the target.
func (f *frame) copy(ctx context.Context, n *graph.Node, hop partition.Hop) error {
	src, dst := n.Inputs[0], n.Outputs[0]
	fail := func(err error) error {
		return fmt.Errorf("%s: value %q from %s to %s: %w", n.ID(), src.Name, src.Type.Space, dst.Type.Space, err)
	}
	from, ok := f.get(src)
	if !ok {
		return fail(fmt.Errorf("%w: it has not been made", graph.ErrInvalid))
	}
	if err := from.View.Check(src.Type.Space, src.Name); err != nil {
		return fail(err)
	}
	devices := f.s.e.devices
	switch hop {
	case partition.Down:
		mid, err := f.stage(n, from.View.Size)
		if err != nil {
			return fail(err)
		}
		if err := move(ctx, devices[string(src.Type.Space)], View{mid, 0, from.View.Size}, from.View); err != nil {
			return fail(err)
		}
		return nil
	case partition.Up:
		mid, err := f.stage(n, from.View.Size)
		if err != nil {
			return fail(err)
		}
		to, err := f.crossed(dst, from.View.Size)
		if err != nil {
			return fail(err)
		}
		if err := move(ctx, devices[string(dst.Type.Space)], to, View{mid, 0, from.View.Size}); err != nil {
			return fail(err)
		}
		f.set(dst, Bound{to, from.DType, from.Shape})
		return nil
	}
	to, err := f.crossed(dst, from.View.Size)
	if err != nil {
		return fail(err)
	}
	d := devices[string(dst.Type.Space)]
	if dst.Type.Space == graph.Host {
		d = devices[string(src.Type.Space)]
	}
	if err := move(ctx, d, to, from.View); err != nil {
		return fail(err)
	}
	f.set(dst, Bound{to, from.DType, from.Shape})
	return nil
}

func move(ctx context.Context, d Device, dst, src View) error {
	if d == nil {
		return fmt.Errorf("%w: it was not opened", ErrUnavailable)
	}
	ev, err := d.Transfer(dst, src, nil)
	if err != nil {
		return err
	}
	return ev.Wait(ctx)
}

// stage returns pinned memory of the copy's target, made on first use.
func (f *frame) stage(n *graph.Node, size int64) (HostBuffer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.staging[n]; b != nil && b.Size() >= size {
		return b, nil
	} else if b != nil {
		if err := b.Close(); err != nil {
			return nil, err
		}
	}
	b, err := f.s.e.devices[string(n.Outputs[0].Type.Space)].Alloc(size, PinnedHost)
	if err != nil {
		return nil, err
	}
	f.staging[n] = b.(HostBuffer)
	return f.staging[n], nil
}

// crossed returns where a copied value goes: its slot, or memory of its own.
func (f *frame) crossed(v *graph.Value, size int64) (View, error) {
	view, ok, err := f.s.arenas.view(f.s.e.plan.Phase, v, size)
	if ok || err != nil {
		return view, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.apart[v]; b != nil {
		if b.Size() == size {
			return View{b, 0, size}, nil
		}
		if err := b.Close(); err != nil {
			return View{}, err
		}
		delete(f.apart, v)
	}
	kind := DeviceMemory
	if v.Type.Space == graph.Host {
		kind = PinnedHost
	}
	b, err := f.s.e.devices[string(v.Type.Space)].Alloc(size, kind)
	if err != nil {
		return View{}, err
	}
	f.apart[v] = b
	return View{b, 0, size}, nil
}

// output reads graph output i, which lives on the host; a state has none.
func (f *frame) output(i int, v *graph.Value) error {
	for _, s := range f.s.e.plan.Graph.States {
		if s.Out == v {
			return nil
		}
	}
	if v.Const != nil {
		f.outs[i] = v.Const
		return nil
	}
	b, ok := f.bound[v]
	if !ok {
		return fmt.Errorf("%w: output %q has not been made", graph.ErrInvalid, v.Name)
	}
	h, ok := b.View.Buffer.(HostBuffer)
	if !ok || b.View.Buffer.Space() != graph.Host {
		return fmt.Errorf("%w: output %q lies in %s, a copy to %s is missing", ErrAddress, v.Name, b.View.Buffer.Space(), graph.Host)
	}
	bytes, err := h.Bytes()
	if err != nil {
		return err
	}
	if f.outs[i] == nil {
		f.outs[i] = &graph.Tensor{}
	}
	*f.outs[i] = graph.Tensor{DType: b.DType, Shape: b.Shape, Data: bytes[b.View.Offset : b.View.Offset+b.View.Size]}
	return nil
}

func (f *frame) close() error {
	var errs []error
	for _, r := range f.launch {
		if r.launch != nil {
			errs = append(errs, r.launch.Close())
		}
	}
	for _, b := range f.staging {
		errs = append(errs, b.Close())
	}
	for _, b := range f.apart {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
