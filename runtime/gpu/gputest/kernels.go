// Package gputest tries a backend that package gpu drives: every kernel against its
// operator's Eval, over shapes that are odd, with each launch watched for writes beside
// its arguments. Tests of backends use it.
package gputest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/schemas/op"
)

// Tolerances, relative to the largest number of the output: sums in another order, or
// one rounding more of a narrow type.
var tolerance = map[graph.DType]float64{graph.Float32: 5e-6, graph.Float16: 2e-3, graph.BFloat16: 1.6e-2}

var floatTypes = []graph.DType{graph.Float32, graph.Float16, graph.BFloat16}

// lab runs graphs on a device whose every launch is watched, and by the reference.
type lab struct {
	*testing.T
	place   string
	r       *rand.Rand
	g       *graph.Graph
	in      []*graph.Tensor
	targets []partition.Target
	devices map[string]runtime.Device
}

// Kernels runs all trials. The backend's driver should be wrapped by [Guard]; host is the
// backend of host memory.
func Kernels(t *testing.T, backend, host runtime.Backend) {
	trials(t, backend, host)
}

// Products runs the trials of products, for a driver with a library of them.
func Products(t *testing.T, backend, host runtime.Backend) {
	trials(t, backend, host, "Products", "Blocks", "Tensor")
}

// trials runs those named, or all.
func trials(t *testing.T, backend, host runtime.Backend, names ...string) {
	l := &lab{T: t, r: rand.New(rand.NewPCG(7, 11)), devices: map[string]runtime.Device{}}
	for _, b := range []runtime.Backend{host, backend} {
		target, d := open(t, b)
		l.targets = append(l.targets, target)
		l.devices[target.Profile.Name] = d
		l.place = target.Profile.Name
	}
	for _, trial := range []struct {
		name string
		run  func(*lab)
	}{
		{"Products", testProducts}, {"Joined", testJoined}, {"Blocks", testBlocks}, {"MatMul", testMatMul}, {"Attention", testAttention}, {"State", testState}, {"RowsAlone", testRowsAlone},
		{"Rope", testRope}, {"Norms", testNorms}, {"Moves", testMoves}, {"Elements", testElements}, {"Tensor", testTensor},
	} {
		if len(names) > 0 && !slices.Contains(names, trial.name) {
			continue
		}
		t.Run(trial.name, func(t *testing.T) {
			l.T = t
			trial.run(l)
		})
	}
}

