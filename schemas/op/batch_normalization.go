package op

import (
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
)

// BatchNormalization is ONNX BatchNormalization.
var BatchNormalization = &Op{
	Name: "BatchNormalization", Since: 1,
	Doc: "Y = (X - mean)/sqrt(var + epsilon)·scale + B per channel, axis 1 of X, by input_mean and input_var. With training_mode 1 by those of the batch, " +
		"and running = input·momentum + batch·(1 - momentum). Before version 14, only the form with one output. Computed in float32 (of float64: in float64) and rounded once.",
	Inputs:  []string{"X", "scale", "B", "input_mean", "input_var"},
	Outputs: []string{"Y", "running_mean?", "running_var?", "saved_mean?", "saved_var?"},
	Attrs:   []string{"consumed_inputs", "epsilon", "is_test", "momentum", "spatial", "training_mode"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		in.SetTensor(0, x.DType, x.Shape)
		var channels graph.Shape
		switch {
		case len(x.Shape) == 1:
			channels = graph.ShapeOf(1)
		case len(x.Shape) > 1:
			channels = graph.Shape{x.Shape[1]}
		}
		for i := 1; i <= 4; i++ {
			s, err := in.ranked(i, 1)
			if err != nil {
				return err
			}
			if s != nil && channels != nil {
				if _, err := in.agree("channels", channels[0], s[0]); err != nil {
					return err
				}
			}
			in.SetTensor(i, in.Type(3).DType, channels)
		}
		return nil
	},
	Eval: func(c *Call) error {
		n := c.Node
		if n.Int("spatial", 1) != 1 || n.Version < 14 && (n.Out(1) != nil || n.Out(2) != nil) || n.Out(3) != nil || n.Out(4) != nil {
			return fmt.Errorf("batch normalisation per element, or for training before version 14, is %w", ErrUnsupported)
		}
		switch d := c.Arg(0).DType; {
		case d == graph.Float64:
			return batchNorm[float64](c)
		case isReal(d):
			return batchNorm[float32](c)
		default:
			return undefinedFor(d)
		}
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4}, 1, 2, 2)
		pair := func(a, b float32) *graph.Tensor { return graph.Floats([]float32{a, b}) }
		zeroEps := graph.Attr{Name: "epsilon", Value: float32(0)}
		return []Case{{
			Name: "inference", Attrs: []graph.Attr{zeroEps}, Version: 9,
			In:   []*graph.Tensor{x, pair(1, 2), pair(0, 10), pair(1, 3), pair(1, 4)},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 1, 10, 11}, 1, 2, 2)},
		}, {
			Name: "training", Attrs: []graph.Attr{zeroEps, {Name: "training_mode", Value: int64(1)}, {Name: "momentum", Value: float32(0.5)}},
			In:   []*graph.Tensor{graph.Floats([]float32{1, 3, 2, 6}, 1, 2, 2), pair(1, 1), pair(0, 0), pair(0, 0), pair(1, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 1, -1, 1}, 1, 2, 2), pair(1, 2), pair(1, 3)},
		}, {
			Name: "no batch",
			In:   []*graph.Tensor{graph.Floats(nil, 0, 2, 2), pair(1, 2), pair(0, 10), pair(1, 3), pair(1, 4)},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 2, 2)},
		}}
	},
}

func batchNorm[T floating](c *Call) error {
	x := c.Arg(0)
	channels := int64(1)
	if len(x.Shape) > 1 {
		channels = x.Shape[1]
	}
	v, err := elementsAs[T](x)
	if err != nil {
		return err
	}
	var params [5][]T // scale, B, mean and variance at 1 to 4
	for i := 1; i <= 4; i++ {
		if params[i], err = perChannel[T](c, i, channels); err != nil {
			return err
		}
	}
	scale, shift, mean, variance := params[1], params[2], params[3], params[4]
	out, err := c.New(0, x.DType, x.Shape...)
	if err != nil {
		return err
	}
	plane := 1
	if len(x.Shape) > 2 {
		for _, d := range x.Shape[2:] {
			plane *= int(d)
		}
	}
	if c.Node.Int("training_mode", 0) != 0 {
		batchMean, batchVar := channelMoments(v, int(channels), plane)
		momentum := T(c.Node.Float("momentum", 0.9))
		for i, p := range [2][2][]T{{mean, batchMean}, {variance, batchVar}} {
			running, err := c.New(i+1, c.Arg(3).DType, channels)
			if err != nil {
				return err
			}
			r := accumulator[T](running)
			for ch := range r {
				r[ch] = T(p[0][ch]*momentum) + T(p[1][ch]*(1-momentum))
			}
			if err := finish(running, r); err != nil {
				return err
			}
		}
		mean, variance = batchMean, batchVar
	}
	eps := T(c.Node.Float("epsilon", 1e-5))
	inv := slices.Clone(variance)
	for i, f := range inv {
		inv[i] = 1 / T(math.Sqrt(float64(f+eps)))
	}
	y := accumulator[T](out)
	for i, f := range v {
		ch := i / plane % int(channels)
		y[i] = T((f-mean[ch])*inv[ch]*scale[ch]) + shift[ch]
	}
	return finish(out, y)
}

// perChannel returns the elements of input i, a vector of one number per channel.
func perChannel[T floating](c *Call, i int, channels int64) ([]T, error) {
	if t := c.Arg(i); len(t.Shape) != 1 || t.Shape[0] != channels {
		return nil, inputErrorf("input %d has shape %v for %d channels", i, t.Shape, channels)
	}
	return elementsAs[T](c.Arg(i))
}

// channelMoments returns the mean and the population variance of every channel
// of a tensor [batch, channels, plane].
func channelMoments[T floating](v []T, channels, plane int) (mean, variance []T) {
	mean, variance = make([]T, channels), make([]T, channels)
	if len(v) == 0 {
		return mean, variance
	}
	n := T(len(v) / channels)
	for i, f := range v {
		mean[i/plane%channels] += f
	}
	for ch := range mean {
		mean[ch] /= n
	}
	for i, f := range v {
		d := f - mean[i/plane%channels]
		variance[i/plane%channels] += T(d * d)
	}
	for ch := range variance {
		variance[ch] /= n
	}
	return mean, variance
}
