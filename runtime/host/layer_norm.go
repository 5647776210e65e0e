package host

import (
	"math"

	"mnnconv/graph"
)

// layerNorm is ONNX LayerNormalization over the last axis: each row x becomes
// round((x - mean)/sqrt(variance + epsilon))·scale + b, where round is to the
// type of X.
type layerNorm struct {
	x, scale, b, y *graph.Tensor
	epsilon        float32
	width          int
	rows           cut
}

// lowerLayerNorm covers LayerNormalization of rows with a scale and a shift as
// wide as they are, where nobody asks for the statistics.
func lowerLayerNorm(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("LayerNormalization") || !areFloats(n.In(0), n.In(1), n.In(2)) || !overLastAxis(n) || n.Out(1) != nil || n.Out(2) != nil {
		return Group{}, false
	}
	if b := n.In(2); b != nil && !b.Type.Shape.Equal(n.In(1).Type.Shape) {
		return Group{}, false
	}
	epsilon := n.Float("epsilon", 1e-5)
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[layerNorm](c)
		*k = layerNorm{x: c.In[0], scale: c.In[1], b: c.optional(2), y: c.Out[0], epsilon: epsilon}
		if err := beside(k.x, k.scale, k.b); err != nil {
			return err
		}
		k.width, k.rows = rowsOf(k.x, 3)
		return c.Run(k.rows.parts(), k)
	}
	return g, true
}

// Part implements [Parts].
func (k *layerNorm) Part(w *Worker, i int) {
	buf := w.Floats(4 * k.width)
	scale := floatsOf(k.scale, 0, buf[:k.width])
	var b []float32
	if k.b != nil {
		b = floatsOf(k.b, 0, buf[k.width:2*k.width])
	}
	from, to := k.rows.part(i)
	for r := from; r < to; r++ {
		x := floatsOf(k.x, r*k.width, buf[2*k.width:3*k.width])
		y := floatsFor(k.y, r*k.width, buf[3*k.width:])
		mean := vectors.Sum(x) / float32(k.width)
		for i, v := range x {
			y[i] = v - mean
		}
		inv := 1 / float32(math.Sqrt(float64(vectors.SumSquares(y)/float32(k.width)+k.epsilon)))
		vectors.Scale(y, y, inv)
		roundFloats(k.x.DType, y)
		vectors.Mul(y, y, scale)
		if b != nil {
			roundFloats(k.y.DType, y)
			vectors.Add(y, y, b)
		}
		putFloats(k.y, r*k.width, y)
	}
}
