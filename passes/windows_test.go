package passes

import (
	"errors"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// equally attends over rows laid out as windows of equal length, as many as there are
// boundaries less one, which nothing else of the boundaries decides.
const equally = `
	input %x: float32[tokens, 2, 4] input %cu: int64[bounds]
	const %zero = int64[] {0} const %one = int64[] {1} const %one1 = int64[1] {1} const %tail = int64[2] {2, 4} const %flat = int64[2] {-1, 8}
	%s = Shape-17(%cu) %n0 = Gather-17(%s, %zero) %n = Sub-17(%n0, %one) %xs = Shape-17(%x) %rows = Gather-17(%xs, %zero)
	%each = Div-17(%rows, %n) %a = Unsqueeze-17(%n, %zero1) %b = Unsqueeze-17(%each, %zero1) %shape = Concat-17(%a, %b, %tail) {axis = 0}
	%w = Reshape-17(%x, %shape) %q = Transpose-17(%w) {perm = [0, 2, 1, 3]}
	%y = Attention-23(%q, %q, %q) {scale = 0.5}
	%back = Transpose-17(%y) {perm = [0, 2, 1, 3]} %out = Reshape-17(%back, %flat) output %out
`

func equallyProbes() Knowledge {
	k := Knowledge{Segments: []Segments{{Input: "cu", DType: graph.Int64, Values: [][]int64{{0, 4, 8}, {0, 4, 6, 10}, {0, 6}}}}}
	for _, v := range k.Segments[0].Values {
		k.Probes = append(k.Probes, Probe{Env: graph.Env{"tokens": v[len(v)-1], "bounds": int64(len(v))}, Inputs: map[string]*graph.Tensor{"cu": graph.Ints(v)}})
	}
	return k
}

// lines completes the text with the axis that its Unsqueezes read.
func lines(text string) string { return "const %zero1 = int64[1] {0} " + text }

// TestEqualWindows keeps what the graph computes where windows are equal, and
// computes attention within the boundaries where they are not.
func TestEqualWindows(t *testing.T) {
	before := parse(t, lines(equally))
	after, report := full(t, before, equallyProbes())
	if count(after, "SegmentedAttention") != 1 || count(after, "Attention") != 0 || len(report.Repaired) != 1 || !strings.Contains(report.Repaired[0], "cu") {
		t.Fatalf("%s\n%v", graph.Text(after), report.Repaired)
	}
	same(t, before, after, graph.Env{"tokens": 12, "bounds": 4}, map[string]*graph.Tensor{"cu": graph.Ints([]int64{0, 4, 8, 12})})

	// Rows of one segment do not change when those of another do.
	cu := graph.Ints([]int64{0, 5, 9})
	env := graph.Env{"tokens": 9, "bounds": 3}
	in := inputs(t, after, env, map[string]*graph.Tensor{"cu": cu})
	x := in["x"]
	first := graph.View[float32](compute(t, after, in)[0])[:5*8]
	kept := append([]float32{}, first...)
	for i := 5 * 8; i < 9*8; i++ {
		graph.View[float32](x)[i] += 1
	}
	again := compute(t, after, in)[0]
	for i, v := range graph.View[float32](again)[:5*8] {
		if v != kept[i] {
			t.Fatalf("number %d of the first segment is %g, was %g", i, v, kept[i])
		}
	}
}

// TestEqualWindowsRefuses has windows whose attention is not recognised: they would
// compute something else.
func TestEqualWindowsRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no attention":     strings.Replace(equally, "%y = Attention-23(%q, %q, %q) {scale = 0.5}", "%y = Neg-17(%q)", 1),
		"causal attention": strings.Replace(equally, "{scale = 0.5}", "{scale = 0.5, is_causal = 1}", 1),
	} {
		g := parse(t, lines(text))
		if _, err := Run(g, op.All(), equallyProbes()); !errors.Is(err, op.ErrUnsupported) || !strings.Contains(err.Error(), "windows") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSplitWindows joins attention over the parts of a Split.
func TestSplitWindows(t *testing.T) {
	const text = `
		input %x: float32[1, 2, 10, 4] const %sizes = int64[3] {4, 2, 4}
		%q0, %q1, %q2 = Split-17(%x, %sizes) {axis = 2}
		%a0 = Attention-23(%q0, %q0, %q0) %a1 = Attention-23(%q1, %q1, %q1) %a2 = Attention-23(%q2, %q2, %q2)
		%t0 = Transpose-17(%a0) {perm = [0, 2, 1, 3]} %t1 = Transpose-17(%a1) {perm = [0, 2, 1, 3]} %t2 = Transpose-17(%a2) {perm = [0, 2, 1, 3]}
		%y = Concat-17(%t0, %t1, %t2) {axis = 1} output %y`
	know := func(values ...int64) Knowledge {
		return Knowledge{Segments: []Segments{{Input: "cu", DType: graph.Int64, Values: [][]int64{values}}}, Probes: []Probe{{Env: graph.Env{}, Inputs: map[string]*graph.Tensor{}}}}
	}
	given := map[string]*graph.Tensor{"cu": graph.Ints([]int64{0, 4, 6, 10})}
	before := parse(t, text)
	after, report := full(t, before, know(0, 4, 6, 10))
	if count(after, "SegmentedAttention") != 1 || count(after, "Split") != 0 || len(report.Repaired) != 0 {
		t.Errorf("%s\n%v", graph.Text(after), report)
	}
	same(t, before, after, nil, given)
	for name, c := range map[string]struct {
		text string
		know Knowledge
	}{
		"other segments":  {text, know(0, 5, 6, 10)},
		"another order":   {strings.Replace(text, "(%t0, %t1, %t2)", "(%t1, %t0, %t2)", 1), know(0, 4, 6, 10)},
		"keys elsewhere":  {strings.Replace(text, "(%q1, %q1, %q1)", "(%q1, %q0, %q0)", 1), know(0, 4, 6, 10)},
		"another scale":   {strings.Replace(text, "(%q1, %q1, %q1)", "(%q1, %q1, %q1) {scale = 0.25}", 1), know(0, 4, 6, 10)},
		"causal in parts": {strings.Replace(text, "(%q1, %q1, %q1)", "(%q1, %q1, %q1) {is_causal = 1}", 1), know(0, 4, 6, 10)},
	} {
		before := parse(t, c.text)
		after, _ := full(t, before, c.know)
		if count(after, "SegmentedAttention") != 0 {
			t.Errorf("%s is raised:\n%s", name, graph.Text(after))
		}
		same(t, before, after, nil, given)
	}
}
