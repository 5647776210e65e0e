package graph

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sample is written as Text writes it and uses every form of the grammar.
const sample = `graph "attention \"tiny\"" {
  input %x: float32[batch, 4*n + 1]@cpu
  input %past: float16[1, "past + 1", floor(n / 2), max(m, n)]@sim:0
  input %names: sequence(float32[?])
  input %any: optional
  input %cond: bool[]
  const %w = float32[2] {1, -0.5}
  %y: float32[batch, 4*n + 1]@cpu = Mul-14(%x, %w) @cpu ; llm.layers.7.scale "/layers.7/Mul"
  const %weight = float16[2048, 11008] file "model.onnx_data"[4096:45088768]
  %a, _, %"odd name": float32[2] = com.microsoft::"Weird op"-1(%y, _, %weight) {axis = -1, scale = 1.0, tiny = 1e-45, nan = NaN, inf = -Inf, mode = "a \"b\"", perm = [0, 2, 1], alphas = [0.5, 2.0], labels = ["x", ""], shape = int64[2] {1, -1}, all = [int8[] {1}, bool[2] {1, 0}], none = int[], nowhere = float[], nothing = string[], empty = tensor[], like = type float8e5m2[?], "an attr" = 5}
  %b = Copy-1(%a) @opencl:0 ; "" "only the exporter's name"
  = Sink-1(%b)
  const %lists = sequence(float32[?]) {float32[1] {1}, float32[0] {}}
  %c = If-16(%cond, %lists) ; "path with blanks"
    body then_branch = graph "then" {
      input %i: int64[]
      capture %inner: float32[2] = %a
      capture %w: float32[2] = %w
      %sum = Add-14(%inner, %w)
      output %sum
      const %two = uint64[1] {18446744073709551615}
      output %two
    }
    body else_branch = graph "" {
      capture %a: float32[2] = %a
      output %a
    }
  output %c
  const %out = string[2] {"p", "q\x00"}
  output %out
  output %past
  state %past -> %past
}
`

