package passes

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
)

// rmsLines writes RMSNorm of %x in one of the forms that exporters choose.
func rmsLines(square, scale string) string {
	lines := map[string]string{
		"pow": `%sq = Pow-15(%x, %two)`,
		"mul": `%sq = Mul-14(%x, %x)`,
	}[square] + `
		%mean = ReduceMean-18(%sq, %axes) {keepdims = 1}
		%sum = Add-14(%mean, %eps)
		%root = Sqrt-13(%sum)
	` + map[string]string{
		"over":       `%scaled = Div-14(%x, %root)`,
		"one over":   `%inv = Div-14(%one, %root) %scaled = Mul-14(%x, %inv)`,
		"reciprocal": `%inv = Reciprocal-13(%root) %scaled = Mul-14(%inv, %x)`,
	}[scale]
	return lines
}

const rmsInputs = `
	input %x: float32[batch, tokens, 4]
	const %w = float32[4] {1, 0.5, 2, 1.5}
	const %two = float32[] {2} const %one = float32[] {1} const %eps = float32[] {1e-6} const %axes = int64[1] {-1}
`

func TestRMSNorm(t *testing.T) {
	var cases []rewriting
	for _, square := range []string{"pow", "mul"} {
		for _, scale := range []string{"over", "one over", "reciprocal"} {
			for _, weigh := range []string{"%y = Mul-14(%scaled, %w)", "%y = Mul-14(%w, %scaled)"} {
				cases = append(cases, rewriting{
					name: square + ", " + scale + ", " + weigh,
					text: rmsInputs + rmsLines(square, scale) + weigh + " output %y", want: "RMSNormalization",
				})
			}
		}
	}
	check(t, rmsNorm, cases)
}

// TestRMSNormHalves has float16 around statistics in float32.
func TestRMSNormHalves(t *testing.T) {
	const head = `
		input %h: float16[tokens, 4] const %w = float16[4] {1, 0.5, 2, 1.5} const %wide = float32[4] {1, 0.5, 2, 1.5}
		const %two = float32[] {2} const %one = float32[] {1} const %eps = float32[] {1e-6} const %axes = int64[1] {-1}
		%x = Cast-21(%h) {to = 1}
	`
	check(t, rmsNorm, []rewriting{{
		name: "cast up and down",
		text: head + rmsLines("pow", "reciprocal") + `%back = Cast-21(%scaled) {to = 10} %y = Mul-14(%w, %back) output %y`,
		want: "RMSNormalization",
	}, {
		name: "cast up alone",
		text: head + rmsLines("pow", "over") + `%y = Mul-14(%scaled, %wide) output %y`,
		want: "Cast RMSNormalization",
	}, {
		name: "all in float16",
		text: `input %x: float16[tokens, 4] const %w = float16[4] {1, 0.5, 2, 1.5}
			const %two = float16[] {2} const %one = float16[] {1} const %eps = float16[] {1e-5} const %axes = int64[1] {-1}` +
			rmsLines("mul", "one over") + `%y = Mul-14(%scaled, %w) output %y`,
		want: "RMSNormalization",
	}, {
		name: "cast down to another type than the input's",
		text: head + rmsLines("pow", "over") + `%back = Cast-21(%scaled) {to = 11} %k = Cast-21(%wide) {to = 11} %y = Mul-14(%back, %k) output %y`,
	}, {
		name: "the cast input is read elsewhere",
		text: head + rmsLines("pow", "over") + `%back = Cast-21(%scaled) {to = 10} %y = Mul-14(%back, %w) %z = Neg-13(%x) output %y output %z`,
		want: "Cast RMSNormalization Neg",
	}})
}

