package op

import (
	"fmt"

	"mnnconv/graph"
)

// LayerNormalization is ONNX LayerNormalization.
var LayerNormalization = &Op{
	Name: "LayerNormalization", Since: 17,
	Doc: "Y = round(round(N)·Scale) + B with N = (X - Mean)·InvStdDev over the axes from axis on. N is computed in float32 (of float64: in float64) " +
		"and rounded to the type of X before it is scaled and shifted in that type, as the operator's function body says.",
	Inputs: []string{"X", "Scale", "B?"}, Outputs: []string{"Y", "Mean?", "InvStdDev?"},
	Attrs: []string{"axis", "epsilon", "stash_type"},
	Infer: func(in *Inference) error {
		stat, err := stashType(in.Node)
		if err != nil {
			return err
		}
		return inferNorm(in, in.Type(0).DType, stat, 1, 2)
	},
	Eval: func(c *Call) error {
		switch c.Arg(0).DType {
		case graph.Float32, graph.Float16, graph.BFloat16:
			return layerNorm[float32](c)
		case graph.Float64:
			return layerNorm[float64](c)
		}
		return undefinedFor(c.Arg(0).DType)
	},
	Cases: func() []Case {
		zeroEps := graph.Attr{Name: "epsilon", Value: float32(0)}
		return []Case{{
			Name:  "scale, shift and statistics",
			Attrs: []graph.Attr{zeroEps},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 3, 4, 8}, 2, 2), graph.Floats([]float32{1, 2}), graph.Floats([]float32{10, 20})},
			Want: []*graph.Tensor{
				graph.Floats([]float32{9, 22, 9, 22}, 2, 2), graph.Floats([]float32{2, 6}, 2, 1), graph.Floats([]float32{1, 0.5}, 2, 1),
			},
		}, {
			Name:  "constant row without B",
			Attrs: []graph.Attr{{Name: "epsilon", Value: float32(1)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 3, 5, 5}, 2, 2), graph.Floats([]float32{1, 1})},
			Want:  []*graph.Tensor{graph.Floats([]float32{-0.70710677, 0.70710677, 0, 0}, 2, 2)},
			Tol:   1e-6,
		}, {
			Name:  "both axes, float64",
			Attrs: []graph.Attr{zeroEps, {Name: "axis", Value: int64(-2)}},
			In:    []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{-1, 1, -1, 1}, 2, 2), graph.FromSlice(graph.Float64, []float64{1, 2}), nil},
			Want:  []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{-1, 2, -1, 2}, 2, 2)},
		}, {
			Name: "no rows",
			In:   []*graph.Tensor{graph.Floats(nil, 0, 2), graph.Floats([]float32{1, 1})},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 2)},
		}}
	},
}

func layerNorm[T floating](c *Call) error {
	x := c.Arg(0)
	stat, err := stashType(c.Node)
	if err != nil {
		return err
	}
	rows, err := rowsFrom(c.Node, x.Shape)
	if err != nil {
		return err
	}
	v, err := elementsAs[T](x)
	if err != nil {
		return err
	}
	scale, err := spread[T](c.Arg(1), x.Shape, rows.axis)
	if err != nil {
		return err
	}
	var shift []T
	if b := c.Arg(2); b != nil {
		if shift, err = spread[T](b, x.Shape, rows.axis); err != nil {
			return err
		}
	}
	out, err := c.New(0, x.DType, x.Shape...)
	if err != nil {
		return err
	}
	mean, err := c.New(1, stat, rows.stat...)
	if err != nil {
		return err
	}
	inv, err := c.New(2, stat, rows.stat...)
	if err != nil {
		return err
	}
	y, means, invs := accumulator[T](out), accumulator[T](mean), accumulator[T](inv)
	eps := T(c.Node.Float("epsilon", 1e-5))
	rows.each(len(v), func(r, from, to int) {
		row := y[from:to]
		means[r], invs[r] = standardize(row, v[from:to], eps)
		roundTo(x.DType, row)
		for i := range row {
			row[i] *= scale[(from+i)%len(scale)]
		}
		if shift == nil {
			return
		}
		roundTo(x.DType, row)
		for i := range row {
			row[i] += shift[(from+i)%len(shift)]
		}
	})
	if err := finish(mean, means); err != nil {
		return err
	}
	if err := finish(inv, invs); err != nil {
		return err
	}
	return finish(out, y)
}

// stashType returns the dtype of the statistics, which is also the least
// precision of the first stage. Precisions below float32 would cost accuracy
// that no export asks for.
func stashType(n *graph.Node) (graph.DType, error) {
	if !n.Has("stash_type") {
		return graph.Float32, nil
	}
	d, err := dtypeAttr(n, "stash_type")
	if err == nil && d != graph.Float32 {
		err = fmt.Errorf("stash_type %s is %w", d, ErrUnsupported)
	}
	return d, err
}