func open(t *testing.T, b runtime.Backend) (partition.Target, runtime.Device) {
	t.Helper()
	p, err := b.Profile(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return partition.Target{Profile: p, Lowerer: b}, d
}

// testTensor tries what only runs on tensor cores, on devices that have them: products of
// more than few rows, and attention of heads of their sizes.
func testTensor(l *lab) {
	for _, d := range []graph.DType{graph.Float16, graph.BFloat16} {
		for _, c := range [][3]int64{{17, 40, 64}, {130, 129, 36}, {20, 300, 100}} {
			l.begin()
			x := l.input(l.random(d, 1, c[0], c[2]))
			y := l.node("MatMul", []*graph.Value{x, l.constant(l.random(d, c[2], c[1]))})
			y = l.node("Add", []*graph.Value{y, l.constant(l.random(d, c[1]))})
			y = l.node("Add", []*graph.Value{y, l.input(l.random(d, 1, c[0], c[1]))})
			l.differ(fmt.Sprintf("product of %s, %v", d, c), 1, tolerance[d], y)
		}
		for _, rows := range []int64{1, 5} { // long rows of weights
			l.begin()
			x := l.input(l.random(d, 1, rows, 4104))
			l.differ(fmt.Sprintf("product of %s, %d long rows", d, rows), 1, tolerance[d], l.node("MatMul", []*graph.Value{x, l.constant(l.random(d, 4104, 5))}))
			l.begin() // few queries: keys are split
			q := l.input(l.random(d, 1, 8, rows, 64))
			k, v := l.input(l.random(d, 1, 2, 150, 64)), l.input(l.random(d, 1, 2, 150, 64))
			l.differ(fmt.Sprintf("attention of %s, %d rows", d, rows), 1, 2*tolerance[d],
				l.node("Attention", []*graph.Value{q, k, v, nil, nil, nil, l.input(ints(131))}, attr("is_causal", int64(1))))
		}
		for _, size := range []int64{32, 64, 80, 128} {
			l.begin()
			q := l.node("Transpose", []*graph.Value{l.input(l.random(d, 2, 21, 8, size))}, attr("perm", []int64{0, 2, 1, 3}))
			k, v := l.input(l.random(d, 2, 2, 150, size)), l.input(l.random(d, 2, 2, 150, size))
			y := l.node("Attention", []*graph.Value{q, k, v, nil, nil, nil, l.input(ints(150, 70))}, attr("is_causal", int64(1)))
			y = l.node("Transpose", []*graph.Value{y}, attr("perm", []int64{0, 2, 1, 3}))
			l.differ(fmt.Sprintf("attention of %s, heads of %d", d, size), 1, 2*tolerance[d], y)
			l.begin()
			q, k, v = l.input(l.random(d, 150, 2, size)), l.input(l.random(d, 150, 2, size)), l.input(l.random(d, 150, 2, size))
			l.differ(fmt.Sprintf("segments of %s, heads of %d", d, size), 1, 2*tolerance[d],
				l.nodes(op.Mnnconv, "SegmentedAttention", 1, []*graph.Value{q, k, v, l.input(ints(0, 64, 70, 150))})[0])
		}
	}
}

// begin starts a new graph.
func (l *lab) begin() { l.g, l.in = graph.New("trial"), nil }

// random returns a tensor of numbers between -2 and 2.
func (l *lab) random(d graph.DType, shape ...int64) *graph.Tensor {
	t, err := graph.NewTensor(d, shape...)
	if err != nil {
		l.Fatal(err)
	}
	v := make([]float32, t.Len())
	for i := range v {
		v[i] = 4*l.r.Float32() - 2
	}
	if err := t.SetFloat32s(v); err != nil {
		l.Fatal(err)
	}
	return t
}

// bytes returns a tensor of random bytes.
func (l *lab) bytes(d graph.DType, shape ...int64) *graph.Tensor {
	t, err := graph.NewTensor(d, shape...)
	if err != nil {
		l.Fatal(err)
	}
	for i := range t.Data {
		t.Data[i] = byte(l.r.Uint32())
	}
	return t
}

// input is a graph input of the tensor's type.
func (l *lab) input(t *graph.Tensor) *graph.Value {
	l.in = append(l.in, t)
	return l.g.NewInput(fmt.Sprintf("in%d", len(l.in)), t.Type())
}

func (l *lab) constant(t *graph.Tensor) *graph.Value {
	return l.g.NewConst(fmt.Sprintf("const%d", l.g.NumValues()), t)
}

func ints(v ...int64) *graph.Tensor { return graph.Ints(v) }

func attr(name string, v any) graph.Attr { return graph.Attr{Name: name, Value: v} }

// node appends a node with one output.
func (l *lab) node(name string, in []*graph.Value, attrs ...graph.Attr) *graph.Value {
	return l.nodes("", name, 1, in, attrs...)[0]
}

func (l *lab) nodes(domain, name string, outs int, in []*graph.Value, attrs ...graph.Attr) []*graph.Value {
	version := 24
	if domain != "" {
		version = 1
	}
	names := make([]string, outs)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d.%d", name, len(l.g.Nodes), i)
	}
	n := l.g.NewNode(domain, name, version, in, names...)
	n.Attrs = attrs
	l.g.Append(n)
	if err := op.NewFacts(op.All()).Node(n); err != nil {
		l.Fatal(err)
	}
	return n.Outputs
}

