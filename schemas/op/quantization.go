package op

import (
	"math"

	"mnnconv/graph"
)

// scaleGrid says which scale an element of a quantised tensor uses. It covers
// the granularities of QuantizeLinear: one scale for all, one per index of an
// axis, or one per block of consecutive indices of an axis.
type scaleGrid struct {
	outer, extent, inner int // the tensor seen as [outer, extent of the axis, inner]
	block                int // indices per scale; 0: one scale for all
	perAxis              bool
}

// newScaleGrid matches the shape of the scales with that of the tensor.
func newScaleGrid(x, scale []int64, axis, block int64) (scaleGrid, error) {
	n, err := graph.Elements(x)
	if err != nil {
		return scaleGrid{}, err
	}
	if ones, _ := graph.Elements(scale); block == 0 && len(scale) <= 1 && ones == 1 {
		return scaleGrid{outer: 1, extent: 1, inner: int(n)}, nil
	}
	a, err := resolveAxis(axis, len(x))
	if err != nil {
		return scaleGrid{}, err
	}
	if block == 0 {
		if len(scale) != 1 || scale[0] != x[a] {
			return scaleGrid{}, inputErrorf("scales of shape %v for axis %d of shape %v", scale, a, x)
		}
	} else if block < 0 || len(scale) != len(x) {
		return scaleGrid{}, inputErrorf("scales of shape %v in blocks of %d for shape %v", scale, block, x)
	}
	for i := 0; i < len(x) && block > 0; i++ {
		d := x[i]
		if i == a {
			d = d/block + min(1, d%block)
		}
		if scale[i] != d {
			return scaleGrid{}, inputErrorf("scales of shape %v in blocks of %d on axis %d for shape %v", scale, block, a, x)
		}
	}
	if n == 0 {
		return scaleGrid{}, nil
	}
	g := scaleGrid{outer: 1, extent: int(x[a]), inner: 1, block: max(int(block), 1), perAxis: block == 0}
	for _, d := range x[:a] {
		g.outer *= int(d)
	}
	for _, d := range x[a+1:] {
		g.inner *= int(d)
	}
	return g, nil
}

// each calls f for runs of elements [from, to); the first of a run uses scale
// s and each next one the scale step further.
func (g scaleGrid) each(f func(from, to, s, step int)) {
	if g.block == 0 {
		f(0, g.inner, 0, 0)
		return
	}
	groups := (g.extent-1)/g.block + 1
	for o := range g.outer {
		for d := range g.extent {
			from := (o*g.extent + d) * g.inner
			if g.perAxis {
				f(from, from+g.inner, d, 0)
			} else {
				f(from, from+g.inner, (o*groups+d/g.block)*g.inner, 1)
			}
		}
	}
}

// scale returns the index of the scale of element i.
func (g scaleGrid) scale(i int) int {
	if g.block == 0 {
		return 0
	}
	inner, d := i%g.inner, i/g.inner%g.extent
	if g.perAxis {
		return d
	}
	groups := (g.extent-1)/g.block + 1
	return (i/g.inner/g.extent*groups+d/g.block)*g.inner + inner
}

// quantizer saturates numbers into elements of an integer type.
type quantizer struct{ low, high float64 }

// newQuantizer returns the quantizer of an integer type up to 16 bits.
func newQuantizer(d graph.DType) (quantizer, bool) {
	if !d.IsInt() || d.Bits() > 16 {
		return quantizer{}, false
	}
	low, high := intRange(d)
	return quantizer{float64(low), float64(high)}, true
}

// put stores v, which is whole, or NaN for zero, as element i of a zeroed tensor.
func (q quantizer) put(t *graph.Tensor, i int, v float64) {
	if v != v {
		v = 0
	}
	switch n := int64(max(q.low, min(q.high, v))); t.DType.Bits() {
	case 16:
		t.Data[2*i], t.Data[2*i+1] = byte(n), byte(n>>8)
	case 8:
		t.Data[i] = byte(n)
	default:
		storePacked(t, i, byte(n))
	}
}

// checkZeroPoint reports a zero point that does not go with its scales.
func checkZeroPoint(zero, scale *graph.Tensor) error {
	if zero != nil && zero.Len() != scale.Len() {
		return inputErrorf("zero point of shape %v beside a scale of shape %v", zero.Shape, scale.Shape)
	}
	return nil
}

// dtypeAttr returns an attribute that names a dtype; Undefined where it is absent.
func dtypeAttr(n *graph.Node, name string) (graph.DType, error) {
	v := n.Int(name, 0)
	if v < 0 || v > math.MaxUint8 || v != 0 && !graph.DType(v).Valid() {
		return 0, inputErrorf("attribute %s is %d, which is no dtype", name, v)
	}
	return graph.DType(v), nil
}
