package qwen25vl

import (
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
)

// backwardsTower gives the rows of a picture from last to first: an order that no
// index of this model has, computed from the grid.
func backwardsTower(grid string) string {
	return strings.NewReplacer("int64[pictures, 3]", grid+"[pictures, 3]", "%image_features = MatMul", "%blocked = MatMul", "output %image_features", `
		const %zero = int64[] {0} const %one = int64[] {1} const %unit = int64[] {4}
		%extents = Gather-17(%image_grid_thw, %zero) %product = ReduceProd-17(%extents) {axes = [0], keepdims = 0} %patches = Cast-17(%product) {to = 7}
		%n = Div-17(%patches, %unit) %up = Range-17(%zero, %n, %one) %last = Sub-17(%n, %one) %down = Sub-17(%last, %up)
		%image_features = Gather-17(%blocked, %down) output %image_features`).Replace(smallTower)
}

// TestFillHoisted computes an index of no known meaning on the host, for grids of
// either dtype.
func TestFillHoisted(t *testing.T) {
	for _, dtype := range []string{"int64", "int32"} {
		m := load(t, small(t, change{"vision.onnx": backwardsTower(dtype)}), models.Options{})
		e := m.encode
		at := slices.IndexFunc(e.inputs, func(in encodeInput) bool { return in.meaning == "hoisted" })
		if at < 0 || len(e.inputs) != 2 {
			t.Fatalf("%s: inputs %+v of\n%s", dtype, e.inputs, graph.Text(e.graph))
		}
		for _, grid := range []Grid{{1, 4, 6}, {2, 2, 2}, {1, 20, 10}} {
			ins, err := e.fill(make([]float32, grid.Patches()*e.pixelRow), grid)
			if err != nil {
				t.Errorf("%s, grid %v: %v", dtype, grid, err)
				continue
			}
			want := counting(grid.Patches() / 4)
			slices.Reverse(want)
			if !sameInts(ins[at], want) {
				t.Errorf("%s, grid %v: the index is %v, want %v", dtype, grid, ins[at], want)
			}
			if pixels := ins[1-at]; !slices.Equal(pixels.Shape, []int64{grid.Patches(), 1176}) {
				t.Errorf("%s, grid %v: pixels of shape %v", dtype, grid, pixels.Shape)
			}
		}
	}
}

func TestFillRefuses(t *testing.T) {
	e := load(t, small(t, nil), models.Options{}).encode
	for _, c := range []struct {
		name   string
		grid   Grid
		pixels int64
		want   string
	}{
		{"a value short", Grid{1, 4, 4}, 16*1176 - 1, "needs 18816 pixel values, got 18815"},
		{"a value more", Grid{1, 4, 4}, 16*1176 + 1, "got 18817"},
		{"half a block", Grid{1, 4, 3}, 12 * 1176, "blocks of 2×2"},
		{"no frame", Grid{0, 4, 4}, 0, "0×4×4"},
		{"a side beyond all", Grid{1, 4, 1 << 40}, 0, "larger than"},
	} {
		if _, err := e.fill(make([]float32, c.pixels), c.grid); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
