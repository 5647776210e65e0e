package passes

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
)

// sdpa is softmax(q·kᵀ·scale)·v over [2, 3, tokens, 4].
const sdpa = `
	input %q: float32[2, 3, tokens, 4] input %k: float32[2, 3, keys, 4] input %v: float32[2, 3, keys, 5]
	const %scale = float32[] {0.5}
	%kt = Transpose-21(%k) {perm = [0, 1, 3, 2]}
	%qk = MatMul-13(%q, %kt)
	%scaled = Mul-14(%qk, %scale)
	%weights = Softmax-13(%scaled) {axis = -1}
	%y = MatMul-13(%weights, %v)
	output %y
`

// replaced swaps parts of a text, each of which must be there.
func replaced(t *testing.T, text string, swaps ...string) string {
	t.Helper()
	for i := 0; i < len(swaps); i += 2 {
		if !strings.Contains(text, swaps[i]) {
			t.Fatalf("there is no %s", swaps[i])
		}
		text = strings.Replace(text, swaps[i], swaps[i+1], 1)
	}
	return text
}

func TestAttention(t *testing.T) {
	const (
		scaled = "%scaled = Mul-14(%qk, %scale)"
		kt     = "%kt = Transpose-21(%k) {perm = [0, 1, 3, 2]}"
		soft   = "%weights = Softmax-13(%scaled) {axis = -1}"
		mask   = "%scaled = Add-14(%m, %mask)"
	)
	env := graph.Env{"tokens": 3, "keys": 4}
	cases := []rewriting{
		{name: "scaled by a product", text: sdpa, want: "Attention"},
		{name: "scaled by a quotient", text: replaced(t, sdpa, scaled, "%scaled = Div-14(%qk, %scale)"), want: "Attention"},
		{name: "not scaled", text: replaced(t, sdpa, scaled, "", "Softmax-13(%scaled)", "Softmax-13(%qk)"), want: "Attention"},
		{name: "the axis counted from the front", text: replaced(t, sdpa, "axis = -1", "axis = 3"), want: "Attention"},
		{name: "the axis not written", text: replaced(t, sdpa, " {axis = -1}", ""), want: "Attention"},
		{name: "q and k scaled before", text: replaced(t, sdpa, scaled, "", "Softmax-13(%scaled)", "Softmax-13(%qk)",
			kt, kt+" %qs = Mul-14(%q, %scale) %ks = Mul-14(%kt, %scale)", "MatMul-13(%q, %kt)", "MatMul-13(%qs, %ks)"), want: "Attention"},
		{name: "k scaled before it is turned", text: replaced(t, sdpa, kt, "%ks = Mul-14(%scale, %k) %kt = Transpose-21(%ks) {perm = [0, 1, 3, 2]}"), want: "Attention"},
		{name: "k in rows of heads", text: replaced(t, sdpa, "%k: float32[2, 3, keys, 4]", "%k: float32[2, keys, 3, 4]", "[0, 1, 3, 2]", "[0, 2, 3, 1]"), want: "Transpose Attention"},
		{name: "k turned by nobody", text: replaced(t, sdpa, "%k: float32[2, 3, keys, 4]", "%kt: float32[2, 3, 4, keys]", kt, ""), want: "Transpose Attention"},
		{name: "one head of keys for all queries", text: replaced(t, sdpa, "[2, 3, keys, 4]", "[2, 1, keys, 4]", "[2, 3, keys, 5]", "[2, 1, keys, 5]"), want: "Attention"},
		{name: "weights are read elsewhere", text: sdpa + "output %weights", want: "Transpose MatMul Mul Softmax Attention"},
		{name: "a mask", text: replaced(t, sdpa, scaled, "input %mask: float32[2, 1, tokens, keys] %m = Mul-14(%qk, %scale) "+mask), want: "Attention"},
		{name: "a mask of two axes, first", text: replaced(t, sdpa, scaled, "input %mask: float32[tokens, keys] %m = Mul-14(%qk, %scale) %scaled = Add-14(%mask, %m)"), want: "Attention"},
		{name: "a mask for each head", text: replaced(t, sdpa, scaled, "input %mask: float32[1, 3, tokens, keys] %m = Mul-14(%qk, %scale) "+mask), want: "Attention"},
		{name: "softmax in float32 of float16", text: replaced(t, strings.ReplaceAll(sdpa, "float32", "float16"), soft,
			"%wide = Cast-21(%scaled) {to = 1} %soft = Softmax-13(%wide) {axis = -1} %weights = Cast-21(%soft) {to = 10}"), want: "Attention"},

		{name: "softmax over the queries", text: replaced(t, sdpa, "axis = -1", "axis = 2")},
		{name: "softmax before opset 13, over the last axis", text: replaced(t, sdpa, "Softmax-13", "Softmax-11"), want: "Attention"},
		{name: "softmax before opset 13, over all heads", text: replaced(t, sdpa, "Softmax-13(%scaled) {axis = -1}", "Softmax-11(%scaled)")},
		{name: "scales for each head", text: replaced(t, sdpa, "float32[] {0.5}", "float32[3, 1, 1] {0.5, 1, 2}")},
		{name: "a scale of more axes", text: replaced(t, sdpa, "float32[] {0.5}", "float32[1, 1, 1, 1, 1] {0.5}")},
		{name: "a scale that is no constant", text: replaced(t, sdpa, "const %scale = float32[] {0.5}", "input %scale: float32[1]"), want: ""},
		{name: "a scale over the scores", text: replaced(t, sdpa, scaled, "%scaled = Div-14(%scale, %qk)")},
		{name: "no softmax", text: replaced(t, sdpa, "Softmax-13(%scaled) {axis = -1}", "Sigmoid-13(%scaled)")},
		{name: "three axes", text: replaced(t, sdpa, "[2, 3, tokens, 4]", "[3, tokens, 4]", "[2, 3, keys, 4]", "[3, keys, 4]", "[2, 3, keys, 5]", "[3, keys, 5]", "[0, 1, 3, 2]", "[0, 2, 1]")},
		{name: "a mask of one axis", text: replaced(t, sdpa, scaled, "input %mask: float32[keys] %m = Mul-14(%qk, %scale) "+mask)},
		{name: "a mask that adds an axis", text: replaced(t, sdpa, scaled, "input %mask: float32[1, 1, 1, tokens, keys] %m = Mul-14(%qk, %scale) "+mask)},
		{name: "a batch of masks for one query", text: replaced(t, sdpa, scaled, "input %mask: float32[2, 1, tokens, keys] %m = Mul-14(%qk, %scale) "+mask,
			"[2, 3, tokens, 4]", "[1, 3, tokens, 4]", "[2, 3, keys, 4]", "[1, 3, keys, 4]", "[2, 3, keys, 5]", "[1, 3, keys, 5]")},
		{name: "one batch of keys for all queries", text: replaced(t, sdpa, "[2, 3, keys, 4]", "[1, 3, keys, 4]", "[2, 3, keys, 5]", "[1, 3, keys, 5]")},
		{name: "one query head for all keys", text: replaced(t, sdpa, "[2, 3, tokens, 4]", "[2, 1, tokens, 4]")},
		{name: "one key head, but many of values", text: replaced(t, sdpa, "[2, 3, keys, 4]", "[2, 1, keys, 4]")},
		{name: "values of another dtype", text: replaced(t, sdpa, "%v: float32[2, 3, keys, 5]", "%v: float16[2, 3, keys, 5]", soft,
			"%soft = Softmax-13(%scaled) {axis = -1} %weights = Cast-21(%soft) {to = 10}")},
		{name: "a factor that adds axes to q", text: replaced(t, sdpa, "%q: float32[2, 3, tokens, 4]", "%p: float32[tokens, 4]", kt,
			kt+" const %deep = float32[1, 1, 1, 1] {2} %q = Mul-14(%p, %deep)", "[2, 3, keys, 4]", "[1, 1, keys, 4]", "[2, 3, keys, 5]", "[1, 1, keys, 5]"), want: "Mul Attention"},
	}
	for i := range cases {
		cases[i].env = env
	}
	check(t, attention, cases)
}

