package op

import (
	"fmt"

	"mnnconv/graph"
)

// MicrosoftRotaryEmbedding is onnxruntime's RotaryEmbedding, older than ONNX's:
// positions come before the caches and are required.
var MicrosoftRotaryEmbedding = &Op{
	Domain: Microsoft, Name: "RotaryEmbedding", Since: 1,
	Doc: "As ONNX RotaryEmbedding, with position_ids [batch, sequence], or [1] for the position of the first token. " +
		"Heads of a 3-D input have hidden/num_heads elements, or without num_heads twice the caches' width.",
	Inputs: []string{"input", "position_ids", "cos_cache", "sin_cache"}, Outputs: []string{"output"},
	Attrs: []string{"interleaved", "num_heads", "rotary_embedding_dim", "is_packed_batching", "scale"},
	Infer: inferRotary,
	Eval: func(c *Call) error {
		v, table, err := microsoftRotary(c)
		if err != nil {
			return err
		}
		pos := c.Arg(1)
		var at func(b, r int) int64
		if len(pos.Shape) == 1 && pos.Shape[0] == 1 {
			first, err := pos.Int64s()
			if err != nil {
				return err
			}
			at = func(_, r int) int64 { return first[0] + int64(r) }
		} else if at, err = positions(pos, v); err != nil {
			return err
		}
		return evalRotary(c, v, func(b, r int) (cos, sin []float32, err error) {
			return table.row(at(b, r))
		})
	},
	Cases: func() []Case {
		cos, sin := graph.Floats([]float32{1, 0, -1}, 3, 1), graph.Floats([]float32{0, 1, 0}, 3, 1)
		return []Case{{
			Name: "heads from the caches",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 4), graph.Ints([]int64{1}, 1, 1), cos, sin},
			Want: []*graph.Tensor{graph.Floats([]float32{-2, 1, -4, 3}, 1, 1, 4)},
		}, {
			Name: "one offset",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 2, 2), graph.Ints([]int64{1}), cos, sin},
			Want: []*graph.Tensor{graph.Floats([]float32{-2, 1, -3, -4}, 1, 1, 2, 2)},
		}, {
			Name:  "partial, per head",
			Attrs: []graph.Attr{{Name: "num_heads", Value: int64(2)}, {Name: "rotary_embedding_dim", Value: int64(2)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 2, 9, 3, 4, 9}, 1, 1, 6), graph.Ints([]int64{2}, 1, 1), cos, sin},
			Want:  []*graph.Tensor{graph.Floats([]float32{-1, -2, 9, -3, -4, 9}, 1, 1, 6)},
		}}
	},
}

// microsoftRotary reads what onnxruntime's two rotary embeddings share.
func microsoftRotary(c *Call) (heads, angleTable, error) {
	if s := c.Node.Float("scale", 1); s != 1 {
		return heads{}, angleTable{}, fmt.Errorf("scale %v is %w", s, ErrUnsupported)
	}
	table, err := newAngleTable(c.Arg(2), c.Arg(3), 2)
	if err != nil {
		return heads{}, table, err
	}
	x, n := c.Arg(0).Shape, c.Node.Int("num_heads", 0)
	if len(x) == 3 && n == 0 && table.half > 0 {
		n = x[2] / int64(2*table.half)
	}
	v, err := headsOf(x, n)
	if err != nil {
		return v, table, err
	}
	turned := c.Node.Int("rotary_embedding_dim", 0)
	if turned == 0 {
		turned = int64(v.size)
	}
	if int64(2*table.half) != turned {
		return v, table, inputErrorf("caches of %d angles for %d elements", table.half, turned)
	}
	return v, table, nil
}
