package quantize

// propagate codes a row one number after the other, and takes the error of each
// out of those behind it as far as the calibration data say that they stand in for
// it: GPTQ (Frantar et al. 2022, algorithm 1), with the grid of each block chosen
// from its numbers as they then are. w is changed; codes and grids are in t.
func (t *tile) propagate(w []float32, sum *lossSum) {
	j := t.j
	copy(t.was, w)
	k := len(w)
	for at := 0; at < k; at += j.block {
		end := min(at+j.block, k)
		q := t.q[at:end]
		g := t.refine(q, w[at:end], j.stats.diagonal[at:end], t.try)
		t.grids[at/j.block] = g
		errors := t.errors[:end-at]
		for i := at; i < end; i++ {
			row := j.stats.factor[i*k:][:k]
			t.coding.codes(t.q[i:i+1], w[i:i+1], g)
			e := (w[i] - float32((float32(t.q[i])-float32(g.zero))*g.scale)) / row[i]
			errors[i-at] = e
			subtract(w[i+1:end], row[i+1:end], e)
		}
		for i := at; i < end; i++ {
			subtract(w[end:], j.stats.factor[i*k+end:][:k-end], errors[i-at])
		}
		sum.count(loss(q, t.was[at:end], nil, g))
	}
}

// subtract takes by·x from w.
func subtract(w, x []float32, by float32) {
	x = x[:len(w)]
	for i := range w {
		w[i] -= float32(by * x[i])
	}
}
