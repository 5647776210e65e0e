package op

import (
	"fmt"

	"mnnconv/graph"
)

// Pad is ONNX Pad.
var Pad = &Op{
	Name: "Pad", Since: 2,
	Doc: "Adds pads[i] elements before and pads[i+n] after each of n axes (default: all), negative ones take away; their values " +
		"by mode: constant (default 0), reflect, edge, wrap, as numpy.pad. Attributes pads and value before version 11.",
	Inputs: []string{"data", "pads?", "constant_value?", "axes?"}, Outputs: []string{"output"},
	Attrs: []string{"mode", "pads", "value"},
	Infer: inferPad,
	Eval:  evalPad,
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
		mode := func(m string) []graph.Attr { return []graph.Attr{{Name: "mode", Value: m}} }
		row := func(v ...float32) []*graph.Tensor { return []*graph.Tensor{graph.Floats(v)} }
		sides := func(before, after int64) []*graph.Tensor {
			return []*graph.Tensor{graph.Floats([]float32{1, 2, 3}), graph.Ints([]int64{before, after})}
		}
		return []Case{{
			Name: "constant", In: []*graph.Tensor{x, graph.Ints([]int64{1, 0, 0, 1}), graph.Floats([]float32{9}).Reshape()},
			Want: []*graph.Tensor{graph.Floats([]float32{9, 9, 9, 9, 1, 2, 3, 9, 4, 5, 6, 9}, 3, 4)},
		}, {
			Name: "axes, taking away", In: []*graph.Tensor{x, graph.Ints([]int64{-1, 2}), nil, graph.FromSlice(graph.Int32, []int32{-1})},
			Want: []*graph.Tensor{graph.Floats([]float32{2, 3, 0, 0, 5, 6, 0, 0}, 2, 4)},
		}, {
			Name: "attributes", Version: 2, In: []*graph.Tensor{graph.Floats([]float32{1})},
			Attrs: []graph.Attr{{Name: "pads", Value: []int64{1, 1}}, {Name: "value", Value: float32(0.5)}},
			Want:  row(0.5, 1, 0.5),
		},
			{Name: "reflect", In: sides(2, 3), Attrs: mode("reflect"), Want: row(3, 2, 1, 2, 3, 2, 1, 2)},
			{Name: "edge", In: sides(2, 1), Attrs: mode("edge"), Want: row(1, 1, 1, 2, 3, 3)},
			{Name: "wrap", In: sides(4, 1), Attrs: mode("wrap"), Want: row(3, 1, 2, 3, 1, 2, 3, 1)},
			{
				Name: "no elements", In: []*graph.Tensor{graph.Ints(nil, 0), graph.Ints([]int64{1, 0}), graph.Scalar(7)},
				Want: []*graph.Tensor{graph.Ints([]int64{7})},
			}, {
				Name: "bool", In: []*graph.Tensor{graph.FromSlice(graph.Bool, []uint8{1}), graph.Ints([]int64{1, 0})},
				Want: []*graph.Tensor{graph.FromSlice(graph.Bool, []uint8{0, 1})},
			},
		}
	},
}

func inferPad(in *Inference) error {
	x := in.Type(0)
	if !x.Shape.Ranked() {
		in.SetTensor(0, x.DType, nil)
		return nil
	}
	list, some, known := in.list(3, "")
	if !some {
		list = firstAxes(len(x.Shape))
	}
	pads, ok := in.dims(1, "pads")
	if !known || !ok {
		in.SetTensor(0, x.DType, in.FreshShape("pad", len(x.Shape)))
		return nil
	}
	axes, err := axesOf(list, len(x.Shape))
	if err != nil {
		return err
	}
	if len(pads) != 2*len(axes) {
		return inputErrorf("%d pads for %d axes", len(pads), len(axes))
	}
	shape := append(graph.Shape{}, x.Shape...)
	for i, k := range axes {
		shape[k] = shape[k].Add(pads[i]).Add(pads[i+len(axes)])
		if n, ok := shape[k].Int(); ok && n < 0 {
			return in.Errorf("more is taken from axis %d than shape %s has", k, x.Shape)
		}
	}
	in.SetTensor(0, x.DType, shape)
	return nil
}

