package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// MultiHeadAttention is onnxruntime's attention for cross and self attention.
var MultiHeadAttention = &Op{
	Domain: Microsoft, Name: "MultiHeadAttention", Since: 1,
	Doc: "Attention of query [batch, S, heads·head] over key and value [batch, L, heads·head] or [batch, heads, L, head], behind past_key and past_value if given. " +
		"bias holds the addends of query, key and value one after the other. key_padding_mask adds mask_filter_value to the scores of keys where it is 0: " +
		"[batch, total] or [batch, S, total], or lengths [batch]. attention_bias [batch or 1, heads or 1, S, total] is added. unidirectional lets query i see the keys up to past + i. " +
		"Packed inputs, past_sequence_length, cache_indirection and the output qk are refused. Computed in float32 and rounded once.",
	Inputs: []string{
		"query", "key?", "value?", "bias?", "key_padding_mask?", "attention_bias?", "past_key?", "past_value?", "past_sequence_length?", "cache_indirection?",
	},
	Outputs: []string{"output", "present_key?", "present_value?", "qk?"},
	Attrs:   []string{"mask_filter_value", "num_heads", "scale", "unidirectional"},
	Infer:   inferMultiHead,
	Eval:    evalMultiHead,
	Cases:   multiHeadCases,
}

func evalMultiHead(c *Call) error {
	q, k, v := c.Arg(0), c.Arg(1), c.Arg(2)
	n := c.Node.Int("num_heads", 0)
	switch {
	case k == nil || v == nil || len(q.Shape) != 3:
		return fmt.Errorf("packed query, key and value are %w", ErrUnsupported)
	case c.Arg(8) != nil || c.Arg(9) != nil || c.Node.Out(3) != nil:
		return fmt.Errorf("past_sequence_length, cache_indirection and the output qk are %w", ErrUnsupported)
	case q.DType != k.DType || q.DType != v.DType || (c.Arg(6) == nil) != (c.Arg(7) == nil):
		return inputErrorf("query %s, key %s and value %s", q.Type(), k.Type(), v.Type())
	}
	err := c.wantFloat16or32()
	if err != nil {
		return err
	}
	a := &attend[float32]{scale: c.Node.Float("scale", 0)}
	if q, k, v, err = addProjections(c.Arg(3), q, k, v); err != nil {
		return err
	}
	if a.qAt, err = headsOf(q.Shape, n); err != nil {
		return err
	}
	if k, a.kAt, err = c.joined(1, c.Arg(6), k, n); err != nil {
		return err
	}
	if v, a.vAt, err = c.joined(2, c.Arg(7), v, n); err != nil {
		return err
	}
	if err := a.check(c.Arg(6), c.Arg(7)); err != nil {
		return err
	}
	if a.kAt.heads != a.qAt.heads {
		return inputErrorf("%d query heads over %d", a.qAt.heads, a.kAt.heads)
	}
	if a.scale == 0 {
		a.scale = float32(1 / math.Sqrt(float64(a.qAt.size)))
	}
	if c.Node.Int("unidirectional", 0) != 0 {
		past := 0
		if p := c.Arg(6); p != nil {
			past = int(p.Shape[2])
		}
		if a.kAt.rows-past != a.qAt.rows { // onnxruntime lets the last query see all keys then
			return fmt.Errorf("unidirectional attention of %d queries over %d new keys is %w", a.qAt.rows, a.kAt.rows-past, ErrUnsupported)
		}
		a.span = func(_, i int) (lo, hi int) { return 0, past + i + 1 }
	}
	if a.bias, err = multiHeadBias(c, a.qAt, a.kAt.rows); err != nil {
		return err
	}
	shape := []int64{q.Shape[0], q.Shape[1], int64(a.qAt.heads) * int64(a.vAt.size)}
	a.yAt = rowMajor(shape[0], shape[1], int64(a.qAt.heads), int64(a.vAt.size))
	return a.into(c, q, k, v, shape)
}

// addProjections adds the parts of bias to q, k and v, as far as they are 3-D:
// keys and values by heads are past their projection.
func addProjections(bias, q, k, v *graph.Tensor) (_, _, _ *graph.Tensor, err error) {
	if bias == nil {
		return q, k, v, nil
	}
	b, err := bias.Float32s()
	if err != nil {
		return nil, nil, nil, err
	}
	for _, t := range []**graph.Tensor{&q, &k, &v} {
		s := (*t).Shape
		if len(s) != 3 {
			continue
		}
		n := s[2]
		if n > int64(len(b)) {
			return nil, nil, nil, inputErrorf("%d biases left for %s", len(b), (*t).Type())
		}
		x, err := elementsAs[float32](*t)
		if err != nil {
			return nil, nil, nil, err
		}
		sum, err := graph.NewTensor((*t).DType, s...)
		if err != nil {
			return nil, nil, nil, err
		}
		y := accumulator[float32](sum)
		for i, f := range x {
			y[i] = f + b[i%int(n)]
		}
		if err := finish(sum, y); err != nil {
			return nil, nil, nil, err
		}
		*t, b = sum, b[n:]
	}
	return q, k, v, nil
}

