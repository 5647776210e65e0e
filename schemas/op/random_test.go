package op

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"

	"mnnconv/graph"
)

// TestRandomCalls gives every operator random inputs and attributes, most of
// them wrong. Nothing may panic; an error wraps a sentinel; what inference says
// of symbolic extents and elements holds for what evaluation computes.
func TestRandomCalls(t *testing.T) {
	table := All()
	for key, o := range table {
		t.Run(strings.TrimPrefix(o.Domain+"."+o.Name, "."), func(t *testing.T) {
			for seed := range 150 {
				r := &randomCall{Rand: rand.New(rand.NewSource(int64(seed))), env: graph.Env{}, facts: NewFacts(table)}
				n, in := r.node(table[key])
				what := fmt.Sprintf("seed %d", seed)
				inferred := r.facts.Node(n)
				out, err := table.Eval(context.Background(), n, in, func(*graph.Value) *graph.Tensor { return nil })
				for _, err := range []error{inferred, err} {
					if err != nil && !errors.Is(err, ErrInput) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, graph.ErrType) && !errors.Is(err, graph.ErrInvalid) {
						t.Errorf("%s: %v wraps no sentinel", what, err)
					}
				}
				if inferred != nil || err != nil {
					continue
				}
				for i, v := range n.Outputs {
					r.check(t, what, v, out[i])
				}
			}
		})
	}
}

// randomCall makes one call. Extents and elements are sometimes known as
// symbols, whose values are in env.
type randomCall struct {
	*rand.Rand
	env   graph.Env
	facts *Facts
}

func (r *randomCall) node(o *Op) (*graph.Node, []*graph.Tensor) {
	g := graph.New("random")
	inputs, outputs := len(o.Inputs), make([]string, len(o.Outputs))
	if inputs > 0 && strings.HasSuffix(o.Inputs[inputs-1], "...") {
		inputs += r.Intn(3) - 1
	}
	for i := range outputs {
		outputs[i] = fmt.Sprint("out", i)
	}
	values, in := make([]*graph.Value, inputs), make([]*graph.Tensor, inputs)
	for i := range in {
		optional := i < len(o.Inputs) && strings.HasSuffix(o.Inputs[i], "?")
		if optional && r.Intn(3) == 0 || r.Intn(50) == 0 {
			continue
		}
		in[i] = r.tensor()
		if i > 0 && in[0] != nil && r.Intn(3) == 0 {
			in[i] = in[0]
		}
		if o.Containers && r.Intn(2) == 0 {
			in[i] = &graph.Tensor{Kind: graph.Kind(1 + r.Intn(2)), Elems: []*graph.Tensor{in[i]}}
		}
		values[i] = g.NewInput(fmt.Sprint("in", i), in[i].Type())
		r.forget(i, values[i], in[i])
	}
	n := g.NewNode(o.Domain, o.Name, 1+r.Intn(24), values, outputs...)
	for _, a := range o.Attrs {
		if r.Intn(2) == 0 {
			n.SetAttr(a, r.attr())
		}
	}
	return n, in
}

func (r *randomCall) number() int64 {
	if r.Intn(60) == 0 {
		return []int64{math.MinInt64, math.MaxInt64, 1 << 40, -1 << 40}[r.Intn(4)]
	}
	return int64(r.Intn(7) - 2)
}

func (r *randomCall) tensor() *graph.Tensor {
	shape := make([]int64, r.Intn(5))
	n := 1
	for i := range shape {
		shape[i] = int64(r.Intn(4))
		n *= int(shape[i])
	}
	v := make([]int64, n)
	for i := range v {
		v[i] = r.number()
	}
	x := graph.Ints(v, shape...)
	d := []graph.DType{graph.Float32, graph.Float16, graph.BFloat16, graph.Float64, graph.Int32, graph.Uint8, graph.Bool, graph.String, graph.Int4}[r.Intn(9)]
	if r.Intn(2) == 0 {
		return x
	}
	y, err := graph.NewTensor(d, shape...)
	if err != nil {
		panic(err)
	}
	if !isReal(d) {
		copy(y.Data, x.Data)
		return y
	}
	f, err := x.Float32s()
	if err != nil {
		panic(err)
	}
	if err := y.SetFloat32s(f); err != nil {
		panic(err)
	}
	return y
}

func (r *randomCall) attr() any {
	words := []string{"add", "max", "reflect", "edge", "circular", "CRD", "ij,jk->ik", "SAME_UPPER", ""}
	switch r.Intn(6) {
	case 0:
		return words[r.Intn(len(words))]
	case 1:
		return r.Float32()
	case 2:
		return r.tensor()
	case 3:
		list := make([]int64, r.Intn(4))
		for i := range list {
			list[i] = r.number()
		}
		return list
	}
	return r.number()
}

// forget makes extents and elements symbols, or the whole input a constant.
func (r *randomCall) forget(i int, v *graph.Value, x *graph.Tensor) {
	if x.Kind != graph.TensorKind {
		return
	}
	sym := func(k int, what string, n int64) graph.Dim {
		name := fmt.Sprint(what, i, "_", k)
		r.env[name] = n
		return graph.Sym(name)
	}
	switch r.Intn(3) {
	case 0:
		for k, n := range x.Shape {
			v.Type.Shape[k] = sym(k, "extent", n)
		}
	case 1:
		v.Const = x
	default:
		if x.DType != graph.Int64 {
			return
		}
		ints, _ := x.Int64s()
		elems := dimsOf(ints)
		for k, n := range ints {
			if n > 0 && n < 1<<30 {
				elems[k] = sym(k, "element", n)
			}
		}
		r.facts.Know(v, elems)
	}
}

// check compares what inference says of a value with its tensor.
func (r *randomCall) check(t *testing.T, what string, v *graph.Value, got *graph.Tensor) {
	t.Helper()
	if v.Type.Kind != got.Kind || v.Type.DType.Valid() && v.Type.DType != got.DType {
		t.Errorf("%s: inferred %s, computed %s", what, v.Type, got.Type())
		return
	}
	if v.Type.Shape.Ranked() {
		if len(v.Type.Shape) != len(got.Shape) {
			t.Errorf("%s: inferred %s, computed %s", what, v.Type, got.Type())
			return
		}
		for i, d := range v.Type.Shape {
			if n, err := d.Eval(r.env); err == nil && n != got.Shape[i] {
				t.Errorf("%s: inferred %s with %v, computed %s", what, v.Type, r.env, got.Type())
			}
		}
	}
	elems, ok := r.facts.Elements(v)
	if !ok {
		return
	}
	ints, err := got.Int64s()
	if err != nil || len(ints) != len(elems) {
		t.Errorf("%s: shape arithmetic gives %v, computed %s", what, elems, got.Type())
		return
	}
	for i, d := range elems {
		if n, err := d.Eval(r.env); err == nil && n != ints[i] {
			t.Errorf("%s: shape arithmetic gives %v with %v, computed %v", what, elems, r.env, ints)
		}
	}
}
