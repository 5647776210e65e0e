package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// FusedConv and FusedGemm are products of onnxruntime's optimiser: the product and
// the activation behind it in one node.
var (
	FusedConv = &Op{
		Domain: Microsoft, Name: "FusedConv", Since: 1,
		Doc: "Y = activation(Conv(X, W, B) + Z), with Conv's attributes; activation is Relu, Sigmoid, Tanh, LeakyRelu, Clip or HardSigmoid, " +
			"and activation_params are its numbers in the order of its attributes or inputs.",
		Inputs: []string{"X", "W", "B?", "Z?"}, Outputs: []string{"Y"},
		Attrs: append([]string{"activation", "activation_params"}, Conv.Attrs...),
		Infer: func(in *Inference) error {
			d, err := in.commonDType(0, 1, 2, 3)
			if err == nil {
				_, err = FusedActivation(in.Node)
			}
			if err != nil {
				return err
			}
			return inferConv(in, d)
		},
		Eval: func(c *Call) error {
			product := *c
			product.In = c.In[:min(3, len(c.In))]
			return activated(c, Conv.Eval(&product), c.Arg(3))
		},
		FLOPs: convFLOPs,
		Cases: func() []Case {
			x, w := graph.Floats([]float32{1, -2, 3, -4}, 1, 1, 4), graph.Floats([]float32{1, 1}, 1, 1, 2)
			return []Case{{
				Name: "bias and Relu", Attrs: []graph.Attr{{Name: "activation", Value: "Relu"}},
				In:   []*graph.Tensor{x, w, graph.Floats([]float32{0.5})},
				Want: []*graph.Tensor{graph.Floats([]float32{0, 1.5, 0}, 1, 1, 3)},
			}, {
				Name: "addend and LeakyRelu", Attrs: []graph.Attr{{Name: "activation", Value: "LeakyRelu"}, {Name: "activation_params", Value: []float32{0.5}}},
				In:   []*graph.Tensor{x, w, nil, graph.Floats([]float32{0, 1, -1}, 1, 1, 3)},
				Want: []*graph.Tensor{graph.Floats([]float32{-0.5, 2, -1}, 1, 1, 3)},
			}, {
				Name: "Clip", Attrs: []graph.Attr{{Name: "activation", Value: "Clip"}, {Name: "activation_params", Value: []float32{-0.5, 0.25}}},
				In:   []*graph.Tensor{x, w},
				Want: []*graph.Tensor{graph.Floats([]float32{-0.5, 0.25, -0.5}, 1, 1, 3)},
			}}
		},
	}
	FusedGemm = &Op{
		Domain: Microsoft, Name: "FusedGemm", Since: 1,
		Doc:    "Y = activation(Gemm(A, B, C)), with Gemm's attributes; activation_alpha and activation_beta are the attributes of the activation.",
		Inputs: []string{"A", "B", "C?"}, Outputs: []string{"Y"},
		Attrs: []string{"alpha", "beta", "transA", "transB", "activation", "activation_alpha", "activation_beta", "activation_gamma"},
		Infer: func(in *Inference) error {
			if _, err := FusedActivation(in.Node); err != nil {
				return err
			}
			return Gemm.Infer(in)
		},
		Eval:  func(c *Call) error { return activated(c, Gemm.Eval(c), nil) },
		FLOPs: productFLOPs,
		Cases: func() []Case {
			return []Case{{
				Name: "LeakyRelu", Attrs: []graph.Attr{{Name: "activation", Value: "LeakyRelu"}, {Name: "activation_alpha", Value: float32(0.25)}, {Name: "transB", Value: int64(1)}},
				In:   []*graph.Tensor{graph.Floats([]float32{1, 2}, 1, 2), graph.Floats([]float32{1, 1, -3, -3}, 2, 2), graph.Floats([]float32{1, 1})},
				Want: []*graph.Tensor{graph.Floats([]float32{4, -2}, 1, 2)},
			}}
		},
	}
)

// Activation is what a fused product ends with.
type Activation struct {
	Op     *Op          // nil: none
	Attrs  []graph.Attr // of the operator
	Bounds []float32    // Clip's inputs
}

// FusedActivation reads the activation of a FusedConv or FusedGemm.
func FusedActivation(n *graph.Node) (Activation, error) {
	name := n.Str("activation", "")
	var numbers []float32
	if list, ok := n.Attr("activation_params").([]float32); ok {
		numbers = list
	}
	for _, key := range []string{"activation_alpha", "activation_beta"} {
		if f, ok := n.Attr(key).(float32); ok {
			numbers = append(numbers, f)
		}
	}
	want := map[string]int{"LeakyRelu": 1, "Clip": 2, "HardSigmoid": 2}[name]
	if want > 0 && len(numbers) != want && (name == "Clip" || len(numbers) != 0) {
		return Activation{}, inputErrorf("activation %s with %d numbers, it has %d", name, len(numbers), want)
	}
	a := Activation{}
	switch name {
	case "":
		return a, nil
	case "Relu":
		a.Op = Relu
	case "Sigmoid":
		a.Op = Sigmoid
	case "Tanh":
		a.Op = Tanh
	case "LeakyRelu":
		a.Op = LeakyRelu
	case "HardSigmoid":
		a.Op = HardSigmoid
	case "Clip":
		a.Op, a.Bounds = Clip, numbers
		return a, nil
	default:
		return a, fmt.Errorf("activation %q is %w", name, ErrUnsupported)
	}
	for i, key := range []string{"alpha", "beta"}[:min(len(numbers), want)] {
		a.Attrs = append(a.Attrs, graph.Attr{Name: key, Value: numbers[i]})
	}
	return a, nil
}

// activated adds z, if any, to output 0, which a product left unless it failed, and
// applies the node's activation.
func activated(c *Call, err error, z *graph.Tensor) error {
	if err != nil {
		return err
	}
	a, err := FusedActivation(c.Node)
	if err != nil {
		return err
	}
	if z != nil {
		if !slices.Equal(z.Shape, c.Out[0].Shape) {
			return inputErrorf("Z has shape %v, the product %v", z.Shape, c.Out[0].Shape)
		}
		if err := c.then(Add, nil, z); err != nil {
			return err
		}
	}
	if a.Op == nil {
		return nil
	}
	var bounds []*graph.Tensor
	for _, f := range a.Bounds {
		t, err := graph.NewTensor(c.Out[0].DType)
		if err != nil {
			return err
		}
		if err := storeFloats(t, []float64{float64(f)}); err != nil {
			return err
		}
		bounds = append(bounds, t)
	}
	return c.then(a.Op, a.Attrs, bounds...)
}

// then replaces output 0 by what o makes of it and of more inputs.
func (c *Call) then(o *Op, attrs []graph.Attr, more ...*graph.Tensor) error {
	g := graph.New(o.Name)
	ins := make([]*graph.Value, 1+len(more))
	for i := range ins {
		ins[i] = g.NewInput(fmt.Sprint(i), graph.Type{})
	}
	n := g.NewNode(o.Domain, o.Name, bodyVersion, ins, "y")
	n.Attrs = attrs
	next := Call{Ctx: c.Ctx, Node: n, In: append([]*graph.Tensor{c.Out[0]}, more...), Out: make([]*graph.Tensor, 1), Table: c.Table}
	if err := o.Eval(&next); err != nil {
		return err
	}
	c.Out[0] = next.Out[0]
	return nil
}
