package op

import (
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
)

// GroupQueryAttention is onnxruntime's attention with a KV cache.
var GroupQueryAttention = &Op{
	Domain: Microsoft, Name: "GroupQueryAttention", Since: 1,
	Doc: "Attention of query [batch, S, num_heads·head] over the present keys and values [batch, kv_num_heads, rows, head], rows = max(past rows, total_sequence_length). " +
		"Sequence b has T = seqlens_k[b]+1 tokens, of which the last Q = min(S, T) are new: rows 0 to Q of key and value follow the first T-Q rows of the past; rows from T on are zero. " +
		"Query i stands at position T-Q+i and sees the local_window_size (-1: all) tokens that end with its own (causal = 0: all T). " +
		"do_rotary turns query and key by cos_cache and sin_cache at that position, or at position_ids[b, i]; in a first prompt (S = total_sequence_length), at position_ids[0, 0] + i. Without key and value, query holds all three. " +
		"attention_bias [batch or 1, heads or 1, S, total] is added. Quantised caches, sinks, norms of q and k, query_seqlens and output_qk are refused. Computed in float32 and rounded once.",
	Inputs: []string{
		"query", "key?", "value?", "past_key?", "past_value?", "seqlens_k", "total_sequence_length", "cos_cache?", "sin_cache?", "position_ids?", "attention_bias?",
		"head_sink?", "k_scale?", "v_scale?", "q_norm_weight?", "k_norm_weight?", "query_seqlens?",
	},
	Outputs: []string{"output", "present_key?", "present_value?", "output_qk?"},
	Attrs: []string{
		"causal", "do_rotary", "k_norm_epsilon", "k_quant_type", "kv_cache_bit_width", "kv_num_heads", "local_window_size", "num_heads", "q_norm_epsilon", "qk_norm_epsilon",
		"qk_output", "rotary_interleaved", "scale", "sliding_window_cache", "smooth_softmax", "softcap", "v_quant_type",
	},
	Infer: inferGroupQuery,
	Eval:  evalGroupQuery,
	Cases: groupQueryCases,
}

// groupQuery is what the inputs of one call say.
type groupQuery struct {
	*Call
	q, k, v       *graph.Tensor
	qAt, kAt, vAt heads
	total, old    []int // of each batch: T, and T-Q
	rows          int64 // of the present cache
	prompt        bool  // nothing came before
}

func evalGroupQuery(c *Call) error {
	g := &groupQuery{Call: c, q: c.Arg(0), k: c.Arg(1), v: c.Arg(2)}
	for _, step := range []func() error{g.supported, g.split, g.lengths, g.turn} {
		if err := step(); err != nil {
			return err
		}
	}
	presentK, err := g.present(1, c.Arg(3), g.k, g.kAt)
	if err != nil {
		return err
	}
	presentV, err := g.present(2, c.Arg(4), g.v, g.vAt)
	if err != nil {
		return err
	}
	cache := headMajor(presentK.Shape)
	a := &attend[float32]{qAt: g.qAt, kAt: cache, vAt: cache, softcap: max(0, c.Node.Float("softcap", 0)), scale: c.Node.Float("scale", 0)}
	if a.scale == 0 {
		a.scale = float32(1 / math.Sqrt(float64(g.qAt.size)))
	}
	if a.bias, err = maskBias[float32](c.Arg(10), g.qAt, cache.rows); err != nil {
		return err
	}
	causal, window := c.Node.Int("causal", 1) != 0, c.Node.Int("local_window_size", -1)
	a.span = func(b, i int) (lo, hi int) {
		hi = g.total[b]
		at := g.old[b] + i
		if causal {
			hi = min(hi, at+1)
		}
		if window > 0 && int64(at) >= window {
			lo = at + 1 - int(window)
		}
		return lo, hi
	}
	shape := []int64{int64(g.qAt.batch), int64(g.qAt.rows), int64(g.qAt.heads) * int64(g.qAt.size)}
	a.yAt = rowMajor(shape[0], shape[1], int64(g.qAt.heads), int64(g.qAt.size))
	return a.into(c, g.q, presentK, presentV, shape)
}

