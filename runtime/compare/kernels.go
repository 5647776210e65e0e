package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
)

// finding is the first kernel that is wrong alone.
type finding struct {
	nodes []*graph.Node // the wrong one first, then others that its kernel covers
	why   string
}

// most kernels, and bytes of their tensors, that are loosened at once.
const (
	mostLoose  = 128
	mostMemory = 512 << 20
)

// kernels runs each kernel of a partition alone over the reference's tensors, many
// at once, and returns the first one that is wrong; nil: none is.
func (c *Comparer) kernels(ctx context.Context, p *phase, part *partition.Partition, trace Trace) (*finding, error) {
	for groups := range loosened(part.Kernels, trace) {
		at, err := c.firstWrong(ctx, p, groups, trace)
		if err != nil {
			return nil, err
		}
		if at >= 0 {
			return c.within(ctx, p, groups[at], trace)
		}
	}
	return nil, nil
}

// loosened yields runs of the kernels' nodes. Kernels of what is no tensor have no
// values of their own to be given.
func loosened(kernels []partition.Kernel, trace Trace) func(func([][]*graph.Node) bool) {
	return func(yield func([][]*graph.Node) bool) {
		var groups [][]*graph.Node
		size := 0
		for _, k := range kernels {
			bytes, ok := weigh(k, trace)
			if !ok {
				continue
			}
			if len(groups) == mostLoose || len(groups) > 0 && size+bytes > mostMemory {
				if !yield(groups) {
					return
				}
				groups, size = nil, 0
			}
			groups, size = append(groups, k.Nodes), size+bytes
		}
		if len(groups) > 0 {
			yield(groups)
		}
	}
}

// weigh adds up the bytes that a kernel reads and makes; ok is false if some of it
// is no tensor.
func weigh(k partition.Kernel, trace Trace) (bytes int, ok bool) {
	for _, v := range slices.Concat(k.In, k.Out) {
		if v == nil || v.Const != nil {
			continue
		}
		t := trace.of(v)
		if t == nil || t.Kind != graph.TensorKind || t.DType == graph.String {
			return 0, false
		}
		bytes += len(t.Data)
	}
	return bytes, true
}

// firstWrong runs groups of nodes loosened and returns the first whose results are
// not what they should be, or -1.
func (c *Comparer) firstWrong(ctx context.Context, p *phase, groups [][]*graph.Node, trace Trace) (int, error) {
	_, at, err := c.judged(ctx, p, groups, trace.symbols(p.graph), trace, c.s.Reference.Exact())
	return at, err
}

// judged runs groups of nodes loosened. It returns what they make, and the first group
// whose results are not what they should be, or -1. exact: what is traced is what the
// operators' definitions give.
func (c *Comparer) judged(ctx context.Context, p *phase, groups [][]*graph.Node, env graph.Env, trace Trace, exact bool) (made Trace, first int, err error) {
	x, err := p.plan.Extract(groups, env)
	if err != nil {
		return nil, -1, err
	}
	outs, err := c.runExtract(ctx, x, trace)
	if err != nil {
		return nil, -1, err
	}
	made, first = Trace{}, -1
	of := map[*graph.Node]int{}
	for i, nodes := range x.Groups {
		for _, n := range nodes {
			of[n] = i
		}
	}
	expected := map[int]*expectation{}
	for i, v := range x.Out {
		made[partition.Source(v).Name] = outs[i]
		at := of[v.Def]
		if first >= 0 && at >= first {
			continue
		}
		e := expected[at]
		if e == nil {
			if e, err = c.expect(ctx, p, x.Groups[at], trace, exact); err != nil {
				return nil, -1, err
			}
			expected[at] = e
		}
		ok, err := e.right(ctx, c, v, outs[i])
		if err == nil && !ok {
			var rest *expectation
			if rest, err = c.behind(ctx, p, e, x.Groups[at], env, trace, exact); rest != nil && rest.makes(v) {
				ok, err = rest.right(ctx, c, v, outs[i])
			}
		}
		if err != nil {
			return nil, -1, fmt.Errorf("value %q: %w", v.Name, err)
		}
		if !ok {
			first = at
		}
	}
	return made, first, nil
}

// expectation is what a group of nodes should make of the reference's tensors.
type expectation struct {
	nodes []*graph.Node // of the graph that is not placed
	in    Trace
	want  Trace
	depth int
	wide  Trace // asked for on first use
	known bool
	forms [][]*graph.Node // likewise
	mixes []*mixture      // likewise; nil: not known

	rest  *expectation // of the nodes behind the first ones, see behind
	tried bool         // rest has been asked for
}

func (c *Comparer) expect(ctx context.Context, p *phase, nodes []*graph.Node, trace Trace, exact bool) (*expectation, error) {
	e := &expectation{in: trace, want: trace}
	for _, n := range nodes {
		e.nodes = append(e.nodes, p.original(n))
	}
	for _, n := range e.nodes {
		e.depth = max(e.depth, depth(n, trace))
	}
	if exact {
		return e, nil
	}
	e.want = Trace{}
	for _, n := range e.nodes {
		n.Reads(func(v *graph.Value) {
			if t := trace.of(v); t != nil && v.Const == nil {
				e.want[v.Name] = t
			}
		})
	}
	return e, evaluate(ctx, c.s.Table, e.nodes, e.want)
}

