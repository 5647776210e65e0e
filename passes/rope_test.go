package passes

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
)

// tables computes %cos and %sin of the angles %a, repeated in both halves, with
// new axes so that they broadcast over heads.
func tables(axes ...string) string {
	return `%e = Concat-13(%a, %a) {axis = -1} %ce = Cos-7(%e) %se = Sin-7(%e)
		const %heads = int64[` + fmt.Sprint(len(axes)) + `] {` + strings.Join(axes, ", ") + `}
		%cos = Unsqueeze-21(%ce, %heads) %sin = Unsqueeze-21(%se, %heads)
	`
}

// rotated is x·cos + rotate_half(x)·sin over a last axis of 4.
const rotated = `
	const %zero = int64[1] {0} const %two = int64[1] {2} const %end = int64[1] {9223372036854775807} const %last = int64[1] {-1}
	%low = Slice-13(%x, %zero, %two, %last)
	%high = Slice-13(%x, %two, %end, %last)
	%minus = Neg-13(%high)
	%half = Concat-13(%minus, %low) {axis = -1}
	%xc = Mul-14(%x, %cos)
	%hs = Mul-14(%half, %sin)
	%y = Add-14(%xc, %hs)
	output %y
`

const (
	halfTables = " Reshape Slice Reshape Slice"
	angleNodes = "Concat Cos Sin Unsqueeze Unsqueeze"
)

func TestRope(t *testing.T) {
	check(t, rope, []rewriting{{
		name: "[batch, heads, tokens, width]",
		text: `input %x: float32[batch, 2, tokens, 4] input %a: float32[batch, tokens, 2] ` + tables("1") + rotated,
		want: angleNodes + halfTables + " RotaryEmbedding",
		env:  graph.Env{"batch": 2, "tokens": 5},
	}, {
		name: "[1, heads, tokens, width]",
		text: `input %x: float32[1, 2, tokens, 4] input %a: float32[tokens, 2] ` + tables("0", "1") + rotated,
		want: angleNodes + halfTables + " RotaryEmbedding",
	}, {
		name: "[batch, tokens, heads, width]",
		text: `input %x: float32[batch, tokens, 2, 4] input %a: float32[batch, tokens, 2] ` + tables("2") + rotated,
		want: angleNodes + halfTables + " Reshape RotaryEmbedding Reshape",
		env:  graph.Env{"batch": 2, "tokens": 5},
	}, {
		name: "one token before its heads",
		text: `input %x: float32[1, 1, 2, 4] input %a: float32[1, 1, 2] ` + tables("2") + rotated,
		want: angleNodes + halfTables + " Reshape RotaryEmbedding Reshape",
	}, {
		name: "[tokens, heads, width]",
		text: `input %x: float32[tokens, 2, 4] input %a: float32[tokens, 2] ` + tables("1") + rotated,
		want: angleNodes + halfTables + " Reshape RotaryEmbedding Reshape",
	}, {
		name: "float16, with tables computed in float32",
		text: `input %x: float16[tokens, 2, 4] input %a: float32[tokens, 2]
			%e = Concat-13(%a, %a) {axis = 1} %ce = Cos-7(%e) %se = Sin-7(%e) %ch = Cast-21(%ce) {to = 10} %sh = Cast-21(%se) {to = 10}
			const %heads = int64[1] {-2} %cos = Unsqueeze-21(%ch, %heads) %sin = Unsqueeze-21(%sh, %heads) ` + rotated,
		want: "Concat Cos Sin Cast Cast Unsqueeze Unsqueeze" + halfTables + " Reshape RotaryEmbedding Reshape",
	}, {
		name: "the rotated half is read elsewhere",
		text: `input %x: float32[tokens, 2, 4] input %a: float32[tokens, 2] ` + tables("1") + rotated + ` output %half`,
		want: angleNodes + " Slice Slice Neg Concat" + halfTables + " Reshape RotaryEmbedding Reshape",
	}, {
		name: "slices with attributes and in steps of one",
		text: `input %x: float32[tokens, 2, 4] input %a: float32[tokens, 2] ` + tables("1") + `
			%low = Slice-9(%x) {starts = [0], ends = [2], axes = [2]}
			const %two = int64[1] {2} const %four = int64[1] {4} const %last = int64[1] {2} const %step = int64[1] {1}
			%high = Slice-13(%x, %two, %four, %last, %step)
			%minus = Neg-13(%high) %half = Concat-13(%minus, %low) {axis = 2}
			%xc = Mul-14(%cos, %x) %hs = Mul-14(%sin, %half) %y = Add-14(%hs, %xc) output %y`,
		want: angleNodes + halfTables + " Reshape RotaryEmbedding Reshape",
	}})
}

