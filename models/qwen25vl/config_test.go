package qwen25vl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write fills a folder with files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	hfConfig = `{"model_type": "qwen2_5_vl", "image_token_id": 5, "video_token_id": 6, "vision_start_token_id": 7, "eos_token_id": [8, 9],
		"hidden_size": 64, "max_position_embeddings": 1024,
		"vision_config": {"spatial_merge_size": 2, "patch_size": 14, "window_size": 112, "tokens_per_second": 4}}`
	nestedConfig = `{"model_type": "qwen2_5_vl", "image_token_id": 5, "video_token_id": 6, "vision_start_token_id": 7, "eos_token_id": 8,
		"text_config": {"hidden_size": 32, "max_position_embeddings": 512}, "vision_config": {"spatial_patch_size": 16, "spatial_merge_size": 3}}`
	mnnConfig = `{"image_pad": 5, "video_pad": 6, "vision_start": 7, "hidden_size": 64, "max_position_embeddings": 256,
		"image_min_pixels": 3136, "image_max_pixels": 50176, "image_mean": [0.5, 0.25], "image_norm": [2, 4]}`
	genaiConfig = `{"model": {"image_token_id": 5, "video_token_id": 6, "vision_start_token_id": 7, "eos_token_id": [8], "context_length": 128,
		"decoder": {"hidden_size": 64}, "vision": {"spatial_merge_size": 2, "patch_size": 14, "tokens_per_second": 1.5, "window_size": 999}}}`
)

func TestReadConfig(t *testing.T) {
	for _, c := range []struct {
		name, source string
		files        map[string]string
		want         string
	}{
		{"Hugging Face's", "config.json", map[string]string{"config.json": hfConfig, "llm_config.json": mnnConfig, "genai_config.json": genaiConfig},
			"5 6 7 merge 2 patch 14 window 112 per second 4 positions 1024 hidden 64 ends [8 9] pixels 0-0"},
		{"nested", "config.json", map[string]string{"config.json": nestedConfig}, "5 6 7 merge 3 patch 16 window 0 per second 2 positions 512 hidden 32 ends [8] pixels 0-0"},
		{"MNN's", "llm_config.json", map[string]string{"llm_config.json": mnnConfig, "genai_config.json": genaiConfig},
			"5 6 7 merge 2 patch 14 window 112 per second 2 positions 256 hidden 64 ends [] pixels 3136-50176"},
		{"MNN's, beside its runtime's", "llm_config.json", map[string]string{"config.json": `{"backend_type": "opencl"}`, "llm_config.json": mnnConfig},
			"5 6 7 merge 2 patch 14 window 112 per second 2 positions 256 hidden 64 ends [] pixels 3136-50176"},
		{"onnxruntime-genai's, whose window is not the model's", "genai_config.json", map[string]string{"genai_config.json": genaiConfig},
			"5 6 7 merge 2 patch 14 window 0 per second 1.5 positions 128 hidden 64 ends [8] pixels 0-0"},
	} {
		got, err := readConfig(write(t, c.files))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s := fmt.Sprintf("%d %d %d merge %d patch %d window %d per second %g positions %d hidden %d ends %v pixels %d-%d", got.ImageToken, got.VideoToken, got.VisionStart,
			got.Merge, got.Patch, got.Window, got.TokensPerSecond, got.MaxPositions, got.Hidden, got.EOS, got.MinPixels, got.MaxPixels)
		if s != c.want || filepath.Base(got.Source) != c.source {
			t.Errorf("%s, from %s: %s, want %s", c.name, got.Source, s, c.want)
		}
	}
}