// supported refuses the forms that the reference does not know.
func (g *groupQuery) supported() error {
	n := g.Node
	for i := 11; i < len(g.In); i++ {
		if g.In[i] != nil {
			return fmt.Errorf("input %d is %w", i, ErrUnsupported)
		}
	}
	for _, name := range []string{"k_quant_type", "v_quant_type"} {
		if s := n.Str(name, "NONE"); s != "NONE" {
			return fmt.Errorf("%s %q is %w", name, s, ErrUnsupported)
		}
	}
	if n.Int("smooth_softmax", -1) > 0 || n.Int("sliding_window_cache", 0) != 0 || n.Out(3) != nil {
		return fmt.Errorf("smooth_softmax, sliding_window_cache and output_qk are %w", ErrUnsupported)
	}
	return g.wantFloat16or32()
}

// split finds the heads of query, key and value.
func (g *groupQuery) split() error {
	h, kv := g.Node.Int("num_heads", 0), g.Node.Int("kv_num_heads", 0)
	s := g.q.Shape
	if len(s) != 3 || h < 1 || kv < 1 || h > math.MaxInt32 || h%kv != 0 || (g.k == nil) != (g.v == nil) {
		return inputErrorf("query of shape %v for %d heads over %d", s, h, kv)
	}
	if g.k == nil {
		if s[2]%(h+2*kv) != 0 {
			return inputErrorf("packed query of shape %v for %d heads over %d", s, h, kv)
		}
		size := s[2] / (h + 2*kv)
		g.qAt = rowMajor(s[0], s[1], h, size)
		g.qAt.rowStep, g.qAt.batchStep = int(s[2]), int(s[1]*s[2])
		g.k, g.v, g.kAt = g.q, g.q, g.qAt
		g.kAt.heads, g.kAt.start = int(kv), int(h*size)
		g.vAt = g.kAt
		g.vAt.start += int(kv * size)
		return nil
	}
	var err error
	if g.qAt, err = headsOf(s, h); err != nil {
		return err
	}
	for i, t := range []*graph.Tensor{g.k, g.v} {
		if len(t.Shape) != 3 || t.DType != g.q.DType || !slices.Equal(t.Shape, []int64{s[0], s[1], kv * int64(g.qAt.size)}) {
			return inputErrorf("input %d is %s for a query %s", i+1, t.Type(), g.q.Type())
		}
	}
	g.kAt = rowMajor(s[0], s[1], kv, int64(g.qAt.size))
	g.vAt = g.kAt
	return nil
}

// lengths reads how many tokens each sequence has.
func (g *groupQuery) lengths() error {
	seqlens, err := g.Arg(5).Int64s()
	if err != nil {
		return err
	}
	total, err := g.Arg(6).Int64s()
	if err != nil {
		return err
	}
	if len(seqlens) != g.qAt.batch || len(total) != 1 {
		return inputErrorf("%d sequence lengths and %d totals for %d sequences", len(seqlens), len(total), g.qAt.batch)
	}
	if (g.Arg(3) == nil) != (g.Arg(4) == nil) {
		return inputErrorf("past_key and past_value come together")
	}
	past := int64(0)
	for i := 3; i <= 4; i++ {
		p := g.Arg(i)
		if p == nil {
			continue
		}
		if len(p.Shape) != 4 || p.DType != g.q.DType {
			return inputErrorf("input %d, a past, is %s", i, p.Type())
		}
		past = g.Arg(3).Shape[2]
		if !slices.Equal(p.Shape, []int64{int64(g.kAt.batch), int64(g.kAt.heads), past, int64(g.kAt.size)}) {
			return inputErrorf("input %d, a past, is %s", i, p.Type())
		}
	}
	if total[0] > past+int64(g.qAt.rows) {
		return inputErrorf("total_sequence_length is %d, over a past of %d and %d new tokens", total[0], past, g.qAt.rows)
	}
	g.rows, g.prompt = max(past, total[0]), total[0] == int64(g.qAt.rows)
	for b, l := range seqlens {
		t := l + 1
		q := min(int64(g.qAt.rows), t)
		if l < -1 || t > g.rows || t-q > past {
			return inputErrorf("sequence %d has %d tokens, %d of them new, over a past of %d in a cache of %d", b, t, q, past, g.rows)
		}
		g.total, g.old = append(g.total, int(t)), append(g.old, int(t-q))
	}
	return nil
}

