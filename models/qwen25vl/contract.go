package qwen25vl

import (
	"fmt"
	"path/filepath"

	"mnnconv/graph"
	"mnnconv/partition"
)

// Terms are what the model demands of its boundary tensors, with symbols bounded
// for a context of capacity tokens (0: the default). The relations of indexes are
// those of Hugging Face's Qwen2_5_VisionTransformer.get_window_index and
// rot_pos_emb, those of positions of Qwen2_5_VLModel.get_rope_index.
func (m *Model) Terms(capacity int) partition.Terms {
	most := int64(m.capacity(capacity))
	t := partition.Terms{Bounds: m.bounds(most, most, most), Files: map[string]string{}}
	for _, s := range m.stages {
		t.Files[s.Name] = s.File
	}
	t.Token = map[string]graph.Env{"extend": {batched: 1, tokens: 1, "rows": 0}}
	if m.encode != nil && m.extend == nil {
		t.Token = nil
	}
	if m.encode != nil {
		side := m.Config.Patch * m.Config.Merge
		n := min(int64(m.Pictures.MaxPixels)/(side*side), most)
		t.Picture = map[string]graph.Env{"encode": {"rows": n}, "extend": {batched: 1, tokens: n, "rows": n}}
		t.Relations = append(t.Relations, m.encodeRelations()...)
		t.Orders = m.encodeOrders()
	}
	if m.extend != nil {
		t.Relations = append(t.Relations, m.extendRelations()...)
	}
	return t
}

// width is where the width of rows and hidden states comes from.
func (m *Model) width() (int64, string) {
	if m.Config.Hidden > 0 {
		return m.Config.Hidden, "hidden_size in " + filepath.Base(m.Config.Source)
	}
	if m.extend == nil {
		return m.encode.width, "the vision tower's own rows"
	}
	return m.extend.width, "the decoder's embeddings"
}

func (m *Model) encodeRelations() []partition.Relation {
	width, from := m.width()
	out := []partition.Relation{{Phase: "encode", Value: "image_rows", Kind: partition.Extent, Axis: -1, High: graph.Const(width),
		Text: "width = hidden size", Source: from}}
	names := map[string]string{}
	for i, v := range m.encode.graph.Inputs {
		names[m.encode.inputs[i].meaning] = v.Name
	}
	zero, one := graph.Const(0), graph.Const(1)
	unit := fmt.Sprintf("%d patches a row", m.encode.geometry.Merge*m.encode.geometry.Merge)
	for i, v := range m.encode.graph.Inputs {
		r := partition.Relation{Phase: "encode", Value: v.Name, Source: "get_window_index, rot_pos_emb of the reference"}
		switch m.encode.inputs[i].meaning {
		case "window_index":
			r.Kind, r.High, r.Text = partition.Permutation, rows, "a permutation of the rows"
		case "reverse_window_index":
			r.Kind, r.High, r.Text = partition.Permutation, rows, "a permutation of the rows"
			if other := names["window_index"]; other != "" {
				r.Kind, r.Other, r.Text = partition.Inverse, other, "the inverse of the window index"
			}
		case "cu_seqlens", "cu_window_seqlens":
			r.Kind, r.Low, r.High, r.Text = partition.Ascending, zero, patches, "ascending from 0 to the number of patches, "+unit
		case "patch_positions", "windowed_patch_positions", "patch_positions_by_axis":
			r.Kind, r.Low, r.High, r.Text = partition.Bounded, zero, patches, "rows and columns of the grid"
		case "axis_positions":
			if s := v.Type.Shape; len(s) > 0 {
				r.Kind, r.Low, r.High, r.Text = partition.Ascending, zero, s[0].Sub(one), "counting up from 0"
			}
		}
		if r.Kind != "" {
			out = append(out, r)
		}
	}
	return out
}