// run runs the graph on the device; kernels is how many it must be, 0: any number.
func (l *lab) run(kernels int, outs ...*graph.Value) []*graph.Tensor {
	l.Helper()
	l.g.Outputs = outs
	g, _ := l.g.Clone()
	rules, err := partition.ParseRules(l.place)
	if err != nil {
		l.Fatal(err)
	}
	plan, err := partition.Build("trial", g, rules, l.targets)
	if err != nil {
		l.Fatal(err)
	}
	for _, p := range plan.Partitions() {
		if p.Target != l.place || kernels > 0 && len(p.Kernels) != kernels {
			l.Errorf("partition on %s of %d kernels, want %d", p.Target, len(p.Kernels), kernels)
		}
	}
	e, err := runtime.NewExecutor(plan, l.devices)
	if err != nil {
		l.Fatal(err)
	}
	s := e.NewSession(nil, nil, runtime.Schedule{})
	got, err := s.Run(l.Context(), l.in)
	if err != nil {
		l.Fatal(err)
	}
	for i, x := range got { // theirs go with the session
		got[i] = &graph.Tensor{DType: x.DType, Shape: slices.Clone(x.Shape), Data: bytes.Clone(x.Data)}
	}
	for _, c := range []interface{ Close() error }{s, e} {
		if err := c.Close(); err != nil {
			l.Error(err)
		}
	}
	return got
}

// differ runs the graph on the device and by the reference, and fails where they differ
// by more than tol, relative to the largest number; 0: where any bit does.
func (l *lab) differ(what string, kernels int, tol float64, outs ...*graph.Value) []*graph.Tensor {
	l.Helper()
	got := l.run(kernels, outs...)
	want, err := op.All().Run(l.Context(), l.g, l.in, nil)
	if err != nil {
		l.Fatal(err)
	}
	for i := range want {
		if err := near(got[i], want[i], tol); err != nil {
			l.Errorf("%s: output %d: %v", what, i, err)
		}
	}
	return got
}

func near(got, want *graph.Tensor, tol float64) error {
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Errorf("got %s, want %s", got.Type(), want.Type())
	}
	if tol == 0 {
		if !bytes.Equal(got.Data, want.Data) {
			return fmt.Errorf("the bits differ")
		}
		return nil
	}
	g, err := got.Float32s()
	if err != nil {
		return err
	}
	w, err := want.Float32s()
	if err != nil {
		return err
	}
	top := 1e-3
	for _, x := range w {
		top = max(top, math.Abs(float64(x)))
	}
	for i := range w {
		if d := math.Abs(float64(g[i]) - float64(w[i])); !(d <= tol*top) {
			return fmt.Errorf("element %d: got %v, want %v (largest %v)", i, g[i], w[i], top)
		}
	}
	return nil
}

