package op

import (
	"math"

	"mnnconv/graph"
)

// Multinomial is ONNX Multinomial.
var Multinomial = &Op{
	Name: "Multinomial", Since: 7,
	Doc: "sample_size classes for every row of input [batch, classes], the logarithms of their probabilities but for a constant; int32 (default) or int64; " +
		"the same ones in each call only with a seed.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"dtype", "sample_size", "seed"},
	Random: true,
	Infer: func(in *Inference) error {
		s, err := in.ranked(0, 2)
		if err != nil {
			return err
		}
		d, n, err := multinomialOf(in.Node)
		if err != nil {
			return err
		}
		in.SetTensor(0, d, nil)
		if s != nil {
			in.SetTensor(0, d, graph.Shape{s[0], graph.Const(n)})
		}
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		d, n, err := multinomialOf(c.Node)
		if err != nil {
			return err
		}
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if len(x.Shape) != 2 || x.Shape[1] < 1 {
			return inputErrorf("input has shape %v, want [batch, classes]", x.Shape)
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, d, x.Shape[0], n)
		if err != nil {
			return err
		}
		r, classes := generator(c.Node), int(x.Shape[1])
		y := make([]int64, out.Len())
		for i := range y {
			// The largest of logits with Gumbel noise is a sample of their softmax.
			best := math.Inf(-1)
			for class, logit := range v[i/int(n)*classes:][:classes] {
				if g := logit - math.Log(-math.Log(r.Float64())); g > best {
					best, y[i] = g, int64(class)
				}
			}
		}
		return storeInts(out, y)
	},
	Cases: func() []Case {
		none := float32(math.Inf(-1))
		return []Case{{
			Name: "certain", Attrs: []graph.Attr{{Name: "sample_size", Value: int64(2)}},
			In:   []*graph.Tensor{graph.Floats([]float32{none, 5, 0, none}, 2, 2)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{1, 1, 0, 0}, 2, 2)},
		}}
	},
}

func multinomialOf(n *graph.Node) (graph.DType, int64, error) {
	d, err := dtypeAttr(n, "dtype")
	if d == graph.Undefined {
		d = graph.Int32
	}
	size := n.Int("sample_size", 1)
	if err == nil && (size < 0 || d != graph.Int32 && d != graph.Int64) {
		err = inputErrorf("%d samples of %s", size, d)
	}
	return d, size, err
}
