package passes

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// contribFused takes apart what onnxruntime's optimiser joined: activations go
// back behind their products, Gelu and Swish get their standard names, and integer
// products their parts. What is there then is what an exporter writes.
func contribFused(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if n.Domain != op.Microsoft {
			continue
		}
		var y *graph.Value
		var err error
		switch n.Op {
		case "QuickGelu":
			y = r.op1(n, "Swish", attrs{"alpha": n.Float("alpha", 1.702)}, n.Inputs[0])
		case "Gelu", "BiasGelu", "FastGelu":
			y = r.gelu(n)
		case "FusedConv":
			a := productAttrs(n, op.Conv)
			y = r.op1(n, "Conv", a, n.Inputs[:min(3, len(n.Inputs))]...)
			if z := n.In(3); z != nil {
				y = r.op1(n, "Add", nil, y, z)
			}
			y, err = r.activation(n, y)
		case "FusedGemm":
			y = r.op1(n, "Gemm", productAttrs(n, op.Gemm), n.Inputs...)
			y, err = r.activation(n, y)
		case "MatMulIntegerToFloat":
			y = r.scaledProduct(n, n.Inputs[0], n.Inputs[1], n.Inputs[2], n.Inputs[3], n.In(4), n.In(5), n.In(6))
		case "DynamicQuantizeMatMul":
			q := r.add(n, "DynamicQuantizeLinear", nil, 3, n.Inputs[0])
			y = r.scaledProduct(n, q.Outputs[0], n.Inputs[1], q.Outputs[1], n.Inputs[2], q.Outputs[2], n.In(3), n.In(4))
		default:
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", n.ID(), err)
		}
		r.take(y.Def, 0, n.Outputs[0])
	}
	return r.apply()
}

// gelu adds Gelu of a node's input and bias.
func (r *rewriter) gelu(n *graph.Node) *graph.Value {
	x := n.Inputs[0]
	if bias := n.In(1); bias != nil {
		x = r.op1(n, "Add", nil, x, bias)
	}
	if n.Op == "FastGelu" {
		return r.op1(n, "Gelu", attrs{"approximate": "tanh"}, x)
	}
	return r.op1(n, "Gelu", nil, x)
}

// productAttrs returns the attributes of n that its product has too.
func productAttrs(n *graph.Node, product *op.Op) attrs {
	a := attrs{}
	for _, name := range product.Attrs {
		if v := n.Attr(name); v != nil {
			a[name] = v
		}
	}
	return a
}

// activation adds the activation of a fused node.
func (r *rewriter) activation(n *graph.Node, y *graph.Value) (*graph.Value, error) {
	f, err := op.FusedActivation(n)
	if err != nil || f.Op == nil {
		return y, err
	}
	a := attrs{}
	for _, x := range f.Attrs {
		a[x.Name] = x.Value
	}
	ins := []*graph.Value{y}
	for _, b := range f.Bounds {
		like := r.c.g.NewConst(r.c.name("bound"), graph.Floats([]float32{b}).Reshape())
		ins = append(ins, r.op1(n, "CastLike", nil, like, y))
	}
	return r.op1(n, f.Op.Name, a, ins...), nil
}

// scaledProduct adds (a - za)·(b - zb)·(as·bs) + bias.
func (r *rewriter) scaledProduct(n *graph.Node, a, b, as, bs, za, zb, bias *graph.Value) *graph.Value {
	sum := r.op1(n, "MatMulInteger", nil, a, b, za, zb)
	y := r.op1(n, "Mul", nil, r.op1(n, "Cast", attrs{"to": int64(graph.Float32)}, sum), r.op1(n, "Mul", nil, as, bs))
	if bias != nil {
		y = r.op1(n, "Add", nil, y, bias)
	}
	return y
}
