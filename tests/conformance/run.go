package conformance

import (
	"context"
	"errors"
	"fmt"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/runtime"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
)

// Bench is the devices that cases run on: the host, and perhaps one more.
type Bench struct {
	Table   op.Table
	Host    partition.Target
	Device  partition.Target // where all nodes go that it can run; the others go to the host
	Devices map[string]runtime.Device
}

// NewBench opens the host's device and device 0 of another backend, which may be
// nil. Close it afterwards.
func NewBench(table op.Table, host, other runtime.Backend) (*Bench, error) {
	b := &Bench{Table: table, Devices: map[string]runtime.Device{}}
	for _, backend := range []runtime.Backend{host, other} {
		if backend == nil {
			continue
		}
		p, err := backend.Profile(0)
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		if b.Devices[p.Name], err = backend.Open(p); err != nil {
			delete(b.Devices, p.Name)
			return nil, errors.Join(err, b.Close())
		}
		if b.Device = (partition.Target{Profile: p, Lowerer: backend}); backend == host {
			b.Host = b.Device
		}
	}
	return b, nil
}

// Close closes the devices.
func (b *Bench) Close() error {
	var errs []error
	for _, d := range b.Devices {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Program is a case that is planned for a bench.
type Program struct {
	bench *Bench
	c     *Case
	file  *onnx.Model
	types []graph.Type // of the graph's inputs, as the file has them
	outs  []graph.Type // of its outputs, likewise
	plan  *partition.Plan
}

// Plan reads a case, raises it as any model, and plans it. Close the program
// afterwards.
func (b *Bench) Plan(c *Case) (*Program, error) {
	m, err := onnx.Decode(c.Name+".onnx", c.Model, onnx.Options{})
	if err != nil {
		return nil, err
	}
	p := &Program{bench: b, c: c, file: m}
	for _, v := range m.Graph.Inputs {
		p.types = append(p.types, v.Type)
	}
	for _, v := range m.Graph.Outputs {
		p.outs = append(p.outs, v.Type)
	}
	if _, err := passes.Run(m.Graph, b.Table, passes.Knowledge{}); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	rules, err := partition.ParseRules(b.Device.Profile.Name)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	targets := []partition.Target{b.Host}
	if b.Device.Profile.Name != b.Host.Profile.Name {
		targets = append(targets, b.Device)
		rules = append(rules, partition.FallbackTo(b.Host.Profile.Name))
	}
	if p.plan, err = partition.Build("graph", m.Graph, rules, targets); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return p, nil
}

// Claimed reports whether any node runs on the bench's device.
func (p *Program) Claimed() bool {
	for _, part := range p.plan.Partitions() {
		if part.Target == p.bench.Device.Profile.Name {
			return true
		}
	}
	return p.bench.Device.Profile.Name == p.bench.Host.Profile.Name
}

// Close unmaps the model.
func (p *Program) Close() error { return p.file.Close() }

// Run runs every data set of the case and compares the outputs.
func (p *Program) Run(ctx context.Context) (err error) {
	e, err := runtime.NewExecutor(p.plan, p.bench.Devices)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s := e.NewSession(nil, nil, runtime.Schedule{})
	defer func() { err = errors.Join(err, s.Close()) }()
	for i, set := range p.c.Sets {
		in, err := p.inputs(set)
		if err != nil {
			return fmt.Errorf("data set %d: %w", i, err)
		}
		outs, err := s.Run(ctx, in)
		if err != nil {
			return err
		}
		for k, b := range set.Out {
			want, err := decode(b, p.outs[k])
			if err == nil {
				err = same(outs[k], want)
			}
			if err != nil {
				return fmt.Errorf("data set %d, output %d: %w", i, k, err)
			}
		}
	}
	return nil
}

// inputs decodes a data set's inputs. The networks of "light" have none: theirs is
// the ramp i/n, as ONNX's own runner makes it.
func (p *Program) inputs(set Set) ([]*graph.Tensor, error) {
	in := make([]*graph.Tensor, len(p.types))
	if p.c.Suite != "light" && len(set.In) != len(in) {
		return nil, fmt.Errorf("%d inputs, the model takes %d", len(set.In), len(in))
	}
	for i := range in {
		var err error
		if p.c.Suite == "light" {
			in[i], err = ramp(p.types[i])
		} else {
			in[i], err = decode(set.In[i], p.types[i])
		}
		if err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
	}
	return in, nil
}

func ramp(t graph.Type) (*graph.Tensor, error) {
	shape, ok := t.Shape.Ints()
	if !ok {
		return nil, fmt.Errorf("%s has no fixed shape", t)
	}
	x, err := graph.NewTensor(graph.Float32, shape...)
	if err != nil {
		return nil, err
	}
	v := graph.View[float32](x)
	for i := range v {
		v[i] = float32(float64(i) / float64(len(v)))
	}
	return x, nil
}

// decode reads a .pb file as a value of the given type.
func decode(b []byte, t graph.Type) (*graph.Tensor, error) {
	switch t.Kind {
	case graph.SequenceKind:
		return onnx.UnmarshalSequence(b)
	case graph.OptionalKind:
		return onnx.UnmarshalOptional(b)
	}
	return onnx.UnmarshalTensor(b)
}