// TestRopeLeaves has what only looks like a rotation.
func TestRopeLeaves(t *testing.T) {
	const head = `input %x: float32[1, 2, tokens, 4] input %a: float32[tokens, 2] `
	change := func(from, to string) string {
		if !strings.Contains(rotated, from) {
			t.Fatalf("there is no %s", from)
		}
		return head + tables("0", "1") + strings.Replace(rotated, from, to, 1)
	}
	check(t, rope, []rewriting{
		{name: "halves swapped", text: change(`Concat-13(%minus, %low)`, `Concat-13(%low, %minus)`)},
		{name: "the lower half negated", text: change(`%minus = Neg-13(%high)`, `%minus = Neg-13(%low)`) + " output %high"},
		{name: "no half negated", text: change(`Neg-13`, `Abs-13`)},
		{name: "turned the other way", text: change(`Add-14`, `Sub-14`)},
		{name: "joined along another axis", text: `input %x: float32[1, 2, 1, 2] input %a: float32[1, 1] ` + tables("0", "1") +
			strings.NewReplacer("%two = int64[1] {2}", "%two = int64[1] {1}", "axis = -1", "axis = 2").Replace(rotated)},
		{name: "not cut in the middle", text: change(`%two = int64[1] {2}`, `%two = int64[1] {1}`)},
		{name: "cut along another axis", text: `input %x: float32[1, 2, 4, 4] input %a: float32[4, 2] ` + tables("0", "1") +
			strings.NewReplacer("%last = int64[1] {-1}", "%last = int64[1] {2}", "axis = -1", "axis = 2").Replace(rotated)},
		{name: "neighbours in place of halves", text: change(`%low = Slice-13(%x, %zero, %two, %last)
	%high = Slice-13(%x, %two, %end, %last)`, `const %one = int64[1] {1}
	%low = Slice-13(%x, %zero, %end, %last, %two)
	%high = Slice-13(%x, %one, %end, %last, %two)`)},
		{name: "the half of another value", text: `input %z: float32[1, 2, tokens, 4] ` + change(`Mul-14(%x, %cos)`, `Mul-14(%z, %cos)`)},
		{name: "tables that do not repeat", text: `input %x: float32[1, 2, tokens, 4] input %a: float32[tokens, 2] input %b: float32[tokens, 2] ` +
			strings.Replace(tables("0", "1"), "Concat-13(%a, %a)", "Concat-13(%a, %b)", 1) + rotated},
		{name: "tables joined along another axis", text: `input %x: float32[1, 2, 6, 4] input %a: float32[3, 4] ` +
			strings.Replace(tables("0", "1"), "axis = -1", "axis = 0", 1) + rotated},
		{name: "tables that nothing is known of", text: `input %x: float32[1, 2, tokens, 4] input %cos: float32[1, 1, tokens, 4] input %sin: float32[1, 1, tokens, 4]` + rotated},
		{name: "one table for each head", text: `input %x: float32[1, 2, tokens, 4] input %a: float32[1, 2, tokens, 2] %cos = Concat-13(%a, %a) {axis = -1} %sin = Sin-7(%cos)` + rotated},
		{name: "an unknown number of heads", text: `input %x: float32[1, heads, tokens, 4] input %a: float32[tokens, 2] ` + tables("0", "1") + rotated},
		{name: "one table for a batch", text: `input %x: float32[batch, 2, tokens, 4] input %a: float32[tokens, 2] ` + tables("0", "1") + rotated, env: graph.Env{"batch": 2}},
		{name: "one angle for all tokens", text: `input %x: float32[1, 2, tokens, 4] input %a: float32[1, 2] ` + tables("0", "1") + rotated},
		{name: "one angle for all tokens, heads behind", text: `input %x: float32[1, tokens, 2, 4] input %a: float32[1, 2] ` + tables("0", "1") + rotated},
		{name: "a matrix", text: `input %x: float32[tokens, 4] input %a: float32[tokens, 2] %cos = Concat-13(%a, %a) {axis = -1} %sin = Sin-7(%cos)` + rotated},
		{name: "tables of two shapes", text: `input %x: float32[1, 2, tokens, 4] input %a: float32[tokens, 2] ` + tables("0", "1") +
			`const %first = int64[1] {2} const %from = int64[1] {0} const %to = int64[1] {1} %one = Slice-13(%sin, %from, %to, %first)` +
			strings.Replace(rotated, "Mul-14(%half, %sin)", "Mul-14(%half, %one)", 1)},
	})
}

