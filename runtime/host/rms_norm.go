package host

import (
	"fmt"
	"math"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// rmsNorm is ONNX RMSNormalization over the last axis: each row x becomes
// round(x / sqrt(mean(x²) + epsilon))·scale, where round is to the type of X.
type rmsNorm struct {
	x, scale, y *graph.Tensor
	epsilon     float32
	width       int
	rows        cut
}

// lowerRMSNorm covers RMSNormalization of rows with a scale as wide as they are.
func lowerRMSNorm(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("RMSNormalization") || !areFloats(n.In(0), n.In(1)) || !overLastAxis(n) {
		return Group{}, false
	}
	epsilon := n.Float("epsilon", 1e-5)
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[rmsNorm](c)
		*k = rmsNorm{x: c.In[0], scale: c.In[1], y: c.Out[0], epsilon: epsilon}
		if err := beside(k.x, k.scale); err != nil {
			return err
		}
		k.width, k.rows = rowsOf(k.x, 2)
		return c.Run(k.rows.parts(), k)
	}
	return g, true
}

// Part implements [Parts].
func (k *rmsNorm) Part(w *Worker, i int) {
	buf := w.Floats(3 * k.width)
	scale := floatsOf(k.scale, 0, buf[:k.width])
	from, to := k.rows.part(i)
	for r := from; r < to; r++ {
		x := floatsOf(k.x, r*k.width, buf[k.width:2*k.width])
		y := floatsFor(k.y, r*k.width, buf[2*k.width:])
		inv := 1 / float32(math.Sqrt(float64(vectors.SumSquares(x)/float32(k.width)+k.epsilon)))
		y = y[:k.width]
		vectors.Scale(y, x, inv)
		roundFloats(k.x.DType, y)
		vectors.Mul(y, y, scale)
		putFloats(k.y, r*k.width, y)
	}
}

// overLastAxis reports whether a node normalises the rows of input 0 and scales
// them by input 1, a vector.
func overLastAxis(n *graph.Node) bool {
	x, scale := n.Inputs[0].Type.Shape, n.Inputs[1].Type.Shape
	axis := n.Int("axis", -1)
	return x.Ranked() && len(x) > 0 && (axis == -1 || axis == int64(len(x)-1)) && scale.Ranked() && len(scale) == 1 && scale[0].Equal(x[len(x)-1])
}

// beside returns an error unless the vectors, absent ones apart, are as wide as
// the rows of x.
func beside(x *graph.Tensor, vectors ...*graph.Tensor) error {
	for _, v := range vectors {
		if v != nil && v.Len() != int(x.Shape[len(x.Shape)-1]) {
			return fmt.Errorf("%w: a vector of shape %v beside rows of shape %v", op.ErrInput, v.Shape, x.Shape)
		}
	}
	return nil
}

// rowsOf returns the width of the rows of x and a cut of them, where an element
// costs as given.
func rowsOf(x *graph.Tensor, cost int) (width int, rows cut) {
	width = int(x.Shape[len(x.Shape)-1])
	if width == 0 {
		return 0, cut{each: 1}
	}
	return width, cutBy(x.Len()/width, width*cost)
}