// testProducts covers products with constant weights of every kind of storage, around
// all the kernels' sizes.
func testProducts(l *lab) {
	for _, m := range []int64{0, 1, 3, 5, 16, 17, 70} {
		for _, k := range []int64{1, 24, 96, 341} {
			d := floatTypes[(m+k)%3]
			n := 1 + l.r.Int64N(150)
			tol := tolerance[d]
			l.begin()
			x := l.input(l.random(d, 2, m, k)) // [2, m, k] times [k, n]
			y := l.node("MatMul", []*graph.Value{x, l.constant(l.random(d, k, n))})
			y = l.node("Add", []*graph.Value{l.constant(l.random(d, n)), y})
			y = l.node("Add", []*graph.Value{y, l.input(l.random(d, 2, m, n))})
			l.differ(fmt.Sprintf("MatMul+Add+Add of %s, m %d, k %d, n %d", d, 2*m, k, n), 1, tol, y)

			l.begin()
			x = l.input(l.random(d, m, k))
			w, c := l.constant(l.random(d, n, k)), l.constant(l.random(d, 1, n))
			y = l.node("Gemm", []*graph.Value{x, w, c}, attr("transB", int64(1)), attr("alpha", float32(0.5)), attr("beta", float32(2)))
			l.differ(fmt.Sprintf("Gemm of %s, m %d, k %d, n %d", d, m, k, n), 1, tol, y)

			narrow := floatTypes[1+k%2]
			l.begin() // narrow weights behind Transpose and Cast
			w = l.node("Transpose", []*graph.Value{l.constant(l.random(narrow, n, k))}, attr("perm", []int64{1, 0}))
			w = l.node("Cast", []*graph.Value{w}, attr("to", int64(graph.Float32)))
			y = l.node("MatMul", []*graph.Value{l.input(l.random(graph.Float32, m, k)), w})
			l.differ(fmt.Sprintf("Transpose+Cast+MatMul of %s, m %d, k %d, n %d", narrow, m, k, n), 1, tolerance[graph.Float32], y)
		}
	}
	l.begin()
	x, w, c := l.input(l.random(graph.Float16, 21, 3, 2, 5, 5)), l.constant(l.random(graph.Float16, 13, 3, 2, 5, 5)), l.constant(l.random(graph.Float16, 13))
	y := l.node("Conv", []*graph.Value{x, w, c}, attr("kernel_shape", []int64{2, 5, 5}), attr("strides", []int64{2, 5, 5}))
	l.differ("Conv of patches", 1, tolerance[graph.Float16], y)
}

// testBlocks covers weights of 4 and 8 bits.
func testBlocks(l *lab) {
	for i, c := range []struct{ bits, block, zeros, bias int64 }{
		{4, 32, 0, 0}, {4, 32, 1, 1}, {4, 16, 2, 0}, {4, 128, 1, 0}, {8, 32, 0, 1}, {8, 64, 1, 0}, {8, 16, 2, 0},
	} {
		for _, m := range []int64{1, 4, 16, 33} {
			for _, k := range []int64{40, 96, 147} {
				d, n := floatTypes[i%3], 1+l.r.Int64N(90)
				blocks := (k + c.block - 1) / c.block
				zeros := []*graph.Tensor{nil, l.bytes(graph.Uint8, n*((blocks*c.bits+7)/8)), l.random(d, n*blocks)}[c.zeros]
				l.begin()
				in := []*graph.Value{l.input(l.random(d, m, k)), l.constant(l.bytes(graph.Uint8, n, blocks, c.block*c.bits/8)), l.constant(l.random(d, n*blocks)), nil, nil, nil}
				if zeros != nil {
					in[3] = l.constant(zeros)
				}
				if c.bias > 0 {
					in[5] = l.constant(l.random(d, n))
				}
				y := l.nodes(op.Microsoft, "MatMulNBits", 1, in, attr("bits", c.bits), attr("block_size", c.block), attr("K", k), attr("N", n))
				l.differ(fmt.Sprintf("MatMulNBits of %s, %+v, m %d, k %d, n %d", d, c, m, k, n), 1, tolerance[d], y[0])
			}
		}
	}
	for _, bits := range []int64{4, 8} {
		for _, zeros := range []bool{false, true} {
			l.begin()
			in := []*graph.Value{l.constant(l.bytes(graph.Uint8, 11, 60*bits/8)), l.input(ints(3, 10, 0, -1)), l.constant(l.random(graph.Float16, 11, 4))}
			if zeros {
				in = append(in, l.constant(l.bytes(graph.Uint8, 11, (4*bits+7)/8)))
			}
			y := l.nodes(op.Microsoft, "GatherBlockQuantized", 1, in, attr("bits", bits), attr("block_size", int64(16)), attr("quantize_axis", int64(1)))
			l.differ(fmt.Sprintf("GatherBlockQuantized of %d bits", bits), 1, tolerance[graph.Float16], y[0])
		}
	}
}

