package op

import (
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
)

// reduction makes one number of the elements that a Reduce operator brings
// together, of which there is at least one. Floats are kept in float64 and
// rounded once, so that the error of a result is that of its dtype. A nil
// function means that the operator is not defined on that class.
type reduction struct {
	float func([]float64) float64
	int   func([]int64) int64 // also narrower widths, wrapped, and bool
	uint  func([]uint64) uint64
	// empty is the result over no elements, fitted to the dtype by toInt.
	empty float64
}

// evalReduce reduces input 0 along the axes that the node names.
func evalReduce(c *Call, f reduction) error {
	x := c.Arg(0)
	d := x.DType
	switch {
	case isReal(d) && f.float != nil:
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		return reduceInto(c, v, f.float, f.empty, storeFloats)
	case d == graph.Uint64 && f.uint != nil:
		return reduceInto(c, graph.View[uint64](x), f.uint, uint64(toInt(f.empty, d)), func(out *graph.Tensor, y []uint64) error {
			copy(graph.View[uint64](out), y)
			return nil
		})
	case (isInteger(d) || isBool(d)) && f.int != nil: // narrower unsigned numbers fit an int64
		v, err := x.Int64s()
		if err != nil {
			return err
		}
		return reduceInto(c, v, f.int, toInt(f.empty, d), storeInts)
	}
	return fmt.Errorf("not defined for %s: %w", d, ErrUnsupported)
}

func reduceInto[T any](c *Call, x []T, f func([]T) T, empty T, store func(*graph.Tensor, []T) error) error {
	axes, err := reduceAxes(c)
	if err != nil {
		return err
	}
	y, shape, err := reduceGroups(c, axes, x, f, empty)
	if err != nil {
		return err
	}
	out, err := c.New(0, c.Arg(0).DType, shape...)
	if err != nil {
		return err
	}
	return store(out, y)
}

// reduceGroups returns f of each group of elements that differ only in the
// marked axes, in the order of the output, whose shape it returns too.
func reduceGroups[T, R any](c *Call, marked []bool, x []T, f func([]T) R, empty R) ([]R, []int64, error) {
	in := c.Arg(0).Shape
	keep := c.Node.Int("keepdims", 1) != 0
	var shape, kept, gone []int64 // extents of the output, of its groups and within a group
	var keptSteps, goneSteps []int
	step := extent(in)
	for i, d := range in {
		if d > 0 {
			step /= int(d)
		}
		if !marked[i] {
			shape, kept, keptSteps = append(shape, d), append(kept, d), append(keptSteps, step)
			continue
		}
		gone, goneSteps = append(gone, d), append(goneSteps, step)
		if keep {
			shape = append(shape, 1)
		}
	}
	n, err := graph.Elements(kept)
	if err != nil || n > graph.MaxElements {
		return nil, nil, fmt.Errorf("%w: reducing shape %v gives %d elements", ErrInput, in, n)
	}
	out := make([]R, n)
	if len(x) == 0 || n == 0 {
		for i := range out {
			out[i] = empty
		}
		return out, shape, nil
	}
	members := offsets(gone, goneSteps)
	group := make([]T, len(members))
	for i, base := range offsets(kept, keptSteps) {
		for j, m := range members {
			group[j] = x[base+m]
		}
		out[i] = f(group)
	}
	return out, shape, nil
}

// offsets returns the sums of index times step over all indexes within the
// extents, the last one running fastest.
func offsets(extents []int64, steps []int) []int {
	out := []int{0}
	for i, d := range extents {
		next := make([]int, 0, len(out)*int(d))
		for _, o := range out {
			for k := range int(d) {
				next = append(next, o+k*steps[i])
			}
		}
		out = next
	}
	return out
}

// reduceAxes returns which axes of input 0 are reduced.
func reduceAxes(c *Call) ([]bool, error) {
	axes := c.Node.Ints("axes")
	if t := c.Arg(1); t != nil {
		v, err := t.Int64s()
		if err != nil {
			return nil, err
		}
		axes = v
	}
	return markAxes(c.Node, axes, len(c.Arg(0).Shape))
}

// markAxes returns which of rank axes a list names. An empty list names all,
// or none with noop_with_empty_axes.
func markAxes(n *graph.Node, axes []int64, rank int) ([]bool, error) {
	marked := make([]bool, rank)
	if len(axes) == 0 && n.Int("noop_with_empty_axes", 0) == 0 {
		for i := range marked {
			marked[i] = true
		}
	}
	for _, a := range axes {
		i, err := resolveAxis(a, rank)
		if err != nil {
			return nil, err
		}
		if marked[i] {
			return nil, inputErrorf("axes %v name axis %d twice", axes, i)
		}
		marked[i] = true
	}
	return marked, nil
}

// inferReduce is Infer for reductions of dtypes that ok admits; dims, if not
// nil, carries shape arithmetic through the reduction of a whole vector.
func inferReduce(ok func(graph.DType) bool, dims func(a, b graph.Dim) graph.Dim) func(*Inference) error {
	return func(in *Inference) error {
		if err := in.accept(0, ok); err != nil {
			return err
		}
		if err := in.accept(1, isInteger); err != nil {
			return err
		}
		t := in.Type(0)
		axes := in.Node.Ints("axes")
		if in.Has(1) {
			known := false
			if axes, known = in.Ints(1); !known {
				in.SetTensor(0, t.DType, in.reducedUnknown())
				return nil
			}
		}
		if !t.Shape.Ranked() {
			in.SetTensor(0, t.DType, nil)
			return nil
		}
		marked, err := markAxes(in.Node, axes, len(t.Shape))
		if err != nil {
			return err
		}
		shape := graph.Shape{}
		for i, d := range t.Shape {
			if !marked[i] {
				shape = append(shape, d)
			} else if in.Node.Int("keepdims", 1) != 0 {
				shape = append(shape, graph.Const(1))
			}
		}
		in.SetTensor(0, t.DType, shape)
		if dims != nil && len(t.Shape) == 1 && marked[0] {
			in.knowTotal(dims)
		}
		return nil
	}
}

// reducedUnknown returns the shape of a reduction along axes that only running
// tells.
func (in *Inference) reducedUnknown() graph.Shape {
	s, axes := in.Type(0).Shape, in.Type(1).Shape
	if !s.Ranked() {
		return nil
	}
	if in.Node.Int("keepdims", 1) != 0 {
		out := in.FreshShape("reduced", len(s))
		for i, d := range s {
			if d.IsConst(1) {
				out[i] = d
			}
		}
		return out
	}
	if len(axes) != 1 {
		return nil
	}
	if k, ok := axes[0].Int(); ok && k > 0 && k <= int64(len(s)) {
		return in.FreshShape("reduced", len(s)-int(k))
	}
	return nil
}

func sumOf[T float64 | int64 | uint64](x []T) T {
	var sum T
	for _, v := range x {
		sum += v
	}
	return sum
}

func prodOf[T float64 | int64 | uint64](x []T) T {
	prod := T(1)
	for _, v := range x {
		prod *= v
	}
	return prod
}

func squaresOf[T float64 | int64 | uint64](x []T) T {
	var sum T
	for _, v := range x {
		sum += T(v * v)
	}
	return sum
}

func absOf[T float64 | int64](x []T) T {
	var sum T
	for _, v := range x {
		sum += max(v, -v)
	}
	return sum
}

// logSumExp returns ln(Σ exp(x)) without overflow.
func logSumExp(x []float64) float64 {
	top := slices.Max(x)
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}
