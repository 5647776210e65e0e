package passes

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// gridKnowledge samples pictures of h by w patches, four of which make a row.
func gridKnowledge(sizes ...[2]int64) Knowledge {
	var k Knowledge
	for _, s := range sizes {
		k.Probes = append(k.Probes, gridProbe(s[0], s[1]))
	}
	return k
}

func gridProbe(h, w int64) Probe {
	return Probe{Env: graph.Env{"rows": h * w / 4}, Inputs: map[string]*graph.Tensor{"grid": graph.Ints([]int64{1, h, w}, 1, 3)}}
}

var pictures = gridKnowledge([2]int64{4, 6}, [2]int64{2, 2}, [2]int64{8, 4})

// gridHead takes the extents out of the grid: %h, %w and %n = h·w, scalars.
const gridHead = `
	input %x: float32[4*rows, 2] input %grid: int64[1, 3]
	const %zero = int64[] {0} const %one = int64[] {1} const %two = int64[] {2}
	%extents = Gather-13(%grid, %zero) {axis = 0}
	%h = Gather-13(%extents, %one) %w = Gather-13(%extents, %two) %n = Mul-14(%h, %w)
`

// backwards counts the patches down: an index of as many as there are.
const backwards = gridHead + `
	%up = Range-11(%zero, %n, %one) %last = Sub-14(%n, %one) %down = Sub-14(%last, %up)
	%y = Gather-13(%x, %down)
	output %y
`

// left keeps the patches of the left half: as many as only running tells.
const left = gridHead + `
	const %axis0 = int64[1] {0}
	%up = Range-11(%zero, %n, %one) %column = Mod-13(%up, %w) %half = Div-14(%w, %two) %is = Less-13(%column, %half)
	%found = NonZero-13(%is) %at = Squeeze-21(%found, %axis0)
	%y = Gather-13(%x, %at)
	output %y
`

// frames collects the first patch of every row of the picture in a Loop.
const frames = gridHead + `
	const %none = int64[0] {}
	%starts = Loop-21(%h, _, %none)
	body body = graph "body" {
		input %i: int64[] input %go: bool[] input %sofar: int64[?]
		capture %width: int64[] = %w
		const %axis = int64[1] {0}
		%at = Mul-14(%i, %width) %at1 = Unsqueeze-21(%at, %axis) %more = Concat-13(%sofar, %at1) {axis = 0}
		output %go output %more
	}
	%y = Gather-13(%x, %starts)
	output %y
`

// waves are angles of every position up to the longer side, looked up by column.
const waves = gridHead + `
	const %f = float32[1, 2] {1, 0.5} const %axis = int64[1] {1} const %from = float32[] {0} const %by = float32[] {1}
	%most = Max-13(%h, %w) %to = Cast-21(%most) {to = 1} %p = Range-11(%from, %to, %by) %line = Unsqueeze-21(%p, %axis)
	%angles = Mul-14(%line, %f)
	%up = Range-11(%zero, %n, %one) %at = Mod-13(%up, %w)
	%a = Gather-13(%angles, %at) %c = Cos-7(%a) %y = Mul-14(%x, %c)
	output %y
`

func TestHoist(t *testing.T) {
	const head = "x float32[4*rows, 2], grid int64[1, 3]"
	for _, c := range []struct {
		name, text string
		inputs     string // after hoisting, with their types
		operators  string
	}{
		{"an index as long as the input", backwards, head + ", down.index int64[4*rows]", "Gather"},
		{"an index of half that", left, head + ", at.index int64[2*rows]", "Gather"},
		{"an index of a Loop, of a length of its own", frames, head + ", starts.index int64[starts.index.0]", "Gather"},
		{"floats of a length of their own, made of an index", waves, head + ", most.index int64[], at.index int64[4*rows], angles.index float32[angles.index.0, 2]", "Gather Cos Mul"},
		{"an index of one length", gridHead + `const %k = int64[1] {2} %v, %i = TopK-11(%extents, %k) %y = Gather-13(%x, %i) output %y`,
			head + ", i.index int64[2]", "Gather"},
		{"a name that is taken", strings.ReplaceAll(backwards, "%last", "%down.index"), head + ", down.index_1 int64[4*rows]", "Gather"},
		{"an output of the graph", strings.Replace(backwards, "output %y", "output %y output %down", 1), head + ", down.index int64[4*rows]", "Gather"},
		{"two readers", strings.Replace(backwards, "output %y", "%z = Gather-13(%y, %down) output %z", 1), head + ", down.index int64[4*rows]", "Gather Gather"},
		{"a reader within a body", strings.Replace(backwards, "%y = Gather-13(%x, %down)", `
			const %yes = bool[] {1} %y = If-21(%yes)
			body then_branch = graph "t" { capture %i: int64[?] = %down capture %v: float32[4*rows, 2] = %x %o = Gather-13(%v, %i) output %o }
			body else_branch = graph "e" { capture %v: float32[4*rows, 2] = %x %o = Neg-13(%v) output %o }`, 1), head + ", down.index int64[4*rows]", "If"},
		{"what other inputs go into stays", gridHead + `%s = ReduceSum-13(%x) %k = Cast-21(%s) {to = 7} %i = Sub-14(%k, %k) %y = Gather-13(%x, %i) output %y`,
			head, "ReduceSum Cast Sub Gather"},
		{"floats whose shape is known stay", gridHead + `%f = Cast-21(%h) {to = 1} %r = Sqrt-13(%f) %y = Mul-14(%x, %r) output %y`,
			head + ", h.index int64[]", "Cast Sqrt Mul"},
		{"shapes of the input stay", gridHead + `const %d = int64[2] {2, -1} %s = Shape-21(%x) %t = Concat-13(%s, %s) {axis = 0} %y = Tile-13(%x, %s) output %y output %t`,
			head, "Shape Concat Tile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			after, values := hoisted(t, parse(t, c.text), pictures, [2]int64{4, 6}, [2]int64{2, 2}, [2]int64{10, 2})
			var ins []string
			for _, v := range after.Inputs {
				ins = append(ins, v.Name+" "+v.Type.String())
			}
			if got := strings.Join(ins, ", "); got != c.inputs || operators(after) != c.operators || len(values) != len(ins)-2 {
				t.Errorf("inputs %s, operators %s; want %s and %s", got, operators(after), c.inputs, c.operators)
			}
			for _, h := range values {
				for i, x := range h.Samples {
					near(t, h.Input.Name, x, mustCompute(t, values, pictures.Probes[i])[indexOf(values, h)])
				}
			}
		})
	}
}

