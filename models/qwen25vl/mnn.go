package qwen25vl

import (
	"fmt"
	"os"
	"path/filepath"

	"mnnconv/graph"
	"mnnconv/schemas/onnx"
)

// mnn is MNN's llmexport --export onnx: vision(patches, position_ids [2,
// patches], attention_mask [2, 1, patches, patches] with the full mask first,
// window_index), a decoder whose cache is hidden in FusedAttention, and the
// embedding table in a file of its own, of bfloat16 or of codes.
var mnn = Family{Name: "MNN llmexport", match: func(f *folder) (*parts, error) {
	v, err := f.mnnVision()
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
	p := &parts{vision: v, decoder: &decoderPart{file: d, input: "input_ids", rowsFirst: true, positions: "position_ids", mask: "attention_mask",
		index: "logits_index", logits: "logits"}}
	width, ok := int64(0), false
	if s := d.input("input_ids").Type.Shape; len(s) == 3 {
		width, ok = s[2].Int()
	}
	if !ok || width < 1 || width > maxWidth {
		return nil, fmt.Errorf("%s: %w: input_ids is %s, expected [tokens, batch, width] with a number for the width", filepath.Join(f.dir, d.path),
			ErrConfig, d.input("input_ids").Type)
	}
	p.embed = &embedPart{}
	if p.embed.codes, err = f.mnnCodesBeside(width); p.embed.codes == nil && err == nil {
		p.embed.table, err = f.mnnTable(width)
	}
	return p, err
}}

// mnnVision binds MNN's vision tower.
func (f *folder) mnnVision() (*visionPart, error) {
	v, err := f.find("vision tower", func(x *file) bool {
		return x.has("patches", "position_ids", "attention_mask", "window_index")
	})
	if v == nil || err != nil {
		return nil, err
	}
	return &visionPart{file: v, output: v.model.Graph.Outputs[0].Name, inputs: map[string]visionInput{
		"patches":        {"pixels", graph.Shape{patches, pixels(v, "patches")}},
		"position_ids":   {"patch_positions_by_axis", graph.ShapeOf(2, patches)},
		"attention_mask": {"masks", graph.ShapeOf(2, 1, patches, patches)},
		"window_index":   {"window_index", graph.ShapeOf(rows)},
	}}, nil
}

// maxWidth bounds the width of embeddings.
const maxWidth = 1 << 24

// mnnTable maps embeddings_bf16.bin: rows of bfloat16, one a token.
func (f *folder) mnnTable(width int64) (*graph.Tensor, error) {
	const name = "embeddings_bf16.bin"
	path := filepath.Join(f.dir, name)
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		return nil, fmt.Errorf("%s: %w: it is empty, rows of %d bfloat16 numbers are expected, one a token: export it again", path, ErrConfig, width)
	}
	b, unmap, err := onnx.MapFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (MNN's decoder takes embeddings; the table of token embeddings is needed beside it)", err)
	}
	f.unmap = append(f.unmap, unmap)
	size := int64(len(b))
	if size%(2*width) != 0 {
		return nil, fmt.Errorf("%s: %w: %d bytes are not rows of %d bfloat16 numbers", path, ErrConfig, size, width)
	}
	return &graph.Tensor{DType: graph.BFloat16, Shape: []int64{size / (2 * width), width}, Data: b,
		Source: &graph.Range{File: name, Length: size}}, nil
}
