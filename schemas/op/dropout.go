package op

import (
	"fmt"

	"mnnconv/graph"
)

// Dropout is ONNX Dropout as it acts outside training.
var Dropout = &Op{
	Name: "Dropout", Since: 7,
	Doc: "output = data and mask = all true (before opset 10: all 1 in the dtype of data). " +
		"Training is unsupported unless ratio is 0. The data is shared.",
	Inputs: []string{"data", "ratio?", "training_mode?"}, Outputs: []string{"output", "mask?"},
	Attrs: []string{"ratio", "seed"},
	Infer: func(in *Inference) error {
		t := in.Type(0)
		in.SetTensor(0, t.DType, t.Shape)
		if in.Node.Version >= 10 {
			t.DType = graph.Bool
		}
		in.SetTensor(1, t.DType, t.Shape)
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if mode := c.Arg(2); mode != nil {
			v, err := mode.Int64s()
			if err != nil || len(v) != 1 {
				return inputErrorf("training_mode has type %s, want a bool", mode.Type())
			}
			if v[0] != 0 && !dropsNothing(c.Arg(1)) {
				return fmt.Errorf("training_mode is true: %w", ErrUnsupported)
			}
		}
		c.Set(0, x)
		if c.Node.Out(1) == nil {
			return nil
		}
		d := x.DType
		if c.Node.Version >= 10 {
			d = graph.Bool
		}
		mask, err := c.New(1, d, x.Shape...)
		if err != nil {
			return err
		}
		if d == graph.Bool {
			for i := range mask.Data {
				mask.Data[i] = 1
			}
			return nil
		}
		ones := make([]float32, mask.Len())
		for i := range ones {
			ones[i] = 1
		}
		return mask.SetFloat32s(ones)
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, -2}, 2, 1)
		return []Case{{
			Name: "no mask",
			In:   []*graph.Tensor{x, graph.Floats([]float32{0.9}, []int64{}...)},
			Want: []*graph.Tensor{x},
		}, {
			Name: "mask",
			In:   []*graph.Tensor{x, nil, bools([]bool{false}, []int64{}...)},
			Want: []*graph.Tensor{x, bools([]bool{true, true}, 2, 1)},
		}, {
			Name: "training with ratio 0",
			In:   []*graph.Tensor{x, graph.Floats([]float32{0}, []int64{}...), bools([]bool{true}, []int64{}...)},
			Want: []*graph.Tensor{x},
		}, {
			Name: "mask of opset 7", Version: 7,
			Attrs: []graph.Attr{{Name: "ratio", Value: float32(0.5)}},
			In:    []*graph.Tensor{x},
			Want:  []*graph.Tensor{x, graph.Floats([]float32{1, 1}, 2, 1)},
		}}
	},
}

func dropsNothing(ratio *graph.Tensor) bool {
	if ratio == nil {
		return false
	}
	v, err := ratio.Float32s()
	return err == nil && len(v) == 1 && v[0] == 0
}