// testMatMul covers products of two tensors of activations.
func testMatMul(l *lab) {
	for _, c := range [][2][]int64{
		{{3, 7}, {7, 5}}, {{7}, {7, 5}}, {{3, 7}, {7}}, {{2, 1, 3, 7}, {4, 7, 5}}, {{3, 0}, {0, 5}}, {{0, 4}, {4, 5}}, {{2, 65, 33}, {2, 33, 1}},
	} {
		for _, d := range floatTypes {
			l.begin()
			y := l.node("MatMul", []*graph.Value{l.input(l.random(d, c[0]...)), l.input(l.random(d, c[1]...))})
			l.differ(fmt.Sprintf("MatMul of %s %v", d, c), 1, tolerance[d], y)
		}
	}
	l.begin()
	in := []*graph.Value{l.input(l.random(graph.Float32, 7, 3)), l.input(l.random(graph.Float32, 5, 7)), l.input(l.random(graph.Float32, 3, 1))}
	l.differ("Gemm", 1, tolerance[graph.Float32], l.node("Gemm", in, attr("transA", int64(1)), attr("transB", int64(1)), attr("alpha", float32(2)), attr("beta", float32(0.5))))
}

// testAttention covers caches and all keys, causal or not, grouped heads, odd sizes, and
// the Transposes around.
func testAttention(l *lab) {
	for i, c := range []struct{ batch, heads, kv, rows, keys, size, width int64 }{
		{1, 4, 2, 1, 130, 64, 64}, {2, 6, 2, 5, 65, 20, 33}, {1, 2, 2, 40, 40, 80, 80}, {1, 8, 1, 17, 200, 128, 130}, {1, 2, 1, 3, 3, 7, 256},
		{1, 1, 1, 0, 9, 8, 8}, {2, 2, 2, 16, 64, 16, 16},
	} {
		for _, causal := range []int64{0, 1} {
			d := floatTypes[i%3]
			what := fmt.Sprintf("Attention of %s, %+v, causal %d", d, c, causal)
			l.begin()
			q := l.input(l.random(d, c.batch, c.heads, c.rows, c.size))
			k, v := l.input(l.random(d, c.batch, c.kv, c.keys, c.size)), l.input(l.random(d, c.batch, c.kv, c.keys, c.width))
			y := l.node("Attention", []*graph.Value{q, k, v}, attr("is_causal", causal))
			l.differ(what, 1, 2*tolerance[d], y)

			l.begin() // a cache, and Transposes on both sides
			q = l.node("Transpose", []*graph.Value{l.input(l.random(d, c.batch, c.rows, c.heads, c.size))}, attr("perm", []int64{0, 2, 1, 3}))
			k, v = l.input(l.random(d, c.batch, c.kv, c.keys, c.size)), l.input(l.random(d, c.batch, c.kv, c.keys, c.width))
			lengths := make([]int64, c.batch)
			for b := range lengths {
				lengths[b] = min(c.rows+l.r.Int64N(c.keys), c.keys)
			}
			y = l.node("Attention", []*graph.Value{q, k, v, nil, nil, nil, l.input(ints(lengths...))}, attr("is_causal", causal), attr("scale", float32(0.3)))
			y = l.node("Transpose", []*graph.Value{y}, attr("perm", []int64{0, 2, 1, 3}))
			l.differ(what+", cached", 1, 2*tolerance[d], y)
		}
	}
	for _, cu := range [][]int64{{0, 70}, {0, 0, 3, 3, 64, 70}, {0, 16, 32, 48, 70, 70}} {
		for _, d := range floatTypes {
			l.begin()
			q, k, v := l.input(l.random(d, 70, 4, 20)), l.input(l.random(d, 70, 2, 20)), l.input(l.random(d, 70, 2, 20))
			l.differ(fmt.Sprintf("SegmentedAttention of %s, %v", d, cu), 1, 2*tolerance[d], l.nodes(op.Mnnconv, "SegmentedAttention", 1, []*graph.Value{q, k, v, l.input(ints(cu...))})[0])
		}
	}
}

