package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// Attention is ONNX Attention.
var Attention = &Op{
	Name: "Attention", Since: 23,
	Doc: "Y = softmax(softcap(scale·Q·Kᵀ) + mask)·V for heads [batch, heads, sequence, head] or [batch, sequence, heads·head], query heads sharing key heads in groups. " +
		"K and V follow past_key and past_value, which gives the present ones; or they are a whole cache, of which nonpad_kv_seqlen[b] rows count. " +
		"is_causal lets query i see the keys up to i + offset, where offset is the length of the past, nonpad_kv_seqlen[b] less the number of queries, or 0; " +
		"left_window_size and right_window_size bound the distance from i + offset. attn_mask hides (bool, or -Inf) or adds; where it is shorter than the keys, the rest is hidden. " +
		"A query that sees nothing gives zeros. Computed in float32 and rounded once; of float64, or with softmax_precision double, in float64: lower softmax_precisions are met by more.",
	Inputs:  []string{"Q", "K", "V", "attn_mask?", "past_key?", "past_value?", "nonpad_kv_seqlen?"},
	Outputs: []string{"Y", "present_key?", "present_value?", "qk_matmul_output?"},
	Attrs: []string{
		"is_causal", "kv_num_heads", "left_window_size", "q_num_heads", "qk_matmul_output_mode", "right_window_size", "scale", "softcap", "softmax_precision",
	},
	Infer: inferAttention,
	Eval: func(c *Call) error {
		q, k := c.Arg(0).DType, c.Arg(1).DType
		if q != k {
			return inputErrorf("Q is %s, K is %s", q, k)
		}
		switch q {
		case graph.Float32, graph.Float16, graph.BFloat16:
			if c.Node.Int("softmax_precision", 0) != int64(graph.Float64) {
				return attention[float32](c)
			}
			return attention[float64](c)
		case graph.Float64:
			return attention[float64](c)
		}
		return undefinedFor(q)
	},
	FLOPs: func(n *graph.Node) graph.Dim { return attentionFLOPs(n, attentionKeys(n)) },
	Reads: cachedReads,
	Cases: attentionCases,
}

func attention[T floating](c *Call) error {
	q, k, v := c.Arg(0), c.Arg(1), c.Arg(2)
	pastK, pastV, nonpad := c.Arg(4), c.Arg(5), c.Arg(6)
	switch {
	case len(q.Shape) != len(k.Shape) || len(q.Shape) != len(v.Shape):
		return inputErrorf("Q, K and V have shapes %v, %v and %v", q.Shape, k.Shape, v.Shape)
	case !isReal(v.DType):
		return undefinedFor(v.DType)
	case (pastK == nil) != (pastV == nil):
		return inputErrorf("past_key and past_value come together")
	case pastK != nil && nonpad != nil:
		return inputErrorf("past_key makes a cache, nonpad_kv_seqlen says how much of one counts: not both")
	}
	a := &attend[T]{softcap: T(max(0, c.Node.Float("softcap", 0)))}
	kvHeads := c.Node.Int("kv_num_heads", 0)
	var err error
	if a.qAt, err = headsOf(q.Shape, c.Node.Int("q_num_heads", 0)); err != nil {
		return err
	}
	if k, a.kAt, err = c.joined(1, pastK, k, kvHeads); err != nil {
		return err
	}
	if v, a.vAt, err = c.joined(2, pastV, v, kvHeads); err != nil {
		return err
	}
	if err := a.check(pastK, pastV); err != nil {
		return err
	}
	a.scale = T(1 / math.Sqrt(float64(a.qAt.size)))
	if c.Node.Has("scale") {
		a.scale = T(c.Node.Float("scale", 1))
	}
	if a.span, err = attentionSpan(c.Node, a.qAt, a.kAt, pastK, nonpad); err != nil {
		return err
	}
	if a.bias, err = maskBias[T](c.Arg(3), a.qAt, a.kAt.rows); err != nil {
		return err
	}
	shape := slices.Clone(q.Shape)
	if len(shape) == 4 {
		shape[3] = int64(a.vAt.size)
	} else {
		shape[2] = int64(a.qAt.heads) * int64(a.vAt.size)
	}
	if a.yAt, err = headsOf(shape, int64(a.qAt.heads)); err != nil {
		return err
	}
	if c.Node.Out(3) != nil {
		qk, err := c.New(3, q.DType, int64(a.qAt.batch), int64(a.qAt.heads), int64(a.qAt.rows), int64(a.kAt.rows))
		if err != nil {
			return err
		}
		z := accumulator[T](qk)
		mode := int(c.Node.Int("qk_matmul_output_mode", 0))
		a.seen = func(stage, b, h, i int, s []T) {
			if stage == mode {
				copy(z[((b*a.qAt.heads+h)*a.qAt.rows+i)*len(s):], s)
			}
		}
		if err := a.into(c, q, k, v, shape); err != nil {
			return err
		}
		return finish(qk, z)
	}
	return a.into(c, q, k, v, shape)
}

