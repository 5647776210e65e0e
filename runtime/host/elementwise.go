package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// elementwise is z = f(x, y), element by element over float tensors that
// broadcast to the shape of z.
type elementwise struct {
	f       func(z, x, y []float32)
	x, y, z *graph.Tensor
	walk    walk
	cut     cut
}

// lane is how many numbers pass from function to function at once, in scratch.
const lane = 1024

// lowerElementwise covers sums, differences, products and quotients of two
// float tensors.
func lowerElementwise(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if n.Domain != "" || len(n.Inputs) != 2 {
		return Group{}, false
	}
	g := single(n)
	switch n.Op {
	case "Add":
		g.Kernel = elementwiseOf(vectors.Add)
	case "Sub":
		g.Kernel = elementwiseOf(vectors.Sub)
	case "Mul":
		g.Kernel = elementwiseOf(vectors.Mul)
	case "Div":
		g.Kernel = elementwiseOf(vectors.Div)
	}
	return g, g.Kernel != nil && broadcasts(n)
}

// broadcasts reports whether a node's inputs are floats and its output has no
// more axes than a walk.
func broadcasts(n *graph.Node) bool {
	s := n.Outputs[0].Type.Shape
	return areFloats(n.Inputs...) && s.Ranked() && len(s) <= maxAxes
}

func elementwiseOf(f func(z, x, y []float32)) Kernel {
	return func(c *Call) error {
		k := memo[elementwise](c)
		*k = elementwise{f: f, x: c.In[0], y: c.In[1], z: c.Out[0]}
		steps := [2]int{1, 1}
		var axes [maxAxes]axis
		shape := k.z.Shape
		for d := len(shape) - 1; d >= 0; d-- {
			axes[d].n = int(shape[d])
			for i, t := range [2]*graph.Tensor{k.x, k.y} {
				e := extent(t.Shape, d-len(shape))
				if e != 1 && e != axes[d].n || len(t.Shape) > len(shape) {
					return fmt.Errorf("%w: shape %v does not broadcast to %v", op.ErrInput, t.Shape, shape)
				}
				if e == 1 {
					continue
				}
				if i == 0 {
					axes[d].a = steps[i]
				} else {
					axes[d].b = steps[i]
				}
				steps[i] *= e
			}
		}
		for _, x := range axes[:len(shape)] {
			k.walk.add(x.n, x.a, x.b)
		}
		k.cut = cutBy(k.walk.elements(), 1)
		return c.Run(k.cut.parts(), k)
	}
}

// Part implements [Parts].
func (k *elementwise) Part(w *Worker, i int) {
	buf := w.Floats(3 * lane)
	stepX, stepY := k.walk.inner()
	from, to := k.cut.part(i)
	k.walk.each(from, to, func(at, a, b, n int) {
		for ; n > 0; at, a, b, n = at+lane, a+stepX*lane, b+stepY*lane, n-lane {
			m := min(n, lane)
			z := floatsFor(k.z, at, buf[:m])
			k.f(z, operand(k.x, a, stepX, buf[lane:][:m]), operand(k.y, b, stepY, buf[2*lane:][:m]))
			putFloats(k.z, at, z)
		}
	})
}

// operand returns as many elements as buf holds: those from at on, or, where step
// is 0, the one at at repeated.
func operand(t *graph.Tensor, at, step int, buf []float32) []float32 {
	if step == 1 {
		return floatsOf(t, at, buf)
	}
	v := floatsOf(t, at, buf[:1])[0]
	for i := range buf {
		buf[i] = v
	}
	return buf
}
