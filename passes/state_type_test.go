package passes

import (
	"errors"
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
	if err := StateType(g, graph.Float16, op.All()); err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Nodes {
		if n.Target != "cpu" || n.Outputs[0].Type.Space != graph.Host {
			t.Errorf("%s is on %q, its output in %q", n.ID(), n.Target, n.Outputs[0].Type.Space)
		}
	}
}

func TestStateTypeRefuses(t *testing.T) {
	g := parse(t, `input %x: float32[2] %y = Neg-13(%x) output %y state %x -> %y`)
	if err := StateType(g, graph.Float16, op.All()); !errors.Is(err, op.ErrUnsupported) || !strings.Contains(err.Error(), `"x"`) {
		t.Error(err)
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
