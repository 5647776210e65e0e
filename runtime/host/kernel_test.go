package host

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

var floatTypes = []graph.DType{graph.Float32, graph.Float16, graph.BFloat16}

// Tolerances, relative to the largest number of the output: sums in another
// order, or one rounding more of a narrow type.
var tolerance = map[graph.DType]float64{graph.Float32: 3e-6, graph.Float16: 2e-3, graph.BFloat16: 1.6e-2}

// random returns a tensor of numbers between -2 and 2.
func random(r *rand.Rand, d graph.DType, shape ...int64) *graph.Tensor {
	t, err := graph.NewTensor(d, shape...)
	if err != nil {
		panic(err)
	}
	v := make([]float32, t.Len())
	for i := range v {
		v[i] = 4*r.Float32() - 2
	}
	if err := t.SetFloat32s(v); err != nil {
		panic(err)
	}
	return t
}

func ints(v ...int64) *graph.Tensor { return graph.Ints(v) }

// nodeOf returns a graph of one node, whose inputs have the types of these
// tensors; nil ones are absent.
func nodeOf(domain, name string, in []*graph.Tensor, outs int, attrs ...graph.Attr) *graph.Graph {
	g := graph.New("trial")
	ins := make([]*graph.Value, len(in))
	for i, x := range in {
		if x != nil {
			ins[i] = g.NewInput(fmt.Sprintf("in%d", i), x.Type())
		}
	}
	addNode(g, domain, name, ins, outs, attrs...)
	return g
}

// versionOf is the opset version of a domain that nodes of these tests are of.
func versionOf(domain string) int {
	if domain != "" {
		return 1
	}
	return 24
}

// addNode appends a node, and makes its outputs those of the graph.
func addNode(g *graph.Graph, domain, name string, ins []*graph.Value, outs int, attrs ...graph.Attr) *graph.Node {
	names := make([]string, outs)
	for i := range names {
		names[i] = fmt.Sprintf("out%d.%d", len(g.Nodes), i)
	}
	n := g.NewNode(domain, name, versionOf(domain), ins, names...)
	n.Attrs = attrs
	g.Append(n)
	g.Outputs = n.Outputs
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		panic(err)
	}
	return n
}

// differ runs the one kernel that must cover all nodes of g, and fails where
// its outputs differ from the reference's by more than tol, where it writes
// beside them, or changes an input. in is aligned with g.Inputs.
func differ(t *testing.T, g *graph.Graph, in []*graph.Tensor, tol float64) []*graph.Tensor {
	t.Helper()
	in = slices.DeleteFunc(slices.Clone(in), func(x *graph.Tensor) bool { return x == nil })
	want, err := op.All().Run(context.Background(), g, in, nil)
	if err != nil {
		t.Fatalf("reference: %v", err)
	}
	groups := Lower(g, Math{})
	if len(groups) != 1 || groups[0].Kernel == nil {
		t.Fatalf("no kernel covers %s", g.Nodes[len(g.Nodes)-1].ID())
	}
	tensors := map[*graph.Value]*graph.Tensor{}
	before := make([][]byte, len(in))
	for i, v := range g.Inputs {
		tensors[v] = in[i]
		before[i] = bytes.Clone(in[i].Data)
	}
	c, guards := call(groups[0], tensors, want)
	pool := NewPool(3)
	defer pool.Close()
	for _, p := range []*Pool{nil, pool} {
		c.Pool = p
		for _, b := range guards {
			for i := range b {
				b[i] = 0xa5
			}
		}
		if err := groups[0].Kernel(c); err != nil {
			t.Fatalf("%s: %v", groups[0].Name, err)
		}
		for i, w := range want {
			if err := near(c.Out[i], w, tol, 0); err != nil {
				t.Fatalf("%s, output %d of %s: %v", groups[0].Name, i, w.Type(), err)
			}
			b := guards[i]
			if k := len(w.Data); bytes.Count(b[:guard], []byte{0xa5}) != guard || bytes.Count(b[guard+k:], []byte{0xa5}) != guard {
				t.Fatalf("%s writes beside output %d of %s", groups[0].Name, i, w.Type())
			}
		}
	}
	for i := range in {
		if !bytes.Equal(before[i], in[i].Data) {
			t.Fatalf("%s changes input %d", groups[0].Name, i)
		}
	}
	return c.Out
}

