package passes

import (
	"testing"

	"mnnconv/graph"
)

func TestContribNorm(t *testing.T) {
	const (
		x    = `input %x: float32[batch, tokens, 4] input %s: float32[batch, tokens, 4] const %w = float32[4] {1, 0.5, 2, 1.5} const %b = float32[4] {0, 1, 0, -1} `
		half = `input %x: float16[tokens, 4] input %s: float16[tokens, 4] const %w = float16[4] {1, 0.5, 2, 1.5} `
		skip = `com.microsoft::SkipSimplifiedLayerNormalization-1`
	)
	check(t, contribNorm, []rewriting{{
		name: "in the default domain",
		text: x + `%y = SimplifiedLayerNormalization-1(%x, %w) {axis = -1, epsilon = 1e-6, stash_type = 1} output %y`,
		want: "RMSNormalization",
	}, {
		name: "in onnxruntime's domain, default epsilon",
		text: x + `%y = com.microsoft::SimplifiedLayerNormalization-1(%x, %w) output %y`,
		want: "RMSNormalization",
	}, {
		name: "float16",
		text: half + `%y = SimplifiedLayerNormalization-1(%x, %w) {axis = -1, epsilon = 1e-6} output %y`,
		want: "RMSNormalization",
	}, {
		name: "of a sum",
		text: x + `%y = ` + skip + `(%x, %s, %w) {epsilon = 1e-6} output %y`,
		want: "Add RMSNormalization",
	}, {
		name: "of a sum with bias, which goes on",
		text: x + `%y, _, _, %sum = ` + skip + `(%x, %s, %w, %b) {epsilon = 1e-6} %z = Add-14(%y, %sum) output %z output %sum`,
		want: "Add Add RMSNormalization Add",
	}, {
		name: "of a float16 sum",
		text: half + `%y, _, _, %sum = ` + skip + `(%x, %s, %w) {epsilon = 1e-6} output %y output %sum`,
		want: "Add RMSNormalization",
	}, {
		name: "the sum alone is wanted",
		text: x + `_, _, _, %sum = ` + skip + `(%x, %s, %w) {epsilon = 1e-6} output %sum`,
		want: "Add",
	}, {
		name: "its statistics are wanted",
		text: x + `%y, _, %inv = ` + skip + `(%x, %s, %w) {epsilon = 1e-6} output %y output %inv`,
	}, {
		name: "its statistics are wanted, without a sum",
		text: x + `%y, %inv = SimplifiedLayerNormalization-1(%x, %w) output %y output %inv`,
	}, {
		name: "over more than the last axis",
		text: `input %x: float32[batch, 3, 4] const %w = float32[3, 4] {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}
			%y = SimplifiedLayerNormalization-1(%x, %w) {axis = 1} output %y`,
	}, {
		name: "LayerNorm of a sum is another operator",
		text: x + `%y = com.microsoft::SkipLayerNormalization-1(%x, %s, %w, %b) output %y`,
	}})
}

// TestContribNormEpsilon keeps each operator's own default.
func TestContribNormEpsilon(t *testing.T) {
	for _, c := range []struct {
		call string
		want float32
	}{
		{`SimplifiedLayerNormalization-1(%x, %w)`, 1e-5},
		{`com.microsoft::SkipSimplifiedLayerNormalization-1(%x, %x, %w)`, 1e-12},
		{`com.microsoft::SkipSimplifiedLayerNormalization-1(%x, %x, %w) {epsilon = 0.25}`, 0.25},
	} {
		g := parse(t, `input %x: float32[n, 2] const %w = float32[2] {1, 1} %y = `+c.call+` output %y`)
		after, _ := rewrite(t, g, Knowledge{}, contribNorm)
		if got := find(t, after, "RMSNormalization").Float("epsilon", -1); got != c.want {
			t.Errorf("%s: epsilon is %g, want %g", c.call, got, c.want)
		}
		same(t, g, after, graph.Env{"n": 2}, map[string]*graph.Tensor{"x": graph.Floats([]float32{1e-3, -2e-3, 0, 1e-4}, 2, 2)})
	}
}