func TestTextRoundTrip(t *testing.T) {
	g, err := ParseText(sample)
	if err != nil {
		t.Fatal(err)
	}
	if got := Text(g); got != sample {
		t.Error(diff(got, sample))
	}
	n := g.Nodes[1]
	if n.Domain != "com.microsoft" || n.Op != "Weird op" || n.Version != 1 || len(n.Outputs) != 3 || n.Outputs[1] != nil ||
		n.In(1) != nil || n.Int("axis", 0) != -1 || n.Float("scale", 0) != 1 || n.Str("mode", "") != `a "b"` ||
		!slices.Equal(n.Ints("perm"), []int64{0, 2, 1}) || n.Tensor("shape").DType != Int64 {
		t.Errorf("node was read as %+v", n)
	}
	w := n.In(2).Const
	if w.Data != nil || *w.Source != (Range{"model.onnx_data", 4096, 45088768}) {
		t.Errorf("weight was read as %+v", w)
	}
	body := g.Nodes[4].Body("then_branch")
	if body == nil || len(body.Outer) != 2 || body.Outer[0].Def != n || body.Graph.Captures[0].Name != "inner" {
		t.Errorf("body was read as %+v", body)
	}
	for _, k := range []*Graph{chain(), placedChain(), loop(), placedLoop(), stateful()} {
		text := Text(k)
		g, err := ParseText(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if err := Verify(g); err != nil {
			t.Error(err)
		}
		if again := Text(g); again != text {
			t.Error(diff(again, text))
		}
	}
}

func diff(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d:\ngot  %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

// TestTextElements writes and reads extreme elements of every dtype.
func TestTextElements(t *testing.T) {
	for _, k := range []string{
		"float32[6] {3.4028235e+38, -1e-45, -0, NaN, +Inf, -Inf}",
		"float64[3] {1.7976931348623157e+308, 5e-324, 0.1}",
		"float16[4] {65504, 5.9604645e-08, 0.33325195, -Inf}",
		"bfloat16[2] {3.3895314e+38, 0.099609375}",
		"int8[2] {-128, 127}", "int16[2] {-32768, 32767}", "int32[2] {-2147483648, 2147483647}",
		"int64[2] {-9223372036854775808, 9223372036854775807}",
		"uint8[2] {0, 255}", "uint16[1] {65535}", "uint32[1] {4294967295}", "uint64[1] {18446744073709551615}",
		"bool[2] {0, 1}", `string[3] {"", "\xff", "%_"}`, "float32[] {1}", "float32[0, 5] {}",
		"int4[3] {2103}", "uint2[5] {e401}", "float8e4m3fn[2] {7f80}", "float4e2m1[1] {0f}", "complex64[1] {0000803f00000000}",
		"float8e8m0[0] {}",
	} {
		text := "graph \"\" {\n  const %c = " + k + "\n  output %c\n}\n"
		g, err := ParseText(text)
		if err != nil {
			t.Errorf("%s: %v", k, err)
			continue
		}
		if err := Verify(g); err != nil {
			t.Error(err)
		}
		if got := Text(g); got != text {
			t.Error(diff(got, text))
		}
	}
}

// TestTextElides shows what is not inline, and that it cannot be read back.
func TestTextElides(t *testing.T) {
	g := New("elided")
	big := make([]float32, 33)
	big[1] = 0.5
	other := slices.Clone(big)
	other[32] = 1
	strs := &Tensor{DType: String, Shape: []int64{40}, Strings: make([]string, 40)}
	broken := &Tensor{DType: Float32, Shape: []int64{2}, Data: make([]byte, 7)}
	for i, c := range []*Tensor{Floats(big), Floats(other), strs, broken, FromSlice(Int4, make([]uint8, 20), 20).Reshape(20)} {
		v := g.NewConst(fmt.Sprint("c", i), c)
		g.Outputs = append(g.Outputs, v)
	}
	text := Text(g)
	for _, want := range []string{
		"const %c0 = float32[33] <0, 0.5, 0, 0, … sha256:", "const %c1 = float32[33] <0, 0.5, 0, 0, … sha256:",
		`const %c2 = string[40] <"", "", "", "", … sha256:`, "const %c3 = float32[2] <7 bytes>\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q in\n%s", want, text)
		}
	}
	lines := strings.Split(text, "\n")
	if strings.TrimPrefix(lines[1], "  const %c0") == strings.TrimPrefix(lines[3], "  const %c1") {
		t.Error("tensors that differ behind the preview have one hash")
	}
	if _, err := ParseText(text); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "line 2: ") || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("got %v", err)
	}
}

