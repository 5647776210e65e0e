package main

import (
	"cmp"
	"slices"

	"mnnconv/graph"
)

// shape holds the sizes in which models of this family differ.
type shape struct {
	Hidden, Layers, Heads, KV, Intermediate, Vocabulary int
	Positions                                           int // tokens the model is made for
	Theta                                               float64
	Section                                             []int // of rotary frequencies: time, row, column
	Vision                                              tower
	MinPixels, MaxPixels                                int
	Tokens                                              tokens
	Tied                                                bool        // the head's weight is the table of embeddings
	Type                                                graph.DType // that the language model computes in; 0: float16
}

// tower is the vision tower's.
type tower struct {
	Blocks, Hidden, Heads, Intermediate int
	Full                                []int       // blocks that attend to the whole picture, not to windows
	Type                                graph.DType // that it computes in; 0: float16
}

// tokens are ids with a meaning.
type tokens struct{ Start, End, Text, Image, Video, VisionStart, VisionEnd int }

var shapes = map[string]shape{
	// Qwen2.5-VL-3B-Instruct's config.json.
	"3b": {
		Hidden: 2048, Layers: 36, Heads: 16, KV: 2, Intermediate: 11008, Vocabulary: 151936, Positions: 128000,
		Theta: 1e6, Section: []int{16, 24, 24},
		Vision:    tower{Blocks: 32, Hidden: 1280, Heads: 16, Intermediate: 3420, Full: []int{7, 15, 23, 31}},
		MinPixels: 3136, MaxPixels: 12845056,
		Tokens: tokens{Start: 151644, End: 151645, Text: 151643, Image: 151655, Video: 151656, VisionStart: 151652, VisionEnd: 151653},
	},
	// Qwen2.5-VL-7B-Instruct's config.json.
	"7b": {
		Hidden: 3584, Layers: 28, Heads: 28, KV: 4, Intermediate: 18944, Vocabulary: 152064, Positions: 128000,
		Theta: 1e6, Section: []int{16, 24, 24},
		Vision:    tower{Blocks: 32, Hidden: 1280, Heads: 16, Intermediate: 3420, Full: []int{7, 15, 23, 31}},
		MinPixels: 3136, MaxPixels: 12845056,
		Tokens: tokens{Start: 151644, End: 151645, Text: 151643, Image: 151655, Video: 151656, VisionStart: 151652, VisionEnd: 151653},
	},
	// Qwen2.5-0.5B-Instruct's config.json, with the bundled model's vision tower.
	"0.5b": {
		Hidden: 896, Layers: 24, Heads: 14, KV: 2, Intermediate: 4864, Vocabulary: 151936, Positions: 32768,
		Theta: 1e6, Section: []int{8, 12, 12},
		Vision:    tower{Blocks: 4, Hidden: 128, Heads: 4, Intermediate: 340, Full: []int{1, 3}},
		MinPixels: 3136, MaxPixels: 12845056,
		Tokens: tokens{Start: 151644, End: 151645, Text: 151643, Image: 151655, Video: 151656, VisionStart: 151652, VisionEnd: 151653},
	},
	// The bundled model, from whose graphs the others are made.
	"tiny": {
		Hidden: 256, Layers: 4, Heads: 4, KV: 2, Intermediate: 520, Vocabulary: 544, Positions: 2048,
		Theta: 1e4, Section: []int{8, 12, 12},
		Vision:    tower{Blocks: 4, Hidden: 128, Heads: 4, Intermediate: 340, Full: []int{1, 3}},
		MinPixels: 7056, MaxPixels: 50176,
		Tokens: tokens{Start: 503, End: 504, Text: 502, Image: 514, Video: 515, VisionStart: 511, VisionEnd: 512},
	},
}

// cut returns the shape with another depth; 0 leaves it. The last block always
// attends to the whole picture.
func (s shape) cut(layers, blocks int) shape {
	if layers > 0 {
		s.Layers = layers
	}
	if blocks > 0 {
		s.Vision.Blocks = blocks
		full := slices.DeleteFunc(slices.Clone(s.Vision.Full), func(b int) bool { return b >= blocks-1 })
		s.Vision.Full = append(full, blocks-1)
	}
	return s
}

func (s shape) head() int { return s.Hidden / s.Heads }
func (t tower) head() int { return t.Hidden / t.Heads }

// config is config.json, laid out as the published one.
func (s shape) config() any {
	return map[string]any{
		"architectures": []string{"Qwen2_5_VLForConditionalGeneration"}, "model_type": "qwen2_5_vl", "torch_dtype": cmp.Or(s.Type, graph.Float16).String(),
		"hidden_act": "silu", "hidden_size": s.Hidden, "intermediate_size": s.Intermediate, "max_position_embeddings": s.Positions,
		"num_attention_heads": s.Heads, "num_hidden_layers": s.Layers, "num_key_value_heads": s.KV, "rms_norm_eps": 1e-6,
		"rope_theta": s.Theta, "rope_scaling": map[string]any{"type": "mrope", "mrope_section": s.Section},
		"tie_word_embeddings": s.Tied, "use_cache": true, "vocab_size": s.Vocabulary,
		"bos_token_id": s.Tokens.Text, "eos_token_id": s.Tokens.End, "image_token_id": s.Tokens.Image, "video_token_id": s.Tokens.Video,
		"vision_start_token_id": s.Tokens.VisionStart, "vision_end_token_id": s.Tokens.VisionEnd,
		"vision_config": map[string]any{
			"depth": s.Vision.Blocks, "hidden_act": "silu", "hidden_size": s.Vision.Hidden, "intermediate_size": s.Vision.Intermediate,
			"num_heads": s.Vision.Heads, "in_chans": 3, "out_hidden_size": s.Hidden, "patch_size": 14, "spatial_merge_size": 2,
			"spatial_patch_size": 14, "window_size": 112, "fullatt_block_indexes": s.Vision.Full, "tokens_per_second": 2, "temporal_patch_size": 2,
		},
	}
}

// generation is generation_config.json.
func (s shape) generation() any {
	return map[string]any{"bos_token_id": s.Tokens.Text, "pad_token_id": s.Tokens.Text, "eos_token_id": []int{s.Tokens.End, s.Tokens.Text},
		"do_sample": false, "repetition_penalty": 1.0}
}

// preprocessor is preprocessor_config.json.
func (s shape) preprocessor() any {
	return map[string]any{"min_pixels": s.MinPixels, "max_pixels": s.MaxPixels, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
		"image_mean": []float64{0.48145466, 0.4578275, 0.40821073}, "image_std": []float64{0.26862954, 0.26130258, 0.27577711},
		"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
}
