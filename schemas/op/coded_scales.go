package op

import (
	"slices"

	"mnnconv/graph"
)

// CodedScales are scales of blocks, [rows, blocks], stored as codes of 8 bits and a factor
// for each row.
type CodedScales struct {
	Codes   *graph.Value  // constant, int8 [rows, blocks]
	Factors *graph.Value  // constant, float32 [rows] or [rows, 1]
	Rounded graph.DType   // their products are rounded to this type of 16 bits; none: they are float32
	Nodes   []*graph.Node // that compute the scales, in order
}

// FindCodedScales finds them behind a value: DequantizeLinear(Codes, Factors) or, as
// quantisation writes them since onnxruntime computes that once, when it loads a graph,
// Mul(Cast(Codes), Factors); either with a Cast to a type of 16 bits behind it.
func FindCodedScales(v *graph.Value) (c CodedScales, ok bool) {
	if v == nil || v.Const != nil {
		return c, false
	}
	n := v.Def
	if d := v.Type.DType; n.Is("Cast") && (d == graph.Float16 || d == graph.BFloat16) && n.In(0).Const == nil {
		c.Rounded, c.Nodes = d, []*graph.Node{n}
		v = n.In(0)
		n = v.Def
	}
	if v.Type.DType != graph.Float32 || len(v.Type.Shape) != 2 {
		return c, false
	}
	rank := 2 // of the factors
	switch {
	case n.Is("DequantizeLinear"):
		if axis := n.Int("axis", 1); axis != 0 && axis != -2 || n.Int("block_size", 0) != 0 || n.In(2) != nil {
			return c, false
		}
		c.Codes, c.Factors, rank = n.In(0), n.In(1), 1
		c.Nodes = append([]*graph.Node{n}, c.Nodes...)
	case n.Is("Mul"):
		x, y := n.In(0), n.In(1)
		if x.Const != nil {
			x, y = y, x
		}
		if !x.Def.Is("Cast") {
			return c, false
		}
		c.Codes, c.Factors = x.Def.In(0), y
		c.Nodes = append([]*graph.Node{x.Def, n}, c.Nodes...)
	default:
		return c, false
	}
	return c, c.sound(rank)
}

// InPlace reports whether kernels of the host read them as they are stored: nothing else
// reads what computes them, and their products are not rounded to bfloat16.
func (c *CodedScales) InPlace(uses map[*graph.Value][]graph.Use) bool {
	return c.Rounded != graph.BFloat16 && !slices.ContainsFunc(c.Nodes, func(n *graph.Node) bool { return len(uses[n.Outputs[0]]) != 1 })
}

// sound reports whether codes and factors are constants of the right types and shapes.
func (c *CodedScales) sound(rank int) bool {
	q, f := c.Codes, c.Factors
	if q == nil || f == nil || q.Const == nil || f.Const == nil || q.Const.DType != graph.Int8 || f.Const.DType != graph.Float32 {
		return false
	}
	codes, factors := q.Const.Shape, f.Const.Shape
	return len(codes) == 2 && len(factors) == rank && factors[0] == codes[0] && (rank == 1 || factors[1] == 1)
}
