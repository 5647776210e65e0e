package op

import (
	"slices"

	"mnnconv/graph"
)

// DFT is ONNX DFT.
var DFT = &Op{
	Name: "DFT", Since: 17,
	Doc: "The discrete Fourier transform of input [..., 1 or 2], real or complex, along axis (default -2; an attribute, default 1, before version 20), cut or filled with zeros to " +
		"dft_length; onesided gives the first half and one of the result. inverse undoes it, divided by the length; with onesided from such a half to real numbers. Kept in float64 and rounded once.",
	Inputs: []string{"input", "dft_length?", "axis?"}, Outputs: []string{"output"}, Attrs: []string{"axis", "inverse", "onesided"},
	Infer: func(in *Inference) error {
		if err := in.accept(0, isReal); err != nil {
			return err
		}
		t := in.Type(0)
		in.SetTensor(0, t.DType, nil)
		axis := in.Node.Int("axis", 1)
		if in.Node.Version >= 20 {
			if axis = -2; in.Has(2) {
				v, ok := in.Ints(2)
				if !ok || len(v) != 1 {
					return nil
				}
				axis = v[0]
			}
		}
		if !t.Shape.Ranked() {
			return nil
		}
		a, err := dftAxis(axis, len(t.Shape))
		if err != nil {
			return err
		}
		s := slices.Clone(t.Shape)
		n, known := s[a], true
		half := in.Node.Int("onesided", 0) != 0
		inverse := in.Node.Int("inverse", 0) != 0
		if half && inverse {
			n = n.Sub(graph.Const(1)).Mul(graph.Const(2))
		}
		if in.Has(1) {
			var v []graph.Dim
			if v, known = in.Elements(1); known && len(v) == 1 {
				n = v[0]
			}
		}
		last := int64(2)
		switch {
		case !known:
			n = in.Fresh("dft")
		case half && !inverse:
			n = n.Div(graph.Const(2)).Add(graph.Const(1))
		}
		if half && inverse {
			last = 1
		}
		s[a], s[len(s)-1] = n, graph.Const(last)
		in.SetTensor(0, t.DType, s)
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		axis, err := c.one(2, c.Node.Int("axis", 1))
		if err != nil {
			return err
		}
		if c.Arg(2) == nil && c.Node.Version >= 20 {
			axis = -2
		}
		a, err := dftAxis(axis, len(x.Shape))
		if err != nil {
			return err
		}
		half, inverse := c.Node.Int("onesided", 0) != 0, c.Node.Int("inverse", 0) != 0
		n := x.Shape[a]
		if half && inverse {
			n = 2 * (n - 1)
		}
		if n, err = c.one(1, n); err != nil {
			return err
		}
		if n < 1 || n > 1<<28 {
			return inputErrorf("a transform of length %d", n)
		}
		return dft(c, a, int(n), half, inverse)
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3}, 1, 3, 1)
		flag := func(names ...string) (attrs []graph.Attr) {
			for _, n := range names {
				attrs = append(attrs, graph.Attr{Name: n, Value: int64(1)})
			}
			return attrs
		}
		const h = 0.8660254
		return []Case{
			{Name: "real", In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{6, 0, -1.5, h, -1.5, -h}, 1, 3, 2)}, Tol: 1e-6},
			{Name: "one side, longer", Attrs: flag("onesided"), In: []*graph.Tensor{x, graph.Scalar(4)}, Want: []*graph.Tensor{graph.Floats([]float32{6, 0, -2, -2, 2, 0}, 1, 3, 2)}, Tol: 1e-6},
			{
				Name: "inverse", Version: 17, Attrs: flag("inverse"), In: []*graph.Tensor{graph.Floats([]float32{6, 0, -1.5, h, -1.5, -h}, 1, 3, 2)},
				Want: []*graph.Tensor{graph.Floats([]float32{1, 0, 2, 0, 3, 0}, 1, 3, 2)}, Tol: 1e-6,
			},
			{
				Name: "inverse of one side", Attrs: flag("inverse", "onesided"), In: []*graph.Tensor{graph.Floats([]float32{6, 0, -2, -2, 2, 0}, 1, 3, 2), nil, graph.Scalar(1)},
				Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 0}, 1, 4, 1)}, Tol: 1e-6,
			},
		}
	},
}

// one returns the integer that input i holds, def where it is absent.
func (c *Call) one(i int, def int64) (int64, error) {
	t := c.Arg(i)
	if t == nil {
		return def, nil
	}
	v, err := t.Int64s()
	if err != nil {
		return 0, err
	}
	if len(v) != 1 {
		return 0, inputErrorf("input %d has %d elements, want one", i, len(v))
	}
	return v[0], nil
}

// dftAxis resolves an axis, which is not the last one.
func dftAxis(axis int64, rank int) (int, error) {
	a, err := resolveAxis(axis, rank)
	if err == nil && a == rank-1 {
		err = inputErrorf("axis %d is that of real and imaginary parts", a)
	}
	return a, err
}

// dft transforms along axis a with length n.
func dft(c *Call, a, n int, half, inverse bool) error {
	x := c.Arg(0)
	rank := len(x.Shape)
	parts := int(x.Shape[rank-1])
	if parts != 1 && parts != 2 {
		return inputErrorf("the last axis of shape %v holds neither real nor complex numbers", x.Shape)
	}
	v, err := x.Float64s()
	if err != nil {
		return err
	}
	shape := slices.Clone(x.Shape)
	shape[a], shape[rank-1] = int64(n), 2
	kept := n
	switch {
	case half && inverse:
		shape[rank-1] = 1
	case half:
		kept = n/2 + 1
		shape[a] = int64(kept)
	}
	out, err := c.New(0, x.DType, shape...)
	if err != nil || out.Len() == 0 {
		return err
	}
	y, to := make([]float64, out.Len()), int(shape[rank-1])
	extentIn, inner := int(x.Shape[a]), count(x.Shape[a+1:rank-1])
	line := make([]complex128, n)
	for o := range count(x.Shape[:a]) {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		for i := range inner {
			clear(line)
			for k := range min(extentIn, n) {
				e := v[((o*extentIn+k)*inner+i)*parts:][:parts]
				if line[k] = complex(e[0], 0); parts == 2 {
					line[k] = complex(e[0], e[1])
				}
			}
			if half && inverse { // the other half is the conjugate, backwards
				for k := n/2 + 1; k < n; k++ {
					line[k] = complex(real(line[n-k]), -imag(line[n-k]))
				}
			}
			for k, z := range fourier(line, inverse)[:kept] {
				at := ((o*kept+k)*inner + i) * to
				if y[at] = real(z); to == 2 {
					y[at+1] = imag(z)
				}
			}
		}
	}
	return storeFloats(out, y)
}
