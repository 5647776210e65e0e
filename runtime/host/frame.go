package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// Frame is a program laid out for one set of input shapes. It is used by one
// run at a time.
type Frame struct {
	p       *Program
	tensors []*graph.Tensor // by slot
	steps   []step
	outer   func(*graph.Value) *graph.Tensor
	times   []Span // of each group in the last run; nil: not wanted
}

// Span is when something ran. It is zero for what did not.
type Span struct{ Start, End time.Time }

type step struct {
	group  *Group
	call   Call
	static bool // the outputs' shapes are fixed and allocated
}

// Place gives a value of the program memory of at least size bytes in the
// device's memory, or nil where the plan has none for it: then the frame allocates.
type Place func(v *graph.Value, size int64) ([]byte, error)

// Frame lays the program out for inputs of the given tensors' shapes, aligned
// with the values it was compiled with. Their Data is bound for all runs.
func (p *Program) Frame(in []*graph.Tensor, pool *Pool, place Place) (*Frame, error) {
	f := &Frame{p: p, tensors: make([]*graph.Tensor, len(p.values))}
	copy(f.tensors, p.consts)
	f.outer = func(v *graph.Value) *graph.Tensor { return f.tensors[p.slot[v]] }
	env := graph.Env{}
	for i, v := range p.in {
		if err := env.Bind(v, in[i]); err != nil {
			return nil, err
		}
		t := *in[i]
		f.tensors[i] = &t
	}
	for i := range p.groups {
		g := &p.groups[i]
		st := step{group: g, static: true}
		for _, v := range g.In {
			if v != nil && f.tensors[p.slot[v]] == nil {
				st.static = false // reads something that only running shapes
			}
		}
		outs := make([]*graph.Tensor, len(g.Out))
		for j, v := range g.Out {
			if v == nil || !st.static {
				continue
			}
			t, err := shaped(v, env)
			if err != nil {
				st.static = false
				break
			}
			outs[j] = t
		}
		for j, v := range g.Out {
			if v == nil || !st.static {
				continue
			}
			f.tensors[p.slot[v]] = outs[j]
			if j == 0 && (g.View || g.InPlace) {
				continue
			}
			var err error
			if outs[j].Data, err = placed(v, outs[j], place); err != nil {
				return nil, err
			}
		}
		f.steps = append(f.steps, st)
	}
	scratch := new([]uint8)
	for i := range f.steps {
		st := &f.steps[i]
		st.call.Pool, st.call.scratch = pool, scratch
		st.call.In = make([]*graph.Tensor, len(st.group.In))
		st.call.Out = make([]*graph.Tensor, len(st.group.Out))
	}
	f.link()
	return f, nil
}

// placed returns the memory of a value of known shape.
func placed(v *graph.Value, t *graph.Tensor, place Place) ([]byte, error) {
	size, ok := t.DType.Bytes(int64(t.Len()))
	if !ok {
		return nil, fmt.Errorf("value %q: %s has no size", v.Name, t.Type())
	}
	mem, err := place(v, size)
	if err != nil {
		return nil, err
	}
	if mem == nil {
		mem = make([]byte, size)
	}
	return mem[:size:size], nil
}

func shaped(v *graph.Value, env graph.Env) (*graph.Tensor, error) {
	if v.Type.Kind != graph.TensorKind || v.Type.DType == graph.String || !v.Type.Shape.Ranked() {
		return nil, fmt.Errorf("value %q has no fixed shape", v.Name)
	}
	shape, err := v.Type.Shape.Eval(env)
	if err != nil {
		return nil, err
	}
	n, err := graph.Elements(shape)
	if err != nil {
		return nil, err
	}
	if n > graph.MaxElements {
		return nil, fmt.Errorf("value %q: shape %v has more than %d elements", v.Name, shape, int64(graph.MaxElements))
	}
	return &graph.Tensor{DType: v.Type.DType, Shape: shape}, nil
}

// Out returns output i after a run: where it was placed, an input or a constant,
// or memory of its own where the shape depended on data.
func (f *Frame) Out(i int) *graph.Tensor { return f.tensors[f.p.slot[f.p.out[i]]] }

// link resolves tensors of static steps once, so that running does not.
func (f *Frame) link() {
	for i := range f.steps {
		st := &f.steps[i]
		for j, v := range st.group.In {
			if v != nil {
				st.call.In[j] = f.tensors[f.p.slot[v]]
			}
		}
		for j, v := range st.group.Out {
			if v != nil {
				st.call.Out[j] = f.tensors[f.p.slot[v]]
			}
		}
	}
}

// Run executes the steps in order. The context is looked at before each one.
func (f *Frame) Run(ctx context.Context) error {
	for i := range f.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		st := &f.steps[i]
		if f.times != nil {
			f.times[i] = Span{Start: time.Now()}
		}
		if err := f.run(ctx, st); err != nil {
			return located(st.group.Nodes[len(st.group.Nodes)-1], err)
		}
		if f.times != nil {
			f.times[i].End = time.Now()
		}
	}
	return nil
}

