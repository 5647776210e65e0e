package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// Resize is ONNX Resize.
var Resize = &Op{
	Name: "Resize", Since: 10,
	Doc: "X resampled along axes (default: all) to sizes, or by scales, as mode (nearest, linear, cubic), coordinate_transformation_mode, nearest_mode, antialias " +
		"and exclude_outside say; axis by axis in float64, rounded once, integers saturated. Version 10 takes asymmetric coordinates and the element before, where an axis shrinks the one behind.",
	Inputs: []string{"X", "roi_or_scales?", "scales?", "sizes?"}, Outputs: []string{"Y"},
	Attrs: []string{"antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"},
	Infer: func(in *Inference) error {
		t := in.Type(0)
		in.SetTensor(0, t.DType, nil)
		if !t.Shape.Ranked() {
			return nil
		}
		axes, err := cropAxes(in.Node, len(t.Shape))
		if err != nil {
			return err
		}
		s := slices.Clone(t.Shape)
		for _, a := range axes {
			s[a] = in.Fresh("resize")
		}
		in.SetTensor(0, t.DType, s)
		if sizes, ok := in.Elements(3); ok && in.Node.Str("keep_aspect_ratio_policy", "stretch") == "stretch" && len(sizes) == len(axes) {
			for i, a := range axes {
				s[a] = sizes[i]
			}
			return nil
		}
		constant := func(i int) (*graph.Tensor, bool) { return in.Const(i), !in.Has(i) || in.Const(i) != nil }
		scales, ok := constant(scalesInput(in.Node))
		sizes, ok2 := constant(3)
		fixed := make([]int64, len(s))
		for i, d := range t.Shape {
			n, whole := d.Int()
			if fixed[i] = n; !whole && slices.Contains(axes, i) {
				ok = false
			}
		}
		if !ok || !ok2 {
			return nil
		}
		_, shape, err := resizeTo(in.Node, fixed, axes, scales, sizes)
		if err != nil {
			return err
		}
		for _, a := range axes {
			s[a] = graph.Const(shape[a])
		}
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		axes, err := cropAxes(c.Node, len(x.Shape))
		if err != nil {
			return err
		}
		scales, shape, err := resizeTo(c.Node, x.Shape, axes, c.Arg(scalesInput(c.Node)), c.Arg(3))
		if err != nil {
			return err
		}
		var roi []float64
		if t := c.Arg(1); t != nil && scalesInput(c.Node) == 2 && t.Len() > 0 {
			if roi, err = t.Float64s(); err != nil {
				return err
			}
			if len(roi) != 2*len(axes) {
				return inputErrorf("a region of %d numbers for %d axes", len(roi), len(axes))
			}
		}
		r, err := newResampler(c.Node)
		if err != nil {
			return err
		}
		return c.resample(r, axes, scales, shape, roi)
	},
	Cases: func() []Case {
		row := func(v ...float32) *graph.Tensor { return graph.Floats(v, 1, int64(len(v))) }
		text := func(pairs ...string) (attrs []graph.Attr) {
			for i := 0; i < len(pairs); i += 2 {
				attrs = append(attrs, graph.Attr{Name: pairs[i], Value: pairs[i+1]})
			}
			return attrs
		}
		return []Case{
			{Name: "nearest", In: []*graph.Tensor{row(1, 2), nil, graph.Floats([]float32{2, 2})}, Want: []*graph.Tensor{graph.Floats([]float32{1, 1, 2, 2, 1, 1, 2, 2}, 2, 4)}},
			{Name: "linear", Attrs: text("mode", "linear"), In: []*graph.Tensor{row(1, 2), nil, graph.Floats([]float32{1, 2})}, Want: []*graph.Tensor{row(1, 1.25, 1.75, 2)}},
			{
				Name: "linear, corners aligned, sizes", Attrs: text("mode", "linear", "coordinate_transformation_mode", "align_corners"),
				In: []*graph.Tensor{row(1, 4), nil, nil, graph.Ints([]int64{1, 4})}, Want: []*graph.Tensor{row(1, 2, 3, 4)},
			},
			{
				Name: "cubic, uint8 saturates", Attrs: text("mode", "cubic"),
				In:   []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{0, 255}, 1, 2), nil, graph.Floats([]float32{1, 2})},
				Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{0, 58, 197, 255}, 1, 4)},
			},
			{Name: "version 10", Version: 10, In: []*graph.Tensor{row(1, 2), graph.Floats([]float32{1, 1.5})}, Want: []*graph.Tensor{row(1, 1, 2)}},
			{Name: "version 10, smaller", Version: 10, In: []*graph.Tensor{row(1, 2, 3, 4), graph.Floats([]float32{1, 0.6})}, Want: []*graph.Tensor{row(1, 3)}},
			{
				Name: "the larger ratio, on one axis", Attrs: append(text("keep_aspect_ratio_policy", "not_smaller"), graph.Attr{Name: "axes", Value: []int64{1}}),
				In: []*graph.Tensor{row(1, 2), nil, nil, graph.Ints([]int64{4})}, Want: []*graph.Tensor{row(1, 1, 2, 2)},
			},
		}
	},
}

// scalesInput returns the input that holds the scales.
func scalesInput(n *graph.Node) int {
	if n.Op == "Upsample" || n.Version < 11 {
		return 1
	}
	return 2
}

