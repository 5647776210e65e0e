package passes

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
)

// blockMask hides, with a number, what is not in a row's own segment.
func blockMask(hidden float32, cu ...int64) *graph.Tensor {
	n := cu[len(cu)-1]
	segment := make([]int, n)
	for s := range len(cu) - 1 {
		for i := cu[s]; i < cu[s+1]; i++ {
			segment[i] = s
		}
	}
	m := make([]float32, n*n)
	for i := range m {
		if segment[int64(i)/n] != segment[int64(i)%n] {
			m[i] = hidden
		}
	}
	return graph.Floats(m, 1, n, n)
}

// masked attends under a mask over [1, 2, tokens, 4].
const masked = `
	input %q: float32[1, 2, tokens, 4] input %k: float32[1, 2, tokens, 4] input %v: float32[1, 2, tokens, 4]
	input %mask: float32[1, tokens, tokens]
	%y = Attention-23(%q, %k, %v, %mask) {scale = 0.25}
	output %y
`

// blockProbes give a mask under two samples, and boundaries that are candidates
// in their order.
func blockProbes(masks [2]*graph.Tensor, candidates ...Segments) Knowledge {
	k := Knowledge{Segments: candidates}
	for _, m := range masks {
		k.Probes = append(k.Probes, Probe{Env: graph.Env{"tokens": m.Shape[1]}, Inputs: map[string]*graph.Tensor{"mask": m}})
	}
	return k
}

func TestSegments(t *testing.T) {
	var (
		window = Segments{Input: "cu_window", DType: graph.Int64, Values: [][]int64{{0, 2, 3}, {0, 1, 4, 6}}}
		whole  = Segments{Input: "cu_full", DType: graph.Int32, Values: [][]int64{{0, 3}, {0, 6}}}
		blocks = [2]*graph.Tensor{blockMask(-1e9, 0, 2, 3), blockMask(-1e9, 0, 1, 4, 6)}
		env    = graph.Env{"tokens": 6}
		given  = map[string]*graph.Tensor{"mask": blocks[1], "cu_window": graph.Ints([]int64{0, 1, 4, 6}), "cu_full": graph.FromSlice(graph.Int32, []int32{0, 6})}
	)
	const (
		raised = "Transpose Reshape Transpose Reshape Transpose Reshape SegmentedAttention Reshape Transpose"
		call   = "Attention-23(%q, %k, %v, %mask) {scale = 0.25"
	)
	flat := func(kv string) string {
		return replaced(t, masked, "[1, 2, tokens, 4]", "[1, tokens, 8]", "[1, 2, tokens, 4]", "[1, tokens, "+kv+"]", "[1, 2, tokens, 4]", "[1, tokens, "+kv+"]")
	}
	cases := []rewriting{
		{name: "the first candidate that fits", text: masked, know: blockProbes(blocks, whole, window), want: raised},
		{name: "an input that is there already", text: "input %cu_window: int64[edges]" + masked, know: blockProbes(blocks, window), want: raised},
		{name: "empty segments in a candidate", text: masked, want: raised,
			know: blockProbes(blocks, Segments{Input: "cu_window", DType: graph.Int64, Values: [][]int64{{0, 2, 2, 3}, {0, 1, 4, 4, 6}}})},
		{name: "heads not apart", text: replaced(t, flat("8"), call, call+", q_num_heads = 2, kv_num_heads = 2"), know: blockProbes(blocks, window),
			want: "Reshape Reshape Reshape SegmentedAttention Reshape"},
		{name: "heads not apart, fewer of keys", text: replaced(t, flat("4"), call, call+", q_num_heads = 2, kv_num_heads = 1"), know: blockProbes(blocks, window),
			want: "Reshape Reshape Reshape SegmentedAttention Reshape"},
		{name: "fewer heads of keys", text: replaced(t, masked, "%k: float32[1, 2,", "%k: float32[1, 1,", "%v: float32[1, 2,", "%v: float32[1, 1,"), know: blockProbes(blocks, window), want: raised},
		{name: "no candidate", text: masked, know: blockProbes(blocks)},
		{name: "no probe", text: masked, know: Knowledge{Segments: []Segments{window}}},
		{name: "candidates that fit one probe alone", text: masked, know: blockProbes(blocks, whole,
			Segments{Input: "cu_window", DType: graph.Int64, Values: [][]int64{{0, 2, 3}, {0, 1, 5, 6}}})},
		{name: "a candidate without a value for each probe", text: masked, know: blockProbes(blocks, Segments{Input: "cu_window", DType: graph.Int64, Values: [][]int64{{0, 2, 3}}})},
		{name: "a mask that hides a little less", text: masked, know: blockProbes([2]*graph.Tensor{blocks[0], blockMask(-100, 0, 1, 4, 6)}, window)},
		{name: "a mask that shows one more", text: masked, know: blockProbes([2]*graph.Tensor{blocks[0], shown(blocks[1])}, window)},
		{name: "a batch", text: strings.ReplaceAll(masked, "float32[1, 2,", "float32[2, 2,"), know: blockProbes(blocks, window)},
		{name: "a soft cap", text: replaced(t, masked, call, call+", softcap = 3.0"), know: blockProbes(blocks, window)},
		{name: "a window", text: replaced(t, masked, call, call+", right_window_size = 1"), know: blockProbes(blocks, window)},
		{name: "causal too", text: replaced(t, masked, call, call+", is_causal = 1"), know: blockProbes(blocks, window)},
		{name: "scores are read elsewhere", text: replaced(t, masked, "%y =", "%y, _, _, %s =") + "output %s", know: blockProbes(blocks, window)},
		{name: "the result is not wanted", text: replaced(t, masked, "%y =", "_, %y, _ ="), know: blockProbes(blocks, window)},
		{name: "counted keys", text: "input %n: int64[1] " + replaced(t, masked, "%mask)", "%mask, _, _, %n)"), know: blockProbes(blocks, window)},
	}
	for i := range cases {
		cases[i].env, cases[i].in = env, map[string]*graph.Tensor{"n": graph.Ints([]int64{5})}
		for name, x := range given {
			cases[i].in[name] = x
		}
	}
	check(t, segments, cases)
	for _, c := range cases {
		after, report := rewrite(t, parse(t, c.text), c.know, segments)
		if c.want != "" {
			if n := find(t, after, "SegmentedAttention"); n.Inputs[3].Name != "cu_window" || n.Float("scale", 0) != 0.25 || len(report.Notes) != 0 {
				t.Errorf("%s: segments %q, scale %g, notes %v", c.name, n.Inputs[3].Name, n.Float("scale", 0), report.Notes)
			}
		}
	}
	// What was looked at and could not be raised is said, with the node.
	for _, c := range []rewriting{cases[6], cases[11]} {
		after, report := rewrite(t, parse(t, c.text), c.know, segments)
		if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], `"y"`) || len(after.Inputs) != 4 {
			t.Errorf("%s: notes %v\n%s", c.name, report.Notes, graph.Text(after))
		}
	}
}

