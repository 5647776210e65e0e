package op

import "mnnconv/graph"

// Constructors for tensors in Cases that graph has no short form for.

// narrow returns a float16, bfloat16 or float64 tensor of v, rounded.
func narrow(d graph.DType, v []float32, shape ...int64) *graph.Tensor {
	if shape == nil {
		shape = []int64{int64(len(v))}
	}
	t, err := graph.NewTensor(d, shape...)
	if err == nil {
		err = t.SetFloat32s(v)
	}
	if err != nil {
		panic("op: invariant: " + err.Error())
	}
	return t
}

// bools returns a bool tensor of v.
func bools(v []bool, shape ...int64) *graph.Tensor {
	b := make([]uint8, len(v))
	for i, x := range v {
		b[i] = bit(x)
	}
	return graph.FromSlice(graph.Bool, b, shape...)
}

// words returns a vector of strings.
func words(v ...string) *graph.Tensor {
	return &graph.Tensor{DType: graph.String, Shape: []int64{int64(len(v))}, Strings: v}
}
