package partition

import (
	"reflect"
	"testing"

	"mnnconv/graph"
)

// tiedTable is a lookup in a table and a product by the same table, of one place in a file,
// as two constants, and a vector that both sides read.
func tiedTable() *graph.Graph {
	g := graph.New("tied")
	at := &graph.Range{File: "model.data", Offset: 64, Length: 4 * 50 * 8}
	table := func(name string) *graph.Value {
		t := graph.Floats(make([]float32, 50*8), 50, 8)
		t.Source = at
		return g.NewConst(name, t)
	}
	bias := g.NewConst("bias", graph.Floats(make([]float32, 8), 8))
	node := func(path, op string, ty graph.Type, in ...*graph.Value) *graph.Value {
		n := g.NewNode("", op, 24, in, path+".out")
		n.Path, n.Outputs[0].Type = path, ty
		g.Append(n)
		return n.Outputs[0]
	}
	wide := graph.TensorOf(graph.Float32, "n", 8)
	h := node("embed.tokens", "Gather", wide, table("table"), g.NewInput("ids", graph.TensorOf(graph.Int64, "n")))
	h = node("llm.add", "Add", wide, h, bias)
	h = node("head.add", "Add", wide, h, bias)
	g.Outputs = []*graph.Value{node("head.matmul", "Gemm", graph.TensorOf(graph.Float32, "n", 50), h, table("head"))}
	return g
}

func TestSpreadWeights(t *testing.T) {
	targets := []Target{{Profile{Name: "cpu"}, plain{}}, {Profile{Name: "sim:0"}, plain{}}}
	for place, want := range map[string][]Spread{
		"cpu":        {},
		"head=sim:0": {{"table", 1600, []graph.Space{"cpu", "sim:0"}, []SpreadReader{{"extend", "embed.tokens", "cpu"}, {"extend", "head.matmul", "sim:0"}}}},
	} {
		rules, err := ParseRules(place)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Build("extend", tiedTable(), rules, targets)
		if err != nil {
			t.Fatal(err)
		}
		if got := SpreadWeights([]*Plan{p}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", place, got, want)
		}
	}
}