const guard = 64

// call prepares a call of a group's kernel with outputs like want, each in the
// middle of a guarded stretch.
func call(g Group, tensors map[*graph.Value]*graph.Tensor, want []*graph.Tensor) (*Call, [][]byte) {
	c := &Call{Ctx: context.Background()}
	for _, v := range g.In {
		x := tensors[v]
		if x == nil && v != nil {
			x = v.Const
		}
		c.In = append(c.In, x)
	}
	var guards [][]byte
	for _, w := range want {
		b := make([]byte, len(w.Data)+2*guard)
		guards = append(guards, b)
		c.Out = append(c.Out, &graph.Tensor{DType: w.DType, Shape: w.Shape, Data: b[guard : guard+len(w.Data) : guard+len(w.Data)]})
	}
	return c, guards
}

// near compares an output with the reference's: by bounds relative to the largest number
// and absolute, or, where both are 0, by bytes.
func near(got, want *graph.Tensor, relative, absolute float64) error {
	if relative == 0 && absolute == 0 {
		if !bytes.Equal(got.Data, want.Data) {
			return fmt.Errorf("bytes differ from the reference's")
		}
		return nil
	}
	g, err := got.Float32s()
	if err != nil {
		return err
	}
	w, _ := want.Float32s()
	largest := 0.0
	for _, v := range w {
		if a := math.Abs(float64(v)); a > largest && !math.IsInf(a, 0) {
			largest = a
		}
	}
	for i := range w {
		d := math.Abs(float64(g[i]) - float64(w[i]))
		if nan := g[i] != g[i] && w[i] != w[i]; !(d <= relative*largest+absolute) && g[i] != w[i] && !nan {
			return fmt.Errorf("element %d: got %v, want %v", i, g[i], w[i])
		}
	}
	return nil
}

// bench runs a group's kernel with all processors and returns the time of one
// call in nanoseconds.
func bench(b *testing.B, g *graph.Graph, in []*graph.Tensor) float64 {
	in = slices.DeleteFunc(slices.Clone(in), func(x *graph.Tensor) bool { return x == nil })
	groups := Lower(g, Math{})
	if len(groups) != 1 || groups[0].Kernel == nil {
		b.Fatalf("no kernel covers %s", g.Nodes[len(g.Nodes)-1].ID())
	}
	tensors := map[*graph.Value]*graph.Tensor{}
	for i, v := range g.Inputs {
		tensors[v] = in[i]
	}
	var outs []*graph.Tensor
	for _, v := range g.Outputs {
		shape, _ := v.Type.Shape.Ints()
		t, err := graph.NewTensor(v.Type.DType, shape...)
		if err != nil {
			b.Fatal(err)
		}
		outs = append(outs, t)
	}
	c, _ := call(groups[0], tensors, outs)
	c.Pool = NewPool(0)
	defer c.Pool.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := groups[0].Kernel(c); err != nil {
			b.Fatal(err)
		}
	}
	return float64(b.Elapsed().Nanoseconds()) / float64(b.N)
}

