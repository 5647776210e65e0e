package op

import "mnnconv/graph"

// Bernoulli is ONNX Bernoulli.
var Bernoulli = &Op{
	Name: "Bernoulli", Since: 15,
	Doc:    "1 with the probability that input holds, else 0, in the dtype of the attribute or of input; the same ones in each call only with a seed.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"dtype", "seed"},
	Random: true,
	Infer: func(in *Inference) error {
		if err := in.accept(0, isReal); err != nil {
			return err
		}
		d, err := dtypeAttr(in.Node, "dtype")
		if d == graph.Undefined {
			d = in.Type(0).DType
		}
		in.SetTensor(0, d, in.Type(0).Shape)
		return err
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		d, err := dtypeAttr(c.Node, "dtype")
		if err != nil {
			return err
		}
		if d == graph.Undefined {
			d = x.DType
		}
		if !isNumber(d) && d != graph.Bool {
			return undefinedFor(d)
		}
		p, err := x.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, d, x.Shape...)
		if err != nil {
			return err
		}
		r, v := generator(c.Node), make([]float64, len(p))
		for i := range v {
			if r.Float64() < p[i] {
				v[i] = 1
			}
		}
		return storeNumbers(out, v)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "certain", Attrs: []graph.Attr{{Name: "dtype", Value: int64(graph.Int64)}},
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1})},
			Want: []*graph.Tensor{graph.Ints([]int64{0, 1})},
		}}
	},
}
