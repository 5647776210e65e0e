package compare

import (
	"context"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// unpacked has products with blocks of codes multiply matrices, which hold the codes'
// numbers rounded to the model's dtype, as ONNX's DequantizeLinear before a MatMul does.
// ok is false where there is none.
func unpacked(ctx context.Context, nodes []*graph.Node, in Trace) (out []*graph.Node, ok bool) {
	for _, n := range nodes {
		a := n.In(0)
		if n.Domain != op.Microsoft || n.Op != "MatMulNBits" || a.Type.DType.Bits() != 16 || !a.Type.DType.IsFloat() {
			out = append(out, n)
			continue
		}
		args := make([]*graph.Tensor, len(n.Inputs))
		for i, v := range n.Inputs {
			if v != nil {
				args[i] = in.of(v)
			}
		}
		w, err := op.UnpackNBits(ctx, n, args)
		if err != nil {
			return nil, false
		}
		if w, err = rounded(w, a.Type.DType); err != nil {
			return nil, false
		}
		name := n.Outputs[0].Name
		weights := &graph.Value{Name: name + " unpacked", Type: w.Type(), Const: w}
		product := &graph.Node{Op: "MatMul", Version: 13, Inputs: []*graph.Value{a, weights}, Outputs: n.Outputs}
		out, ok = append(out, product), true
		if bias := n.In(5); bias != nil {
			sum := &graph.Value{Name: name + " without bias", Type: n.Outputs[0].Type}
			product.Outputs = []*graph.Value{sum}
			out = append(out, &graph.Node{Op: "Add", Version: 14, Inputs: []*graph.Value{sum, bias}, Outputs: slices.Clone(n.Outputs)})
		}
	}
	return out, ok
}
