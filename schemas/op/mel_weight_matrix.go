package op

import (
	"math"

	"mnnconv/graph"
)

// MelWeightMatrix is ONNX MelWeightMatrix.
var MelWeightMatrix = &Op{
	Name: "MelWeightMatrix", Since: 17,
	Doc: "The weights [dft_length/2 + 1, num_mel_bins] with which a spectrum becomes mel bins: triangles between num_mel_bins + 2 edges that lie evenly on the mel scale " +
		"2595·log10(1 + f/700) from lower_edge_hertz on, each edge the bin ⌊(dft_length + 1)·f/sample_rate⌋.",
	Inputs:  []string{"num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz"},
	Outputs: []string{"output"}, Attrs: []string{"output_datatype"},
	Infer: func(in *Inference) error {
		d, err := windowType(in.Node)
		if err != nil {
			return err
		}
		s := in.FreshShape("mel", 2)
		if v, ok := in.Elements(0); ok && len(v) == 1 {
			s[1] = v[0]
		}
		if v, ok := in.Elements(1); ok && len(v) == 1 {
			s[0] = v[0].Div(graph.Const(2)).Add(graph.Const(1))
		}
		in.SetTensor(0, d, s)
		return nil
	},
	Eval: func(c *Call) error {
		d, err := windowType(c.Node)
		if err != nil {
			return err
		}
		if !isReal(d) && !isInteger(d) {
			return undefinedFor(d)
		}
		var sizes [3]int64
		for i := range sizes {
			if sizes[i], err = c.one(i, 0); err != nil {
				return err
			}
		}
		var hertz [2]float64
		for i := range hertz {
			v, err := c.Arg(3 + i).Float64s()
			if err != nil || len(v) != 1 {
				return inputErrorf("edge %d is %s, want one number", i, c.Arg(3+i).Type())
			}
			hertz[i] = v[0]
		}
		bins, length, rate := sizes[0], sizes[1], sizes[2]
		if bins < 0 || bins > 1<<20 || length < 0 || length > 1<<30 || rate < 1 {
			return inputErrorf("%d bins of a transform of %d at %d samples a second", bins, length, rate)
		}
		out, err := c.New(0, d, length/2+1, bins)
		if err != nil {
			return err
		}
		mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
		step := (mel(hertz[1]) - mel(hertz[0])) / float64(bins+2)
		edge := make([]int64, bins+2)
		for i := range edge {
			f := 700 * (math.Pow(10, (float64(float64(i)*step)+mel(hertz[0]))/2595) - 1)
			e := math.Floor(float64(length+1) * f / float64(rate))
			if !(e >= 0 && e <= float64(length/2)) {
				return inputErrorf("the edge at %v Hz is no bin of a transform of %d at %d samples a second", f, length, rate)
			}
			edge[i] = int64(e)
		}
		y := make([]float64, out.Len())
		for i := range bins {
			low, centre, high := edge[i], edge[i+1], edge[i+2]
			if low == centre {
				y[centre*bins+i] = 1
			}
			for k := low; k <= centre && low < centre; k++ {
				y[k*bins+i] = float64(k-low) / float64(centre-low)
			}
			for k := centre; k < high; k++ {
				y[k*bins+i] = float64(high-k) / float64(high-centre)
			}
		}
		return storeNumbers(out, y)
	},
	Cases: func() []Case {
		hertz := func(v float32) *graph.Tensor { return graph.Floats([]float32{v}).Reshape() }
		return []Case{{
			Name: "two bins",
			In:   []*graph.Tensor{graph.Scalar(2), graph.Scalar(8), graph.Scalar(8), hertz(0), hertz(3)},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 1, 0, 0.5, 0, 0, 0, 0, 0, 0}, 5, 2)},
			Tol:  1,
		}}
	},
}
