package passes

import "testing"

func TestGelu(t *testing.T) {
	const (
		x    = `input %x: float32[n, 4] const %root = float32[] {1.4142135} const %inverse = float32[] {0.70710677} const %one = float32[] {1} const %half = float32[] {0.5} `
		erf  = `%d = Div-14(%x, %root) %e = Erf-13(%d) %p = Add-14(%e, %one) `
		tail = ` output %y`
	)
	check(t, gelu, []rewriting{
		{name: "half at the end", text: x + erf + `%m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail, want: "Gelu"},
		{name: "half at x", text: x + erf + `%h = Mul-14(%half, %x) %y = Mul-14(%h, %p)` + tail, want: "Gelu"},
		{name: "half at the sum", text: x + erf + `%h = Mul-14(%p, %half) %y = Mul-14(%x, %h)` + tail, want: "Gelu"},
		{
			name: "multiplied by the inverse root",
			text: x + `%d = Mul-14(%inverse, %x) %e = Erf-13(%d) %p = Add-14(%one, %e) %m = Mul-14(%p, %x) %y = Mul-14(%m, %half)` + tail, want: "Gelu",
		},
		{
			name: "float16",
			text: `input %x: float16[n] const %root = float16[] {1.4142135} const %one = float16[] {1} const %half = float16[] {0.5} ` +
				erf + `%m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail, want: "Gelu",
		},
		{name: "what it computes on the way is read elsewhere", text: x + erf + `%m = Mul-14(%x, %p) %y = Mul-14(%m, %half) output %e` + tail, want: "Div Erf Gelu"},

		{name: "another root", text: x + `const %r = float32[] {1.5} %d = Div-14(%x, %r) %e = Erf-13(%d) %p = Add-14(%e, %one) %m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail},
		{name: "multiplied by the root", text: x + `%d = Mul-14(%x, %root) %e = Erf-13(%d) %p = Add-14(%e, %one) %m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail},
		{name: "divided by the inverse", text: x + `%d = Div-14(%x, %inverse) %e = Erf-13(%d) %p = Add-14(%e, %one) %m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail},
		{name: "root over x", text: x + `%d = Div-14(%root, %x) %e = Erf-13(%d) %p = Add-14(%e, %one) %m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail},
		{name: "a third", text: x + `const %t = float32[] {0.33333334} ` + erf + `%m = Mul-14(%x, %p) %y = Mul-14(%m, %t)` + tail},
		{name: "no half", text: x + erf + `%m = Mul-14(%x, %p) %y = Neg-13(%m)` + tail},
		{name: "two in place of one", text: x + `const %two = float32[] {2} %d = Div-14(%x, %root) %e = Erf-13(%d) %p = Add-14(%e, %two) %m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail},
		{name: "another value's erf", text: x + `input %z: float32[n, 4] %d = Div-14(%z, %root) %e = Erf-13(%d) %p = Add-14(%e, %one) %m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail},
		{name: "tanh in place of erf", text: x + `%d = Div-14(%x, %root) %e = Tanh-13(%d) %p = Add-14(%e, %one) %m = Mul-14(%x, %p) %y = Mul-14(%m, %half)` + tail},
		{name: "a half of more axes", text: x + `const %deep = float32[1, 1, 1] {0.5} ` + erf + `%m = Mul-14(%x, %p) %y = Mul-14(%m, %deep)` + tail},
		{name: "halves of several elements", text: x + `const %many = float32[4] {0.5, 0.5, 0.5, 0.5} ` + erf + `%m = Mul-14(%x, %p) %y = Mul-14(%m, %many)` + tail},
	})
}
