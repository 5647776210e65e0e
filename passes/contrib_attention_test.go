package passes

import (
	"fmt"
	"strings"
	"testing"

	"mnnconv/graph"
)

// groupQuery is a decoder's attention, its lengths computed from the attention
// mask as onnxruntime-genai's builder writes them.
const groupQuery = `
	input %q: float32[1, tokens, 8] input %k: float32[1, tokens, 4] input %v: float32[1, tokens, 4]
	input %pk: float32[1, 1, past, 4] input %pv: float32[1, 1, past, 4] input %mask: int64[1, past + tokens]
	const %one = int64[1] {1} const %i = int64[] {1}
	%count = ReduceSum-13(%mask, %one) {keepdims = 0}
	%less = Sub-14(%count, %one)
	%lengths = Cast-21(%less) {to = 6}
	%shape = Shape-21(%mask)
	%total = Gather-13(%shape, %i)
	%total32 = Cast-21(%total) {to = 6}
	%y, %nk, %nv = com.microsoft::GroupQueryAttention-1(%q, %k, %v, %pk, %pv, %lengths, %total32) {num_heads = 2, kv_num_heads = 1}
	output %y output %nk output %nv
`

// maskProbes give the attention mask of a first prompt, a later turn and a step,
// whose first rows are padding.
func maskProbes(padding int) Knowledge {
	var k Knowledge
	for _, size := range [][2]int64{{0, 7}, {5, 3}, {9, 1}} {
		mask := make([]int64, size[0]+size[1])
		for i := padding; i < len(mask); i++ {
			mask[i] = 1
		}
		k.Probes = append(k.Probes, Probe{Env: graph.Env{"past": size[0], "tokens": size[1]},
			Inputs: map[string]*graph.Tensor{"mask": graph.Ints(mask, 1, int64(len(mask)))}})
	}
	return k
}

func TestGroupQuery(t *testing.T) {
	change := func(from, to string) string {
		if !strings.Contains(groupQuery, from) {
			t.Fatalf("there is no %s", from)
		}
		return strings.Replace(groupQuery, from, to, 1)
	}
	const last = "kv_num_heads = 1"
	cases := []rewriting{
		{name: "lengths that count every row", text: groupQuery, know: maskProbes(0), want: "Attention"},
		{name: "attributes that say nothing new", text: change(last, last+", scale = 0.25, local_window_size = -1, softcap = 0.0, causal = 1"), know: maskProbes(0), want: "Attention"},
		{name: "float16", text: strings.ReplaceAll(groupQuery, "float32", "float16"), know: maskProbes(0), want: "Attention"},
		{name: "the present is not wanted", text: strings.NewReplacer("%y, %nk, %nv", "%y", "output %nk output %nv", "").Replace(groupQuery), know: maskProbes(0), want: "Attention"},
		{name: "no probe", text: groupQuery},
		{name: "probes with padding", text: groupQuery, know: maskProbes(1)},
		{name: "lengths that are one short", text: "const %two = int64[1] {2}" + change("Sub-14(%count, %one)", "Sub-14(%count, %two)"), know: maskProbes(0)},
		{name: "queries that see what comes after", text: change(last, last+", causal = 0"), know: maskProbes(0)},
		{name: "a window", text: change(last, last+", local_window_size = 2"), know: maskProbes(0)},
		{name: "a soft cap", text: change(last, last+", softcap = 2.0"), know: maskProbes(0)},
		{name: "rotary inside", text: "const %c = float32[8, 2] {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0} " +
			strings.Replace(change(last, last+", do_rotary = 1"), "%total32)", "%total32, %c, %c)", 1), know: maskProbes(0)},
		{name: "a bias", text: "const %b = float32[1, 1, 3, 5] {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0} " +
			strings.Replace(groupQuery, "%total32)", "%total32, _, _, _, %b)", 1), know: maskProbes(0)},
		{name: "no past", text: change("%v, %pk, %pv,", "%v, _, _,"), env: graph.Env{"past": 0}, in: map[string]*graph.Tensor{"mask": graph.Ints([]int64{1, 1, 1}, 1, 3)}, know: maskProbes(0)},
		{name: "packed", text: `input %qkv: float32[1, tokens, 16] ` + change("(%q, %k, %v,", "(%qkv, _, _,"), know: maskProbes(0)},
	}
	for i := range cases {
		if cases[i].env == nil {
			cases[i].env = graph.Env{"past": 2, "tokens": 3}
			cases[i].in = map[string]*graph.Tensor{"mask": graph.Ints([]int64{1, 1, 1, 1, 1}, 1, 5)}
		}
	}
	check(t, contribAttention, cases)
	for _, c := range cases {
		_, report := rewrite(t, parse(t, c.text), c.know, contribAttention)
		if noted := len(report.Notes) == 1 && strings.Contains(report.Notes[0], `"y"`); noted == (c.want != "") {
			t.Errorf("%s: noted %q", c.name, report.Notes)
		}
	}
}

