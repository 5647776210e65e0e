package qwen25vl

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/models"
	"mnnconv/models/tinyvl"
)

// TestPaths: every node of the bundled model has a canonical path, and its
// projections have the names that rules use, once in each layer.
func TestPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tinyvl")
	if err := tinyvl.Extract(nil, dir); err != nil {
		t.Fatal(err)
	}
	m := load(t, dir, models.Options{})
	count := map[string]int{}
	for _, p := range m.Phases() {
		stages := map[string]bool{"vision": p.Name == "encode", "embed": p.Name == "extend", "llm": p.Name == "extend", "head": p.Name == "extend"}
		for _, n := range p.Graph.Nodes {
			stage, _, _ := strings.Cut(n.Path, ".")
			if !stages[stage] {
				t.Errorf("phase %s: %s has the path %q", p.Name, n.ID(), n.Path)
			}
			switch n.Op {
			case "MatMul", "Gemm", "RMSNormalization", "Attention", "SegmentedAttention":
				count[n.Path]++
			}
		}
	}
	want := []string{"vision.merger", "head", "head.matmul"}
	for layer := range 4 {
		for _, role := range []string{"norm1", "attn.q", "attn.k", "attn.v", "attn", "attn.o", "norm2", "mlp.gate", "mlp.up", "mlp.down"} {
			want = append(want, fmt.Sprintf("llm.layers.%d.%s", layer, role))
		}
		for _, role := range []string{"norm1", "attn.qkv", "attn", "attn.o", "norm2", "mlp.gate", "mlp.up", "mlp.down"} {
			want = append(want, fmt.Sprintf("vision.blocks.%d.%s", layer, role))
		}
	}
	for _, path := range want {
		if count[path] != 1 {
			t.Errorf("%d nodes are named %s", count[path], path)
		}
		delete(count, path)
	}
	for path, n := range count {
		if strings.Contains(path, ".layers.") || strings.Contains(path, ".blocks.") {
			t.Errorf("%d nodes are named %s", n, path)
		}
	}
}
