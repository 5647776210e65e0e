package passes

import (
	"errors"
	"math"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// TestStateType keeps float32 numbers in states of every type of float, and takes that
// back: what the states hold is the numbers rounded, and what reads them gets these.
func TestStateType(t *testing.T) {
	table := op.All()
	raised, _ := rewrite(t, parse(t, twoLayers), capacity8, kvState)
	for _, d := range []graph.DType{graph.Float16, graph.BFloat16} {
		g, _ := raised.Clone()
		if err := StateType(g, d, table); err != nil {
			t.Fatal(err)
		}
		if err := graph.Verify(g); err != nil {
			t.Fatal(err)
		}
		if n := count(g, "Cast"); n != 8 {
			t.Errorf("%s: %d casts, want 8\n%s", d, n, graph.Text(g))
		}
		in := inputs(t, raised, graph.Env{"batch": 1, "capacity": 5, "tokens": 2}, map[string]*graph.Tensor{
			"write_indices": graph.Ints([]int64{0}), "lengths": graph.Ints([]int64{2}),
		})
		want := compute(t, raised, in)
		for _, s := range g.States {
			if s.In.Type.DType != d || s.Out.Type.DType != d {
				t.Errorf("%s: state %s → %s", d, s.In.Type, s.Out.Type)
			}
			in[s.In.Name] = converted(t, in[s.In.Name], d)
		}
		got := compute(t, g, in)
		for i := 1; i < 3; i++ { // those of the first layer: later ones are computed from what it read
			near(t, g.Outputs[i].Name, converted(t, converted(t, want[i], d), graph.Float32), converted(t, got[i], graph.Float32))
		}
		for _, next := range []graph.DType{graph.BFloat16, graph.Float16, graph.Float32} { // each from the one before
			if err := StateType(g, next, table); err != nil {
				t.Fatal(err)
			}
		}
		near(t, "y", want[0], compute(t, g, inputs(t, g, graph.Env{"batch": 1, "capacity": 5, "tokens": 2}, map[string]*graph.Tensor{
			"write_indices": graph.Ints([]int64{0}), "lengths": graph.Ints([]int64{2}),
		}))[0])
		if n := count(g, "Cast"); n != 0 || g.States[0].In.Type.DType != graph.Float32 {
			t.Errorf("%d casts are left of states of %s", n, g.States[0].In.Type)
		}
	}
}

// TestStateInt8 keeps codes and scales, of which what is read is at most half a step of
// a vector's 127 from what was written, and takes that back.
func TestStateInt8(t *testing.T) {
	table := op.All()
	for _, computed := range []graph.DType{graph.Float32, graph.Float16} {
		raised, _ := rewrite(t, parse(t, strings.ReplaceAll(twoLayers, "float32", computed.String())), capacity8, kvState)
		g, _ := raised.Clone()
		if err := StateType(g, graph.Int8, table); err != nil {
			t.Fatal(err)
		}
		if len(g.States) != 8 || count(g, "QuantizeLinear") != 4 || count(g, "DequantizeLinear") != 4 || count(g, "TensorScatter") != 8 {
			t.Fatalf("%d states\n%s", len(g.States), graph.Text(g))
		}
		sizes := graph.Env{"batch": 1, "capacity": 5, "tokens": 2}
		known := map[string]*graph.Tensor{"write_indices": graph.Ints([]int64{0}), "lengths": graph.Ints([]int64{2})}
		want := compute(t, raised, inputs(t, raised, sizes, known))
		for _, s := range g.States {
			shape, _ := s.In.Type.Shape.Eval(sizes)
			known[s.In.Name], _ = graph.NewTensor(s.In.Type.DType, shape...)
		}
		got := compute(t, g, inputs(t, g, sizes, known))
		for i, s := range g.States[:4] {
			scales := g.States[4+i]
			if s.In.Type.DType != graph.Int8 || scales.In.Name != s.In.Name+".scale" || scales.In.Type.DType != graph.Float32 || !scales.In.Type.Shape[3].Equal(graph.Const(1)) {
				t.Errorf("%s: state %s, scales %q %s", s.In.Name, s.In.Type, scales.In.Name, scales.In.Type)
			}
			if i > 1 { // later ones are computed from what the first layer read
				continue
			}
			codes, _ := got[1+i].Float32s()
			scale, _ := got[5+i].Float32s()
			x, _ := want[1+i].Float32s()
			width := len(codes) / len(scale)
			for j, v := range x {
				at := j / width
				if d := math.Abs(float64(v - codes[j]*scale[at])); at%5 < 2 && d > 0.5001*float64(scale[at]) { // rows that were written
					t.Errorf("%s: number %d is %v, of codes %v", s.In.Name, j, v, codes[j]*scale[at])
				}
			}
		}
		for _, next := range []graph.DType{graph.Int8, graph.BFloat16, graph.Int8, computed} { // each from the one before
			if err := StateType(g, next, table); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := graph.Text(g), graph.Text(raised); a != b {
			t.Errorf("it is not what it was:\n%s\n%s", a, b)
		}
	}
}

// TestStateTypeStays converts where the state is, in a graph that is placed.
func TestStateTypeStays(t *testing.T) {
	g, _ := rewrite(t, parse(t, twoLayers), capacity8, kvState)
	for _, v := range g.Inputs {
		v.Type.Space = graph.Host
	}
	for _, n := range g.Nodes {
		n.Target = "cpu"
		for _, v := range n.Outputs {
			v.Type.Space = graph.Host
		}
	}
	for _, d := range []graph.DType{graph.Float16, graph.Int8} {
		if err := StateType(g, d, op.All()); err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Nodes {
			if n.Target != "cpu" || n.Outputs[0].Type.Space != graph.Host {
				t.Errorf("%s is on %q, its output in %q", n.ID(), n.Target, n.Outputs[0].Type.Space)
			}
		}
	}
}

func TestStateTypeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`input %x: float32[2] %y = Neg-13(%x) output %y state %x -> %y`:                                                      `"x"`,
		`input %s: int8[1, 1, 4, 2] input %x: int8[1, 1, 1, 2] %y = TensorScatter-24(%s, %x) output %y state %s -> %y`:       `"s"`,
		`input %s: float32[1, 1, 4, w] input %x: float32[1, 1, 1, w] %y = TensorScatter-24(%s, %x) output %y state %s -> %y`: "width",
	} {
		if err := StateType(parse(t, text), graph.Int8, op.All()); !errors.Is(err, op.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// converted rounds a tensor to a type of float.
func converted(t *testing.T, x *graph.Tensor, d graph.DType) *graph.Tensor {
	t.Helper()
	v, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := d.Bytes(int64(x.Len()))
	y := &graph.Tensor{DType: d, Shape: x.Shape, Data: make([]byte, n)}
	if err := y.SetFloat32s(v); err != nil {
		t.Fatal(err)
	}
	return y
}
