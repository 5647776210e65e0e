package qwen25vl

import "mnnconv/graph"

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

// gridVision binds a vision tower of pixels and grid.
func (f *folder) gridVision() (*visionPart, error) {
	grid := func(x *file) string {
		for _, name := range []string{"image_grid_thw", "grid_thw"} {
			if x.has("pixel_values", name) && len(x.model.Graph.Inputs) == 2 {
				return name
			}
		}
		return ""
	}
	v, err := f.find("vision tower", func(x *file) bool { return grid(x) != "" })
	if v == nil || err != nil {
		return nil, err
	}
	return &visionPart{file: v, output: v.model.Graph.Outputs[0].Name, inputs: map[string]visionInput{
		"pixel_values": {"pixels", graph.Shape{patches, pixels(v, "pixel_values")}},
		grid(v):        {"grid", graph.ShapeOf(1, 3)},
	}}, nil
}
