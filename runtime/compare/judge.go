package compare

import (
	"math"

	"mnnconv/graph"
	"mnnconv/partition"
)

// Verdicts.
const (
	Same     = "same"
	Wrong    = "wrong"    // wrong by itself, given what the reference has
	Inherits = "inherits" // right by itself, but what it was given was off
	Differs  = "differs"
)

// boundary judges a boundary tensor against the reference: integers and bools bit
// for bit; floats by the dtype's tolerance for one operator times √K, K being the
// deepest reduction before it, of the largest magnitude expected; and by the
// direction of the whole. It returns the tolerance of the largest difference.
func boundary(d graph.DType, m measured, depth int) (tolerance float64, ok bool) {
	if !d.IsFloat() {
		return 0, m.equal
	}
	t := partition.ToleranceOf(d)
	tolerance = math.Sqrt(float64(max(1, depth))) * (t.Absolute*min(1, m.scale) + t.Relative*m.scale)
	return tolerance, m.NaN == 0 && m.Inf == 0 && m.Max <= tolerance && m.Cosine >= leastCosine(d)
}

// boundary judges what a partition made of a value, by the precision of what it is
// computed of where that is coarser than its dtype. Which of two floats is the larger
// may change with their honest rounding: indexes that tell it are judged where their
// kernel runs alone, over the reference's floats.
func (p *phase) boundary(v *graph.Value, m measured, by precisions) (tolerance float64, ok bool) {
	if chosen(partition.Source(v)) {
		return math.MaxInt32, true
	}
	if d, ok := codesOf(partition.Source(v)); ok {
		tolerance, _ = boundary(d, m, p.depth[v.Name])
		tolerance++ // from one side of a half to the other
		return tolerance, m.Max <= tolerance && m.Cosine >= leastCosine(d)
	}
	return boundary(by.of(v), m, p.depth[v.Name])
}

// codesOf returns the type of the floats that a value has the codes of, by scales of their
// own: those of a state that is quantised as it is written.
func codesOf(v *graph.Value) (d graph.DType, ok bool) {
	n := v.Def
	if n.Is("TensorScatter") {
		n = n.Inputs[1].Def
	}
	if !n.Is("QuantizeLinear") || n.Inputs[1].Const != nil {
		return 0, false
	}
	x := n.Inputs[0]
	if x.Def.Is("Cast") && x.Def.Inputs[0].Type.DType.IsFloat() {
		x = x.Def.Inputs[0]
	}
	return x.Type.DType, true
}

// chosen reports indexes of the largest or smallest of floats.
func chosen(v *graph.Value) bool {
	n := v.Def
	return n != nil && (n.Is("TopK") || n.Is("ArgMax") || n.Is("ArgMin")) && v.Type.DType.IsInt() && n.Inputs[0].Type.DType.IsFloat()
}

func leastCosine(d graph.DType) float64 {
	switch d {
	case graph.Float32, graph.Float64:
		return 0.9999
	case graph.Float16:
		return 0.999
	}
	return 0.995
}

// What a kernel may lose, in units of the working precision, float32's 2^-24: of a
// sum of products, of a function such as exp, and of anything else.
const (
	lossOfSums      = 4 // times √K
	lossOfFunctions = 32
	lossOfOthers    = 8
)

// kernel is what one kernel made of the reference's inputs, beside what it should
// have made: want rounded to the dtypes of the model after every node, wide not
// rounded at all (nil: not known).
type kernel struct {
	nodes []*graph.Node
	depth int // of its deepest reduction
	got   *graph.Tensor
	want  *graph.Tensor
	wide  *graph.Tensor
}

// right judges a kernel alone, much more tightly than any tolerance of a dtype
// allows: it starts from the reference's own inputs, so nothing but its own
// rounding may show. want's distance from wide is what rounding after every node
// costs; a kernel may lose as much (spread). Beyond that, one that rounds after
// every node gives the bits of want but where a sum in another order falls on the
// other side of a tie, and one that rounds once gives the number next to wide
// (nearest): either way what it computed before rounding is known to the working
// precision, even of 16-bit results.
func (k kernel) right(m measured) bool {
	if m.equal {
		return true
	}
	if !k.want.DType.IsFloat() || m.NaN > 0 || m.Inf > 0 {
		return false
	}
	got, err1 := k.got.Float64s()
	want, err2 := k.want.Float64s()
	if err1 != nil || err2 != nil {
		return false
	}
	exact := want
	if k.wide != nil {
		var err error
		if exact, err = k.wide.Float64s(); err != nil || len(exact) != len(want) {
			return false
		}
	}
	e := k.losses(got, want, exact)
	return e.spread() && (k.wide == nil || k.roundsWithin() || e.unbiased() && (e.follows() || e.nearest()))
}

// roundsWithin reports operators that devices compute with intermediate results of
// the model's dtype: attention, whose weights many round.
func (k kernel) roundsWithin() bool {
	for _, n := range k.nodes {
		switch n.Op {
		case "Attention", "SegmentedAttention", "MultiHeadAttention", "GroupQueryAttention", "FusedAttention":
			return true
		}
	}
	return false
}

// loss is what the kernel may lose of a number's magnitude.
func (k kernel) loss() float64 {
	unit := 0x1p-24
	if k.want.DType == graph.Float64 {
		unit = 0x1p-53
	}
	loss := float64(lossOfOthers)
	for _, n := range k.nodes {
		switch n.Op {
		case "MatMul", "Gemm", "Conv", "MatMulNBits", "FusedMatMul", "Einsum", "MatMulBnb4", "Attention", "SegmentedAttention", "GroupQueryAttention", "MultiHeadAttention":
			loss = max(loss, lossOfSums*math.Sqrt(float64(max(1, k.depth))))
		case "Swish", "Gelu", "Exp", "Cos", "Sin", "Softmax", "LogSoftmax", "Sigmoid", "Tanh", "Erf", "Pow", "Log":
			loss = max(loss, lossOfFunctions)
		}
	}
	return loss * unit
}

