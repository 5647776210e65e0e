package op

import (
	"math"

	"mnnconv/graph"
)

// SoftmaxCrossEntropyLoss is ONNX SoftmaxCrossEntropyLoss.
var SoftmaxCrossEntropyLoss = &Op{
	Name: "SoftmaxCrossEntropyLoss", Since: 12,
	Doc: "log_prob is the logarithm of the softmax of scores [N, C, d...] along axis 1, and output the NegativeLogLikelihoodLoss of it against labels [N, d...]. " +
		"Kept in float64 and rounded once.",
	Inputs: []string{"scores", "labels", "weights?"}, Outputs: []string{"output", "log_prob?"}, Attrs: []string{"ignore_index", "reduction"},
	Infer: func(in *Inference) error {
		in.SetTensor(1, in.Type(0).DType, in.Type(0).Shape)
		return inferLoss(in, 0)
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if len(x.Shape) < 2 {
			return inputErrorf("scores have shape %v", x.Shape)
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		y := make([]float64, len(v))
		same := func(v float64) float64 { return v }
		normalizeGroups(y, v, int(x.Shape[1]), extent(x.Shape[2:]), same, func(group []float64) {
			sum := 0.0
			for _, v := range group {
				sum += math.Exp(v)
			}
			for i := range group {
				group[i] -= math.Log(sum)
			}
		})
		if c.Node.Out(1) != nil {
			out, err := c.New(1, x.DType, x.Shape...)
			if err != nil {
				return err
			}
			if err := storeFloats(out, y); err != nil {
				return err
			}
		}
		return c.loss(y)
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 1, 5, 5}, 2, 2)
		half := float32(math.Ln2)
		return []Case{{
			Name: "mean and log_prob",
			In:   []*graph.Tensor{x, graph.Ints([]int64{0, 1})},
			Want: []*graph.Tensor{graph.Floats([]float32{half}).Reshape(), graph.Floats([]float32{-half, -half, -half, -half}, 2, 2)},
			Tol:  1e-6,
		}, {
			Name: "none, weighted", Attrs: []graph.Attr{{Name: "reduction", Value: "none"}},
			In:   []*graph.Tensor{x, graph.Ints([]int64{0, 1}), graph.Floats([]float32{2, 0})},
			Want: []*graph.Tensor{graph.Floats([]float32{2 * half, 0})},
			Tol:  1e-6,
		}}
	},
}