// encodeOrders says how rows and windows are ordered.
func (m *Model) encodeOrders() []partition.Order {
	g := m.encode.geometry
	merge := fmt.Sprintf("merge size %d: %s", g.Merge, filepath.Base(m.Config.Source))
	window := fmt.Sprintf("window of %d rows a side: window_size %d in %s", g.Window, m.Config.Window, filepath.Base(m.Config.Source))
	switch {
	case m.Family == mnn.Name:
		merge = fmt.Sprintf("merge size %d: a constant of MNN's own runtime", g.Merge)
		window = fmt.Sprintf("window of %d rows a side: the constant 112 of MNN's own runtime", g.Window)
	case m.Config.Window == 0:
		window = fmt.Sprintf("window of %d rows a side: the size that explains the graph's own indexes on sample grids", g.Window)
	}
	out := []partition.Order{
		{Phase: "encode", Value: "pixel_values", Text: "patches frame by frame, in blocks of merge × merge, rows before columns", Source: merge},
		{Phase: "encode", Value: "image_rows", Text: "frame by frame, rows before columns; the windows' order is undone", Source: merge},
	}
	for i, v := range m.encode.graph.Inputs {
		switch m.encode.inputs[i].meaning {
		case "window_index", "reverse_window_index", "cu_window_seqlens", "windowed_patch_positions":
			out = append(out, partition.Order{Phase: "encode", Value: v.Name, Text: "window by window, rows before columns", Source: window})
		}
	}
	return out
}

func (m *Model) extendRelations() []partition.Relation {
	width, from := m.width()
	n := graph.Sym(tokens)
	positions := int64(m.Config.MaxPositions)
	if positions == 0 {
		positions = 1 << 31
	}
	all := []partition.Relation{
		{Value: inStep, Kind: partition.Extent, Axis: 0, High: graph.Const(stepRows), Text: "ids, three M-RoPE positions and indexes, one a token each", Source: "get_rope_index of the reference"},
		{Value: inStep, Kind: partition.Extent, Axis: -1, High: n, Text: "M-RoPE length = tokens", Source: "get_rope_index of the reference"},
		{Value: inStep, Rows: []int{stepIDs, stepIDs}, Kind: partition.Bounded, High: graph.Const(m.extend.vocabulary), Text: "token ids below the vocabulary", Source: "the width of the logits"},
		{Value: inStep, Rows: []int{stepPositions, stepPositions + 2}, Kind: partition.Bounded, High: graph.Const(positions), Text: "positions that the model was made for", Source: "max_position_embeddings or context_length in " + filepath.Base(m.Config.Source)},
		{Value: inStep, Rows: []int{stepIndex, stepIndex}, Kind: partition.Consecutive, High: graph.Sym("capacity"), Text: "write index + tokens ≤ capacity, one token after the other", Source: "the state's extent"},
		{Value: inEmbeds, Kind: partition.Extent, Axis: -1, High: graph.Const(width), Text: "width = hidden size", Source: from},
		{Value: inRows, Kind: partition.Extent, Axis: -1, High: graph.Const(width), Text: "width = hidden size", Source: from},
		{Value: inRowsAt, Kind: partition.Bounded, High: n, Text: "rows stand at tokens of the prompt", Source: "the prompt"},
		{Value: outLogits, Kind: partition.Extent, Axis: -1, High: graph.Const(m.extend.vocabulary), Text: "one logit a token of the vocabulary", Source: "the decoder"},
		{Value: outBestAt, Kind: partition.Bounded, High: graph.Const(m.extend.vocabulary), Text: "tokens of the vocabulary", Source: "the width of the logits"},
	}
	if m.encode != nil {
		all = append(all, partition.Relation{Value: inStep, Rows: []int{stepIDs, stepIDs}, Kind: partition.Count, High: rows, Tokens: []int64{int64(m.Config.ImageToken), int64(m.Config.VideoToken)},
			Text:   fmt.Sprintf("image and video tokens = Σ t·h·w/%d = image rows", m.Config.Merge*m.Config.Merge),
			Source: "image_token_id, video_token_id in " + filepath.Base(m.Config.Source)})
	}
	there := map[string]bool{outLogits: true, outBestAt: m.extend.ranks > 0}
	for _, v := range m.extend.graph.Inputs {
		there[v.Name] = true
	}
	var out []partition.Relation
	for _, r := range all {
		r.Phase = "extend"
		if there[r.Value] {
			out = append(out, r)
		}
	}
	return out
}
