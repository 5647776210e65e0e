package op

import "mnnconv/graph"

// heads says where the vectors of a tensor of attention heads lie, whatever the
// order of its axes: vector r of head h in batch b takes size elements from
// start + b·batchStep + h·headStep + r·rowStep on.
type heads struct {
	batch, heads, rows, size            int
	batchStep, headStep, rowStep, start int
}

// headMajor describes a tensor [batch, heads, rows, size].
func headMajor(s []int64) heads {
	b, h, r, d := int(s[0]), int(s[1]), int(s[2]), int(s[3])
	return heads{b, h, r, d, h * r * d, r * d, d, 0}
}

// rowMajor describes a tensor [batch, rows, heads, size].
func rowMajor(b, r, h, d int64) heads {
	return heads{int(b), int(h), int(r), int(d), int(r * h * d), int(d), int(h * d), 0}
}

// headsOf describes a tensor [batch, heads, rows, size] or [batch, rows,
// n·size]; the number of heads n counts only for the latter.
func headsOf(s []int64, n int64) (heads, error) {
	switch {
	case len(s) == 4:
		return headMajor(s), nil
	case len(s) != 3:
		return heads{}, inputErrorf("shape %v of heads, want rank 3 or 4", s)
	case n < 1 || s[2]%n != 0:
		return heads{}, inputErrorf("shape %v does not split into %d heads", s, n)
	}
	return rowMajor(s[0], s[1], n, s[2]/n), nil
}

// at returns the index of the first element of a vector.
func (v heads) at(b, h, r int) int { return v.start + b*v.batchStep + h*v.headStep + r*v.rowStep }

// headDims is headsOf for extents that may be symbolic: batch, heads, rows, size.
func (in *Inference) headDims(i int, n int64) (dims [4]graph.Dim, ok bool, err error) {
	s, err := in.ranked(i, 3, 4)
	if err != nil || s == nil {
		return dims, false, err
	}
	if len(s) == 4 {
		return [4]graph.Dim(s), true, nil
	}
	if n < 1 {
		return dims, false, in.Errorf("input %d has shape %s, and there is no number of heads to split it into", i, s)
	}
	if c, ok := s[2].Int(); ok && c%n != 0 {
		return dims, false, in.Errorf("input %d of shape %s does not split into %d heads", i, s, n)
	}
	return [4]graph.Dim{s[0], graph.Const(n), s[1], s[2].Div(graph.Const(n))}, true, nil
}

// joined returns the rows of past and x, one after the other, as output i, a
// tensor [batch, heads, rows, size]. Where there is no past and the node does not
// want the output, it returns x as it is.
func (c *Call) joined(i int, past, x *graph.Tensor, n int64) (*graph.Tensor, heads, error) {
	from, err := headsOf(x.Shape, n)
	if err != nil || past == nil && c.Node.Out(i) == nil {
		return x, from, err
	}
	var old heads
	if past != nil {
		if len(past.Shape) != 4 || past.DType != x.DType {
			return nil, old, inputErrorf("a past %s before %s", past.Type(), x.Type())
		}
		if old = headMajor(past.Shape); old.batch != from.batch || old.heads != from.heads || old.size != from.size {
			return nil, old, inputErrorf("a past %s before %s", past.Type(), x.Type())
		}
	}
	t, err := c.New(i, x.DType, int64(from.batch), int64(from.heads), int64(old.rows)+int64(from.rows), int64(from.size))
	if err != nil {
		return nil, old, err
	}
	to := headMajor(t.Shape)
	for b := 0; b < to.batch && len(t.Data) > 0; b++ {
		if past != nil {
			copyRows(t, past, to, old, b, 0, old.rows)
		}
		copyRows(t, x, to, from, b, old.rows, from.rows)
	}
	return t, to, nil
}

// copyRows copies rows 0 to n of every head in batch b of src to rows at, at+1,
// … of dst, which has the same batch, heads, vector size and dtype.
func copyRows(dst, src *graph.Tensor, to, from heads, b, at, n int) {
	width := dst.DType.Bits() / 8
	for h := range from.heads {
		for r := range n {
			copy(dst.Data[to.at(b, h, at+r)*width:][:from.size*width], src.Data[from.at(b, h, r)*width:])
		}
	}
}