// TestRopeProbes shows by probes what the way a table is made does not say.
func TestRopeProbes(t *testing.T) {
	text := func(frequencies string) string {
		return `input %x: float32[1, 2, tokens, 4] input %p: int64[tokens]
			const %f = float32[1, 4] {` + frequencies + `} const %one = int64[1] {1} const %front = int64[2] {0, 1}
			%pf = Cast-21(%p) {to = 1} %column = Unsqueeze-21(%pf, %one) %angles = MatMul-13(%column, %f)
			%ce = Cos-7(%angles) %se = Sin-7(%angles) %cos = Unsqueeze-21(%ce, %front) %sin = Unsqueeze-21(%se, %front)` + rotated
	}
	probes := func(positions ...[]int64) Knowledge {
		var k Knowledge
		for _, p := range positions {
			k.Probes = append(k.Probes, Probe{Env: graph.Env{"tokens": int64(len(p))}, Inputs: map[string]*graph.Tensor{"p": graph.Ints(p)}})
		}
		return k
	}
	known := probes([]int64{0, 1, 2}, []int64{7})
	const made = "Cast Unsqueeze MatMul Cos Sin Unsqueeze Unsqueeze"
	check(t, rope, []rewriting{
		{name: "frequencies that repeat", text: text("1, 0.5, 1, 0.5"), know: known, want: made + halfTables + " RotaryEmbedding"},
		{name: "frequencies that differ in one", text: text("1, 0.5, 1, 0.25"), know: known},
		{name: "the difference shows under the last probe alone", text: text("1, 0.5, 1, 0.25"), know: probes([]int64{0}, []int64{3})},
		{name: "no probe", text: text("1, 0.5, 1, 0.5")},
		{name: "a probe that does not give the positions", text: text("1, 0.5, 1, 0.5"), know: Knowledge{Probes: []Probe{{Env: graph.Env{"tokens": 3}}}}},
	})
}

// fused is MNN's operator over a query of two heads and a key of one.
const fused = `
	%y, %z = LlmExporter::FusedRoPE-1(%q, %k, %cos, %sin) {head_dim = 4, num_head = 2, kv_num_head = 1, rope_cut_head_dim = 4}
	output %y output %z
`

func TestFusedRope(t *testing.T) {
	const (
		head   = `input %q: float32[1, tokens, 2, 4] input %k: float32[1, tokens, 1, 4] input %a: float32[1, tokens, 2] `
		each   = halfTables + " Reshape RotaryEmbedding Reshape"
		change = "{head_dim = 4, num_head = 2, kv_num_head = 1, rope_cut_head_dim = 4}"
	)
	check(t, rope, []rewriting{
		{name: "query and key", text: head + tables("2") + fused, want: angleNodes + each + each},
		{name: "the key is not wanted", text: head + tables("2") + strings.NewReplacer("%y, %z", "%y, _", "output %z", "").Replace(fused), want: angleNodes + each},
		{name: "norms that are empty", text: `const %none = float32[0] {} ` + head + tables("2") + strings.Replace(fused, "%sin)", "%sin, %none, %none)", 1), want: angleNodes + each + each},
		{name: "tables that nothing is known of", text: head + `input %cos: float32[1, tokens, 1, 4] input %sin: float32[1, tokens, 1, 4]` + fused},
		{name: "one row of tables for all tokens", text: `input %q: float32[1, tokens, 2, 4] input %k: float32[1, tokens, 1, 4] input %a: float32[1, 1, 2] ` + tables("2") + fused},
		{name: "tokens before the batch", text: `input %q: float32[tokens, 1, 2, 4] input %k: float32[tokens, 1, 1, 4] input %a: float32[tokens, 1, 2] ` + tables("2") + fused},
		{name: "heads not apart", text: `input %q: float32[1, tokens, 8] input %k: float32[1, tokens, 4] input %a: float32[1, tokens, 2] ` + tables("2") + fused},
	})
	for _, c := range []struct{ attrs, note string }{
		{"{head_dim = 4, num_head = 2, kv_num_head = 1, rope_cut_head_dim = 2}", "part of the head"},
		{"{head_dim = 4, num_head = 2, kv_num_head = 1, q_norm = 1}", "normalises heads"},
		{"{head_dim = 4, num_head = 2, kv_num_head = 1, k_norm = 1}", "normalises heads"},
	} {
		after, report := rewrite(t, parse(t, head+tables("2")+strings.Replace(fused, change, c.attrs, 1)), Knowledge{}, rope)
		if count(after, "FusedRoPE") != 1 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], c.note) {
			t.Errorf("%s: %v\n%s", c.attrs, report.Notes, graph.Text(after))
		}
	}
}

