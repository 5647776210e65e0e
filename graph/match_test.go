package graph

import (
	"fmt"
	"slices"
	"testing"
)

// expr builds graphs for the cases: one node per call, outputs v1, v2, ...
type expr struct{ g *Graph }

func (e expr) in(name string) *Value { return e.g.NewInput(name, TensorOf(Float32, "n")) }

func (e expr) num(x float32) *Value {
	return e.g.NewConst(fmt.Sprintf("c%d", e.g.NumValues()), FromSlice(Float32, []float32{x}, []int64{}...))
}

func (e expr) op(op string, ins ...*Value) *Value {
	n := e.g.NewNode("", op, 20, ins, fmt.Sprintf("v%d", e.g.NumValues()))
	e.g.Append(n)
	return n.Outputs[0]
}

func TestMatch(t *testing.T) {
	e := expr{New("cases")}
	x, y, w := e.in("x"), e.in("y"), e.in("w")
	half := e.g.NewConst("half", &Tensor{DType: Float16, Shape: []int64{1}, Data: bytesOf([]uint16{F32ToF16(0.1)})})
	split := e.g.NewNode("", "Split", 18, []*Value{x}, "left", "right")
	gqa := e.g.NewNode("com.microsoft", "GroupQueryAttention", 1, []*Value{x, nil, y}, "gqa")

	silu := Op("Mul", Any("x"), Op("Sigmoid", Any("x")))
	norm := Op("Div", Any("x"), Op("Sqrt", Op("Add", Op("ReduceMean", Op("Pow", Any("x"), Literal(2))), ScalarOf("eps"))))
	both := Op("Add", Op("Mul", Any("a"), Any("b")), Op("Mul", Any("b"), Any("c")))

	for _, k := range []struct {
		name string
		p    *Pattern
		v    *Value
		want map[string]*Value // nil: no match
	}{
		{"any", Any("a"), x, map[string]*Value{"a": x}},
		{"unnamed", Any(""), x, map[string]*Value{}},
		{"nil", Any(""), nil, nil},
		{"operator", Op("Relu"), e.op("Relu", x), map[string]*Value{}},
		{"wrong operator", Op("Relu"), e.op("Sigmoid", x), nil},
		{"input is no node", Op("Relu"), x, nil},
		{"wrong domain", Op("GroupQueryAttention"), gqa.Outputs[0], nil},
		{"domain", OpIn("com.microsoft", "GroupQueryAttention", Any("q"), nil, Any("v")), gqa.Outputs[0], map[string]*Value{"q": x, "v": y}},
		{"present where absent", OpIn("com.microsoft", "GroupQueryAttention", Any("q"), Any("k"), Any("v")), gqa.Outputs[0], nil},
		{"input too many", Op("Sum", Any("a")), e.op("Sum", x, y), nil},
		{"more inputs", Op("Sum", Any("a")).More(), e.op("Sum", x, y), map[string]*Value{"a": x}},
		{"input too few", Op("Sub", Any("a"), Any("b")), e.op("Sub", x), nil},
		{"other output", Op("Split", Any("a")), split.Outputs[1], nil},
		{"as", Op("Split").As("s"), split.Outputs[0], map[string]*Value{"s": split.Outputs[0]}},

		{"same value", silu, e.op("Mul", x, e.op("Sigmoid", x)), map[string]*Value{"x": x}},
		{"swapped", silu, e.op("Mul", e.op("Sigmoid", x), x), map[string]*Value{"x": x}},
		{"other value", silu, e.op("Mul", y, e.op("Sigmoid", x)), nil},
		{"not commutative", Op("Sub", Any("a"), Literal(1)), e.op("Sub", e.num(1), x), nil},
		{"other domain's Add", OpIn("custom", "Add", Any("a"), Literal(1)), func() *Value {
			return e.g.NewNode("custom", "Add", 1, []*Value{e.num(1), x}, "custom").Outputs[0]
		}(), nil},
		// Only the swapped first Mul leaves "b" to the second.
		{"late choice", both, e.op("Add", e.op("Mul", x, y), e.op("Mul", x, w)), map[string]*Value{"a": y, "b": x, "c": w}},
		{"no choice", both, e.op("Add", e.op("Mul", x, x), e.op("Mul", y, w)), nil},

		{"or first", Or(Op("Relu", Any("a")), Op("Gelu", Any("a"))), e.op("Relu", x), map[string]*Value{"a": x}},
		{"or second", Or(Op("Relu", Any("a")), Op("Gelu", Any("b"))), e.op("Gelu", x), map[string]*Value{"a": nil, "b": x}},
		{"or neither", Or(Op("Relu", Any("a")), Op("Gelu", Any("a"))), e.op("Sigmoid", x), nil},
		{"or named", Or(Op("Relu"), Op("Gelu")).As("act"), e.op("Softmax", x), nil},
		{"maybe there", Maybe("Cast", Op("Relu", Any("a"))), e.op("Cast", e.op("Relu", x)), map[string]*Value{"a": x}},
		{"maybe not", Maybe("Cast", Op("Relu", Any("a"))), e.op("Relu", x), map[string]*Value{"a": x}},
		{"maybe neither", Maybe("Cast", Op("Relu", Any("a"))), e.op("Cast", e.op("Cast", e.op("Relu", x))), nil},
		{"maybe itself", Maybe("Cast", Op("Cast", Any("a"))), e.op("Cast", x), map[string]*Value{"a": x}},

		{"constant", ConstOf("w"), half, map[string]*Value{"w": half}},
		{"no constant", ConstOf("w"), x, nil},
		{"scalar", ScalarOf("s"), half, map[string]*Value{"s": half}},
		{"vector", ScalarOf("s"), e.g.NewConst("vec", Floats([]float32{1, 2})), nil},
		{"string", ScalarOf("s"), e.g.NewConst("str", &Tensor{DType: String, Strings: []string{"1"}}), nil},
		{"rounded literal", Literal(0.1), half, map[string]*Value{}},
		{"bfloat16 literal", Literal(0.1), e.g.NewConst("bf16", &Tensor{DType: BFloat16, Data: []byte{0xcd, 0x3d}}), map[string]*Value{}},
		{"no number", Literal(0), e.g.NewConst("complex", &Tensor{DType: Complex64, Data: make([]byte, 8)}), nil},
		{"other literal", Literal(0.2), half, nil},
		{"weight not read", Literal(1), e.g.NewConst("file", &Tensor{DType: Float32, Source: &Range{"f", 0, 4}}), nil},
		{"equal constants", Op("Add", Op("Mul", Any("x"), ConstOf("c")), ConstOf("c")), e.op("Add", e.op("Mul", x, e.num(3)), e.num(3)), map[string]*Value{"x": x}},
		{"unequal constants", Op("Add", Op("Mul", Any("x"), ConstOf("c")), ConstOf("c")), e.op("Add", e.op("Mul", x, e.num(3)), e.num(4)), nil},

		{"norm", norm, e.op("Div", x, e.op("Sqrt", e.op("Add", e.num(1e-6), e.op("ReduceMean", e.op("Pow", x, e.num(2)))))), map[string]*Value{"x": x}},
	} {
		t.Run(k.name, func(t *testing.T) {
			b, ok := k.p.Match(k.v)
			if ok != (k.want != nil) {
				t.Fatalf("got match %v, want %v", ok, k.want != nil)
			}
			for name, v := range k.want {
				if b.Value(name) != v {
					t.Errorf("%s is %v, want %v", name, b.Value(name), v)
				}
			}
		})
	}
}

