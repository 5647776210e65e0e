package op

import "mnnconv/graph"

// This file carries shape arithmetic through element-wise operators.

// knowEach derives the elements of output 0, an integer or bool scalar or
// vector, from those of all inputs, broadcast; dims gets one element of each
// input and returns false where the result is not proven. Nothing is known
// unless every element is.
func (in *Inference) knowEach(dims func(x []graph.Dim) (graph.Dim, bool)) {
	inputs := make([][]graph.Dim, len(in.Node.Inputs))
	n := 1
	for i := range inputs {
		t := in.Type(i)
		x, ok := in.Elements(i)
		if !ok || !t.Shape.Ranked() || len(t.Shape) > 1 || len(x) != 1 && n != 1 && len(x) != n {
			return
		}
		for _, d := range x {
			if !fits(d, t.DType) {
				return
			}
		}
		if len(x) != 1 {
			n = len(x)
		}
		inputs[i] = x
	}
	out := make([]graph.Dim, n)
	args := make([]graph.Dim, len(inputs))
	for i := range out {
		for j, x := range inputs {
			args[j] = x[i%len(x)]
		}
		d, ok := dims(args)
		if !ok || !fits(d, in.types[0].DType) {
			return
		}
		out[i] = d
	}
	in.Know(0, out)
}

// knowFirst records that output 0 has the elements of input 0, unless its dtype
// might make them wrap around.
func (in *Inference) knowFirst() {
	x, ok := in.Elements(0)
	for _, d := range x {
		ok = ok && fits(d, in.Type(0).DType) && fits(d, in.types[0].DType)
	}
	if ok {
		in.Know(0, x)
	}
}

// knowTotal records that output 0 is the one number that dims makes of all
// elements of input 0, an integer vector.
func (in *Inference) knowTotal(dims func(a, b graph.Dim) graph.Dim) {
	x, ok := in.Elements(0)
	if !ok || len(x) == 0 || !fits(x[0], in.Type(0).DType) {
		return
	}
	total := x[0]
	for _, d := range x[1:] {
		if !fits(d, in.Type(0).DType) {
			return
		}
		total = dims(total, d)
	}
	if fits(total, in.types[0].DType) {
		in.Know(0, []graph.Dim{total})
	}
}

// fits reports whether a value of dtype d holds x without wrapping around.
// Extents are taken to be far below 2^31.
func fits(x graph.Dim, d graph.DType) bool {
	if n, ok := x.Int(); ok {
		lo, hi := intRange(d)
		return n >= lo && (n < 0 || uint64(n) <= hi)
	}
	switch d {
	case graph.Int64, graph.Int32:
		return true
	case graph.Uint64, graph.Uint32:
		return x.NonNegative()
	}
	return false
}

// maxDim returns the larger of two dims, as one of them where that is proven.
func maxDim(a, b graph.Dim) graph.Dim {
	switch possible := orders(a, b); {
	case possible&isLess == 0:
		return a
	case possible&isGreater == 0:
		return b
	}
	return a.Max(b)
}

// minDim returns the smaller of two dims, as one of them where that is proven.
func minDim(a, b graph.Dim) graph.Dim {
	switch possible := orders(a, b); {
	case possible&isLess == 0:
		return b
	case possible&isGreater == 0:
		return a
	}
	return a.Min(b)
}

// orders returns the orders of a and b that are not ruled out.
func orders(a, b graph.Dim) order {
	m, ok := a.Int()
	n, ok2 := b.Int()
	if ok && ok2 {
		return orderOf(m, n)
	}
	d, one := a.Sub(b), graph.Const(1)
	if d.IsConst(0) {
		return isEqual
	}
	possible, minus := isLess|isEqual|isGreater, b.Sub(a)
	if d.NonNegative() {
		possible &^= isLess
	}
	if minus.NonNegative() {
		possible &^= isGreater
	}
	if d.Sub(one).NonNegative() || minus.Sub(one).NonNegative() {
		possible &^= isEqual
	}
	return possible
}
