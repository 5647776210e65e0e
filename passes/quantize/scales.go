package quantize

import (
	"encoding/binary"
	"math"

	"mnnconv/graph"
)

// Scales of 8 bits are codes from -127 to 127 times a factor of their row, as in what
// QLoRA (Dettmers et al. 2023) calls double quantisation. They are signed, as scales of
// blocks without zero points are.
const mostScale = 127

// factorBytes is the size of a factor, float32.
const factorBytes = 4

// headroom is how much larger than those of rounding scales of the other methods may be,
// see refineSteps.
const headroom = 1.05

// scaleCode returns the code of the nearest scale. That of a scale that is not 0 never is:
// its block would vanish.
func (c coding) scaleCode(s float32) int8 {
	q := math.RoundToEven(float64(s / c.factor))
	switch {
	case s == 0 || c.factor == 0 || q != q:
		return 0
	case s > 0:
		return int8(max(1, min(mostScale, q)))
	}
	return int8(min(-1, max(-mostScale, q)))
}

// factorOf returns the factor of a row: its largest scale is the largest code. scratch is
// for its blocks.
func (t *tile) factorOf(w []float32) float32 {
	j := t.j
	whole := len(w) / j.block
	least, most := t.least[:whole], t.most[:whole]
	largest := float32(0)
	see := func(least, most float32) {
		s := j.coding.reach(least, most)
		largest = max(largest, s, -s)
	}
	if whole > 0 {
		j.loops.Extremes(least, most, w[:whole*j.block], j.block)
	}
	for b := range least {
		see(least[b], most[b])
	}
	if rest := w[whole*j.block:]; len(rest) > 0 {
		see(extremes(rest))
	}
	if j.method != Round {
		largest *= headroom
	}
	return largest / mostScale
}

// storeScales stores those of blocks of a row, from block first on.
func (j *job) storeScales(row, first int, c coding, scales []float32) {
	at := row*j.blocks() + first
	if !c.short {
		j.loops.NarrowF16(graph.ViewBytes[uint16](j.scales)[at:][:len(scales)], scales)
		return
	}
	for i, s := range scales {
		j.scales[at+i] = byte(c.scaleCode(s))
	}
}

// storeFactor stores that of a row.
func (j *job) storeFactor(row int, f float32) {
	binary.LittleEndian.PutUint32(j.factors[4*row:], math.Float32bits(f))
}
