package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// CausalConvWithState is ONNX CausalConvWithState.
var CausalConvWithState = &Op{
	Name: "CausalConvWithState", Since: 27,
	Doc: "output[b, c, t] = bias[c] + Σ x[t + j]·weight[c, 0, j] over the k taps, where x is past_state [batch, channels, k-1] (default: zeros) followed by input; rounded to the type of input, " +
		"and with activation silu or swish then x·sigmoid(x). present_state is the last k-1 elements of x. Kept in float64.",
	Inputs: []string{"input", "weight", "bias?", "past_state?"}, Outputs: []string{"output", "present_state"}, Attrs: []string{"activation"},
	Infer: func(in *Inference) error {
		d, err := in.commonDType(0, 1, 2, 3)
		if err != nil {
			return err
		}
		x, err := in.ranked(0, 3)
		if err != nil {
			return err
		}
		w, err := in.ranked(1, 3)
		if err != nil {
			return err
		}
		in.SetTensor(0, d, x)
		in.SetTensor(1, d, nil)
		if x != nil && w != nil {
			if _, err := in.agree("channels", x[1], w[0]); err != nil {
				return err
			}
			in.SetTensor(1, d, graph.Shape{x[0], x[1], w[2].Sub(graph.Const(1))})
		}
		return nil
	},
	Eval: func(c *Call) error {
		x, w := c.Arg(0), c.Arg(1)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if len(x.Shape) != 3 || len(w.Shape) != 3 || w.Shape[0] != x.Shape[1] || w.Shape[1] != 1 || w.Shape[2] < 1 {
			return inputErrorf("input of shape %v with weights of shape %v", x.Shape, w.Shape)
		}
		swish := false
		switch a := c.Node.Str("activation", "none"); a {
		case "none":
		case "silu", "swish":
			swish = true
		default:
			return inputErrorf("activation is %q", a)
		}
		channels, length, taps := int(x.Shape[1]), int(x.Shape[2]), int(w.Shape[2])
		lines := int(x.Shape[0]) * channels
		past, err := c.sized(3, lines*(taps-1))
		if err != nil {
			return err
		}
		bias, err := c.sized(2, channels)
		if err != nil {
			return err
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		kernel, err := w.Float64s()
		if err != nil {
			return err
		}
		y, last := make([]float64, len(v)), make([]float64, 0, len(past))
		for i := range lines {
			line := slices.Concat(past[i*(taps-1):][:taps-1], v[i*length:][:length])
			for t := range length {
				sum := bias[i%channels]
				for j, k := range kernel[i%channels*taps:][:taps] {
					sum += float64(k * line[t+j])
				}
				y[i*length+t] = sum
			}
			last = append(last, line[length:]...)
		}
		out, err := c.New(0, x.DType, x.Shape...)
		if err != nil {
			return err
		}
		if err := storeFloats(out, y); err != nil {
			return err
		}
		if swish {
			if y, err = out.Float64s(); err != nil {
				return err
			}
			for i, v := range y {
				y[i] = v / (1 + math.Exp(-v))
			}
			if err := storeFloats(out, y); err != nil {
				return err
			}
		}
		present, err := c.New(1, x.DType, x.Shape[0], x.Shape[1], int64(taps-1))
		if err != nil {
			return err
		}
		return storeFloats(present, last)
	},
	Cases: func() []Case {
		x, w := graph.Floats([]float32{1, 2, 3}, 1, 1, 3), graph.Floats([]float32{10, 1}, 1, 1, 2)
		return []Case{
			{Name: "from the start", In: []*graph.Tensor{x, w}, Want: []*graph.Tensor{graph.Floats([]float32{1, 12, 23}, 1, 1, 3), graph.Floats([]float32{3}, 1, 1, 1)}},
			{
				Name: "going on, bias, swish", Attrs: []graph.Attr{{Name: "activation", Value: "silu"}}, Tol: 1e-6,
				In:   []*graph.Tensor{graph.Floats([]float32{-1}, 1, 1, 1), w, graph.Floats([]float32{-8}), graph.Floats([]float32{1}, 1, 1, 1)},
				Want: []*graph.Tensor{graph.Floats([]float32{0.7310586}, 1, 1, 1), graph.Floats([]float32{-1}, 1, 1, 1)},
			},
		}
	},
}
