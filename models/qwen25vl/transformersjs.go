package qwen25vl

// transformersJS is the layout of transformers.js and onnx-community: a vision
// tower that computes its indexes from image_grid_thw (grid_thw in older files),
// an embedding graph without merging, and a decoder, each with a suffix for its
// dtype.
var transformersJS = Family{Name: "transformers.js", match: func(f *folder) (*parts, error) {
	v, err := f.gridVision()
	if v == nil || err != nil {
		return nil, err
	}
	return f.assemble(v, "")
}}