// multi is onnxruntime's operator over two heads of four angles.
const multi = `
	input %x: float32[batch, tokens, 16] input %p: int64[3, batch, tokens]
	const %cos = float32[4, 4] {1, 1, 1, 1, 0.5, 0.6, 0.7, 0.8, -0.5, -0.25, 0.1, 0.2, 0, 0.1, -1, -0.3}
	const %sin = float32[4, 4] {0, 0, 0, 0, 0.8, 0.7, 0.6, 0.5, 0.1, -0.1, 0.9, -0.9, 1, 0.3, 0.2, 0.1}
	%y = com.microsoft::MRotaryEmbedding-1(%x, %p, %cos, %sin) {num_heads = 2, mrope_section = [1, 2, 1]}
	output %y
`

func TestMultiRope(t *testing.T) {
	const section, gathered = "mrope_section = [1, 2, 1]", "Gather Split Gather Gather Gather Concat"
	raised := gathered + " " + gathered + " RotaryEmbedding"
	change := func(to string) string { return strings.Replace(multi, section, to, 1) }
	check(t, rope, []rewriting{
		{name: "three sections", text: multi, want: raised},
		{name: "an empty section", text: change("mrope_section = [0, 3, 1]"), want: raised},
		{name: "interleaved sections", text: change(section + ", mrope_layout = 1")},
		{name: "interleaved pairs", text: change(section + ", interleaved = 1")},
		{name: "a part of the head", text: strings.NewReplacer("float32[batch, tokens, 16]", "float32[batch, tokens, 20]", section, section+", rotary_embedding_dim = 8").Replace(multi)},
		{name: "by heads", text: strings.Replace(multi, "float32[batch, tokens, 16]", "float32[batch, 2, tokens, 8]", 1)},
	})
}

// TestMultiRopeNotes sees that what cannot be raised is said, and what cannot be
// split is left to the operator to refuse.
func TestMultiRopeNotes(t *testing.T) {
	for _, section := range []string{"[1, 1, 1]", "[1, 2]", "[2, 2, 2]"} {
		g := parse(t, strings.Replace(multi, "mrope_section = [1, 2, 1]", "mrope_section = "+section, 1))
		after, report := rewrite(t, g, Knowledge{}, rope)
		if operators(after) != "MRotaryEmbedding" || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], `"y"`) {
			t.Errorf("sections %s: %v\n%s", section, report.Notes, graph.Text(after))
		}
	}
}

// TestMultiRopeRandom compares drawn sections, heads and positions with the
// operator's own evaluation.
func TestMultiRopeRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := rapid.IntRange(0, 3).Draw(t, "time"), rapid.IntRange(0, 3).Draw(t, "height"), rapid.IntRange(1, 3).Draw(t, "width")
		heads, half := rapid.IntRange(1, 3).Draw(t, "heads"), a+b+c
		before := parse(t, fmt.Sprintf(`input %%x: float32[batch, tokens, %d] input %%p: int64[3, batch, tokens] input %%cos: float32[4, %d] input %%sin: float32[4, %d]
			%%y = com.microsoft::MRotaryEmbedding-1(%%x, %%p, %%cos, %%sin) {num_heads = %d, mrope_section = [%d, %d, %d]} output %%y`, heads*2*half, half, half, heads, a, b, c))
		after, _ := rewrite(t, before, Knowledge{}, rope)
		find(t, after, "RotaryEmbedding")
		same(t, before, after, graph.Env{"batch": rapid.Int64Range(0, 2).Draw(t, "batch"), "tokens": rapid.Int64Range(0, 3).Draw(t, "tokens")}, nil)
	})
}