func TestMultiHead(t *testing.T) {
	const head = `input %q: float32[2, tokens, 6] input %k: float32[2, keys, 6] input %v: float32[2, keys, 4] `
	line := func(in, attrs string) string {
		return head + `%y = com.microsoft::MultiHeadAttention-1(` + in + `) {num_heads = 2` + attrs + `} output %y`
	}
	env := graph.Env{"tokens": 3, "keys": 4}
	check(t, contribAttention, []rewriting{
		{name: "plain", text: line("%q, %k, %v", ""), want: "Attention", env: env},
		{name: "a scale", text: line("%q, %k, %v", ", scale = 0.125"), want: "Attention", env: env},
		{name: "a scale of nought is the default", text: line("%q, %k, %v", ", scale = 0.0"), want: "Attention", env: env},
		{name: "causal", text: line("%q, %k, %v", ", unidirectional = 1"), want: "Attention", env: graph.Env{"tokens": 4, "keys": 4}},
		{name: "a bias of projections", text: "input %b: float32[16] " + line("%q, %k, %v, %b", ""), env: env},
		{name: "a bias of scores", text: "input %b: float32[1, 2, tokens, keys] " + line("%q, %k, %v, _, _, %b", ""), env: env,
			want: "Reshape Transpose Reshape Transpose Reshape Transpose Attention Transpose Reshape"},
		{name: "a past", text: "input %p: float32[2, 2, 5, 3] input %pv: float32[2, 2, 5, 2] " + line("%q, %k, %v, _, _, _, %p, %pv", ""), env: env},
		{name: "the present is wanted", text: strings.Replace(line("%q, %k, %v", ""), "%y =", "%y, %nk, %nv =", 1) + " output %nk", env: env},
		{
			name: "keys by heads", env: env,
			text: `input %q: float32[2, tokens, 6] input %k: float32[2, 2, keys, 3] input %v: float32[2, 2, keys, 3]
				%y = com.microsoft::MultiHeadAttention-1(%q, %k, %v) {num_heads = 2} output %y`,
		},
	})
}

// fusedAttention is MNN's operator, whose cache is hidden.
const fusedAttention = `
	input %q: float32[1, tokens, 2, 4] input %k: float32[1, tokens, 1, 4] input %v: float32[1, tokens, 1, 4]
	input %mask: float32[1, 1, tokens, past + tokens]
	%y = LlmExporter::FusedAttention-1(%q, %k, %v, %mask) {head_dim = 4, kv_cache = 1, kv_shared_layer_index = -1, layer_index = 3, output_dim = 8}
	output %y
`

// causalMask hides with a number what comes after row i + first.
func causalMask(d graph.DType, hidden float32, queries, keys, first int64) *graph.Tensor {
	m := make([]float32, queries*keys)
	for i := range m {
		if row, col := int64(i)/keys, int64(i)%keys; col > first+row {
			m[i] = hidden
		}
	}
	x, err := graph.NewTensor(d, 1, 1, queries, keys)
	if err == nil {
		err = x.SetFloat32s(m)
	}
	if err != nil {
		panic(err)
	}
	return x
}

// causalProbes give a mask in float32 to a first prompt, a later turn and a step;
// each mask may be changed.
func causalProbes(d graph.DType, change func(past int64, mask []float32)) Knowledge {
	var k Knowledge
	for _, size := range [][2]int64{{0, 4}, {5, 3}, {2, 1}} {
		mask := causalMask(graph.Float32, -3.4028235e38, size[1], size[0]+size[1], size[0])
		if change != nil {
			change(size[0], graph.View[float32](mask))
		}
		if d == graph.Float16 {
			half, _ := graph.NewTensor(d, mask.Shape...)
			if err := half.SetFloat32s(graph.View[float32](mask)); err != nil {
				panic(err)
			}
			mask = half
		}
		k.Probes = append(k.Probes, Probe{Env: graph.Env{"past": size[0], "tokens": size[1]}, Inputs: map[string]*graph.Tensor{"mask": mask}})
	}
	return k
}

