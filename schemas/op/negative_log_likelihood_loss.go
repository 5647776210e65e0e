package op

import "mnnconv/graph"

// NegativeLogLikelihoodLoss is ONNX NegativeLogLikelihoodLoss.
var NegativeLogLikelihoodLoss = &Op{
	Name: "NegativeLogLikelihoodLoss", Since: 12,
	Doc: "loss[n, d...] = -weight[c]·input[n, c, d...] with c = target[n, d...], 0 where c is ignore_index; as it is (reduction none), summed up (sum), or " +
		"divided by the sum of the weights (mean, the default). Kept in float64 and rounded once.",
	Inputs: []string{"input", "target", "weight?"}, Outputs: []string{"loss"}, Attrs: []string{"ignore_index", "reduction"},
	Infer: func(in *Inference) error { return inferLoss(in, 0) },
	Eval: func(c *Call) error {
		if !isReal(c.Arg(0).DType) {
			return undefinedFor(c.Arg(0).DType)
		}
		v, err := c.Arg(0).Float64s()
		if err != nil {
			return err
		}
		return c.loss(v)
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{-1, -2, -3, -4, -5, -6}, 2, 3)
		target, weight := graph.Ints([]int64{2, 0}), graph.Floats([]float32{2, 1, 0.5})
		scalar := func(v float32) []*graph.Tensor { return []*graph.Tensor{graph.Floats([]float32{v}).Reshape()} }
		reduction := func(r string) graph.Attr { return graph.Attr{Name: "reduction", Value: r} }
		return []Case{
			{Name: "mean", In: []*graph.Tensor{x, target}, Want: scalar(3.5)},
			{Name: "weighted mean", In: []*graph.Tensor{x, target, weight}, Want: scalar(9.5 / 2.5)},
			{Name: "none", Attrs: []graph.Attr{reduction("none")}, In: []*graph.Tensor{x, target, weight}, Want: []*graph.Tensor{graph.Floats([]float32{1.5, 8})}},
			{
				Name: "sum, one ignored", Attrs: []graph.Attr{reduction("sum"), {Name: "ignore_index", Value: int64(-7)}},
				In: []*graph.Tensor{x, graph.Ints([]int64{-7, 1})}, Want: scalar(5),
			},
		}
	},
}

// inferLoss infers a loss of input 0 [N, C, d...] against input 1 [N, d...] as
// output i.
func inferLoss(in *Inference, i int) error {
	for _, k := range []int{0, 2} {
		if err := in.accept(k, isReal); err != nil {
			return err
		}
	}
	if err := in.accept(1, isInteger); err != nil {
		return err
	}
	s := graph.Shape{}
	switch in.Node.Str("reduction", "mean") {
	case "none":
		s = in.Type(1).Shape
	case "mean", "sum":
	default:
		return inputErrorf("reduction is %q", in.Node.Str("reduction", ""))
	}
	in.SetTensor(i, in.Type(0).DType, s)
	return nil
}

// loss sets output 0 to the loss of v, of input 0's shape, against input 1.
func (c *Call) loss(v []float64) error {
	x, target := c.Arg(0).Shape, c.Arg(1)
	if len(x) < 2 || len(target.Shape) != len(x)-1 {
		return inputErrorf("shape %v for targets of shape %v", x, target.Shape)
	}
	for i, n := range target.Shape {
		if from := min(i, 1) + i; i > 0 && x[i+1] != n || i == 0 && x[from] != n {
			return inputErrorf("shape %v for targets of shape %v", x, target.Shape)
		}
	}
	classes, err := target.Int64s()
	if err != nil {
		return err
	}
	weight := []float64{}
	if w := c.Arg(2); w != nil {
		if weight, err = w.Float64s(); err != nil {
			return err
		}
		if int64(len(weight)) != x[1] {
			return inputErrorf("%d weights for %d classes", len(weight), x[1])
		}
	}
	ignored, some := c.Node.Attr("ignore_index").(int64)
	each := make([]float64, len(classes))
	inner, sum, total := extent(x[2:]), 0.0, 0.0
	for i, class := range classes {
		if some && class == ignored {
			continue
		}
		if class < 0 || class >= x[1] {
			return inputErrorf("target %d of %d classes", class, x[1])
		}
		w := 1.0
		if c.Arg(2) != nil {
			w = weight[class]
		}
		each[i] = -w * v[(i/inner*int(x[1])+int(class))*inner+i%inner]
		sum += each[i]
		total += w
	}
	shape := []int64{}
	switch reduction := c.Node.Str("reduction", "mean"); reduction {
	case "none":
		shape = target.Shape
	case "sum":
		each = []float64{sum}
	case "mean":
		each = []float64{sum / total}
	default:
		return inputErrorf("reduction is %q", reduction)
	}
	out, err := c.New(0, c.Arg(0).DType, shape...)
	if err != nil {
		return err
	}
	return storeFloats(out, each)
}