// turn applies the rotary embedding to query and key.
func (g *groupQuery) turn() error {
	if g.Node.Int("do_rotary", 0) == 0 {
		return nil
	}
	if g.Arg(7) == nil || g.Arg(8) == nil {
		return inputErrorf("do_rotary without cos_cache and sin_cache")
	}
	table, err := newAngleTable(g.Arg(7), g.Arg(8), 2)
	if err != nil {
		return err
	}
	at := func(b, r int) int64 { return int64(g.old[b] + r) }
	if pos := g.Arg(9); pos != nil {
		if at, err = positions(pos, g.qAt); err != nil {
			return err
		}
		if given := at; g.prompt {
			at = func(_, r int) int64 { return given(0, 0) + int64(r) }
		}
	}
	packed := g.k == g.q
	for _, x := range []struct {
		t  **graph.Tensor
		at heads
	}{{&g.q, g.qAt}, {&g.k, g.kAt}} {
		v, err := (*x.t).Float32s()
		if err != nil {
			return err
		}
		v = slices.Clone(v)
		err = rotateHeads(v, v, x.at, g.Node.Int("rotary_interleaved", 0) != 0, func(b, r int) (cos, sin []float32, err error) {
			return table.row(at(b, r))
		})
		if err != nil {
			return err
		}
		turned, err := graph.NewTensor((*x.t).DType, (*x.t).Shape...)
		if err == nil {
			err = turned.SetFloat32s(v)
		}
		if err != nil {
			return err
		}
		if *x.t = turned; packed {
			g.q, g.k = turned, turned
		}
	}
	return nil
}

// present makes output i from the past rows and the new rows of every sequence.
func (g *groupQuery) present(i int, past, x *graph.Tensor, at heads) (*graph.Tensor, error) {
	t, err := g.New(i, x.DType, int64(at.batch), int64(at.heads), g.rows, int64(at.size))
	if err != nil || len(t.Data) == 0 {
		return t, err
	}
	to := headMajor(t.Shape)
	for b := range at.batch {
		if past != nil {
			copyRows(t, past, to, headMajor(past.Shape), b, 0, g.old[b])
		}
		copyRows(t, x, to, at, b, g.old[b], g.total[b]-g.old[b])
	}
	return t, nil
}

func inferGroupQuery(in *Inference) error {
	d := in.Type(0).DType
	for i := range 3 {
		in.SetTensor(i, d, nil)
	}
	q, err := in.ranked(0, 3)
	if err != nil || q == nil {
		return err
	}
	h, kv := in.Node.Int("num_heads", 0), in.Node.Int("kv_num_heads", 0)
	if h < 1 || kv < 1 || h%kv != 0 {
		return in.Errorf("%d heads over %d", h, kv)
	}
	hidden := q[2]
	if !in.Has(1) {
		hidden = q[2].Mul(graph.Const(h)).Div(graph.Const(h + 2*kv))
	}
	in.SetTensor(0, d, graph.Shape{q[0], q[1], hidden})
	past, err := in.ranked(3, 4)
	if err != nil {
		return err
	}
	rows := in.Fresh("present")
	if total, ok := in.Elements(6); ok && len(total) == 1 && (past != nil || !in.Has(3)) {
		if rows = total[0]; past != nil {
			rows = maxDim(past[2], total[0])
		}
	}
	size := hidden.Div(graph.Const(h))
	for i := 1; i <= 2; i++ {
		in.SetTensor(i, d, graph.Shape{q[0], graph.Const(kv), rows, size})
	}
	return nil
}