// local reports a kernel of one node each of whose results may lose something of its
// own magnitude, and not of that of numbers that cancelled.
func (k kernel) local() bool {
	if len(k.nodes) != 1 {
		return false
	}
	switch k.nodes[0].Op {
	case "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Sqrt", "Reciprocal", "Cast", "RMSNormalization", "SimplifiedLayerNormalization":
		return true
	}
	return false
}

// losses are what judging a kernel's floats needs. Elements that are not finite
// have been compared already.
type losses struct {
	n                int
	rms              float64 // of exact
	floor            float64 // rms, or 0 where an element loses of its own magnitude alone
	scale            float64
	sum, most        float64 // of (got - exact)²; the largest |got - exact|
	rounding, worst  float64 // likewise of want
	gain, noise      float64 // Σ(got - exact)·exact, and what rounding makes of it at random
	narrow           bool    // rounding to the dtype costs more than computing does
	loss             float64
	step             func(float64) float64
	got, want, exact []float64
}

func (k kernel) losses(got, want, exact []float64) *losses {
	bits, _ := mantissa(k.want.DType)
	e := &losses{narrow: bits < 24, loss: k.loss(), step: spacing(k.want.DType), got: got, want: want, exact: exact}
	for i, x := range exact {
		if !finite(x) || !finite(got[i]) || !finite(want[i]) {
			continue
		}
		a, b := got[i]-x, want[i]-x
		e.n++
		e.rms += x * x
		e.scale = max(e.scale, math.Abs(x))
		e.sum, e.most = e.sum+a*a, max(e.most, math.Abs(a))
		e.rounding, e.worst = e.rounding+b*b, max(e.worst, math.Abs(b))
		e.gain, e.noise = e.gain+a*x, e.noise+b*b*x*x
		if k.wide == nil { // what rounding to the dtype may have cost
			u := e.step(x) / 2
			e.rounding, e.worst = e.rounding+u*u, max(e.worst, u)
		}
	}
	if e.n > 0 {
		n := float64(e.n)
		e.rms, e.sum, e.rounding = math.Sqrt(e.rms/n), math.Sqrt(e.sum/n), math.Sqrt(e.rounding/n)
	}
	if !k.local() {
		e.floor = e.rms
	}
	return e
}

// spread: no more is lost than by rounding after every node.
func (e *losses) spread() bool {
	slack := 1 + 4/math.Sqrt(float64(max(1, e.n)))
	return e.sum <= 1.5*slack*e.rounding+e.loss*e.rms && e.most <= 4*e.worst+4*e.loss*e.scale
}

// unbiased: the whole is not too large or too small, by much less than any one
// element may be: what a wrong epsilon does. Of 16-bit results only rounding is seen.
func (e *losses) unbiased() bool {
	square := e.rms * e.rms * float64(e.n)
	return e.narrow || square == 0 || math.Abs(e.gain) <= square*e.loss/4+6*math.Sqrt(e.noise)
}

// follows: it equals want but for ties. With d lost of a number before it is
// rounded, d by the spacing of numbers there of all elements come out otherwise.
func (e *losses) follows() bool {
	off, may := 0.0, 0.0
	for i, x := range e.exact {
		if !finite(x) || !finite(e.got[i]) || !finite(e.want[i]) {
			continue
		}
		step := e.step(e.want[i])
		off += min(1, math.Abs(e.got[i]-e.want[i])/step)
		may += min(1, e.loss*max(math.Abs(x), e.floor)/step)
	}
	return off <= may+6*math.Sqrt(may)+3
}

// nearest: every element is next to the exact one. A device may take what is below
// float32's normal numbers for 0.
func (e *losses) nearest() bool {
	for i, x := range e.exact {
		g := e.got[i]
		if finite(x) && finite(g) && math.Abs(g-x)-e.step(g)/2 > 2*e.loss*max(math.Abs(x), e.floor)+0x1p-126 {
			return false
		}
	}
	return true
}

// depth is how many products or squares a node adds up for one element of its
// result.
func depth(n *graph.Node, t Trace) int {
	extent := func(i, axis int) int {
		v := n.In(i)
		if v == nil {
			return 1
		}
		x := t.of(v)
		if x == nil {
			return 1
		}
		if axis < 0 {
			axis += len(x.Shape)
		}
		if axis < 0 || axis >= len(x.Shape) {
			return 1
		}
		return int(x.Shape[axis])
	}
	switch n.Op {
	case "MatMul", "FusedMatMul", "MatMulNBits", "MatMulBnb4", "RMSNormalization", "LayerNormalization", "Softmax":
		return extent(0, -1)
	case "Gemm":
		if n.Int("transA", 0) != 0 {
			return extent(0, 0)
		}
		return extent(0, -1)
	case "Conv":
		w := 1
		if v := n.In(1); v != nil && t.of(v) != nil {
			for _, d := range t.of(v).Shape[1:] {
				w *= int(d)
			}
		}
		return w
	case "Attention", "GroupQueryAttention", "MultiHeadAttention":
		return max(extent(0, -1), extent(1, -2))
	case "SegmentedAttention":
		return max(extent(0, -1), extent(1, 0))
	}
	return 1
}
