package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/onnx"
)

// headWeight is what the projection to logits is called here, where the template
// numbers it; embedWeight is the table of embeddings there.
const (
	headWeight  = "head.weight"
	embedWeight = "e.weight"
)

// scaleDecoder changes the template's decoder to the shape.
func scaleDecoder(m *onnx.Model, s shape) error {
	g, was := m.Graph, shapes["tiny"]
	layer := func(i int) string { return fmt.Sprintf("/lm/layers.%d/input_layernorm/Cast", i) }
	layers, err := layersOf(g, layer(0), layer(1), layer(2), layer(3), "/lm/norm/Cast")
	if err != nil {
		return err
	}
	if err := replace(g, layers.all(g), []constant{
		{"a head's width in reshapes", "Concat", graph.Ints([]int64{int64(was.head())}), graph.Ints([]int64{int64(s.head())})},
		{"heads for each key in reshapes", "Concat", graph.Ints([]int64{int64(was.Heads / was.KV)}), graph.Ints([]int64{int64(s.Heads / s.KV)})},
		{"heads for each key in products", "Mul", graph.Scalar(int64(was.Heads / was.KV)), graph.Scalar(int64(s.Heads / s.KV))},
		{"the sections of M-RoPE", "Split", graph.Ints(twice(was.Section)), graph.Ints(twice(s.Section))},
		{"the scale of attention", "Mul", half(1 / math.Sqrt(float64(was.head()))), half(1 / math.Sqrt(float64(s.head())))},
	}); err != nil {
		return err
	}
	if err := replace(g, g.Nodes[:layers.at[0]], []constant{
		{"the frequencies of RoPE", "Expand", &graph.Tensor{DType: graph.Float16, Shape: []int64{1, 1, int64(was.head() / 2), 1}},
			half(frequencies(s.Theta, s.head()/2)...).Reshape(1, 1, int64(s.head()/2), 1)},
	}); err != nil {
		return err
	}
	extents(g, map[int]int{was.Hidden: s.Hidden, was.KV * was.head(): s.KV * s.head(), was.Intermediate: s.Intermediate,
		was.Vocabulary: s.Vocabulary, was.head(): s.head(), was.KV: s.KV})
	g.Nodes[len(g.Nodes)-1].Inputs[1].Name = headWeight
	stack(g, layers, s.Layers, func(i int) int { return min(i, 1) })
	return retype(g, s.Type, s.Type)
}

// scaleVision changes the template's vision tower to the shape.
func scaleVision(m *onnx.Model, s shape) error {
	g, t, was := m.Graph, s.Vision, shapes["tiny"].Vision
	blocks, err := layersOf(g, "/norm1/Cast", "/norm1_1/Cast", "/norm1_2/Cast", "/norm1_3/Cast", "/merger/ln_q/Cast")
	if err != nil {
		return err
	}
	if err := replace(g, blocks.all(g), []constant{
		{"the number of heads in reshapes", "Concat", graph.Ints([]int64{int64(was.Heads)}), graph.Ints([]int64{int64(t.Heads)})},
		{"the scale of attention", "Mul", half(1 / math.Sqrt(float64(was.head()))), half(1 / math.Sqrt(float64(t.head())))},
	}); err != nil {
		return err
	}
	if err := replace(g, g.Nodes, []constant{
		{"the width of patches", "Reshape", graph.Ints([]int64{-1, int64(was.Hidden)}), graph.Ints([]int64{-1, int64(t.Hidden)})},
		{"the width of merged patches", "Reshape", graph.Ints([]int64{-1, int64(4 * was.Hidden)}), graph.Ints([]int64{-1, int64(4 * t.Hidden)})},
	}); err != nil {
		return err
	}
	extents(g, map[int]int{was.Hidden: t.Hidden, 3 * was.Hidden: 3 * t.Hidden, 4 * was.Hidden: 4 * t.Hidden,
		was.Intermediate: t.Intermediate, shapes["tiny"].Hidden: s.Hidden})
	for v := range weights(g) {
		if v.Name == "inv_freq" {
			v.Const = half(frequencies(1e4, t.head()/4)...)
			v.Type = v.Const.Type()
		}
	}
	stack(g, blocks, t.Blocks, func(i int) int {
		if slices.Contains(t.Full, i) {
			return 1
		}
		return 0
	})
	return retype(g, t.Type, s.Type)
}