// shown lets the first row of a mask see the last one.
func shown(m *graph.Tensor) *graph.Tensor {
	x := graph.Floats(graph.View[float32](m), m.Shape...)
	graph.View[float32](x)[m.Shape[2]-1] = 0
	return x
}

// segmentsLoop attends to one segment after the other and appends the results,
// as onnxruntime's recipe for vision towers writes it.
const segmentsLoop = `
	input %q: float32[1, tokens, 8] input %k: float32[1, tokens, 8] input %v: float32[1, tokens, 8] input %cu: int32[edges]
	const %none = int64[1] {0} const %one = int64[] {1} const %axes = int32[1] {1} const %rows = int64[1] {1}
	%size = Size-21(%cu) %trips = Sub-14(%size, %one)
	%empty = Slice-13(%v, %none, %none, %rows)
	%y = Loop-21(%trips, _, %empty)
	body body = graph "body" {
		input %i: int64[] input %go: bool[] input %sofar: float32[?]
		capture %bounds: int32[edges] = %cu
		capture %query: float32[1, tokens, 8] = %q
		capture %key: float32[1, tokens, 8] = %k
		capture %value: float32[1, tokens, 8] = %v
		capture %axis: int32[1] = %axes
		const %vector = int64[1] {1} const %step = int64[] {1}
		%here = Reshape-21(%i, %vector)
		%like = CastLike-19(%step, %here)
		%there = Add-14(%here, %like)
		%start = Gather-13(%bounds, %here) {axis = 0}
		%end = Gather-13(%bounds, %there) {axis = 0}
		%qs = Slice-13(%query, %start, %end, %axis)
		%ks = Slice-13(%key, %start, %end, %axis)
		%vs = Slice-13(%value, %start, %end, %axis)
		%part = com.microsoft::MultiHeadAttention-1(%qs, %ks, %vs) {num_heads = 2, scale = 0.25}
		%longer = Concat-13(%sofar, %part) {axis = 1}
		%on = Identity-21(%go)
		output %on output %longer
	}
	output %y
`

