package passes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
)

// moved is the pass of transposes alone.
func moved(c *context) error {
	_, err := c.transposes()
	return err
}

func TestTransposes(t *testing.T) {
	check(t, moved, []rewriting{{
		name: "two that undo each other",
		text: `input %x: float32[2, n, 4] %a = Transpose-21(%x) {perm = [0, 2, 1]} %y = Transpose-21(%a) {perm = [0, 2, 1]} output %y`,
		want: "Reshape",
	}, {
		name: "two that make a third",
		text: `input %x: float32[2, n, 4] %a = Transpose-21(%x) {perm = [0, 2, 1]} %y = Transpose-21(%a) {perm = [1, 0, 2]} output %y`,
		want: "Transpose",
	}, {
		name: "without perm all axes turn round",
		text: `input %x: float32[2, n, 4] %a = Transpose-21(%x) %y = Transpose-21(%a) output %y`,
		want: "Reshape",
	}, {
		name: "an axis of extent 1 may stand anywhere",
		text: `input %x: float32[n, 4] const %k = int64[1] {0}
			%u = Unsqueeze-21(%x, %k) %y = Transpose-21(%u) {perm = [1, 0, 2]} output %y`,
		want: "Reshape",
	}, {
		name: "squeezed by attribute, as before opset 13",
		text: `input %x: float32[n, 1, 4] %u = Squeeze-11(%x) {axes = [-2]} %v = Unsqueeze-11(%u) {axes = [0]} %y = Transpose-11(%v) {perm = [1, 0, 2]} output %y`,
		want: "Reshape",
	}, {
		name: "squeezed of all there is",
		text: `input %x: float32[2, 1, 4] %u = Squeeze-21(%x) %y = Transpose-21(%u) {perm = [1, 0]} %z = Transpose-21(%y) output %z`,
		want: "Reshape",
	}, {
		name: "one alone",
		text: `input %x: float32[n, 4] %y = Transpose-21(%x) {perm = [1, 0]} output %y`,
	}, {
		name: "a new axis between moved ones",
		text: `input %x: float32[2, n, 4] const %k = int64[1] {0} %a = Transpose-21(%x) {perm = [2, 1, 0]}
			%u = Unsqueeze-21(%a, %k) %y = Transpose-21(%u) {perm = [0, 2, 1, 3]} output %y`,
	}, {
		name: "the first is read elsewhere",
		text: `input %x: float32[2, n, 4] %a = Transpose-21(%x) {perm = [0, 2, 1]} %b = Abs-13(%a) %y = Transpose-21(%a) {perm = [0, 2, 1]} output %y output %b`,
		want: "Transpose Abs Reshape",
	}, {
		name: "a shape that cannot be written as a target",
		text: `input %x: float32[n, m] const %k = int64[1] {2} %u = Unsqueeze-21(%x, %k) %y = Transpose-21(%u) {perm = [2, 0, 1]} output %y`,
	}, {
		name: "an extent that is 1 only while it runs",
		text: `input %x: float32[n, 4] %a = Transpose-21(%x) {perm = [1, 0]} const %k = int64[1] {0}
			%u = Unsqueeze-21(%a, %k) %y = Transpose-21(%u) {perm = [1, 0, 2]} output %y`,
		env: graph.Env{"n": 1},
	}})
}

// TestTransposesRandom draws chains of Transpose, Unsqueeze and Squeeze.
func TestTransposesRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		extents := rapid.SliceOfN(rapid.SampledFrom([]string{"1", "1", "2", "3", "n", "m"}), 1, 4).Draw(t, "shape")
		var b strings.Builder
		fmt.Fprintf(&b, "input %%v0: float32[%s]\n", strings.Join(extents, ", "))
		steps := rapid.IntRange(1, 6).Draw(t, "steps")
		for i := range steps {
			switch rank := len(extents); rapid.IntRange(0, 3).Draw(t, "operator") {
			case 0, 1:
				perm := rapid.Permutation(counting(rank)).Draw(t, "perm")
				fmt.Fprintf(&b, "%%v%d = Transpose-21(%%v%d) {perm = [%s]}\n", i+1, i, list(perm))
				turned := make([]string, rank)
				for k, p := range perm {
					turned[k] = extents[p]
				}
				extents = turned
			case 2:
				at := rapid.IntRange(0, rank).Draw(t, "axis")
				fmt.Fprintf(&b, "const %%k%d = int64[1] {%d} %%v%d = Unsqueeze-21(%%v%d, %%k%d)\n", i, at, i+1, i, i)
				extents = slices.Insert(slices.Clone(extents), at, "1")
			case 3:
				at := slices.Index(extents, "1")
				if at < 0 || rank == 1 {
					fmt.Fprintf(&b, "%%v%d = Neg-13(%%v%d)\n", i+1, i)
					break
				}
				fmt.Fprintf(&b, "const %%k%d = int64[1] {%d} %%v%d = Squeeze-21(%%v%d, %%k%d)\n", i, at-rank, i+1, i, i)
				extents = slices.Delete(slices.Clone(extents), at, at+1)
			}
		}
		fmt.Fprintf(&b, "output %%v%d", steps)
		before := parse(t, b.String())
		after, _ := rewrite(t, before, Knowledge{}, moved)
		if count(after, "Transpose") > count(before, "Transpose") {
			t.Errorf("more transposes:\n%s", graph.Text(after))
		}
		same(t, before, after, graph.Env{"n": rapid.Int64Range(0, 3).Draw(t, "n"), "m": 2}, nil)
	})
}

func counting(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = i
	}
	return v
}

func list(v []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(v)), ", "), "[]")
}
