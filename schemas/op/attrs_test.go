package op

import (
	"errors"
	"strings"
	"testing"

	"mnnconv/graph"
)

// Attributes that an operator lacks, and each of its own with a value of another
// kind (fault F20), are refused by name.
func TestAttributes(t *testing.T) {
	table := All()
	for _, o := range table {
		for _, a := range append([]string{"nonsense"}, o.Attrs...) {
			kinds := kindsOf[a]
			if len(kinds) == 0 && a != "nonsense" {
				continue
			}
			value := any([]*graph.Tensor{}) // no attribute is a list of tensors
			n := attributed(o, a, value)
			err := NewFacts(table).Node(n)
			switch {
			case err == nil || !strings.Contains(err.Error(), n.ID()) || !strings.Contains(err.Error(), `"`+a+`"`):
				t.Errorf("%s with attribute %s = %T: %v", n.OpName(), a, value, err)
			case a == "nonsense" && !errors.Is(err, ErrUnsupported) || a != "nonsense" && !errors.Is(err, graph.ErrInvalid):
				t.Errorf("%s with attribute %s: %v wraps the wrong sentinel", n.OpName(), a, err)
			}
		}
	}
	err := NewFacts(table).Node(attributed(Softmax, "axis", float32(1)))
	if want := `attribute "axis" is a float, want an integer`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a float for an axis: %v, want %s", err, want)
	}
}

// attributed returns a node with all inputs and one attribute.
func attributed(o *Op, name string, value any) *graph.Node {
	g := graph.New("g")
	var ins []*graph.Value
	for _, in := range o.Inputs {
		ins = append(ins, g.NewInput(in, graph.TensorOf(graph.Float32, 1)))
	}
	outs := make([]string, len(o.Outputs))
	for i := range outs {
		outs[i] = "out" + o.Outputs[i]
	}
	n := g.NewNode(o.Domain, o.Name, 24, ins, outs...)
	n.SetAttr(name, value)
	return n
}

// What a file declares and what follows from its inputs (fault F21).
func TestDeclared(t *testing.T) {
	for _, c := range []struct {
		name         string
		inner, outer graph.Type // declared types of y = Neg(x) and of z = Neg(y), the output
		want         string
	}{
		{"nothing declared", graph.Type{}, graph.Type{}, ""},
		{"as it is", graph.TensorOf(graph.Float32, 2, "n"), graph.TensorOf(graph.Float32, 2, 3), ""},
		{"another extent within, which nobody reads", graph.TensorOf(graph.Float32, 7), graph.Type{}, ""},
		{"another dtype within", graph.TensorOf(graph.Int64, 2, 3), graph.Type{}, `node "y" (Neg): type mismatch: the file declares "y" as int64[2, 3], what makes it gives float32[2, 3]`},
		{"a sequence", graph.Type{Kind: graph.SequenceKind}, graph.Type{}, `declares "y" as sequence`},
		{"another extent of an output", graph.Type{}, graph.TensorOf(graph.Float32, 2, 4), `graph output 0: type mismatch: the file declares "z" as float32[2, 4], what makes it gives float32[2, 3]`},
		{"another rank of an output", graph.Type{}, graph.TensorOf(graph.Float32, "n"), `declares "z" as float32[n]`},
	} {
		g := graph.New("g")
		x := g.NewInput("x", graph.TensorOf(graph.Float32, 2, 3))
		y := g.NewNode("", "Neg", 13, []*graph.Value{x}, "y")
		z := g.NewNode("", "Neg", 13, y.Outputs, "z")
		y.Outputs[0].Type, z.Outputs[0].Type = c.inner, c.outer
		g.Append(y, z)
		g.Outputs = z.Outputs
		f := NewFacts(All())
		f.Declared = true
		err := f.Graph(g)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, graph.ErrType) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
