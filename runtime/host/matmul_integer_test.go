package host

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

func TestMatMulIntegerRefuses(t *testing.T) {
	m := newMultiply(t, 1)
	bytes := func(d graph.DType, shape ...int64) *graph.Tensor { return filled(m.rand, d, shape...) }
	m.node("", "MatMulInteger", nil, m.input(bytes(graph.Uint8, 2, 8)), m.constant(bytes(graph.Int8, 8, 3)), m.constant(bytes(graph.Uint8)), m.constant(bytes(graph.Int8, 3)))
	k, c, _ := m.kernel(nil)
	for name, in := range map[string][]*graph.Tensor{
		"inner extents":      {bytes(graph.Uint8, 2, 7), c.In[1], c.In[2], c.In[3]},
		"zeros of a":         {c.In[0], c.In[1], bytes(graph.Uint8, 3), c.In[3]},
		"zeros of b":         {c.In[0], c.In[1], c.In[2], bytes(graph.Int8, 1, 3)},
		"type of b's zeros":  {c.In[0], c.In[1], c.In[2], bytes(graph.Uint8, 3)},
		"no zeros, in order": {c.In[0], c.In[1], nil, bytes(graph.Int8, 2)},
	} {
		if err := k(&Call{Ctx: context.Background(), In: in, Out: c.Out}); !errors.Is(err, op.ErrInput) {
			t.Errorf("%s: %v, want %v", name, err, op.ErrInput)
		}
	}
}

func BenchmarkMatMulInteger(b *testing.B) {
	for _, s := range [][3]int64{{512, 896, 4864}, {512, 4864, 896}, {32, 896, 4864}, {1, 896, 4864}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			m := newMultiply(b, 1)
			in := []*graph.Tensor{filled(m.rand, graph.Uint8, s[0], s[1]), filled(m.rand, graph.Int8, s[1], s[2]), filled(m.rand, graph.Uint8), filled(m.rand, graph.Int8, s[2])}
			m.node("", "MatMulInteger", nil, m.input(in[0]), m.constant(in[1]), m.constant(in[2]), m.constant(in[3]))
			benchmark(b, m, int(s[0]), int(s[1]), int(s[2]), int(s[1]*s[2]))
		})
	}
}