// resizeTo returns the scale of every axis and the shape of the result.
func resizeTo(n *graph.Node, x []int64, axes []int, scales, sizes *graph.Tensor) ([]float64, []int64, error) {
	factor, shape := make([]float64, len(x)), slices.Clone(x)
	fill(factor, 1)
	switch {
	case sizes != nil && sizes.Len() > 0:
		to, err := sizes.Int64s()
		if err != nil {
			return nil, nil, err
		}
		if len(to) != len(axes) {
			return nil, nil, inputErrorf("%d sizes for %d axes", len(to), len(axes))
		}
		for i, a := range axes {
			if to[i] < 0 || x[a] == 0 && to[i] > 0 {
				return nil, nil, inputErrorf("axis %d of extent %d to %d", a, x[a], to[i])
			}
			shape[a] = to[i]
			factor[a] = float64(to[i]) / float64(max(x[a], 1))
		}
		return factor, shape, keepAspect(n, x, axes, factor, shape)
	case scales != nil && scales.Len() > 0:
		by, err := scales.Float64s()
		if err != nil {
			return nil, nil, err
		}
		if len(by) != len(axes) {
			return nil, nil, inputErrorf("%d scales for %d axes", len(by), len(axes))
		}
		for i, a := range axes {
			to := math.Floor(by[i] * float64(x[a]))
			if !(by[i] > 0) || to > graph.MaxElements {
				return nil, nil, inputErrorf("axis %d of extent %d scaled by %v", a, x[a], by[i])
			}
			factor[a], shape[a] = by[i], int64(to)
		}
		return factor, shape, nil
	}
	return nil, nil, inputErrorf("neither scales nor sizes")
}

// keepAspect changes scales and shape so that one scale holds for all axes.
func keepAspect(n *graph.Node, x []int64, axes []int, factor []float64, shape []int64) error {
	var pick func(a, b float64) float64
	switch policy := n.Str("keep_aspect_ratio_policy", "stretch"); policy {
	case "stretch":
		return nil
	case "not_larger":
		pick = math.Min
	case "not_smaller":
		pick = math.Max
	default:
		return inputErrorf("keep_aspect_ratio_policy is %q", policy)
	}
	if len(axes) == 0 {
		return nil
	}
	scale := factor[axes[0]]
	for _, a := range axes {
		scale = pick(scale, factor[a])
	}
	for _, a := range axes {
		factor[a], shape[a] = scale, int64(float64(scale*float64(x[a]))+0.5)
	}
	return nil
}

// resample resizes input 0 one axis after the other and stores the result.
func (c *Call) resample(r *resampler, axes []int, scales []float64, shape []int64, roi []float64) error {
	x := c.Arg(0)
	samples, moved := make([][]sample, len(shape)), r.mode == "nearest"
	for i, a := range axes {
		var region []float64
		if roi != nil {
			region = []float64{roi[i], roi[len(axes)+i]}
		}
		if scales[a] == 1 && shape[a] == x.Shape[a] && (region == nil || region[0] == 0 && region[1] == 1) {
			continue
		}
		if shape[a] > graph.MaxElements {
			return inputErrorf("axis %d to %d", a, shape[a])
		}
		var err error
		if samples[a], err = r.samples(int(x.Shape[a]), int(shape[a]), scales[a], region); err != nil {
			return err
		}
		for _, s := range samples[a] {
			moved = moved && s.index != nil
		}
	}
	out, err := c.New(0, x.DType, shape...)
	if err != nil || out.Len() == 0 {
		return err
	}
	if moved {
		return pickNearest(out, x, samples)
	}
	v, err := x.Float64s()
	if err != nil {
		return err
	}
	at := slices.Clone(x.Shape)
	for a, s := range samples {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		if s != nil {
			v = alongAxis(v, at, a, s)
			at[a] = shape[a]
		}
	}
	if !isReal(x.DType) {
		for i, f := range v {
			v[i] = math.RoundToEven(f)
		}
	}
	return storeNumbers(out, v)
}

// pickNearest copies the one element that each sample consists of.
func pickNearest(out, x *graph.Tensor, samples [][]sample) error {
	m, err := newMover(out, x)
	if err != nil {
		return err
	}
	strides := rowStrides(x.Shape)
	at := make([]int64, len(samples))
	for i := range out.Len() {
		from := 0
		for a, k := range at {
			if p := int(k); samples[a] == nil {
				from += p * strides[a]
			} else if s := samples[a][p]; s.weight[0] == 1 {
				from += s.index[0] * strides[a]
			} else {
				from += s.index[1] * strides[a]
			}
		}
		m.copy(i, from, 1)
		step(at, out.Shape)
	}
	return nil
}

// alongAxis replaces axis a of v, of the given shape, by samples of it.
func alongAxis(v []float64, shape []int64, a int, samples []sample) []float64 {
	inner, n := extent(shape[a+1:]), int(shape[a])
	outer := extent(shape[:a])
	y := make([]float64, outer*len(samples)*inner)
	for o := range outer {
		for j, s := range samples {
			to := y[(o*len(samples)+j)*inner:][:inner]
			if s.index == nil {
				fill(to, s.value)
			}
			for k, i := range s.index {
				for p, e := range v[(o*n+i)*inner:][:inner] {
					to[p] += float64(s.weight[k] * e)
				}
			}
		}
	}
	return y
}
