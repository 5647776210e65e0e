package op

import (
	"slices"
	"strings"

	"mnnconv/graph"
)

// Einsum is ONNX Einsum.
var Einsum = &Op{
	Name: "Einsum", Since: 12,
	Doc: "Sums products of elements over the labels that the output term lacks, as numpy.einsum: explicit and implicit output, repeated labels for diagonals, " +
		"\"...\" for axes that broadcast. Operands are contracted from left to right, each first summed over labels of its own; floats of 16 bits in float32.",
	Inputs: []string{"Inputs..."}, Outputs: []string{"Output"},
	Attrs: []string{"equation"},
	Infer: func(in *Inference) error {
		ranks, all := make([]int, len(in.Node.Inputs)), make([]int, len(in.Node.Inputs))
		for i := range all {
			all[i] = i
		}
		d, err := in.commonDType(all...)
		if err != nil {
			return err
		}
		in.SetTensor(0, d, nil)
		for i := range ranks {
			s := in.Type(i).Shape
			if !s.Ranked() {
				return nil
			}
			ranks[i] = len(s)
		}
		e, err := parseEinsum(in.Node.Str("equation", ""), ranks)
		if err != nil {
			return err
		}
		extents := map[int]graph.Dim{}
		for i, term := range e.terms {
			for axis, l := range term {
				d := in.Type(i).Shape[axis]
				if old, ok := extents[l]; ok {
					s, err := in.Broadcast(graph.Shape{old}, graph.Shape{d})
					if err != nil {
						return err
					}
					d = s[0]
				}
				extents[l] = d
			}
		}
		out := make(graph.Shape, len(e.out))
		for i, l := range e.out {
			out[i] = extents[l]
		}
		in.SetTensor(0, d, out)
		return nil
	},
	Eval: func(c *Call) error {
		d := c.Arg(0).DType
		for i := range c.In {
			if c.Arg(i) == nil || c.Arg(i).DType != d {
				return inputErrorf("input %d is absent or not %s", i, d)
			}
		}
		switch {
		case d == graph.Float64:
			return einsum(c, elementsAs[float64], storeFloats)
		case isReal(d):
			return einsum(c, elementsAs[float32], (*graph.Tensor).SetFloat32s)
		case isInteger(d): // sums that wrap are the same in 64 bits
			return einsum(c, (*graph.Tensor).Int64s, storeInts)
		}
		return undefinedFor(d)
	},
	Cases: func() []Case {
		eq := func(s string) []graph.Attr { return []graph.Attr{{Name: "equation", Value: s}} }
		a := graph.Floats([]float32{1, 2, 3, 4}, 2, 2)
		return []Case{{
			Name: "outer product", Attrs: eq("i,j->ij"),
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2}), graph.Floats([]float32{3, 4, 5})},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 4, 5, 6, 8, 10}, 2, 3)},
		}, {
			Name: "implicit output, three operands", Attrs: eq("ab, bc ,c"),
			In:   []*graph.Tensor{a, a, graph.Floats([]float32{1, 10})},
			Want: []*graph.Tensor{graph.Floats([]float32{107, 235})},
		}, {
			Name: "diagonal, trace and transpose in one", Attrs: eq("ii,jk->kji"),
			In:   []*graph.Tensor{a, graph.Floats([]float32{1, 2, 3}, 1, 3)},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 4, 2, 8, 3, 12}, 3, 1, 2)},
		}, {
			Name: "batch by ellipsis, broadcast", Attrs: eq("...ij,...j->...i"),
			In:   []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2), graph.Ints([]int64{1, -1}, 1, 2)},
			Want: []*graph.Tensor{graph.Ints([]int64{-1, -1, -1, -1}, 2, 2)},
		}, {
			Name: "everything summed", Attrs: eq("ij->"),
			In:   []*graph.Tensor{a},
			Want: []*graph.Tensor{graph.Floats([]float32{10}, 1).Reshape()},
		}, {
			Name: "nothing to sum", Attrs: eq("ij,jk"),
			In:   []*graph.Tensor{graph.Floats(nil, 2, 0), graph.Floats(nil, 0, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0}, 2, 1)},
		}}
	},
}

// equation is a parsed equation: one label per axis of each operand and of the
// output. Labels are letters, or 0, 1, … for the axes of an ellipsis.
type equation struct {
	terms [][]int
	out   []int
}

