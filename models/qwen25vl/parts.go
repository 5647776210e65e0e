package qwen25vl

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mnnconv/graph"
)

// This file binds the parts that several families share.

// ErrMissing: a part of the model is not in its folder.
var ErrMissing = errors.New("a part of the model is missing")

// decoder binds the decoder that torch.onnx exports, transformers.js and
// onnxruntime-genai share: inputs_embeds or input_ids, attention_mask,
// position_ids [3, batch, tokens], past_key_values.N.key and .value.
func (f *folder) decoder() (*decoderPart, error) {
	x, err := f.find("decoder", func(x *file) bool {
		return (x.has("inputs_embeds") || x.has("input_ids")) && x.has("position_ids", "past_key_values.0.key") && x.output("logits") != nil
	})
	if x == nil || err != nil {
		return nil, err
	}
	d := &decoderPart{file: x, input: "inputs_embeds", positions: "position_ids", logits: "logits", state: "present."}
	if !x.has("inputs_embeds") {
		d.input, d.ids = "input_ids", true
	}
	if x.has("attention_mask") {
		d.mask = "attention_mask"
	}
	for _, name := range []string{"num_logits_to_keep", "logits_to_keep"} {
		if x.has(name) {
			d.keep = name
		}
	}
	return d, nil
}

// embedding binds a graph from input_ids to inputs_embeds.
func (f *folder) embedding(features string) (*embedPart, error) {
	x, err := f.find("embedding", func(x *file) bool {
		return x.has("input_ids") && x.output("inputs_embeds") != nil && (x.input(features) != nil) == (features != "")
	})
	if x == nil || err != nil {
		return nil, err
	}
	return &embedPart{file: x, ids: "input_ids", features: features, output: "inputs_embeds"}, nil
}

// assemble joins a vision tower with the shared forms of embedding and decoder.
func (f *folder) assemble(v *visionPart, features string) (*parts, error) {
	d, err := f.decoder()
	if d == nil || d.ids || err != nil {
		return nil, err
	}
	e, err := f.embedding(features)
	if e == nil || err != nil {
		return nil, err
	}
	return &parts{vision: v, embed: e, decoder: d}, nil
}

