package host

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

func TestMatMul(t *testing.T) {
	shapes := []struct{ a, b []int64 }{
		{[]int64{1, 1}, []int64{1, 1}},
		{[]int64{1, 128}, []int64{128, 520}},
		{[]int64{2, 37}, []int64{37, 1100}},
		{[]int64{3, 2100}, []int64{2100, 5}},
		{[]int64{4, 33}, []int64{33, 3}},
		{[]int64{65, 129}, []int64{129, 257}},
		{[]int64{2, 40, 1101}, []int64{2, 1101, 77}},
		{[]int64{259, 70}, []int64{70, 31}},
		{[]int64{600, 800}, []int64{800, 590}},
		{[]int64{3, 300, 410}, []int64{3, 410, 40}},
		{[]int64{2, 7, 40}, []int64{40, 130}},
		{[]int64{2, 1, 5, 40}, []int64{2, 3, 40, 9}},
		{[]int64{3, 5, 40}, []int64{2, 1, 40, 9}},
		{[]int64{5, 40}, []int64{3, 40, 9}},
		{[]int64{7, 5, 8}, []int64{7, 8, 5}},
		{[]int64{40}, []int64{40, 9}},
		{[]int64{40}, []int64{2, 40, 9}},
		{[]int64{2, 5, 40}, []int64{40}},
		{[]int64{40}, []int64{40}},
		{[]int64{5, 40}, []int64{40, 1}},
		{[]int64{0, 40}, []int64{40, 9}},
		{[]int64{5, 0}, []int64{0, 9}},
		{[]int64{5, 40}, []int64{40, 0}},
		{[]int64{0, 5, 40}, []int64{1, 40, 9}},
		{[]int64{1, 5, 40}, []int64{0, 40, 9}},
	}
	for _, d := range []graph.DType{graph.Float32, graph.Float16, graph.BFloat16} {
		for i, s := range shapes {
			t.Run(fmt.Sprintf("%s/%v·%v", d, s.a, s.b), func(t *testing.T) {
				m := newMultiply(t, uint64(i))
				m.node("", "MatMul", nil, m.input(m.numbers(d, s.a...)), m.input(m.numbers(d, s.b...)))
				m.check(int(s.a[len(s.a)-1]))
			})
		}
	}
}

func TestFusedMatMul(t *testing.T) {
	attrs := []graph.Attr{{Name: "transB", Value: int64(1)}, {Name: "alpha", Value: float32(0.25)}}
	for _, d := range []graph.DType{graph.Float32, graph.Float16, graph.BFloat16} {
		for _, s := range []struct{ a, b []int64 }{
			{[]int64{1, 128}, []int64{704, 128}},
			{[]int64{2, 5, 70}, []int64{2, 9, 70}},
			{[]int64{40}, []int64{9, 40}},
			{[]int64{5, 40}, []int64{40}},
			{[]int64{70, 1101}, []int64{77, 1101}},
			{[]int64{300, 802}, []int64{555, 802}},
			{[]int64{2, 40, 770}, []int64{2, 33, 770}},
		} {
			t.Run(fmt.Sprintf("%s/%v·%v", d, s.a, s.b), func(t *testing.T) {
				m := newMultiply(t, 1)
				m.node(op.Microsoft, "FusedMatMul", attrs, m.input(m.numbers(d, s.a...)), m.constant(m.numbers(d, s.b...)))
				m.check(int(s.a[len(s.a)-1]))
			})
		}
	}
}

func TestMatMulKeepsTheReferenceForOtherForms(t *testing.T) {
	ints := graph.Ints([]int64{1, 2, 3, 4}, 2, 2)
	m := newMultiply(t, 1)
	m.node("", "MatMul", nil, m.input(ints), m.input(ints))
	f := newMultiply(t, 1)
	f.node(op.Microsoft, "FusedMatMul", []graph.Attr{{Name: "transA", Value: int64(1)}}, f.input(f.numbers(graph.Float32, 2, 2)), f.input(f.numbers(graph.Float32, 2, 2)))
	for _, m := range []*multiply{m, f} {
		if g := Lower(m.g, Math{})[0]; g.Kernel != nil {
			t.Errorf("%s got a kernel", g.Name)
		}
	}
}

func TestMatMulRefusesExtentsThatDiffer(t *testing.T) {
	m := newMultiply(t, 1)
	m.node("", "MatMul", nil, m.input(m.numbers(graph.Float32, 2, 8)), m.input(m.numbers(graph.Float32, 8, 3)))
	k, c, _ := m.kernel(nil)
	for _, in := range [][]*graph.Tensor{
		{m.numbers(graph.Float32, 2, 7), c.In[1]},
		{m.numbers(graph.Float32, 3, 8), c.In[1]},
		{m.numbers(graph.Float32, 2, 2, 8), m.numbers(graph.Float32, 3, 8, 3)},
	} {
		if err := k(&Call{Ctx: context.Background(), In: in, Out: c.Out}); !errors.Is(err, op.ErrInput) {
			t.Errorf("%v by %v: %v, want %v", in[0].Shape, in[1].Shape, err, op.ErrInput)
		}
	}
}

// benchmarks of the small model, and of Qwen2.5-VL-3B.
func BenchmarkMatMul(b *testing.B) {
	for _, s := range []struct {
		d       graph.DType
		m, k, n int64
	}{
		{graph.Float32, 1, 128, 344},
		{graph.Float32, 64, 128, 128},
		{graph.Float32, 64, 128, 344},
		{graph.Float32, 256, 520, 128},
		{graph.Float16, 64, 128, 344},
		{graph.Float16, 256, 520, 128},
		{graph.Float16, 1, 2048, 11008},
		{graph.Float32, 1, 2048, 11008},
		{graph.Float16, 4, 2048, 11008},
		{graph.Float16, 16, 2048, 11008},
		{graph.Float16, 16, 11008, 2048},
		{graph.Float16, 16, 2048, 256},
		{graph.Float32, 1024, 1280, 3420},
		{graph.Float32, 1024, 3420, 1280},
		{graph.Float16, 1024, 1280, 3420},
		{graph.BFloat16, 1024, 1280, 3420},
		{graph.BFloat16, 1024, 3420, 1280},
	} {
		b.Run(fmt.Sprintf("%s/%dx%dx%d", s.d, s.m, s.k, s.n), func(b *testing.B) {
			m := newMultiply(b, 1)
			m.node("", "MatMul", nil, m.input(m.numbers(s.d, s.m, s.k)), m.constant(m.numbers(s.d, s.k, s.n)))
			benchmark(b, m, int(s.m), int(s.k), int(s.n), int(s.k*s.n)*s.d.Bits()/8)
		})
	}
}

// As exporters write a vision tower's products: weights stored n×k.
func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct {
		d       graph.DType
		m, k, n int64
	}{
		{graph.Float32, 1024, 1280, 3840},
		{graph.Float32, 1024, 3420, 1280},
		{graph.Float16, 1024, 1280, 3840},
		{graph.BFloat16, 1024, 1280, 3840},
		{graph.BFloat16, 1024, 3420, 1280},
	} {
		b.Run(fmt.Sprintf("%s/%dx%dx%d", s.d, s.m, s.k, s.n), func(b *testing.B) {
			m := newMultiply(b, 1)
			m.node("", "Gemm", []graph.Attr{{Name: "transB", Value: int64(1)}}, m.input(m.numbers(s.d, s.m, s.k)), m.constant(m.numbers(s.d, s.n, s.k)))
			benchmark(b, m, int(s.m), int(s.k), int(s.n), int(s.k*s.n)*s.d.Bits()/8)
		})
	}
}
