package passes

import (
	"math"
	"testing"

	"mnnconv/graph"
)

// TestAngles computes angles in float32 that a narrow type could not hold.
func TestAngles(t *testing.T) {
	const text = `
		input %positions: int64[1, tokens] const %frequency = float16[2] {1, 0.25} const %axes = int64[1] {2}
		%p = Unsqueeze-17(%positions, %axes) %f = Cast-17(%p) {to = 10} %m = Mul-17(%f, %frequency) %angles = Concat-17(%m, %m) {axis = -1}
		%cos = Cos-17(%angles) %sin = Sin-17(%angles) output %cos output %sin`
	after, _ := rewrite(t, parse(t, text), Knowledge{}, angles)
	in := map[string]*graph.Tensor{"positions": graph.Ints([]int64{3, 4097, 70_001}, 1, 3)}
	outs := compute(t, after, in)
	for o, f := range []func(float64) float64{math.Cos, math.Sin} {
		if outs[o].DType != graph.Float16 {
			t.Fatalf("output %d is %s", o, outs[o].Type())
		}
		got, err := outs[o].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range []float64{3, 4097, 70_001} {
			for k, frequency := range []float64{1, 0.25, 1, 0.25} {
				if want := f(p * frequency); math.Abs(float64(got[4*i+k])-want) > 1e-3 {
					t.Errorf("output %d at position %g·%g is %g, want %g", o, p, frequency, got[4*i+k], want)
				}
			}
		}
	}
	for name, c := range map[string]string{
		"float32":             `input %positions: int64[tokens] %f = Cast-17(%positions) {to = 1} %y = Cos-17(%f) output %y`,
		"an input of numbers": `input %x: float16[tokens] %y = Cos-17(%x) output %y`,
		"a nonlinear step":    `input %positions: int64[tokens] %f = Cast-17(%positions) {to = 10} %e = Exp-17(%f) %y = Cos-17(%e) output %y`,
	} {
		before := parse(t, c)
		if after, _ := rewrite(t, before, Knowledge{}, angles); operators(after) != operators(before) {
			t.Errorf("%s: %s", name, graph.Text(after))
		}
	}
}
