package op

import (
	"slices"

	"mnnconv/graph"
)

// MRotaryEmbedding is onnxruntime's rotary embedding with three positions per
// token, as Qwen2-VL and its successors use it.
var MRotaryEmbedding = &Op{
	Domain: Microsoft, Name: "MRotaryEmbedding", Since: 1,
	Doc: "As RotaryEmbedding, with position_ids [3, batch, sequence] of time, height and width: angle i is taken at the position of one of them. " +
		"mrope_layout 0: the first mrope_section[0] angles at time, the next mrope_section[1] at height, the rest at width, " +
		"which is apply_multimodal_rotary_pos_emb of Qwen2-VL and Qwen2.5-VL; 1: angles 1, 4, 7… at height and 2, 5, 8… at width, as many as their sections say, and all others at time.",
	Inputs: []string{"input", "position_ids", "cos_cache", "sin_cache"}, Outputs: []string{"output"},
	Attrs: []string{"interleaved", "is_packed_batching", "mrope_layout", "mrope_section", "num_heads", "rotary_embedding_dim", "scale"},
	Infer: inferRotary,
	Eval: func(c *Call) error {
		v, table, err := microsoftRotary(c)
		if err != nil {
			return err
		}
		stream, err := mropeStreams(c.Node, table.half)
		if err != nil {
			return err
		}
		pos := c.Arg(1)
		if want := []int64{3, int64(v.batch), int64(v.rows)}; !slices.Equal(pos.Shape, want) {
			return inputErrorf("positions of shape %v, want %v", pos.Shape, want)
		}
		p, err := pos.Int64s()
		if err != nil {
			return err
		}
		cos, sin := make([]float32, table.half), make([]float32, table.half)
		return evalRotary(c, v, func(b, r int) ([]float32, []float32, error) {
			for s := range 3 {
				cs, sn, err := table.row(p[(s*v.batch+b)*v.rows+r])
				if err != nil {
					return nil, nil, err
				}
				for i, from := range stream {
					if from == s {
						cos[i], sin[i] = cs[i], sn[i]
					}
				}
			}
			return cos, sin, nil
		})
	},
	Cases: func() []Case {
		// Row p of the caches turns by p quarter turns, for each of 3 angles.
		cos := graph.Floats([]float32{1, 1, 1, 0, 0, 0, -1, -1, -1}, 3, 3)
		sin := graph.Floats([]float32{0, 0, 0, 1, 1, 1, 0, 0, 0}, 3, 3)
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 1, 1, 6)
		attrs := func(layout int64, section ...int64) []graph.Attr {
			return []graph.Attr{{Name: "mrope_section", Value: section}, {Name: "mrope_layout", Value: layout}, {Name: "num_heads", Value: int64(1)}}
		}
		return []Case{{
			Name: "sections", Attrs: attrs(0, 1, 1, 1),
			In:   []*graph.Tensor{x, graph.Ints([]int64{0, 1, 2}, 3, 1, 1), cos, sin},
			Want: []*graph.Tensor{graph.Floats([]float32{1, -5, -3, 4, 2, -6}, 1, 1, 6)},
		}, {
			Name: "text: three equal positions", Attrs: attrs(0, 0, 1, 2),
			In:   []*graph.Tensor{x, graph.Ints([]int64{1, 1, 1}, 3, 1, 1), cos, sin},
			Want: []*graph.Tensor{graph.Floats([]float32{-4, -5, -6, 1, 2, 3}, 1, 1, 6)},
		}, {
			Name: "interleaved sections", Attrs: attrs(1, 2, 1, 0),
			In:   []*graph.Tensor{x, graph.Ints([]int64{0, 2, 1}, 3, 1, 1), cos, sin},
			Want: []*graph.Tensor{graph.Floats([]float32{1, -2, 3, 4, -5, 6}, 1, 1, 6)},
		}}
	},
}

// mropeStreams returns for each angle whether it belongs to time (0), height
// (1) or width (2).
func mropeStreams(n *graph.Node, half int) ([]int, error) {
	section, layout := n.Ints("mrope_section"), n.Int("mrope_layout", 0)
	if layout != 0 && layout != 1 || len(section) != 3 {
		return nil, inputErrorf("mrope_layout %d with mrope_section %v", layout, section)
	}
	left := int64(half)
	for _, s := range section {
		if s < 0 || s > left {
			return nil, inputErrorf("mrope_section %v for %d angles", section, half)
		}
		left -= s
	}
	if left != 0 {
		return nil, inputErrorf("mrope_section %v for %d angles", section, half)
	}
	stream := make([]int, half)
	for i := range stream {
		at := int64(i)
		switch {
		case layout == 1:
			if s := i % 3; at < 3*section[s] {
				stream[i] = s
			}
		case at >= section[0]+section[1]:
			stream[i] = 2
		case at >= section[0]:
			stream[i] = 1
		}
	}
	return stream, nil
}
