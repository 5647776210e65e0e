package generate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func sampling(change func(*Options)) Options {
	o := Defaults()
	change(&o)
	return o
}

func TestLoadConfig(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Config
	}{
		{"as Qwen2.5-VL publishes", map[string]string{"generation_config.json": `{
			"bos_token_id": 151643, "pad_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
			"repetition_penalty": 1.05, "temperature": 0.000001, "transformers_version": "4.49.0"}`},
			Config{EOS: []int32{151645, 151643}, BOS: 151643, Pad: 151643, Sampling: sampling(func(o *Options) {
				o.Sample, o.RepetitionPenalty, o.Temperature = true, 1.05, 0.000001
			})}},
		{"all fields", map[string]string{"generation_config.json": `{"eos_token_id": 2, "do_sample": false, "temperature": 0.7,
			"top_k": 0, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1, "max_new_tokens": 256}`},
			Config{EOS: []int32{2}, BOS: -1, Pad: -1, MaxNewTokens: 256,
				Sampling: Options{Temperature: 0.7, TopP: 0.9, MinP: 0.05, RepetitionPenalty: 1.1}}},
		{"nulls", map[string]string{"generation_config.json": `{"eos_token_id": null, "bos_token_id": null, "temperature": null}`},
			Config{BOS: -1, Pad: -1, Sampling: Defaults()}},
		{"onnxruntime-genai", map[string]string{"genai_config.json": `{
			"model": {"bos_token_id": 640, "eos_token_id": [642, 640], "pad_token_id": 641, "decoder": {"filename": "model.onnx"}},
			"search": {"do_sample": true, "max_length": 4096, "repetition_penalty": 1.0, "temperature": 1e-06, "top_k": 20, "top_p": 0.8}}`},
			Config{EOS: []int32{642, 640}, BOS: 640, Pad: 641, Sampling: Options{
				Sample: true, Temperature: 1e-06, TopK: 20, TopP: 0.8, RepetitionPenalty: 1}}},
		{"both", map[string]string{"generation_config.json": `{"eos_token_id": 7}`, "genai_config.json": `{"model": {"eos_token_id": 8}}`},
			Config{EOS: []int32{7}, BOS: -1, Pad: -1, Sampling: Defaults()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := LoadConfig(folder(t, c.files))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, error %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestLoadConfigErrors(t *testing.T) {
	for _, c := range []struct {
		content string
		want    string
	}{
		{`{`, "unexpected end of JSON input"},
		{`[]`, "cannot unmarshal array"},
		{`{"eos_token_id": "x"}`, "eos_token_id"},
		{`{"eos_token_id": 1e10}`, "eos_token_id"},
		{`{"eos_token_id": [1, -1]}`, "eos_token_id [1 -1]: want ids from 0 to 2147483647"},
		{`{"eos_token_id": [0` + strings.Repeat(",0", maxEOS) + `]}`, "1025 tokens in eos_token_id, want at most 1024"},
		{`{"temperature": "hot"}`, "temperature"},
		{`{"temperature": -1}`, "temperature -1: sampling option out of range"},
		{`{"top_p": 2}`, "top-p 2: sampling option out of range"},
		{`{"max_new_tokens": -1}`, "max_new_tokens -1: want 0 or more"},
		{strings.Repeat(" ", maxFile) + `{}`, "more than 1048576 bytes"},
	} {
		got, err := LoadConfig(folder(t, map[string]string{"generation_config.json": c.content}))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "generation_config.json: ") {
			t.Errorf("%.40s: error %v, want %q", c.content, err, c.want)
		}
		if !reflect.DeepEqual(got, Config{}) {
			t.Errorf("%.40s: got %+v beside the error", c.content, got)
		}
	}

	got, err := LoadConfig(t.TempDir())
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "genai_config.json") || !reflect.DeepEqual(got, Config{}) {
		t.Errorf("empty folder: got %+v, error %v", got, err)
	}
}

func TestStops(t *testing.T) {
	s := Stops{IDs: []int32{5, 7}}
	if !s.Has(5) || !s.Has(7) || s.Has(6) || (Stops{}).Has(0) {
		t.Error("Has is wrong")
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
