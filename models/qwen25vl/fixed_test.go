package qwen25vl

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mnnconv/models"
	"mnnconv/schemas/op"
)

// turned is a tower that was traced for pictures of 8 × 16 patches: rows go through
// the windows' order and back, by constants.
const turned = `input %pixel_values: float32[128, 1176] const %four = int64[2] {-1, 4704} const %shape = int64[2] {4704, 8}
	const %order = int64[32] {0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31}
	const %back = int64[32] {0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31}
	%blocks = Reshape-17(%pixel_values, %four) %windows = Gather-17(%blocks, %order) {axis = 0} %w = ConstantOfShape-17(%shape)
	%y = MatMul-17(%windows, %w) %image_features = Gather-17(%y, %back) {axis = 0} output %image_features`

// TestFixedGrid finds the grid that a tower was traced for, and refuses others by
// name and reason.
func TestFixedGrid(t *testing.T) {
	for _, c := range []struct {
		name, tower string
		takes       []Grid
		refuses     []Grid
	}{
		{"constants", turned, []Grid{{1, 8, 16}}, []Grid{{1, 16, 8}, {1, 4, 32}, {2, 8, 8}, {1, 8, 8}}},
		{"nothing that depends on the grid", strings.Replace(smallTower, "[patches, 1176]", "[64, 1176]", 1), []Grid{{1, 8, 8}, {1, 4, 16}, {4, 4, 4}}, []Grid{{1, 8, 16}, {1, 4, 8}}},
	} {
		m := load(t, small(t, change{"vision.onnx": c.tower}), models.Options{})
		for _, g := range c.takes {
			if err := m.encode.takes(g); err != nil {
				t.Errorf("%s: grid %v: %v", c.name, g, err)
			}
			if ins, err := m.encode.fill(make([]float32, g.Patches()*1176), g); err != nil || len(ins) != len(m.encode.graph.Inputs) {
				t.Errorf("%s: grid %v: %d inputs, %v", c.name, g, len(ins), err)
			}
		}
		for _, g := range c.refuses {
			err := m.encode.takes(g)
			if !errors.Is(err, ErrFixedGrid) || !strings.Contains(err.Error(), "vision.onnx") || !strings.Contains(err.Error(), g.String()) {
				t.Errorf("%s: grid %v: %v", c.name, g, err)
			}
		}
		settings, err := m.Settings()
		if one := len(m.encode.fixed) == 1; one != (err == nil) || one && settings["fixed_w"] != 16 {
			t.Errorf("%s: settings %v, %v", c.name, settings, err)
		}
	}
}

// TestFixedGridRefuses has a tower of one size that no grid explains.
func TestFixedGridRefuses(t *testing.T) {
	tower := strings.Replace(turned, "{0, 1, 2, 3, 8", "{1, 0, 2, 3, 8", 1)
	_, err := Load(small(t, change{"vision.onnx": tower}), models.Options{Table: op.All()})
	if !errors.Is(err, ErrFixedGrid) || !strings.Contains(err.Error(), "vision.onnx") || !strings.Contains(err.Error(), "128 patches") {
		t.Errorf("got %v", err)
	}
}

func TestGridsOf(t *testing.T) {
	if got := gridsOf(32, 2); !slices.Equal(got, []Grid{{1, 2, 16}, {1, 4, 8}, {1, 8, 4}, {1, 16, 2}, {2, 2, 8}, {2, 4, 4}, {2, 8, 2}, {4, 2, 4}, {4, 4, 2}, {8, 2, 2}}) {
		t.Errorf("got %v", got)
	}
}

// TestOtherMerge refuses towers whose rows are of other blocks than 2×2 patches.
func TestOtherMerge(t *testing.T) {
	dir := small(t, nil)
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`"spatial_merge_size": *2`).ReplaceAll(b, []byte(`"spatial_merge_size": 4`))
	if err := os.WriteFile(path, changed, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Load(dir, models.Options{Table: op.All()})
	if !errors.Is(err, ErrGeometry) || !strings.Contains(err.Error(), "spatial_merge_size is 4 in config.json") {
		t.Errorf("got %v", err)
	}
}
