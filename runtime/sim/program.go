package sim

import (
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/host"
)

// Compile uploads the partition's weights.
func (d *Device) Compile(p *partition.Partition) (runtime.Program, error) {
	if err := d.count(Compile); err != nil {
		return nil, err
	}
	prog := &program{d: d, p: p}
	upload := func(v *graph.Value) (*graph.Tensor, error) {
		if v.Const.DType == graph.String {
			return v.Const, nil
		}
		b, err := d.weights.hold(d.heap, v.Const)
		if err != nil {
			return nil, err
		}
		prog.held, prog.weights = append(prog.held, v.Const), append(prog.weights, b)
		mem, err := d.heap.bytes(b.id)
		if err != nil {
			return nil, err
		}
		t := *v.Const
		t.Data = mem
		return &t, nil
	}
	var err error
	if prog.host, err = host.Compile(d.table, host.Lower(p.Graph(), d.backend.Math), p.Inputs, p.Outputs, upload); err != nil {
		return nil, errors.Join(err, prog.Close())
	}
	return prog, nil
}

type program struct {
	d       *Device
	p       *partition.Partition
	host    *host.Program
	held    []*graph.Tensor
	weights []*buffer // of held
}

func (p *program) Close() error {
	var errs []error
	for _, t := range p.held {
		errs = append(errs, p.d.weights.drop(t))
	}
	p.held, p.weights = nil, nil
	return errors.Join(errs...)
}

// Record binds a host frame to the bytes behind the handles. They stay where they
// are until they are released, which Submit looks for.
func (p *program) Record(b runtime.Bindings) (runtime.Launch, error) {
	if err := p.d.count(Record); err != nil {
		return nil, err
	}
	var c command
	defer c.unuse()
	in := make([]*graph.Tensor, len(b.Inputs))
	bytes := int64(0)
	for i, x := range b.Inputs {
		name := p.p.Inputs[i].Name
		if x.View.Offset%p.d.align != 0 {
			return nil, fmt.Errorf("%w: value %q lies at byte %d of its buffer, %s wants multiples of %d", runtime.ErrAddress, name, x.View.Offset, p.d.space, p.d.align)
		}
		if err := x.View.Check(p.d.space, name); err != nil {
			return nil, err
		}
		mem, err := p.d.use(&c, x.View, name)
		if err != nil {
			return nil, err
		}
		in[i] = &graph.Tensor{DType: x.DType, Shape: x.Shape, Data: mem}
		bytes += x.View.Size
	}
	var arena []byte
	if b.Arena != nil {
		var err error
		if arena, err = p.d.use(&c, runtime.View{Buffer: b.Arena, Size: b.Arena.Size()}, "arena"); err != nil {
			return nil, err
		}
	}
	n := len(p.p.Outputs)
	l := &launch{p: p, b: b, outs: make([]runtime.Bound, n), told: make([]runtime.Bound, n), fixed: make([]bool, n), apart: make([]*buffer, n)}
	for _, x := range c.uses {
		if !slices.Contains(l.uses, x) {
			l.uses = append(l.uses, x)
		}
	}
	l.uses = append(l.uses, p.weights...)
	for _, w := range p.weights {
		bytes += w.size
	}
	l.cost = p.d.config.Launch.of(bytes)
	var err error
	l.frame, err = p.host.Frame(in, p.d.pool, func(v *graph.Value, size int64) ([]byte, error) { return b.Place(arena, v, size) })
	if err != nil {
		return nil, err
	}
	if b.TimeKernels {
		l.frame.Time()
	}
	l.fix()
	return l, nil
}
