package op

// Lists of axes, sizes and the like, which ONNX moved from attributes to
// inputs over time. Either form is taken at any version: exporters raise a
// file's version without converting its nodes.

// list returns the integers of input i or else of the attribute; given is
// false where both are absent.
func (c *Call) list(i int, attr string) (list []int64, given bool, err error) {
	if t := c.Arg(i); t != nil {
		list, err = t.Int64s()
		return list, true, err
	}
	return c.Node.Ints(attr), c.Node.Has(attr), nil
}

// list is Call.list for inference; known is false where only running tells.
func (in *Inference) list(i int, attr string) (list []int64, given, known bool) {
	if in.Has(i) {
		list, known = in.Ints(i)
		return list, true, known
	}
	return in.Node.Ints(attr), in.Node.Has(attr), true
}

// axesOf counts negative axes from the end; one out of range or named twice
// is an error.
func axesOf(axes []int64, rank int) ([]int, error) {
	out := make([]int, len(axes))
	seen := make([]bool, rank)
	for k, a := range axes {
		i, err := resolveAxis(a, rank)
		if err != nil {
			return nil, err
		}
		if seen[i] {
			return nil, inputErrorf("axes %v name axis %d twice", axes, i)
		}
		out[k], seen[i] = i, true
	}
	return out, nil
}
