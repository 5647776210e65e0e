package host

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// multiply is a graph under construction: inputs with their data, and the value
// that the next node reads.
type multiply struct {
	t     testing.TB
	rand  *rand.Rand
	table op.Table
	g     *graph.Graph
	in    []*graph.Tensor
	out   *graph.Value
	math  Math
}

func newMultiply(t testing.TB, seed uint64) *multiply {
	return &multiply{t: t, rand: rand.New(rand.NewPCG(seed, 1)), table: op.All(), g: graph.New("product")}
}

// numbers returns a tensor of random numbers around 0.
func (m *multiply) numbers(d graph.DType, shape ...int64) *graph.Tensor {
	m.t.Helper()
	x, err := graph.NewTensor(d, shape...)
	if err != nil {
		m.t.Fatal(err)
	}
	v := make([]float32, x.Len())
	for i := range v {
		v[i] = float32(m.rand.NormFloat64())
	}
	if err := x.SetFloat32s(v); err != nil {
		m.t.Fatal(err)
	}
	return x
}

// bytes returns a tensor of random bytes.
func (m *multiply) bytes(shape ...int64) *graph.Tensor {
	n, _ := graph.Elements(shape)
	v := make([]uint8, n)
	for i := range v {
		v[i] = uint8(m.rand.Uint32())
	}
	return graph.FromSlice(graph.Uint8, v, shape...)
}

// input adds a graph input; nil stays absent.
func (m *multiply) input(x *graph.Tensor) *graph.Value {
	if x == nil {
		return nil
	}
	m.in = append(m.in, x)
	return m.g.NewInput(fmt.Sprintf("in%d", len(m.in)), x.Type())
}

// constant adds a weight.
func (m *multiply) constant(x *graph.Tensor) *graph.Value { return m.g.NewConst("weight", x) }

// node appends a node and makes its result the output.
func (m *multiply) node(domain, name string, attrs []graph.Attr, ins ...*graph.Value) *multiply {
	m.t.Helper()
	version := 24
	if domain != "" {
		version = 1
	}
	n := m.g.NewNode(domain, name, version, ins, fmt.Sprintf("out%d", len(m.g.Nodes)))
	n.Attrs = attrs
	if err := op.NewFacts(m.table).Node(n); err != nil {
		m.t.Fatal(err)
	}
	m.g.Append(n)
	m.out = n.Outputs[0]
	m.g.Outputs = n.Outputs
	return m
}

// kernel lowers the graph and returns the call of its one kernel, over data with
// guards around the output, which guarded checks.
func (m *multiply) kernel(pool *Pool) (k Kernel, c *Call, guarded func()) {
	m.t.Helper()
	groups := Lower(m.g, m.math)
	if len(groups) != 1 || groups[0].Kernel == nil {
		m.t.Fatalf("lowered to %d groups, want one kernel for %d nodes", len(groups), len(m.g.Nodes))
	}
	c = &Call{Ctx: context.Background(), Pool: pool}
	for _, v := range groups[0].In {
		switch {
		case v == nil:
			c.In = append(c.In, nil)
		case v.Const != nil:
			c.In = append(c.In, v.Const)
		default:
			for i, x := range m.g.Inputs {
				if x == v {
					c.In = append(c.In, m.in[i])
				}
			}
		}
	}
	shape, ok := m.out.Type.Shape.Ints()
	if !ok {
		m.t.Fatalf("output has type %s", m.out.Type)
	}
	n, _ := graph.Elements(shape)
	size, _ := m.out.Type.DType.Bytes(n)
	const guard = 64
	data := bytes.Repeat([]byte{0xa5}, int(size)+2*guard)
	c.Out = []*graph.Tensor{{DType: m.out.Type.DType, Shape: shape, Data: data[guard:][:size:size]}}
	return groups[0].Kernel, c, func() {
		m.t.Helper()
		for i, b := range data {
			if b != 0xa5 && (i < guard || i >= guard+int(size)) {
				m.t.Errorf("byte %d outside of an output of %d bytes was written", i-guard, size)
				return
			}
		}
	}
}