// attentionSpan returns which keys each query may see by the attributes and by
// the length of the cache, or nil where that is all of them.
func attentionSpan(n *graph.Node, q, k heads, past, nonpad *graph.Tensor) (func(b, i int) (lo, hi int), error) {
	causal, left, right := n.Int("is_causal", 0) != 0, n.Int("left_window_size", -1), n.Int("right_window_size", -1)
	if left < -1 || right < -1 {
		return nil, inputErrorf("windows of %d and %d", left, right)
	}
	if !causal && left < 0 && right < 0 && nonpad == nil {
		return nil, nil
	}
	var lengths []int64
	if nonpad != nil {
		var err error
		if lengths, err = nonpad.Int64s(); err != nil {
			return nil, err
		}
		if len(lengths) != q.batch {
			return nil, inputErrorf("%d lengths for %d sequences", len(lengths), q.batch)
		}
		for _, l := range lengths {
			if l < 0 || l > int64(k.rows) {
				return nil, inputErrorf("length %d of a cache of %d rows", l, k.rows)
			}
		}
	}
	offset := 0
	if past != nil {
		offset = int(past.Shape[2])
	}
	return func(b, i int) (lo, hi int) {
		at := i + offset
		hi = k.rows
		if lengths != nil {
			hi = int(lengths[b])
			at = i + hi - q.rows
		}
		if causal {
			hi = min(hi, at+1)
		}
		if right >= 0 && right < int64(k.rows) {
			hi = min(hi, at+int(right)+1)
		}
		if left >= 0 && left < int64(k.rows) {
			lo = at - int(left)
		}
		return lo, hi
	}, nil
}

func inferAttention(in *Inference) error {
	qHeads, kvHeads := in.Node.Int("q_num_heads", 0), in.Node.Int("kv_num_heads", 0)
	d := [3]graph.DType{in.Type(0).DType, in.Type(1).DType, in.Type(2).DType}
	for i, d := range [4]graph.DType{d[0], d[1], d[2], d[0]} {
		in.SetTensor(i, d, nil)
	}
	if d[0] != d[1] && d[0].Valid() && d[1].Valid() {
		return in.Errorf("Q is %s, K is %s", d[0], d[1])
	}
	if in.Has(4) != in.Has(5) || in.Has(4) && in.Has(6) {
		return in.Errorf("past_key and past_value come together, and without nonpad_kv_seqlen")
	}
	var dims [3][4]graph.Dim // of Q, K and V: batch, heads, rows, size
	for i, n := range [3]int64{qHeads, kvHeads, kvHeads} {
		var ok bool
		var err error
		if dims[i], ok, err = in.headDims(i, n); err != nil || !ok {
			return err
		}
		if len(in.Type(i).Shape) != len(in.Type(0).Shape) {
			return in.Errorf("Q has shape %s, input %d %s", in.Type(0).Shape, i, in.Type(i).Shape)
		}
	}
	q, k, v := dims[0], dims[1], dims[2]
	for _, pair := range []struct {
		what string
		a, b graph.Dim
	}{
		{"batches of Q and K", q[0], k[0]}, {"batches of Q and V", q[0], v[0]}, {"head sizes of Q and K", q[3], k[3]},
		{"lengths of K and V", k[2], v[2]}, {"heads of K and V", k[1], v[1]},
	} {
		if _, err := in.agree(pair.what, pair.a, pair.b); err != nil {
			return err
		}
	}
	total := k[2]
	if in.Has(4) {
		past, err := in.ranked(4, 4)
		switch {
		case err != nil:
			return err
		case past == nil:
			total = in.Fresh("total")
		default:
			total = past[2].Add(k[2])
		}
	}
	if len(in.Type(0).Shape) == 4 {
		in.SetTensor(0, d[0], graph.Shape{q[0], q[1], q[2], v[3]})
	} else {
		in.SetTensor(0, d[0], graph.Shape{q[0], q[2], q[1].Mul(v[3])})
	}
	in.SetTensor(1, d[1], graph.Shape{k[0], k[1], total, k[3]})
	in.SetTensor(2, d[2], graph.Shape{v[0], v[1], total, v[3]})
	in.SetTensor(3, d[0], graph.Shape{q[0], q[1], q[2], total})
	return nil
}