// grouped repeats two heads of keys and values three times.
const grouped = `
	input %q: float32[1, 6, tokens, 4] input %k: float32[1, 2, tokens, 4] input %v: float32[1, 2, tokens, 4]
	const %at = int64[1] {2} const %times = int64[5] {1, 1, 3, 1, 1} const %flat = int64[4] {1, 6, -1, 4}
	%ku = Unsqueeze-21(%k, %at) %ke = Expand-13(%ku, %times) %kr = Reshape-21(%ke, %flat)
	%vu = Unsqueeze-21(%v, %at) %ve = Expand-13(%vu, %times) %vr = Reshape-21(%ve, %flat)
	%y = Attention-23(%q, %kr, %vr)
	output %y
`

func TestAttentionOfRepeatedHeads(t *testing.T) {
	check(t, attention, []rewriting{
		{name: "both repeated", text: grouped, want: "Attention"},
		{name: "decomposed", want: "Attention", text: replaced(t, grouped, "%y = Attention-23(%q, %kr, %vr)",
			"%kt = Transpose-21(%kr) {perm = [0, 1, 3, 2]} %s = MatMul-13(%q, %kt) %w = Softmax-13(%s) %y = MatMul-13(%w, %vr)")},
		{name: "repeated heads are read elsewhere", text: grouped + "%z = Abs-13(%kr) output %z", want: "Unsqueeze Expand Reshape Attention Abs"},
		{name: "keys repeated alone", text: replaced(t, grouped, "input %v: float32[1, 2, tokens, 4]", "input %vr: float32[1, 6, tokens, 4]",
			"%vu = Unsqueeze-21(%v, %at) %ve = Expand-13(%vu, %times) %vr = Reshape-21(%ve, %flat)", "")},
		{name: "heads in another order", text: replaced(t, grouped, "%at = int64[1] {2}", "%at = int64[1] {1}", "{1, 1, 3, 1, 1}", "{1, 3, 1, 1, 1}")},
		{name: "tokens repeated", text: replaced(t, grouped, "%at = int64[1] {2}", "%at = int64[1] {3}", "{1, 1, 3, 1, 1}", "{1, 1, 1, 3, 1}",
			"{1, 6, -1, 4}", "{1, 2, -1, 4}", "[1, 6, tokens, 4]", "[1, 2, tokens, 4]")},
		{name: "regrouped behind", text: replaced(t, grouped, "{1, 6, -1, 4}", "{1, 3, -1, 4}")},
	})
}

