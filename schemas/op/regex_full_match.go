package op

import (
	"regexp"

	"mnnconv/graph"
)

// RegexFullMatch is ONNX RegexFullMatch.
var RegexFullMatch = &Op{
	Name: "RegexFullMatch", Since: 20,
	Doc:    "Whether all of each string matches pattern, a regular expression in RE2's syntax.",
	Inputs: []string{"X"}, Outputs: []string{"Y"}, Attrs: []string{"pattern"},
	Infer: only(isString, func(in *Inference) error {
		in.SetTensor(0, graph.Bool, in.Type(0).Shape)
		return nil
	}),
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if x.DType != graph.String {
			return undefinedFor(x.DType)
		}
		re, err := regexp.Compile(`\A(?:` + c.Node.Str("pattern", "") + `)\z`)
		if err != nil {
			return inputErrorf("pattern %q: %v", c.Node.Str("pattern", ""), err)
		}
		y, err := c.New(0, graph.Bool, x.Shape...)
		if err != nil {
			return err
		}
		for i, s := range x.Strings {
			y.Data[i] = bit(re.MatchString(s))
		}
		return nil
	},
	Cases: func() []Case {
		return []Case{{
			Name: "alternatives", Attrs: []graph.Attr{{Name: "pattern", Value: "a|b+"}},
			In:   []*graph.Tensor{words("a", "bb", "ab")},
			Want: []*graph.Tensor{bools([]bool{true, true, false})},
		}}
	},
}
