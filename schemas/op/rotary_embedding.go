package op

import (
	"slices"

	"mnnconv/graph"
)

// RotaryEmbedding is ONNX RotaryEmbedding.
var RotaryEmbedding = &Op{
	Name: "RotaryEmbedding", Since: 23,
	Doc: "Turns the first rotary_embedding_dim elements (0: all) of every head of X [batch, heads, sequence, head] or [batch, sequence, num_heads·head] by the angles of its position: " +
		"row position_ids[b, s] of the caches, or without position_ids row [b, s] of caches [batch, sequence, half]. Computed in float32 and rounded once.",
	Inputs: []string{"X", "cos_cache", "sin_cache", "position_ids?"}, Outputs: []string{"Y"},
	Attrs: []string{"interleaved", "num_heads", "rotary_embedding_dim"},
	Infer: inferRotary,
	Eval: func(c *Call) error {
		x, pos := c.Arg(0), c.Arg(3)
		v, err := headsOf(x.Shape, c.Node.Int("num_heads", 0))
		if err != nil {
			return err
		}
		rank := 3
		if pos != nil {
			rank = 2
		}
		table, err := newAngleTable(c.Arg(1), c.Arg(2), rank)
		if err != nil {
			return err
		}
		turned := c.Node.Int("rotary_embedding_dim", 0)
		if turned == 0 {
			turned = int64(v.size)
		}
		if int64(table.half) != turned/2 || turned < 0 || turned > int64(v.size) {
			return inputErrorf("caches of %d angles to turn %d of %d elements", table.half, turned, v.size)
		}
		at := func(b, r int) int64 { return int64(b*v.rows + r) }
		if pos == nil {
			if want := []int64{int64(v.batch), int64(v.rows)}; !slices.Equal(c.Arg(1).Shape[:2], want) {
				return inputErrorf("caches of shape %v without position_ids for X of shape %v", c.Arg(1).Shape, x.Shape)
			}
		} else if at, err = positions(pos, v); err != nil {
			return err
		}
		return evalRotary(c, v, func(b, r int) (cos, sin []float32, err error) {
			return table.row(at(b, r))
		})
	},
	Cases: func() []Case {
		// A quarter turn takes (a, b) to (-b, a).
		cos, sin := graph.Floats([]float32{1, 0}, 2, 1), graph.Floats([]float32{0, 1}, 2, 1)
		heads2 := graph.Attr{Name: "num_heads", Value: int64(2)}
		return []Case{{
			Name: "4-D with positions",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 2, 2), cos, sin, graph.Ints([]int64{1, 0}, 1, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{-2, 1, 3, 4}, 1, 1, 2, 2)},
		}, {
			Name: "3-D with heads and angles per token", Attrs: []graph.Attr{heads2},
			In: []*graph.Tensor{
				graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 4), cos.Reshape(1, 2, 1), sin.Reshape(1, 2, 1),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, -6, 5, -8, 7}, 1, 2, 4)},
		}, {
			Name: "halves or neighbours", Attrs: []graph.Attr{{Name: "interleaved", Value: int64(1)}},
			In: []*graph.Tensor{
				graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 1, 4), graph.Floats([]float32{0, 1}, 1, 2), graph.Floats([]float32{1, 0}, 1, 2), graph.Ints([]int64{0}, 1, 1),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{-2, 1, 3, 4}, 1, 1, 1, 4)},
		}, {
			Name: "partial", Attrs: []graph.Attr{{Name: "rotary_embedding_dim", Value: int64(2)}},
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 1, 4), cos, sin, graph.Ints([]int64{1}, 1, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{-2, 1, 3, 4}, 1, 1, 1, 4)},
		}, {
			Name: "no tokens",
			In:   []*graph.Tensor{graph.Floats(nil, 1, 1, 0, 2), cos, sin, graph.Ints(nil, 1, 0)},
			Want: []*graph.Tensor{graph.Floats(nil, 1, 1, 0, 2)},
		}}
	},
}

// inferRotary gives the output the type of input 0, a tensor of heads.
func inferRotary(in *Inference) error {
	in.SetTensor(0, in.Type(0).DType, in.Type(0).Shape)
	_, err := in.ranked(0, 3, 4)
	return err
}

// positions returns the lookup in a tensor [batch, rows] of positions.
func positions(t *graph.Tensor, v heads) (func(b, r int) int64, error) {
	p, err := t.Int64s()
	if err != nil {
		return nil, err
	}
	if !slices.Equal(t.Shape, []int64{int64(v.batch), int64(v.rows)}) {
		return nil, inputErrorf("positions of shape %v for %d sequences of %d", t.Shape, v.batch, v.rows)
	}
	return func(b, r int) int64 { return p[b*v.rows+r] }, nil
}
