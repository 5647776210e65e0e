package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// DeformConv is ONNX DeformConv.
var DeformConv = &Op{
	Name: "DeformConv", Since: 19,
	Doc: "Conv of X [N, C, H, W] with W whose taps are moved by offset [N, groups·taps·2, places...] (rows before columns) and multiplied by mask [N, groups·taps, places...]; " +
		"between elements X is bilinear, outside 0. offset_group groups of channels share offsets. Kept in float64 and rounded once.",
	Inputs: []string{"X", "W", "offset", "B?", "mask?"}, Outputs: []string{"Y"},
	Attrs: []string{"dilations", "group", "kernel_shape", "offset_group", "pads", "strides"},
	Infer: func(in *Inference) error {
		d, err := in.commonDType(0, 1, 2, 3, 4)
		if err != nil {
			return err
		}
		return inferConv(in, d)
	},
	Eval: func(c *Call) error {
		x, weight, offset := c.Arg(0), c.Arg(1), c.Arg(2)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if err := c.wantRank(0, 4); err != nil {
			return err
		}
		k, err := newConvolution(c.Node, x.Shape, weight.Shape)
		if err != nil {
			return err
		}
		groups, taps := c.Node.Int("offset_group", 1), int64(count(weight.Shape[2:]))
		if groups < 1 || x.Shape[1]%groups != 0 {
			return inputErrorf("%d channels in %d groups of offsets", x.Shape[1], groups)
		}
		if want := append([]int64{x.Shape[0], groups * taps * 2}, k.window.out...); !slices.Equal(offset.Shape, want) {
			return inputErrorf("offsets of shape %v, want %v", offset.Shape, want)
		}
		if m := c.Arg(4); m != nil && !slices.Equal(m.Shape, append([]int64{x.Shape[0], groups * taps}, k.window.out...)) {
			return inputErrorf("a mask of shape %v for offsets of shape %v", m.Shape, offset.Shape)
		}
		if b := c.Arg(3); b != nil && int64(b.Len()) != weight.Shape[0] {
			return inputErrorf("%d biases for %d output channels", b.Len(), weight.Shape[0])
		}
		var v [5][]float64
		for i, t := range []*graph.Tensor{x, weight, offset, c.Arg(3), c.Arg(4)} {
			if t != nil {
				if v[i], err = t.Float64s(); err != nil {
					return err
				}
			}
		}
		out, err := c.New(0, x.DType, k.out...)
		if err != nil {
			return err
		}
		y := make([]float64, out.Len())
		if err := deformed(c, k, int(groups), int(taps), y, v); err != nil {
			return err
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8}, 1, 1, 3, 3)
		w := graph.Floats([]float32{1, 1, 1, 1}, 1, 1, 2, 2)
		offset := make([]float32, 8*4)
		offset[0] = 0.5   // the first tap of the first place, half a row down
		offset[1*4] = -.1 // and a tenth of a column to the left, where nothing is
		return []Case{{
			Name: "first tap moved",
			In:   []*graph.Tensor{x, w, graph.Floats(offset, 1, 8, 2, 2), graph.Floats([]float32{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{10.35, 13, 21, 25}, 1, 1, 2, 2)},
			Tol:  1e-6,
		}}
	},
}

// deformed fills y; v holds X, W, the offsets, the biases and the mask.
func deformed(c *Call, k *convolution, groups, taps int, y []float64, v [5][]float64) error {
	h, w := int(k.in[0]), int(k.in[1])
	perGroup, features := k.channels/k.group, k.features/k.group
	columns := make([]float64, k.channels*taps) // what the kernel covers at one place
	for n := range k.batch {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		k.positions(func(p int, origin []int64) {
			for i := range columns {
				ch, tap := i/taps, i%taps
				g := (n*groups+ch/(k.channels/groups))*taps + tap
				row := float64(origin[0]+int64(tap)/k.kernel[1]*k.dilation[0]) + v[2][2*g*k.places+p]
				col := float64(origin[1]+int64(tap)%k.kernel[1]*k.dilation[1]) + v[2][(2*g+1)*k.places+p]
				columns[i] = bilinear(v[0][(n*k.channels+ch)*h*w:][:h*w], h, w, row, col)
				if v[4] != nil {
					columns[i] *= v[4][g*k.places+p]
				}
			}
			for f := range k.features {
				sum := 0.0
				if v[3] != nil {
					sum = v[3][f]
				}
				from := columns[f/features*perGroup*taps:]
				for i, e := range v[1][f*perGroup*taps:][:perGroup*taps] {
					sum += float64(e * from[i])
				}
				y[(n*k.features+f)*k.places+p] = sum
			}
		})
	}
	return nil
}

// bilinear samples an image between its elements; outside it is 0.
func bilinear(image []float64, h, w int, row, col float64) float64 {
	if !(row > -1 && row < float64(h) && col > -1 && col < float64(w)) {
		return 0
	}
	r, q := int(math.Floor(row)), int(math.Floor(col))
	tr, tc := row-float64(r), col-float64(q)
	at := func(r, q int) float64 {
		if r < 0 || r >= h || q < 0 || q >= w {
			return 0
		}
		return image[r*w+q]
	}
	return float64((1-tr)*(float64((1-tc)*at(r, q))+float64(tc*at(r, q+1)))) + float64(tr*(float64((1-tc)*at(r+1, q))+float64(tc*at(r+1, q+1))))
}
