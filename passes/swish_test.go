package passes

import "testing"

func TestSwish(t *testing.T) {
	const x = `input %x: float32[n, 4] input %z: float32[n, 4] input %row: float32[4] `
	check(t, swish, []rewriting{
		{name: "x first", text: x + `%s = Sigmoid-13(%x) %y = Mul-14(%x, %s) output %y`, want: "Swish"},
		{name: "x last", text: x + `%s = Sigmoid-13(%x) %y = Mul-14(%s, %x) output %y`, want: "Swish"},
		{name: "float16", text: `input %x: float16[n] %s = Sigmoid-13(%x) %y = Mul-14(%x, %s) output %y`, want: "Swish"},
		{name: "two of one value", text: x + `%s = Sigmoid-13(%x) %y = Mul-14(%x, %s) %w = Mul-14(%s, %x) output %y output %w`, want: "Swish Swish"},
		{name: "the sigmoid is read elsewhere", text: x + `%s = Sigmoid-13(%x) %y = Mul-14(%x, %s) output %y output %s`, want: "Sigmoid Swish"},
		{name: "SwiGLU", text: x + `%s = Sigmoid-13(%x) %g = Mul-14(%x, %s) %y = Mul-14(%g, %z) output %y`, want: "Swish Mul"},
		{name: "another value's sigmoid", text: x + `%s = Sigmoid-13(%z) %y = Mul-14(%x, %s) output %y`},
		{name: "a row's sigmoid", text: x + `%s = Sigmoid-13(%row) %y = Mul-14(%x, %s) output %y`},
		{name: "a sum", text: x + `%s = Sigmoid-13(%x) %y = Add-14(%x, %s) output %y`},
		{name: "tanh", text: x + `%s = Tanh-13(%x) %y = Mul-14(%x, %s) output %y`},
		{name: "the sigmoid's square", text: x + `%s = Sigmoid-13(%x) %y = Mul-14(%s, %s) output %y`},
	})
}