func TestParseTextRefuses(t *testing.T) {
	in := func(line string) string { return "graph \"g\" {\n  input %x: float32[n]\n  " + line + "\n}\n" }
	for _, k := range []struct{ name, text, want string }{
		{"nothing", "", `line 1: invalid graph: got the end, want "graph"`},
		{"no name", "graph {}", "want a string"},
		{"unclosed", "graph \"g\" {", "got the end, want a line of a graph"},
		{"after the end", "graph \"g\" {} graph", `"graph" follows the end`},
		{"unknown line", in("wait"), `line 3: invalid graph: got "wait\n}\n", want a line of a graph`},
		{"undefined", in("output %y"), `value "y" is not defined before it is read`},
		{"read before", in("%y = Relu-1(%z)\n  %z = Relu-1(%y)"), `line 3: invalid graph: value "z" is not defined`},
		{"defined twice", in("%x = Relu-1(%x)"), `value "x" has no name or is defined already`},
		{"twice in one node", in("%y, %y = Split-1(%x)"), `the node has two outputs named "y"`},
		{"no version", in("%y = Relu(%x)"), `want "-"`},
		{"unclosed inputs", in("%y = Relu-1(%x"), `want ","`},
		{"no value", in("%y = Relu-1(x)"), `want "%"`},
		{"dtype", in("input %y: float33[]"), "want a type"},
		{"extent", in("input %y: float32[2, ]"), "want an extent"},
		{"extent of 2^63", in("input %y: float32[9223372036854775808]"), "does not fit 64 bits"},
		{"function", in("input %y: float32[ceil(n, 2)]"), `"ceil" is no function of dims`},
		{"deep dim", in("input %y: float32[" + strings.Repeat("floor(", 70)), "nested more than 64 deep"},
		{"deep type", in("input %y: " + strings.Repeat("sequence(", 70)), "nested more than 64 deep"},
		{"deep attr", in("%y = F-1() {a = " + strings.Repeat("[", 70)), "nested more than 64 deep"},
		{"deep body", "graph \"\" {" + strings.Repeat(" = F-1() body b = graph \"\" {", 40), "nested more than 32 deep"},
		{"symbolic constant", in("const %c = float32[n] {1}"), "float32[n] is no type of a tensor with data"},
		{"undefined constant", in("const %c = undefined[1] {1}"), "is no type of a tensor with data"},
		{"too few elements", in("const %c = float32[2] {1}"), "the elements do not go with float32[2]"},
		{"too many elements", in("const %c = float32[1] {1, 2}"), "the elements do not go with float32[1]"},
		{"huge constant", in("const %c = float32[9223372036854775807, 9] {}"), "the elements do not go with"},
		{"element", in("const %c = int8[1] {128}"), `"128" is no element of a int8 tensor`},
		{"element of bool", in("const %c = bool[1] {2}"), `"2" is no element of a bool tensor`},
		{"odd hexadecimal", in("const %c = int4[1] {123}"), `"123" is no element of a int4 tensor`},
		{"mixed list", in(`%y = F-1() {a = [1, 2.0]}`), "a list of int64 has a float32 at 1"},
		{"empty list", in(`%y = F-1() {a = []}`), "an empty list needs its kind"},
		{"list of lists", in(`%y = F-1() {a = [[1]]}`), "a list of []int64"},
		{"attr without value", in(`%y = F-1() {a}`), `want "="`},
		{"integer of 65 bits", in(`%y = F-1() {a = 1.2.3}`), `got "1.2.3", want a number`},
		{"string", in(`%y = F-1() {a = "}`), "want a string"},
		{"body alone", in(`body b = graph "" {}`), "a body needs a node before it"},
		{"capture of the node", in(`%y = F-1() body b = graph "" { capture %y: float32[] = %y }`), "a body cannot capture %y"},
		{"capture of nothing", in(`%y = F-1() body b = graph "" { capture %y: float32[] }`), `want "="`},
	} {
		t.Run(k.name, func(t *testing.T) {
			g, err := ParseText(k.text)
			if g != nil || !errors.Is(err, ErrInvalid) || !strings.Contains(fmt.Sprint(err), k.want) {
				t.Errorf("got  %v\nwant … %s", err, k.want)
			}
		})
	}
}

func TestParseTextComments(t *testing.T) {
	g, err := ParseText("# a fixture\ngraph \"g\" { # opened\n\tinput %x: float32[n] %y = Relu-1(%x)# read\noutput %y }\n# end")
	if err != nil || len(g.Nodes) != 1 || len(g.Outputs) != 1 {
		t.Errorf("got %v, %v", g, err)
	}
}

func TestTypeText(t *testing.T) {
	for _, text := range []string{
		"float32[?]", "int64[]", "bfloat16[n, 2]@cpu", "sequence", "optional(sequence(string[?]))@cuda:0",
		"undefined[?]", `uint4[n]@"my space"`,
	} {
		g, err := ParseText(`graph "" { input %x: ` + text + ` output %x }`)
		if err != nil || g.Inputs[0].Type.String() != text {
			t.Errorf("%s became %v (%v)", text, g, err)
		}
	}
	if _, err := ParseText(`graph "" { input %x: float32[1] and more output %x }`); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// FuzzParseText: what parses is written in a form that parses to the same text.
func FuzzParseText(f *testing.F) {
	f.Add(sample)
	for _, g := range []*Graph{chain(), placedChain(), loop(), stateful()} {
		f.Add(Text(g))
	}
	f.Add("graph \"\" { const %c = int4[3] {2103} output %c input %x: float32[2*n - 1, mod(n, 3), unknown(ab)] }")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseText(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("unclassified error: %v", err)
			}
			return
		}
		_ = Verify(g) // must not panic
		once := Text(g)
		if strings.Contains(once, "<") && strings.Contains(once, "sha256:") {
			return // cut short
		}
		h, err := ParseText(once)
		if err != nil {
			t.Fatalf("%v in what was written:\n%s", err, once)
		}
		if twice := Text(h); twice != once {
			t.Fatal(diff(twice, once))
		}
	})
}
