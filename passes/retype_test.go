package passes

import (
	"errors"
	"math"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// retyped parses a graph whose nodes have what stands before "_" in their first
// output's name as their path, and applies rules for types.
func retyped(t *testing.T, text, rules string) (before, after *graph.Graph, err error) {
	t.Helper()
	before = parse(t, text)
	for _, n := range before.Nodes {
		n.Path, _, _ = strings.Cut(n.Outputs[0].Name, "_")
	}
	after, _ = before.Clone()
	types, err := ParseTypes(rules)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := types.Apply(after, op.All()); err != nil {
		return before, after, err
	}
	return before, after, errors.Join(graph.Verify(after), types.Check())
}

// typed lists a graph's nodes with the types of what they make.
func typed(g *graph.Graph) string {
	short := map[graph.DType]string{graph.Float32: "32", graph.Float16: "16", graph.BFloat16: "b"}
	var out []string
	for _, n := range g.Nodes {
		s := n.Path + ":" + n.Op
		if d := short[n.Outputs[0].Type.DType]; d != "" {
			s += "→" + d
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

const (
	stages = `input %x: float16[rows, 2]
		const %w = float16[2, 2] {1, 2, 3, 4} const %b = float16[2] {0.5, 0.25} const %two = float16[2, 2] {2, 0, 0, 2}
		%a_m = MatMul-13(%x, %w) %a_b = Add-14(%a_m, %b) %c_m = MatMul-13(%a_b, %two) %a_s = Mul-14(%c_m, %a_b) output %a_s`
	wideStage = `input %x: float32[rows, 2]
		const %w = float32[2, 2] {1, 2, 3, 4} %a_m = MatMul-13(%x, %w) output %a_m`
	islands = `input %x: float16[rows, 2] const %w = float16[2, 2] {1, 2, 3, 4} const %e = float32[1] {0.001}
		%a_m = MatMul-13(%x, %w) %a_f = Cast-13(%a_m) {to = 1} %a_e = Add-14(%a_f, %e) %a_c = Cast-13(%a_e) {to = 10} %a_r = Relu-14(%a_c) output %a_r`
	positions = `input %x: float32[rows, 2] input %p: int64[rows, 1] const %f = float32[2] {1, 0.25} const %w = float32[2, 2] {1, 2, 3, 4}
		%a_f = Cast-13(%p) {to = 1} %a_t = Mul-14(%a_f, %f) %a_cos = Cos-7(%a_t) %a_m = MatMul-13(%x, %w) %a_y = Mul-14(%a_m, %a_cos) output %a_y`
	quantised = `input %x: float16[rows, 2] const %w = float16[2, 2] {1, 2, 3, 4}
		%a_m = MatMul-13(%x, %w) %a_f = Cast-13(%a_m) {to = 1} %a_q, %a_scale, %a_zero = DynamicQuantizeLinear-11(%a_f) %a_d = DequantizeLinear-13(%a_q, %a_scale, %a_zero) output %a_d`
	table  = `input %i: int64[rows] const %t = float16[3, 2] {1, 2, 3, 4, 5, 6} %embed_g = Gather-13(%t, %i) %embed_y = Add-14(%embed_g, %embed_g) output %embed_y`
	stored = `input %x: float16[rows, 2] const %w = float16[2, 2] {1, 2, 3, 4}
		%a_x = Cast-13(%x) {to = 1} %a_w = Cast-13(%w) {to = 1} %a_m = MatMul-13(%a_x, %a_w) %a_y = Cast-13(%a_m) {to = 10} output %a_y`
	captured = `input %x: float16[2, 2] input %ok: bool[] const %w = float16[2, 2] {1, 2, 3, 4} %a_m = MatMul-13(%x, %w)
		%a_i = If-16(%ok)
		body then_branch = graph "t" { capture %u: float16[2, 2] = %a_m %v = Neg-13(%u) output %v }
		body else_branch = graph "e" { capture %u: float16[2, 2] = %a_m %v = Abs-13(%u) output %v }
		output %a_i`
)

// TestTypes changes the types that stages compute in: what is made, where Casts stand,
// and that it computes the same.
func TestTypes(t *testing.T) {
	for _, c := range []struct{ name, text, rules, want string }{
		{"a stage in float32", stages, "a=fp32", "a:Cast→32 a:Cast→32 a:MatMul→32 a:Add→32 a:Cast→16 c:MatMul→16 a:Cast→32 a:Mul→32 a:Cast→16"},
		{"in bfloat16", stages, "a=bf16", "a:Cast→b a:MatMul→b a:Add→b c:Cast→16 c:MatMul→16 a:Cast→b a:Mul→b a:Cast→16"},
		{"two stages of two types", stages, "a=fp32,c=bf16", "a:Cast→32 a:Cast→32 a:MatMul→32 a:Add→32 a:Cast→b c:MatMul→b a:Cast→32 a:Mul→32 a:Cast→16"},
		{"everything", stages, "fp32", "a:Cast→32 a:Cast→32 a:MatMul→32 a:Add→32 c:Cast→32 c:MatMul→32 a:Mul→32 a:Cast→16"},
		{"the type that it is", stages, "a=fp16", ""},
		{"narrower", wideStage, "a=fp16", "a:Cast→16 a:MatMul→16 a:Cast→32"},
		{"what was wider becomes part of the stage", islands, "a=fp32", "a:Cast→32 a:Cast→32 a:MatMul→32 a:Add→32 a:Relu→32 a:Cast→16"},
		{"what was wider stays", islands, "a=bf16", "a:Cast→b a:MatMul→b a:Cast→32 a:Add→32 a:Cast→b a:Relu→b a:Cast→16"},
		{"angles stay wide", positions, "a=fp16", "a:Cast→32 a:Mul→32 a:Cos→32 a:Cast→16 a:MatMul→16 a:Cast→16 a:Mul→16 a:Cast→32"},
		{"what takes float32 alone", quantised, "a=bf16", "a:Cast→b a:MatMul→b a:Cast→32 a:DynamicQuantizeLinear a:DequantizeLinear→32"},
		{"rows looked up are widened, not the table", table, "embed=fp32", "embed:Gather→16 embed:Cast→32 embed:Add→32 embed:Cast→16"},
		{"weights of 16 bits, as they are stored", stored, "a=fp16", "a:MatMul→16 a:Cast→16"},
		{"weights of 16 bits, in another type of 16", stored, "a=bf16", "a:Cast→b a:MatMul→b a:Cast→16"},
		{"a graph within a node", captured, "a=fp32", "a:Cast→32 a:Cast→32 a:MatMul→32 a:Cast→16 a:If→16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after, err := retyped(t, c.text, c.rules)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				c.want = typed(before)
			}
			if got := typed(after); got != c.want {
				t.Errorf("got  %s\nwant %s\n%s", got, c.want, graph.Text(after))
			}
			for i, v := range after.Outputs {
				if w := before.Outputs[i]; v.Name != w.Name || v.Type.DType != w.Type.DType {
					t.Errorf("output %s: %s was %s: %s", v.Name, v.Type, w.Name, w.Type)
				}
			}
			for i, v := range after.Inputs {
				if w := before.Inputs[i]; v.Type.DType != w.Type.DType {
					t.Errorf("input %s: %s was %s", v.Name, v.Type, w.Type)
				}
			}
			in := inputs(t, before, graph.Env{"rows": 3}, map[string]*graph.Tensor{
				"i": graph.Ints([]int64{2, 0, 1}), "p": graph.Ints([]int64{3, 70, 4097}, 3, 1), "ok": graph.FromSlice(graph.Bool, []uint8{1}).Reshape(),
			})
			want, got := compute(t, before, in), compute(t, after, in)
			for i := range want {
				close16(t, before.Outputs[i].Name, want[i], got[i])
			}
		})
	}
}

// close16 compares numbers to bfloat16's precision.
func close16(t *testing.T, name string, want, got *graph.Tensor) {
	t.Helper()
	w, err := want.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	g, err := got.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	largest := 0.0
	for _, x := range w {
		largest = max(largest, math.Abs(float64(x)))
	}
	for i := range w {
		if d := math.Abs(float64(w[i]) - float64(g[i])); !(d <= largest/32) {
			t.Errorf("%s: number %d is %g, want %g", name, i, g[i], w[i])
		}
	}
}

// TestTypesOfStates has a state follow the stage that writes it.
func TestTypesOfStates(t *testing.T) {
	g, _ := rewrite(t, parse(t, twoLayers), capacity8, kvState)
	types, err := ParseTypes("bf16")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := types.Apply(g, op.All()); err != nil {
		t.Fatal(err)
	}
	for _, s := range g.States {
		if s.In.Type.DType != graph.BFloat16 || s.Out.Type.DType != graph.BFloat16 || !s.Out.Def.Is("TensorScatter") {
			t.Errorf("state %s → %s\n%s", s.In.Type, s.Out.Type, graph.Text(g))
		}
	}
}

// TestTypesMendOverflow computes in float32 what overflows float16: the answer is there.
func TestTypesMendOverflow(t *testing.T) {
	const text = `input %x: float16[1, 2] const %w = float16[2, 2] {60000, 0, 0, 60000} const %v = float16[2, 2] {0.0001, 0, 0, 0.0001}
		%a_m = MatMul-13(%x, %w) %a_y = MatMul-13(%a_m, %v) output %a_y`
	in := map[string]*graph.Tensor{"x": graph.FromSlice(graph.Float16, []uint16{0x4000, 0x4200}, 1, 2)} // 2, 3
	for rules, finite := range map[string]bool{"a=fp16": false, "a=fp32": true, "a=bf16": true} {
		_, after, err := retyped(t, text, rules)
		if err != nil {
			t.Fatal(err)
		}
		got, err := compute(t, after, in)[0].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		if ok := math.Abs(float64(got[0])-12) < 0.1 && math.Abs(float64(got[1])-18) < 0.1; ok != finite {
			t.Errorf("%s: %g", rules, got)
		}
	}
}

// TestTypesRefuse names what the type asked for cannot hold.
func TestTypesRefuse(t *testing.T) {
	const text = `input %x: float32[1, 2] const %w = float32[2, 2] {1, 2, 70000, 4} %a_m = MatMul-13(%x, %w) output %a_m`
	if _, _, err := retyped(t, text, "a=fp16"); !errors.Is(err, ErrRange) || !strings.Contains(err.Error(), `constant "w"`) || !strings.Contains(err.Error(), "number 2 is 70000") {
		t.Error(err)
	}
	if _, _, err := retyped(t, text, "a=bf16"); err != nil {
		t.Error(err)
	}
	const infinite = `input %x: float32[2] const %w = float32[2] {-Inf, 1} %a_m = Max-13(%x, %w) output %a_m`
	if _, _, err := retyped(t, infinite, "a=fp16"); err != nil {
		t.Error("what was infinite before:", err)
	}
	if _, _, err := retyped(t, text, "a=bf16,b=fp16"); !errors.Is(err, ErrTypes) || !strings.Contains(err.Error(), `"b=fp16"`) {
		t.Error(err)
	}
	if _, _, err := retyped(t, text, "a=bf16,a_m=fp16"); !errors.Is(err, ErrTypes) || !strings.Contains(err.Error(), `matches nothing that`) {
		t.Error(err)
	}
	if _, _, err := retyped(t, text, "a=bf16,a=fp16"); !errors.Is(err, ErrTypes) || !strings.Contains(err.Error(), `rules before "a=fp16" took all that it matches: put it before them`) {
		t.Error(err)
	}
	for _, rules := range []string{"", "a", "a=", "=fp16", "a=int8", "a=fp32,", "a.5-3=fp16", "/(/=fp16"} {
		if _, err := ParseTypes(rules); !errors.Is(err, ErrTypes) {
			t.Errorf("%q: %v", rules, err)
		}
	}
}

// TestTypesLater converts a weight when it is written, and refuses it by name then.
func TestTypesLater(t *testing.T) {
	const n = 300
	w := make([]float32, n*n)
	for i := range w {
		w[i] = float32(i % 1000)
	}
	for _, last := range []float32{7, 1e6} {
		w[n*n-1] = last
		g := graph.New("test")
		x := g.NewInput("x", graph.Type{DType: graph.Float32, Shape: graph.Shape{graph.Const(1), graph.Const(n)}})
		m := g.NewNode("", "MatMul", 13, []*graph.Value{x, g.NewConst("weight", graph.Floats(w, n, n))}, "y")
		g.Append(m)
		g.Outputs = []*graph.Value{m.Outputs[0]}
		types, err := ParseTypes("fp16")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Infer(g, op.All()); err != nil {
			t.Fatal(err)
		}
		if _, err := types.Apply(g, op.All()); err != nil {
			t.Fatal(err)
		}
		c := find(t, g, "MatMul").Inputs[1].Const
		if c.Later == nil || c.Of == nil || c.Size() != 2*n*n {
			t.Fatal("the weight is converted at once")
		}
		err = c.Make()
		if last > 65504 {
			if !errors.Is(err, ErrRange) || !strings.Contains(err.Error(), `"weight"`) {
				t.Error(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		near(t, "weight", converted(t, graph.Floats(w, n, n), graph.Float16), c)
	}
}
