package op

import (
	"fmt"

	"mnnconv/graph"
)

// FusedRoPE is the rotary embedding of MNN's llmexport.
var FusedRoPE = &Op{
	Domain: LlmExporter, Name: "FusedRoPE", Since: 1,
	Doc: "Turns query and key, taken as [1, sequence, num_head or kv_num_head, head_dim], by cos and sin, taken as [sequence or 1, head_dim]: " +
		"y = x·cos + rotate_half(x)·sin with rotate_half(x) = (-second half, first half). " +
		"Norms of query and key and a rope_cut_head_dim other than head_dim are refused. Computed in float32 and rounded once.",
	Inputs:  []string{"query", "key", "cos", "sin", "q_norm?", "k_norm?"},
	Outputs: []string{"query_out", "key_out"},
	Attrs:   []string{"head_dim", "k_norm", "k_norm_eps", "kv_num_head", "name", "num_head", "q_norm", "q_norm_eps", "rope_cut_head_dim"},
	Infer: func(in *Inference) error {
		for i, heads := range fusedHeads(in.Node) {
			d, s := in.Type(i).DType, in.Type(i).Shape
			in.SetTensor(i, d, nil)
			if size := in.Node.Int("head_dim", 0); s.Ranked() && heads > 0 && size > 0 {
				rows := s.Elements().Div(graph.Const(heads)).Div(graph.Const(size))
				in.SetTensor(i, d, graph.Shape{graph.Const(1), rows, graph.Const(heads), graph.Const(size)})
			}
		}
		return nil
	},
	Eval: func(c *Call) error {
		n := c.Node
		size := n.Int("head_dim", 0)
		for i := 4; i <= 5; i++ {
			if t := c.Arg(i); t != nil && t.Len() > 0 {
				return fmt.Errorf("norms of query and key are %w", ErrUnsupported)
			}
		}
		if cut := n.Int("rope_cut_head_dim", size); cut != size || n.Int("q_norm", 0) != 0 || n.Int("k_norm", 0) != 0 {
			return fmt.Errorf("turning %d of %d elements, or norms of query and key, is %w", cut, size, ErrUnsupported)
		}
		if size < 2 || size%2 != 0 {
			return inputErrorf("head_dim is %d", size)
		}
		cos, err := c.Arg(2).Float32s()
		if err != nil {
			return err
		}
		sin, err := c.Arg(3).Float32s()
		if err != nil {
			return err
		}
		if len(cos) != len(sin) {
			return inputErrorf("%d cosines and %d sines", len(cos), len(sin))
		}
		for i, heads := range fusedHeads(n) {
			if err := fusedRoPE(c, i, heads, size, cos, sin); err != nil {
				return err
			}
		}
		return nil
	},
	Cases: func() []Case {
		attrs := []graph.Attr{
			{Name: "head_dim", Value: int64(2)}, {Name: "num_head", Value: int64(2)}, {Name: "kv_num_head", Value: int64(1)}, {Name: "rope_cut_head_dim", Value: int64(2)},
		}
		none := graph.Floats(nil, 0)
		return []Case{{
			Name: "two tokens, a quarter turn for the second", Attrs: attrs,
			In: []*graph.Tensor{
				graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 2, 2), graph.Floats([]float32{1, 2, 3, 4}, 2, 1, 2),
				graph.Floats([]float32{1, 1, 0, 0}, 1, 2, 1, 2), graph.Floats([]float32{0, 0, 1, 1}, 1, 2, 1, 2), none, none,
			},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, -6, 5, -8, 7}, 1, 2, 2, 2), graph.Floats([]float32{1, 2, -4, 3}, 1, 2, 1, 2)},
		}, {
			Name: "no tokens", Attrs: attrs,
			In:   []*graph.Tensor{graph.Floats(nil, 1, 0, 2, 2), graph.Floats(nil, 1, 0, 2), graph.Floats(nil, 0, 2), graph.Floats(nil, 0, 2), none, none},
			Want: []*graph.Tensor{graph.Floats(nil, 1, 0, 2, 2), graph.Floats(nil, 1, 0, 1, 2)},
		}}
	},
}

// fusedHeads returns the numbers of query and key heads.
func fusedHeads(n *graph.Node) [2]int64 {
	return [2]int64{n.Int("num_head", 0), n.Int("kv_num_head", 0)}
}

// fusedRoPE turns input i into output i.
func fusedRoPE(c *Call, i int, heads, size int64, cos, sin []float32) error {
	x := c.Arg(i)
	v, err := x.Float32s()
	if err != nil {
		return err
	}
	token, ok := graph.CheckedMul(heads, size)
	if !ok || token == 0 || int64(len(v))%token != 0 {
		return inputErrorf("input %d of shape %v for %d heads of %d elements", i, x.Shape, heads, size)
	}
	rows := int64(len(v)) / token
	if n := int64(len(cos)); n != rows*size && n != size {
		return inputErrorf("%d cosines for %d tokens of %d", n, rows, size)
	}
	out, err := c.New(i, x.DType, 1, rows, heads, size)
	if err != nil {
		return err
	}
	y := accumulator[float32](out)
	half := int(size) / 2
	for from := 0; from < len(v); from += 2 * half {
		row := from / int(token) * 2 * half % max(len(cos), 1)
		a, b := v[from:][:half], v[from+half:][:half]
		for j := range half {
			lo, hi := row+j, row+half+j
			y[from+j] = float32(a[j]*cos[lo]) - float32(b[j]*sin[lo])
			y[from+half+j] = float32(b[j]*cos[hi]) + float32(a[j]*sin[hi])
		}
	}
	return finish(out, y)
}
