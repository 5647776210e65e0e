package passes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// ErrTypes: the text of rules for types cannot be read, or a rule matches nothing.
var ErrTypes = errors.New("types")

// Types says which nodes of a model compute in which type of float: the first rule that
// matches a node decides, and what no rule matches computes as the exporter wrote it.
// The nil Types has no rules.
type Types struct {
	rules []typeRule
}

type typeRule struct {
	text  string // PATH=TYPE
	path  string
	to    graph.DType
	match func(*graph.Node) bool
	used  bool
	late  bool // rules before it took a node that it matches
}

// typeNames are what people call types of float.
var typeNames = map[string]graph.DType{"fp32": graph.Float32, "fp16": graph.Float16, "bf16": graph.BFloat16}

// TypeName is what people call a type of float.
func TypeName(d graph.DType) string {
	for name, is := range typeNames {
		if is == d {
			return name
		}
	}
	return d.String()
}

// TypeNamed is the inverse of TypeName.
func TypeNamed(name string) (d graph.DType, ok bool) {
	d, ok = typeNames[name]
	return d, ok
}

// String is the rules as [ParseTypes] reads them; empty: there are none.
func (t *Types) String() string {
	if t == nil {
		return ""
	}
	var texts []string
	for _, r := range t.rules {
		texts = append(texts, r.text)
	}
	return strings.Join(texts, ",")
}

// ParseTypes reads a list of PATH=TYPE, or one TYPE for all, where TYPE is fp32, fp16 or
// bf16, and PATH what [graph.ParsePattern] takes, such as vision or llm.layers.0-3.mlp.
func ParseTypes(text string) (*Types, error) {
	t := &Types{}
	for _, part := range graph.SplitPatterns(text) {
		pattern, name, found := graph.CutPattern(part)
		if found && pattern == "" {
			return nil, fmt.Errorf("%w: %q is not PATH=TYPE", ErrTypes, part)
		}
		to, ok := TypeNamed(name)
		if !ok {
			return nil, fmt.Errorf("%w: %q is no type to compute in: write fp32, fp16 or bf16", ErrTypes, name)
		}
		match, err := graph.ParsePattern(pattern)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTypes, err)
		}
		t.rules = append(t.rules, typeRule{text: part, path: cmp.Or(pattern, "everything"), to: to, match: match})
	}
	return t, nil
}

// Check names the first rule that matched no node of the graphs that the types were
// applied to: it is misspelled.
func (t *Types) Check() error {
	if t == nil {
		return nil
	}
	for _, r := range t.rules {
		if !r.used && r.late {
			return fmt.Errorf("%w: rules before %q took all that it matches: put it before them", ErrTypes, r.text)
		}
		if !r.used {
			return fmt.Errorf("%w: %q matches nothing that computes with floats", ErrTypes, r.text)
		}
	}
	return nil
}

// Match reports whether a rule matches a node.
func (t *Types) Match(n *graph.Node) bool { return t != nil && t.rule(n) >= 0 }

// rule returns the index of the rule for a node, or -1.
func (t *Types) rule(n *graph.Node) int {
	return slices.IndexFunc(t.rules, func(r typeRule) bool { return r.match(n) })
}

// products are the operators by whose results a stage's type is told.
var products = []string{"MatMul", "Gemm", "Conv", "FusedMatMul", "MatMulNBits", "MatMulBnb4", "Attention", "SegmentedAttention"}

// TypeOf returns the type of float that most products of the nodes give, or most
// nodes where there are no products; Undefined: they compute with none.
func TypeOf(nodes []*graph.Node) graph.DType {
	count := func(which func(*graph.Node) bool) graph.DType {
		sums := map[graph.DType]int{}
		best := graph.Undefined
		for _, n := range nodes {
			v := n.Out(0)
			if v == nil || v.Type.Kind != graph.TensorKind || !computes(v.Type.DType) || !which(n) {
				continue
			}
			d := v.Type.DType
			if sums[d]++; sums[d] > sums[best] {
				best = d
			}
		}
		return best
	}
	if d := count(func(n *graph.Node) bool { return slices.Contains(products, n.Op) }); d != graph.Undefined {
		return d
	}
	return count(func(*graph.Node) bool { return true })
}

// computes reports whether rules are about the type.
func computes(d graph.DType) bool {
	return d == graph.Float32 || d == graph.Float16 || d == graph.BFloat16
}

// IsLookup reports whether a node looks rows of a table of embeddings up, and not of
// another table, of rotations say.
func IsLookup(n *graph.Node) bool {
	if !n.Is("Gather") && !(n.Domain == op.Microsoft && n.Op == "GatherBlockQuantized") || n.In(0) == nil || n.In(0).Const == nil {
		return false
	}
	if n.Path != "" {
		return n.Path == "embed" || strings.HasPrefix(n.Path, "embed.")
	}
	return n.In(1).Def == nil && n.In(1).Const == nil
}
