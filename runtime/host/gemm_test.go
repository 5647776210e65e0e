package host

import (
	"fmt"
	"testing"

	"mnnconv/graph"
)

func TestGemm(t *testing.T) {
	row := []int64{70}
	for i, k := range []struct {
		a, b, c     []int64
		transB      int64
		alpha, beta float32
	}{
		{[]int64{5, 40}, []int64{40, 70}, nil, 0, 1, 1},
		{[]int64{5, 40}, []int64{40, 70}, row, 0, 1, 1},
		{[]int64{1, 40}, []int64{70, 40}, row, 1, 1, 1},
		{[]int64{5, 40}, []int64{70, 40}, []int64{1, 70}, 1, 0.5, 2},
		{[]int64{67, 1100}, []int64{70, 1100}, row, 1, 1, 1},
		{[]int64{3, 0}, []int64{70, 0}, row, 1, 1, 1},
		{[]int64{0, 40}, []int64{70, 40}, row, 1, 1, 1},
	} {
		for _, d := range []graph.DType{graph.Float32, graph.Float16} {
			t.Run(fmt.Sprintf("%s/%v·%v+%v", d, k.a, k.b, k.c), func(t *testing.T) {
				m := newMultiply(t, uint64(i))
				ins := []*graph.Value{m.input(m.numbers(d, k.a...)), m.constant(m.numbers(d, k.b...))}
				if k.c != nil {
					ins = append(ins, m.input(m.numbers(d, k.c...)))
				}
				m.node("", "Gemm", []graph.Attr{{Name: "transB", Value: k.transB}, {Name: "alpha", Value: k.alpha}, {Name: "beta", Value: k.beta}}, ins...)
				m.check(1100)
			})
		}
	}
}

func TestGemmKeepsTheReferenceForOtherForms(t *testing.T) {
	for _, k := range []struct {
		c      []int64
		transA int64
	}{{[]int64{4}, 1}, {[]int64{4, 1}, 0}, {[]int64{1}, 0}, {[]int64{4, 4}, 0}} {
		m := newMultiply(t, 1)
		m.node("", "Gemm", []graph.Attr{{Name: "transA", Value: k.transA}},
			m.input(m.numbers(graph.Float32, 4, 4)), m.input(m.numbers(graph.Float32, 4, 4)), m.input(m.numbers(graph.Float32, k.c...)))
		if g := Lower(m.g, Math{})[0]; g.Kernel != nil {
			t.Errorf("transA %d and C of shape %v got a kernel", k.transA, k.c)
		}
	}
}
