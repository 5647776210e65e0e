package host

import (
	"fmt"
	"testing"

	"mnnconv/graph"
)

func TestConvOfPatches(t *testing.T) {
	for i, k := range []struct {
		x, w []int64
		bias bool
	}{
		{[]int64{17, 3, 2, 14, 14}, []int64{33, 3, 2, 14, 14}, false},
		{[]int64{5, 3, 2, 14, 14}, []int64{64, 3, 2, 14, 14}, true},
		{[]int64{5, 4, 3, 3}, []int64{7, 4, 3, 3}, true},
		{[]int64{0, 3, 3}, []int64{7, 3, 3}, true},
	} {
		for _, d := range []graph.DType{graph.Float32, graph.Float16} {
			t.Run(fmt.Sprintf("%s/%v", d, k.x), func(t *testing.T) {
				m := newMultiply(t, uint64(i))
				ins := []*graph.Value{m.input(m.numbers(d, k.x...)), m.constant(m.numbers(d, k.w...))}
				if k.bias {
					ins = append(ins, m.constant(m.numbers(d, k.w[0])))
				}
				m.node("", "Conv", []graph.Attr{{Name: "strides", Value: k.w[2:]}, {Name: "kernel_shape", Value: k.w[2:]}}, ins...)
				m.check(1176)
			})
		}
	}
}

func TestConvKeepsTheReferenceForOtherForms(t *testing.T) {
	for name, k := range map[string]struct {
		x, w  []int64
		attrs []graph.Attr
	}{
		"several places":    {[]int64{2, 4, 3, 6}, []int64{4, 4, 3, 3}, nil},
		"groups":            {[]int64{2, 4, 3, 3}, []int64{4, 2, 3, 3}, []graph.Attr{{Name: "group", Value: int64(2)}}},
		"padding":           {[]int64{2, 4, 3, 3}, []int64{4, 4, 3, 3}, []graph.Attr{{Name: "pads", Value: []int64{0, 1, 0, 1}}}},
		"automatic padding": {[]int64{2, 4, 3, 3}, []int64{4, 4, 3, 3}, []graph.Attr{{Name: "auto_pad", Value: "SAME_UPPER"}}},
		"a dilated kernel":  {[]int64{2, 4, 3, 3}, []int64{4, 4, 2, 2}, []graph.Attr{{Name: "dilations", Value: []int64{2, 2}}}},
	} {
		m := newMultiply(t, 1)
		m.node("", "Conv", k.attrs, m.input(m.numbers(graph.Float32, k.x...)), m.constant(m.numbers(graph.Float32, k.w...)))
		if g := Lower(m.g, Math{})[0]; g.Kernel != nil {
			t.Errorf("%s: got a kernel", name)
		}
	}
}
