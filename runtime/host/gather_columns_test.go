package host

import (
	"testing"

	"mnnconv/graph"
)

func TestGatherColumns(t *testing.T) {
	for _, d := range floatTypes {
		for _, ids := range []*graph.Tensor{ints(3), ints(0, 76, -1, 5, -77).Reshape(1, 5), ints().Reshape(0)} {
			m := newMultiply(t, 1)
			m.node("", "Transpose", nil, m.constant(m.numbers(d, 40, 77)))
			m.node("", "Gather", nil, m.out, m.input(ids))
			m.check(0)
		}
	}
}

func TestGatherColumnsRefusesIndexesOutOfRange(t *testing.T) {
	m := newMultiply(t, 1)
	m.node("", "Transpose", nil, m.constant(m.numbers(graph.Float32, 40, 77)))
	m.node("", "Gather", nil, m.out, m.input(ints(77)))
	if k, c, _ := m.kernel(nil); k(c) == nil {
		t.Error("no error")
	}
}
