package op

import (
	"context"

	"mnnconv/graph"
)

// knowMoved carries shape arithmetic through an operator that only moves
// elements: it evaluates the operator on the numbers of the elements in place
// of the elements of the inputs that data admits, and reads off where each one
// went. All other inputs must be known integers. The types of the outputs must
// have been set.
func (in *Inference) knowMoved(eval func(*Call) error, data func(input int) bool) {
	if !in.smallOutputs() {
		return
	}
	c := &Call{Ctx: context.Background(), Node: in.Node,
		In: make([]*graph.Tensor, len(in.Node.Inputs)), Out: make([]*graph.Tensor, len(in.Node.Outputs))}
	var pool []graph.Dim
	for i, v := range in.Node.Inputs {
		if v == nil {
			continue
		}
		elems, known := in.Elements(i)
		shape, fixed := v.Type.Shape.Ints()
		if n, err := graph.Elements(shape); !known || !fixed || err != nil || n != int64(len(elems)) {
			return
		}
		numbers := make([]int64, len(elems))
		for k, d := range elems {
			if data(i) {
				numbers[k] = int64(len(pool) + k)
			} else if numbers[k], known = d.Int(); !known {
				return
			}
		}
		if data(i) {
			pool = append(pool, elems...)
		}
		c.In[i] = graph.Ints(numbers, shape...)
	}
	if eval(c) != nil {
		return
	}
	for i, out := range c.Out {
		if out == nil {
			continue
		}
		numbers, err := out.Int64s()
		if err != nil {
			return
		}
		elems := make([]graph.Dim, len(numbers))
		for k, n := range numbers {
			elems[k] = pool[n]
		}
		in.Know(i, elems)
	}
}

// smallOutputs reports whether all outputs have known extents and few enough
// elements to be tracked.
func (in *Inference) smallOutputs() bool {
	for i, v := range in.Node.Outputs {
		shape, ok := in.types[i].Shape.Ints()
		if v == nil {
			continue
		}
		if n, err := graph.Elements(shape); !ok || err != nil || n > maxKnown {
			return false
		}
	}
	return true
}

// first admits input 0, the data of most operators that move elements.
func first(input int) bool { return input == 0 }