// TestRMSNormLeaves has what only looks like RMSNorm.
func TestRMSNormLeaves(t *testing.T) {
	const tail = `%y = Mul-14(%scaled, %w) output %y`
	lines := func(sq, mean, eps, root, scaled string) string {
		return fmt.Sprintf("%s%%sq = %s %%mean = %s %%sum = Add-14(%%mean, %s) %%root = %s %%scaled = %s ", rmsInputs, sq, mean, eps, root, scaled)
	}
	const (
		sq     = `Mul-14(%x, %x)`
		mean   = `ReduceMean-18(%sq, %axes) {keepdims = 1}`
		root   = `Sqrt-13(%sum)`
		scaled = `Div-14(%x, %root)`
	)
	check(t, rmsNorm, []rewriting{
		{name: "a cube", text: `const %three = float32[] {3} ` + lines(`Pow-15(%x, %three)`, mean, "%one", `Abs-13(%sum)`, scaled) + tail},
		{name: "another value's square", text: `input %z: float32[batch, tokens, 4] ` + lines(`Mul-14(%z, %z)`, mean, "%eps", root, scaled) + tail},
		{name: "a product of two values", text: `input %z: float32[batch, tokens, 4] ` + lines(`Mul-14(%x, %z)`, mean, "%two", `Abs-13(%sum)`, scaled) + tail},
		{name: "a sum in place of the mean", text: lines(sq, `ReduceSum-18(%sq, %axes) {keepdims = 1}`, "%eps", root, scaled) + tail},
		{
			name: "another axis",
			text: `const %first = int64[1] {1} ` + lines(sq, `ReduceMean-18(%sq, %first) {keepdims = 1}`, "%eps", root, scaled) + tail,
		},
		{
			name: "two axes",
			text: `const %both = int64[2] {1, 2} ` + lines(sq, `ReduceMean-18(%sq, %both) {keepdims = 1}`, "%eps", root, scaled) + tail,
		},
		{name: "all axes", text: lines(sq, `ReduceMean-18(%sq)`, "%eps", root, scaled) + tail},
		{name: "epsilon of several elements", text: `const %many = float32[3, 1] {1e-6, 1e-5, 1e-4} ` + lines(sq, mean, "%many", root, scaled) + tail, env: graph.Env{"tokens": 3}},
		{name: "epsilon of more axes", text: `const %deep = float32[1, 1, 1, 1] {1e-6} ` + lines(sq, mean, "%deep", root, scaled) + tail},
		{name: "epsilon that is no constant", text: `input %e: float32[1] %p = Abs-13(%e) ` + lines(sq, mean, "%p", root, scaled) + tail},
		{name: "no root", text: lines(sq, mean, "%eps", `Abs-13(%sum)`, scaled) + tail},
		{name: "another value is divided", text: `input %z: float32[batch, tokens, 4] ` + lines(sq, mean, "%eps", root, `Div-14(%z, %root)`) + tail},
		{name: "upside down", text: lines(sq, mean, "%eps", root, `Div-14(%root, %x)`) + tail, in: map[string]*graph.Tensor{"x": graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 4)}},
		{name: "a weight of another width", text: lines(sq, mean, "%eps", root, scaled) + `const %v = float32[1] {2} %y = Mul-14(%scaled, %v) output %y`},
		{
			name: "a weight of more axes",
			text: lines(sq, mean, "%eps", root, scaled) + `const %v = float32[1, 4] {1, 2, 3, 4} %y = Mul-14(%scaled, %v) output %y`,
		},
		{name: "a weight that is no constant", text: lines(sq, mean, "%eps", root, scaled) + `input %v: float32[4] %y = Mul-14(%scaled, %v) output %y`},
		{name: "no weight", text: lines(sq, mean, "%eps", root, scaled) + `%y = Neg-13(%scaled) output %y`},
	})
}

func TestRMSNormOutside(t *testing.T) {
	check(t, rmsNorm, []rewriting{{
		name: "what it computes on the way is read elsewhere",
		text: rmsInputs + rmsLines("pow", "reciprocal") + `%y = Mul-14(%scaled, %w) output %y output %inv output %scaled`,
		want: "Pow ReduceMean Add Sqrt Reciprocal Mul RMSNormalization",
	}, {
		name: "axes as an attribute, counted from the front",
		text: rmsInputs + `%sq = Pow-13(%x, %two) %mean = ReduceMean-13(%sq) {axes = [2]} %sum = Add-13(%eps, %mean) %root = Sqrt-13(%sum)
			%scaled = Div-13(%x, %root) %y = Mul-13(%scaled, %w) output %y`,
		want: "RMSNormalization",
	}})
}

// TestRMSNormRandom draws shapes, epsilon and form.
func TestRMSNormRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rank := rapid.IntRange(1, 4).Draw(t, "rank")
		shape := "8"
		env := graph.Env{}
		for i := range rank - 1 {
			s := fmt.Sprintf("d%d", i)
			env[s] = rapid.Int64Range(0, 3).Draw(t, s)
			shape = s + ", " + shape
		}
		eps := rapid.SampledFrom([]string{"0.5", "1e-6", "1e-12"}).Draw(t, "epsilon")
		square := rapid.SampledFrom([]string{"pow", "mul"}).Draw(t, "square")
		scale := rapid.SampledFrom([]string{"over", "one over", "reciprocal"}).Draw(t, "scale")
		before := parse(t, `input %x: float32[`+shape+`] const %w = float32[8] {1, 2, 3, 4, 5, 6, 7, -8}
			const %two = float32[1] {2} const %one = float32[] {1} const %eps = float32[1] {`+eps+`} const %axes = int64[1] {-1}`+
			rmsLines(square, scale)+`%y = Mul-14(%scaled, %w) output %y`)
		after, _ := rewrite(t, before, Knowledge{}, rmsNorm)
		if operators(after) != "RMSNormalization" {
			t.Errorf("left as\n%s", graph.Text(after))
		}
		same(t, before, after, env, nil)
	})
}
