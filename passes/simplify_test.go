package passes

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// once makes a pass of one step of simplify.
func once(step func(*context) bool) func(*context) error {
	return func(c *context) error { step(c); return nil }
}

func TestFold(t *testing.T) {
	check(t, once((*context).fold), []rewriting{{
		name: "arithmetic of constants",
		text: `input %x: float32[2] const %a = float32[2] {1, 2} const %b = float32[2] {3, 4}
			%s = Add-14(%a, %b) %r = Sqrt-13(%s) %y = Add-14(%x, %r) output %y`,
		want: "Sqrt Add", // one level a round
	}, {
		name: "known extents",
		text: `input %x: float32[n, 4] const %one = int64[] {1}
			%s = Shape-21(%x) %w = Gather-13(%s, %one) %f = Cast-21(%w) {to = 1} %y = Mul-14(%x, %f) output %y`,
		want: "Cast Mul",
	}, {
		name: "a symbol is not known",
		text: `input %x: float32[n, 4] %s = Shape-21(%x) output %s`,
	}, {
		name: "an output of the graph",
		text: `input %x: float32[n] const %a = int64[2] {1, 2} const %b = int64[2] {3, 4}
			%s = Add-14(%a, %b) output %s`,
		want: "none",
	}, {
		name: "both outputs of one node",
		text: `input %x: float32[2] const %a = float32[4] {1, 2, 3, 4}
			%l, %r = Split-18(%a) {num_outputs = 2} %s = Add-14(%x, %l) %y = Add-14(%s, %r) output %y`,
		want: "Add Add",
	}, {
		name: "what may be large is made when it is needed",
		text: fmt.Sprintf(`input %%x: float32[1] const %%n = int64[1] {%d} %%z = ConstantOfShape-9(%%n) %%y = Add-14(%%z, %%x) output %%y`, maxFold+1),
	}, {
		name: "what may just be folded",
		text: fmt.Sprintf(`input %%x: float32[1] const %%n = int64[1] {%d} %%z = ConstantOfShape-9(%%n) %%y = Add-14(%%z, %%x) output %%y`, maxFold),
		want: "Add",
	}, {
		name: "a body is not evaluated",
		text: `input %x: float32[1] const %yes = bool[] {1}
			%y = If-21(%yes)
			body then_branch = graph "then" { const %k = float32[1] {1} %o = Neg-13(%k) output %o }
			body else_branch = graph "else" { const %k = float32[1] {2} %o = Neg-13(%k) output %o }
			%z = Add-14(%x, %y) output %z`,
	}})
}

