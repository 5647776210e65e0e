package qwen25vl

// olive is Microsoft's published recipe for onnxruntime-genai: vision from pixels
// and grid, an embedding graph that scatters the image rows in itself, and the
// genai builder's text decoder.
var olive = Family{Name: "olive", match: func(f *folder) (*parts, error) {
	v, err := f.gridVision()
	if v == nil || err != nil {
		return nil, err
	}
	return f.assemble(v, "image_features")
}}