// cached reads the keys of a past and new ones under a mask.
const cached = `
	input %q: float32[1, 2, tokens, 4] input %k: float32[1, 2, tokens, 4] input %v: float32[1, 2, tokens, 4]
	input %pk: float32[1, 2, past, 4] input %pv: float32[1, 2, past, 4]
	input %mask: float32[1, 1, tokens, past + tokens]
	%ka = Concat-13(%pk, %k) {axis = 2} %va = Concat-13(%pv, %v) {axis = -2}
	%y = Attention-23(%q, %ka, %va, %mask)
	output %y output %ka output %va
`

func TestAttentionJoinsCaches(t *testing.T) {
	const call = "Attention-23(%q, %ka, %va, %mask)"
	joined := func(t *testing.T, g *graph.Graph, causal bool) {
		t.Helper()
		n := find(t, g, "Attention")
		if n.In(4) == nil || n.In(5) == nil || (n.In(3) == nil) != causal || (n.Int("is_causal", 0) == 1) != causal {
			t.Errorf("past %t, mask %t, is_causal %d", n.In(4) != nil, n.In(3) != nil, n.Int("is_causal", 0))
		}
	}
	env := graph.Env{"past": 2, "tokens": 3}
	hides := map[string]*graph.Tensor{"mask": causalMask(graph.Float32, -1e9, 3, 5, 2)}
	for _, c := range []struct {
		name string
		know Knowledge
		text string
	}{
		{"under a mask that is causal", causalProbes(graph.Float32, nil), cached},
		{"under any mask", Knowledge{}, cached},
		{"with a soft cap", causalProbes(graph.Float32, nil), replaced(t, cached, call, call+" {softcap = 2.0, scale = 0.125}")},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := parse(t, c.text)
			after, _ := rewrite(t, before, c.know, attention)
			if operators(after) != "Attention" {
				t.Fatalf("got\n%s", graph.Text(after))
			}
			joined(t, after, len(c.know.Probes) > 0)
			same(t, before, after, env, hides)
		})
	}
	check(t, attention, []rewriting{
		{name: "joined along another axis", text: `input %pk: float32[1, 1, tokens, 4] input %k: float32[1, 1, tokens, 4] input %q: float32[1, 2, tokens, 4]
			%ka = Concat-13(%pk, %k) {axis = 1} %y = Attention-23(%q, %ka, %ka) output %y`},
		{name: "new rows first", text: replaced(t, cached, "Concat-13(%pk, %k)", "Concat-13(%kn, %pk)", "%ka = ", "%kn = Neg-13(%k) %ka = ", ", %mask)", ")"), env: env},
		{name: "three parts", text: replaced(t, cached, "Concat-13(%pk, %k)", "Concat-13(%pk, %k, %k)", "Concat-13(%pv, %v)", "Concat-13(%pv, %v, %v)", ", %mask)", ")")},
		{name: "keys alone are joined", text: replaced(t, cached, "%va = Concat-13(%pv, %v) {axis = -2}", "%va = Neg-13(%ka)", ", %mask)", ")")},
		{name: "a past that is no input", text: replaced(t, cached, "input %pk", "input %pk0", "%ka = ", "%pk = Abs-13(%pk0) %ka = "), env: env},
		{name: "causal from the first key already", text: replaced(t, cached, call, "Attention-23(%q, %ka, %va) {is_causal = 1}"), env: env},
		{name: "a window from the first key", text: replaced(t, cached, call, "Attention-24(%q, %ka, %va) {left_window_size = 1}"), env: env},
		{name: "keys that are counted", text: replaced(t, cached, call, "Attention-24(%q, %ka, %va, _, _, _, %n)", "input %mask", "input %n: int64[1] input %mask"), env: env,
			in: map[string]*graph.Tensor{"n": graph.Ints([]int64{4})}},
		{name: "its result is not wanted", text: replaced(t, cached, "%y = "+call, "_, _, _, %qk = "+call, "output %y", "output %qk"), want: "Attention Attention", env: env, in: hides},
	})
}

