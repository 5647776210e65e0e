package passes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// twoLayers is causal attention with heads apart, and a second one with heads in
// rows and fewer of them for keys, whose past has a symbolic width.
const twoLayers = `
	input %q: float32[batch, 2, tokens, 4] input %k: float32[batch, 2, tokens, 4] input %v: float32[batch, 2, tokens, 4]
	input %pk0: float32[batch, 2, past, 4] input %pv0: float32[batch, 2, past, 4]
	input %pk1: float32[batch, 1, past, width] input %pv1: float32[batch, 1, past, width]
	const %flat = int64[3] {0, 0, 8} const %half = int64[1] {4} const %zero = int64[1] {0} const %last = int64[1] {2}
	%y0, %nk0, %nv0 = Attention-24(%q, %k, %v, _, %pk0, %pv0) {is_causal = 1, scale = 0.25}
	%t = Transpose-21(%y0) {perm = [0, 2, 1, 3]}
	%q1 = Reshape-21(%t, %flat)
	%k1 = Slice-13(%q1, %zero, %half, %last)
	%v1 = Neg-13(%k1)
	%y, %nk1, %nv1 = Attention-24(%q1, %k1, %v1, _, %pk1, %pv1) {is_causal = 1, q_num_heads = 2, kv_num_heads = 1, softcap = 2.0}
	output %y output %nk0 output %nv0 output %nk1 output %nv1
`

var capacity8 = Knowledge{Cache: &Cache{Capacity: graph.Sym("capacity"), WriteIndices: "write_indices", Lengths: "lengths"}}

