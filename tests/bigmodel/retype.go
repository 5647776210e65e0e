package main

import (
	"cmp"
	"fmt"
	"slices"

	"mnnconv/graph"
)

// retype makes a graph of float16 compute in another type of float, weights and all,
// and has its inputs and outputs in the type outside.
func retype(g *graph.Graph, to, outside graph.DType) error {
	to, outside = cmp.Or(to, graph.Float16), cmp.Or(outside, graph.Float16)
	if to == graph.Float16 && outside == to {
		return nil
	}
	for _, v := range append(slices.Clone(g.Inputs), g.Outputs...) {
		if v.Type.DType == graph.Float16 {
			v.Type.DType = outside
		}
	}
	for v := range weights(g) {
		v.Const = converted(v.Const, to)
		v.Type = v.Const.Type()
	}
	var template *graph.Node // of casts
	for _, n := range g.Nodes {
		if t := n.Tensor("value"); t != nil {
			n.SetAttr("value", converted(t, to))
		}
		if n.Is("Cast") && n.Int("to", 0) == int64(graph.Float16) {
			n.SetAttr("to", int64(to))
			template = n
		}
	}
	if to == outside {
		return nil
	}
	if template == nil {
		return fmt.Errorf("the template casts nothing to float16")
	}
	cast := func(v *graph.Value, name string, to graph.DType) *graph.Node {
		n := g.NewNode(template.Domain, template.Op, template.Version, []*graph.Value{v}, name)
		n.Name = name
		n.SetAttr("to", int64(to))
		return n
	}
	for _, v := range slices.Clone(g.Inputs) {
		if v.Type.DType != outside {
			continue
		}
		n := cast(v, v.Name+".retyped", to)
		g.Replace(map[*graph.Value]*graph.Value{v: n.Outputs[0]})
		g.Nodes = slices.Insert(g.Nodes, 0, n)
	}
	for i, v := range g.Outputs {
		if v.Type.DType == outside {
			n := cast(v, v.Name+"."+outside.String(), outside)
			n.Outputs[0].Type, v.Type = v.Type, graph.Type{}
			v.Name, n.Outputs[0].Name = n.Outputs[0].Name, v.Name
			g.Outputs[i] = n.Outputs[0]
			g.Append(n)
		}
	}
	return nil
}

// converted returns a tensor of float16 in another type of float, without data if it
// has none, and any other as it is.
func converted(t *graph.Tensor, to graph.DType) *graph.Tensor {
	if t.DType != graph.Float16 {
		return t
	}
	out := &graph.Tensor{DType: to, Shape: t.Shape}
	if t.Data == nil {
		return out
	}
	size, _ := to.Bytes(int64(t.Len()))
	out.Data = make([]byte, size)
	convert(out, graph.View[uint16](t))
	return out
}

// convert writes numbers of float16 into a tensor's data, in its type.
func convert(t *graph.Tensor, from []uint16) {
	switch t.DType {
	case graph.Float32:
		to := graph.View[float32](t)
		for i, h := range from {
			to[i] = graph.F16ToF32(h)
		}
	case graph.BFloat16:
		to := graph.View[uint16](t)
		for i, h := range from {
			to[i] = graph.F32ToBF16(graph.F16ToF32(h))
		}
	default:
		copy(graph.View[uint16](t), from)
	}
}