// TestSameConstants: a name stands for equal constants, and for nothing that is
// not known to be equal.
func TestSameConstants(t *testing.T) {
	e := expr{New("constants")}
	p := Op("Add", ConstOf("c"), ConstOf("c"))
	file := func(offset int64) *Tensor {
		return &Tensor{DType: Float32, Shape: []int64{1}, Source: &Range{"weights", offset, 4}}
	}
	seq := func(x float32) *Tensor { return &Tensor{Kind: SequenceKind, Elems: []*Tensor{Floats([]float32{x})}} }
	one := Floats([]float32{1})
	for _, k := range []struct {
		name string
		a, b *Tensor
		want bool
	}{
		{"one tensor", one, one, true},
		{"equal", one, Floats([]float32{1}), true},
		{"other number", one, Floats([]float32{2}), false},
		{"other shape", one, Floats([]float32{1}, 1, 1), false},
		{"other dtype", one, FromSlice(Uint32, []uint32{0x3f800000}), false},
		{"one range", file(0), file(0), true},
		{"other range", file(0), file(4), false},
		{"read and not read", one, file(0), false},
		{"strings", &Tensor{DType: String, Strings: []string{"a"}}, &Tensor{DType: String, Strings: []string{"b"}}, false},
		{"sequences", seq(1), seq(1), true},
		{"other sequence", seq(1), seq(2), false},
	} {
		v := e.op("Add", e.g.NewConst(k.name+" a", k.a), e.g.NewConst(k.name+" b", k.b))
		if _, got := p.Match(v); got != k.want {
			t.Errorf("%s: got %v", k.name, got)
		}
	}
}