// scaleEmbedding changes the template's table of embeddings to the shape.
func scaleEmbedding(m *onnx.Model, s shape) error {
	was := shapes["tiny"]
	extents(m.Graph, map[int]int{was.Hidden: s.Hidden, was.Vocabulary: s.Vocabulary})
	return retype(m.Graph, s.Type, s.Type)
}

// frequencies returns the n angular frequencies of RoPE.
func frequencies(theta float64, n int) []float64 {
	f := make([]float64, n)
	for i := range f {
		f[i] = math.Pow(theta, -float64(i)/float64(n))
	}
	return f
}

// half returns a float16 tensor; one number is a scalar.
func half(v ...float64) *graph.Tensor {
	h := make([]uint16, len(v))
	for i, x := range v {
		h[i] = graph.F32ToF16(float32(x))
	}
	t := graph.FromSlice(graph.Float16, h)
	if len(v) == 1 {
		return t.Reshape()
	}
	return t
}

func twice(v []int) []int64 {
	var out []int64
	for range 2 {
		for _, x := range v {
			out = append(out, int64(x))
		}
	}
	return out
}

// constant is one that depends on the shape: what operator reads it, what it is in
// the template, and here. Without data, any of the type is meant.
type constant struct {
	what, reader string
	from, to     *graph.Tensor
}

func (c constant) is(t *graph.Tensor) bool {
	return t.DType == c.from.DType && slices.Equal(t.Shape, c.from.Shape) && (c.from.Data == nil || bytes.Equal(t.Data, c.from.Data))
}

// replace changes the values of Constant nodes.
func replace(g *graph.Graph, nodes []*graph.Node, constants []constant) error {
	uses := g.Uses()
	found := make([]bool, len(constants))
	for _, n := range nodes {
		t := n.Tensor("value")
		if !n.Is("Constant") || t == nil {
			continue
		}
		i := slices.IndexFunc(constants, func(c constant) bool {
			return c.is(t) && slices.ContainsFunc(uses[n.Outputs[0]], func(u graph.Use) bool { return u.Node.Is(c.reader) })
		})
		if i >= 0 {
			n.SetAttr("value", constants[i].to)
			found[i] = true
		}
	}
	if i := slices.Index(found, false); i >= 0 {
		return fmt.Errorf("the template does not hold %s", constants[i].what)
	}
	return nil
}

// weights returns the constants that nodes read.
func weights(g *graph.Graph) map[*graph.Value]bool {
	all := map[*graph.Value]bool{}
	for _, n := range g.Nodes {
		n.Reads(func(v *graph.Value) {
			if v.Const != nil {
				all[v] = true
			}
		})
	}
	return all
}

// extents changes the extents of weights, inputs and outputs, and forgets those of
// what stands between. The weights lose their data.
func extents(g *graph.Graph, with map[int]int) {
	for v := range weights(g) {
		t := &graph.Tensor{DType: v.Const.DType}
		for _, n := range v.Const.Shape {
			if m, ok := with[int(n)]; ok {
				n = int64(m)
			}
			t.Shape = append(t.Shape, n)
		}
		v.Const, v.Type = t, t.Type()
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil && !slices.Contains(g.Outputs, v) {
				v.Type = graph.Type{}
			}
		}
	}
	for _, v := range append(slices.Clone(g.Inputs), g.Outputs...) {
		for i, d := range v.Type.Shape {
			if n, ok := d.Int(); ok && with[int(n)] != 0 {
				v.Type.Shape[i] = graph.Const(int64(with[int(n)]))
			}
		}
	}
}
