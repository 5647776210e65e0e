package op

import (
	"math"
	"sort"

	"mnnconv/graph"
)

// SegmentedAttention is attention inside segments of a token list, as vision
// towers use it over windows and images.
var SegmentedAttention = &Op{
	Domain: Mnnconv, Name: "SegmentedAttention", Since: 1,
	Doc: "output[i] = softmax(scale·q[i]·kᵀ)·v over the keys of i's segment, for q [tokens, heads, head] and k, v [tokens, heads or a divisor, head]. " +
		"cu_seqlens ascends from 0 to tokens: segment s holds the tokens cu_seqlens[s] to cu_seqlens[s+1]-1 and may be empty. scale is 1/sqrt(head) unless given. " +
		"Computed in float32 and rounded once; of float64, in float64.",
	Inputs: []string{"q", "k", "v", "cu_seqlens"}, Outputs: []string{"output"},
	Attrs: []string{"scale"},
	Infer: func(in *Inference) error {
		d := in.Type(0).DType
		in.SetTensor(0, d, nil)
		var shapes [3]graph.Shape
		for i := range shapes {
			var err error
			if shapes[i], err = in.ranked(i, 3); err != nil {
				return err
			}
			if t := in.Type(i).DType; t != d && t.Valid() && d.Valid() {
				return in.Errorf("q is %s, input %d is %s", d, i, t)
			}
		}
		if _, err := in.ranked(3, 1); err != nil {
			return err
		}
		q := shapes[0]
		if q == nil {
			return nil
		}
		for _, s := range shapes[1:] {
			if s == nil {
				continue
			}
			for _, axis := range []int{0, 2} {
				if _, err := in.agree("tokens and head size", q[axis], s[axis]); err != nil {
					return err
				}
			}
		}
		in.SetTensor(0, d, q)
		return nil
	},
	Eval: func(c *Call) error {
		switch d := c.Arg(0).DType; {
		case d != c.Arg(1).DType || d != c.Arg(2).DType:
			return inputErrorf("q, k and v are %s, %s and %s", d, c.Arg(1).DType, c.Arg(2).DType)
		case d == graph.Float64:
			return segmentedAttention[float64](c)
		case isReal(d):
			return segmentedAttention[float32](c)
		default:
			return undefinedFor(d)
		}
	},
	// As if the segments were of one length, which data tell.
	FLOPs: func(n *graph.Node) graph.Dim {
		return attentionFLOPs(n, n.Inputs[0].Type.Shape[0].Div(n.Inputs[3].Type.Shape[0].Sub(graph.Const(1))))
	},
	Cases: func() []Case {
		// Keys are 0, so weights are uniform over a segment.
		q, k := graph.Floats([]float32{1, 2, 3, 4}, 4, 1, 1), graph.Floats(make([]float32, 4), 4, 1, 1)
		v := graph.Floats([]float32{1, 3, 5, 9}, 4, 1, 1)
		return []Case{{
			Name: "two segments",
			In:   []*graph.Tensor{q, k, v, graph.FromSlice(graph.Int32, []int32{0, 2, 4})},
			Want: []*graph.Tensor{graph.Floats([]float32{2, 2, 7, 7}, 4, 1, 1)},
		}, {
			Name: "empty segments",
			In:   []*graph.Tensor{q, k, v, graph.Ints([]int64{0, 0, 3, 3, 4, 4})},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 3, 3, 9}, 4, 1, 1)},
		}, {
			Name:  "grouped heads, scale",
			Attrs: []graph.Attr{{Name: "scale", Value: float32(math.Ln2)}},
			In: []*graph.Tensor{
				graph.Floats([]float32{0, 1, 0, 0}, 2, 2, 1), graph.Floats([]float32{0, 1}, 2, 1, 1), graph.Floats([]float32{3, 6}, 2, 1, 1), graph.Ints([]int64{0, 2}),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{4.5, 5, 4.5, 4.5}, 2, 2, 1)},
			Tol:  1e-6,
		}, {
			Name: "no tokens",
			In:   []*graph.Tensor{graph.Floats(nil, 0, 2, 4), graph.Floats(nil, 0, 2, 4), graph.Floats(nil, 0, 2, 4), graph.Ints([]int64{0})},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 2, 4)},
		}}
	},
}

func segmentedAttention[T floating](c *Call) error {
	q, k, v, cu := c.Arg(0), c.Arg(1), c.Arg(2), c.Arg(3)
	for i := range 3 {
		if err := c.wantRank(i, 3); err != nil {
			return err
		}
	}
	bounds, err := segments(cu, q.Shape[0])
	if err != nil {
		return err
	}
	tokens := func(t *graph.Tensor) heads { return rowMajor(1, t.Shape[0], t.Shape[1], t.Shape[2]) }
	a := &attend[T]{qAt: tokens(q), kAt: tokens(k), vAt: tokens(v), yAt: tokens(q)}
	if err := a.check(nil, nil); err != nil {
		return err
	}
	if a.qAt.rows != a.kAt.rows || a.vAt.size != a.qAt.size {
		return inputErrorf("q, k and v have shapes %v, %v and %v", q.Shape, k.Shape, v.Shape)
	}
	a.scale = T(1 / math.Sqrt(float64(a.qAt.size)))
	if c.Node.Has("scale") {
		a.scale = T(c.Node.Float("scale", 1))
	}
	a.span = func(_, i int) (lo, hi int) {
		s := sort.Search(len(bounds), func(s int) bool { return bounds[s] > int64(i) })
		return int(bounds[s-1]), int(bounds[s])
	}
	return a.into(c, q, k, v, q.Shape)
}

// segments returns the boundaries in cu, which must ascend from 0 to tokens.
func segments(cu *graph.Tensor, tokens int64) ([]int64, error) {
	if cu.DType != graph.Int32 && cu.DType != graph.Int64 {
		return nil, undefinedFor(cu.DType)
	}
	b, err := cu.Int64s()
	if err != nil {
		return nil, err
	}
	if len(cu.Shape) != 1 || len(b) == 0 || b[0] != 0 || b[len(b)-1] != tokens {
		return nil, inputErrorf("cu_seqlens of shape %v does not go from 0 to %d tokens", cu.Shape, tokens)
	}
	for i := 1; i < len(b); i++ {
		if b[i] < b[i-1] {
			return nil, inputErrorf("cu_seqlens descends from %d to %d", b[i-1], b[i])
		}
	}
	return b, nil
}
