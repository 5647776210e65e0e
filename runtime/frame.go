package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
)

// frame is a plan recorded for one set of input shapes. Launches are recorded as
// their inputs' shapes become known: all before the first run where shapes
// follow from the inputs' shapes, and again where data changed them.
type frame struct {
	s       *Session
	inputs  []*graph.Tensor // shapes only
	host    []HostBuffer    // one per input that is not a state
	bound   map[*graph.Value]Bound
	copies  map[*graph.Node]Buffer
	staging map[*graph.Node]HostBuffer
	launch  map[*partition.Partition]*recorded
	outs    []*graph.Tensor
}

type recorded struct {
	launch Launch
	inputs []Bound
}

func newFrame(s *Session, inputs []*graph.Tensor) (*frame, error) {
	g := s.e.plan.Graph
	f := &frame{s: s, inputs: make([]*graph.Tensor, len(inputs)), host: make([]HostBuffer, len(inputs)),
		bound: map[*graph.Value]Bound{}, copies: map[*graph.Node]Buffer{}, staging: map[*graph.Node]HostBuffer{},
		launch: map[*partition.Partition]*recorded{}, outs: make([]*graph.Tensor, len(g.Outputs))}
	for i, v := range g.Inputs {
		if b, ok := s.states[v.Name]; ok && inputs[i] == nil {
			f.bound[v] = b
			continue
		}
		if inputs[i] == nil {
			return nil, errors.Join(fmt.Errorf("%w: input %q is missing", graph.ErrType, v.Name), f.close())
		}
		t := inputs[i]
		f.inputs[i] = &graph.Tensor{Kind: t.Kind, DType: t.DType, Shape: slices.Clone(t.Shape)}
		b, err := s.e.host().Alloc(int64(len(t.Data)), PinnedHost)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("input %q: %w", v.Name, err), f.close())
		}
		f.host[i] = b.(HostBuffer)
		f.bound[v] = Bound{View{b, 0, b.Size()}, t.DType, f.inputs[i].Shape}
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
	for i, t := range inputs {
		if t == nil {
			continue
		}
		b, err := f.host[i].Bytes()
		if err != nil {
			return nil, err
		}
		copy(b, t.Data)
	}
	plan := f.s.e.plan
	for _, step := range plan.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if step.Copy != nil {
			err = f.copy(ctx, step.Copy)
		} else {
			err = f.partition(ctx, step.Partition)
		}
		if err != nil {
			return nil, err
		}
	}
	for i, v := range plan.Graph.Outputs {
		t, err := f.output(v)
		if err != nil {
			return nil, err
		}
		f.outs[i] = t
	}
	return f.outs, nil
}

// partition runs one partition to its end.
func (f *frame) partition(ctx context.Context, p *partition.Partition) error {
	where := func(err error) error {
		return fmt.Errorf("partition %d on %s: %w", p.Index, p.Target, err)
	}
	r := f.launch[p]
	fresh := r == nil
	if fresh {
		r = &recorded{inputs: make([]Bound, len(p.Inputs))}
	}
	for i, v := range p.Inputs {
		b, ok := f.bound[v]
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
		}
		launch, err := f.s.e.programs[p].Record(Bindings{r.inputs})
		if err != nil {
			return where(err)
		}
		r.launch = launch
		f.launch[p] = r
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
		f.bound[v] = outs[i]
	}
	return nil
}

// copy moves one value from its space to another, through pinned memory of the
// device at the far end.
func (f *frame) copy(ctx context.Context, n *graph.Node) error {
	src, dst := n.Inputs[0], n.Outputs[0]
	from, ok := f.bound[src]
	if !ok {
		return fmt.Errorf("%s: %w: value %q has not been made", n.ID(), graph.ErrInvalid, src.Name)
	}
	if err := from.View.Check(src.Type.Space, src.Name); err != nil {
		return fmt.Errorf("%s: %w", n.ID(), err)
	}
	to := f.copies[n]
	if to == nil || to.Size() != from.View.Size {
		if err := f.allocCopy(n, from.View.Size); err != nil {
			return fmt.Errorf("%s, %d bytes: %w", n.ID(), from.View.Size, err)
		}
		to = f.copies[n]
	}
	view := View{to, 0, to.Size()}
	move := func(d Device, dst, src View) error {
		ev, err := d.Transfer(dst, src, nil)
		if err != nil {
			return err
		}
		return ev.Wait(ctx)
	}
	var err error
	source, target := f.s.e.devices[string(src.Type.Space)], f.s.e.devices[string(dst.Type.Space)]
	switch {
	case src.Type.Space == graph.Host:
		err = move(target, view, from.View)
	case dst.Type.Space == graph.Host:
		err = move(source, view, from.View)
	default:
		mid := View{f.staging[n], 0, to.Size()}
		if err = move(source, mid, from.View); err == nil {
			err = move(target, view, mid)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: value %q from %s to %s: %w", n.ID(), src.Name, src.Type.Space, dst.Type.Space, err)
	}
	f.bound[dst] = Bound{view, from.DType, from.Shape}
	return nil
}

func (f *frame) allocCopy(n *graph.Node, size int64) error {
	if old := f.copies[n]; old != nil {
		if err := old.Close(); err != nil {
			return err
		}
		delete(f.copies, n)
	}
	src, dst := n.Inputs[0].Type.Space, n.Outputs[0].Type.Space
	kind := DeviceMemory
	if dst == graph.Host {
		kind = PinnedHost
	}
	d := f.s.e.devices[string(dst)]
	if d == nil || f.s.e.devices[string(src)] == nil {
		return fmt.Errorf("%w: %s or %s was not opened", ErrUnavailable, src, dst)
	}
	b, err := d.Alloc(size, kind)
	if err != nil {
		return err
	}
	f.copies[n] = b
	if src != graph.Host && dst != graph.Host {
		if old := f.staging[n]; old != nil {
			if err := old.Close(); err != nil {
				return err
			}
		}
		s, err := d.Alloc(size, PinnedHost)
		if err != nil {
			return err
		}
		f.staging[n] = s.(HostBuffer)
	}
	return nil
}

// output reads a graph output, which lives on the host; a state has none.
func (f *frame) output(v *graph.Value) (*graph.Tensor, error) {
	for _, s := range f.s.e.plan.Graph.States {
		if s.Out == v {
			return nil, nil
		}
	}
	if v.Const != nil {
		return v.Const, nil
	}
	b, ok := f.bound[v]
	if !ok {
		return nil, fmt.Errorf("%w: output %q has not been made", graph.ErrInvalid, v.Name)
	}
	h, ok := b.View.Buffer.(HostBuffer)
	if !ok || b.View.Buffer.Space() != graph.Host {
		return nil, fmt.Errorf("%w: output %q lies in %s, a copy to %s is missing", ErrAddress, v.Name, b.View.Buffer.Space(), graph.Host)
	}
	bytes, err := h.Bytes()
	if err != nil {
		return nil, err
	}
	return &graph.Tensor{DType: b.DType, Shape: b.Shape, Data: bytes[b.View.Offset : b.View.Offset+b.View.Size]}, nil
}

func (f *frame) close() error {
	var errs []error
	for _, r := range f.launch {
		if r.launch != nil {
			errs = append(errs, r.launch.Close())
		}
	}
	for _, b := range f.copies {
		errs = append(errs, b.Close())
	}
	for _, b := range f.staging {
		errs = append(errs, b.Close())
	}
	for _, b := range f.host {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errs...)
}