// TestAttentionKeepsMasks: is_causal counts from the first key where no past is
// joined, whatever the mask's own shape says.
func TestAttentionKeepsMasks(t *testing.T) {
	text := replaced(t, cached, "input %pk", "input %pk0", "%ka = ", "%pk = Neg-13(%pk0) %ka = ")
	check(t, attention, []rewriting{{
		name: "behind a past that cannot be joined", text: text, know: causalProbes(graph.Float32, nil),
		env: graph.Env{"past": 2, "tokens": 3}, in: map[string]*graph.Tensor{"mask": causalMask(graph.Float32, -1e9, 3, 5, 2)},
	}})
	after, _ := rewrite(t, parse(t, text), causalProbes(graph.Float32, nil), attention)
	if n := find(t, after, "Attention"); n.In(3) == nil || n.Int("is_causal", 0) != 0 {
		t.Errorf("the mask is gone:\n%s", graph.Text(after))
	}
}

// TestAttentionCausal proves masks of every dtype causal, or not.
func TestAttentionCausal(t *testing.T) {
	text := func(d string) string {
		return `input %q: float32[1, 2, tokens, 4] input %k: float32[1, 2, tokens, 4] input %v: float32[1, 2, tokens, 4] input %mask: ` + d + `[1, 1, tokens, tokens]
			%y = Attention-23(%q, %k, %v, %mask) output %y`
	}
	square := func(t *testing.T, d graph.DType, hidden float32, change func(n int64, m []float32)) []*graph.Tensor {
		var out []*graph.Tensor
		for _, n := range []int64{3, 1} {
			m := graph.View[float32](causalMask(graph.Float32, hidden, n, n, 0))
			if change != nil {
				change(n, m)
			}
			x, err := graph.NewTensor(d, 1, 1, n, n)
			if err == nil && d == graph.Bool {
				for i, f := range m {
					x.Data[i] = 1
					if f != 0 {
						x.Data[i] = 0
					}
				}
			} else if err == nil {
				err = x.SetFloat32s(m)
			}
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, x)
		}
		return out
	}
	inf := float32(3.4028235e38)
	for _, c := range []struct {
		name  string
		masks []*graph.Tensor
		want  bool
	}{
		{"float32", square(t, graph.Float32, -inf, nil), true},
		{"float32 of infinity", square(t, graph.Float32, -2*inf, nil), true},
		{"float16, whose lowest is -65504", square(t, graph.Float16, -65504, nil), true},
		{"bool", square(t, graph.Bool, 1, nil), true},
		{"hidden by too little", square(t, graph.Float32, -9999, nil), false},
		{"hidden by just enough", square(t, graph.Float32, -1e4, nil), true},
		{"raised in place of hidden", square(t, graph.Float32, inf, nil), false},
		{"nothing hidden", square(t, graph.Float32, 0, nil), false},
		{"not a number", square(t, graph.Float32, 0, func(n int64, m []float32) {
			for i := range m {
				if int64(i)%n > int64(i)/n {
					m[i] = float32(math.NaN())
				}
			}
		}), false},
		{"one row more is hidden, in the first probe alone", square(t, graph.Float32, -inf, func(n int64, m []float32) {
			if n == 3 {
				m[3] = -inf
			}
		}), false},
		{"one row more is seen", square(t, graph.Bool, 1, func(n int64, m []float32) {
			if n == 3 {
				m[1] = 0
			}
		}), false},
	} {
		d := c.masks[0].DType
		var know Knowledge
		for _, m := range c.masks {
			know.Probes = append(know.Probes, Probe{Env: graph.Env{"tokens": m.Shape[2]}, Inputs: map[string]*graph.Tensor{"mask": m}})
		}
		before := parse(t, text(d.String()))
		after, _ := rewrite(t, before, know, attention)
		n := find(t, after, "Attention")
		if got := n.In(3) == nil && n.Int("is_causal", 0) == 1; got != c.want {
			t.Errorf("%s: causal %t, want %t", c.name, got, c.want)
		}
		if c.want {
			same(t, before, after, graph.Env{"tokens": 3}, map[string]*graph.Tensor{"mask": c.masks[0]})
		}
	}
}

