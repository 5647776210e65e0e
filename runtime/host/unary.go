package host

import (
	"math"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
)

// unary is y = f(x), element by element.
type unary struct {
	f    func(y, x []float32)
	x, y *graph.Tensor
	cut  cut
}

// lowerUnary covers functions of one float tensor.
func lowerUnary(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if n.Domain != "" || len(n.Inputs) != 1 || !areFloats(n.Inputs[0]) {
		return Group{}, false
	}
	f, cost := functionOf(n)
	if f == nil {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[unary](c)
		*k = unary{f: f, x: c.In[0], y: c.Out[0], cut: cutBy(c.Out[0].Len(), cost)}
		return c.Run(k.cut.parts(), k)
	}
	return g, true
}

// Part implements [Parts].
func (k *unary) Part(w *Worker, i int) {
	buf := w.Floats(2 * lane)
	from, to := k.cut.part(i)
	for at := from; at < to; at += lane {
		n := min(lane, to-at)
		y := floatsFor(k.y, at, buf[lane:][:n])
		k.f(y, floatsOf(k.x, at, buf[:n]))
		putFloats(k.y, at, y)
	}
}

// functionOf returns the function that a node applies to every element, or nil, and what
// an element costs.
func functionOf(n *graph.Node) (f func(y, x []float32), cost int) {
	switch n.Op {
	case "Swish":
		alpha := n.Float("alpha", 1)
		return each(func(x float32) float32 { return x * simd.Sigmoid(alpha*x) }), 4
	case "Sigmoid":
		return each(simd.Sigmoid), 4
	case "Gelu":
		switch n.Str("approximate", "none") {
		case "none":
			return each(gelu), 4
		case "tanh":
			return each(geluTanh), 4
		}
	case "Relu":
		return each(func(x float32) float32 { return max(0, x) }), 4
	case "Neg":
		return each(func(x float32) float32 { return -x }), 4
	case "Abs":
		return each(func(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }), 4
	case "Sqrt":
		return each(func(x float32) float32 { return float32(math.Sqrt(float64(x))) }), 4
	case "Reciprocal":
		return each(func(x float32) float32 { return 1 / x }), 4
	case "Exp":
		return each(simd.Exp), 4
	case "Log":
		return wide(math.Log), 32
	case "Sin":
		return wide(math.Sin), 32
	case "Cos":
		return wide(math.Cos), 32
	case "Tanh":
		return wide(math.Tanh), 32
	case "Erf":
		return wide(math.Erf), 32
	}
	return nil, 0
}

func each(f func(float32) float32) func(y, x []float32) {
	return func(y, x []float32) {
		y = y[:len(x)]
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

// wide applies a function of float64 and rounds once.
func wide(f func(float64) float64) func(y, x []float32) {
	return each(func(x float32) float32 { return float32(f(float64(x))) })
}

// gelu returns x·Φ(x), where Φ is the normal distribution: erf by formula 7.1.26
// of Abramowitz and Stegun, "Handbook of Mathematical Functions", whose error is
// below 1.5e-7.
func gelu(x float32) float32 {
	z := math.Float32frombits(math.Float32bits(x)&^(1<<31)) * (1 / math.Sqrt2)
	t := 1 / (1 + float32(0.3275911*z))
	p := float32(1.061405429*t) - 1.453152027
	p = float32(p*t) + 1.421413741
	p = float32(p*t) - 0.284496736
	p = float32(p*t) + 0.254829592
	tail := p * t * simd.Exp(-z*z)
	if x < 0 { // tail is 1 - erf(z)
		return x * 0.5 * tail
	}
	return x * (1 - float32(0.5*tail))
}

// geluTanh returns x/2·(1 + tanh(u)), written x/(1 + e^-2u), for u = sqrt(2/π)·(x
// + 0.044715·x³).
func geluTanh(x float32) float32 {
	const root = 0.7978845608028654
	return x * simd.Sigmoid(2*root*(x+float32(0.044715*x*x*x)))
}