func TestReadConfigRefuses(t *testing.T) {
	change := func(text, from, to string) map[string]string {
		if !strings.Contains(text, from) {
			t.Fatalf("there is no %s", from)
		}
		return map[string]string{"config.json": strings.Replace(text, from, to, 1)}
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", nil, "none of config.json"},
		{"MNN's runtime's alone", map[string]string{"config.json": `{"backend_type": "cpu"}`}, "none of config.json"},
		{"a number in quotes", change(hfConfig, `"hidden_size": 64`, `"hidden_size": "64"`), `config.json: model configuration: hidden_size is "64", a number is needed`},
		{"half a pixel", change(hfConfig, `"patch_size": 14`, `"patch_size": 14.5`), `vision_config.patch_size is 14.5, a whole number of 32 bits is needed`},
		{"a huge size", change(hfConfig, `"window_size": 112`, `"window_size": 1e300`), `vision_config.window_size is 1e+300, a whole number`},
		{"a list for an object", change(nestedConfig, `{"hidden_size": 32, "max_position_embeddings": 512}`, `[]`), `text_config is [], an object is needed`},
		{"an end in words", change(nestedConfig, `"eos_token_id": 8`, `"eos_token_id": "<|im_end|>"`), `eos_token_id is "\u003c|im_end|\u003e", a list of numbers is needed`},
		{"half an end", change(hfConfig, `[8, 9]`, `[8, 9.5]`), `eos_token_id is [8,9.5], a token id or a list of them is needed`},
		{"several", change(hfConfig, `"hidden_size": 64, "max_position_embeddings": 1024`, `"hidden_size": true, "max_position_embeddings": {}`), "hidden_size is true"},
		{"MNN's mean", map[string]string{"llm_config.json": strings.Replace(mnnConfig, "[0.5, 0.25]", `["0.5"]`, 1)}, `llm_config.json: model configuration: image_mean is ["0.5"], a list of numbers is needed`},
		{"onnxruntime-genai's model", map[string]string{"genai_config.json": strings.Replace(genaiConfig, `"decoder": {"hidden_size": 64}`, `"decoder": 64`, 1)}, `genai_config.json: model configuration: model.decoder is 64, an object is needed`},
		{"no JSON", map[string]string{"config.json": "model_type: qwen2_5_vl"}, "config.json"},
		{"a key twice", change(hfConfig, `"window_size": 112`, `"window_size": 112, "window_size": 56`), `"window_size" stands twice`},
		{"a key twice, MNN's", map[string]string{"llm_config.json": strings.Replace(mnnConfig, "{", `{"image_mean": [], `, 1)}, `"image_mean" stands twice`},
		{"a key twice, onnxruntime-genai's", map[string]string{"genai_config.json": strings.Replace(genaiConfig, "{", `{"model": {}, `, 1)}, `"model" stands twice`},
		{"a list", map[string]string{"config.json": "[]"}, "config.json"},
		{"another model", change(hfConfig, "qwen2_5_vl", "qwen2_vl"), `"qwen2_vl"`},
		{"a model that is not said", change(hfConfig, `"model_type": "qwen2_5_vl", `, ""), "model_type is missing"},
		{"no image token", change(hfConfig, `"image_token_id": 5, `, ""), "image_token_id"},
		{"a token that is a text", change(hfConfig, `"video_token_id": 6`, `"video_token_id": "6"`), "video_token_id"},
		{"a part of a token", change(hfConfig, `"video_token_id": 6`, `"video_token_id": 6.5`), "video_token_id"},
		{"a token below none", change(hfConfig, `"vision_start_token_id": 7`, `"vision_start_token_id": -7`), "vision_start_token_id"},
		{"a token beyond all", change(hfConfig, `"image_token_id": 5`, `"image_token_id": 1e12`), "image_token_id"},
		{"no merge", change(hfConfig, `"spatial_merge_size": 2`, `"spatial_merge_size": 0`), "merge 0"},
		{"a patch of no size", change(hfConfig, `"patch_size": 14`, `"patch_size": -14`), "patch -14"},
		{"an endless window", change(hfConfig, `"window_size": 112`, `"window_size": 1e9`), "window"},
		{"time that runs backwards", change(hfConfig, `"tokens_per_second": 4`, `"tokens_per_second": -4`), "tokens per second -4"},
		{"a context of less than none", change(hfConfig, `"max_position_embeddings": 1024`, `"max_position_embeddings": -1`), "positions -1"},
		{"MNN's without its tokens", map[string]string{"llm_config.json": `{"hidden_size": 64}`}, "image_pad"},
		{"onnxruntime-genai's of a text model", map[string]string{"genai_config.json": `{"model": {"context_length": 128}}`}, "image_token_id"},
	} {
		cfg, err := readConfig(write(t, c.files))
		if err == nil {
			err = cfg.complete() // as for a folder with a vision tower
		}
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to name %s", c.name, err, c.want)
		}
		if missing := errors.Is(err, fs.ErrNotExist); missing != strings.HasPrefix(c.want, "none of") {
			t.Errorf("%s: missing files: %t", c.name, missing)
		}
	}
	dir := write(t, nil)
	if err := os.Mkdir(filepath.Join(dir, "config.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(dir); !errors.Is(err, ErrConfig) {
		t.Errorf("a folder of that name: %v", err)
	}
}