// tower binds whatever vision tower is there.
func (f *folder) tower() (*visionPart, error) {
	for _, bind := range []func() (*visionPart, error){f.gridVision, f.indexVision, f.hiddenVision, f.mnnVision} {
		if v, err := bind(); v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

// incomplete says which part a folder lacks that has others; nil where none is
// known.
func (f *folder) incomplete() error {
	var have, lack []string
	note := func(part, form string, x *file, err error) error {
		switch {
		case err != nil:
			return err
		case x == nil:
			lack = append(lack, fmt.Sprintf("its %s is missing (a graph %s)", part, form))
		default:
			have = append(have, fmt.Sprintf("%s is the %s", x.path, part))
		}
		return nil
	}
	v, err := f.tower()
	var tower, decoder, embedding *file
	if v != nil {
		tower = v.file
	}
	if err = note("vision tower", "from pixel_values and image_grid_thw, or from pixel_values and its indexes", tower, err); err != nil {
		return err
	}
	d, err := f.decoder()
	if d != nil {
		decoder = d.file
	}
	if err = note("decoder", "from inputs_embeds, attention_mask, position_ids and past_key_values.N.key to logits", decoder, err); err != nil {
		return err
	}
	embedding, err = f.find("embedding", func(x *file) bool { return x.has("input_ids") && x.output("inputs_embeds") != nil })
	if err = note("embedding", "from input_ids to inputs_embeds", embedding, err); err != nil {
		return err
	}
	if len(have) == 0 || len(lack) == 0 {
		return nil
	}
	var files []string
	for _, x := range f.files {
		files = append(files, x.signature())
	}
	return fmt.Errorf("%s: %w: %w: %s: %s. The graphs there are %s", f.dir, ErrFamily, ErrMissing, strings.Join(have, ", "), strings.Join(lack, "; "), strings.Join(files, "; "))
}

// rows is the number of image rows of one picture, patches that of its patches.
var (
	rows    = graph.Sym("rows")
	patches = graph.Const(4).Mul(rows)
)

// pixels returns the width of the pixel rows as the file declares it.
func pixels(x *file, input string) graph.Dim {
	s := x.input(input).Type.Shape
	if len(s) == 2 {
		if n, ok := s[1].Int(); ok {
			return graph.Const(n)
		}
	}
	return graph.Const(1176)
}

// grids are the names that exporters give the input of extents in patches.
var grids = []string{"image_grid_thw", "grid_thw"}

// gridVision binds a vision tower of pixels and grid.
func (f *folder) gridVision() (*visionPart, error) {
	grid := func(x *file) string {
		i := slices.IndexFunc(grids, func(name string) bool { return x.only("pixel_values", name) })
		if i < 0 {
			return ""
		}
		return grids[i]
	}
	v, err := f.find("vision tower", func(x *file) bool { return grid(x) != "" || isTraced(x) })
	if v == nil || err != nil {
		return nil, err
	}
	p := &visionPart{file: v, output: v.model.Graph.Outputs[0].Name, inputs: map[string]visionInput{
		"pixel_values": {"pixels", graph.Shape{patches, pixels(v, "pixel_values")}},
	}}
	if name := grid(v); name != "" {
		p.inputs[name] = visionInput{"grid", graph.ShapeOf(1, 3)}
	}
	return p, nil
}

// isTraced reports whether a graph takes the pixel values of one size of picture and
// nothing else: its indexes are constants.
func isTraced(x *file) bool {
	if !x.only("pixel_values") {
		return false
	}
	s := x.input("pixel_values").Type.Shape
	if len(s) != 2 {
		return false
	}
	n, ok := s[0].Int()
	return ok && n > 1
}

// indexes are what the inputs of a tower that takes its indexes mean. cu_seqlens
// and cu_window_seqlens are the boundaries of full and of window attention.
func indexes(v *file, pixelName string) map[string]visionInput {
	return map[string]visionInput{
		pixelName:           {"pixels", graph.Shape{patches, pixels(v, pixelName)}},
		"position_ids":      {"patch_positions", graph.ShapeOf(patches, 2)},
		"window_index":      {"window_index", graph.ShapeOf(rows)},
		"cu_seqlens":        {"cu_seqlens", graph.ShapeOf("cu_seqlens.length")},
		"cu_window_seqlens": {"cu_window_seqlens", graph.ShapeOf("cu_window_seqlens.length")},
	}
}

// indexVision binds a vision tower of pixel values and indexes. A tower whose blocks
// all attend in windows, or none, has lost the other boundaries at its export.
func (f *folder) indexVision() (*visionPart, error) {
	v, err := f.find("vision tower", func(x *file) bool {
		return x.has("pixel_values", "position_ids", "window_index") && (x.has("cu_seqlens") || x.has("cu_window_seqlens"))
	})
	if v == nil || err != nil {
		return nil, err
	}
	return &visionPart{file: v, output: v.model.Graph.Outputs[0].Name, inputs: indexes(v, "pixel_values")}, nil
}

// beside opens the graphs of the folders in the folder, once: some exporters put
// components there.
func (f *folder) beside() error {
	if f.deep {
		return nil
	}
	f.deep = true
	found, err := filepath.Glob(filepath.Join(escapeGlob(f.dir), "*", "*.onnx"))
	if err != nil {
		return err
	}
	slices.Sort(found)
	for _, path := range found {
		sub, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		if filepath.Dir(sub) == "onnx" {
			continue
		}
		if err := f.open(sub); err != nil {
			return err
		}
	}
	return nil
}

// escapeGlob writes a folder's name so that Glob takes it as it is.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(dir)
}

// lastExtent returns the extent of a value's last axis. A number that the exporter
// wrote as a symbol's name counts: what is computed from it must agree.
func lastExtent(v *graph.Value) (int64, bool) {
	s := v.Type.Shape
	if len(s) == 0 {
		return 0, false
	}
	n, ok := s[len(s)-1].Int()
	if !ok && len(v.Hints) == len(s) {
		var err error
		n, err = strconv.ParseInt(v.Hints[len(s)-1], 10, 64)
		ok = err == nil && n > 0
	}
	return n, ok
}
