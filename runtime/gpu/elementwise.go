package gpu

import "mnnconv/graph"

// The functions of kernels/elementwise.cl.
const (
	fAdd       = 0
	fSub       = 1
	fMul       = 2
	fDiv       = 3
	fMax       = 4
	fMin       = 5
	fPow       = 6
	fSwishMul  = 7
	fEqual     = 16
	fGreater   = 17
	fGreaterEq = 18
	fLess      = 19
	fLessEq    = 20
	fAnd       = 24
	fOr        = 25
	fXor       = 26
)

// binaries are the operators on two tensors that broadcast.
var binaries = map[string]int{
	"Add": fAdd, "Sub": fSub, "Mul": fMul, "Div": fDiv, "Max": fMax, "Min": fMin, "Pow": fPow,
	"Equal": fEqual, "Greater": fGreater, "GreaterOrEqual": fGreaterEq, "Less": fLess, "LessOrEqual": fLessEq,
	"And": fAnd, "Or": fOr, "Xor": fXor, "BitwiseAnd": fAnd, "BitwiseOr": fOr, "BitwiseXor": fXor,
}

// lowerBinary covers element-wise operators on two tensors of one type: floats, or
// integers where nothing is divided.
func lowerBinary(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	f, ok := binaries[n.Op]
	if !ok || n.Domain != "" || len(n.Inputs) != 2 || !isTensor(n.In(0)) || !isTensor(n.In(1)) || !isTensor(n.Out(0)) {
		return Group{}, false
	}
	d := n.Inputs[0].Type.DType
	switch {
	case n.Inputs[1].Type.DType != d:
		return Group{}, false
	case isFloat(d):
		ok = f < fAnd
	case isInteger(d):
		ok = f != fDiv && f != fPow
	default:
		ok = d == graph.Bool && (f == fEqual || f >= fAnd)
	}
	g := single(n)
	g.Record = func(r *Recorder) error { return r.binary(f, 0) }
	return g, ok
}

// lowerSwishMul covers Swish(x)·y, in either order: SwiGLU between its matrices
// (Shazeer, "GLU Variants Improve Transformer", 2020). The gate is not rounded before
// it multiplies.
func lowerSwishMul(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Mul") || len(n.Inputs) != 2 || !areFloats(n.Inputs...) {
		return Group{}, false
	}
	for i, v := range n.Inputs {
		gate := v.Def
		if !gate.Is("Swish") || len(uses[v]) != 1 {
			continue
		}
		alpha := gate.Float("alpha", 1)
		return Group{
			Name: "Swish·Mul", Nodes: []*graph.Node{gate, n}, In: []*graph.Value{gate.Inputs[0], n.Inputs[1-i]}, Out: n.Outputs,
			Record: func(r *Recorder) error { return r.binary(fSwishMul, alpha) },
		}, true
	}
	return Group{}, false
}

// binary records z = f(x, y).
func (r *Recorder) binary(f int, a float32) error {
	x, y, z := r.In[0], r.In[1], r.Out[0]
	sx, ok1 := broadcast(x.Shape, z.Shape)
	sy, ok2 := broadcast(y.Shape, z.Shape)
	if !ok1 || !ok2 {
		return r.mismatch(x, y, z)
	}
	return r.Launch("elementwise", "binary", over(z.Len()), wide, x, y, z, typeOf(x), typeOf(z), f, a, newWalk(z.Shape, sx, sy, nil))
}

// lowerWhere covers ONNX Where of any elements of whole bytes.
func lowerWhere(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Where") || !isTensor(n.In(0)) || !isMovable(n.In(1)) || !isMovable(n.In(2)) || !isTensor(n.Out(0)) {
		return Group{}, false
	}
	g := single(n)
	g.Record = func(r *Recorder) error {
		z := r.Out[0]
		var s [3][]int
		for i := range s {
			var ok bool
			if s[i], ok = broadcast(r.In[i].Shape, z.Shape); !ok {
				return r.mismatch(r.In...)
			}
		}
		return r.Launch("elementwise", "where", over(z.Len()), wide, r.In[0], r.In[1], r.In[2], z, bytesOf(z.DType), newWalk(z.Shape, s[0], s[1], s[2]))
	}
	return g, true
}
