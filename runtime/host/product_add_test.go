package host

import (
	"fmt"
	"testing"

	"mnnconv/graph"
)

func TestProductAdd(t *testing.T) {
	x, row, full := []int64{2, 5, 40}, []int64{70}, []int64{2, 5, 70}
	for i, k := range []struct {
		name   string
		addend [][]int64
		first  bool // the addend is the first operand
	}{
		{"bias", [][]int64{row}, false},
		{"bias first", [][]int64{{1, 1, 70}}, true},
		{"residual", [][]int64{full}, true},
		{"bias and residual", [][]int64{row, full}, false},
		{"residual and bias", [][]int64{full, {1, 70}}, true},
	} {
		for _, d := range []graph.DType{graph.Float32, graph.Float16, graph.BFloat16} {
			t.Run(fmt.Sprintf("%s/%s", d, k.name), func(t *testing.T) {
				m := newMultiply(t, uint64(i))
				m.node("", "MatMul", nil, m.input(m.numbers(d, x...)), m.constant(m.numbers(d, 40, 70)))
				for _, s := range k.addend {
					v := m.constant(m.numbers(d, s...))
					if len(s) == len(full) && s[0] == full[0] {
						v = m.input(m.numbers(d, s...))
					}
					ins := []*graph.Value{m.out, v}
					if k.first {
						ins = []*graph.Value{v, m.out}
					}
					m.node("", "Add", nil, ins...)
				}
				m.check(40)
			})
		}
	}
}

// A product with a vector has no columns: a constant of its length is no bias.
func TestProductAddToVector(t *testing.T) {
	m := newMultiply(t, 1)
	m.node("", "MatMul", nil, m.input(m.numbers(graph.Float32, 8, 40)), m.constant(m.numbers(graph.Float32, 40)))
	m.node("", "Add", nil, m.out, m.constant(m.numbers(graph.Float32, 8)))
	m.check(40)
}

// A sum stays a node of its own where the product has other readers, or where
// the addend is broadcast in another way.
func TestProductAddKeepsApart(t *testing.T) {
	for name, build := range map[string]func(m *multiply, x, w *graph.Value){
		"two readers": func(m *multiply, x, w *graph.Value) {
			y := m.node("", "MatMul", nil, x, w).out
			m.node("", "Add", nil, y, m.constant(m.numbers(graph.Float32, 8)))
			m.node("", "Mul", nil, m.out, y)
		},
		"a graph output": func(m *multiply, x, w *graph.Value) {
			y := m.node("", "MatMul", nil, x, w).out
			m.node("", "Add", nil, y, m.constant(m.numbers(graph.Float32, 8)))
			m.g.Outputs = append(m.g.Outputs, y)
		},
		"a column": func(m *multiply, x, w *graph.Value) {
			m.node("", "MatMul", nil, x, w)
			m.node("", "Add", nil, m.out, m.constant(m.numbers(graph.Float32, 4, 1)))
		},
		"more extents than the product": func(m *multiply, x, w *graph.Value) {
			m.node("", "MatMul", nil, x, w)
			m.node("", "Add", nil, m.out, m.constant(m.numbers(graph.Float32, 1, 1, 8)))
		},
		"a convolution's places": func(m *multiply, x, w *graph.Value) {
			m.node("", "Conv", nil, m.input(m.numbers(graph.Float32, 4, 3, 2)), m.constant(m.numbers(graph.Float32, 5, 3, 2)))
			m.node("", "Add", nil, m.out, m.constant(m.numbers(graph.Float32, 1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMultiply(t, 1)
			build(m, m.input(m.numbers(graph.Float32, 4, 8)), m.constant(m.numbers(graph.Float32, 8, 8)))
			for _, g := range Lower(m.g, Math{}) {
				if len(g.Nodes) > 1 {
					t.Errorf("%s is one kernel", g.Name)
				}
			}
		})
	}
}
