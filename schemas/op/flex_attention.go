package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// FlexAttention is FlexAttention of the domain ai.onnx.preview.
var FlexAttention = &Op{
	Domain: Preview, Name: "FlexAttention", Since: 1,
	Doc: "Y = prob_mod(Softmax(score_mod(scale·Q·Kᵀ)))·V over tensors [batch, heads, rows, width], the heads of K and V shared in groups; scale is 1/sqrt(width) by default. " +
		"The bodies take and give all scores in softmax_precision (default float32, of float64 that); in between, sums are kept in float64.",
	Inputs: []string{"Q", "K", "V"}, Outputs: []string{"Y"}, Attrs: []string{"scale", "softmax_precision"},
	Infer: func(in *Inference) error {
		d, err := in.commonDType(0, 1, 2)
		if err != nil {
			return err
		}
		var s [3]graph.Shape
		for i := range s {
			if s[i], err = in.ranked(i, 4); err != nil {
				return err
			}
		}
		in.SetTensor(0, d, nil)
		precision, err := flexPrecision(in.Node, d)
		if err != nil {
			return err
		}
		scores := graph.Type{DType: precision}
		if s[0] != nil && s[1] != nil {
			scores.Shape = graph.Shape{s[0][0], s[0][1], s[0][2], s[1][2]}
		}
		for _, b := range in.Node.Bodies {
			if _, err := checkBody(in.Node, b.Attr, 1, 1); err != nil {
				return err
			}
			setType(b.Graph.Inputs[0], scores)
			if err := in.Body(b); err != nil {
				return err
			}
		}
		if s[0] != nil && s[2] != nil {
			in.SetTensor(0, d, graph.Shape{s[0][0], s[0][1], s[0][2], s[2][3]})
		}
		return nil
	},
	Eval: evalFlexAttention,
	Cases: func() []Case {
		body := func(attr, op string) *graph.Body {
			g := graph.New(attr)
			n := g.NewNode("", op, 13, []*graph.Value{g.NewInput("x", graph.Type{})}, "y")
			g.Append(n)
			g.Outputs = n.Outputs
			return &graph.Body{Attr: attr, Graph: g}
		}
		q, k := graph.Floats([]float32{1, 1}, 1, 2, 1, 1), graph.Floats([]float32{0, 0}, 1, 1, 2, 1)
		v := graph.Floats([]float32{2, 4}, 1, 1, 2, 1)
		return []Case{
			{Name: "groups", In: []*graph.Tensor{q, k, v}, Want: []*graph.Tensor{graph.Floats([]float32{3, 3}, 1, 2, 1, 1)}},
			{Name: "bodies", Bodies: []*graph.Body{body("score_mod", "Exp"), body("prob_mod", "Neg")}, In: []*graph.Tensor{q, k, v}, Want: []*graph.Tensor{graph.Floats([]float32{-3, -3}, 1, 2, 1, 1)}},
		}
	},
}

func flexPrecision(n *graph.Node, d graph.DType) (graph.DType, error) {
	p, err := dtypeAttr(n, "softmax_precision")
	switch {
	case err != nil:
		return 0, err
	case p == graph.Undefined && d == graph.Float64:
		return d, nil
	case p == graph.Undefined:
		return graph.Float32, nil
	case !isReal(p):
		return 0, inputErrorf("softmax_precision is %s", p)
	}
	return p, nil
}

func evalFlexAttention(c *Call) error {
	var v [3][]float64
	var s [3][]int64
	for i := range v {
		t := c.Arg(i)
		if !isReal(t.DType) || t.DType != c.Arg(0).DType {
			return undefinedFor(t.DType)
		}
		var err error
		if v[i], err = t.Float64s(); err != nil {
			return err
		}
		if s[i] = t.Shape; len(s[i]) != 4 {
			return inputErrorf("input %d has shape %v, want rank 4", i, t.Shape)
		}
	}
	q, k, w := s[0], s[1], s[2]
	if k[0] != q[0] || k[3] != q[3] || !slices.Equal(k[:3], w[:3]) || k[1] == 0 || q[1]%k[1] != 0 {
		return inputErrorf("queries, keys and values of shapes %v, %v and %v", q, k, w)
	}
	precision, err := flexPrecision(c.Node, c.Arg(0).DType)
	if err != nil {
		return err
	}
	scores, err := graph.NewTensor(precision, q[0], q[1], q[2], k[2])
	if err != nil {
		return inputErrorf("%v", err)
	}
	rows, keys, width, group := int(q[2]), int(k[2]), int(q[3]), int(q[1]/k[1])
	scale := float64(c.Node.Float("scale", float32(1/math.Sqrt(float64(width)))))
	p := make([]float64, scores.Len())
	for i := range p {
		head, row, key := i/keys/rows, i/keys%rows, i%keys
		sum := 0.0
		for j := range width {
			sum += float64(v[0][(head*rows+row)*width+j] * v[1][(head/group*keys+key)*width+j])
		}
		p[i] = scale * sum
	}
	if err := storeFloats(scores, p); err != nil {
		return err
	}
	if scores, err = c.modified("score_mod", scores); err != nil {
		return err
	}
	if p, err = scores.Float64s(); err != nil {
		return err
	}
	probs, err := graph.NewTensor(precision, scores.Shape...)
	if err != nil {
		return inputErrorf("%v", err)
	}
	soft := make([]float64, len(p))
	normalizeGroups(soft, p, keys, 1, func(v float64) float64 { return v }, func(x []float64) {
		sum := 0.0
		for i, v := range x {
			x[i] = math.Exp(v)
			sum += x[i]
		}
		for i := range x {
			x[i] /= sum
		}
	})
	if err := storeFloats(probs, soft); err != nil {
		return err
	}
	if probs, err = c.modified("prob_mod", probs); err != nil {
		return err
	}
	if p, err = probs.Float64s(); err != nil {
		return err
	}
	out, err := c.New(0, c.Arg(0).DType, q[0], q[1], q[2], w[3])
	if err != nil {
		return err
	}
	y, wide := make([]float64, out.Len()), int(w[3])
	for i := range y {
		head, row, j := i/wide/rows, i/wide%rows, i%wide
		for key := range keys {
			y[i] += float64(p[(head*rows+row)*keys+key] * v[2][(head/group*keys+key)*wide+j])
		}
	}
	return storeFloats(out, y)
}

// modified runs a body, if there is one, over all scores.
func (c *Call) modified(attr string, t *graph.Tensor) (*graph.Tensor, error) {
	if c.Node.Body(attr) == nil {
		return t, nil
	}
	b, err := checkBody(c.Node, attr, 1, 1)
	if err != nil {
		return nil, err
	}
	outs, err := c.RunBody(b, []*graph.Tensor{t})
	if err != nil {
		return nil, err
	}
	if y := outs[0]; y.Kind != graph.TensorKind || y.DType != t.DType || !slices.Equal(y.Shape, t.Shape) {
		return nil, inputErrorf("%s gives %s for %s", attr, y.Type(), t.Type())
	}
	return outs[0], nil
}