// testRowsAlone wants a row's bits to be the same however many rows travel with it, up to
// sixteen.
func testRowsAlone(l *lab) {
	for i, d := range slices.Concat(floatTypes, floatTypes) {
		const n, heads, keys = 70, 4, 150
		size := []int64{34, 64}[i/3]
		k := heads * size
		w, other, gain, blocks, scales := l.random(d, k, n), l.random(d, k, n), l.small(l.random(d, k), 0.1), l.bytes(graph.Uint8, n, (k+31)/32, 16), l.random(d, n*((k+31)/32))
		rows, cache, values := l.random(d, 16, k), l.random(d, 1, 2, keys, size), l.random(d, 1, 2, keys, size)
		var whole []*graph.Tensor
		for m := int64(16); m >= 1; m -= 5 {
			first := &graph.Tensor{DType: d, Shape: []int64{m, k}, Data: rows.Data[int64(len(rows.Data))-m*k*int64(d.Bits())/8:]} // the last m rows
			l.begin()
			x := l.input(first)
			a := l.node("MatMul", []*graph.Value{x, l.constant(w)})
			b := l.nodes(op.Microsoft, "MatMulNBits", 1, []*graph.Value{x, l.constant(blocks), l.constant(scales)},
				attr("bits", int64(4)), attr("block_size", int64(32)), attr("K", k), attr("N", int64(n)))[0]
			normed := l.node("RMSNormalization", []*graph.Value{x, l.constant(gain)})
			gate, value := l.node("MatMul", []*graph.Value{normed, l.constant(w)}), l.node("MatMul", []*graph.Value{normed, l.constant(other)})
			y := l.node("Mul", []*graph.Value{l.node("Swish", []*graph.Value{gate}), value})
			q := l.node("Reshape", []*graph.Value{x, l.constant(ints(1, m, heads, size))})
			q = l.node("Transpose", []*graph.Value{q}, attr("perm", []int64{0, 2, 1, 3}))
			c := l.node("Attention", []*graph.Value{q, l.input(cache), l.input(values), nil, nil, nil, l.input(ints(140))}, attr("is_causal", int64(1)))
			c = l.node("Transpose", []*graph.Value{c}, attr("perm", []int64{0, 2, 1, 3}))
			got := l.run(0, a, b, c, y)
			if whole == nil {
				whole = got
				continue
			}
			for i := range got {
				if !bytes.HasSuffix(whole[i].Data, got[i].Data) {
					l.Errorf("%s: output %d of %d rows has other bits than among 16", d, i, m)
				}
			}
		}
	}
}

// testRope covers both ways to give angles, both kinds of pairs, a rest, and a Transpose
// before it.
func testRope(l *lab) {
	for _, d := range floatTypes {
		for _, interleaved := range []int64{0, 1} {
			l.begin()
			x := l.node("Transpose", []*graph.Value{l.input(l.random(d, 2, 7, 3, 20))}, attr("perm", []int64{0, 2, 1, 3}))
			y := l.node("RotaryEmbedding", []*graph.Value{x, l.input(l.random(d, 2, 7, 6)), l.input(l.random(d, 2, 7, 6))}, attr("interleaved", interleaved), attr("rotary_embedding_dim", int64(12)))
			l.differ("RotaryEmbedding of "+d.String(), 1, tolerance[d], y)
			l.begin()
			y = l.node("RotaryEmbedding", []*graph.Value{l.input(l.random(d, 2, 3, 40)), l.input(l.random(d, 9, 5)), l.input(l.random(d, 9, 5)), l.input(ints(0, 8, 3, 1, 2, 7).Reshape(2, 3))},
				attr("interleaved", interleaved), attr("num_heads", int64(4)))
			l.differ("RotaryEmbedding of "+d.String()+" with positions", 1, tolerance[d], y)
		}
	}
}