// Every operator's cases with known answers, where a kernel takes them.
func TestKernelsAnswerTheCases(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	taken := map[string]bool{}
	for _, o := range op.All() {
		for _, k := range o.Cases() {
			if len(k.Bodies) > 0 || slices.ContainsFunc(slices.Concat(k.In, k.Want), func(x *graph.Tensor) bool {
				return x != nil && (x.Kind != graph.TensorKind || x.DType == graph.String)
			}) {
				continue
			}
			if k.Version != 0 && k.Version != versionOf(o.Domain) {
				continue
			}
			g := nodeOf(o.Domain, o.Name, k.In, len(k.Want), k.Attrs...)
			for i, w := range k.Want {
				if w == nil {
					g.Nodes[0].Outputs[i] = nil
				}
			}
			group := Lower(g, Math{})[0]
			if group.Kernel == nil {
				continue
			}
			var outs []*graph.Tensor
			for _, w := range k.Want {
				if w != nil {
					w = filled(r, w.DType, w.Shape...)
				}
				outs = append(outs, w)
			}
			if group.InPlace {
				copy(outs[0].Data, k.In[0].Data)
			}
			c := &Call{Ctx: context.Background(), In: k.In, Out: outs}
			if err := group.Kernel(c); err != nil {
				t.Errorf("%s, %s: %v", o.Name, k.Name, err)
				continue
			}
			taken[o.Name] = true
			for i, w := range k.Want {
				if w != nil {
					if err := near(outs[i], w, max(k.Tol, 1e-6), 0); err != nil {
						t.Errorf("%s, %s: output %d: %v", o.Name, k.Name, i, err)
					}
				}
			}
		}
	}
	if len(taken) < 30 {
		t.Errorf("kernels took cases of %d operators only", len(taken))
	}
}

// No kernel allocates once its scratch has grown.
func TestKernelsDoNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	half := func(shape ...int64) *graph.Tensor { return random(r, graph.Float16, shape...) }
	x, tokens, wide := half(1, 2, 300, 64), half(300, 2, 64), half(300, 128)
	pool := NewPool(2)
	defer pool.Close()
	for _, k := range []struct {
		domain, name string
		in           []*graph.Tensor
		attrs        []graph.Attr
	}{
		{"", "RMSNormalization", []*graph.Tensor{wide, half(128)}, nil},
		{"", "LayerNormalization", []*graph.Tensor{wide, half(128), half(128)}, nil},
		{"", "Attention", []*graph.Tensor{x, x, x, nil, nil, nil, ints(290)}, []graph.Attr{flag("is_causal", 1)}},
		{op.Mnnconv, "SegmentedAttention", []*graph.Tensor{tokens, tokens, tokens, ints(0, 64, 300)}, nil},
		{"", "Add", []*graph.Tensor{wide, half(128)}, nil},
		{"", "Swish", []*graph.Tensor{wide}, nil},
		{"", "Cast", []*graph.Tensor{wide}, []graph.Attr{flag("to", int64(graph.Float32))}},
		{"", "Softmax", []*graph.Tensor{wide}, nil},
		{"", "RotaryEmbedding", []*graph.Tensor{x, half(1, 300, 32), half(1, 300, 32)}, nil},
		{"", "Transpose", []*graph.Tensor{x}, []graph.Attr{{Name: "perm", Value: []int64{0, 2, 1, 3}}}},
		{"", "Concat", []*graph.Tensor{x, x}, []graph.Attr{flag("axis", -1)}},
		{"", "Gather", []*graph.Tensor{wide, ints(3, 1)}, nil},
		{"", "ScatterND", []*graph.Tensor{wide, ints(3).Reshape(1, 1), half(1, 128)}, nil},
	} {
		g := nodeOf(k.domain, k.name, k.in, 1, k.attrs...)
		in := slices.DeleteFunc(k.in, func(x *graph.Tensor) bool { return x == nil })
		tensors := map[*graph.Value]*graph.Tensor{}
		for i, v := range g.Inputs {
			tensors[v] = in[i]
		}
		want, err := op.All().Run(context.Background(), g, in, nil)
		if err != nil {
			t.Fatal(err)
		}
		group := Lower(g, Math{})[0]
		c, _ := call(group, tensors, want)
		c.Pool = pool
		n := testing.AllocsPerRun(50, func() { err = group.Kernel(c) })
		if n >= 1 || err != nil { // a worker's scratch may grow on a later call, once
			t.Errorf("%s: %v allocations a call, %v", group.Name, n, err)
		}
	}
}