func TestSegmentLoop(t *testing.T) {
	const (
		raised = "Reshape Reshape Reshape SegmentedAttention Reshape"
		vector = "const %vector"
		mha    = "com.microsoft::MultiHeadAttention-1(%qs, %ks, %vs) {num_heads = 2,"
		keys   = "%ks = Slice-13(%key, %start, %end, %axis)"
		values = "%vs = Slice-13(%value, %start, %end, %axis)"
		first  = "%empty = Slice-13(%v, %none, %none, %rows)"
		end    = "%end = Gather-13(%bounds, %there)"
	)
	cut := func(with string) string { return strings.ReplaceAll(segmentsLoop, "%start, %end, %axis)", with) }
	ragged := []int32{0, 2, 3, 6}
	var cases []rewriting
	for _, c := range []struct {
		name, text string
		cu         []int32
		want       string // empty: it stays
		swaps      []string
	}{
		{"as it is written", segmentsLoop, ragged, raised, nil},
		{"without the detour of a cast", segmentsLoop, ragged, raised, []string{"%like = CastLike-19(%step, %here)", "", "Add-14(%here, %like)", "Add-14(%step, %here)"}},
		{"ai.onnx's attention", segmentsLoop, ragged, raised, []string{mha, "Attention-23(%qs, %ks, %vs) {q_num_heads = 2, kv_num_heads = 2,"}},

		{"the end is two further", segmentsLoop, ragged, "", []string{"%step = int64[] {1}", "%step = int64[] {2}", "%one = int64[] {1}", "%one = int64[] {2}"}},
		{"the end is the start", segmentsLoop, ragged, "", []string{end, "%end = Gather-13(%bounds, %here)"}},
		{"the start does not move", segmentsLoop, ragged, "", []string{"Reshape-21(%i, %vector)", "Sub-14(%vector, %vector)"}},
		{"the end comes from elsewhere", segmentsLoop, ragged, "", []string{end, "%double = Add-14(%bounds, %bounds) %end = Gather-13(%double, %there)"}},
		{"steps of two", cut("%start, %end, %axis, %by)"), ragged, "", []string{vector, "const %by = int32[1] {2} const %vector"}},
		{"another axis is cut", cut("%start, %end, %wide)"), []int32{0, 4, 8}, "",
			[]string{vector, "const %wide = int32[1] {2} const %vector", "num_heads = 2", "num_heads = 1", first, "const %empty = float32[1, 0, 4] {}"}},
		{"queries of all rows", segmentsLoop, ragged, "", []string{"(%qs, %ks, %vs)", "(%query, %ks, %vs)"}},
		{"keys of other boundaries", segmentsLoop, ragged, "", []string{
			"input %cu: int32[edges]", "input %cu: int32[edges] input %cu2: int32[edges]",
			"capture %bounds: int32[edges] = %cu", "capture %bounds: int32[edges] = %cu capture %other: int32[edges] = %cu2",
			keys, "%start2 = Gather-13(%other, %here) %end2 = Gather-13(%other, %there) %ks = Slice-13(%key, %start2, %end2, %axis)",
			values, "%vs = Slice-13(%value, %start2, %end2, %axis)"}},
		{"the last segment is left out", segmentsLoop, ragged, "", []string{"%one = int64[] {1}", "%one = int64[] {2}"}},
		{"as often as a graph input says", "input %n: int64[] " + segmentsLoop, ragged, "Slice Loop", []string{"%trips, _,", "%n, _,"}},
		{"while a condition holds", "input %yes: bool[] " + segmentsLoop, ragged, "",
			[]string{"%trips, _,", "%trips, %yes,", "%on = Identity-21(%go)", "%two = Add-14(%step, %step) %on = Less-13(%i, %two)"}},
		{"behind rows that are there already", segmentsLoop, ragged, "", []string{first, "const %some = int64[1] {2} %empty = Slice-13(%v, %none, %some, %rows)"}},
		{"results in the other order", segmentsLoop, ragged, "", []string{"Concat-13(%sofar, %part)", "Concat-13(%part, %sofar)"}},
		{"results side by side", segmentsLoop, []int32{0, 2, 4, 6}, "", []string{"axis = 1}", "axis = 2}", first, "const %two = int64[1] {2} %empty = Slice-13(%v, %none, %two, %rows)"}},
		{"causal within a segment", segmentsLoop, ragged, "", []string{"num_heads = 2,", "num_heads = 2, unidirectional = 1,"}},
		{"a bias within a segment", segmentsLoop, []int32{0, 1, 2, 3, 4, 5, 6}, "",
			[]string{"(%qs, %ks, %vs)", "(%qs, %ks, %vs, _, _, %bias)", vector, "const %bias = float32[1, 1, 1, 1] {2} const %vector"}},
	} {
		cases = append(cases, rewriting{
			name: c.name, text: replaced(t, c.text, c.swaps...), want: c.want, env: graph.Env{"tokens": 6},
			in: map[string]*graph.Tensor{
				"cu": graph.FromSlice(graph.Int32, c.cu), "cu2": graph.FromSlice(graph.Int32, []int32{0, 1, 4, 6}), "n": graph.Scalar(2), "yes": boolScalar(1),
			},
		})
	}
	check(t, segmentLoop, cases)
}

