package qwen25vl

// visionAlone is a vision tower without the rest of the model: pictures become
// rows, and questions are refused.
var visionAlone = Family{Name: "vision tower alone", match: func(f *folder) (*parts, error) {
	v, err := f.tower()
	if v == nil || err != nil {
		return nil, err
	}
	for _, x := range f.files {
		if x != v.file {
			return nil, nil
		}
	}
	return &parts{vision: v, notes: []string{"a vision tower alone: there is no decoder, so questions are refused"}}, nil
}}
