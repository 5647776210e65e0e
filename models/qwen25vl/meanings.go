package qwen25vl

// What inputs and outputs of the phases are, for people.
var (
	encodeMeanings = map[string]string{
		inPixels:                   "patches frame by frame, in merge-block order, one a row",
		"window_index":             "which row comes k-th in window order",
		"reverse_window_index":     "the inverse of the window order",
		"cu_seqlens":               "boundaries of full attention: one segment a frame",
		"cu_window_seqlens":        "boundaries of window attention, without empty windows",
		"patch_positions":          "row and column of each patch",
		"windowed_patch_positions": "row and column of each patch, in window order",
		"patch_positions_by_axis":  "rows, then columns of the patches",
		"axis_positions":           "counting up to the longer side",
		"image_rows":               "one embedding for each block of patches",
	}
	extendMeanings = map[string]string{
		inStep:    "of each token: id, three M-RoPE positions, index in the conversation",
		inEmbeds:  "embeddings of the tokens, made elsewhere",
		inRows:    "embeddings of pictures",
		inRowsAt:  "batch and token of each of them",
		outLogits: "of the last token",
		outBest:   "the highest of them, the highest first",
		outBestAt: "their tokens",
	}
)
