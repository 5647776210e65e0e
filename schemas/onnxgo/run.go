package onnxgo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/runtime"
	"mnnconv/schemas/op"
)

// program is the graph compiled for inputs of certain types.
type program struct {
	key      string
	inputs   []*Node
	outputs  []*Node
	devices  map[string]runtime.Device
	executor *runtime.Executor
	session  *runtime.Session
}

// Run computes the outputs from the inputs that were set.
func (g *Graph) Run() error { return g.RunContext(context.Background()) }

// RunContext is Run that ends when the context does. The graph is compiled at the
// first run, and again when an input comes in another shape.
func (g *Graph) RunContext(ctx context.Context) error {
	inputs, values, err := g.given()
	if err != nil {
		return err
	}
	var key strings.Builder
	for _, t := range values {
		key.WriteString(t.Type().String())
	}
	if g.ready == nil || g.ready.key != key.String() {
		if err := g.Close(); err != nil {
			return err
		}
		p, err := g.compile(inputs, values)
		if err != nil {
			return err
		}
		p.key = key.String()
		g.ready = p
	}
	outs, err := g.ready.session.Run(ctx, values)
	if err != nil {
		return err
	}
	for i, n := range g.ready.outputs {
		if n.value, err = fromGraph(outs[i]); err != nil {
			return fmt.Errorf("output %q: %w", n.name, err)
		}
	}
	return nil
}

// Close releases the compiled program. The graph can be run again.
func (g *Graph) Close() error {
	p := g.ready
	g.ready = nil
	if p == nil {
		return nil
	}
	return p.close()
}

