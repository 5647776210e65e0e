package host

import (
	"testing"

	"mnnconv/graph"
)

func TestWeightsBehindCastAndTranspose(t *testing.T) {
	to := []graph.Attr{{Name: "to", Value: int64(graph.Float32)}}
	swap := []graph.Attr{{Name: "perm", Value: []int64{1, 0}}}
	for name, behind := range map[string]func(m *multiply) *graph.Value{
		"cast": func(m *multiply) *graph.Value {
			return m.node("", "Cast", to, m.constant(m.numbers(graph.BFloat16, 40, 70))).out
		},
		"transpose": func(m *multiply) *graph.Value {
			return m.node("", "Transpose", swap, m.constant(m.numbers(graph.Float32, 70, 40))).out
		},
		"both": func(m *multiply) *graph.Value {
			m.node("", "Cast", to, m.constant(m.numbers(graph.Float16, 70, 40)))
			return m.node("", "Transpose", nil, m.out).out
		},
		"twice the same": func(m *multiply) *graph.Value {
			m.node("", "Transpose", swap, m.constant(m.numbers(graph.Float32, 40, 70)))
			return m.node("", "Transpose", swap, m.out).out
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMultiply(t, 1)
			m.node("", "MatMul", nil, m.input(m.numbers(graph.Float32, 3, 40)), behind(m))
			m.node("", "Add", nil, m.out, m.constant(m.numbers(graph.Float32, 70)))
			m.check(40)
			g := newMultiply(t, 1)
			g.node("", "Gemm", nil, g.input(g.numbers(graph.Float32, 3, 40)), behind(g))
			g.check(40)
		})
	}
}

func TestWeightsBehindOtherNodesAreComputed(t *testing.T) {
	m := newMultiply(t, 1)
	w := m.node("", "Transpose", nil, m.constant(m.numbers(graph.Float32, 40, 40))).out
	m.node("", "MatMul", nil, m.node("", "MatMul", nil, m.input(m.numbers(graph.Float32, 3, 40)), w).out, w) // read twice
	if g := Lower(m.g, Math{}); len(g) != 3 {
		t.Errorf("%d kernels, want 3: the weight has two readers", len(g))
	}
	n := newMultiply(t, 1)
	w = n.node("", "Cast", []graph.Attr{{Name: "to", Value: int64(graph.Float16)}}, n.constant(n.numbers(graph.Float32, 40, 40))).out
	n.node("", "MatMul", nil, n.input(n.numbers(graph.Float16, 3, 40)), w) // rounds
	if g := Lower(n.g, Math{}); len(g) != 2 {
		t.Errorf("%d kernels, want 2: the cast rounds", len(g))
	}
}
