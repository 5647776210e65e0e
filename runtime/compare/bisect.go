package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"

	"mnnconv/graph"
	"mnnconv/partition"
)

// ErrFound ends the call in which [Comparer.StopAtFirst] met the first wrong node.
var ErrFound = errors.New("a wrong node is found")

// Found is the first wrong node of the first wrong partition.
type Found struct {
	PartitionReport
	Runs  int // of pieces of the partition on its device
	Nodes int // of the partition

	c     *Comparer
	p     *phase
	nodes []*graph.Node // all that its kernel covers, in order
	trace Trace
}

// StopAtFirst has calls end with [ErrFound] at the first wrong partition, whose
// first wrong node Found then tells.
func (c *Comparer) StopAtFirst() { c.stop = true }

// Found returns what was found; nil: nothing yet.
func (c *Comparer) Found() *Found { return c.found }

// stopAt keeps what is needed to make a case of a wrong partition.
func (c *Comparer) stopAt(p *phase, part *partition.Partition, trace Trace) error {
	if !c.stop || !c.seen.isWrong(part) {
		return nil
	}
	f := &Found{PartitionReport: *c.seen.of[part], Runs: c.runs, Nodes: len(part.Nodes), c: c, p: p, trace: trace}
	wrong := p.plan.Graph.Nodes[f.node]
	f.nodes = part.Kernels[0].Nodes
	for _, k := range slices.Backward(part.Kernels) { // of a copy, the first kernel that reads what it brings
		if slices.Contains(k.Nodes, wrong) || slices.ContainsFunc(wrong.Outputs, func(v *graph.Value) bool { return slices.Contains(k.In, v) && wrong.IsCopy() }) {
			f.nodes = k.Nodes
		}
	}
	c.found = f
	return ErrFound
}

// prefix finds the kernel at which a partition goes wrong whose kernels are all
// right alone: the last of the shortest run of its first kernels that is wrong.
func (c *Comparer) prefix(ctx context.Context, p *phase, part *partition.Partition, trace Trace) (*finding, error) {
	var failed error
	wrong := func(n int) bool {
		if failed != nil {
			return true
		}
		var nodes []*graph.Node
		for _, k := range part.Kernels[:n] {
			nodes = append(nodes, k.Nodes...)
		}
		by := precisionsOf(nodes)
		outs, x, err := c.run(ctx, p, [][]*graph.Node{nodes}, trace)
		if err != nil {
			failed = err
			return true
		}
		for i, v := range x.Out {
			m, err := measure(outs[i], trace.of(v))
			if err != nil {
				return true
			}
			if _, ok := p.boundary(v, m, by); !ok {
				return true
			}
		}
		return false
	}
	n := len(part.Kernels)
	at := sort.Search(n-1, func(i int) bool { return wrong(i + 1) }) // all n are
	return &finding{nodes: part.Kernels[at].Nodes, why: "it is right alone, and wrong behind the kernels before it"}, failed
}

// Case is a graph that shows a fault by itself.
type Case struct {
	Graph *graph.Graph // not placed
	Call  Call         // its inputs, states among them
	Place string       // the rule that shows it
	From  graph.Env    // the symbols' values where it was found
	To    graph.Env    // and in the case
}

// Case takes the wrong kernel out, with the smallest inputs that still show it.
func (f *Found) Case(ctx context.Context) (*Case, error) {
	env := f.trace.symbols(f.p.graph)
	in := Trace{}
	for _, n := range f.nodes {
		n.Reads(func(v *graph.Value) {
			if t := f.trace.of(v); t != nil && v.Const == nil {
				in[partition.Source(v).Name] = t
			}
		})
	}
	best := &trial{env: env, in: in}
	if ok, err := f.shows(ctx, best); err != nil || !ok {
		return f.build(best, env), err // left as it was found
	}
	for _, name := range f.symbols() {
		for n := int64(1); n < best.env[name]; n = max(n+1, n*3/2) {
			smaller, err := f.smaller(ctx, best, name, n)
			if err != nil {
				return nil, err
			}
			if smaller != nil {
				best = smaller
				break
			}
		}
	}
	return f.build(best, env), nil
}

// smaller returns inputs for a smaller value of a symbol that show the fault too, or
// nil. Integers that may count what was cut off are tried as they are and bounded by
// what is left.
func (f *Found) smaller(ctx context.Context, from *trial, name string, n int64) (*trial, error) {
	cut, longest := f.shrink(from, name, n)
	if cut == nil {
		return nil, ctx.Err()
	}
	for _, t := range []*trial{cut, cut.bounded(longest)} {
		if ok, err := f.shows(ctx, t); err == nil && ok {
			return t, nil
		}
	}
	return nil, ctx.Err()
}

