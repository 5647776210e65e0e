package main

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// weightForms counts how the matrices and tables of a graph are stored: their dtype,
// and for quantised ones the operator, bits, block and zero points.
func weightForms(g *graph.Graph) map[string]int {
	forms := map[string]int{}
	for _, n := range g.Nodes {
		if form := weightForm(n); form != "" {
			forms[form]++
		}
	}
	return forms
}

// weightForm is that of the one weight that a node reads; empty: it reads none.
func weightForm(n *graph.Node) string {
	constant := func(i int) *graph.Tensor {
		if v := n.In(i); v != nil && v.Const != nil && len(v.Const.Shape) > 1 {
			return v.Const
		}
		return nil
	}
	switch n.Op {
	case "MatMul", "Gemm", "FusedMatMul", "Conv":
		if w := constant(1); w != nil {
			return w.DType.String()
		}
		if v := n.In(1); v != nil && v.Def.Is("DequantizeLinear") {
			return weightForm(v.Def)
		}
	case "Gather":
		if w := constant(0); w != nil && (w.DType.IsFloat() || w.DType == graph.Uint8 || w.DType == graph.Int8) {
			return w.DType.String() + " table"
		}
	case "MatMulNBits":
		form := fmt.Sprintf("%d-bit blocks of %d", n.Int("bits", 4), n.Int("block_size", 32))
		if n.In(3) != nil {
			form += " with zero points"
		}
		form += scalesForm(n)
		if level := n.Int("accuracy_level", 0); level > 0 {
			form += fmt.Sprintf(", accuracy_level %d", level)
		}
		return form
	case "MatMulBnb4":
		kind := "FP4"
		if n.Int("quant_type", 1) == 1 {
			kind = "NF4"
		}
		return fmt.Sprintf("bitsandbytes %s blocks of %d", kind, n.Int("block_size", 64))
	case "GatherBlockQuantized":
		if w := constant(0); w != nil {
			return fmt.Sprintf("%d-bit table of %s in blocks of %d", n.Int("bits", 4), w.DType, n.Int("block_size", 128)) + scalesForm(n)
		}
	case "MatMulInteger", "ConvInteger":
		if v := n.In(1); v != nil && v.Const != nil {
			return v.Const.DType.String() + ", activations quantised as they come"
		}
	case "DequantizeLinear":
		if w := constant(0); w != nil {
			form := w.DType.String() + " dequantised"
			if b := n.Int("block_size", 0); b > 0 {
				form += fmt.Sprintf(" in blocks of %d", b)
			}
			return form
		}
	}
	return ""
}

// scalesForm says how scales of blocks are stored, unless they are floats.
func scalesForm(n *graph.Node) string {
	if _, ok := op.FindCodedScales(n.In(2)); ok {
		return ", scales of 8 bits"
	}
	return ""
}
