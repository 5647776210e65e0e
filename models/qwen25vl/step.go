package qwen25vl

import (
	"slices"

	"mnnconv/graph"
)

// fill makes the inputs of the extend phase, aligned with its graph's (nil for
// states), for a prompt whose first token is number past of the conversation.
func (x *extend) fill(p *Prompt, past int) ([]*graph.Tensor, error) {
	n := int64(len(p.IDs))
	step := make([]int64, 0, stepRows*n)
	for _, id := range p.IDs {
		step = append(step, int64(id))
	}
	for _, axis := range p.positions {
		step = append(step, axis...)
	}
	for i := range n {
		step = append(step, int64(past)+i)
	}
	at := make([]int64, 0, 2*len(p.rowsAt))
	for _, t := range p.rowsAt {
		at = append(at, 0, t)
	}
	image, err := x.rows(p.rows)
	if err != nil {
		return nil, err
	}
	var embeds *graph.Tensor
	if image != nil && named(x.graph.Inputs, inEmbeds) != nil {
		embeds = image.Reshape(1, n, x.width)
	}
	return x.align(map[string]*graph.Tensor{
		inEmbeds: embeds,
		inStep:   graph.Ints(step, stepRows, 1, n),
		inRowsAt: graph.Ints(at, int64(len(p.rowsAt)), 2),
		inRows:   image,
	}), nil
}

// align orders tensors as the graph's inputs are.
func (x *extend) align(named map[string]*graph.Tensor) []*graph.Tensor {
	ins := make([]*graph.Tensor, len(x.graph.Inputs))
	for i, v := range x.graph.Inputs {
		ins[i] = named[v.Name]
	}
	return ins
}

// rows gives image rows the decoder's dtype; none are an empty tensor.
func (x *extend) rows(t *graph.Tensor) (*graph.Tensor, error) {
	in := named(x.graph.Inputs, inRows)
	if in == nil {
		in = named(x.graph.Inputs, inEmbeds)
	}
	switch {
	case in == nil || t != nil && t.DType == in.Type.DType:
		return t, nil
	case t == nil:
		return &graph.Tensor{DType: in.Type.DType, Shape: []int64{0, x.width}}, nil
	}
	f, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	out, err := graph.NewTensor(in.Type.DType, t.Shape...)
	if err != nil {
		return nil, err
	}
	return out, out.SetFloat32s(f)
}

// step is the inputs of one decode step, rewritten in place.
type step struct {
	ins    []*graph.Tensor
	values []int64
	tokens int // of one sequence, or sequences of one token
}

// newSteps makes the inputs of a step of one token of each of n sequences.
func (x *extend) newSteps(n int) *step {
	s := x.newStep(n)
	s.ins = slices.Clone(s.ins)
	for i, v := range x.graph.Inputs {
		if v.Name == inStep {
			s.ins[i] = s.ins[i].Reshape(stepRows, int64(n), 1)
		}
	}
	return s
}

// row makes sequence i of the step that of a token.
func (s *step) row(i int, id int32, past int, position int64) {
	s.values[stepIDs*s.tokens+i] = int64(id)
	for a := range 3 {
		s.values[(stepPositions+a)*s.tokens+i] = position
	}
	s.values[stepIndex*s.tokens+i] = int64(past)
}

// newStep makes the inputs of a step of n tokens.
func (x *extend) newStep(n int) *step {
	t := graph.Ints(make([]int64, stepRows*n), stepRows, 1, int64(n))
	none, _ := x.rows(nil) // nothing to convert
	return &step{values: graph.View[int64](t), tokens: n, ins: x.align(map[string]*graph.Tensor{inStep: t, inRowsAt: graph.Ints(nil, 0, 2), inRows: none})}
}

// set makes it the step of a token that is number past of the conversation, and of
// the draft behind it.
func (s *step) set(id int32, draft []int32, past int, position int64) {
	for i := range s.tokens {
		if i > 0 {
			id = draft[i-1]
		}
		s.row(i, id, past+i, position+int64(i))
	}
}