// Time has the runs that follow note when each group ran.
func (f *Frame) Time() { f.times = make([]Span, len(f.steps)) }

// Times returns when the groups ran last, views left out as they do nothing, or
// nothing where [Frame.Time] did not ask for it.
func (f *Frame) Times(yield func(group int, at Span)) {
	for i, t := range f.times {
		if !f.steps[i].group.View && !t.End.IsZero() {
			yield(i, t)
		}
	}
}

func (f *Frame) run(ctx context.Context, st *step) error {
	g := st.group
	c := &st.call
	c.Ctx = ctx
	if !st.static {
		return f.dynamic(ctx, st)
	}
	if g.View || g.InPlace {
		c.Out[0].Data = c.In[0].Data
	}
	if g.View {
		return nil
	}
	if g.Kernel != nil {
		return g.Kernel(c)
	}
	// The reference allocates its own outputs; they move into the arena, so that
	// later kernels find them where they were laid out.
	outs, err := f.p.table.Eval(ctx, g.Nodes[0], c.In, f.outer)
	if err != nil {
		return err
	}
	for j, t := range outs {
		if c.Out[j] == nil {
			continue
		}
		if len(t.Data) != len(c.Out[j].Data) || !equal(t.Shape, c.Out[j].Shape) {
			return fmt.Errorf("%w: output %q was inferred as %s and came out as %s", graph.ErrType, g.Out[j].Name, c.Out[j].Type(), t.Type())
		}
		copy(c.Out[j].Data, t.Data)
	}
	return nil
}

// located puts a node before an error, unless it is there: kernels do not name theirs,
// operators' definitions do.
func located(n *graph.Node, err error) error {
	if at := n.ID() + ": "; !strings.HasPrefix(err.Error(), at) {
		return fmt.Errorf("%s%w", at, err)
	}
	return err
}

// dynamic runs a step whose shapes only its inputs' data tell: with the fast
// kernel if type inference over the concrete inputs gives the output shapes,
// else with the reference.
func (f *Frame) dynamic(ctx context.Context, st *step) error {
	g, p := st.group, f.p
	in := make([]*graph.Tensor, len(g.In))
	for j, v := range g.In {
		if v != nil {
			if in[j] = f.tensors[p.slot[v]]; in[j] == nil {
				return fmt.Errorf("%w: value %q has not been computed", graph.ErrInvalid, v.Name)
			}
		}
	}
	if g.Kernel != nil && len(g.Nodes) == 1 && !g.InPlace {
		if outs, ok := p.inferConcrete(g.Nodes[0], in); ok {
			for j, v := range g.Out {
				if v != nil {
					f.tensors[p.slot[v]] = outs[j]
				}
			}
			return g.Kernel(&Call{Ctx: ctx, Pool: st.call.Pool, In: in, Out: outs})
		}
	}
	for _, n := range g.Nodes { // a fused group: node by node
		args := make([]*graph.Tensor, len(n.Inputs))
		for j, v := range n.Inputs {
			if v != nil {
				args[j] = f.outer(v)
			}
		}
		outs, err := p.table.Eval(ctx, n, args, f.outer)
		if err != nil {
			return err
		}
		for j, v := range n.Outputs {
			if v != nil {
				f.tensors[p.slot[v]] = kept(n, args, outs[j])
			}
		}
	}
	return nil
}

// inferConcrete returns allocated outputs for concrete inputs.
func (p *Program) inferConcrete(n *graph.Node, in []*graph.Tensor) ([]*graph.Tensor, bool) {
	g := graph.New("step")
	m := *n
	m.Inputs = make([]*graph.Value, len(in))
	for i, t := range in {
		if t == nil {
			continue
		}
		m.Inputs[i] = g.NewInput("", t.Type())
		if t.Kind == graph.TensorKind && t.DType.IsInt() && t.Len() <= 64 {
			m.Inputs[i].Const = t
		}
	}
	m.Outputs = make([]*graph.Value, len(n.Outputs))
	for i, v := range n.Outputs {
		if v != nil {
			m.Outputs[i] = g.NewValue(v.Name, graph.Type{})
		}
	}
	if op.NewFacts(p.table).Node(&m) != nil {
		return nil, false
	}
	outs := make([]*graph.Tensor, len(n.Outputs))
	for i, v := range m.Outputs {
		if v == nil {
			continue
		}
		shape, ok := v.Type.Shape.Ints()
		if !ok || v.Type.Kind != graph.TensorKind {
			return nil, false
		}
		t, err := graph.NewTensor(v.Type.DType, shape...)
		if err != nil {
			return nil, false
		}
		outs[i] = t
	}
	return outs, true
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
