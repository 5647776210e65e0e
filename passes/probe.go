package passes

import (
	stdcontext "context"
	"errors"

	"mnnconv/graph"
)

// Probe is one set of sample inputs of a graph: enough to evaluate the
// subgraphs that compute indexes, masks and rotation tables, without weights.
type Probe struct {
	Env    graph.Env                // the symbols' values
	Inputs map[string]*graph.Tensor // by input name; inputs that are absent are not computable
}

// prober evaluates values of the graph under one probe, remembering results.
type prober struct {
	c     *context
	probe Probe
	known map[*graph.Value]*graph.Tensor
	bad   map[*graph.Value]bool
	work  int64     // elements that may still be computed
	steps countdown // of bodies
}

func newProber(c *context, p Probe, known map[*graph.Value]*graph.Tensor, work int64) *prober {
	return &prober{c: c, probe: p, known: known, bad: map[*graph.Value]bool{}, work: work, steps: countdown{stdcontext.Background(), maxProbeSteps}}
}

// Bounds of what one probe may compute: elements, iterations and nodes of bodies,
// and the chain of producers it follows.
const (
	maxProbeWork  = 1 << 24
	maxProbeSteps = 1 << 20
	maxProbeDepth = 4096
)

// countdown is a context that ends after it was looked at so often: an evaluation
// looks at it once for each iteration of a loop and each node of a body.
type countdown struct {
	stdcontext.Context
	left int
}

var errSteps = errors.New("a body runs too often")

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return errSteps
	}
	return nil
}

// eval returns the value's tensor under each probe, or false if any of them
// cannot compute it: it depends on inputs the probes do not give.
func (c *context) eval(v *graph.Value) ([]*graph.Tensor, bool) {
	if len(c.know.Probes) == 0 {
		return nil, false
	}
	if c.probes == nil {
		for _, p := range c.know.Probes {
			c.probes = append(c.probes, newProber(c, p, map[*graph.Value]*graph.Tensor{}, maxProbeWork))
		}
	}
	out := make([]*graph.Tensor, len(c.probes))
	for i, p := range c.probes {
		t := p.eval(v, 0)
		if t == nil {
			return nil, false
		}
		out[i] = t
	}
	return out, true
}

func (p *prober) eval(v *graph.Value, depth int) *graph.Tensor {
	if v == nil {
		return nil
	}
	if v.Const != nil {
		if unread(v.Const) {
			return nil
		}
		return v.Const
	}
	if t := p.known[v]; t != nil || p.bad[v] {
		return t
	}
	t := p.compute(v, depth)
	if t == nil {
		p.bad[v] = true
	}
	return t
}

func (p *prober) compute(v *graph.Value, depth int) *graph.Tensor {
	if t := p.elements(v); t != nil {
		p.known[v] = t
		return t
	}
	if v.Def == nil {
		t := p.probe.Inputs[v.Name]
		p.known[v] = t
		return t
	}
	if depth > maxProbeDepth {
		return nil
	}
	n := v.Def
	in := make([]*graph.Tensor, len(n.Inputs))
	for i, x := range n.Inputs {
		if x == nil {
			continue
		}
		if in[i] = p.eval(x, depth+1); in[i] == nil {
			return nil
		}
	}
	ok := true
	for _, b := range n.Bodies {
		for _, x := range b.Outer {
			ok = ok && p.eval(x, depth+1) != nil
		}
	}
	if !ok || !p.affords(n) {
		return nil
	}
	outs, err := p.c.table.Eval(&p.steps, n, in, func(x *graph.Value) *graph.Tensor { return p.eval(x, depth+1) })
	if err != nil {
		return nil
	}
	for i, o := range n.Outputs {
		if o != nil {
			p.known[o] = outs[i]
			if outs[i].Kind == graph.TensorKind {
				p.work -= int64(outs[i].Len())
			}
		}
	}
	return p.known[v]
}

// affords reports whether a node's outputs, as far as their shapes are known, may
// still be computed.
func (p *prober) affords(n *graph.Node) bool {
	left := p.work
	for _, o := range n.Outputs {
		if o == nil || !o.Type.Shape.Ranked() {
			continue
		}
		shape, err := o.Type.Shape.Eval(p.probe.Env)
		if err != nil {
			continue
		}
		size, err := graph.Elements(shape)
		if err != nil || size > left {
			return false
		}
		left -= size
	}
	return left > 0
}

// elements builds an integer value from what inference knows of its elements,
// without its producers: a Shape of activations, for one.
func (p *prober) elements(v *graph.Value) *graph.Tensor {
	return knownInts(v, p.c.facts, func(d graph.Dim) (int64, bool) {
		n, err := d.Eval(p.probe.Env)
		return n, err == nil
	})
}