func attentionCases() []Case {
	// Keys (0,0) score 0 everywhere, so weights are uniform over what is visible.
	q := graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 2, 2)
	k := graph.Floats(make([]float32, 4), 1, 1, 2, 2)
	v := graph.Floats([]float32{2, 4}, 1, 1, 2, 1)
	causal := graph.Attr{Name: "is_causal", Value: int64(1)}
	return []Case{{
		Name: "uniform weights",
		In:   []*graph.Tensor{q, k, v},
		Want: []*graph.Tensor{graph.Floats([]float32{3, 3}, 1, 1, 2, 1)},
	}, {
		Name: "causal behind a past", Attrs: []graph.Attr{causal}, Version: 23,
		In: []*graph.Tensor{q, k, v, nil, graph.Floats([]float32{0, 0}, 1, 1, 1, 2), graph.Floats([]float32{6}, 1, 1, 1, 1)},
		Want: []*graph.Tensor{
			graph.Floats([]float32{4, 4}, 1, 1, 2, 1), graph.Floats(make([]float32, 6), 1, 1, 3, 2), graph.Floats([]float32{6, 2, 4}, 1, 1, 3, 1),
		},
	}, {
		Name: "a cache of which one row counts: the first of two queries sees nothing", Attrs: []graph.Attr{causal},
		In:   []*graph.Tensor{q, k, v, nil, nil, nil, graph.Ints([]int64{1})},
		Want: []*graph.Tensor{graph.Floats([]float32{0, 2}, 1, 1, 2, 1)},
	}, {
		Name: "garbage in cache rows that do not count",
		In: []*graph.Tensor{
			graph.Floats([]float32{1}, 1, 1, 1, 1), graph.Floats([]float32{0, float32(math.NaN())}, 1, 1, 2, 1),
			graph.Floats([]float32{5, float32(math.Inf(1))}, 1, 1, 2, 1), nil, nil, nil, graph.Ints([]int64{1}),
		},
		Want: []*graph.Tensor{graph.Floats([]float32{5}, 1, 1, 1, 1)},
	}, {
		Name:  "3-D, grouped heads, bool mask, scores before the mask",
		Attrs: []graph.Attr{{Name: "q_num_heads", Value: int64(2)}, {Name: "kv_num_heads", Value: int64(1)}, {Name: "scale", Value: float32(1)}},
		In: []*graph.Tensor{
			graph.Floats([]float32{1, 2}, 1, 1, 2), graph.Floats([]float32{3, 5}, 1, 2, 1), graph.Floats([]float32{7, 9}, 1, 2, 1),
			bools([]bool{false, true}, 1, 2),
		},
		Want: []*graph.Tensor{graph.Floats([]float32{9, 9}, 1, 1, 2), nil, nil, graph.Floats([]float32{3, 5, 6, 10}, 1, 2, 1, 2)},
	}, {
		Name:  "short float mask, weights as output",
		Attrs: []graph.Attr{{Name: "qk_matmul_output_mode", Value: int64(3)}},
		In:    []*graph.Tensor{q, k, v, graph.Floats([]float32{1}, 1, 1)},
		Want:  []*graph.Tensor{graph.Floats([]float32{2, 2}, 1, 1, 2, 1), nil, nil, graph.Floats([]float32{1, 0, 1, 0}, 1, 1, 2, 2)},
	}, {
		Name: "no keys",
		In:   []*graph.Tensor{q, graph.Floats(nil, 1, 1, 0, 2), graph.Floats(nil, 1, 1, 0, 1)},
		Want: []*graph.Tensor{graph.Floats([]float32{0, 0}, 1, 1, 2, 1)},
	}, {
		Name: "float16",
		In: []*graph.Tensor{
			narrow(graph.Float16, []float32{1}, 1, 1, 1, 1), narrow(graph.Float16, []float32{0, 0}, 1, 1, 2, 1), narrow(graph.Float16, []float32{1, 2}, 1, 1, 2, 1),
		},
		Want: []*graph.Tensor{narrow(graph.Float16, []float32{1.5}, 1, 1, 1, 1)},
	}}
}
