package op

import "mnnconv/graph"

// isReal reports whether arithmetic on d is done in floating point.
func isReal(d graph.DType) bool {
	switch d {
	case graph.Float32, graph.Float64, graph.Float16, graph.BFloat16:
		return true
	}
	return false
}

// isInteger reports whether d is an integer type that arithmetic is defined on:
// packed ones are for storage only.
func isInteger(d graph.DType) bool { return d.IsInt() && d.Bits() >= 8 }

func isNumber(d graph.DType) bool { return isReal(d) || isInteger(d) }

func isBool(d graph.DType) bool { return d == graph.Bool }

// accept returns an error unless input i is absent or its dtype is unknown or
// one that ok admits.
func (in *Inference) accept(i int, ok func(graph.DType) bool) error {
	if t := in.Type(i); t.DType.Valid() && !ok(t.DType) {
		return in.Errorf("input %d is %s, which the operator is not defined for", i, t)
	}
	return nil
}

// only is Infer for operators all of whose inputs have a dtype that ok admits.
func only(ok func(graph.DType) bool, infer func(*Inference) error) func(*Inference) error {
	return func(in *Inference) error {
		for i := range in.Node.Inputs {
			if err := in.accept(i, ok); err != nil {
				return err
			}
		}
		return infer(in)
	}
}

// commonDType returns the dtype shared by the given inputs, Undefined where
// none of them is known.
func (in *Inference) commonDType(inputs ...int) (graph.DType, error) {
	common := graph.Undefined
	for _, i := range inputs {
		d := in.Type(i).DType
		if common.Valid() && d.Valid() && d != common {
			return d, in.Errorf("inputs have dtypes %s and %s", common, d)
		}
		if d.Valid() {
			common = d
		}
	}
	return common, nil
}
