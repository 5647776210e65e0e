package qwen25vl

import (
	"fmt"
	"os"
	"path/filepath"

	"mnnconv/graph"
)

// mnn is MNN's llmexport --export onnx: vision(patches, position_ids [2,
// patches], attention_mask [2, 1, patches, patches] with the full mask first,
// window_index), a decoder whose cache is hidden in FusedAttention, and the
// embedding table in a file of its own.
var mnn = Family{Name: "MNN llmexport", match: func(f *folder) (*parts, error) {
	v, err := f.find("vision tower", func(x *file) bool {
		return x.has("patches", "position_ids", "attention_mask", "window_index")
	})
	if err != nil {
		return nil, err
	}
	d, err := f.find("decoder", func(x *file) bool {
		return x.has("input_ids", "attention_mask", "position_ids", "logits_index") && x.output("logits") != nil &&
			x.input("input_ids").Type.DType.IsFloat()
	})
	if d == nil || err != nil {
		return nil, err
	}
	p := &parts{decoder: decoderPart{file: d, embeds: "input_ids", rowsFirst: true, positions: "position_ids", mask: "attention_mask",
		index: "logits_index", logits: "logits"}}
	if v != nil {
		p.vision = &visionPart{file: v, output: v.model.Graph.Outputs[0].Name, inputs: map[string]visionInput{
			"patches":        {"pixels", graph.Shape{patches, pixels(v, "patches")}},
			"position_ids":   {"patch_positions_by_axis", graph.ShapeOf(2, patches)},
			"attention_mask": {"masks", graph.ShapeOf(2, 1, patches, patches)},
			"window_index":   {"window_index", graph.ShapeOf(rows)},
		}}
	}
	s := d.input("input_ids").Type.Shape
	width, ok := s[len(s)-1].Int()
	if !ok {
		return nil, fmt.Errorf("%s: %w: the width of input_ids is not declared", filepath.Join(f.dir, d.path), ErrConfig)
	}
	if p.embed.table, err = mnnTable(f.dir, width); err != nil {
		return nil, err
	}
	return p, nil
}}

// mnnTable reads embeddings_bf16.bin: rows of bfloat16, one a token.
func mnnTable(dir string, width int64) (*graph.Tensor, error) {
	path := filepath.Join(dir, "embeddings_bf16.bin")
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w (MNN's decoder takes embeddings; the table of token embeddings is needed beside it)", err)
	}
	row := 2 * width
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size()%row != 0 {
		return nil, fmt.Errorf("%s: %w: %d bytes are not rows of %d bfloat16 numbers", path, ErrConfig, info.Size(), width)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &graph.Tensor{DType: graph.BFloat16, Shape: []int64{info.Size() / row, width}, Data: b,
		Source: &graph.Range{File: "embeddings_bf16.bin", Length: info.Size()}}, nil
}
