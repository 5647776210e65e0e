package op

import "mnnconv/graph"

// ReverseSequence is ONNX ReverseSequence.
var ReverseSequence = &Op{
	Name: "ReverseSequence", Since: 10,
	Doc:    "For each i along batch_axis (default 1), the first sequence_lens[i] elements along time_axis (default 0) in reverse order.",
	Inputs: []string{"input", "sequence_lens"}, Outputs: []string{"Y"}, Attrs: []string{"batch_axis", "time_axis"},
	Infer: func(in *Inference) error {
		if s := in.Type(0).Shape; s.Ranked() {
			if len(s) < 2 {
				return in.Errorf("input has shape %s, want at least rank 2", s)
			}
			if _, _, err := reverseAxes(in.Node); err != nil {
				return err
			}
		}
		return sameShape(in)
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		batch, time, err := reverseAxes(c.Node)
		if err != nil {
			return err
		}
		if len(x.Shape) < 2 {
			return inputErrorf("input has shape %v, want at least rank 2", x.Shape)
		}
		lengths, err := c.Arg(1).Int64s()
		if err != nil {
			return err
		}
		if int64(len(lengths)) != x.Shape[batch] {
			return inputErrorf("%d lengths for a batch of %d", len(lengths), x.Shape[batch])
		}
		for _, n := range lengths {
			if n < 0 || n > x.Shape[time] {
				return inputErrorf("a length of %d of %d", n, x.Shape[time])
			}
		}
		m, err := c.moveTo(0, x, x.Shape...)
		if err != nil || m.dst.Len() == 0 {
			return err
		}
		strides, run := rowStrides(x.Shape), count(x.Shape[2:])
		for b, n := range lengths {
			for t := range x.Shape[time] {
				from := t
				if t < n {
					from = n - 1 - t
				}
				m.copy(b*strides[batch]+int(t)*strides[time], b*strides[batch]+int(from)*strides[time], run)
			}
		}
		return nil
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}, 4, 4)
		return []Case{{
			Name: "example 1", In: []*graph.Tensor{x, graph.Ints([]int64{4, 3, 2, 1})},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 6, 9, 12, 2, 5, 8, 13, 1, 4, 10, 14, 0, 7, 11, 15}, 4, 4)},
		}, {
			Name: "batch first", Attrs: []graph.Attr{{Name: "batch_axis", Value: int64(0)}, {Name: "time_axis", Value: int64(1)}},
			In:   []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2), graph.Ints([]int64{2, 0})},
			Want: []*graph.Tensor{graph.Ints([]int64{3, 4, 1, 2, 5, 6, 7, 8}, 2, 2, 2)},
		}}
	},
}

// reverseAxes returns the batch and time axes: 0 and 1, either way round.
func reverseAxes(n *graph.Node) (batch, time int64, err error) {
	batch, time = n.Int("batch_axis", 1), n.Int("time_axis", 0)
	if batch+time != 1 || batch*time != 0 {
		return 0, 0, inputErrorf("batch_axis is %d and time_axis %d, want 0 and 1", batch, time)
	}
	return batch, time, nil
}
