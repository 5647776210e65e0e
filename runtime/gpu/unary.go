package gpu

import (
	"math"

	"mnnconv/graph"
)

// fClip is the function of kernels/elementwise.cl that bounds.
const fClip = 24

// unaries are the functions of one float in kernels/elementwise.cl, with the names
// and defaults of the attributes that are their parameters.
var unaries = map[string]struct {
	f        int
	attrs    [2]string
	defaults [2]float32
}{
	"Abs": {f: 0}, "Ceil": {f: 1}, "Cos": {f: 2}, "Elu": {f: 3, attrs: [2]string{"alpha"}, defaults: [2]float32{1}},
	"Erf": {f: 4}, "Exp": {f: 5}, "Floor": {f: 6}, "Gelu": {f: 7},
	"HardSigmoid": {f: 9, attrs: [2]string{"alpha", "beta"}, defaults: [2]float32{0.2, 0.5}}, "HardSwish": {f: 10},
	"LeakyRelu": {f: 11, attrs: [2]string{"alpha"}, defaults: [2]float32{0.01}}, "Log": {f: 12}, "Neg": {f: 13}, "Reciprocal": {f: 14},
	"Relu": {f: 15}, "Round": {f: 16}, "Sigmoid": {f: 17}, "Sign": {f: 18}, "Sin": {f: 19}, "Softplus": {f: 20}, "Sqrt": {f: 21},
	"Swish": {f: 22, attrs: [2]string{"alpha"}, defaults: [2]float32{1}}, "Tanh": {f: 23},
}

// lowerUnary covers element-wise functions of one float.
func lowerUnary(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	u, ok := unaries[n.Op]
	if !ok || n.Domain != "" || len(n.Inputs) != 1 || !areFloats(n.In(0)) {
		return Group{}, false
	}
	if n.Op == "Gelu" {
		switch n.Str("approximate", "none") {
		case "none":
		case "tanh":
			u.f++
		default:
			return Group{}, false
		}
	}
	var p [2]float32
	for i, name := range u.attrs {
		if name != "" {
			p[i] = n.Float(name, u.defaults[i])
		}
	}
	g := single(n)
	g.Record = func(r *Recorder) error { return r.unary(u.f, p[0], p[1]) }
	return g, true
}

// unary records y = f(x).
func (r *Recorder) unary(f int, a, b float32) error {
	x, y := r.In[0], r.Out[0]
	return r.Launch("elementwise", "unary", over(y.Len()), wide, x, typeOf(x), y, y.Len(), f, a, b)
}

// lowerClip covers ONNX Clip of floats between bounds that are known.
func lowerClip(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Clip") || !areFloats(n.In(0)) {
		return Group{}, false
	}
	most := float32(math.MaxFloat32)
	switch n.Inputs[0].Type.DType {
	case graph.Float16:
		most = 65504
	case graph.BFloat16:
		most = math.Float32frombits(0x7f7f0000)
	}
	bounds := [2]float32{n.Float("min", -most), n.Float("max", most)}
	g := single(n)
	for i := range bounds {
		v := n.In(i + 1)
		if v == nil {
			continue
		}
		if v.Const == nil {
			return Group{}, false
		}
		x, err := v.Const.Float32s()
		if err != nil || len(x) != 1 {
			return Group{}, false
		}
		bounds[i] = x[0]
		g.Host = append(g.Host, i+1)
	}
	g.Record = func(r *Recorder) error { return r.unary(fClip, bounds[0], bounds[1]) }
	return g, true
}

// lowerCast covers ONNX Cast between floats, integers and bools that kernels know.
func lowerCast(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	known := func(v *graph.Value) bool {
		return isTensor(v) && (isFloat(v.Type.DType) || isInteger(v.Type.DType) || v.Type.DType == graph.Bool)
	}
	if !n.Is("Cast") || !known(n.In(0)) || !known(n.Out(0)) {
		return Group{}, false
	}
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, y := r.In[0], r.Out[0]
		return r.Launch("elementwise", "cast", over(y.Len()), wide, x, typeOf(x), y, typeOf(y), y.Len())
	}
	return g, true
}
