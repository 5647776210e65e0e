package quantize

import (
	"fmt"
	"io"
	"math"
	"slices"

	"mnnconv/graph"
)

// float stores a weight in 16 bits: a Cast behind it gives the numbers that it
// stands for, and kernels read it as it is.
func (w *writer) float(s *site) {
	old := s.weight.Const
	f := w.floats[old]
	if f == nil || f.made.DType != s.format.dtype() {
		f = &floats{layer: &s.layer, from: old}
		f.made = &graph.Tensor{DType: s.format.dtype(), Shape: old.Shape, Later: &graph.Later{Size: int64(len(old.Data)) / 2, Write: f.write}}
		w.floats[old] = f
		w.r.Weights = append(w.r.Weights, f.made)
	} else {
		s.layer.SharedWith, s.layer.twin = f.layer.Path, f.layer
	}
	v := s.g.NewConst(s.n.Out(0).Name+"."+string(s.format.Kind), f.made)
	if !s.table {
		s.widen(v)
		return
	}
	// of a table, only the rows looked up are widened
	out := s.n.Outputs[0]
	narrow := s.g.NewValue(out.Name+".narrow", graph.Type{DType: f.made.DType, Shape: out.Type.Shape, Space: out.Type.Space})
	narrow.Def = s.n
	s.n.Inputs[0], s.n.Outputs[0] = v, narrow
	c := s.cast(narrow, old.DType, out.Name)
	c.Outputs = []*graph.Value{out}
	out.Def, out.Index = c, 0
	s.g.Nodes = slices.Insert(s.g.Nodes, slices.Index(s.g.Nodes, s.n)+1, c)
}

// widen puts a Cast of v in the place of the weight, for all that read it but
// lookups.
func (s *site) widen(v *graph.Value) {
	var c *graph.Node
	for i := 0; i < len(s.g.Nodes); i++ {
		n := s.g.Nodes[i]
		for slot, x := range n.Inputs {
			if x != s.weight || n.Is("Gather") {
				continue
			}
			if c == nil {
				c = s.cast(v, s.weight.Const.DType, v.Name+".wide")
				s.g.Nodes = slices.Insert(s.g.Nodes, i, c)
				i++
			}
			n.Inputs[slot] = c.Outputs[0]
		}
	}
}

// floats converts one weight.
type floats struct {
	layer *Layer
	from  *graph.Tensor // float32
	made  *graph.Tensor
}

func (f *floats) write(w io.Writer) error {
	const chunk = 1 << 20 // numbers
	src := graph.View[float32](f.from)
	out := make([]uint16, min(chunk, len(src)))
	var sum lossSum
	for at := 0; at < len(src); at += chunk {
		in := src[at:min(at+chunk, len(src))]
		err := guard(func() error {
			for i, x := range in {
				var y float32
				if f.made.DType == graph.Float16 {
					out[i] = graph.F32ToF16(x)
					y = graph.F16ToF32(out[i])
				} else {
					out[i] = graph.F32ToBF16(x)
					y = graph.BF16ToF32(out[i])
				}
				e := y - x
				if e-e != 0 {
					return fmt.Errorf("%s: weight %q: %w: number %d is %v, which %s cannot hold; keep it as it is with PATH=keep", f.layer.Path, f.layer.Weight, ErrValues, at+i, x, f.made.DType)
				}
				sum.square += float64(e) * float64(e)
				sum.power += float64(x) * float64(x)
				sum.largest = max(sum.largest, float32(math.Abs(float64(e))))
			}
			return nil
		})
		if err != nil {
			return err
		}
		t := graph.FromSlice(f.made.DType, out[:len(in)])
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	sum.tell(f.layer)
	return nil
}
