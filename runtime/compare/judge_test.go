package compare

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// narrowed is a tensor of the numbers rounded to a dtype.
func narrowed(t *testing.T, d graph.DType, v []float32, shape ...int64) *graph.Tensor {
	t.Helper()
	out, err := graph.NewTensor(d, shape...)
	if err == nil {
		err = out.SetFloat32s(v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// judgedBy says how a kernel is judged that makes got of value v of the nodes, whose
// reference is in a trace: as one that rounds everywhere or nowhere, and as one that does
// so at some of its nodes.
func judgedBy(t *testing.T, nodes []*graph.Node, trace Trace, depth int, v *graph.Value, got *graph.Tensor) (right, mixed bool) {
	t.Helper()
	e := &expectation{nodes: nodes, in: trace, want: trace, depth: depth}
	comparer := &Comparer{s: Setup{Table: op.All()}}
	k := kernel{nodes: nodes, depth: depth, got: got, want: trace.of(v), wide: e.rounded(t.Context(), comparer, v)}
	m, err := measure(k.got, k.want)
	if err != nil {
		t.Fatal(err)
	}
	if mixed, err = e.mixed(t.Context(), comparer, v, k); err != nil {
		t.Fatal(err)
	}
	return k.right(m), mixed
}

func TestMeasure(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name      string
		got, want []float32
		figures   Figures
	}{
		{"equal", []float32{1, 2}, []float32{1, 2}, Figures{Cosine: 1}},
		{"zeros", []float32{0, 0}, []float32{0, 0}, Figures{Cosine: 1}},
		{"off", []float32{1, 4}, []float32{2, 2}, Figures{Max: 2, Mean: 1.5, Relative: 1, Cosine: 5 / math.Sqrt(34), ULP: 0x1p23}},
		{"nothing", []float32{0, 0}, []float32{3, 4}, Figures{Max: 4, Mean: 3.5, Relative: 1, ULP: 0x1.8p23}},
		{"not numbers", []float32{nan, inf, nan, 1}, []float32{nan, -inf, 1, 1}, Figures{Cosine: 1, NaN: 1, Inf: 1}},
	} {
		m, err := measure(graph.Floats(c.got), graph.Floats(c.want))
		if err != nil {
			t.Fatal(err)
		}
		m.Cosine, c.figures.Cosine = math.Round(m.Cosine*1e9), math.Round(c.figures.Cosine*1e9)
		if m.Figures != c.figures {
			t.Errorf("%s: %+v, want %+v", c.name, m.Figures, c.figures)
		}
	}
	if _, err := measure(graph.Floats([]float32{1}), graph.Ints([]int64{1})); err == nil {
		t.Error("two dtypes were compared")
	}
}

func TestSpacing(t *testing.T) {
	for _, c := range []struct {
		d    graph.DType
		x    float64
		want float64
	}{
		{graph.Float16, 1, 0x1p-10}, {graph.Float16, 1.99, 0x1p-10}, {graph.Float16, -2, 0x1p-9}, {graph.Float16, 0, 0x1p-24}, {graph.Float16, 1e-6, 0x1p-24},
		{graph.Float32, 1, 0x1p-23}, {graph.BFloat16, 1, 0x1p-7}, {graph.Float64, 3, 0x1p-51}, {graph.Int64, 5, 1},
	} {
		if got := spacing(c.d)(c.x); got != c.want {
			t.Errorf("%s near %g: %g, want %g", c.d, c.x, got, c.want)
		}
	}
}

func TestBoundary(t *testing.T) {
	want := []float32{1, -2, 3, 100}
	for _, c := range []struct {
		d     graph.DType
		off   float32 // of the last element
		depth int
		ok    bool
	}{
		{graph.Float32, 0.005, 1, true}, {graph.Float32, 0.05, 1, false}, {graph.Float32, 0.05, 100, true},
		{graph.Float16, 0.0625, 1, true}, {graph.Float16, 2, 1, false}, {graph.Float32, float32(math.NaN()), 1 << 20, false},
	} {
		got := append([]float32{}, want...)
		got[3] += c.off
		m, err := measure(narrowed(t, c.d, got, 4), narrowed(t, c.d, want, 4))
		if err != nil {
			t.Fatal(err)
		}
		if tolerance, ok := boundary(c.d, m, c.depth); ok != c.ok {
			t.Errorf("%s off by %g at depth %d: %t within %g (%+v)", c.d, c.off, c.depth, ok, tolerance, m.Figures)
		}
	}
	m, err := measure(graph.Ints([]int64{1, 2}), graph.Ints([]int64{1, 3}))
	if _, ok := boundary(graph.Int64, m, 1<<20); ok || err != nil {
		t.Error("integers have a tolerance")
	}
}

// TestKernelRight multiplies matrices in honest and in less honest ways.
func TestKernelRight(t *testing.T) {
	const rows, k, cols = 24, 96, 64
	r := rand.New(rand.NewPCG(1, 2))
	numbers := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	a, b := numbers(rows*k), numbers(k*cols)
	for _, d := range []graph.DType{graph.Float32, graph.Float16, graph.BFloat16} {
		g := graph.New("product")
		x := g.NewInput("x", graph.TensorOf(d, rows, k))
		w := g.NewInput("w", graph.TensorOf(d, k, cols))
		n := g.NewNode("", "MatMul", 13, []*graph.Value{x, w}, "y")
		g.Append(n)
		in := Trace{"x": narrowed(t, d, a, rows, k), "w": narrowed(t, d, b, k, cols)}
		trace, err := Plain{op.All()}.Run(context.Background(), g, in)
		if err != nil {
			t.Fatal(err)
		}
		exact, ok := wide(context.Background(), op.All(), g.Nodes, trace)
		if !ok {
			t.Fatal("MatMul is not defined on wide floats")
		}
		p, _ := in["x"].Float32s()
		q, _ := in["w"].Float32s()
		for _, c := range []struct {
			name string
			sum  func(v []float32) float32 // of the products
			ok   map[graph.DType]bool      // nil: on every dtype
		}{
			{"backwards", func(v []float32) (s float32) {
				for i := range v {
					s += v[len(v)-1-i]
				}
				return s
			}, nil},
			{"in four parts", func(v []float32) float32 {
				var s [4]float32
				for i, x := range v {
					s[i%4] += x
				}
				return s[0] + s[1] + (s[2] + s[3])
			}, nil},
			{"in float16", func(v []float32) (s float32) {
				for _, x := range v {
					s = graph.F16ToF32(graph.F32ToF16(s + x))
				}
				return s
			}, map[graph.DType]bool{}},
			{"without the last", func(v []float32) (s float32) {
				for _, x := range v[:len(v)-1] {
					s += x
				}
				return s
			}, map[graph.DType]bool{}},
			{"1.0001 times too large", func(v []float32) (s float32) {
				for _, x := range v {
					s += x
				}
				return s * 1.0001
			}, map[graph.DType]bool{}},
		} {
			y := make([]float32, rows*cols)
			products := make([]float32, k)
			for i := range y {
				for j := range products {
					products[j] = p[i/cols*k+j] * q[j*cols+i%cols]
				}
				y[i] = c.sum(products)
			}
			got := narrowed(t, d, y, rows, cols)
			m, err := measure(got, trace["y"])
			if err != nil {
				t.Fatal(err)
			}
			want := c.ok == nil || c.ok[d]
			if right := (kernel{nodes: g.Nodes, depth: k, got: got, want: trace["y"], wide: exact["y"]}).right(m); right != want {
				t.Errorf("%s of %s: right is %t, want %t: %+v", c.name, d, right, want, m.Figures)
			}
		}
	}
}

// TestKernelLocal: a product of two numbers loses nothing to larger ones beside it.
func TestKernelLocal(t *testing.T) {
	g := graph.New("local")
	x := g.NewInput("x", graph.TensorOf(graph.Float16, 64, 8))
	f := g.NewInput("f", graph.TensorOf(graph.Float16, 8))
	g.Append(g.NewNode("", "Mul", 14, []*graph.Value{x, f}, "y"))
	positions, small := make([]float32, 64*8), []float32{1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003}
	for i := range positions {
		positions[i] = float32(i / 8)
	}
	in := Trace{"x": narrowed(t, graph.Float16, positions, 64, 8), "f": narrowed(t, graph.Float16, small, 8)}
	trace, err := Plain{op.All()}.Run(context.Background(), g, in)
	if err != nil {
		t.Fatal(err)
	}
	exact, _ := wide(context.Background(), op.All(), g.Nodes, trace)
	for factor, want := range map[float32]bool{1: true, 1.01: false} {
		y, err := exact["y"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i := 7; i < len(y); i += 8 { // the smallest of each row
			y[i] *= factor
		}
		got := narrowed(t, graph.Float16, y, 64, 8)
		m, err := measure(got, trace["y"])
		if err != nil {
			t.Fatal(err)
		}
		if right := (kernel{nodes: g.Nodes, depth: 1, got: got, want: trace["y"], wide: exact["y"]}).right(m); right != want {
			t.Errorf("times %g: right is %t: %+v", factor, right, m.Figures)
		}
	}
}

// TestKernelMixed normalises as the definition does, rounds that, and adds the bias to
// the product before it is rounded, once with honest and then with other numbers.
func TestKernelMixed(t *testing.T) {
	const rows, k, cols = 24, 64, 48
	r := rand.New(rand.NewPCG(3, 4))
	numbers := func(n int, scale float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64() * scale)
		}
		return v
	}
	for _, d := range []graph.DType{graph.Float16, graph.BFloat16} {
		g := graph.New("mixed")
		x := g.NewInput("x", graph.TensorOf(d, rows, k))
		gain := g.NewInput("gain", graph.TensorOf(d, k))
		w := g.NewInput("w", graph.TensorOf(d, k, cols))
		bias := g.NewInput("bias", graph.TensorOf(d, cols))
		norm := g.NewNode("", "RMSNormalization", 23, []*graph.Value{x, gain}, "norm")
		product := g.NewNode("", "MatMul", 13, []*graph.Value{norm.Outputs[0], w}, "product")
		sum := g.NewNode("", "Add", 14, []*graph.Value{product.Outputs[0], bias}, "y")
		g.Append(norm, product, sum)
		if err := op.NewFacts(op.All()).Graph(g); err != nil {
			t.Fatal(err)
		}
		trace, err := Plain{op.All()}.Run(t.Context(), g, Trace{"x": narrowed(t, d, numbers(rows*k, 1), rows, k), "gain": narrowed(t, d, numbers(k, 1), k),
			"w": narrowed(t, d, numbers(k*cols, 0.1), k, cols), "bias": narrowed(t, d, numbers(cols, 1), cols)})
		if err != nil {
			t.Fatal(err)
		}
		var a, b, c []float32
		for name, to := range map[string]*[]float32{"norm": &a, "w": &b, "bias": &c} {
			if *to, err = trace[name].Float32s(); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			name         string
			factor, bias float32
			last         int // products that are added
			ok           bool
		}{
			{"honest", 1, 1, k, true}, {"0.2 % too large", 1.002, 1, k, false}, {"a bias that is not added", 1, 0, k, false}, {"without the last product", 1, 1, k - 1, false},
		} {
			y := make([]float32, rows*cols)
			for i := range y {
				for j := range test.last {
					y[i] += a[i/cols*k+j] * b[j*cols+i%cols]
				}
				y[i] = y[i]*test.factor + c[i%cols]*test.bias
			}
			right, mixed := judgedBy(t, g.Nodes, trace, k, sum.Outputs[0], narrowed(t, d, y, rows, cols))
			if right {
				t.Errorf("%s of %s: it is taken for one that rounds everywhere, or nowhere", test.name, d)
			}
			if mixed != test.ok {
				t.Errorf("%s of %s: right is %t, want %t", test.name, d, mixed, test.ok)
			}
		}
	}
}

// Codes may be off by one, and by what the floats they are of may be off.
func TestBoundaryOfCodes(t *testing.T) {
	g := graph.New("codes")
	kind := func(d graph.DType, width int64) graph.Type {
		return graph.Type{DType: d, Shape: graph.Shape{graph.Const(1), graph.Const(1), graph.Const(2), graph.Const(width)}}
	}
	x, by, state := g.NewInput("x", kind(graph.Float16, 64)), g.NewInput("by", kind(graph.Float32, 1)), g.NewInput("state", kind(graph.Int8, 64))
	wide := g.NewNode("", "Cast", 24, []*graph.Value{x}, "wide").Outputs[0]
	q := g.NewNode("", "QuantizeLinear", 24, []*graph.Value{wide, by}, "q").Outputs[0]
	out := g.NewNode("", "TensorScatter", 24, []*graph.Value{state, q}, "out").Outputs[0]
	out.Type = state.Type
	p := &phase{depth: map[string]int{}}
	for off, want := range map[float64]bool{0: true, 1: true, 4: false} {
		m := measured{Figures: Figures{Max: off, Cosine: 1}, scale: 127}
		if tolerance, ok := p.boundary(out, m, nil); ok != want {
			t.Errorf("%g off, within %g: %v", off, tolerance, ok)
		}
	}
	if _, ok := p.boundary(state, measured{Figures: Figures{Max: 1, Cosine: 1}, scale: 127}, nil); ok {
		t.Error("other integers may be off too")
	}
}

// TestKernelUnpacks multiplies with blocks of codes whose numbers are rounded before, as
// they are honestly, and as they are not.
func TestKernelUnpacks(t *testing.T) {
	const rows, k, cols, block = 24, 64, 48, 32
	const d = graph.Float16
	r := rand.New(rand.NewPCG(5, 6))
	numbers := func(n int, scale, middle float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(middle + r.NormFloat64()*scale)
		}
		return v
	}
	codes := &graph.Tensor{DType: graph.Uint8, Shape: []int64{cols, k / block, block / 2}, Data: make([]byte, cols*k/2)}
	for i := range codes.Data {
		codes.Data[i] = byte(r.Uint32())
	}
	g := graph.New("blocks")
	x := g.NewInput("x", graph.TensorOf(d, rows, k))
	n := g.NewNode(op.Microsoft, "MatMulNBits", 1, []*graph.Value{x, g.NewConst("codes", codes), g.NewConst("scales", narrowed(t, d, numbers(cols*k/block, 0.002, 0.01), cols*k/block))}, "y")
	for name, v := range map[string]int64{"K": k, "N": cols, "bits": 4, "block_size": block} {
		n.SetAttr(name, v)
	}
	g.Append(n)
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	trace, err := Plain{op.All()}.Run(t.Context(), g, Trace{"x": narrowed(t, d, numbers(rows*k, 1, 0), rows, k)})
	if err != nil {
		t.Fatal(err)
	}
	w, err := op.UnpackNBits(t.Context(), n, []*graph.Tensor{nil, n.Inputs[1].Const, n.Inputs[2].Const})
	if err != nil {
		t.Fatal(err)
	}
	a, err := trace["x"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		to   func(float32) float32
		ok   bool
	}{
		{"as float16", func(x float32) float32 { return graph.F16ToF32(graph.F32ToF16(x)) }, true},
		{"as bfloat16", func(x float32) float32 { return math.Float32frombits(uint32(graph.F32ToBF16(x)) << 16) }, false},
		{"0.1 % too large", func(x float32) float32 { return graph.F16ToF32(graph.F32ToF16(x * 1.001)) }, false},
	} {
		y := make([]float32, rows*cols)
		for i := range y {
			for j := range k {
				y[i] += a[i/cols*k+j] * test.to(graph.View[float32](w)[j*cols+i%cols])
			}
		}
		right, mixed := judgedBy(t, g.Nodes, trace, k, n.Outputs[0], narrowed(t, d, y, rows, cols))
		if right {
			t.Errorf("%s: it is taken for one that rounds nothing", test.name)
		}
		if mixed != test.ok {
			t.Errorf("%s: right is %t, want %t", test.name, mixed, test.ok)
		}
	}
}