func TestKVState(t *testing.T) {
	before := parse(t, twoLayers)
	after, report := rewrite(t, before, capacity8, kvState)
	if report.Raised["KV state"] != 2 || count(after, "TensorScatter") != 4 || len(after.States) != 4 || len(after.Outputs) != 5 {
		t.Fatalf("%v\n%s", report.Raised, graph.Text(after))
	}
	var names []string
	for _, v := range after.Inputs {
		names = append(names, v.Name+" "+v.Type.Shape.String())
	}
	want := []string{
		"q [batch, 2, tokens, 4]", "k [batch, 2, tokens, 4]", "v [batch, 2, tokens, 4]", "write_indices [batch]", "lengths [batch]",
		"kv.0.key [batch, 2, capacity, 4]", "kv.0.value [batch, 2, capacity, 4]", "kv.1.key [batch, 1, capacity, 4]", "kv.1.value [batch, 1, capacity, 4]",
	}
	if !slices.Equal(names, want) {
		t.Errorf("inputs\n%s\nwant\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(graph.Text(after), "past") {
		t.Errorf("the length of the past is still known:\n%s", graph.Text(after))
	}
	rapid.Check(t, func(t *rapid.T) {
		stepwise(t, before, after, rapid.SliceOfN(rapid.Int64Range(0, 3), 1, 4).Draw(t, "tokens of each step"))
	})
}

// stepwise runs the states step by step, and compares each step's rows with one
// run over all tokens, and with a run whose past is an input.
func stepwise(t rapid.TB, before, after *graph.Graph, steps []int64) {
	t.Helper()
	const batch, capacity = 2, 16
	total := int64(0)
	for _, n := range steps {
		total += n
	}
	in := inputs(t, before, graph.Env{"batch": batch, "tokens": total, "past": 0, "width": 4}, nil)
	full := compute(t, before, in)[0]
	states := inputs(t, after, graph.Env{"batch": batch, "capacity": capacity, "tokens": total}, nil) // what nobody wrote is noise
	past := map[string]*graph.Tensor{"pk0": in["pk0"], "pv0": in["pv0"], "pk1": in["pk1"], "pv1": in["pv1"]}
	from := int64(0)
	for _, n := range steps {
		for _, name := range []string{"q", "k", "v"} {
			states[name] = rowsOf(in[name], 2, from, from+n)
			past[name] = states[name]
		}
		states["write_indices"], states["lengths"] = graph.Ints([]int64{from, from}), graph.Ints([]int64{from + n, from + n})
		outs := compute(t, after, states)
		near(t, fmt.Sprintf("rows %d to %d", from, from+n), rowsOf(full, 1, from, from+n), outs[0])
		for _, s := range after.States {
			states[s.In.Name] = outs[slices.Index(after.Outputs, s.Out)]
		}
		grown := compute(t, before, past)
		near(t, "with a past", grown[0], outs[0])
		for i, name := range []string{"pk0", "pv0", "pk1", "pv1"} {
			past[name] = grown[1+i]
		}
		from += n
	}
}

// rowsOf cuts [from, to) out of an axis of a float32 tensor.
func rowsOf(x *graph.Tensor, axis int, from, to int64) *graph.Tensor {
	shape := slices.Clone(x.Shape)
	inner := int64(1)
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	block := shape[axis] * inner
	var v []float32
	for at := int64(0); at < int64(x.Len()); at += block {
		v = append(v, graph.View[float32](x)[at+from*inner:at+to*inner]...)
	}
	shape[axis] = to - from
	return graph.Floats(v, shape...)
}

// TestKVStateAfterRaising turns a decomposed decoder layer into one with states.
func TestKVStateAfterRaising(t *testing.T) {
	text := replaced(t, cached, "%y = Attention-23(%q, %ka, %va, %mask)", `
		const %scale = float32[] {0.5}
		%kt = Transpose-21(%ka) {perm = [0, 1, 3, 2]} %qk = MatMul-13(%q, %kt) %scaled = Mul-14(%qk, %scale)
		%hidden = Add-14(%scaled, %mask) %weights = Softmax-13(%hidden) {axis = -1} %y = MatMul-13(%weights, %va)`)
	know := causalProbes(graph.Float32, nil)
	know.Cache = capacity8.Cache
	before := parse(t, text)
	after, report := full(t, before, know)
	if got := operators(after); got != "TensorScatter TensorScatter Attention" || len(report.Notes) != 0 {
		t.Fatalf("%s %v", got, report.Notes)
	}
	in := inputs(t, before, graph.Env{"past": 2, "tokens": 3}, map[string]*graph.Tensor{"mask": causalMask(graph.Float32, -1e9, 3, 5, 2)})
	want := compute(t, before, in)[0]
	in["write_indices"], in["lengths"] = graph.Ints([]int64{2}), graph.Ints([]int64{5})
	for name, past := range map[string]*graph.Tensor{"kv.0.key": in["pk"], "kv.0.value": in["pv"]} {
		in[name] = graph.Floats(make([]float32, 2*6*4), 1, 2, 6, 4)
		for h := range 2 {
			copy(graph.View[float32](in[name])[h*24:], graph.View[float32](past)[h*8:(h+1)*8])
		}
	}
	in["mask"] = graph.Floats(make([]float32, 15), 1, 1, 3, 5) // nobody reads it any more
	near(t, "y", want, compute(t, after, in)[0])
}

func TestKVStateRefuses(t *testing.T) {
	const line = "Attention-24(%q, %k, %v, _, %pk, %pv) {is_causal = 1}"
	text := replaced(t, cached, "%ka = Concat-13(%pk, %k) {axis = 2} %va = Concat-13(%pv, %v) {axis = -2}", "",
		"%y = Attention-23(%q, %ka, %va, %mask)", "%y, %ka, %va = "+line)
	if _, report := rewrite(t, parse(t, text), capacity8, kvState); report.Raised["KV state"] != 1 {
		t.Fatal("the graph that the others are made of is refused")
	}
	for _, c := range []struct{ name, text, want string }{
		{"not causal", replaced(t, text, " {is_causal = 1}", ""), "causal"},
		{"a mask", replaced(t, text, "%v, _,", "%v, %mask,"), "causal"},
		{"a past that is no input", replaced(t, text, "input %pk", "input %pk0", "%y, %ka", "%pk = Neg-13(%pk0) %y, %ka"), "input and output"},
		{"a present that is no output", replaced(t, text, "output %va", "%z = Neg-13(%va) output %z"), "input and output"},
		{"a present that is not wanted", replaced(t, text, "%y, %ka, %va", "%y, %ka, _", "output %va", ""), "input and output"},
		{"a present that others read too", text + "%z = Neg-13(%va) output %z", "va"},
		{"scores that others read", replaced(t, text, "%y, %ka, %va", "%y, %ka, %va, %s") + "output %s", "scores"},
		{"heads of unknown width", strings.ReplaceAll(text, "4]", "width]"), "width"},
	} {
		g := parse(t, c.text)
		_, err := apply(g, capacity8, kvState)
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, op.ErrUnsupported) && !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s: %v, want an error about %q", c.name, err, c.want)
		}
	}
	// Without a cache to make, or one to raise, the graph stays.
	for _, know := range []Knowledge{{}, capacity8} {
		g := parse(t, text)
		if know.Cache != nil {
			g = parse(t, block)
		}
		if after, _ := rewrite(t, g, know, kvState); graph.Text(after) != graph.Text(g) {
			t.Errorf("changed to\n%s", graph.Text(after))
		}
	}
}
