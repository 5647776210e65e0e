package op

import "mnnconv/graph"

// rotate stores x turned by the angles whose cosines and sines are given in y.
// Angle i turns elements i and i+len(cos), or 2i and 2i+1 if interleaved; the
// rest is copied (Su et al., "RoFormer", 2021).
func rotate(y, x, cos, sin []float32, interleaved bool) {
	half := len(cos)
	for i := range half {
		a, b := i, i+half
		if interleaved {
			a, b = 2*i, 2*i+1
		}
		p, q := x[a], x[b]
		y[a] = float32(cos[i]*p) - float32(sin[i]*q)
		y[b] = float32(sin[i]*p) + float32(cos[i]*q)
	}
	copy(y[2*half:], x[2*half:])
}

// angleTable holds the cosines and sines of positions: rows of half numbers.
type angleTable struct {
	cos, sin []float32
	half     int
}

// newAngleTable reads two tensors of one shape whose last extent is half the
// number of elements that are turned.
func newAngleTable(cos, sin *graph.Tensor, ranks ...int) (angleTable, error) {
	ok := false
	for _, r := range ranks {
		ok = ok || len(cos.Shape) == r
	}
	if !ok || len(sin.Shape) != len(cos.Shape) {
		return angleTable{}, inputErrorf("cosines of shape %v and sines of shape %v, want rank %v", cos.Shape, sin.Shape, ranks)
	}
	for i, d := range cos.Shape {
		if sin.Shape[i] != d {
			return angleTable{}, inputErrorf("cosines of shape %v and sines of shape %v", cos.Shape, sin.Shape)
		}
	}
	c, err := cos.Float32s()
	if err != nil {
		return angleTable{}, err
	}
	s, err := sin.Float32s()
	return angleTable{c, s, int(cos.Shape[len(cos.Shape)-1])}, err
}

// row returns the cosines and sines of a position.
func (t angleTable) row(position int64) (cos, sin []float32, err error) {
	if n := len(t.cos) / max(t.half, 1); position < 0 || position >= int64(n) {
		return nil, nil, inputErrorf("position %d, the table of cosines has %d rows", position, n)
	}
	from := int(position) * t.half
	return t.cos[from:][:t.half], t.sin[from:][:t.half], nil
}

// angles returns the cosines and sines for row r of batch b.
type angles func(b, r int) (cos, sin []float32, err error)

// rotateHeads turns every vector of x that v describes into y, which may be x.
func rotateHeads(y, x []float32, v heads, interleaved bool, at angles) error {
	if len(x) == 0 {
		return nil
	}
	for b := range v.batch {
		for r := range v.rows {
			cos, sin, err := at(b, r)
			if err != nil {
				return err
			}
			if 2*len(cos) > v.size {
				return inputErrorf("%d angles for heads of %d elements", len(cos), v.size)
			}
			for h := range v.heads {
				i := v.at(b, h, r)
				rotate(y[i:][:v.size], x[i:][:v.size], cos, sin, interleaved)
			}
		}
	}
	return nil
}

// evalRotary turns input 0, whose heads v describes, into output 0: computed
// in float32 and rounded once.
func evalRotary(c *Call, v heads, at angles) error {
	x := c.Arg(0)
	src, err := x.Float32s()
	if err != nil {
		return err
	}
	out, err := c.New(0, x.DType, x.Shape...)
	if err != nil {
		return err
	}
	y := accumulator[float32](out)
	if err := rotateHeads(y, src, v, c.Node.Int("interleaved", 0) != 0, at); err != nil {
		return err
	}
	return finish(out, y)
}