func TestFusedAttention(t *testing.T) {
	before := parse(t, fusedAttention)
	after, report := rewrite(t, before, causalProbes(graph.Float32, nil), contribAttention)
	if got, want := operators(after), "Transpose Transpose Transpose Attention Transpose Reshape"; got != want || report.Raised["Attention"] != 1 {
		t.Fatalf("got %s, want %s; %v", got, want, report.Raised)
	}
	var names []string
	for _, v := range after.Inputs {
		names = append(names, v.Name)
	}
	if got := fmt.Sprint(names); got != "[q k v mask past_key_values.3.key past_key_values.3.value]" {
		t.Errorf("inputs %s", got)
	}
	if len(after.Outputs) != 3 {
		t.Fatalf("%d outputs, want the result and the present ones", len(after.Outputs))
	}
	// Five tokens at once are what the operator evaluates; two and three more must
	// come to the same.
	in := inputs(t, before, graph.Env{"tokens": 5, "past": 0}, map[string]*graph.Tensor{"mask": causalMask(graph.Float32, -3.4028235e38, 5, 5, 0)})
	want := compute(t, before, in)[0]
	none := graph.Floats(nil, 1, 1, 0, 4)
	part := func(name string, from, to int64) *graph.Tensor {
		x := in[name]
		row := int64(x.Len()) / x.Shape[1]
		return graph.Floats(graph.View[float32](x)[from*row:to*row], append([]int64{1, to - from}, x.Shape[2:]...)...)
	}
	pastK, pastV := none, none
	for _, step := range [][2]int64{{0, 2}, {2, 5}} {
		tokens := step[1] - step[0]
		outs := compute(t, after, map[string]*graph.Tensor{"q": part("q", step[0], step[1]), "k": part("k", step[0], step[1]), "v": part("v", step[0], step[1]),
			"mask": causalMask(graph.Float32, 0, tokens, step[1], 0), "past_key_values.3.key": pastK, "past_key_values.3.value": pastV})
		near(t, "rows", graph.Floats(graph.View[float32](want)[step[0]*8:step[1]*8], 1, tokens, 8), outs[0])
		pastK, pastV = outs[1], outs[2]
	}
}

// TestFusedAttentionLeaves has forms and masks that are not raised.
func TestFusedAttentionLeaves(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		know           Knowledge
	}{
		{"no probe", "", "", Knowledge{}},
		{"no mask", "%v, %mask", "%v", causalProbes(graph.Float32, nil)},
		{"a mask that shows what comes after", "", "", causalProbes(graph.Float32, func(_ int64, m []float32) { clear(m) })},
		{"a mask that hides the first row", "", "", causalProbes(graph.Float32, func(_ int64, m []float32) { m[0] = -1e9 })},
		{"a mask that only lowers", "", "", causalProbes(graph.Float32, func(_ int64, m []float32) {
			for i := range m {
				m[i] = max(m[i], -100)
			}
		})},
		{"a mask that adds to what is seen", "", "", causalProbes(graph.Float32, func(_ int64, m []float32) { m[0] = 0.5 })},
		{"a mask that is none behind a past", "", "", causalProbes(graph.Float32, func(past int64, m []float32) {
			if past > 0 {
				clear(m)
				m[len(m)-1] = -1e9
			}
		})},
		{"no cache", "kv_cache = 1", "kv_cache = 0", causalProbes(graph.Float32, nil)},
		{"another layer's cache", "kv_shared_layer_index = -1", "kv_shared_layer_index = 1", causalProbes(graph.Float32, nil)},
	} {
		g := parse(t, strings.Replace(fusedAttention, c.from, c.to, 1))
		after, report := rewrite(t, g, c.know, contribAttention)
		if operators(after) != "FusedAttention" || len(report.Notes) != 1 || len(after.Inputs) != len(g.Inputs) {
			t.Errorf("%s: %v\n%s", c.name, report.Notes, graph.Text(after))
		}
	}
}
