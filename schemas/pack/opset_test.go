package pack

import (
	"errors"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/onnx"
)

func TestAtOpset(t *testing.T) {
	attr := func(name string, v any) graph.Attr { return graph.Attr{Name: name, Value: v} }
	for _, c := range []struct {
		op      string
		version int
		attrs   []graph.Attr
		outs    []string
		want    []graph.Attr // of the node at Opset
		input   []float32    // its input 1; nil: none
		refused bool
	}{
		{op: "Add", version: 7},
		{op: "Squeeze", version: 11, attrs: []graph.Attr{attr("axes", []int64{0, 2})}, input: []float32{0, 2}},
		{op: "Unsqueeze", version: 12, attrs: []graph.Attr{attr("axes", []int64{1})}, input: []float32{1}},
		{op: "ReduceSum", version: 11, attrs: []graph.Attr{attr("axes", []int64{-1}), attr("keepdims", int64(0))}, want: []graph.Attr{attr("keepdims", int64(0))}, input: []float32{-1}},
		{op: "ReduceMean", version: 17, attrs: []graph.Attr{attr("axes", []int64{-1})}, input: []float32{-1}},
		{op: "ReduceMean", version: 17},
		{op: "Clip", version: 10, attrs: []graph.Attr{attr("min", float32(0)), attr("max", float32(6))}, input: []float32{0}},
		{op: "Split", version: 11, attrs: []graph.Attr{attr("axis", int64(1)), attr("split", []int64{2, 3})}, outs: []string{"a", "b"}, want: []graph.Attr{attr("axis", int64(1))}, input: []float32{2, 3}},
		{op: "Split", version: 17, outs: []string{"a", "b", "c"}, want: []graph.Attr{attr("num_outputs", int64(3))}},
		{op: "Softmax", version: 11, attrs: []graph.Attr{attr("axis", int64(2))}, want: []graph.Attr{attr("axis", int64(2))}},
		{op: "Softmax", version: 11, attrs: []graph.Attr{attr("axis", int64(-1))}, want: []graph.Attr{attr("axis", int64(2))}},
		{op: "Softmax", version: 11, refused: true}, // over the extents 1 and 2 together
		{op: "Softmax", version: 13},
		{op: "Slice", version: 9, attrs: []graph.Attr{attr("starts", []int64{1, 0}), attr("ends", []int64{2, 1})}, input: []float32{1, 0}},
		{op: "GridSample", version: 16, want: []graph.Attr{attr("mode", "linear")}},
		{op: "GridSample", version: 16, attrs: []graph.Attr{attr("mode", "bicubic")}, want: []graph.Attr{attr("mode", "cubic")}},
		{op: "GridSample", version: 20, attrs: []graph.Attr{attr("mode", "cubic")}, want: []graph.Attr{attr("mode", "cubic")}},
		{op: "BatchNormalization", version: 7, attrs: []graph.Attr{attr("spatial", int64(1))}},
		{op: "BatchNormalization", version: 7, attrs: []graph.Attr{attr("spatial", int64(0))}, refused: true},
		{op: "Dropout", version: 7, attrs: []graph.Attr{attr("ratio", float32(0.5))}},
		{op: "Upsample", version: 7, attrs: []graph.Attr{attr("scales", []float32{1, 2, 0.5})}, refused: true}, // nearest: floor and ceil
		{op: "Slice", version: 10},
		{op: "GroupNormalization", version: 18, refused: true},
	} {
		g := graph.New("g")
		x := g.NewInput("x", graph.TensorOf(graph.Float32, 2, 3, 4))
		if c.outs == nil {
			c.outs = []string{"y"}
		}
		n := g.NewNode("", c.op, c.version, []*graph.Value{x}, c.outs...)
		n.Attrs = c.attrs
		g.Append(n)
		g.Outputs = n.Outputs
		out, _, err := atOpset(g)
		if c.refused != errors.Is(err, onnx.ErrUnsupported) || err != nil && !c.refused {
			t.Errorf("%s of opset %d: %v", c.op, c.version, err)
		}
		if err != nil {
			continue
		}
		got := out.Nodes[0]
		var input []float32
		if v := got.In(1); v != nil {
			if input, err = v.Const.Float32s(); err != nil {
				t.Error(err)
			}
		}
		same := slices.EqualFunc(got.Attrs, c.want, func(a, b graph.Attr) bool { return a == b })
		if got.Version != Opset || !same || !slices.Equal(input, c.input) {
			t.Errorf("%s of opset %d: version %d, attributes %v and input %v, want %v and %v", c.op, c.version, got.Version, got.Attrs, input, c.want, c.input)
		}
		if n.Version != c.version || len(n.Attrs) != len(c.attrs) || n.In(1) != nil {
			t.Errorf("%s of opset %d: the original changed: %+v", c.op, c.version, n)
		}
	}
}
