package passes

import (
	"errors"
	"fmt"
	"io"
	"math"

	"mnnconv/graph"
)

// ErrRange: a constant that the type of float asked for cannot hold.
var ErrRange = errors.New("out of the type's range")

// atOnce is up to how many numbers a constant is converted when the graph is: biases
// and norms. Weights are when they are written, or run.
const atOnce = 1 << 16

// constant returns a constant's numbers as another type of float. Those with the same
// data share it.
func (r *retyper) constant(v *graph.Value, to graph.DType) (*graph.Tensor, error) {
	old := v.Const
	if old.DType == to {
		return old, nil
	}
	key := constKey{old, to}
	if t := r.consts[key]; t != nil {
		return t, nil
	}
	size, ok := to.Bytes(int64(old.Len()))
	if !ok {
		return nil, fmt.Errorf("constant %q: shape %v is too large: %w", v.Name, old.Shape, graph.ErrInvalid)
	}
	name := v.Name
	if v.From != "" {
		name = v.From
	}
	c := &conversion{name: name, from: old, to: to}
	t := &graph.Tensor{DType: to, Shape: old.Shape, Of: old, Later: &graph.Later{Size: size, Write: c.write}}
	if old.Later == nil && old.Len() <= atOnce {
		if err := t.Make(); err != nil {
			return nil, err
		}
	}
	r.consts[key] = t
	return t, nil
}

// conversion is a constant in another type of float.
type conversion struct {
	name string
	from *graph.Tensor
	to   graph.DType
}

// write writes the numbers, each the nearest one, ties to even. One that becomes
// infinite is an error that names it.
func (c *conversion) write(w io.Writer) error {
	const chunk = 1 << 18 // numbers
	size := c.from.DType.Bits() / 8
	data, err := c.from.Contents() // scales may be yet to be computed
	if err != nil {
		return err
	}
	out, err := graph.NewTensor(c.to, int64(min(chunk, c.from.Len())))
	if err != nil {
		return err
	}
	for at, n := 0, c.from.Len(); at < n; at += chunk {
		some := min(chunk, n-at)
		part := graph.Tensor{DType: c.from.DType, Shape: []int64{int64(some)}, Data: data[at*size:][:some*size]}
		x, err := part.Float32s()
		if err != nil {
			return err
		}
		to := &graph.Tensor{DType: c.to, Shape: part.Shape, Data: out.Data[:some*c.to.Bits()/8]}
		if err := to.SetFloat32s(x); err != nil {
			return err
		}
		if i := c.lost(x); i >= 0 {
			return fmt.Errorf("constant %q: %w: number %d is %v, and %s goes to %v; let what reads it compute in bf16 or fp32", c.name, ErrRange, at+i, x[i], c.to, c.to.Largest())
		}
		if _, err := w.Write(to.Data); err != nil {
			return err
		}
	}
	return nil
}

// lost returns the first number that is finite and that the type makes infinite, or -1.
func (c *conversion) lost(x []float32) int {
	top := c.beyond()
	for i, v := range x {
		if a := math.Abs(float64(v)); a >= top && !math.IsInf(a, 1) {
			return i
		}
	}
	return -1
}

// beyond is the least magnitude that rounds to infinity.
func (c *conversion) beyond() float64 {
	switch c.to {
	case graph.Float16:
		return 65520
	case graph.BFloat16:
		return 0x1.ffp127
	}
	return math.Inf(1)
}