// right judges what a kernel made of a value.
func (e *expectation) right(ctx context.Context, c *Comparer, v *graph.Value, got *graph.Tensor) (bool, error) {
	want := e.want.of(v)
	m, err := measure(got, want)
	if errors.Is(err, graph.ErrType) {
		return false, nil
	}
	if err != nil || m.equal {
		return err == nil, err
	}
	k := kernel{nodes: e.nodes, depth: e.depth, got: got, want: want, wide: e.rounded(ctx, c, v)}
	if k.right(m) {
		return true, nil
	}
	return e.mixed(ctx, c, v, k)
}

// makes reports whether one of the nodes makes a value.
func (e *expectation) makes(v *graph.Value) bool {
	name := partition.Source(v).Name
	return slices.ContainsFunc(e.nodes, func(n *graph.Node) bool {
		return slices.ContainsFunc(n.Outputs, func(o *graph.Value) bool { return o != nil && o.Name == name })
	})
}

// behind is what a kernel's nodes should make of what the first of them, which read
// nothing that others of them make, make alone on the device; nil: the first ones are
// wrong, or none behind them adds products up. A number that is rounded from beside a tie
// may honestly fall on its other side, and each sum that it is in moves: all numbers of a
// row at once, which no bound on numbers that err one by one admits. So the first nodes
// are judged by themselves, and the rest over what they made.
func (c *Comparer) behind(ctx context.Context, p *phase, e *expectation, group []*graph.Node, env graph.Env, trace Trace, exact bool) (*expectation, error) {
	if e.tried {
		return e.rest, nil
	}
	e.tried = true
	var first [][]*graph.Node
	var rest []*graph.Node
	adds := false
	for _, n := range group {
		inside := false
		n.Reads(func(v *graph.Value) { inside = inside || slices.Contains(group, v.Def) })
		if !inside {
			first = append(first, []*graph.Node{n})
			continue
		}
		rest = append(rest, n)
		adds = adds || depth(p.original(n), trace) > 1
	}
	if !adds {
		return nil, nil
	}
	made, wrong, err := c.judged(ctx, p, first, env, trace, exact)
	if err != nil || wrong >= 0 {
		return nil, err
	}
	over := maps.Clone(trace)
	maps.Copy(over, made)
	e.rest, err = c.expect(ctx, p, rest, over, false)
	return e.rest, err
}

// original is the node of the graph that is not placed which makes the same value.
func (p *phase) original(n *graph.Node) *graph.Node {
	for _, v := range n.Outputs {
		if v != nil {
			if m := p.makers[v.Name]; m != nil {
				return m
			}
		}
	}
	return n
}

// rounded returns what the group makes where nothing in between is rounded; nil:
// not known.
func (e *expectation) rounded(ctx context.Context, c *Comparer, v *graph.Value) *graph.Tensor {
	if !e.known {
		e.wide, _ = wide(ctx, c.s.Table, e.nodes, e.in)
		e.known = true
	}
	if e.wide == nil {
		return nil
	}
	return e.wide.of(v)
}

// mixed judges a kernel that rounds what some of its operators make for others of them,
// and not what the rest do, or that unpacks blocks to the model's dtype: beside each way
// of doing so.
func (e *expectation) mixed(ctx context.Context, c *Comparer, v *graph.Value, k kernel) (bool, error) {
	ops := between(e.nodes)
	if k.wide == nil || !k.want.DType.IsFloat() || len(ops) > mostMixed {
		return false, nil
	}
	if e.forms == nil {
		e.forms = [][]*graph.Node{e.nodes}
		if nodes, ok := unpacked(ctx, e.nodes, e.in); ok {
			e.forms = append(e.forms, nodes)
		}
	}
	sets := 1 << len(ops)
	for i := range len(e.forms)*sets - 1 { // the first has been tried
		if i == len(e.mixes) {
			rounding := madeBy(e.nodes, ops, (i+1)%sets)
			e.mixes = append(e.mixes, mix(ctx, c.s.Table, e.forms[(i+1)/sets], e.in, rounding))
		}
		var ok bool
		if k.want, k.wide, ok = e.mixes[i].of(ctx, c.s.Table, v); !ok {
			continue
		}
		m, err := measure(k.got, k.want)
		if err != nil {
			return false, err
		}
		if k.right(m) {
			return true, nil
		}
	}
	return false, nil
}

// within finds the node of a wrong kernel that is wrong without the others.
func (c *Comparer) within(ctx context.Context, p *phase, nodes []*graph.Node, trace Trace) (*finding, error) {
	if len(nodes) == 1 {
		return &finding{nodes: nodes}, nil
	}
	var single [][]*graph.Node
	for _, n := range nodes {
		single = append(single, []*graph.Node{n})
	}
	at, err := c.firstWrong(ctx, p, single, trace)
	if err != nil {
		return nil, err
	}
	if at < 0 {
		return &finding{nodes: nodes, why: "each of the nodes that the kernel covers is right alone: the fault is in how they are fused"}, nil
	}
	return &finding{nodes: append([]*graph.Node{nodes[at]}, slices.Delete(slices.Clone(nodes), at, at+1)...)}, nil
}
