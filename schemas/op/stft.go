package op

import "mnnconv/graph"

// STFT is ONNX STFT.
var STFT = &Op{
	Name: "STFT", Since: 17,
	Doc: "The discrete Fourier transforms [batch, frames, bins, 2] of frames of signal [batch, length, 1 or 2], frame_step apart, multiplied by window (default: ones) and " +
		"frame_length long (default: the window's length); onesided (default) gives the first half of the bins and one. Kept in float64 and rounded once.",
	Inputs: []string{"signal", "frame_step", "window?", "frame_length?"}, Outputs: []string{"output"}, Attrs: []string{"onesided"},
	Infer: func(in *Inference) error {
		if err := in.accept(0, isReal); err != nil {
			return err
		}
		s := in.Type(0).Shape
		batch := in.Fresh("batch")
		if s.Ranked() {
			if len(s) != 3 && len(s) != 2 {
				return in.Errorf("a signal of shape %s, want [batch, length, 1 or 2]", s)
			}
			batch = s[0]
		}
		in.SetTensor(0, in.Type(0).DType, graph.Shape{batch, in.Fresh("frames"), in.Fresh("bins"), graph.Const(2)})
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if err := c.wantRank(0, 2, 3); err != nil {
			return err
		}
		parts := 1
		if len(x.Shape) == 3 {
			parts = int(x.Shape[2])
		}
		if parts != 1 && parts != 2 {
			return inputErrorf("a signal of shape %v, want [batch, length, 1 or 2]", x.Shape)
		}
		hop, err := c.one(1, 0)
		if err != nil {
			return err
		}
		length := x.Shape[1]
		var window []float64
		if w := c.Arg(2); w != nil {
			if window, err = w.Float64s(); err != nil {
				return err
			}
			length = int64(len(window))
		}
		if length, err = c.one(3, length); err != nil {
			return err
		}
		if hop < 1 || length < 1 || length > x.Shape[1] || window != nil && int64(len(window)) != length {
			return inputErrorf("frames of %d, %d apart, under a window of %d, of a signal of %d", length, hop, len(window), x.Shape[1])
		}
		frames, bins := 1+(x.Shape[1]-length)/hop, length
		if c.Node.Int("onesided", 1) != 0 {
			bins = length/2 + 1
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, x.Shape[0], frames, bins, 2)
		if err != nil {
			return err
		}
		y := make([]float64, 0, out.Len())
		line := make([]complex128, length)
		for b := range x.Shape[0] {
			for f := range frames {
				if err := c.Ctx.Err(); err != nil {
					return err
				}
				for k := range line {
					e := v[int(b*x.Shape[1]+f*hop+int64(k))*parts:][:parts]
					if line[k] = complex(e[0], 0); parts == 2 {
						line[k] = complex(e[0], e[1])
					}
					if window != nil {
						line[k] = complex(real(line[k])*window[k], imag(line[k])*window[k])
					}
				}
				for _, z := range fourier(line, false)[:bins] {
					y = append(y, real(z), imag(z))
				}
			}
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "two frames under a window",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 1, 4, 1), graph.Scalar(2), graph.Floats([]float32{1, 2})},
			Want: []*graph.Tensor{graph.Floats([]float32{5, 0, -3, 0, 11, 0, -5, 0}, 1, 2, 2, 2)},
			Tol:  1e-6,
		}}
	},
}