// bounded has no integer above most.
func (t *trial) bounded(most int64) *trial {
	out := &trial{env: t.env, in: maps.Clone(t.in)}
	for name, x := range t.in {
		if x.DType != graph.Int64 {
			continue
		}
		v := slices.Clone(graph.View[int64](x))
		for i := range v {
			v[i] = min(v[i], most)
		}
		out.in[name] = graph.Ints(v, x.Shape...)
	}
	return out
}

// trial is a set of inputs that may show a fault.
type trial struct {
	env graph.Env
	in  Trace
}

// symbols lists the symbols of the inputs' shapes.
func (f *Found) symbols() []string {
	set := map[string]bool{}
	for _, n := range f.nodes {
		n.Reads(func(v *graph.Value) {
			for _, d := range v.Type.Shape {
				if name, _, _, ok := d.Linear(); ok && v.Const == nil {
					set[name] = true
				}
			}
		})
	}
	return slices.Sorted(maps.Keys(set))
}

// shrink keeps the front of every extent that a symbol tells, for a smaller value
// of it, and returns the longest one; nil: there is none.
func (f *Found) shrink(from *trial, name string, n int64) (t *trial, longest int64) {
	t = &trial{env: maps.Clone(from.env), in: maps.Clone(from.in)}
	t.env[name] = n
	for _, node := range f.nodes {
		node.Reads(func(v *graph.Value) {
			key := partition.Source(v).Name
			x := t.in[key]
			if v.Const != nil || x == nil || x != from.in[key] || len(v.Type.Shape) != len(x.Shape) {
				return
			}
			for axis, d := range v.Type.Shape {
				symbol, scale, rest, ok := d.Linear()
				if !ok || symbol != name || x.DType.Bits() < 8 {
					continue
				}
				if keep := scale*n + rest; keep >= 0 && keep < x.Shape[axis] {
					x, longest = front(x, axis, keep), max(longest, keep)
				}
			}
			t.in[key] = x
		})
	}
	if longest == 0 {
		return nil, 0
	}
	return t, longest
}

// front keeps the first elements along an axis.
func front(t *graph.Tensor, axis int, keep int64) *graph.Tensor {
	out := &graph.Tensor{DType: t.DType, Shape: slices.Clone(t.Shape)}
	out.Shape[axis] = keep
	inner := t.DType.Bits() / 8
	for _, d := range t.Shape[axis+1:] {
		inner *= int(d)
	}
	run := inner * int(t.Shape[axis])
	for at := 0; run > 0 && at < len(t.Data); at += run {
		out.Data = append(out.Data, t.Data[at:at+inner*int(keep)]...)
	}
	return out
}

// shows reports whether the kernel is wrong over a trial's inputs. Inputs that the
// operators are not defined for show nothing.
func (f *Found) shows(ctx context.Context, t *trial) (bool, error) {
	c, p := f.c, f.p
	trace := maps.Clone(t.in)
	var nodes []*graph.Node
	for _, n := range f.nodes {
		nodes = append(nodes, p.original(n))
	}
	if err := evaluate(ctx, c.s.Table, nodes, trace); err != nil {
		return false, err
	}
	_, at, err := c.judged(ctx, p, [][]*graph.Node{f.nodes}, t.env, trace, true)
	if errors.As(err, new(transferError)) {
		return true, nil
	}
	return at >= 0, err
}

// build makes the case of a trial.
func (f *Found) build(t *trial, from graph.Env) *Case {
	k := &Case{Place: f.Target, From: graph.Env{}, To: graph.Env{}, Call: Call{Phase: "graph", Inputs: Trace{}}}
	for _, name := range f.symbols() {
		k.From[name], k.To[name] = from[name], t.env[name]
	}
	x, err := f.p.plan.Extract([][]*graph.Node{f.nodes}, t.env)
	if err != nil {
		panic(fmt.Sprintf("compare: invariant: what ran cannot be taken out: %v", err))
	}
	k.Graph = x.Plan.Graph
	bare := func(v *graph.Value) {
		if v != nil {
			v.Type.Space = ""
		}
	}
	for i, v := range k.Graph.Inputs {
		bare(v)
		v.Name = partition.Source(x.In[i]).Name
		k.Call.Inputs[v.Name] = t.in[v.Name]
	}
	for _, n := range k.Graph.Nodes {
		n.Target, n.Cause = "", ""
		for _, v := range n.Outputs {
			bare(v)
		}
	}
	return k
}
