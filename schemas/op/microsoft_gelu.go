package op

import (
	"math"

	"mnnconv/graph"
)

// onnxruntime's forms of Gelu. The optimiser of that runtime writes them into the
// models that it saves.
var (
	// MicrosoftGelu is Gelu before ONNX had one.
	MicrosoftGelu = biasGelu("Gelu", "Y = X/2 * (1 + erf(X/sqrt(2))), element by element.", exactGelu, "X")
	// BiasGelu is Gelu of a sum.
	BiasGelu = biasGelu("BiasGelu", "C = Gelu(A + B), with B along the last axis.", exactGelu, "A", "B")
	// FastGelu is Gelu by tanh.
	FastGelu = biasGelu("FastGelu", "Y = Gelu(X + bias) by tanh, with bias along the last axis.", tanhGelu, "X", "bias?")
	// QuickGelu is Swish with another default.
	QuickGelu = &Op{
		Domain: Microsoft, Name: "QuickGelu", Since: 1,
		Doc:    "Y = X / (1 + exp(-alpha*X)), element by element; alpha is 1.702 by default.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []string{"alpha"},
		Infer: inferReal,
		Eval: func(c *Call) error {
			alpha := float64(c.Node.Float("alpha", 1.702))
			return evalUnary(c, unary{float: func(x float64) float64 { return x * sigmoid(alpha*x) }})
		},
		Cases: func() []Case {
			return []Case{{
				Name: "alpha 1.702",
				In:   []*graph.Tensor{graph.Floats([]float32{-1, 0, 3})},
				Want: []*graph.Tensor{graph.Floats([]float32{-0.1542042, 0, 2.9819287})},
				Tol:  1e-6,
			}, {
				Name:  "alpha 1, which is Swish",
				Attrs: []graph.Attr{{Name: "alpha", Value: float32(1)}},
				In:    []*graph.Tensor{graph.Floats([]float32{-1, 0, 3})},
				Want:  []*graph.Tensor{graph.Floats([]float32{-0.26894143, 0, 2.8577223})},
				Tol:   1e-7,
			}}
		},
	}
)

func exactGelu(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }

func tanhGelu(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+float64(0.044715*x*x*x))))
}

// biasGelu makes f of input 0, to which input 1, a vector, is added if there is one.
func biasGelu(name, doc string, f func(float64) float64, inputs ...string) *Op {
	o := &Op{
		Domain: Microsoft, Name: name, Since: 1, Doc: doc, Inputs: inputs, Outputs: []string{"Y"},
		Infer: only(isReal, func(in *Inference) error {
			if _, err := in.commonDType(0, 1); err != nil {
				return err
			}
			if x, b := in.Type(0).Shape, in.Type(1).Shape; in.Has(1) && len(x) > 0 && len(b) == 1 {
				if _, err := in.agree("the last axis and the bias", x[len(x)-1], b[0]); err != nil {
					return err
				}
			}
			return sameShape(in)
		}),
		Eval: func(c *Call) error {
			x, bias := c.Arg(0), c.Arg(1)
			if bias == nil {
				return evalUnary(c, unary{float: f})
			}
			if len(x.Shape) == 0 || bias.DType != x.DType || len(bias.Shape) != 1 || bias.Shape[0] != x.Shape[len(x.Shape)-1] {
				return inputErrorf("bias is %s%v for %s%v: it must be a vector as long as the last axis", bias.DType, bias.Shape, x.DType, x.Shape)
			}
			v, err := x.Float64s()
			if err != nil {
				return err
			}
			b, err := bias.Float64s()
			if err != nil {
				return err
			}
			out, err := c.New(0, x.DType, x.Shape...)
			if err != nil {
				return err
			}
			for i := range v {
				v[i] = f(v[i] + b[i%len(b)])
			}
			return storeFloats(out, v)
		},
	}
	o.Cases = func() []Case {
		at := func(v ...float64) *graph.Tensor {
			y := make([]float32, len(v))
			for i := range v {
				y[i] = float32(f(v[i]))
			}
			return graph.Floats(y, 2, 2)
		}
		known := Case{Name: "known values", In: []*graph.Tensor{graph.Floats([]float32{-1, 0, 2, 1}, 2, 2)}, Tol: 1e-6}
		known.Want = []*graph.Tensor{graph.Floats([]float32{-0.15865526, 0, 1.9544997, 0.8413447}, 2, 2)}
		if name == "FastGelu" {
			known.Want = []*graph.Tensor{graph.Floats([]float32{-0.158808, 0, 1.9545977, 0.841192}, 2, 2)}
		}
		if len(inputs) == 1 {
			return []Case{known}
		}
		bias := Case{
			Name: "bias", Tol: 1e-6,
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 2), graph.Floats([]float32{-1, 0.5})},
			Want: []*graph.Tensor{at(0, 2.5, 2, 4.5)},
		}
		if name == "BiasGelu" {
			return []Case{bias}
		}
		return []Case{known, bias}
	}
	return o
}
