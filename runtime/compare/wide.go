package compare

import (
	"context"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// wide evaluates nodes on the same inputs as a device, but with floats wide enough
// that nothing in between is rounded to the dtypes of the model. What a device may
// lose is measured against it. ok is false where the operators are not defined on
// wider floats.
func wide(ctx context.Context, table op.Table, nodes []*graph.Node, in Trace) (out Trace, ok bool) {
	narrow := true // nothing wider than 16 bits
	for _, n := range nodes {
		if len(n.Bodies) > 0 {
			return nil, false
		}
		n.Reads(func(v *graph.Value) {
			if t := in.of(v); t != nil && (t.DType == graph.Float32 || t.DType == graph.Float64) {
				narrow = false
			}
		})
	}
	for _, to := range []graph.DType{graph.Float64, graph.Float32} {
		if to == graph.Float32 && !narrow {
			break
		}
		if out, err := widened(ctx, table, nodes, in, to); err == nil {
			return out, true
		}
	}
	return nil, false
}

func widened(ctx context.Context, table op.Table, nodes []*graph.Node, in Trace, to graph.DType) (Trace, error) {
	t := Trace{}
	made := map[*graph.Value]bool{}
	var copies []*graph.Node
	for _, n := range nodes {
		m := *n
		m.Inputs = make([]*graph.Value, len(n.Inputs))
		for i, v := range n.Inputs {
			if v == nil {
				continue
			}
			m.Inputs[i] = v
			if x := in.of(v); !made[v] && x != nil {
				w, err := widen(x, to)
				if err != nil {
					return nil, err
				}
				u := *v // not a constant: its wide tensor is in t
				u.Const, u.Def = nil, nil
				m.Inputs[i], t[u.Name] = &u, w
			}
		}
		if d, is := n.Attr("to").(int64); is && n.Op == "Cast" && graph.DType(d).IsFloat() {
			m.Attrs = append([]graph.Attr{}, n.Attrs...)
			m.SetAttr("to", int64(to))
		}
		for _, v := range n.Outputs {
			if v != nil {
				made[v] = true
			}
		}
		copies = append(copies, &m)
	}
	return t, evaluate(ctx, table, copies, t)
}

func widen(t *graph.Tensor, to graph.DType) (*graph.Tensor, error) {
	switch t.DType {
	case graph.Float16, graph.BFloat16, graph.Float32:
	default:
		return t, nil
	}
	v, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	if to == graph.Float32 {
		return graph.Floats(v, t.Shape...), nil
	}
	out, err := graph.NewTensor(to, t.Shape...)
	if err != nil {
		return nil, err
	}
	for i, x := range v {
		graph.View[float64](out)[i] = float64(x)
	}
	return out, nil
}