// TestFoldLeaves keeps what only running can say: chance, and errors of the data.
func TestFoldLeaves(t *testing.T) {
	dice := &op.Op{
		Name: "Dice", Since: 1, Random: true, Inputs: []string{"sides"}, Outputs: []string{"face"},
		Infer: func(in *op.Inference) error { in.SetTensor(0, graph.Int64, graph.Shape{}); return nil },
		Eval:  func(c *op.Call) error { c.Set(0, graph.Scalar(4)); return nil },
	}
	table := op.All()
	table[op.Key{Name: "Dice"}] = dice
	for _, text := range []string{
		`const %six = int64[] {6} %y = Dice-1(%six) output %y`,
		`const %six = int64[] {6} %a = Dice-1(%six) %b = Dice-1(%six) %y = Add-14(%a, %b) output %y`,
		`const %a = int32[1] {1} const %b = int32[1] {0} %y = Div-14(%a, %b) output %y`,
		`const %a = float32[2] {1, 2} const %i = int64[1] {5} const %axis = int64[1] {0} %y = Gather-13(%a, %i) {axis = 0} output %y`,
		`const %w = float32[2] file "weights.bin"[0:8] %y = Neg-13(%w) output %y`,
	} {
		g, err := graph.ParseText("graph \"test\" {" + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		c := &context{g: g, table: table, report: &Report{}}
		if err := c.infer(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		before := operators(g)
		if err := simplify(c); err != nil || operators(g) != before {
			t.Errorf("%s became %s (%v)", text, operators(g), err)
		}
	}
}

func TestStaticShapes(t *testing.T) {
	check(t, once((*context).staticShapes), []rewriting{{
		name: "numbers, an extent kept and a free one",
		text: `input %x: float32[n, m, 6] const %zero = int64[1] {0} const %two = int64[1] {2} const %three = int64[1] {3} const %one = int64[1] {1}
			%s = Shape-21(%x) %n = Gather-13(%s, %zero) %m = Gather-13(%s, %one)
			%mm = Mul-14(%m, %two) %to = Concat-13(%n, %mm, %three) {axis = 0} %y = Reshape-21(%x, %to) output %y`,
		want: "Reshape",
	}, {
		name: "two extents that cannot be written",
		text: `input %x: float32[n, m] const %zero = int64[1] {0} const %one = int64[1] {1}
			%s = Shape-21(%x) %n = Gather-13(%s, %zero) %m = Gather-13(%s, %one)
			%to = Concat-13(%m, %n) {axis = 0} %y = Reshape-21(%x, %to) output %y`,
	}, {
		name: "a target that only running tells",
		text: `input %x: float32[n, m] input %to: int64[2] %y = Reshape-21(%x, %to) output %y`,
		in:   map[string]*graph.Tensor{"to": graph.Ints([]int64{9, 1})},
	}, {
		name: "allowzero is cleared with the target",
		text: `input %x: float32[n, 4] const %zero = int64[1] {0} const %four = int64[1] {2} const %two = int64[1] {2}
			%s = Shape-21(%x) %n = Gather-13(%s, %zero) %to = Concat-13(%n, %four, %two) {axis = 0}
			%y = Reshape-21(%x, %to) {allowzero = 1} output %y`,
		want: "Reshape",
	}})
}

// TestStaticTarget writes shapes as targets.
func TestStaticTarget(t *testing.T) {
	n, m := graph.Sym("n"), graph.Sym("m")
	for _, c := range []struct {
		in, out graph.Shape
		want    string // empty: it cannot be written
	}{
		{graph.ShapeOf(2, 3), graph.ShapeOf(3, 2), "[3 2]"},
		{graph.ShapeOf(n, 3), graph.ShapeOf(n, 3, 1), "[0 3 1]"},
		{graph.ShapeOf(n, m), graph.ShapeOf(n, m), "[0 0]"},
		{graph.ShapeOf(n, m), graph.ShapeOf(n.Mul(m)), "[-1]"},
		{graph.ShapeOf(1, n, 8), graph.ShapeOf(1, 2, n, 4), "[1 2 -1 4]"},
		{graph.ShapeOf(n, m), graph.ShapeOf(m, n), ""},
		{graph.ShapeOf(0, 3), graph.ShapeOf(0, 4), "[0 4]"},
		{graph.ShapeOf(4, 0), graph.ShapeOf(2, 0), "[2 0]"},
		{graph.ShapeOf(4, 0), graph.ShapeOf(0), ""},
		{graph.ShapeOf(n), nil, ""},
		{nil, graph.ShapeOf(n), ""},
	} {
		got, ok := staticTarget(c.in, c.out)
		if text := fmt.Sprint(got); ok != (c.want != "") || ok && text != c.want {
			t.Errorf("%s from %s: %s %t, want %q", c.out, c.in, text, ok, c.want)
		}
	}
}

func TestReshapes(t *testing.T) {
	check(t, once((*context).reshapes), []rewriting{{
		name: "of a Reshape",
		text: `input %x: float32[n, 6] const %a = int64[3] {0, 2, 3} const %b = int64[2] {-1, 3}
			%m = Reshape-21(%x, %a) %y = Reshape-21(%m, %b) output %y`,
		want: "Reshape",
	}, {
		name: "of Unsqueeze, Squeeze and Flatten",
		text: `input %x: float32[n, 6] const %one = int64[1] {1} const %a = int64[2] {0, 6} const %b = int64[2] {0, -1} const %c = int64[3] {0, 2, 3}
			%u = Unsqueeze-21(%x, %one) %p = Reshape-21(%u, %a)
			%q = Squeeze-21(%u, %one) %r = Reshape-21(%q, %b)
			%f = Flatten-21(%u) {axis = 1} %s = Reshape-21(%f, %c) output %p output %r output %s`,
		want: "Unsqueeze Reshape Reshape Reshape", // the Squeeze's source is the Unsqueeze, for this round
	}, {
		name: "the inner one is read elsewhere",
		text: `input %x: float32[n, 6] const %a = int64[3] {0, 2, 3} const %b = int64[2] {-1, 3}
			%m = Reshape-21(%x, %a) %y = Reshape-21(%m, %b) %z = Neg-13(%m) output %y output %z`,
		want: "Reshape Reshape Neg",
	}, {
		name: "two symbols that cannot be written from the source",
		text: `input %x: float32[n, m] input %t: float32[m, n]
			%s = Shape-21(%t) %m = Reshape-21(%x, %s) %s2 = Shape-21(%t) %y = Reshape-21(%m, %s2) output %y`,
	}, {
		name: "of an element of a sequence",
		text: `input %x: float32[2, 3] const %i = int64[] {0} const %b = int64[2] {3, 2}
			%l = SequenceConstruct-11(%x) %e = SequenceAt-11(%l, %i) %y = Reshape-21(%e, %b) output %y`,
	}})
}

// TestExpansions has operands that MatMul repeats by itself, and what looks alike.
func TestExpansions(t *testing.T) {
	check(t, once((*context).expansions), []rewriting{{
		name: "one matrix for all of the other operand",
		text: `input %x: float32[1, 3, 4] input %w: float32[n, 4, 2] const %b = int64[1] {0} %s = Shape-21(%w) %n = Gather-13(%s, %b)
			const %r = int64[2] {3, 4} %to = Concat-13(%n, %r) {axis = 0} %e = Expand-13(%x, %to) %y = MatMul-13(%e, %w) output %y`,
		want: "MatMul",
	}, {
		name: "the right operand, on two axes",
		text: `input %x: float32[2, 3, 5, 4] input %w: float32[1, 1, 4, 2] const %to = int64[4] {2, 3, 4, 2}
			%e = Expand-13(%w, %to) %y = MatMul-13(%x, %e) output %y`,
		want: "MatMul",
	}, {
		name: "what is repeated is repeated in the other operand too",
		text: `input %x: float32[1, 3, 4] input %w: float32[1, 4, 2] const %to = int64[3] {5, 3, 4}
			%e = Expand-13(%x, %to) %y = MatMul-13(%e, %w) output %y`,
	}, {
		name: "the matrix itself is repeated",
		text: `input %x: float32[2, 1, 4] input %w: float32[2, 4, 2] const %to = int64[3] {2, 3, 4}
			%e = Expand-13(%x, %to) %y = MatMul-13(%e, %w) output %y`,
	}, {
		name: "the operand gets a rank more",
		text: `input %x: float32[3, 4] input %w: float32[2, 4, 2] const %to = int64[3] {2, 3, 4}
			%e = Expand-13(%x, %to) %y = MatMul-13(%e, %w) output %y`,
	}, {
		name: "another operator",
		text: `input %x: float32[1, 4] input %w: float32[2, 4] const %to = int64[2] {2, 4}
			%e = Expand-13(%x, %to) %y = Add-14(%e, %w) output %y`,
	}})
}

// TestNoops has each operator that does nothing, and next to it what looks alike.
func TestNoops(t *testing.T) {
	const x = `input %x: float32[n, 4] `
	var cases []rewriting
	for _, c := range []struct {
		name, line string // from %x to %y
		stays      bool
	}{
		{"identity", `%y = Identity-21(%x)`, false},
		{"cast to the same dtype", `%y = Cast-21(%x) {to = 1}`, false},
		{"cast to another dtype", `%y = Cast-21(%x) {to = 10}`, true},
		{"cast like the same", `%y = CastLike-19(%x, %x)`, false},
		{"cast like another", `const %k = int64[1] {0} %y = CastLike-19(%x, %k)`, true},
		{"reshape to the same", `const %k = int64[2] {0, 4} %y = Reshape-21(%x, %k)`, false},
		{"reshape to another", `const %k = int64[2] {-1, 2} %y = Reshape-21(%x, %k)`, true},
		{"squeeze nothing", `const %k = int64[0] {} %y = Squeeze-21(%x, %k)`, false},
		{"unsqueeze nothing", `const %k = int64[0] {} %y = Unsqueeze-21(%x, %k)`, false},
		{"unsqueeze", `const %k = int64[1] {0} %y = Unsqueeze-21(%x, %k)`, true},
		{"flatten a matrix", `%y = Flatten-21(%x) {axis = 1}`, false},
		{"flatten all", `%y = Flatten-21(%x) {axis = 0}`, true},
		{"expand to the same", `const %k = int64[2] {1, 4} %y = Expand-13(%x, %k)`, false},
		{"expand further", `const %k = int64[3] {2, 1, 1} %y = Expand-13(%x, %k)`, true},
		{"dropout", `%y = Dropout-13(%x)`, false},
		{"dropout whose mask is read", `%d, %mask = Dropout-13(%x) %m = Cast-21(%mask) {to = 1} %y = Mul-14(%d, %m)`, true},
		{"dropout that may be training", `const %r = float32[] {0} input %train: bool[] %y = Dropout-13(%x, %r, %train)`, true},
		{"slice of everything", `const %a = int64[1] {0} const %b = int64[1] {4} const %c = int64[1] {1} %y = Slice-13(%x, %a, %b, %c)`, false},
		{"slice in steps of one", `const %a = int64[1] {0} const %b = int64[1] {9} const %c = int64[1] {1} const %d = int64[1] {1} %y = Slice-13(%x, %a, %b, %c, %d)`, false},
		{"slice backwards", `const %a = int64[1] {-1} const %b = int64[1] {-9} const %c = int64[1] {1} const %d = int64[1] {-1} %y = Slice-13(%x, %a, %b, %c, %d)`, true},
		{"slice of a part", `const %a = int64[1] {1} const %b = int64[1] {4} const %c = int64[1] {1} %y = Slice-13(%x, %a, %b, %c)`, true},
		{"concat of one", `%y = Concat-13(%x) {axis = 0}`, false},
		{"concat of two", `%y = Concat-13(%x, %x) {axis = 0}`, true},
		{"times one", `const %k = float32[] {1} %y = Mul-14(%x, %k)`, false},
		{"one times", `const %k = float32[1] {1} %y = Mul-14(%k, %x)`, false},
		{"times one that broadcasts", `const %k = float32[1, 1, 1] {1} %y = Mul-14(%x, %k)`, true},
		{"times ones that are several", `const %k = float32[4] {1, 1, 1, 1} %y = Mul-14(%x, %k)`, true},
		{"times two", `const %k = float32[] {2} %y = Mul-14(%x, %k)`, true},
		{"over one", `const %k = float32[] {1} %y = Div-14(%x, %k)`, false},
		{"one over", `const %k = float32[] {1} %y = Div-14(%k, %x)`, true},
		{"plus zero", `const %k = float32[] {0} %y = Add-14(%k, %x)`, false},
		{"plus one", `const %k = float32[] {1} %y = Add-14(%x, %k)`, true},
		{"less zero", `const %k = float32[] {0} %y = Sub-14(%x, %k)`, false},
		{"zero less", `const %k = float32[] {0} %y = Sub-14(%k, %x)`, true},
	} {
		w := rewriting{name: c.name, text: x + c.line + ` %z = Abs-13(%y) output %z`, in: map[string]*graph.Tensor{"train": boolScalar(0)}}
		if !c.stays {
			w.want = "Abs"
		}
		cases = append(cases, w)
	}
	const b = `input %x: bool[n] `
	cases = append(cases, []rewriting{
		{name: "and true", text: b + `const %k = bool[] {1} %y = And-7(%x, %k) %z = Not-1(%y) output %z`, want: "Not"},
		{name: "and false", text: b + `const %k = bool[] {0} %y = And-7(%x, %k) %z = Not-1(%y) output %z`},
		{name: "or false is left", text: b + `const %k = bool[] {0} %y = Or-7(%x, %k) %z = Not-1(%y) output %z`},
		{name: "an output keeps its node", text: x + `%y = Identity-21(%x) output %y`},
		{name: "a chain before an output", text: x + `%a = Identity-21(%x) %b = Identity-21(%a) %y = Identity-21(%b) output %y`, want: "Identity"},
		{name: "integers", text: `input %x: int64[n] const %k = int64[] {1} %y = Mul-14(%x, %k) %z = Neg-13(%y) output %z`, want: "Neg"},
		{name: "another domain's Identity", text: x + `const %cu = int64[2] {0, 3} %y = mnnconv::Copy-1(%x) %z = Abs-13(%y) output %z`},
		{
			name: "a sequence", want: "SequenceConstruct SequenceAt",
			text: x + `const %i = int64[] {0} %l = SequenceConstruct-11(%x) %m = Identity-21(%l) %y = SequenceAt-11(%m, %i) output %y`,
		},
		{
			name: "a shape that only running tells",
			text: x + `input %k: int64[2] %y = Expand-13(%x, %k) %z = Abs-13(%y) output %z`,
			in:   map[string]*graph.Tensor{"k": graph.Ints([]int64{1, 4})},
		},
	}...)
	check(t, once((*context).noops), cases)
}

// TestSimplify runs the whole pass over what exporters write before a Reshape.
func TestSimplify(t *testing.T) {
	check(t, simplify, []rewriting{{
		name: "heads",
		text: `
			input %x: float32[batch, tokens, 8]
			%s = Shape-21(%x)
			%zero = Constant-21() {value_int = 0}
			%b = Gather-13(%s, %zero)
			const %one = int64[] {1}
			%t = Gather-13(%s, %one)
			const %axes = int64[1] {0}
			%b1 = Unsqueeze-21(%b, %axes)
			%t1 = Unsqueeze-21(%t, %axes)
			const %h = int64[1] {2}
			const %w = int64[1] {-1}
			%to = Concat-13(%b1, %t1, %h, %w) {axis = 0}
			%r = Reshape-21(%x, %to)
			%y = Transpose-21(%r) {perm = [0, 2, 1, 3]}
			output %y`,
		want: "Reshape Transpose",
	}, {
		name: "there and back again",
		text: `
			input %x: float32[batch, tokens, 8]
			const %to = int64[4] {0, 0, 2, 4}
			const %back = int64[3] {0, 0, 8}
			%r = Reshape-21(%x, %to)
			%p = Transpose-21(%r) {perm = [0, 2, 1, 3]}
			%q = Transpose-21(%p) {perm = [0, 2, 1, 3]}
			%s = Reshape-21(%q, %back)
			%y = Neg-13(%s)
			output %y`,
		want: "Neg",
	}})
}

// TestSimplifyRandom draws graphs of small operators and compares what they
// compute before and after.
func TestSimplifyRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := randomLines(t)
		before := parse(t, text)
		after, _ := rewrite(t, before, Knowledge{}, func(c *context) error {
			if err := constants(c); err != nil {
				return err
			}
			return simplify(c)
		})
		if len(after.Nodes) > len(before.Nodes) {
			t.Errorf("%s became longer:\n%s", text, graph.Text(after))
		}
		same(t, before, after, graph.Env{"n": rapid.Int64Range(0, 4).Draw(t, "n"), "m": rapid.Int64Range(0, 4).Draw(t, "m")}, nil)
	})
}

