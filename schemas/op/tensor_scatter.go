package op

import (
	"fmt"

	"mnnconv/graph"
)

// TensorScatter is ONNX TensorScatter.
var TensorScatter = &Op{
	Name: "TensorScatter", Since: 24,
	Doc: "past_cache with update written, for each sample b of the leading axis, from write_indices[b] (default 0) on along axis " +
		"(default -2); mode linear must fit, circular goes round.",
	Inputs: []string{"past_cache", "update", "write_indices?"}, Outputs: []string{"present_cache"}, Attrs: []string{"axis", "mode"},
	Infer: func(in *Inference) error {
		d, err := in.commonDType(0, 1)
		if err != nil {
			return err
		}
		past, update, at := in.Type(0).Shape, in.Type(1).Shape, in.Type(2).Shape
		shape := past
		if past.Ranked() {
			shape = append(graph.Shape{}, past...)
		}
		if past.Ranked() && update.Ranked() {
			if len(past) != len(update) {
				return in.Errorf("past_cache and update have shapes %s and %s", past, update)
			}
			axis, err := sequenceAxis(in.Node, len(past))
			if err != nil {
				return err
			}
			for i := range past {
				if n, ok := past[i].Sub(update[i]).Int(); i == axis && ok && n < 0 {
					return in.Errorf("update %s is longer than past_cache %s", update, past)
				} else if i == axis {
					continue
				}
				if shape[i], err = in.agree("past_cache and update", past[i], update[i]); err != nil {
					return err
				}
			}
		}
		if past.Ranked() && at.Ranked() && len(past) > 0 {
			if len(at) != 1 {
				return in.Errorf("write_indices has shape %s, want one index a sample", at)
			}
			if shape[0], err = in.agree("samples and write_indices", shape[0], at[0]); err != nil {
				return err
			}
		}
		in.SetTensor(0, d, shape)
		return nil
	},
	Eval:  evalTensorScatter,
	Reads: noReads,
	Cases: func() []Case {
		past := graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 3, 2)
		token := graph.Floats([]float32{-1, -2, -3, -4}, 2, 1, 2)
		circular := graph.Attr{Name: "mode", Value: "circular"}
		return []Case{{
			Name: "one token each", In: []*graph.Tensor{past, token, graph.Ints([]int64{2, 0})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, -1, -2, -3, -4, 9, 10, 11, 12}, 2, 3, 2)},
		}, {
			Name: "from the start", In: []*graph.Tensor{past, token},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, -2, 3, 4, 5, 6, -3, -4, 9, 10, 11, 12}, 2, 3, 2)},
		}, {
			Name: "going round", Attrs: []graph.Attr{circular},
			In:   []*graph.Tensor{past.Reshape(1, 6, 2), graph.Floats([]float32{-1, -2, -3, -4}, 1, 2, 2), graph.Ints([]int64{11})},
			Want: []*graph.Tensor{graph.Floats([]float32{-3, -4, 3, 4, 5, 6, 7, 8, 9, 10, -1, -2}, 1, 6, 2)},
		}, {
			Name: "last axis, halves", Attrs: []graph.Attr{{Name: "axis", Value: int64(-1)}},
			In: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{1, 2, 3, 4}, 1, 2, 2),
				graph.FromSlice(graph.Float16, []uint16{8, 9}, 1, 2, 1), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{1, 8, 3, 9}, 1, 2, 2)},
		}, {
			Name: "nothing new", In: []*graph.Tensor{past, graph.Floats(nil, 2, 0, 2), graph.Ints([]int64{3, 3})}, Want: []*graph.Tensor{past},
		}}
	},
}

func evalTensorScatter(c *Call) error {
	past, update := c.Arg(0), c.Arg(1)
	axis, err := sequenceAxis(c.Node, len(past.Shape))
	if err != nil {
		return err
	}
	same := len(past.Shape) == len(update.Shape)
	for i := 0; same && i < len(past.Shape); i++ {
		same = past.Shape[i] == update.Shape[i] || i == axis && update.Shape[i] < past.Shape[i]
	}
	if !same {
		return inputErrorf("update of shape %v does not fit past_cache of shape %v", update.Shape, past.Shape)
	}
	capacity, length := past.Shape[axis], update.Shape[axis]
	at, err := writeIndices(c, past.Shape[0], capacity, length)
	if err != nil {
		return err
	}
	m, err := c.moveTo(0, past, past.Shape...)
	if err != nil {
		return err
	}
	m.all()
	if m, err = newMover(m.dst, update); err != nil || update.Len() == 0 {
		return err
	}
	outer, run := count(past.Shape[1:axis]), count(past.Shape[axis+1:])
	for i := range int(past.Shape[0]) * outer {
		for s := range int(length) {
			to := s
			if at != nil {
				to = int((at[i/outer] + int64(s)) % capacity)
			}
			m.copy((i*int(capacity)+to)*run, (i*int(length)+s)*run, run)
		}
	}
	return nil
}

// writeIndices returns where each sample's update starts, below the capacity
// unless nothing is written; nil: at 0.
func writeIndices(c *Call, samples, capacity, length int64) ([]int64, error) {
	if c.Arg(2) == nil {
		return nil, nil
	}
	at, err := c.Arg(2).Int64s()
	if err != nil {
		return nil, err
	}
	if len(c.Arg(2).Shape) != 1 || int64(len(at)) != samples {
		return nil, inputErrorf("write_indices of shape %v for %d samples", c.Arg(2).Shape, samples)
	}
	mode := c.Node.Str("mode", "linear")
	if mode != "linear" && mode != "circular" {
		return nil, fmt.Errorf("mode %q is %w", mode, ErrUnsupported)
	}
	for i, n := range at {
		if n < 0 || mode == "linear" && n > capacity-length {
			return nil, inputErrorf("sample %d: %d rows at write index %d of a capacity of %d", i, length, n, capacity)
		}
		if capacity > 0 {
			at[i] = n % capacity
		}
	}
	return at, nil
}

// sequenceAxis returns the axis that a TensorScatter node writes along, which is
// not the batch axis.
func sequenceAxis(n *graph.Node, rank int) (int, error) {
	axis, err := resolveAxis(n.Int("axis", -2), rank)
	if err == nil && axis == 0 {
		err = inputErrorf("axis 0 is the batch axis")
	}
	return axis, err
}
