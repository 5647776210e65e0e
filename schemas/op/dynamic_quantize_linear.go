package op

import (
	"math"

	"mnnconv/graph"
)

// DynamicQuantizeLinear is ONNX DynamicQuantizeLinear.
var DynamicQuantizeLinear = &Op{
	Name: "DynamicQuantizeLinear", Since: 11,
	Doc: "Quantises a float32 tensor to uint8 by its own range: y_scale = (max(0, max x) - min(0, min x)) / 255, " +
		"y_zero_point = round(-min(0, min x) / y_scale), y = saturate(round(x / y_scale) + y_zero_point), ties to even; the scale of a range of 0 is 1/255.",
	Inputs: []string{"x"}, Outputs: []string{"y", "y_scale", "y_zero_point"},
	Infer: func(in *Inference) error {
		in.SetTensor(0, graph.Uint8, in.Type(0).Shape)
		in.SetTensor(1, graph.Float32, graph.Shape{})
		in.SetTensor(2, graph.Uint8, graph.Shape{})
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if x.DType != graph.Float32 {
			return undefinedFor(x.DType)
		}
		v := graph.View[float32](x)
		var low, high float32
		for _, f := range v {
			low, high = min(low, f), max(high, f)
		}
		span := high - low
		if span == 0 {
			span = 1
		}
		s := span / 255
		q, _ := newQuantizer(graph.Uint8)
		y, err := c.New(0, graph.Uint8, x.Shape...)
		if err != nil {
			return err
		}
		scale, err := c.New(1, graph.Float32)
		if err != nil {
			return err
		}
		zero, err := c.New(2, graph.Uint8)
		if err != nil {
			return err
		}
		graph.View[float32](scale)[0] = s
		z := math.RoundToEven(float64(-low / s))
		q.put(zero, 0, z)
		for i, f := range v {
			q.put(y, i, math.RoundToEven(float64(f/s))+z)
		}
		return nil
	},
	Cases: func() []Case {
		return []Case{{
			Name: "both signs",
			In:   []*graph.Tensor{graph.Floats([]float32{-1, 0, 1.55, 0.025}, 2, 2)},
			Want: []*graph.Tensor{
				graph.FromSlice(graph.Uint8, []uint8{0, 100, 255, 102}, 2, 2), graph.Floats([]float32{0.01}, 1).Reshape(), graph.FromSlice(graph.Uint8, []uint8{100}, 1).Reshape(),
			},
		}, {
			Name: "all zero",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 0})},
			Want: []*graph.Tensor{
				graph.FromSlice(graph.Uint8, []uint8{0, 0}), graph.Floats([]float32{1. / 255}, 1).Reshape(), graph.FromSlice(graph.Uint8, []uint8{0}, 1).Reshape(),
			},
		}, {
			Name: "positive only: the range still holds 0",
			In:   []*graph.Tensor{graph.Floats([]float32{255, 128, 2.5})},
			Want: []*graph.Tensor{
				graph.FromSlice(graph.Uint8, []uint8{255, 128, 2}), graph.Floats([]float32{1}, 1).Reshape(), graph.FromSlice(graph.Uint8, []uint8{0}, 1).Reshape(),
			},
		}}
	},
}