// multiHeadBias joins key_padding_mask and attention_bias.
func multiHeadBias(c *Call, q heads, keys int) (func(b, h, i, lo int, s []float32), error) {
	added, err := maskBias[float32](c.Arg(5), q, keys)
	mask := c.Arg(4)
	if err != nil || mask == nil {
		return added, err
	}
	m, err := mask.Int64s()
	if err != nil {
		return nil, err
	}
	padded := func(b, i, j int) bool { return m[b*keys+j] == 0 }
	switch rank := len(mask.Shape); {
	case rank == 1 && len(m) == q.batch:
		padded = func(b, i, j int) bool { return int64(j) >= m[b] }
	case rank == 2 && mask.Shape[0] == int64(q.batch) && mask.Shape[1] == int64(keys):
	case rank == 3 && mask.Shape[0] == int64(q.batch) && mask.Shape[1] == int64(q.rows) && mask.Shape[2] == int64(keys):
		padded = func(b, i, j int) bool { return m[(b*q.rows+i)*keys+j] == 0 }
	default:
		return nil, inputErrorf("key_padding_mask of shape %v for %d sequences of %d queries and %d keys", mask.Shape, q.batch, q.rows, keys)
	}
	filter := c.Node.Float("mask_filter_value", -10000)
	return func(b, h, i, lo int, s []float32) {
		if added != nil {
			added(b, h, i, lo, s)
		}
		for j := range s {
			if padded(b, i, lo+j) {
				s[j] += filter
			}
		}
	}, nil
}

func inferMultiHead(in *Inference) error {
	d, n := in.Type(0).DType, in.Node.Int("num_heads", 0)
	for i := range 4 {
		in.SetTensor(i, d, nil)
	}
	q := in.Type(0).Shape
	if len(q) != 3 || !in.Has(1) || !in.Has(2) {
		return nil
	}
	k, kOK, err := in.headDims(1, n)
	if err != nil {
		return err
	}
	v, vOK, err := in.headDims(2, n)
	if err != nil || !kOK || !vOK {
		return err
	}
	if _, err := in.agree("lengths of key and value", k[2], v[2]); err != nil {
		return err
	}
	if _, err := in.agree("batches of query and key", q[0], k[0]); err != nil {
		return err
	}
	in.SetTensor(0, d, graph.Shape{q[0], q[1], v[3].Mul(graph.Const(n))})
	total := k[2]
	if in.Has(6) {
		past, err := in.ranked(6, 4)
		switch {
		case err != nil:
			return err
		case past == nil:
			total = in.Fresh("total")
		default:
			total = past[2].Add(k[2])
		}
	}
	in.SetTensor(1, d, graph.Shape{k[0], graph.Const(n), total, k[3]})
	in.SetTensor(2, d, graph.Shape{v[0], graph.Const(n), total, v[3]})
	in.SetTensor(3, d, graph.Shape{q[0], graph.Const(n), q[1], total})
	return nil
}

func multiHeadCases() []Case {
	heads := graph.Attr{Name: "num_heads", Value: int64(1)}
	// Keys are 0, so weights are uniform over what is visible.
	q, k, v := graph.Floats([]float32{1, 2}, 1, 2, 1), graph.Floats([]float32{0, 0}, 1, 2, 1), graph.Floats([]float32{2, 4}, 1, 2, 1)
	return []Case{{
		Name: "plain", Attrs: []graph.Attr{heads},
		In:   []*graph.Tensor{q, k, v},
		Want: []*graph.Tensor{graph.Floats([]float32{3, 3}, 1, 2, 1)},
	}, {
		Name: "bias, past and unidirectional", Attrs: []graph.Attr{heads, {Name: "unidirectional", Value: int64(1)}},
		In: []*graph.Tensor{
			q, k, v, graph.Floats([]float32{-5, 0, 1}), nil, nil, graph.Floats([]float32{0}, 1, 1, 1, 1), graph.Floats([]float32{1}, 1, 1, 1, 1),
		},
		Want: []*graph.Tensor{graph.Floats([]float32{2, 3}, 1, 2, 1), graph.Floats([]float32{0, 0, 0}, 1, 1, 3, 1), graph.Floats([]float32{1, 3, 5}, 1, 1, 3, 1)},
	}, {
		Name: "padding by lengths and an added bias", Attrs: []graph.Attr{heads},
		In:   []*graph.Tensor{q, k, v, nil, graph.FromSlice(graph.Int32, []int32{1}), graph.Floats([]float32{1, 1, 1, 20001}, 1, 1, 2, 2)},
		Want: []*graph.Tensor{graph.Floats([]float32{2, 4}, 1, 2, 1)},
	}, {
		Name: "keys by heads, all padded", Attrs: []graph.Attr{heads},
		In:   []*graph.Tensor{q, k.Reshape(1, 1, 2, 1), v.Reshape(1, 1, 2, 1), nil, graph.FromSlice(graph.Int32, []int32{0, 0}, 1, 2)},
		Want: []*graph.Tensor{graph.Floats([]float32{3, 3}, 1, 2, 1)},
	}, {
		Name: "an empty segment", Attrs: []graph.Attr{heads},
		In:   []*graph.Tensor{graph.Floats(nil, 1, 0, 1), graph.Floats(nil, 1, 0, 1), graph.Floats(nil, 1, 0, 1)},
		Want: []*graph.Tensor{graph.Floats(nil, 1, 0, 1)},
	}}
}
