package partition

import (
	"strings"
	"testing"

	"mnnconv/graph"
)

// TestIndexRelations wants the range of what is used as indexes, behind views too, and
// nothing for other readers.
func TestIndexRelations(t *testing.T) {
	g := graph.New("g")
	n := graph.Sym("n")
	ids := g.NewInput("ids", graph.TensorOf(graph.Int64, n))
	table := g.NewInput("table", graph.TensorOf(graph.Float32, 100, 8))
	other := g.NewInput("other", graph.TensorOf(graph.Float32, 8, n))
	wide := g.NewNode("", "Unsqueeze", 24, []*graph.Value{ids, nil}, "wide")
	wide.Outputs[0].Type = graph.TensorOf(graph.Int64, 1, n)
	rows := g.NewNode("", "Gather", 24, []*graph.Value{table, wide.Outputs[0]}, "rows")
	cols := g.NewNode("", "GatherElements", 24, []*graph.Value{other, ids}, "cols")
	cols.SetAttr("axis", int64(-1))
	sum := g.NewNode("", "Add", 24, []*graph.Value{ids, ids}, "sum")
	g.Append(wide, rows, cols, sum)
	got := indexRelations("graph", ids, ids, g.Uses())
	if len(got) != 2 {
		t.Fatalf("%d relations: %v", len(got), got)
	}
	env := graph.Env{"n": 3}
	for i, c := range []struct {
		ok, bad []int64
		text    string
	}{{[]int64{-100, 0, 99}, []int64{5, 100, 0}, "element 1 is 100, expected -100 to 99"}, {[]int64{2, -3, 0}, []int64{0, 0, -4}, "element 2 is -4, expected -3 to 2"}} {
		if err := got[i].CheckValues(graph.Ints(c.ok), nil, env); err != nil {
			t.Errorf("%s: %v", got[i].Text, err)
		}
		if err := got[i].CheckValues(graph.Ints(c.bad), nil, env); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s", got[i].Text, err, c.text)
		}
	}
	if r := indexRelations("graph", table, table, g.Uses()); r != nil {
		t.Errorf("of what is indexed: %v", r)
	}
}
