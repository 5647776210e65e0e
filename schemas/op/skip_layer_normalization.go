package op

import (
	"slices"

	"mnnconv/graph"
)

// SkipLayerNormalization is onnxruntime's LayerNormalization of a sum.
var SkipLayerNormalization = &Op{
	Domain: Microsoft, Name: "SkipLayerNormalization", Since: 1,
	Doc: "output = (S - mean)·inv_std_var·gamma + beta over the last axis of S = input + skip + bias, computed in float32 and rounded once; " +
		"mean and inv_std_var hold one float32 per row, input_skip_bias_sum is S.",
	Inputs:  []string{"input", "skip", "gamma", "beta?", "bias?"},
	Outputs: []string{"output", "mean?", "inv_std_var?", "input_skip_bias_sum?"},
	Attrs:   []string{"epsilon"},
	Infer:   inferSkipNorm,
	Eval: func(c *Call) error {
		return evalSkipNorm(c, c.Arg(3), c.Arg(4), standardize[float32])
	},
	Cases: func() []Case {
		return []Case{{
			Name:  "shift, bias and sum",
			Attrs: []graph.Attr{{Name: "epsilon", Value: float32(0)}},
			In: []*graph.Tensor{
				graph.Floats([]float32{1, 4, 3, 4}, 1, 2, 2), graph.Floats([]float32{0, 1, 1, 6}, 1, 2, 2), graph.Floats([]float32{1, 2}),
				graph.Floats([]float32{10, 20}), graph.Floats([]float32{1, -1}),
			},
			Want: []*graph.Tensor{
				graph.Floats([]float32{9, 22, 9, 22}, 1, 2, 2), graph.Floats([]float32{3, 7}, 1, 2, 1), nil, graph.Floats([]float32{2, 4, 5, 9}, 1, 2, 2),
			},
			Tol: 1e-6,
		}, {
			Name: "skip without batch",
			In: []*graph.Tensor{
				graph.Floats([]float32{1, 3, 1, 5}, 2, 1, 2), graph.Floats([]float32{0, 0}, 1, 2), graph.Floats([]float32{2, 3}),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{-2, 3, -2, 3}, 2, 1, 2)},
			Tol:  1e-6,
		}}
	},
}

// inferSkipNorm infers the outputs of the two operators that normalise a sum.
func inferSkipNorm(in *Inference) error {
	if err := inferNorm(in, in.Type(0).DType, graph.Float32, 1, 2); err != nil {
		return err
	}
	in.SetTensor(3, in.Type(0).DType, in.Type(0).Shape)
	x, skip := in.Type(0).Shape, in.Type(1).Shape
	if !x.Ranked() {
		return nil
	}
	if len(skip) > len(x) {
		return in.Errorf("skip has shape %s, input %s", skip, x)
	}
	for i := 1; i <= len(skip); i++ {
		if d := skip[len(skip)-i]; !d.IsConst(1) {
			if _, err := in.agree("input and skip", x[len(x)-i], d); err != nil {
				return err
			}
		}
	}
	return nil
}

// evalSkipNorm normalises the rows of input + skip + bias, scales them by
// gamma and adds shift; bias and shift may be nil.
func evalSkipNorm(c *Call, shift, bias *graph.Tensor, normalize func(y, x []float32, eps float32) (mean, inv float32)) error {
	x := c.Arg(0)
	if err := c.wantFloat16or32(); err != nil {
		return err
	}
	if len(x.Shape) == 0 {
		return inputErrorf("input without axes")
	}
	last := len(x.Shape) - 1
	v, err := x.Float32s()
	if err != nil {
		return err
	}
	s := slices.Clone(v)
	for _, t := range []struct {
		t    *graph.Tensor
		axis int
	}{{c.Arg(1), 0}, {bias, last}} {
		if t.t == nil {
			continue
		}
		a, err := spread[float32](t.t, x.Shape, t.axis)
		if err != nil {
			return err
		}
		for i := range s {
			s[i] += a[i%len(a)]
		}
	}
	gamma, err := spread[float32](c.Arg(2), x.Shape, last)
	if err != nil {
		return err
	}
	var beta []float32
	if shift != nil {
		if beta, err = spread[float32](shift, x.Shape, last); err != nil {
			return err
		}
	}
	stat := slices.Clone(x.Shape)
	stat[last] = 1
	out, err := c.New(0, x.DType, x.Shape...)
	if err != nil {
		return err
	}
	mean, err := c.New(1, graph.Float32, stat...)
	if err != nil {
		return err
	}
	inv, err := c.New(2, graph.Float32, stat...)
	if err != nil {
		return err
	}
	sum, err := c.New(3, x.DType, x.Shape...)
	if err != nil {
		return err
	}
	y, means, invs := accumulator[float32](out), graph.View[float32](mean), graph.View[float32](inv)
	eps := c.Node.Float("epsilon", 1e-12)
	normRows{size: int(x.Shape[last])}.each(len(s), func(r, from, to int) {
		means[r], invs[r] = normalize(y[from:to], s[from:to], eps)
		for i := from; i < to; i++ {
			y[i] = float32(y[i] * gamma[i%len(gamma)])
			if beta != nil {
				y[i] += beta[i%len(beta)]
			}
		}
	})
	if err := sum.SetFloat32s(s); err != nil {
		return err
	}
	return finish(out, y)
}
