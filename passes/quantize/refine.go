package quantize

// refine gives a block the grid of the least weighted squared error that it finds,
// and stores the codes: it shrinks the range step by step, since clipping a few
// large numbers lets all others be finer, and fits scale and zero point to the
// codes of each by least squares, as HQQ (Badri and Shaji 2023) alternates between
// codes and grid. No data but the weights is asked for; the result is never worse
// than round's.
func (c coding) refine(q []uint8, w, weight []float32, scratch []uint8) grid {
	best := c.round(w)
	least := c.weighted(q, w, weight, best)
	if best.scale == 0 || !(least > 0) { // exact, or no numbers
		return best
	}
	start := best
	try := func(g grid) bool {
		if g.scale == 0 {
			return false
		}
		e := c.weighted(scratch, w, weight, g)
		if e >= least {
			return false
		}
		best, least = g, e
		copy(q, scratch[:len(w)])
		return true
	}
	for step := range refineSteps {
		g := grid{c.asStored(start.scale * (1.05 - float32(refineStep*float32(step)))), start.zero}
		try(g)
		for range refineFits {
			f := c.fit(scratch, w, weight, g)
			if f == g {
				break
			}
			g = f
			if !try(g) {
				break
			}
		}
	}
	return best
}

// weighted stores the codes on a grid, and returns their loss.
func (c coding) weighted(q []uint8, w, weight []float32, g grid) float32 {
	e, _ := c.codes(q, w, g)
	if weight != nil {
		e, _ = loss(q, w, weight, g)
	}
	return e
}

// The range is tried from 1.05 of what round takes, down in steps of 0.05.
const (
	refineSteps = 7
	refineStep  = 0.05
	refineFits  = 2
)

// fit returns the grid of the least weighted squared error for given codes.
func (c coding) fit(q []uint8, w, weight []float32, g grid) grid {
	var n, sq, sqq, sx, sqx float32
	zero := float32(g.zero)
	for i, x := range w {
		a := float32(1)
		if weight != nil {
			a = weight[i]
		}
		d := float32(q[i]) - zero
		n += a
		sq += float32(a * d)
		sqq += float32(float32(a*d) * d)
		sx += float32(a * x)
		sqx += float32(float32(a*d) * x)
	}
	if !c.asym {
		if sqq == 0 {
			return g
		}
		return grid{c.asStored(sqx / sqq), g.zero}
	}
	det := float32(n*sqq) - float32(sq*sq)
	if !(det > 0) {
		return g
	}
	s := (float32(n*sqx) - float32(sq*sx)) / det
	if s == 0 {
		return g
	}
	offset := (sx - float32(s*sq)) / n // x ≈ s·d + offset
	z := zero - offset/s
	if !(z >= 0) {
		z = 0
	}
	return grid{c.asStored(s), uint8(min(c.top, z+0.5))}
}
