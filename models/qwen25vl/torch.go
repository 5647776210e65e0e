package qwen25vl

// torch is torch.onnx.export over hand-written wrappers with the indexes as
// inputs: vision(pixel_values, position_ids, window_index, cu_seqlens,
// cu_window_seqlens), an embedding graph and a decoder.
var torch = Family{Name: "torch.onnx, indexes as inputs", match: func(f *folder) (*parts, error) {
	v, err := f.indexVision()
	if v == nil || err != nil {
		return nil, err
	}
	return f.assemble(v, "")
}}
