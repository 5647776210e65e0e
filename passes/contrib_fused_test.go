package passes

import "testing"

func TestContribFused(t *testing.T) {
	const (
		x    = `input %x: float32[rows, 4] `
		conv = `input %x: float32[n, 1, 4] const %w = float32[1, 1, 2] {1, -1} const %b = float32[1] {0.5} `
		w8   = `const %w = int8[4, 2] {1, -2, 3, 4, -5, 6, 7, 8} const %s = float32[2] {0.5, 0.25} const %b = float32[2] {1, -1} `
		ms   = `com.microsoft::`
	)
	check(t, contribFused, []rewriting{
		{name: "Swish", text: x + `%y = ` + ms + `QuickGelu-1(%x) {alpha = 1.0} output %y`, want: "Swish"},
		{name: "Swish of 1.702", text: x + `%y = ` + ms + `QuickGelu-1(%x) output %y`, want: "Swish"},
		{name: "Gelu", text: x + `%y = ` + ms + `Gelu-1(%x) output %y`, want: "Gelu"},
		{name: "Gelu of a sum", text: x + `const %b = float32[4] {1, 2, 3, 4} %y = ` + ms + `BiasGelu-1(%x, %b) output %y`, want: "Add Gelu"},
		{name: "Gelu by tanh", text: x + `%y = ` + ms + `FastGelu-1(%x) output %y`, want: "Gelu"},
		{name: "Conv and Relu", text: conv + `%y = ` + ms + `FusedConv-1(%x, %w, %b) {activation = "Relu"} output %y`, want: "Conv Relu"},
		{name: "Conv, addend, Clip", text: conv + `input %z: float32[n, 1, 3] %y = ` + ms + `FusedConv-1(%x, %w, %b, %z) {activation = "Clip", activation_params = [-0.5, 1.5]} output %y`,
			want: "Conv Add CastLike CastLike Clip"},
		{name: "Gemm and LeakyRelu", text: x + `const %w = float32[4, 2] {1, -2, 3, 4, -5, 6, 7, 8} %y = ` + ms + `FusedGemm-1(%x, %w) {activation = "LeakyRelu", activation_alpha = 0.25, alpha = 0.5} output %y`,
			want: "Gemm LeakyRelu"},
		{name: "dynamic quantisation", text: x + w8 + `%y = ` + ms + `DynamicQuantizeMatMul-1(%x, %w, %s, _, %b) output %y`,
			want: "DynamicQuantizeLinear MatMulInteger Cast Mul Mul Add"},
		{name: "integers", text: x + w8 + `%q, %a, %z = DynamicQuantizeLinear-11(%x) %y = ` + ms + `MatMulIntegerToFloat-1(%q, %w, %a, %s, %z) output %y`,
			want: "DynamicQuantizeLinear MatMulInteger Cast Mul Mul"},
		{name: "other operators stay", text: x + `%y = ` + ms + `Gelu-1(%x) %u = Gelu-20(%x) output %y output %u`, want: "Gelu Gelu"},
	})
}
