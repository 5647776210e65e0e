package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// quantizeVectors gives each vector of the last axis codes of 8 bits and a scale, its
// largest magnitude / 127, as states of int8 keep keys and values.
type quantizeVectors struct {
	x, codes *graph.Tensor
	scales   []float32
	least    float32
	width    int
	rows     cut
}

// lowerQuantizeVectors covers QuantizeLinear of vectors to int8 by scales
// Max(Div(ReduceMax(Abs(x)), 127), least), and what makes these; of x that is cast for
// it, with the cast. Codes and scales have the reference's bits.
func lowerQuantizeVectors(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("QuantizeLinear") || n.In(2) != nil || n.Int("precision", 0) != 0 || n.Outputs[0].Type.DType != graph.Int8 {
		return Group{}, false
	}
	x, scale := n.Inputs[0], n.Inputs[1]
	rank := len(x.Type.Shape)
	if x.Type.DType != graph.Float32 || rank < 1 {
		return Group{}, false
	}
	axis, _ := axisOf(n.Int("axis", 1), rank)
	width, known := x.Type.Shape[rank-1].Int()
	if !known || width < 1 || axis != rank-1 || n.Int("block_size", 0) != width {
		return Group{}, false
	}
	least, ratio, ok := scale.Def, (*graph.Node)(nil), false
	var smallest, by float32
	if ratio, smallest, ok = withNumber(least, "Max"); !ok || len(uses[least.Inputs[0]]) != 1 {
		return Group{}, false
	}
	largest := (*graph.Node)(nil)
	if largest, by, ok = withNumber(ratio, "Div"); !ok || by != 127 || len(uses[ratio.Inputs[0]]) != 1 {
		return Group{}, false
	}
	if !largest.Is("ReduceMax") || !overLast(largest, rank) || len(uses[largest.Inputs[0]]) != 1 {
		return Group{}, false
	}
	magnitude := largest.Inputs[0].Def
	if !magnitude.Is("Abs") || magnitude.Inputs[0] != x {
		return Group{}, false
	}
	g := single(n)
	g.Name, g.Nodes = "QuantizeLinear of vectors", []*graph.Node{magnitude, largest, ratio, least, n}
	g.In, g.Out = []*graph.Value{x}, []*graph.Value{n.Outputs[0], scale}
	if d := x.Def; d.Is("Cast") && areFloats(d.Inputs[0]) && len(uses[x]) == 2 {
		g.In[0], g.Nodes = d.Inputs[0], append([]*graph.Node{d}, g.Nodes...)
	}
	g.Kernel = func(c *Call) error {
		k := memo[quantizeVectors](c)
		*k = quantizeVectors{x: c.In[0], codes: c.Out[0], scales: graph.View[float32](c.Out[1]), least: smallest, width: int(width)}
		count := k.x.Len() / k.width
		if k.codes.Len() != k.x.Len() || len(k.scales) != count {
			return fmt.Errorf("%w: QuantizeLinear of %s to %s", op.ErrInput, k.x.Type(), k.codes.Type())
		}
		k.rows = cutBy(count, 2*k.width)
		return c.Run(k.rows.parts(), k)
	}
	return g, true
}

// withNumber returns the node whose output another one takes first, and the constant
// number that it takes second.
func withNumber(n *graph.Node, name string) (first *graph.Node, number float32, ok bool) {
	if !n.Is(name) || len(n.Inputs) != 2 || n.Inputs[0].Def == nil {
		return nil, 0, false
	}
	t := n.Inputs[1].Const
	if t == nil || t.DType != graph.Float32 || t.Len() != 1 {
		return nil, 0, false
	}
	return n.Inputs[0].Def, graph.View[float32](t)[0], true
}

// overLast reports whether a reduction is along the last axis, which stays.
func overLast(n *graph.Node, rank int) bool {
	if n.In(1) == nil || n.Inputs[1].Const == nil || n.Int("keepdims", 1) != 1 {
		return false
	}
	axes, err := n.Inputs[1].Const.Int64s()
	if err != nil || len(axes) != 1 {
		return false
	}
	axis, _ := axisOf(axes[0], rank)
	return axis == rank-1
}

// Part implements [Parts].
func (k *quantizeVectors) Part(w *Worker, i int) {
	buf := w.Floats(k.width)
	codes := graph.View[int8](k.codes)
	from, to := k.rows.part(i)
	for r := from; r < to; r++ {
		x := floatsOf(k.x, r*k.width, buf)
		k.scales[r] = max(vectors.Magnitude(x)/127, k.least)
		vectors.NarrowI8(codes[r*k.width:][:k.width], x, k.scales[r])
	}
}