func indexOf(values []Hoisted, h Hoisted) int {
	for i := range values {
		if values[i].Input == h.Input {
			return i
		}
	}
	return -1
}

func mustCompute(t rapid.TB, values []Hoisted, p Probe) []*graph.Tensor {
	t.Helper()
	x, err := Compute(values, p)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestHoistWithout has no probes, or none that give the grid.
func TestHoistWithout(t *testing.T) {
	for _, know := range []Knowledge{{}, {Probes: []Probe{{Env: graph.Env{"rows": 6}}}}} {
		after, values := hoisted(t, parse(t, backwards), know)
		if len(values) != 0 || count(after, "Range") != 1 {
			t.Errorf("%d values without a grid:\n%s", len(values), graph.Text(after))
		}
	}
}

// TestHoistOrder: extents that are multiples of several symbols are written in one
// of them, always the same.
func TestHoistOrder(t *testing.T) {
	know := gridKnowledge([2]int64{4, 6}, [2]int64{2, 2})
	for _, p := range know.Probes {
		for _, s := range []string{"a", "b", "c", "z"} {
			p.Env[s] = p.Env["rows"]
		}
	}
	for range 20 {
		after, _ := hoisted(t, parse(t, backwards), know)
		if got := after.Inputs[2].Type.String(); got != "int64[4*a]" {
			t.Fatalf("the index is %s, want int64[4*a]", got)
		}
	}
}

func TestComputeRefuses(t *testing.T) {
	_, values := hoisted(t, parse(t, backwards), pictures)
	for _, p := range []Probe{
		{Env: graph.Env{"rows": 6}},
		{Env: graph.Env{"rows": 6}, Inputs: map[string]*graph.Tensor{"grid": graph.Ints([]int64{1, 4}, 1, 2)}},
		{Env: graph.Env{"rows": 6}, Inputs: map[string]*graph.Tensor{"grid": graph.Floats([]float32{1, 4, 6}, 1, 3)}},
	} {
		if _, err := Compute(values, p); err == nil || !strings.Contains(err.Error(), `"down"`) {
			t.Errorf("grid %v: %v", p.Inputs, err)
		}
	}
}

// TestHoistThenRun: passes may go on over the graph that values were hoisted out of.
func TestHoistThenRun(t *testing.T) {
	g := parse(t, frames)
	before, _ := g.Clone()
	values, err := Hoist(g, op.All(), pictures)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(g, op.All(), pictures); err != nil {
		t.Fatal(err)
	}
	p := gridProbe(6, 4)
	in := inputs(t, before, p.Env, p.Inputs)
	want := compute(t, before, in)
	in["starts.index"] = mustCompute(t, values, p)[0]
	near(t, "y", want[0], compute(t, g, in)[0])
}

// TestHoistRandom computes indexes of drawn pictures.
func TestHoistRandom(t *testing.T) {
	for _, text := range []string{backwards, left, frames, waves} {
		before := parse(t, text)
		rapid.Check(t, func(t *rapid.T) {
			hoisted(t, before, pictures, [2]int64{2 * rapid.Int64Range(1, 6).Draw(t, "h"), 2 * rapid.Int64Range(1, 6).Draw(t, "w")})
		})
	}
}

// hoisted hoists a copy of a graph, and compares it with the graph on a grid.
func hoisted(t rapid.TB, before *graph.Graph, know Knowledge, grids ...[2]int64) (*graph.Graph, []Hoisted) {
	t.Helper()
	after, _ := before.Clone()
	values, err := Hoist(after, op.All(), know)
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Verify(after); err != nil {
		t.Fatalf("%v\n%s", err, graph.Text(after))
	}
	for _, g := range grids {
		p := gridProbe(g[0], g[1])
		computed := mustCompute(t, values, p)
		in := inputs(t, before, p.Env, p.Inputs)
		want := compute(t, before, in)
		for i, h := range values {
			in[h.Input.Name] = computed[i]
		}
		got := compute(t, after, in)
		for i := range want {
			near(t, before.Outputs[i].Name, want[i], got[i])
		}
	}
	return after, values
}
