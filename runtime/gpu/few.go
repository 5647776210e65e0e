package gpu

import (
	"math"

	"mnnconv/graph"
)

// sets is how many weights one launch of kernels/few.cl has at most.
const sets = 3

// fewShape is kernels/few.cl's Few.
type fewShape struct {
	M, K                         int32
	N, First                     [sets]int32
	Tiles, Share                 int32
	Gain                         int32
	Gated, Biased, Added, Rounds int32
	Alpha, Beta, Epsilon, Swish  float32
}

// grid is kernels/few.cl's Grid.
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
	if m > few || c.gain != nil && (m > 8 || m*k > fewRoom) {
		return false, nil
	}
	f := fewShape{M: int32(m), K: int32(k), Gated: flag(c.gated), Added: flag(c.residual != nil), Rounds: flag(c.rounds),
		Alpha: c.alpha, Beta: c.beta, Epsilon: c.epsilon, Swish: c.swish, Gain: int32(typeOf(c.gain))}
	var w, scales, zeros, bias, y [sets]*Tensor
	var q grid
	tiles := 0
	for i := range sets {
		f.First[i] = math.MaxInt32
		if i >= len(c.sets) {
			continue
		}
		s := c.sets[i]
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
			if !ok || i > 0 && own != q {
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
		f.First[i] = int32(tiles)
		if !c.gated {
			tiles += ceil(s.w.n, fewTall)
		}
	}
	if c.gated {
		if len(c.sets) != 2 || f.N[0] != f.N[1] {
			return false, nil
		}
		tiles = ceil(c.sets[0].w.n, fewTall/2)
	}
	f.Tiles, f.Share = int32(tiles), int32(c.share(tiles, r.limits.Units))
	kernel, size := "few8", wide
	switch long := 32*int(f.Share) > wide; {
	case c.gain != nil:
		kernel = "norm8"
	case long && m > 8:
		kernel, size = "wide16", 2*wide
	case long:
		kernel, size = "wide8", 2*wide
	case m > 8:
		kernel = "few16"
	}
	args := []any{c.a, c.gain, w[0], w[1], w[2]}
	if kind := c.sets[0].w.kind; kind == q4 || kind == q8 {
		args = append(args, scales[0], scales[1], scales[2], zeros[0], zeros[1], zeros[2], q)
	}
	args = append(args, bias[0], bias[1], bias[2], c.residual, y[0], y[1], y[2], f)
	return true, r.Launch(fewModule(typeName(c.a.DType), c.sets[0].w.kind), kernel, [3]int{ceil(tiles*int(f.Share)*32, size), 1, 1}, size, args...)
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
	g = grid{Blocks: b.Blocks, Row: b.Row, Zero: b.Zero, ZerosRow: b.ZerosRow, ScaleType: b.ScaleType}
	for size := b.Block; size > 32; size /= 2 {
		g.Shift++
	}
	g.Even = flag(g.Shift == 0 && b.Blocks%4 == 0)
	return g, true
}
