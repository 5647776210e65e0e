//go:build accept

package picture

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestAccept checks all reference data under the folder that SHARED names: preprocess, the small model's conversations
// and video, and the pictures of the random-weight exports.
func TestAccept(t *testing.T) {
	shared := os.Getenv("SHARED")
	if shared == "" {
		t.Fatal("set SHARED to the folder of reference data")
	}
	exact, all := map[bool]int{}, map[bool]int{} // of JPEG files, and of others
	for _, c := range readCases(t, filepath.Join(shared, "preprocess/cases.jsonl")) {
		jpeg := filepath.Ext(c.File) == ".jpg"
		all[jpeg]++
		if t.Run(c.File, func(t *testing.T) { c.check(t, filepath.Join(shared, "preprocess")) }) {
			exact[jpeg]++
		}
	}
	row(t, "pixel values, PNG, BMP, GIF and lossless WebP", "bit for bit, all cases", exact[false], all[false])
	row(t, "pixel values, JPEG", "max 3 levels, mean ≤ 0.05 before normalising", exact[true], all[true])

	config, err := LoadConfig(filepath.Join(shared, "tinyvl/hf"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest []struct {
		Name  string
		Files []string
		Video bool
	}
	data, err := os.ReadFile(filepath.Join(shared, "tinyvl/golden/manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	good, count := 0, 0
	for _, m := range manifest {
		if len(m.Files) == 0 {
			continue
		}
		count++
		ok := t.Run(m.Name, func(t *testing.T) {
			dir := filepath.Join(shared, "tinyvl/golden", m.Name)
			pictures := openAll(t, dir, m.Files)
			var values []float32
			var grids []int64
			tolerance := 0.0
			if m.Video {
				tolerance = unfused
				values, grids = processAll(t, config, pictures)
			} else {
				for _, p := range pictures {
					v, g := processAll(t, config, []*RGB{p})
					values, grids = append(values, v...), append(grids, g...)
				}
			}
			checkGrid(t, grids, filepath.Join(dir, "image_grid_thw.npy"))
			checkValues(t, values, filepath.Join(dir, "pixel_values.npy"), tolerance)
		})
		if ok {
			good++
		}
	}

	// These arrays come from transformers' processor over Pillow: not fused, and b.png is resized by Pillow, which rounds
	// otherwise, by one level of 255.
	const oneLevel = 1.01 / 255 / 0.26
	exports := filepath.Join(shared, "exports/common")
	for _, c := range []struct {
		name      string
		files     []string
		tolerance float64
	}{{"square", []string{"square.png"}, unfused}, {"tall", []string{"tall.png"}, unfused}, {"wide", []string{"wide.png"}, unfused}, {"two", []string{"a.png", "b.png"}, oneLevel}} {
		count++
		ok := t.Run("exports/"+c.name, func(t *testing.T) {
			var values []float32
			var grids []int64
			for _, p := range openAll(t, filepath.Join(exports, "images"), c.files) {
				v, g := processAll(t, Qwen(), []*RGB{p})
				values, grids = append(values, v...), append(grids, g...)
			}
			for _, kind := range []string{"cases-tied", "cases-untied"} {
				checkGrid(t, grids, filepath.Join(exports, kind, c.name, "grid_thw.npy"))
				checkValues(t, values, filepath.Join(exports, kind, c.name, "pixel_values.npy"), c.tolerance)
			}
		})
		if ok {
			good++
		}
	}
	verdict := "yes"
	if good < count {
		verdict = "no"
	}
	t.Logf("accept: | pixel values of conversations, video and other exports | as the reference, up to float32 rounding and one level where Pillow resized | %d of %d | %s |", good, count, verdict)
}

// row prints a line of the report about files that were compared bit for bit.
func row(t *testing.T, what, wanted string, exact, all int) {
	t.Helper()
	verdict := "yes"
	if exact < all || all == 0 {
		verdict = "no"
		t.Fail()
	}
	t.Logf("accept: | %s | %s | bit for bit, %d of %d files | %s |", what, wanted, exact, all, verdict)
}
