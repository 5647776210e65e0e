package qwen25vl

import "mnnconv/graph"

// torch is torch.onnx.export over hand-written wrappers with the indexes as
// inputs: vision(pixel_values, position_ids, window_index, cu_seqlens,
// cu_window_seqlens), an embedding graph and a decoder. cu_seqlens and
// cu_window_seqlens are the boundaries of full and of window attention.
var torch = Family{Name: "torch.onnx, indexes as inputs", match: func(f *folder) (*parts, error) {
	v, err := f.find("vision tower", func(x *file) bool {
		return x.has("pixel_values", "position_ids", "window_index", "cu_seqlens", "cu_window_seqlens")
	})
	if v == nil || err != nil {
		return nil, err
	}
	return f.assemble(&visionPart{file: v, output: v.model.Graph.Outputs[0].Name, inputs: map[string]visionInput{
		"pixel_values":      {"pixels", graph.Shape{patches, pixels(v, "pixel_values")}},
		"position_ids":      {"patch_positions", graph.ShapeOf(patches, 2)},
		"window_index":      {"window_index", graph.ShapeOf(rows)},
		"cu_seqlens":        {"cu_seqlens", graph.ShapeOf("cu_seqlens.length")},
		"cu_window_seqlens": {"cu_window_seqlens", graph.ShapeOf("cu_window_seqlens.length")},
	}}, "")
}}

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

// assemble joins a vision tower with the shared forms of embedding and decoder.
func (f *folder) assemble(v *visionPart, features string) (*parts, error) {
	d, err := f.decoder()
	if d == nil || err != nil {
		return nil, err
	}
	e, err := f.embedding(features)
	if e == nil || err != nil {
		return nil, err
	}
	return &parts{vision: v, embed: *e, decoder: *d}, nil
}
