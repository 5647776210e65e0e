package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// FusedAttention is the attention of MNN's llmexport.
var FusedAttention = &Op{
	Domain: LlmExporter, Name: "FusedAttention", Since: 1,
	Doc: "softmax(query·keyᵀ/sqrt(head) + attention_mask)·value for query [batch, S, heads, head] and key, value [batch, S, heads or a divisor, head], as [batch, S, heads·head]. " +
		"In MNN the operator also keeps the keys and values of earlier calls as hidden state (kv_cache = 1, told apart by layer_index). " +
		"An evaluation has no such state: this is a prefill over an empty cache, and attention_mask is as wide as key is long. Computed in float32 and rounded once.",
	Inputs: []string{"query", "key", "value", "attention_mask?"}, Outputs: []string{"output"},
	Attrs: []string{"head_dim", "kv_cache", "kv_shared_layer_index", "layer_index", "name", "output_dim"},
	Infer: func(in *Inference) error {
		d := in.Type(0).DType
		in.SetTensor(0, d, nil)
		q, err := in.ranked(0, 4)
		if err != nil || q == nil {
			return err
		}
		for i := 1; i <= 2; i++ {
			s, err := in.ranked(i, 4)
			if err != nil || s == nil {
				return err
			}
			if _, err := in.agree("head sizes", q[3], s[3]); err != nil {
				return err
			}
		}
		in.SetTensor(0, d, graph.Shape{q[0], q[1], q[2].Mul(q[3])})
		return nil
	},
	Eval: func(c *Call) error {
		q, k, v, mask := c.Arg(0), c.Arg(1), c.Arg(2), c.Arg(3)
		for i := range 3 {
			if err := c.wantRank(i, 4); err != nil {
				return err
			}
		}
		switch {
		case c.Node.Int("kv_shared_layer_index", -1) >= 0:
			return fmt.Errorf("keys and values shared with another layer are %w", ErrUnsupported)
		case q.DType != k.DType || q.DType != v.DType:
			return inputErrorf("query %s, key %s and value %s", q.Type(), k.Type(), v.Type())
		case mask != nil && (len(mask.Shape) == 0 || mask.Shape[len(mask.Shape)-1] != k.Shape[1]):
			return inputErrorf("a mask of shape %v over %d keys: the cache of earlier calls is not part of an evaluation", mask.Shape, k.Shape[1])
		}
		if err := c.wantFloat16or32(); err != nil {
			return err
		}
		at := func(t *graph.Tensor) heads { return rowMajor(t.Shape[0], t.Shape[1], t.Shape[2], t.Shape[3]) }
		a := &attend[float32]{qAt: at(q), kAt: at(k), vAt: at(v), yAt: at(q)}
		if err := a.check(nil, nil); err != nil {
			return err
		}
		width := int64(a.qAt.heads) * int64(a.qAt.size)
		if a.vAt.size != a.qAt.size || c.Node.Int("output_dim", width) != width {
			return inputErrorf("heads %v and %v make %d elements, output_dim is %d", q.Shape, v.Shape, width, c.Node.Int("output_dim", width))
		}
		a.scale = float32(1 / math.Sqrt(float64(a.qAt.size)))
		var err error
		if a.bias, err = maskBias[float32](mask, a.qAt, a.kAt.rows); err != nil {
			return err
		}
		return a.into(c, q, k, v, []int64{q.Shape[0], q.Shape[1], width})
	},
	Cases: func() []Case {
		// Keys are 0, so weights are uniform over what the mask leaves.
		q, k := graph.Floats(make([]float32, 4), 1, 2, 2, 1), graph.Floats(make([]float32, 2), 1, 2, 1, 1)
		v := graph.Floats([]float32{2, 4}, 1, 2, 1, 1)
		return []Case{{
			Name:  "causal mask, grouped heads",
			Attrs: []graph.Attr{{Name: "kv_cache", Value: int64(1)}, {Name: "output_dim", Value: int64(2)}, {Name: "kv_shared_layer_index", Value: int64(-1)}},
			In:    []*graph.Tensor{q, k, v, graph.Floats([]float32{0, -math.MaxFloat32, 0, 0}, 1, 1, 2, 2)},
			Want:  []*graph.Tensor{graph.Floats([]float32{2, 2, 3, 3}, 1, 2, 2)},
		}, {
			Name: "no mask",
			In:   []*graph.Tensor{q, k, v},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 3, 3, 3}, 1, 2, 2)},
		}}
	},
}