// testNorms covers rows of odd widths.
func testNorms(l *lab) {
	for _, d := range floatTypes {
		for _, s := range [][]int64{{3, 1}, {1, 5, 257}, {2, 3420}, {0, 8}} {
			width := s[len(s)-1]
			l.begin()
			y := l.node("RMSNormalization", []*graph.Value{l.input(l.random(d, s...)), l.constant(l.random(d, width))}, attr("epsilon", float32(1e-6)))
			l.differ(fmt.Sprintf("RMSNormalization of %s%v", d, s), 1, tolerance[d], y)
			l.begin()
			y = l.node("LayerNormalization", []*graph.Value{l.input(l.random(d, s...)), l.constant(l.random(d, width)), l.constant(l.random(d, width))})
			l.differ(fmt.Sprintf("LayerNormalization of %s%v", d, s), 1, tolerance[d], y)
		}
	}
}

// testMoves covers the operators that move elements, bit for bit.
func testMoves(l *lab) {
	for _, d := range []graph.DType{graph.Float32, graph.BFloat16, graph.Uint8, graph.Int64} {
		x := func(shape ...int64) *graph.Value { return l.input(l.bytes(d, shape...)) }
		for _, c := range []struct {
			what string
			make func() []*graph.Value
		}{
			{"Transpose", func() []*graph.Value {
				return []*graph.Value{l.node("Transpose", []*graph.Value{x(3, 5, 2, 7)}, attr("perm", []int64{2, 0, 3, 1}))}
			}},
			{"Transpose of nothing", func() []*graph.Value { return []*graph.Value{l.node("Transpose", []*graph.Value{x(3, 0, 2)})} }},
			{"Concat", func() []*graph.Value {
				return []*graph.Value{l.node("Concat", []*graph.Value{x(3, 5, 2), x(3, 1, 2), x(3, 0, 2)}, attr("axis", int64(1)))}
			}},
			{"Split", func() []*graph.Value {
				return l.nodes("", "Split", 3, []*graph.Value{x(3, 7, 2), l.constant(ints(2, 1, 4))}, attr("axis", int64(1)))
			}},
			{"Split+Gather+Concat", func() []*graph.Value {
				parts := slices.Clone(l.nodes("", "Split", 3, []*graph.Value{x(3, 2, 5, 7), l.constant(ints(2, 1, 4))}, attr("axis", int64(-1))))
				for i, at := range []int64{2, -3, 1} {
					parts[i] = l.node("Gather", []*graph.Value{parts[i], l.constant(ints(at).Reshape())})
				}
				return []*graph.Value{l.node("Concat", parts, attr("axis", int64(2)))}
			}},
			{"Slice", func() []*graph.Value {
				return []*graph.Value{l.node("Slice", []*graph.Value{x(9, 7, 5), l.constant(ints(-2, 1)), l.constant(ints(-100, 6)), l.constant(ints(0, 2)), l.constant(ints(-3, 2))})}
			}},
			{"Expand", func() []*graph.Value {
				return []*graph.Value{l.node("Expand", []*graph.Value{x(3, 1, 5), l.constant(ints(2, 1, 4, 5))})}
			}},
			{"Tile", func() []*graph.Value {
				return []*graph.Value{l.node("Tile", []*graph.Value{x(3, 5), l.constant(ints(2, 3))})}
			}},
			{"Gather", func() []*graph.Value {
				return []*graph.Value{l.node("Gather", []*graph.Value{x(3, 9, 5), l.input(ints(8, -9, 3, 3).Reshape(2, 2))}, attr("axis", int64(1)))}
			}},
			{"GatherND", func() []*graph.Value {
				return []*graph.Value{l.node("GatherND", []*graph.Value{x(3, 9, 5), l.input(ints(2, -9, 0, 8).Reshape(2, 2))})}
			}},
			{"ScatterND", func() []*graph.Value {
				return []*graph.Value{l.node("ScatterND", []*graph.Value{x(3, 9, 5), l.input(ints(2, -9, 0, 8).Reshape(2, 2)), x(2, 5)})}
			}},
			{"TensorScatter", func() []*graph.Value {
				return []*graph.Value{l.node("TensorScatter", []*graph.Value{x(2, 3, 9, 5), x(2, 3, 2, 5), l.input(ints(7, 3))})}
			}},
			{"Transpose+TensorScatter", func() []*graph.Value {
				u := l.node("Transpose", []*graph.Value{x(2, 2, 3, 5)}, attr("perm", []int64{0, 2, 1, 3}))
				return []*graph.Value{l.node("TensorScatter", []*graph.Value{x(2, 3, 9, 5), u, l.input(ints(8, 3))}, attr("mode", "circular"))}
			}},
			{"Where", func() []*graph.Value {
				c := l.input(graph.FromSlice(graph.Bool, []uint8{1, 0, 1}, 3, 1))
				return []*graph.Value{l.node("Where", []*graph.Value{c, x(2, 3, 5), x(5)})}
			}},
		} {
			l.begin()
			l.differ(c.what+" of "+d.String(), 1, 0, c.make()...)
		}
	}
}

