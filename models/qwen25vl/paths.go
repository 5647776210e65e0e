package qwen25vl

import (
	"fmt"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// nameVision gives the vision graph's nodes canonical paths: vision.blocks.N.attn
// … by the attention and norm nodes that structure it.
func nameVision(g *graph.Graph) {
	name(g, "vision", "vision.blocks", func(n *graph.Node) bool {
		return n.Domain == op.Mnnconv && n.Op == "SegmentedAttention" || n.Is("Attention")
	}, "merger")
}

// nameDecoder gives the decoder's nodes canonical paths: llm.layers.N.attn …, and
// head for what follows the last layer.
func nameDecoder(g *graph.Graph) {
	name(g, "llm", "llm.layers", func(n *graph.Node) bool { return n.Is("Attention") }, "norm")
	last := -1
	for i, n := range g.Nodes {
		if n.Is("RMSNormalization") {
			last = i
		}
	}
	for i, n := range g.Nodes {
		if strings.HasPrefix(n.Path, "llm.norm") && i >= last {
			n.Path = "head" + strings.TrimPrefix(n.Path, "llm.norm")
		}
	}
}

// name walks the graph in order. A layer is two norms: from the norm before its
// attention to the norm before the next one; projections are told apart by what
// they feed.
func name(g *graph.Graph, stage, layers string, isAttention func(*graph.Node) bool, tail string) {
	feeds := projections(g, isAttention)
	norms, attentions := 0, 0
	total := 0
	for _, n := range g.Nodes {
		if isAttention(n) {
			total++
		}
	}
	for _, n := range g.Nodes {
		if n.Path != "" {
			continue
		}
		isNorm := n.Is("RMSNormalization") || n.Is("LayerNormalization")
		if isNorm {
			norms++
		}
		if isAttention(n) {
			attentions++
		}
		layer := (norms - 1) / 2
		switch {
		case norms == 0:
			n.Path = stage + ".stem." + act(n, feeds)
		case layer >= total:
			n.Path = stage + "." + tail
			if !isNorm {
				n.Path += "." + act(n, feeds)
			}
		default:
			part := "mlp"
			if norms%2 == 1 {
				part = "attn"
			}
			role := feeds[n]
			switch {
			case isNorm && part == "attn":
				n.Path = fmt.Sprintf("%s.%d.norm1", layers, layer)
				continue
			case isNorm:
				n.Path = fmt.Sprintf("%s.%d.norm2", layers, layer)
				continue
			case isAttention(n):
				n.Path = fmt.Sprintf("%s.%d.attn", layers, layer)
				continue
			case role == "":
				role = act(n, feeds)
			}
			n.Path = fmt.Sprintf("%s.%d.%s.%s", layers, layer, part, role)
		}
	}
}

// act names what is no projection, norm or attention: a bias after its projection,
// a residual sum, rope, or the operator itself.
func act(n *graph.Node, role map[*graph.Node]string) string {
	switch n.Op {
	case "RotaryEmbedding":
		return "rope"
	case "TensorScatter":
		return "cache"
	case "Add":
		for i, v := range n.Inputs {
			if v.Const != nil && n.Inputs[1-i].Def != nil && role[n.Inputs[1-i].Def] != "" {
				return role[n.Inputs[1-i].Def] + ".bias"
			}
		}
		if n.Inputs[0].Const == nil && n.Inputs[1].Const == nil {
			return "residual"
		}
	}
	return strings.ToLower(n.Op)
}

// projections names matrix products by what they feed: q, k, v and qkv before an
// attention, o behind it; gate, up and down around a Swish.
func projections(g *graph.Graph, isAttention func(*graph.Node) bool) map[*graph.Node]string {
	role := map[*graph.Node]string{}
	product := func(v *graph.Value) *graph.Node {
		for depth := 0; v != nil && v.Def != nil && depth < 12; depth++ {
			n := v.Def
			switch n.Op {
			case "MatMul", "MatMulNBits", "Gemm":
				return n
			case "Add", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "RotaryEmbedding", "TensorScatter", "Cast":
				next := n.In(0)
				if n.Op == "TensorScatter" {
					next = n.In(1)
				}
				if n.Op == "Add" && next != nil && next.Const != nil {
					next = n.In(1)
				}
				v = next
			default:
				return nil
			}
		}
		return nil
	}
	uses := g.Uses()
	for _, n := range g.Nodes {
		if isAttention(n) {
			for i, what := range []string{"q", "k", "v"} {
				if m := product(n.In(i)); m != nil {
					if role[m] != "" && role[m] != what {
						what = "qkv"
					}
					role[m] = what
				}
			}
		}
		if n.Is("Swish") {
			if m := product(n.In(0)); m != nil {
				role[m] = "gate"
			}
			for _, u := range uses[n.Outputs[0]] {
				if u.Node.Is("Mul") {
					if m := product(u.Node.Inputs[1-u.Index]); m != nil {
						role[m] = "up"
					}
				}
			}
		}
	}
	for _, n := range g.Nodes {
		if n.Op != "MatMul" && n.Op != "MatMulNBits" && n.Op != "Gemm" || role[n] != "" {
			continue
		}
		for v, depth := n.In(0), 0; v != nil && v.Def != nil && depth < 8; depth++ {
			if isAttention(v.Def) {
				role[n] = "o"
				break
			}
			if v.Def.Is("Mul") && (v.Def.Inputs[0].Def.Is("Swish") || v.Def.Inputs[1].Def.Is("Swish")) {
				role[n] = "down"
				break
			}
			if !v.Def.Is("Reshape") && !v.Def.Is("Transpose") && !v.Def.Is("Cast") && !v.Def.Is("Squeeze") && !v.Def.Is("Unsqueeze") {
				break
			}
			v = v.Def.In(0)
		}
	}
	return role
}