// randomLines draws a graph over matrices [n, m], [m, n] and [n·m], all
// operators of which have a shape that can be foreseen.
func randomLines(t *rapid.T) string {
	var b strings.Builder
	b.WriteString(`input %v0: float32[n, m]
		const %zero = float32[] {0} const %one = float32[1] {1} const %two = float32[] {2}
		const %flat = int64[1] {-1} const %first = int64[1] {0} const %second = int64[1] {1} const %both = int64[2] {0, 1} const %no = int64[0] {}
		%extents = Shape-21(%v0) %n = Gather-13(%extents, %first) %m = Gather-13(%extents, %second)
		%nm = Concat-13(%n, %m) {axis = 0} %mn = Concat-13(%m, %n) {axis = 0}
	`)
	shapes := []string{"nm"}
	count := rapid.IntRange(1, 12).Draw(t, "nodes")
	for range count {
		i := rapid.IntRange(0, len(shapes)-1).Draw(t, "input")
		shape, v := shapes[i], len(shapes)
		line := ""
		switch k := rapid.IntRange(0, 9).Draw(t, "operator"); k {
		case 0:
			line = fmt.Sprintf("%%v%d = Reshape-21(%%v%d, %%flat)", v, i)
			shape = "flat"
		case 1, 2:
			shape = []string{"nm", "mn"}[k-1]
			line = fmt.Sprintf("%%v%d = Reshape-21(%%v%d, %%%s) {allowzero = 1}", v, i, shape)
		case 3:
			if shape == "flat" {
				line = fmt.Sprintf("%%v%d = Neg-13(%%v%d)", v, i)
				break
			}
			line = fmt.Sprintf("%%v%d = Transpose-21(%%v%d) {perm = [1, 0]}", v, i)
			shape = map[string]string{"nm": "mn", "mn": "nm"}[shape]
		case 4, 5, 6:
			opname := []string{"Add", "Mul", "Sub"}[k-4]
			other := rapid.SampledFrom([]string{"zero", "one", "two"}).Draw(t, "constant")
			line = fmt.Sprintf("%%v%d = %s-14(%%v%d, %%%s)", v, opname, i, other)
		case 7:
			j := rapid.IntRange(0, len(shapes)-1).Draw(t, "other")
			if shapes[j] != shape {
				j = i
			}
			line = fmt.Sprintf("%%v%d = Add-14(%%v%d, %%v%d)", v, i, j)
		case 8:
			line = fmt.Sprintf("%%u%d = Unsqueeze-21(%%v%d, %%both) %%v%d = Squeeze-21(%%u%d, %%both)", v, i, v, v)
		case 9:
			line = fmt.Sprintf("%%v%d = Cast-21(%%v%d) {to = 1}", v, i)
		}
		b.WriteString(line + "\n")
		shapes = append(shapes, shape)
	}
	for range rapid.IntRange(1, 3).Draw(t, "outputs") {
		fmt.Fprintf(&b, "output %%v%d\n", rapid.IntRange(0, len(shapes)-1).Draw(t, "output"))
	}
	return b.String()
}
