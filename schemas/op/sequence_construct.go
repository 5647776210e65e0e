package op

import "mnnconv/graph"

// SequenceConstruct is ONNX SequenceConstruct.
var SequenceConstruct = &Op{
	Name: "SequenceConstruct", Since: 11,
	Doc:    "A sequence of the inputs, which have one dtype.",
	Inputs: []string{"inputs..."}, Outputs: []string{"output_sequence"},
	Infer: func(in *Inference) error {
		e := in.Type(0)
		for i := range in.Node.Inputs {
			var err error
			if e, err = in.either(e, in.Type(i)); err != nil {
				return err
			}
		}
		in.Set(0, sequenceOf(e))
		return nil
	},
	Eval: func(c *Call) error {
		for i, t := range c.In {
			if t.DType != c.In[0].DType {
				return inputErrorf("input %d is %s, input 0 %s", i, t.DType, c.In[0].DType)
			}
		}
		c.Set(0, sequenceTensor(append([]*graph.Tensor{}, c.In...)...))
		return nil
	},
	Cases: func() []Case {
		a, b := graph.Ints([]int64{1, 2}), graph.Ints(nil, 0, 3)
		return []Case{
			{Name: "two shapes", In: []*graph.Tensor{a, b}, Want: []*graph.Tensor{sequenceTensor(a, b)}},
			{Name: "one", In: []*graph.Tensor{words("x")}, Want: []*graph.Tensor{sequenceTensor(words("x"))}},
		}
	},
}
