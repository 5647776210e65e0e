package gpu

import (
	"fmt"
	"maps"
	"slices"

	"mnnconv/graph"
)

// Operators lists the operators that there are kernels for, by domain-qualified name.
// Supports says which forms of them.
func Operators() []string {
	out := []string{
		"ArgMax", "ArgMin", "Attention", "Cast", "Clip", "Concat", "Conv", "DequantizeLinear", "Expand", "Flatten", "Gather", "GatherND", "Gemm",
		"Identity", "LayerNormalization", "LogSoftmax", "MatMul", "RMSNormalization", "Reshape", "RotaryEmbedding", "ScatterND", "Slice", "Softmax",
		"Split", "Squeeze", "TensorScatter", "Tile", "TopK", "Transpose", "Unsqueeze", "Where",
		"com.microsoft.FusedMatMul", "com.microsoft.GatherBlockQuantized", "com.microsoft.MatMulNBits", "mnnconv.SegmentedAttention",
	}
	out = slices.AppendSeq(out, maps.Keys(binaries))
	out = slices.AppendSeq(out, maps.Keys(unaries))
	out = slices.AppendSeq(out, maps.Keys(reductions))
	slices.Sort(out)
	return out
}

// DTypes lists the types of results.
func DTypes() []string {
	var out []string
	for _, d := range []graph.DType{
		graph.Float32, graph.Float16, graph.BFloat16, graph.Int64, graph.Int32, graph.Int16, graph.Int8, graph.Uint32, graph.Uint16, graph.Uint8, graph.Bool,
	} {
		out = append(out, d.String())
	}
	return out
}

// UUID writes a device's UUID as profiles have it, whichever interface told it: so one
// GPU is known by one UUID.
func UUID(b [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