// TestSegmentLoopBoundaries lets a loop read the boundaries that are known, and
// raises loops of which one feeds the other.
func TestSegmentLoopBoundaries(t *testing.T) {
	known := Knowledge{
		Segments: []Segments{{Input: "whole", DType: graph.Int64, Values: [][]int64{{0, 6}}}, {Input: "known", DType: graph.Int64, Values: [][]int64{{0, 2, 6}}}},
		Probes: []Probe{{Env: graph.Env{"tokens": 6, "edges": 4},
			Inputs: map[string]*graph.Tensor{"cu": graph.FromSlice(graph.Int32, []int32{0, 2, 2, 6})}}},
	}
	before := parse(t, segmentsLoop)
	after, _ := rewrite(t, before, known, segmentLoop)
	if n := find(t, after, "SegmentedAttention"); n.Inputs[3].Name != "known" {
		t.Errorf("it reads %q, want the known boundaries, which leave out empty segments", n.Inputs[3].Name)
	}
	same(t, before, after, graph.Env{"tokens": 6}, map[string]*graph.Tensor{
		"cu": graph.FromSlice(graph.Int32, []int32{0, 2, 2, 6}), "known": graph.Ints([]int64{0, 2, 6}),
	})

	end := strings.LastIndex(segmentsLoop, "output %y")
	second := segmentsLoop[strings.Index(segmentsLoop, "%y = Loop"):end]
	second = replaced(t, second, "%y = ", "%z = ", "float32[1, tokens, 8] = %q", "float32[?] = %y")
	before = parse(t, segmentsLoop[:end]+second+"output %z")
	after, report := rewrite(t, before, Knowledge{}, segmentLoop)
	if report.Raised["SegmentedAttention"] != 2 || count(after, "Loop") != 0 {
		t.Errorf("%v\n%s", report.Raised, graph.Text(after))
	}
	same(t, before, after, graph.Env{"tokens": 6}, map[string]*graph.Tensor{"cu": graph.FromSlice(graph.Int32, []int32{0, 1, 6})})
}

// TestSegmentLoopRandom draws boundaries, empty segments too.
func TestSegmentLoopRandom(t *testing.T) {
	before := parse(t, segmentsLoop)
	after, _ := rewrite(t, before, Knowledge{}, segmentLoop)
	find(t, after, "SegmentedAttention")
	rapid.Check(t, func(t *rapid.T) {
		cu := []int32{0}
		for _, n := range rapid.SliceOfN(rapid.Int32Range(0, 4), 1, 5).Draw(t, "lengths") {
			cu = append(cu, cu[len(cu)-1]+n)
		}
		same(t, before, after, graph.Env{"tokens": int64(cu[len(cu)-1])}, map[string]*graph.Tensor{"cu": graph.FromSlice(graph.Int32, cu)})
	})
}
