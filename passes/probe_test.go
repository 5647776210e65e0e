package passes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// probed evaluates a value of a graph under probes.
func probed(t *testing.T, text, name string, probes ...Probe) ([]*graph.Tensor, bool) {
	t.Helper()
	c := &context{g: parse(t, text), table: op.All(), know: Knowledge{Probes: probes}}
	if err := c.infer(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.g.Nodes {
		for _, v := range n.Outputs {
			if v != nil && v.Name == name {
				return c.eval(v)
			}
		}
	}
	t.Fatalf("no value %q", name)
	return nil, false
}

func TestProbe(t *testing.T) {
	p := Probe{Env: graph.Env{"n": 3}, Inputs: map[string]*graph.Tensor{"p": graph.Ints([]int64{5, 7, 9}), "yes": boolScalar(1)}}
	for _, c := range []struct {
		name, text string
		want       []int64 // nil: it cannot be computed
	}{
		{"from an input", `input %p: int64[n] const %k = int64[] {1} %y = Add-14(%p, %k) output %y`, []int64{6, 8, 10}},
		{"from extents of an input that is not given", `input %x: float32[n, 4] %y = Shape-21(%x) output %y`, []int64{3, 4}},
		{"from an input that is not given", `input %x: int64[n] %y = Neg-13(%x) output %y`, nil},
		{"one of two inputs is not given", `input %x: int64[n] input %p: int64[n] %y = Add-14(%x, %p) output %y`, nil},
		{"from an extent that no probe knows", `input %x: float32[m, 4] %y = Shape-21(%x) output %y`, nil},
		{"through a body", `input %p: int64[n] input %yes: bool[] %y = If-21(%yes)
			body then_branch = graph "t" { capture %v: int64[n] = %p %o = Neg-13(%v) output %o }
			body else_branch = graph "e" { capture %v: int64[n] = %p %o = Abs-13(%v) output %o } output %y`, []int64{-5, -7, -9}},
		{"through a body that reads what is not given", `input %x: int64[n] input %yes: bool[] %y = If-21(%yes)
			body then_branch = graph "t" { capture %v: int64[n] = %x %o = Neg-13(%v) output %o }
			body else_branch = graph "e" { capture %v: int64[n] = %x %o = Abs-13(%v) output %o } output %y`, nil},
		{"an operator that fails", `input %p: int64[n] const %i = int64[1] {1} %g = Gather-13(%i, %p) %y = Neg-13(%g) output %y`, nil},
		{"weights that have not been read", `input %p: int64[n] const %w = int64[1] file "weights.bin"[0:8] %y = Add-14(%p, %w) output %y`, nil},
	} {
		got, ok := probed(t, c.text, "y", p)
		if ok != (c.want != nil) {
			t.Errorf("%s: computed %t", c.name, ok)
			continue
		}
		if ok {
			if have, err := got[0].Int64s(); err != nil || !slices.Equal(have, c.want) {
				t.Errorf("%s: %v (%v), want %v", c.name, have, err, c.want)
			}
		}
	}
	if _, ok := probed(t, `input %p: int64[n] %y = Neg-13(%p) output %y`, "y", p, Probe{Env: graph.Env{"n": 3}}); ok {
		t.Error("a value was computed though the second probe does not give its input")
	}
}

// TestProbeBounds: a graph that was made for it takes neither the stack nor the
// time.
func TestProbeBounds(t *testing.T) {
	p := Probe{Env: graph.Env{"n": 1}, Inputs: map[string]*graph.Tensor{"p": graph.Ints([]int64{1})}}
	chain := func(n int) string {
		var b strings.Builder
		b.WriteString("input %p: int64[n] %v0 = Neg-13(%p)\n")
		for i := range n {
			fmt.Fprintf(&b, "%%v%d = Neg-13(%%v%d)\n", i+1, i)
		}
		fmt.Fprintf(&b, "%%y = Neg-13(%%v%d) output %%y", n)
		return b.String()
	}
	if _, ok := probed(t, chain(1000), "y", p); !ok {
		t.Error("a chain of a thousand nodes is not followed")
	}
	if _, ok := probed(t, chain(maxProbeDepth+1), "y", p); ok {
		t.Error("a chain without end is followed")
	}
	var b strings.Builder // each table has 2^20 elements
	b.WriteString("input %p: int64[n] const %shape = int64[1] {1048576}\n%v0 = Expand-13(%p, %shape)\n")
	for i := range 24 {
		fmt.Fprintf(&b, "%%v%d = Neg-13(%%v%d)\n", i+1, i)
	}
	if _, ok := probed(t, b.String()+"%y = Neg-13(%v3) output %y", "y", p); !ok {
		t.Error("a table of a million is not computed")
	}
	if _, ok := probed(t, b.String()+"%y = Neg-13(%v24) output %y", "y", p); ok {
		t.Error("tables of 24 million are computed")
	}
	for _, text := range []string{
		`input %p: int64[n] const %shape = int64[1] {1099511627776} %y = Expand-13(%p, %shape) output %y`,
		`input %p: int64[n] const %trips = int64[] {1000000000000} %y = Loop-21(%trips, _, %p)
			body body = graph "body" { input %i: int64[] input %go: bool[] input %v: int64[n] output %go output %v } output %y`,
		`input %p: int64[n] const %yes = bool[] {1} %y = Loop-21(_, %yes, %p)
			body body = graph "body" { input %i: int64[] input %go: bool[] input %v: int64[n] %w = Neg-13(%v) output %go output %w } output %y`,
	} {
		if _, ok := probed(t, text, "y", p); ok {
			t.Errorf("%s is computed", text)
		}
	}
}