func groupQueryCases() []Case {
	i32 := func(v ...int32) *graph.Tensor { return graph.FromSlice(graph.Int32, v) }
	attrs := func(more ...graph.Attr) []graph.Attr {
		return append([]graph.Attr{{Name: "num_heads", Value: int64(2)}, {Name: "kv_num_heads", Value: int64(1)}}, more...)
	}
	zeros := func(shape ...int64) *graph.Tensor {
		t, _ := graph.NewTensor(graph.Float32, shape...)
		return t
	}
	// Keys are 0, so weights are uniform over what is visible; heads have 2 elements.
	key, value := zeros(1, 2, 2), graph.Floats([]float32{2, 20, 4, 40}, 1, 2, 2)
	return []Case{{
		Name: "prompt", Attrs: attrs(),
		In:   []*graph.Tensor{zeros(1, 2, 4), key, value, zeros(1, 1, 0, 2), zeros(1, 1, 0, 2), i32(1), i32(2)},
		Want: []*graph.Tensor{graph.Floats([]float32{2, 20, 2, 20, 3, 30, 3, 30}, 1, 2, 4), zeros(1, 1, 2, 2), value.Reshape(1, 1, 2, 2)},
	}, {
		Name: "decode over a static cache, window of two", Attrs: attrs(graph.Attr{Name: "local_window_size", Value: int64(2)}),
		In: []*graph.Tensor{
			zeros(1, 1, 4), zeros(1, 1, 2), graph.Floats([]float32{6, 60}, 1, 1, 2), zeros(1, 1, 4, 2), graph.Floats([]float32{100, 100, 4, 40, 9, 9, 9, 9}, 1, 1, 4, 2), i32(2), i32(3),
		},
		Want: []*graph.Tensor{
			graph.Floats([]float32{5, 50, 5, 50}, 1, 1, 4), zeros(1, 1, 4, 2), graph.Floats([]float32{100, 100, 4, 40, 6, 60, 0, 0}, 1, 1, 4, 2),
		},
	}, {
		Name: "packed, no past, bias", Attrs: attrs(),
		In: []*graph.Tensor{
			graph.Floats([]float32{0, 0, 0, 0, 0, 0, 2, 20, 0, 0, 0, 0, 0, 0, 4, 40}, 1, 2, 8), nil, nil, nil, nil, i32(1), i32(2), nil, nil, nil,
			graph.Floats([]float32{0, 0, float32(math.Inf(-1)), 0}, 1, 1, 2, 2),
		},
		Want: []*graph.Tensor{graph.Floats([]float32{2, 20, 2, 20, 4, 40, 4, 40}, 1, 2, 4)},
	}, {
		Name: "rotary by a quarter turn per position", Attrs: attrs(graph.Attr{Name: "do_rotary", Value: int64(1)}),
		In: []*graph.Tensor{
			zeros(1, 1, 4), graph.Floats([]float32{1, 2}, 1, 1, 2), graph.Floats([]float32{3, 4}, 1, 1, 2), zeros(1, 1, 1, 2), zeros(1, 1, 1, 2), i32(1), i32(2),
			graph.Floats([]float32{1, 0}, 2, 1), graph.Floats([]float32{0, 1}, 2, 1),
		},
		Want: []*graph.Tensor{
			graph.Floats([]float32{1.5, 2, 1.5, 2}, 1, 1, 4), graph.Floats([]float32{0, 0, -2, 1}, 1, 1, 2, 2), graph.Floats([]float32{0, 0, 3, 4}, 1, 1, 2, 2),
		},
	}}
}