func (p *program) close() error {
	var errs []error
	if p.session != nil {
		errs = append(errs, p.session.Close())
	}
	if p.executor != nil {
		errs = append(errs, p.executor.Close())
	}
	for _, d := range p.devices {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// given returns the nodes whose values were set as inputs, in order, with them.
func (g *Graph) given() ([]*Node, []*graph.Tensor, error) {
	var nodes []*Node
	for all := g.Nodes(); all.Next(); {
		if n := all.Node().(*Node); n.given && !n.made && n.value != nil {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b *Node) int { return int(a.id - b.id) })
	values := make([]*graph.Tensor, len(nodes))
	for i, n := range nodes {
		var err error
		if values[i], err = toGraph(n.value); err != nil {
			return nil, nil, fmt.Errorf("input %q: %w", n.name, err)
		}
	}
	return nodes, values, nil
}

// compile builds, raises, plans and compiles the graph.
func (g *Graph) compile(inputs []*Node, values []*graph.Tensor) (*program, error) {
	p := &program{inputs: inputs, devices: map[string]runtime.Device{}}
	built, err := g.build(p, values)
	if err != nil {
		return nil, err
	}
	if _, err := passes.Run(built, g.table, passes.Knowledge{}); err != nil {
		return nil, err
	}
	rules, err := partition.ParseRules(g.o.Place)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*program, error) { return nil, errors.Join(err, p.close()) }
	var targets []partition.Target
	names := []string{string(graph.Host)}
	for _, r := range rules {
		names = append(names, r.Target)
	}
	for _, name := range names {
		if p.devices[name] != nil {
			continue
		}
		t, err := g.target(name)
		if err != nil {
			return fail(err)
		}
		if p.devices[name], err = t.Lowerer.(runtime.Backend).Open(t.Profile); err != nil {
			delete(p.devices, name)
			return fail(err)
		}
		targets = append(targets, t)
	}
	plan, err := partition.Build("graph", built, rules, targets)
	if err != nil {
		return fail(err)
	}
	if p.executor, err = runtime.NewExecutor(plan, p.devices); err != nil {
		return fail(err)
	}
	p.session = p.executor.NewSession(nil, nil, runtime.Schedule{})
	return p, nil
}

// target describes a device such as "cpu" or "sim:0".
func (g *Graph) target(name string) (partition.Target, error) {
	kind, number, _ := strings.Cut(name, ":")
	ordinal := 0
	if number != "" {
		if _, err := fmt.Sscan(number, &ordinal); err != nil {
			return partition.Target{}, fmt.Errorf("%w: device %q", partition.ErrRules, name)
		}
	}
	for _, b := range g.o.Backends {
		if b.Name() == kind {
			profile, err := b.Profile(ordinal)
			return partition.Target{Profile: profile, Lowerer: b}, err
		}
	}
	return partition.Target{}, fmt.Errorf("%w: no backend for device %q", partition.ErrPlacement, name)
}

// build makes the graph of this module. Inputs get the types of their values; what
// onnx-go set while it decoded the model is constant.
func (g *Graph) build(p *program, values []*graph.Tensor) (*graph.Graph, error) {
	built := graph.New("onnx-go")
	known := map[*Node]*graph.Value{}
	taken := map[string]bool{}
	name := func(n *Node) string {
		s := n.name
		for s == "" || taken[s] {
			s = fmt.Sprintf("%s~%d", n.name, n.id)
		}
		taken[s] = true
		return s
	}
	for i, n := range p.inputs {
		known[n] = built.NewInput(name(n), values[i].Type())
	}
	made := make([]*graph.Node, len(g.ops))
	for i, a := range g.ops {
		names := make([]string, len(a.outputs))
		for k, n := range a.outputs {
			if n != nil {
				names[k] = name(n)
			}
		}
		made[i] = built.NewNode("", a.Name, g.o.Opset, nil, names...)
		for k, n := range a.outputs {
			if n == nil {
				continue
			}
			if known[n] != nil {
				return nil, fmt.Errorf("value %q is defined twice", n.name)
			}
			known[n] = made[i].Outputs[k]
		}
	}
	read := map[*Node]bool{}
	for i, a := range g.ops {
		n := made[i]
		for _, in := range g.inputsOf(a) {
			read[in] = true
			v, err := constant(built, known, in, name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n.ID(), err)
			}
			n.Inputs = append(n.Inputs, v)
		}
		for key, value := range a.Attributes {
			if t, ok := value.(tensor.Tensor); ok {
				converted, err := toGraph(t)
				if err != nil {
					return nil, fmt.Errorf("%s: attribute %q: %w", n.ID(), key, err)
				}
				value = converted
			}
			n.SetAttr(key, value)
		}
		if n.Op == "Resize" && len(n.Inputs) == 2 {
			n.Version = min(n.Version, 10) // later ones have a region between the two
		}
		slices.SortFunc(n.Attrs, func(a, b graph.Attr) int { return strings.Compare(a.Name, b.Name) })
	}
	built.Append(made...)
	if err := built.Sort(); err != nil {
		return nil, err
	}
	for _, a := range g.ops {
		for _, n := range a.outputs {
			// onnx-go gives what the model declares, its outputs among it, a placeholder.
			if n != nil && (!read[n] || n.value != nil) {
				p.outputs = append(p.outputs, n)
				built.Outputs = append(built.Outputs, known[n])
			}
		}
	}
	return built, nil
}

// inputsOf returns what an operation reads; nil for an input that is left out. The
// input that onnx-go makes up for operators without any is left out too.
func (g *Graph) inputsOf(a operation) []*Node {
	for _, n := range a.outputs {
		if n == nil {
			continue
		}
		in := g.inputs[n.id]
		if len(g.table[op.Key{Name: a.Name}].Inputs) == 0 {
			in = nil
		}
		return in
	}
	return nil
}

// constant returns the value of a node that an operation reads, a constant unless
// it is an input or made by an operation; nil where it is left out.
func constant(built *graph.Graph, known map[*Node]*graph.Value, n *Node, name func(*Node) string) (*graph.Value, error) {
	if n == nil {
		return nil, nil
	}
	if v := known[n]; v != nil {
		return v, nil
	}
	if n.value == nil {
		if n.name == "" {
			return nil, nil
		}
		return nil, fmt.Errorf("input %q has no value: set it before Run", n.name)
	}
	t, err := toGraph(n.value)
	if err != nil {
		return nil, fmt.Errorf("weight %q: %w", n.name, err)
	}
	known[n] = built.NewConst(name(n), t)
	return known[n], nil
}
