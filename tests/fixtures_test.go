package tests

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mnnconv/graph"
)

func TestConversations(t *testing.T) {
	list := Conversations(t)
	if len(list) != 7 {
		t.Errorf("%d conversations, want 7", len(list))
	}
	for _, c := range list {
		if c.Question == "" || c.Text == "" {
			t.Errorf("%+v lacks something", c)
		}
		has(t, c.Name, c.Arrays, "input_ids", "position_ids", "tokens", "logits_first")
		if len(c.Files) > 0 {
			has(t, c.Name, c.Arrays, "image_grid_thw", "image_embeds")
		}
		for _, f := range c.Files {
			if _, err := os.Stat(f); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCases(t *testing.T) {
	for export, want := range map[string][]string{
		"tjs-q4f16":      {"square", "tall", "text", "two", "video", "wide"},
		"olive-cpu-int4": {"square", "tall", "text", "two", "wide"},
	} {
		var names []string
		for _, c := range Cases(t, export) {
			names = append(names, c.Name)
			has(t, c.Name, c.Inputs, "input_ids", "attention_mask", "position_ids", "rope_delta")
			has(t, c.Name, c.Want, "tokens", "logits_last", "logits_last_dequantised")
			if c.Name != "text" {
				has(t, c.Name, c.Inputs, "pixel_values", "grid_thw", "window_index", "cu_window_seqlens")
			}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: cases %v, want %v", export, names, want)
		}
	}
}

func has(t *testing.T, what string, arrays map[string]*graph.Tensor, names ...string) {
	t.Helper()
	for _, n := range names {
		if arrays[n] == nil {
			t.Errorf("%s: no %s, only %v", what, n, slices.Sorted(maps.Keys(arrays)))
		}
	}
}

func TestExport(t *testing.T) {
	for export, file := range map[string]string{
		"tjs-fp16":       "onnx/vision_encoder_fp16.onnx",
		"tjs-q4f16":      "onnx/vision_encoder_q4f16.onnx",
		"olive-cpu-int4": "vision.onnx.data",
	} {
		if info, err := os.Stat(filepath.Join(Export(t, export), file)); err != nil || info.Size() < 1<<20 {
			t.Errorf("%s: %s: %v", export, file, err)
		}
	}
}
