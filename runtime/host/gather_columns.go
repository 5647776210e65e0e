package host

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// gatherColumns is Gather of rows of a constant that stands behind a Transpose: the
// columns of what is stored. So exporters look up embeddings in the matrix that makes
// the logits; turning all of it for each token would cost more than the rest.
type gatherColumns struct {
	x, at, y   *graph.Tensor
	rows, cols int // of x
	cut        cut
}

// lowerGatherColumns covers that for types of 2 and 4 bytes.
func lowerGatherColumns(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Gather") || n.Int("axis", 0) != 0 || !isIndex(n.Inputs[1]) {
		return Group{}, false
	}
	v := n.Inputs[0]
	t := v.Def
	if t == nil || !t.Is("Transpose") || len(uses[v]) != 1 || t.In(0) == nil || t.In(0).Const == nil || t.In(0).Type.Kind != graph.TensorKind {
		return Group{}, false
	}
	w := t.In(0)
	perm := t.Ints("perm")
	if size := w.Type.DType.Bits(); len(w.Type.Shape) != 2 || perm != nil && !slices.Equal(perm, []int64{1, 0}) || size != 16 && size != 32 {
		return Group{}, false
	}
	return Group{Name: "Transpose+Gather", Nodes: []*graph.Node{t, n}, In: []*graph.Value{w, n.Inputs[1]}, Out: n.Outputs, Kernel: func(c *Call) error {
		k := memo[gatherColumns](c)
		*k = gatherColumns{x: c.In[0], at: c.In[1], y: c.Out[0], rows: int(c.In[0].Shape[0]), cols: int(c.In[0].Shape[1])}
		if err := inRange(k.at, k.cols); err != nil {
			return err
		}
		if k.y.Len() != k.at.Len()*k.rows {
			return fmt.Errorf("%w: %d columns of %d elements are no %s", op.ErrInput, k.at.Len(), k.rows, k.y.Type())
		}
		k.cut = cutBy(k.at.Len(), 8*k.rows)
		return c.Run(k.cut.parts(), k)
	}}, true
}

// Part implements [Parts].
func (k *gatherColumns) Part(_ *Worker, i int) {
	from, to := k.cut.part(i)
	for s := from; s < to; s++ {
		j := intAt(k.at, s)
		if j < 0 {
			j += k.cols
		}
		if k.x.DType.Bits() == 16 {
			column(graph.ViewBytes[uint16](k.y.Data)[s*k.rows:][:k.rows], graph.ViewBytes[uint16](k.x.Data), j, k.cols)
		} else {
			column(graph.ViewBytes[uint32](k.y.Data)[s*k.rows:][:k.rows], graph.ViewBytes[uint32](k.x.Data), j, k.cols)
		}
	}
}

// column stores elements at, at+step, … of x.
func column[T uint16 | uint32](y, x []T, at, step int) {
	for i := range y {
		y[i] = x[at+i*step]
	}
}