func evalPad(c *Call) error {
	x := c.Arg(0)
	before, shape, err := padShape(c)
	if err != nil {
		return err
	}
	m, err := c.moveTo(0, x, shape...)
	if err != nil || m.dst.Len() == 0 {
		return err
	}
	fill, err := padValue(c, m.dst)
	if err != nil {
		return err
	}
	if len(shape) == 0 {
		m.all()
		return nil
	}
	// For each axis, where each extent of the output comes from; -1: nowhere.
	from := make([][]int, len(shape))
	for k := range from {
		if from[k], err = padSources(c.Node.Str("mode", "constant"), x.Shape[k], before[k], shape[k]); err != nil {
			return fmt.Errorf("axis %d: %w", k, err)
		}
	}
	strides := rowStrides(x.Shape)
	last := len(shape) - 1
	index := make([]int, last)
	for at := 0; at < m.dst.Len(); at += int(shape[last]) {
		row, inside := 0, true
		for k, i := range index {
			row += from[k][i] * strides[k]
			inside = inside && from[k][i] >= 0
		}
		if !inside {
			fill.walk(at, 0, 0, int(shape[last]))
		} else {
			padRow(m, fill, at, row, from[last])
		}
		for k := last - 1; k >= 0; k-- {
			if index[k]++; index[k] < int(shape[k]) {
				break
			}
			index[k] = 0
		}
	}
	return nil
}

// padRow fills one row of the output by runs of consecutive sources.
func padRow(m, fill mover, at, row int, from []int) {
	for i := 0; i < len(from); {
		n := 1
		for i+n < len(from) && (from[i] < 0 && from[i+n] < 0 || from[i] >= 0 && from[i+n] == from[i]+n) {
			n++
		}
		if from[i] < 0 {
			fill.walk(at+i, 0, 0, n)
		} else {
			m.copy(at+i, row+from[i], n)
		}
		i += n
	}
}

// padShape returns the pads before each axis and the output's shape.
func padShape(c *Call) (before, shape []int64, err error) {
	x := c.Arg(0)
	pads, given, err := c.list(1, "pads")
	if err != nil {
		return nil, nil, err
	}
	list, some, err := c.list(3, "")
	if err != nil {
		return nil, nil, err
	}
	if !some {
		list = firstAxes(len(x.Shape))
	}
	axes, err := axesOf(list, len(x.Shape))
	if err != nil {
		return nil, nil, err
	}
	if !given || len(pads) != 2*len(axes) {
		return nil, nil, inputErrorf("%d pads for %d axes", len(pads), len(axes))
	}
	before, shape = make([]int64, len(x.Shape)), append([]int64{}, x.Shape...)
	for i, k := range axes {
		b, e := pads[i], pads[i+len(axes)]
		if min(b, e) < -graph.MaxElements || max(b, e) > graph.MaxElements {
			return nil, nil, inputErrorf("pads %d and %d are too large", b, e)
		}
		before[k] = b
		if shape[k] += b + e; shape[k] < 0 {
			return nil, nil, inputErrorf("pads %d and %d take more than the extent %d of axis %d", b, e, x.Shape[k], k)
		}
	}
	return before, shape, nil
}

// padValue returns a mover from the one constant to the output.
func padValue(c *Call, out *graph.Tensor) (mover, error) {
	value := c.Arg(2)
	if value == nil {
		value, _ = graph.NewTensor(out.DType, 1)
		if v := c.Node.Float("value", 0); v != 0 {
			if err := value.SetFloat32s([]float32{v}); err != nil {
				return mover{}, inputErrorf("value %g: %v", v, err)
			}
		}
	}
	if value.Len() != 1 {
		return mover{}, inputErrorf("constant_value has shape %v, want one element", value.Shape)
	}
	return newMover(out, value)
}

// padSources returns, for each of n output extents of an axis, the input's
// extent it is taken from, -1 for the constant.
func padSources(mode string, extent, before, n int64) ([]int, error) {
	after := n - extent - before
	lo, hi := max(0, -before), extent-max(0, -after) // what is left of the input
	size := hi - lo
	if mode != "constant" && size <= 0 {
		return nil, inputErrorf("mode %q has nothing to pad with", mode)
	}
	out := make([]int, n)
	for i := range out {
		j := int64(i) - before - lo // counted in what is left
		switch {
		case j >= 0 && j < size:
		case mode == "constant":
			out[i] = -1
			continue
		case mode == "edge":
			j = min(max(j, 0), size-1)
		case mode == "wrap":
			j = (j%size + size) % size
		case mode == "reflect" && size == 1:
			j = 0
		case mode == "reflect":
			period := 2 * (size - 1)
			if j = (j%period + period) % period; j >= size {
				j = period - j
			}
		default:
			return nil, fmt.Errorf("mode %q is %w", mode, ErrUnsupported)
		}
		out[i] = int(lo + j)
	}
	return out, nil
}