// check runs the kernel, alone and on two workers, and compares it with the
// operators' references. Sums may differ by their order, and 16-bit results by
// roundings between the nodes.
func (m *multiply) check(depth int) {
	m.t.Helper()
	outs, err := m.table.Run(context.Background(), m.g, m.in, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	want, _ := outs[0].Float32s()
	unit := map[graph.DType]float64{graph.Float32: 0, graph.Float16: 0x1p-10, graph.BFloat16: 0x1p-7}[m.out.Type.DType]
	two := NewPool(2)
	defer two.Close()
	for _, pool := range []*Pool{nil, two} {
		k, c, guarded := m.kernel(pool)
		if err := k(c); err != nil {
			m.t.Fatal(err)
		}
		guarded()
		got, _ := c.Out[0].Float32s()
		if len(got) != len(want) {
			m.t.Fatalf("%d numbers, want %d", len(got), len(want))
		}
		for i, x := range got {
			y := float64(want[i])
			if float64(x) == y || math.IsNaN(float64(x)) && math.IsNaN(y) {
				continue
			}
			tol := 1e-6*float64(depth) + 2*unit*(math.Abs(y)+4)
			if !(math.Abs(float64(x)-y) <= tol) {
				m.t.Fatalf("element %d of %v is %v, want %v within %v", i, c.Out[0].Shape, x, y, tol)
			}
		}
	}
}

// What is no finite number goes where the reference has it go, and no further.
func TestProductOfOddNumbers(t *testing.T) {
	for _, d := range []graph.DType{graph.Float32, graph.Float16, graph.BFloat16} {
		for _, transB := range []int64{0, 1} {
			for _, rows := range []int64{1, 7, 40, 300} {
				t.Run(fmt.Sprintf("%s/%d rows/transB %d", d, rows, transB), func(t *testing.T) {
					m := newMultiply(t, uint64(rows))
					const k, n = 500, 70
					x, shape := m.numbers(d, rows, k), []int64{k, n}
					if transB != 0 {
						shape = []int64{n, k}
					}
					v, _ := x.Float32s()
					for i, odd := range []float32{float32(math.Inf(1)), float32(math.NaN()), float32(math.Inf(-1))} {
						if int64(i) < rows {
							v[i*k+37*i+3] = odd
						}
					}
					if err := x.SetFloat32s(v); err != nil {
						t.Fatal(err)
					}
					m.node("", "Gemm", []graph.Attr{{Name: "transB", Value: transB}}, m.input(x), m.constant(m.numbers(d, shape...)))
					m.check(k)
				})
			}
		}
	}
}

// A row's bits do not depend on how many rows travel with it.
func TestProductRowsAreIndependent(t *testing.T) {
	const k, n, most = 4500, 77, 16
	for name, build := range map[string]func(m *multiply, d graph.DType, rows int64){
		"k×n": func(m *multiply, d graph.DType, rows int64) {
			m.node("", "MatMul", nil, m.input(m.numbers(d, rows, k)), m.constant(m.numbers(d, k, n)))
		},
		"k×n, large": func(m *multiply, d graph.DType, rows int64) {
			m.node("", "MatMul", nil, m.input(m.numbers(d, rows, k)), m.constant(m.numbers(d, k, 1+pieceTogether/k)))
		},
		"k×n in a batch": func(m *multiply, d graph.DType, rows int64) {
			m.node("", "MatMul", nil, m.input(m.numbers(d, 1, rows, k)), m.constant(m.numbers(d, 1, k, n)))
		},
		"n×k": func(m *multiply, d graph.DType, rows int64) {
			m.node("", "Gemm", []graph.Attr{{Name: "transB", Value: int64(1)}}, m.input(m.numbers(d, rows, k)), m.constant(m.numbers(d, n, k)))
		},
		"4 bits": func(m *multiply, d graph.DType, rows int64) {
			m.nbits(d, []int64{rows, k}, n, 4, 32, "", false)
		},
		"4 bits, int8act": func(m *multiply, d graph.DType, rows int64) {
			m.math, _ = ParseMath("int8act")
			m.nbits(d, []int64{rows, k}, n, 4, 32, "packed", false)
		},
	} {
		for _, d := range []graph.DType{graph.Float32, graph.Float16} {
			t.Run(fmt.Sprintf("%s/%s", d, name), func(t *testing.T) {
				run := func(rows int64, pool *Pool, with *Call) *Call {
					m := newMultiply(t, 1)
					build(m, d, rows)
					kernel, c, _ := m.kernel(pool)
					if with != nil { // the same weights, and its first rows
						x := c.In[0]
						copy(c.In, with.In)
						x.Data = with.In[0].Data[:len(x.Data)]
						c.In[0] = x
					}
					if err := kernel(c); err != nil {
						t.Fatal(err)
					}
					return c
				}
				pool := NewPool(2)
				defer pool.Close()
				all := run(most, pool, nil)
				for rows := int64(1); rows < most; rows++ {
					some := run(rows, nil, all).Out[0].Data
					if !bytes.Equal(some, all.Out[0].Data[:len(some)]) {
						t.Errorf("%d rows alone differ from the first of %d", rows, most)
					}
				}
			})
		}
	}
}

func TestProductDoesNotAllocate(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	for _, rows := range []int64{1, 17} {
		m := newMultiply(t, 1)
		m.node("", "MatMul", nil, m.input(m.numbers(graph.Float16, 2, rows, 300)), m.constant(m.numbers(graph.Float16, 300, 500)))
		m.node("", "Add", nil, m.out, m.constant(m.numbers(graph.Float16, 500)))
		k, c, _ := m.kernel(pool)
		if n := testing.AllocsPerRun(50, func() { _ = k(c) }); n >= 1 { // a worker's scratch may grow on a later call, once
			t.Errorf("%v allocations a call of %d rows", n, rows)
		}
	}
}

func benchmark(b *testing.B, m *multiply, rows, k, n int, weightBytes int) {
	pool := NewPool(0)
	defer pool.Close()
	kernel, c, _ := m.kernel(pool)
	for b.Loop() {
		if err := kernel(c); err != nil {
			b.Fatal(err)
		}
	}
	ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(2*float64(rows)*float64(k)*float64(n)/ns, "GFLOP/s")
	b.ReportMetric(float64(weightBytes)/ns, "GB/s")
}
