package gpu

import (
	"math"
	"math/bits"

	"mnnconv/graph"
)

// sets is how many weights one launch of kernels/few.cl has at most.
const sets = 3

// fewShape is kernels/few.h's Few.
type fewShape struct {
	M, K                         int32
	N, First                     [sets]int32
	Shift                        int32
	Gain                         int32
	Gated, Biased, Added, Rounds int32
	Alpha, Beta, Epsilon, Swish  float32
}

// grid is kernels/few.h's Grid.
type grid struct {
	Blocks, Row, Shift, Even, Zero, ZerosRow, ScaleType int32
}

// What kernels/few.cl is made for.
const (
	fewTall    = 16    // rows of weights of a tile
	fewRoom    = 16384 // normalised numbers that a group keeps
	fewShare   = 16    // warps that share a tile, at most
	fewStretch = 128   // numbers of a row that a warp takes at once
	// fewWarps is from how many warps a processor on, tiles are not shared by more.
	fewWarps = 16
)

// fewSet is one weight of a launch, its bias (nil: none) and where its product goes.
type fewSet struct {
	w       weights
	bias, y *Tensor
}

// fewCall is what one launch of kernels/few.cl computes: products of A with one to three
// weights.
type fewCall struct {
	a           *Tensor
	gain        *Tensor // A is normalised and scaled by this before; nil: it is not
	epsilon     float32
	sets        []fewSet
	gated       bool // set 0 gates set 1: y of set 0 is swish(product 0)·product 1
	swish       float32
	residual    *Tensor // of set 0, or nil
	alpha, beta float32
	rounds      bool // to A's type after every operator
	normed      bool // A is normalised here or, where there are more rows, before
}

// few records the launch; ok is false, and nothing recorded, where there is no kernel for
// it: there are for A of a 16-bit type on tensor cores, and weights of the same type or
// blocks of 32 numbers and more with scales of 16 bits.
func (r *Recorder) few(c fewCall) (ok bool, err error) {
	k := c.sets[0].w.k
	if !r.limits.Tensor || c.a.DType.Bits() != 16 || k == 0 || k%8 != 0 || c.a.Len() == 0 || c.a.Len()%k != 0 {
		return false, nil
	}
	m := c.a.Len() / k
	if m > few || c.gain != nil && (m > 8 || m*ceil(k, fewStretch)*fewStretch > fewRoom) {
		return false, nil
	}
	f := fewShape{M: int32(m), K: int32(k), Gated: flag(c.gated), Added: flag(c.residual != nil), Rounds: flag(c.rounds),
		Alpha: c.alpha, Beta: c.beta, Epsilon: c.epsilon, Swish: c.swish, Gain: int32(typeOf(c.gain))}
	var w, scales, zeros, bias, y [sets]*Tensor
	var q grid
	for i, s := range c.sets {
		if s.w.kind != c.sets[0].w.kind || s.w.k != k {
			return false, nil
		}
		if s.y != nil && (s.y.DType != c.a.DType || s.y.Len() != m*s.w.n) || s.bias != nil && (s.bias.DType != c.a.DType || s.bias.Len() != s.w.n) {
			return false, nil
		}
		switch s.w.kind {
		case typeName(c.a.DType):
			w[i] = s.w.args[0].(*Tensor)
		case q4, q8:
			own, ok := gridOf(s.w)
			if !ok || i > 0 && own != q || s.w.kind == q4 && c.a.DType == graph.Float16 && own.ScaleType != int32(graph.Float16) {
				return false, nil
			}
			q = own
			w[i], scales[i], zeros[i] = s.w.args[0].(*Tensor), s.w.args[1].(*Tensor), s.w.args[2].(*Tensor)
		default:
			return false, nil
		}
		bias[i], y[i] = s.bias, s.y
		f.N[i] = int32(s.w.n)
		f.Biased |= flag(s.bias != nil) << i
	}
	if c.gated && (len(c.sets) != 2 || f.N[0] != f.N[1]) {
		return false, nil
	}
	tall, placed := fewTall, c.sets
	if c.gated { // a tile has rows of both
		tall, placed = fewTall/2, c.sets[:1]
	}
	tiles := 0
	for _, s := range placed {
		tiles += ceil(s.w.n, tall)
	}
	share := c.share(tiles, r.limits.Units)
	kernel, size := c.kernel(m, share)
	f.Shift = int32(bits.Len(uint(share)) - 1)
	together := size / 32 / share // tiles of a group
	f.First = [sets]int32{0, math.MaxInt32, math.MaxInt32}
	groups := 0
	for i, s := range placed {
		f.First[i] = int32(groups * together)
		groups += ceil(ceil(s.w.n, tall), together)
	}
	args := []any{c.a, c.gain, w[0], w[1], w[2]}
	if kind := c.sets[0].w.kind; kind == q4 || kind == q8 {
		args = append(args, scales[0], scales[1], scales[2], zeros[0], zeros[1], zeros[2], q)
	}
	args = append(args, bias[0], bias[1], bias[2], c.residual, y[0], y[1], y[2], f)
	return true, r.Launch(fewModule(typeName(c.a.DType), c.sets[0].w.kind), kernel, [3]int{groups, 1, 1}, size, args...)
}

// kernel is the one for m rows of A, and how large its groups are.
func (c *fewCall) kernel(m, share int) (name string, size int) {
	long := 32*share > wide
	if size = wide; long {
		size = 2 * wide
	}
	columns := "8"
	if m > 8 {
		columns = "16"
	}
	if w := c.sets[0].w; w.kind == q4 {
		room := fewRoom
		if long {
			room = room * 3 / 4
		}
		switch kept := m <= 8 && m*ceil(w.k, fewStretch)*fewStretch <= room; {
		case kept && long:
			return "wide8", size
		case kept:
			return "near8", size
		case long:
			return "wide_far" + columns, size
		}
		return "far" + columns, size
	}
	switch {
	case c.gain != nil:
		return "norm8", size
	case long:
		return "wide" + columns, size
	}
	return "few" + columns, size
}

// share is how many warps have one tile: enough that all processors have some, but not more
// than there are stretches. It must not depend on the rows of A, as sums do on it.
func (c *fewCall) share(tiles, units int) int {
	most := fewShare
	if c.normed { // in groups of 256
		most = wide / 32
	}
	n := 1
	for n < most && n*fewStretch < c.sets[0].w.k && n*tiles < fewWarps*units {
		n *= 2
	}
	return n
}

// gridOf tells how the blocks of weights lie; ok is false if kernels/few.cl does not take
// them.
func gridOf(w weights) (g grid, ok bool) {
	b, scales := w.args[3].(blocks), w.args[1].(*Tensor)
	if b.Block < 32 || b.Zeros == zerosFloat || scales.DType != graph.Float16 && scales.DType != graph.BFloat16 {
		return g, false
	}
	g = grid{Blocks: b.Blocks, Row: b.Row, Zero: b.Zero, ScaleType: b.ScaleType}
	if b.Zeros != 0 {
		g.ZerosRow = b.ZerosRow * b.Row / (b.Blocks * b.Block)
	}
	for size := b.Block; size > 32; size /= 2 {
		g.Shift++
	}
	g.Even = flag(g.Shift == 0 && b.Blocks%4 == 0)
	return g, true
}