// testElements covers element-wise operators, which broadcast, and the reductions.
func testElements(l *lab) {
	for _, d := range floatTypes {
		l.begin()
		x, y := l.input(l.random(d, 3, 1, 257)), l.input(l.random(d, 5, 1))
		var outs []*graph.Value
		for _, name := range []string{"Add", "Sub", "Mul", "Max", "Min"} {
			outs = append(outs, l.node(name, []*graph.Value{x, y}))
		}
		for _, name := range []string{"Neg", "Abs", "Exp", "Sin", "Cos", "Tanh", "Sigmoid", "Erf", "Gelu", "Swish", "Relu", "Round", "Floor", "Softplus"} {
			outs = append(outs, l.node(name, []*graph.Value{x}))
		}
		outs = append(outs, l.node("Softmax", []*graph.Value{x}), l.node("Softmax", []*graph.Value{x}, attr("axis", int64(0))), l.node("LogSoftmax", []*graph.Value{x}))
		l.differ("element-wise "+d.String(), len(outs), tolerance[d], outs...)

		l.begin()
		a := l.input(l.random(d, 4, 333))
		z := l.node("Mul", []*graph.Value{l.input(l.random(d, 4, 333)), l.node("Swish", []*graph.Value{a})})
		l.differ("Swish·Mul of "+d.String(), 1, tolerance[d], z)

		l.begin()
		a, outs = l.input(l.random(d, 5, 70, 3)), nil
		for _, name := range []string{"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"} {
			outs = append(outs, l.node(name, []*graph.Value{a, l.constant(ints(1))}), l.node(name, []*graph.Value{a, l.constant(ints(0, -1))}, attr("keepdims", int64(0))))
		}
		l.differ("reductions of "+d.String(), len(outs), 4*tolerance[d], outs...)
		l.begin()
		a = l.input(l.random(d, 5, 70, 3))
		outs = append(l.nodes("", "TopK", 2, []*graph.Value{a, l.constant(ints(7))}, attr("axis", int64(1))),
			l.node("ArgMax", []*graph.Value{a}, attr("axis", int64(1))), l.node("ArgMin", []*graph.Value{a}, attr("axis", int64(2)), attr("keepdims", int64(0))))
		l.differ("orders of "+d.String(), 3, 0, outs...)
		for _, n := range []int64{64, 2049, 70000} { // in one, two and three launches; of 16-bit types with many equal ones
			l.begin()
			best := l.nodes("", "TopK", 2, []*graph.Value{l.input(l.random(d, 2, n)), l.constant(ints(64))})
			least := l.nodes("", "TopK", 2, []*graph.Value{l.input(l.random(d, n, 3)), l.constant(ints(5))}, attr("axis", int64(0)), attr("largest", int64(0)))
			l.differ(fmt.Sprintf("best of %d of %s", n, d), 2, 0, best[0], best[1], least[0], least[1])
		}
	}
}
