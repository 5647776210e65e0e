package host

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// rope is ONNX RotaryEmbedding: the first elements of every head's vector are
// turned by the angles of its position, whose cosines and sines are given (Su et
// al., "RoFormer", 2021); the rest is copied.
type rope struct {
	x, cos, sin, y *graph.Tensor
	positions      []int64 // nil: the angles are those of the row
	at             heads
	steps          steps
	batch          int // elements of one sequence
	half           int // angles of a position
	interleaved    bool
	rows           cut // of all sequences
}

// lowerRope covers RotaryEmbedding of [batch, heads, rows, size] or [batch, rows,
// heads·size], with angles for every row or a table and positions.
func lowerRope(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("RotaryEmbedding") || !areFloats(n.In(0), n.In(1), n.In(2)) || n.In(3) != nil && n.In(3).Type.DType != graph.Int64 {
		return Group{}, false
	}
	if rank := len(n.Inputs[0].Type.Shape); rank != 3 && rank != 4 {
		return Group{}, false
	}
	count, turned, interleaved := n.Int("num_heads", 0), n.Int("rotary_embedding_dim", 0), n.Int("interleaved", 0) != 0
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[rope](c)
		*k = rope{x: c.In[0], cos: c.In[1], sin: c.In[2], y: c.Out[0], interleaved: interleaved}
		if err := k.bind(c, count, int(turned)); err != nil {
			return err
		}
		return c.Run(k.rows.parts(), k)
	}
	return g, true
}

// bind reads the shapes and checks the positions.
func (k *rope) bind(c *Call, count int64, turned int) error {
	k.at, k.steps = headsOf(k.x, count)
	if k.at.heads == 0 && k.x.Len() > 0 {
		return fmt.Errorf("%w: shape %v does not split into %d heads", op.ErrInput, k.x.Shape, count)
	}
	k.batch = k.at.elements()
	if turned == 0 {
		turned = k.at.size
	}
	angles := k.cos.Shape
	if len(angles) == 0 || !slices.Equal(angles, k.sin.Shape) || int(angles[len(angles)-1]) != turned/2 || turned < 0 || turned > k.at.size {
		return fmt.Errorf("%w: cosines of shape %v and sines of shape %v to turn %d of %d elements", op.ErrInput, k.cos.Shape, k.sin.Shape, turned, k.at.size)
	}
	k.half = turned / 2
	k.rows = cutBy(k.at.batch*k.at.rows, k.at.heads*k.at.size)
	if at := c.optional(3); at != nil {
		k.positions = graph.View[int64](at)
		if len(angles) != 2 || len(k.positions) != k.at.batch*k.at.rows {
			return fmt.Errorf("%w: positions of shape %v into cosines of shape %v for %d sequences of %d", op.ErrInput, at.Shape, angles, k.at.batch, k.at.rows)
		}
		for _, p := range k.positions {
			if p < 0 || p >= angles[0] {
				return fmt.Errorf("%w: position %d, the table of cosines has %d rows", op.ErrInput, p, angles[0])
			}
		}
		return nil
	}
	if len(angles) != 3 || int(angles[0]) != k.at.batch || int(angles[1]) != k.at.rows {
		return fmt.Errorf("%w: cosines of shape %v for %d sequences of %d", op.ErrInput, angles, k.at.batch, k.at.rows)
	}
	return nil
}

// Part implements [Parts].
func (k *rope) Part(w *Worker, i int) {
	buf := w.Floats(2*k.half + 2*k.at.size)
	bufX, bufY := buf[2*k.half:][:k.at.size], buf[2*k.half+k.at.size:]
	from, to := k.rows.part(i)
	for r := from; r < to; r++ {
		angle := r
		if k.positions != nil {
			angle = int(k.positions[r])
		}
		cos := floatsOf(k.cos, angle*k.half, buf[:k.half])
		sin := floatsOf(k.sin, angle*k.half, buf[k.half:2*k.half])
		at := r/k.at.rows*k.batch + r%k.at.rows*k.steps.row
		for range k.at.heads {
			x, y := floatsOf(k.x, at, bufX), floatsFor(k.y, at, bufY)
			if k.interleaved {
				turnPairs(y, x, cos, sin)
			} else {
				vectors.TurnHalves(y, x, cos, sin)
			}
			copy(y[2*k.half:], x[2*k.half:])
			putFloats(k.y, at, y)
			at += k.steps.head
		}
	}
}

// turnPairs turns elements 2i and 2i+1 by angle i. Products are rounded before they
// are added, so that all machines agree.
func turnPairs(y, x, cos, sin []float32) {
	for i, c := range cos {
		p, q := x[2*i], x[2*i+1]
		y[2*i] = float32(c*p) - float32(sin[i]*q)
		y[2*i+1] = float32(sin[i]*p) + float32(c*q)
	}
}
