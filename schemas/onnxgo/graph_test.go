package onnxgo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/owulveryck/onnx-go"
	gonum "gonum.org/v1/gonum/graph"
	"gorgonia.org/tensor"

	"mnnconv/schemas/onnxgo"
)

// node adds a node to g.
func node(g *onnxgo.Graph, name string) *onnxgo.Node {
	n := g.NewNode().(*onnxgo.Node)
	n.SetName(name)
	g.AddNode(n)
	return n
}

// apply makes out the result of an operation on ins.
func apply(g *onnxgo.Graph, op string, out *onnxgo.Node, ins ...gonum.Node) error {
	for i, in := range ins {
		g.SetWeightedEdge(g.NewWeightedEdge(out, in, float64(i)))
	}
	return g.ApplyOperation(onnx.Operation{Name: op}, out)
}

// A graph is compiled once for each set of shapes, reads a value twice where it is
// asked to, and gives what onnx-go declares although something else reads it.
func TestRunAgain(t *testing.T) {
	g := onnxgo.NewGraph(onnxgo.Options{})
	x, w, double, y := node(g, "x"), node(g, "w"), node(g, "double"), node(g, "y")
	set := func(n *onnxgo.Node, v ...float32) {
		if err := n.SetTensor(tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v))); err != nil {
			t.Fatal(err)
		}
	}
	set(w, 10)
	set(double, 0) // the placeholder of an output
	if err := errors.Join(apply(g, "Add", double, x, x), apply(g, "Mul", y, double, w)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in   []float32
		want string
	}{{[]float32{1, 2}, "[2 4] [20 40]"}, {[]float32{3, 4}, "[6 8] [60 80]"}, {[]float32{5, 6, 7}, "[10 12 14] [100 120 140]"}} {
		set(x, c.in...)
		if err := g.Run(); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(double.GetTensor().Data(), " ", y.GetTensor().Data()); got != c.want {
			t.Errorf("of %v: %s, want %s", c.in, got, c.want)
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestErrors(t *testing.T) {
	g := onnxgo.NewGraph(onnxgo.Options{})
	x, y := node(g, "x"), node(g, "y")
	err := apply(g, "Nonsense", y, x)
	if missing := (*onnx.ErrNotImplemented)(nil); !errors.As(err, &missing) {
		t.Errorf("an unknown operator: %v", err)
	}
	if err := apply(g, "Abs", y, x); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(); err == nil || !strings.Contains(err.Error(), `"x" has no value`) {
		t.Errorf("no input: %v", err)
	}
	if err := x.SetTensor(tensor.New(tensor.WithShape(1), tensor.WithBacking([]complex64{1}))); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(); err == nil || !strings.Contains(err.Error(), "complex64") {
		t.Errorf("complex numbers: %v", err)
	}
}
