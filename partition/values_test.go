package partition

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"mnnconv/graph"
)

// TestCheckValues breaks every kind of relation and wants the first offender
// named.
func TestCheckValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	half := func(v ...float32) *graph.Tensor {
		x, err := graph.NewTensor(graph.Float16, int64(len(v)))
		if err != nil || x.SetFloat32s(v) != nil {
			t.Fatal(err)
		}
		return x
	}
	n := graph.Sym("n")
	env := graph.Env{"n": 3}
	for _, c := range []struct {
		name     string
		r        Relation
		x, other *graph.Tensor
		want     string // in the error; empty: holds
	}{
		{"finite", Relation{Kind: Finite}, graph.Floats([]float32{0, -3e38}), nil, ""},
		{"NaN", Relation{Kind: Finite}, graph.Floats([]float32{0, nan}), nil, "element 1 is NaN"},
		{"half", Relation{Kind: Finite}, half(1, 65504), nil, ""},
		{"half infinity", Relation{Kind: Finite}, half(1, 2, inf), nil, "element 2 is -Inf"},
		{"no float", Relation{Kind: Finite}, graph.Ints([]int64{1 << 62}), nil, ""},
		{"narrower reader", Relation{Kind: Magnitude, High: graph.Const(65504)}, graph.Floats([]float32{65504, -65505}), nil, "element 1 is -65505, expected at most 65504"},
		{"range", Relation{Kind: Bounded, High: n}, graph.Ints([]int64{0, 2}), nil, ""},
		{"above", Relation{Kind: Bounded, High: n}, graph.Ints([]int64{0, 3}), nil, "element 1 is 3, expected 0 to 2"},
		{"below", Relation{Kind: Bounded, High: n}, graph.Ints([]int64{-1}), nil, "element 0 is -1"},
		{"consecutive", Relation{Kind: Consecutive, High: n}, graph.Ints([]int64{1, 2}), nil, ""},
		{"a gap", Relation{Kind: Consecutive, High: n}, graph.Ints([]int64{0, 2}), nil, "element 1 is 2"},
		{"a row", Relation{Kind: Bounded, High: n, Rows: []int{1, 1}}, graph.Ints([]int64{9, 9, 0, 2, 9, 9}, 3, 2), nil, ""},
		{"in a row", Relation{Kind: Bounded, High: n, Rows: []int{1, 1}}, graph.Ints([]int64{0, 0, 0, 3, 0, 0}, 3, 2), nil, "is 3, expected 0 to 2"},
		{"permutation", Relation{Kind: Permutation, High: n}, graph.Ints([]int64{2, 0, 1}), nil, ""},
		{"twice", Relation{Kind: Permutation, High: n}, graph.Ints([]int64{2, 0, 2}), nil, "element 2 is 2, which came before"},
		{"too short", Relation{Kind: Permutation, High: n}, graph.Ints([]int64{1, 0}), nil, "2 elements, expected 3"},
		{"inverse", Relation{Kind: Inverse, Other: "w"}, graph.Ints([]int64{1, 2, 0}), graph.Ints([]int64{2, 0, 1}), ""},
		{"not the inverse", Relation{Kind: Inverse, Other: "w"}, graph.Ints([]int64{0, 1, 2}), graph.Ints([]int64{2, 0, 1}), `"w" holds 2 at 0`},
		{"nothing to invert", Relation{Kind: Inverse, Other: "w"}, graph.Ints([]int64{0}), nil, `"w" is not there`},
		{"ascending", Relation{Kind: Ascending, High: n}, graph.Ints([]int64{0, 2, 3}), nil, ""},
		{"standing still", Relation{Kind: Ascending, High: n}, graph.Ints([]int64{0, 2, 2}), nil, "element 2 is 2, expected more than 2"},
		{"wrong start", Relation{Kind: Ascending, High: n}, graph.Ints([]int64{1, 3}), nil, "element 0 is 1, expected 0"},
		{"wrong end", Relation{Kind: Ascending, High: n}, graph.Ints([]int64{0, 2}), nil, "the last, is 2, expected 3"},
		{"count", Relation{Kind: Count, High: n, Tokens: []int64{7, 8}}, graph.Ints([]int64{7, 1, 8, 7}), nil, ""},
		{"one too many", Relation{Kind: Count, High: n, Tokens: []int64{7}}, graph.Ints([]int64{7, 7, 7, 7}), nil, "4 of them, the last at 3, expected 3"},
		{"said by the model", Relation{Kind: Count, High: graph.Const(0), Tokens: []int64{7}}, graph.Ints([]int64{7}), nil, ""},
	} {
		err := c.r.CheckValues(c.x, c.other, env)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestRelationJSON writes and reads relations.
func TestRelationJSON(t *testing.T) {
	for _, r := range []Relation{
		{Phase: "p", Value: "v", Kind: Extent, Axis: -1, High: graph.Const(256), Text: "t", Source: "s"},
		{Phase: "p", Value: "v", Kind: Bounded, Low: graph.Const(-1), High: graph.Sym("n").Add(graph.Const(1)), Text: "t", Source: "s"},
		{Phase: "p", Value: "v", Kind: Count, Rows: []int{0, 0}, High: graph.Sym("n"), Tokens: []int64{1, 2}, Text: "t", Source: "s"},
	} {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Relation
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(r, back) {
			t.Errorf("%s: %+v (%v), want %+v", b, back, err, r)
		}
	}
	if err := json.Unmarshal([]byte(`{"value":"v","high":"n+"}`), new(Relation)); err == nil {
		t.Error("a formula that is none was read")
	}
}

// TestCheckType compares extents with types.
func TestCheckType(t *testing.T) {
	width := Relation{Kind: Extent, Axis: -1, High: graph.Const(256), Text: "width"}
	for _, c := range []struct {
		t    graph.Type
		want string
	}{
		{graph.TensorOf(graph.Float32, "rows", 256), ""},
		{graph.TensorOf(graph.Float32, "rows", "width"), ""},
		{graph.Type{DType: graph.Float32}, ""},
		{graph.TensorOf(graph.Float32, "rows", 128), "expected extent 256 on axis 1, found 128"},
		{graph.TensorOf(graph.Float32), "expected an extent -1"},
	} {
		if err := width.CheckType(c.t); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.t, err, c.want)
		}
	}
}
