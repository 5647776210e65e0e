package compare

import (
	"context"
	"errors"
	"fmt"
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
	x, err := p.plan.Extract(groups, trace.symbols(p.graph))
	if err != nil {
		return -1, err
	}
	return c.judged(ctx, p, x, trace, c.s.Reference.Exact())
}

// judged runs an extract and returns its first group whose results are not what
// they should be, or -1. exact: what is traced is what the operators' definitions
// give.
func (c *Comparer) judged(ctx context.Context, p *phase, x *partition.Extract, trace Trace, exact bool) (int, error) {
	outs, err := c.runExtract(ctx, x, trace)
	if err != nil {
		return -1, err
	}
	of := map[*graph.Node]int{}
	for i, nodes := range x.Groups {
		for _, n := range nodes {
			of[n] = i
		}
	}
	first := -1
	expected := map[int]*expectation{}
	for i, v := range x.Out {
		at := of[v.Def]
		if first >= 0 && at >= first {
			continue
		}
		e := expected[at]
		if e == nil {
			if e, err = c.expect(ctx, p, x.Groups[at], trace, exact); err != nil {
				return -1, err
			}
			expected[at] = e
		}
		want := e.want.of(v)
		m, err := measure(outs[i], want)
		if errors.Is(err, graph.ErrType) {
			return at, nil
		}
		if err != nil {
			return -1, fmt.Errorf("value %q: %w", v.Name, err)
		}
		if m.equal {
			continue
		}
		k := kernel{nodes: e.nodes, depth: e.depth, got: outs[i], want: want, wide: e.rounded(ctx, c, v)}
		if k.right(m) {
			continue
		}
		if ok, err := e.mixed(ctx, c, v, k); err != nil {
			return -1, fmt.Errorf("value %q: %w", v.Name, err)
		} else if !ok {
			first = at
		}
	}
	return first, nil
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
