package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// What the random model's phases come to: four blocks of vision, three layers of
// language.
const (
	visionIs  = "4 attentions, 9 norms, 8 rotations, 4 gates, 0 states"
	decoderIs = "3 attentions, 7 norms, 6 rotations, 3 gates, 6 states"
)

// TestFamilies reads the graphs of every exporter at hand: the family is told, every
// attention, norm, rotation, gate and cache ends as its canonical operator, nothing
// of a dialect is left, and what an exporter computes wrong is said to be repaired.
func TestFamilies(t *testing.T) {
	const (
		js    = "transformers.js"
		five  = "transformers 5 OnnxExporter"
		alone = "decoder alone"
	)
	windows := []string{"windows of equal length", "all frames of a video"}
	indexes := []string{"window_index, which is wrong for grids such as 2×6×12"}
	for _, c := range []struct {
		export, family string
		phases         string
		repaired       []string
		integers       int // products of integers that stay
	}{
		{"genai-0.13-fp16-cuda", alone, "extend", nil, 0},
		{"genai-0.13-int4", alone, "extend", nil, 0},
		{"genai-0.18-bf16-cuda", alone, "extend", nil, 0},
		{"genai-0.18-fp32-ids", alone, "extend", nil, 0},
		{"genai-0.18-int4-cuda", alone, "extend", nil, 0},
		{"hf5-multi", five, "encode extend", windows, 0},
		{"hf5-op20", five, "encode extend", windows, 0},
		{"hf5-op23", five, "encode extend", windows, 0},
		{"hf5-ortcuda-fp16", five, "encode extend", windows, 0},
		{"mnn-tied", "MNN llmexport", "encode extend", nil, 0},
		{"olive-cpu-int4", "olive", "encode extend", indexes, 0},
		{"olive-cuda-fp16", "olive", "encode extend", indexes, 0},
		{"tjs-bnb4", js, "encode extend", nil, 0},
		{"tjs-fp16", js, "encode extend", nil, 0},
		{"tjs-q4", js, "encode extend", nil, 0},
		{"tjs-q4f16", js, "encode extend", nil, 0},
		{"tjs-q8", js, "encode extend", nil, 45},
		{"tjs-uint8", js, "encode extend", nil, 45},
		{"torch-dynamo-op23", "torch.onnx, indexes as inputs", "encode extend", nil, 0},
		{"torchscript-fixedgrid", "vision tower alone", "encode", nil, 0},
		{"torchscript-op17", js, "encode extend", nil, 0},
	} {
		t.Run(c.export, func(t *testing.T) {
			t.Parallel()
			dir := Graphs(t, c.export)
			if c.family == "MNN llmexport" {
				if err := os.WriteFile(filepath.Join(dir, "embeddings_bf16.bin"), make([]byte, 704*128*2), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			m, err := qwen25vl.Load(dir, models.Options{Table: op.All()})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}()
			if m.Family != c.family {
				t.Errorf("taken for %s, want %s", m.Family, c.family)
			}
			var phases, repaired []string
			integers := 0
			for _, ph := range m.Phases() {
				phases = append(phases, ph.Name)
				repaired = append(repaired, ph.Report.Repaired...)
				integers += operators(ph.Graph, "MatMulInteger", "ConvInteger")
				want := decoderIs
				if ph.Name == "encode" {
					want = visionIs
				}
				got := fmt.Sprintf("%d attentions, %d norms, %d rotations, %d gates, %d states", operators(ph.Graph, "Attention", "mnnconv.SegmentedAttention"),
					operators(ph.Graph, "RMSNormalization"), operators(ph.Graph, "RotaryEmbedding"), operators(ph.Graph, "Swish"), len(ph.Graph.States))
				if left := passes.Leftovers(ph.Graph); got != want || len(left) > 0 {
					t.Errorf("%s: %s, want %s; left: %v; notes: %v", ph.Name, got, want, left, ph.Report.Notes)
				}
			}
			if got := strings.Join(phases, " "); got != c.phases || integers != c.integers {
				t.Errorf("phases %s with %d products of integers, want %s with %d", got, integers, c.phases, c.integers)
			}
			if len(c.repaired) == 0 != (len(repaired) == 0) {
				t.Errorf("repaired: %v", repaired)
			}
			for _, want := range c.repaired {
				if !strings.Contains(strings.Join(repaired, "\n"), want) {
					t.Errorf("%q is not said in %q", want, repaired)
				}
			}
		})
	}
}

// TestFamiliesAll has every export that is kept here in the list above.
func TestFamiliesAll(t *testing.T) {
	if names := GraphNames(t); len(names) != 21 || !slices.IsSorted(names) {
		t.Errorf("%d exports are kept: %v", len(names), names)
	}
}

// operators counts the nodes of some operators.
func operators(g *graph.Graph, names ...string) int {
	n := 0
	for _, x := range g.Nodes {
		if slices.Contains(names, x.OpName()) {
			n++
		}
	}
	return n
}
