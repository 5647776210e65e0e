package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// Clip is ONNX Clip: element-wise limiting to an interval.
var Clip = &Op{
	Name: "Clip", Since: 6,
	Doc: "output = min(max(input, min), max), element by element; NaN stays. " +
		"The bounds are scalars: inputs since opset 11, attributes before; an input counts before an attribute. " +
		"They default to the smallest and largest finite number of the dtype, so infinities become finite.",
	Inputs: []string{"input", "min?", "max?"}, Outputs: []string{"output"},
	Attrs: []string{"min", "max"},
	Infer: only(isNumber, func(in *Inference) error {
		d, err := in.commonDType(0, 1, 2)
		if err != nil {
			return err
		}
		in.SetTensor(0, d, in.Type(0).Shape)
		x, ok := in.Elements(0)
		if !ok || d == graph.Uint64 || in.Node.Has("min") || in.Node.Has("max") {
			return nil
		}
		out := append([]graph.Dim{}, x...)
		for i, limit := range []func(a, b graph.Dim) graph.Dim{maxDim, minDim} {
			if !in.Has(i + 1) {
				continue
			}
			bound, ok := in.Elements(i + 1)
			if !ok || len(bound) != 1 {
				return nil
			}
			for j := range out {
				out[j] = limit(out[j], bound[0])
			}
		}
		in.Know(0, out)
		return nil
	}),
	Eval: func(c *Call) error {
		x := c.Arg(0)
		lo, hi, err := clipBounds(c)
		if err != nil {
			return err
		}
		return evalUnary(c, unary{
			float: func(v float64) float64 { return min(max(v, lo.float), hi.float) },
			int:   func(v int64) int64 { return min(max(v, lo.int), hi.int) },
			uint: func(v uint64) uint64 {
				if x.DType != graph.Uint64 { // bounds fit an int64
					return uint64(min(max(int64(v), lo.int), hi.int))
				}
				return min(max(v, uint64(lo.int)), uint64(hi.int))
			},
		})
	},
	Cases: func() []Case {
		f := func(v float32) *graph.Tensor { return graph.Floats([]float32{v}, []int64{}...) }
		return []Case{{
			Name: "both bounds",
			In:   []*graph.Tensor{graph.Floats([]float32{-2, 0.5, 9}, 3, 1), f(-1), f(1)},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 0.5, 1}, 3, 1)},
		}, {
			Name: "min above max",
			In:   []*graph.Tensor{graph.Floats([]float32{-2, 9}), f(3), f(1)},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 1})},
		}, {
			Name: "max only, int64",
			In:   []*graph.Tensor{graph.Ints([]int64{-2, 9}), nil, graph.Scalar(4)},
			Want: []*graph.Tensor{graph.Ints([]int64{-2, 4})},
		}, {
			Name: "infinities without bounds",
			In:   []*graph.Tensor{graph.Floats([]float32{float32(math.Inf(-1)), float32(math.Inf(1)), float32(math.NaN())})},
			Want: []*graph.Tensor{graph.Floats([]float32{-math.MaxFloat32, math.MaxFloat32, float32(math.NaN())})},
			Tol:  1e-9,
		}, {
			Name: "attributes of opset 6", Version: 7,
			Attrs: []graph.Attr{{Name: "min", Value: float32(0)}, {Name: "max", Value: float32(6)}},
			In:    []*graph.Tensor{narrow(graph.Float16, []float32{-1, 3, 8})},
			Want:  []*graph.Tensor{narrow(graph.Float16, []float32{0, 3, 6})},
		}, {
			Name: "uint64",
			In: []*graph.Tensor{
				graph.FromSlice(graph.Uint64, []uint64{1, 1 << 63}),
				graph.FromSlice(graph.Uint64, []uint64{5}, []int64{}...), nil,
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{5, 1 << 63})},
		}}
	},
}

// clipBound is a bound in the number class of the input (uint64: its bits).
type clipBound struct {
	float float64
	int   int64
}

func clipBounds(c *Call) (lo, hi clipBound, err error) {
	d := c.Arg(0).DType
	first, last := intRange(d)
	lo, hi = clipBound{-d.Largest(), first}, clipBound{d.Largest(), int64(last)}
	if v, ok := c.Node.Attr("min").(float32); ok {
		lo = clipBound{float64(v), toInt(float64(v), d)}
	}
	if v, ok := c.Node.Attr("max").(float32); ok {
		hi = clipBound{float64(v), toInt(float64(v), d)}
	}
	for i, b := range []*clipBound{&lo, &hi} {
		t := c.Arg(i + 1)
		if t == nil {
			continue
		}
		if t.DType != d || t.Len() != 1 {
			return lo, hi, fmt.Errorf("%w: bound of type %s for an input of %s, want a scalar", graph.ErrType, t.Type(), d)
		}
		if isReal(d) {
			v, err := t.Float64s()
			if err != nil {
				return lo, hi, err
			}
			b.float = v[0]
			continue
		}
		v, err := t.Int64s()
		if err != nil {
			return lo, hi, err
		}
		b.int = v[0]
	}
	return lo, hi, nil
}
