package op

import (
	"slices"

	"mnnconv/graph"
)

// operand is a tensor whose axes have distinct labels.
type operand[T ring] struct {
	data   []T
	labels []int
	steps  []int // along each label; 0 where it is broadcast
}

// step returns the distance between elements along a label, 0 without it.
func (o operand[T]) step(label int) int {
	if i := slices.Index(o.labels, label); i >= 0 {
		return o.steps[i]
	}
	return 0
}

// label gives the axes of a dense tensor their labels; axes with the same one
// become one, their diagonal.
func (o *operand[T]) label(term []int, shape []int64) {
	step := 1
	for axis := len(term) - 1; axis >= 0; axis-- {
		s := step
		if shape[axis] == 1 {
			s = 0
		}
		if i := slices.Index(o.labels, term[axis]); i >= 0 {
			o.steps[i] += s
		} else {
			o.labels, o.steps = append(o.labels, term[axis]), append(o.steps, s)
		}
		step *= int(shape[axis])
	}
	slices.Reverse(o.labels)
	slices.Reverse(o.steps)
}

// contract multiplies x and y, sums over their labels that are not in keep, and
// orders the rest as keep does. The innermost loop runs along the last label kept.
func contract[T ring](c *Call, x, y operand[T], keep []int, extents map[int]int) (operand[T], error) {
	var out operand[T]
	labels := slices.Concat(x.labels, y.labels)
	for _, l := range keep {
		if slices.Contains(labels, l) && !slices.Contains(out.labels, l) {
			out.labels = append(out.labels, l)
		}
	}
	inner := out.labels[max(len(out.labels)-1, 0):] // one label or none
	outer := slices.Clone(out.labels[:len(out.labels)-len(inner)])
	for _, l := range labels {
		if !slices.Contains(out.labels, l) && !slices.Contains(outer, l) {
			outer = append(outer, l)
		}
	}
	size := int64(1)
	out.steps = make([]int, len(out.labels))
	for i := len(out.labels) - 1; i >= 0; i-- {
		out.steps[i] = int(size)
		var ok bool
		if size, ok = graph.CheckedMul(size, int64(extents[out.labels[i]])); !ok || size > graph.MaxElements {
			return out, inputErrorf("an intermediate product is too large")
		}
	}
	out.data = make([]T, size)
	n, dx, dy := 1, 0, 0
	if len(inner) == 1 {
		n, dx, dy = extents[inner[0]], x.step(inner[0]), y.step(inner[0])
	}
	shape := make([]int64, len(outer))
	steps := make([][3]int, len(outer)) // of the result, x and y
	for i, l := range outer {
		shape[i], steps[i] = int64(extents[l]), [3]int{out.step(l), x.step(l), y.step(l)}
	}
	count, err := graph.Elements(shape)
	if err != nil || n == 0 {
		return out, err
	}
	at := make([]int64, len(outer))
	for i := range count {
		if i%1024 == 0 {
			if err := c.Ctx.Err(); err != nil {
				return out, err
			}
		}
		var io, ix, iy int
		for j, s := range steps {
			p := int(at[j])
			io, ix, iy = io+p*s[0], ix+p*s[1], iy+p*s[2]
		}
		for j := range n {
			out.data[io+j] += T(x.data[ix+j*dx] * y.data[iy+j*dy])
		}
		step(at, shape)
	}
	return out, nil
}
