package mnnconv

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
)

// TestCheckWeights: each fault of a weight is named with tensor, count and reader;
// masks may be infinite.
func TestCheckWeights(t *testing.T) {
	inf, nan := float32(math.Inf(-1)), float32(math.NaN())
	for _, c := range []struct {
		name, domain, op string
		input            int
		values           []float32
		want             string
	}{
		{"sound", "", "MatMul", 1, []float32{1, 0, 3}, ""},
		{"NaN", "", "MatMul", 1, []float32{1, nan, nan}, `"w" (float32[3]), read by node "n" (MatMul): 2 of 3`},
		{"infinity", "", "MatMul", 1, []float32{inf, 0, 3}, "1 of 3"},
		{"a mask", "", "Add", 1, []float32{inf, 0, 3}, ""},
		{"a mask of NaN", "", "Where", 1, []float32{nan, 0, 3}, "1 of 3"},
		{"a scale of 0", "", "DequantizeLinear", 1, []float32{0, 1, 0}, "2 of 3 scales are 0"},
		{"a value of 0 beside scales", "", "DequantizeLinear", 0, []float32{0, 1, 0}, ""},
		{"a scale of 0 in blocks", "com.microsoft", "MatMulNBits", 2, []float32{0, 1, 2}, "1 of 3 scales are 0"},
	} {
		g := graph.New("g")
		ins := make([]*graph.Value, c.input+1)
		for i := range ins {
			ins[i] = g.NewConst("other", graph.Floats([]float32{1}, 1))
		}
		ins[c.input] = g.NewConst("w", graph.Floats(c.values, 3))
		n := g.NewNode(c.domain, c.op, 21, ins, "n")
		g.Append(n)
		err := CheckWeights(context.Background(), &Source{Path: "model", Phases: []models.Phase{{Graph: g}}})
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrWeights) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