// TestAttentionRandom draws extents, scales and the form of the scores.
func TestAttentionRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		heads, width := rapid.IntRange(1, 3).Draw(t, "heads"), rapid.IntRange(1, 4).Draw(t, "width")
		scale := rapid.SampledFrom([]string{"0.25", "1", "3"}).Draw(t, "scale")
		form := rapid.SampledFrom([]string{"Mul-14(%qk, %scale)", "Mul-14(%scale, %qk)", "Div-14(%qk, %scale)", "Identity-21(%qk)"}).Draw(t, "form")
		mask := rapid.SampledFrom([]string{"", "batch, 1, tokens, keys", "1, 1, 1, keys", "tokens, keys"}).Draw(t, "mask")
		text := fmt.Sprintf(`input %%q: float32[batch, %[1]d, tokens, %[2]d] input %%kt: float32[batch, %[1]d, %[2]d, keys] input %%v: float32[batch, %[1]d, keys, 2]
			const %%scale = float32[1] {%[3]s} %%qk = MatMul-13(%%q, %%kt) %%s = %[4]s `, heads, width, scale, form)
		last := "%s"
		if mask != "" {
			text += "input %mask: float32[" + mask + "] %m = Add-14(%s, %mask) "
			last = "%m"
		}
		before := parse(t, text+"%w = Softmax-13("+last+") %y = MatMul-13(%w, %v) output %y")
		after, _ := rewrite(t, before, Knowledge{}, func(c *context) error {
			if err := simplify(c); err != nil {
				return err
			}
			return attention(c)
		})
		find(t, after, "Attention")
		same(t, before, after, graph.Env{"batch": rapid.Int64Range(1, 2).Draw(t, "batch"), "tokens": rapid.Int64Range(0, 3).Draw(t, "tokens"),
			"keys": rapid.Int64Range(1, 4).Draw(t, "keys")}, nil)
	})
}