// parseEinsum reads an equation for operands of the given ranks.
func parseEinsum(text string, ranks []int) (*equation, error) {
	text = strings.ReplaceAll(text, " ", "")
	left, right, explicit := strings.Cut(text, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(ranks) {
		return nil, inputErrorf("equation %.256q has %d terms for %d operands", text, len(terms), len(ranks))
	}
	e := &equation{}
	dots := -1 // axes of an ellipsis
	for i, t := range terms {
		n := ranks[i] - len(strings.Replace(t, "...", "", 1))
		if !strings.Contains(t, "...") && n != 0 || n < 0 {
			return nil, inputErrorf("term %.256q for an operand of rank %d", t, ranks[i])
		}
		if strings.Contains(t, "...") {
			if dots >= 0 && n != dots {
				return nil, inputErrorf("the ellipsis of %.256q stands for %d axes and for %d", text, dots, n)
			}
			dots = n
		}
		labels, err := einsumLabels(t, n)
		if err != nil {
			return nil, err
		}
		e.terms = append(e.terms, labels)
	}
	if !explicit {
		e.out = implicitOutput(e.terms, max(dots, 0))
		return e, nil
	}
	var err error
	if e.out, err = einsumLabels(right, max(dots, 0)); err != nil {
		return nil, err
	}
	all := slices.Concat(e.terms...)
	for i, l := range e.out {
		if !slices.Contains(all, l) || slices.Contains(e.out[:i], l) {
			return nil, inputErrorf("output term %.256q repeats a label or has one that no operand has", right)
		}
	}
	return e, nil
}

// einsumLabels reads one term, whose ellipsis stands for n axes.
func einsumLabels(t string, n int) ([]int, error) {
	var labels []int
	for i := 0; i < len(t); i++ {
		switch c := t[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			labels = append(labels, int(c))
		case strings.HasPrefix(t[i:], "...") && !strings.Contains(t[i+3:], "..."):
			for d := range n {
				labels = append(labels, d)
			}
			i += 2
		default:
			return nil, inputErrorf("term %.256q", t)
		}
	}
	return labels, nil
}

// implicitOutput returns the axes of the ellipsis, then the letters that occur
// once, in the order of ASCII.
func implicitOutput(terms [][]int, dots int) []int {
	var out []int
	for d := range dots {
		out = append(out, d)
	}
	count := map[int]int{}
	for _, l := range slices.Concat(terms...) {
		count[l]++
	}
	for l := int('A'); l <= 'z'; l++ {
		if count[l] == 1 {
			out = append(out, l)
		}
	}
	return out
}

func einsum[T ring](c *Call, elements func(*graph.Tensor) ([]T, error), store func(*graph.Tensor, []T) error) error {
	ranks := make([]int, len(c.In))
	for i, t := range c.In {
		ranks[i] = len(t.Shape)
	}
	e, err := parseEinsum(c.Node.Str("equation", ""), ranks)
	if err != nil {
		return err
	}
	extents := map[int]int{}
	for i, term := range e.terms {
		for axis, l := range term {
			n := int(c.In[i].Shape[axis])
			if old, ok := extents[l]; ok && old != 1 && n != 1 && n != old {
				return inputErrorf("extents %d and %d under one label", old, n)
			} else if !ok || old == 1 {
				extents[l] = n
			}
		}
	}
	shape := make([]int64, len(e.out))
	for i, l := range e.out {
		shape[i] = int64(extents[l])
	}
	out, err := c.New(0, c.In[0].DType, shape...)
	if err != nil {
		return err
	}
	one := operand[T]{data: []T{1}}
	sum := one
	for i, term := range e.terms {
		o := operand[T]{}
		if o.data, err = elements(c.In[i]); err != nil {
			return err
		}
		o.label(term, c.In[i].Shape)
		later := slices.Concat(slices.Concat(e.terms[i+1:]...), e.out)
		if o, err = contract(c, one, o, slices.Concat(slices.Concat(e.terms[:i]...), later), extents); err != nil {
			return err
		}
		if i == len(e.terms)-1 {
			later = e.out
		}
		if sum, err = contract(c, sum, o, later, extents); err != nil {
			return err
		}
	}
	return store(out, sum.data)
}
