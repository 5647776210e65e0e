package passes

import (
	"strings"
	"testing"

	"mnnconv/graph"
)

func TestConstants(t *testing.T) {
	check(t, constants, []rewriting{{
		name: "every form",
		text: `
			input %x: float32[2]
			%a = Constant-21() {value = float32[2] {1, 2}}
			%b = Constant-21() {value_float = 3.5}
			%c = Constant-21() {value_floats = [1.0, 2.0]}
			%d = Constant-21() {value_ints = [1, 0]}
			%s = Add-14(%x, %a)
			%r = Mul-14(%s, %b)
			%q = Add-14(%r, %c)
			%y = Gather-13(%q, %d)
			output %y`,
		want: "Add Mul Add Gather",
	}, {
		name: "an output of the graph",
		text: `input %x: float32[2] %a = Constant-21() {value_int = 7} %y = Neg-13(%x) output %a output %y`,
		want: "Neg",
	}, {
		name: "read twice",
		text: `input %x: float32[1] %a = Constant-21() {value_float = 2.0} %y = Add-14(%x, %a) %z = Mul-14(%y, %a) output %z`,
		want: "Add Mul",
	}})
}

// TestConstantsOfBodies looks into a body within a body.
func TestConstantsOfBodies(t *testing.T) {
	before := parse(t, `
		input %x: float32[2]
		input %yes: bool[]
		%y = If-21(%yes)
		body then_branch = graph "then" {
			capture %v: float32[2] = %x
			capture %again: bool[] = %yes
			%two = Constant-21() {value_float = 2.0}
			%w = If-21(%again)
			body then_branch = graph "inner" {
				capture %u: float32[2] = %v
				capture %k: float32[] = %two
				%three = Constant-21() {value_float = 3.0}
				%m = Mul-14(%u, %k)
				%z = Mul-14(%m, %three)
				output %z
			}
			body else_branch = graph "other" {
				capture %u: float32[2] = %v
				%z = Neg-13(%u)
				output %z
			}
			output %w
		}
		body else_branch = graph "else" {
			%half = Constant-21() {value = float32[2] {0.5, 0.25}}
			output %half
		}
		output %y`)
	after, _ := rewrite(t, before, Knowledge{}, constants)
	var left func(g *graph.Graph) int
	left = func(g *graph.Graph) int {
		n := count(g, "Constant")
		for _, node := range g.Nodes {
			for _, b := range node.Bodies {
				n += left(b.Graph)
			}
		}
		return n
	}
	if n := left(after); n != 0 {
		t.Errorf("%d constants are left in\n%s", n, graph.Text(after))
	}
	for _, yes := range []uint8{0, 1} {
		same(t, before, after, nil, map[string]*graph.Tensor{"yes": boolScalar(yes)})
	}
}

func TestConstantsRefuse(t *testing.T) {
	for _, text := range []string{
		`%y = Constant-21() output %y`,
		`%y = Constant-21() {value_int = 1, value_float = 2.0} output %y`,
	} {
		g, err := graph.ParseText("graph \"test\" {" + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := apply(g, Knowledge{}, constants); err == nil || !strings.Contains(err.Error(), `"y" (Constant)`) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// boolScalar returns a boolean without extents.
func boolScalar(b uint8) *graph.Tensor { return graph.FromSlice(graph.Bool, []uint8{b}).Reshape() }