func TestBinding(t *testing.T) {
	e := expr{New("binding")}
	x := e.in("x")
	sum := e.op("Add", x, e.num(2))
	out := e.op("Mul", sum, e.op("Sigmoid", sum))
	p := Op("Mul", Op("Add", Any("x"), ScalarOf("two")).As("sum"), Op("Sigmoid", Op("Add", Any("x"), ScalarOf("two")).As("sum")))
	b, ok := p.Match(out)
	if !ok {
		t.Fatal("no match")
	}
	if two, ok := b.Float("two"); two != 2 || !ok {
		t.Errorf("two is %v, %v", two, ok)
	}
	if _, ok := b.Float("x"); ok {
		t.Error("x is a number")
	}
	if b.Node("sum") != sum.Def || b.Node("x") != nil || b.Node("none") != nil {
		t.Error("wrong nodes by name")
	}
	if want := []*Node{out.Def, sum.Def, e.g.Nodes[1]}; b.Root != out || !slices.Equal(b.Nodes, want) {
		t.Errorf("covers %v, want %v", b.Nodes, want)
	}
}

// TestMatchIsBounded matches a pattern with many choices against a graph that
// offers them all, every node adding its producer to itself: 2^60 ways.
func TestMatchIsBounded(t *testing.T) {
	e := expr{New("doubling")}
	v := e.in("x")
	p := Op("Relu")
	for range 60 {
		v = e.op("Add", v, v)
		p = Op("Add", p, Any(""))
	}
	if _, ok := p.Match(v); ok {
		t.Error("matched a Relu that is not there")
	}
}

func TestMatchFailsWithoutAllocating(t *testing.T) {
	e := expr{New("miss")}
	v := e.op("Relu", e.in("x"))
	p := Op("Mul", Any("x"), Op("Sigmoid", Any("x")))
	if n := testing.AllocsPerRun(100, func() { p.Match(v) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	e := expr{New("bench")}
	x := e.in("x")
	v := e.op("Div", x, e.op("Sqrt", e.op("Add", e.op("ReduceMean", e.op("Pow", x, e.num(2))), e.num(1e-6))))
	p := Op("Div", Any("x"), Op("Sqrt", Op("Add", Op("ReduceMean", Op("Pow", Any("x"), Literal(2))), ScalarOf("eps"))))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := p.Match(v); !ok {
			b.Fatal("no match")
		}
	}
}
