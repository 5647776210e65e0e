package op

import (
	"slices"
	"strings"

	"mnnconv/graph"
)

// StringNormalizer is ONNX StringNormalizer.
var StringNormalizer = &Op{
	Name: "StringNormalizer", Since: 10,
	Doc: "The strings of X [C] or [1, C] without stopwords, in lower or upper case as case_change_action says; one empty string where none is left. " +
		"Letters change case by Unicode, whatever the locale.",
	Inputs: []string{"X"}, Outputs: []string{"Y"}, Attrs: []string{"case_change_action", "is_case_sensitive", "locale", "stopwords"},
	Infer: only(isString, func(in *Inference) error {
		s, err := in.ranked(0, 1, 2)
		if s != nil {
			s = slices.Clone(s)
			s[len(s)-1] = in.Fresh("words")
		}
		in.SetTensor(0, graph.String, s)
		return err
	}),
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if x.DType != graph.String {
			return undefinedFor(x.DType)
		}
		if len(x.Shape) != 1 && (len(x.Shape) != 2 || x.Shape[0] != 1) {
			return inputErrorf("words of shape %v, want [C] or [1, C]", x.Shape)
		}
		change := func(s string) string { return s }
		switch action := c.Node.Str("case_change_action", "NONE"); action {
		case "NONE":
		case "LOWER":
			change = strings.ToLower
		case "UPPER":
			change = strings.ToUpper
		default:
			return inputErrorf("case_change_action is %q", action)
		}
		fold := strings.ToLower
		if c.Node.Int("is_case_sensitive", 0) != 0 {
			fold = func(s string) string { return s }
		}
		stop := map[string]bool{}
		for _, s := range c.Node.Strs("stopwords") {
			stop[fold(s)] = true
		}
		var kept []string
		for _, s := range x.Strings {
			if !stop[fold(s)] {
				kept = append(kept, change(s))
			}
		}
		if len(kept) == 0 {
			kept = []string{""}
		}
		shape := slices.Clone(x.Shape)
		shape[len(shape)-1] = int64(len(kept))
		c.Set(0, &graph.Tensor{DType: graph.String, Shape: shape, Strings: kept})
		return nil
	},
	Cases: func() []Case {
		attrs := []graph.Attr{{Name: "case_change_action", Value: "UPPER"}, {Name: "stopwords", Value: []string{"Monday"}}}
		return []Case{
			{Name: "any case", Attrs: attrs, In: []*graph.Tensor{words("monday", "tuesday")}, Want: []*graph.Tensor{words("TUESDAY")}},
			{
				Name: "case counts", Attrs: append([]graph.Attr{{Name: "is_case_sensitive", Value: int64(1)}}, attrs...),
				In: []*graph.Tensor{words("monday", "Monday").Reshape(1, 2)}, Want: []*graph.Tensor{words("MONDAY").Reshape(1, 1)},
			},
			{Name: "none left", Attrs: attrs, In: []*graph.Tensor{words("Monday")}, Want: []*graph.Tensor{words("")}},
		}
	},
}
