package op

import (
	"strings"
	"unicode"

	"mnnconv/graph"
)

// StringSplit is ONNX StringSplit.
var StringSplit = &Op{
	Name: "StringSplit", Since: 20,
	Doc: "Y holds the parts of each string along a new last axis, filled up with empty ones, and Z their number. Parts are separated by delimiter, or, where that is " +
		"empty, by runs of white space, which are cut off at the ends too; at most maxsplit times, from the left.",
	Inputs: []string{"X"}, Outputs: []string{"Y", "Z"}, Attrs: []string{"delimiter", "maxsplit"},
	Infer: only(isString, func(in *Inference) error {
		s := in.Type(0).Shape
		in.SetTensor(1, graph.Int64, s)
		if s.Ranked() {
			s = append(append(graph.Shape{}, s...), in.Fresh("parts"))
		}
		in.SetTensor(0, graph.String, s)
		return nil
	}),
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if x.DType != graph.String {
			return undefinedFor(x.DType)
		}
		delimiter, most := c.Node.Str("delimiter", ""), c.Node.Int("maxsplit", -1)
		parts, longest := make([][]string, len(x.Strings)), 0
		for i, s := range x.Strings {
			if delimiter == "" {
				parts[i] = splitSpace(s, most)
			} else {
				n := -1
				if most >= 0 && most < int64(len(s)) {
					n = int(most) + 1
				}
				parts[i] = strings.SplitN(s, delimiter, n)
			}
			longest = max(longest, len(parts[i]))
		}
		y, err := c.New(0, graph.String, append(append([]int64{}, x.Shape...), int64(longest))...)
		if err != nil {
			return err
		}
		z, err := c.New(1, graph.Int64, x.Shape...)
		if err != nil {
			return err
		}
		for i, p := range parts {
			copy(y.Strings[i*longest:], p)
			graph.View[int64](z)[i] = int64(len(p))
		}
		return nil
	},
	Cases: func() []Case {
		strs := func(shape []int64, v ...string) *graph.Tensor {
			return &graph.Tensor{DType: graph.String, Shape: shape, Strings: v}
		}
		return []Case{{
			Name: "delimiter", Attrs: []graph.Attr{{Name: "delimiter", Value: "."}},
			In:   []*graph.Tensor{words("a.b", "", "c")},
			Want: []*graph.Tensor{strs([]int64{3, 2}, "a", "b", "", "", "c", ""), graph.Ints([]int64{2, 1, 1})},
		}, {
			Name: "white space, once", Attrs: []graph.Attr{{Name: "maxsplit", Value: int64(1)}},
			In:   []*graph.Tensor{words(" a  b c ", " ")},
			Want: []*graph.Tensor{strs([]int64{2, 2}, "a", "b c ", "", ""), graph.Ints([]int64{2, 0})},
		}}
	},
}

// splitSpace splits s at white space, at most most times; negative: at all of it.
func splitSpace(s string, most int64) []string {
	if most < 0 {
		return strings.Fields(s)
	}
	var out []string
	for s = strings.TrimLeftFunc(s, unicode.IsSpace); s != ""; s = strings.TrimLeftFunc(s, unicode.IsSpace) {
		end := strings.IndexFunc(s, unicode.IsSpace)
		if end < 0 || int64(len(out)) == most {
			return append(out, s)
		}
		out, s = append(out, s[:end]), s[end:]
	}
	return out
}
