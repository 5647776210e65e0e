package op

import (
	"math"

	"mnnconv/graph"
)

// Softmax is ONNX Softmax: exponentials normalised to sum to 1.
var Softmax = &Op{
	Name: "Softmax", Since: 1,
	Doc: "output = exp(input - m) / sum(exp(input - m)) along axis, m being the maximum along it. " +
		"Before opset 13, axis (1 by default) cuts the shape in two and the sum runs over all of the second part; " +
		"since then over the one axis (the last by default). " +
		"Sums are kept in float64 and results rounded once.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Attrs: []string{"axis"},
	Infer: inferSoftmax,
	Eval: func(c *Call) error {
		return evalSoftmax(c, func(x []float64) {
			sum := 0.0
			for i, v := range x {
				x[i] = math.Exp(v)
				sum += x[i]
			}
			for i := range x {
				x[i] /= sum
			}
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, -1, 1000, 1000}, 2, 3)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.09003057, 0.24472848, 0.66524094, 0, 0.5, 0.5}, 2, 3)},
			Tol:  1e-7,
		}, {
			Name:  "first axis with masked elements",
			Attrs: []graph.Attr{{Name: "axis", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Floats([]float32{0, 1, float32(math.Inf(-1)), 1}, 2, 2)},
			Want:  []*graph.Tensor{graph.Floats([]float32{1, 0.5, 0, 0.5}, 2, 2)},
		}, {
			Name: "opset 11 joins trailing axes", Version: 11,
			In:   []*graph.Tensor{graph.Floats([]float32{0, 0, 0, 0, 7, 7, 7, 7}, 2, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25}, 2, 2, 2)},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1, 2, 3})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x2dc3, 0x33d5, 0x3952})},
		}, {
			Name: "no elements",
			In:   []*graph.Tensor{graph.Floats(nil, 2, 0)},
			Want: []*graph.Tensor{graph.Floats(nil, 2, 0)},
		}}
	},
}

func inferSoftmax(in *Inference) error {
	if err := in.accept(0, isReal); err != nil {
		return err
	}
	if s := in.Type(0).Shape; s.Ranked() {
		if _, _, err := softmaxAxes(in.Node, len(s)); err != nil {
			return err
		}
	}
	return sameShape(in)
}

// softmaxAxes returns the range of axes that a softmax sums over.
func softmaxAxes(n *graph.Node, rank int) (from, to int, err error) {
	if n.Version >= 13 {
		from, err = resolveAxis(n.Int("axis", -1), rank)
		return from, from + 1, err
	}
	axis := n.Int("axis", 1)
	if axis == int64(rank) { // an empty second part, as Flatten allows it
		return rank, rank, nil
	}
	from, err = resolveAxis(axis, rank)
	return from, rank, err
}

// evalSoftmax calls normalize with each group of elements that are summed
// together, less the group's maximum, and stores what it leaves there.
func evalSoftmax(c *Call, normalize func(x []float64)) error {
	x := c.Arg(0)
	if !isReal(x.DType) {
		return inputErrorf("%s tensor where floats are needed", x.DType)
	}
	from, to, err := softmaxAxes(c.Node, len(x.Shape))
	if err != nil {
		return err
	}
	out, err := c.New(0, x.DType, x.Shape...)
	if err != nil {
		return err
	}
	n, inner := extent(x.Shape[from:to]), extent(x.Shape[to:])
	if x.DType == graph.Float64 {
		same := func(v float64) float64 { return v }
		normalizeGroups(graph.View[float64](out), graph.View[float64](x), n, inner, same, normalize)
		return nil
	}
	v, err := x.Float32s()
	if err != nil {
		return err
	}
	y := make([]float32, len(v))
	normalizeGroups(y, v, n, inner, rounding(x.DType), normalize)
	return out.SetFloat32s(y)
}

// normalizeGroups treats each group of n elements of x that lie inner apart.
func normalizeGroups[T float32 | float64](y, x []T, n, inner int, round func(float64) T, normalize func([]float64)) {
	if len(x) == 0 {
		return
	}
	group := make([]float64, n)
	for start := 0; start < len(x); start += n * inner {
		for base := start; base < start+inner; base++ {
			top := math.Inf(-1)
			for j := range group {
				group[j] = float64(x[base+j*inner])
				top = max(top, group[j])
			}
			for j := range group {
				group[j] -= top
			}
			normalize(group)
			for j, g := range group {
				y[base+j*inner] = round(g)
			}
		}
	}
}

// extent returns the product of the extents of a tensor that exists.
func extent(shape []int64) int {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return n
}
