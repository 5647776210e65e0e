package tinyvl

import (
	"bytes"
	"errors"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestModel(t *testing.T) {
	for _, name := range []string{
		"config.json", "generation_config.json", "preprocessor_config.json", "chat_template.json", "tokenizer.json",
		"onnx/vision_encoder_fp16.onnx", "onnx/embed_tokens_fp16.onnx", "onnx/decoder_model_merged_fp16.onnx",
	} {
		if info, err := fs.Stat(Model(), name); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fs.Stat(Model(), "demo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the demo is part of the model folder: %v", err)
	}
}

func TestDemo(t *testing.T) {
	items, err := Demo()
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != 5 {
		t.Errorf("%d questions, want 5", len(items))
	}
	videos, pairs := 0, 0
	for _, it := range items {
		if it.Name == "" || it.Question == "" || it.Want == "" || len(it.Files) == 0 {
			t.Errorf("%+v lacks something", it)
		}
		for _, f := range it.Files {
			if _, err := png.Decode(bytes.NewReader(f.Data)); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
		switch {
		case it.Video:
			videos++
		case len(it.Files) == 2:
			pairs++
		}
	}
	if videos != 1 || pairs != 1 {
		t.Errorf("%d videos and %d pairs of pictures, want one of each", videos, pairs)
	}
}

// extracted fails unless dir holds the model and nothing else.
func extracted(t *testing.T, dir string) {
	t.Helper()
	want := map[string]bool{}
	err := fs.WalkDir(Model(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		want[name] = true
		a, _ := fs.ReadFile(Model(), name)
		b, err := os.ReadFile(filepath.Join(dir, name))
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %d bytes, want %d", name, len(b), len(a))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !want[name] {
			t.Errorf("%s was left behind", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestExtract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache", "tinyvl")
	if err := Extract(nil, dir); err != nil {
		t.Fatal(err)
	}
	extracted(t, dir)

	kept := filepath.Join(dir, "onnx", "vision_encoder_fp16.onnx")
	before, err := os.Stat(kept)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "config.json")
	if err := os.WriteFile(broken, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Extract(nil, dir); err != nil {
		t.Fatal(err)
	}
	extracted(t, dir)
	if after, err := os.Stat(kept); err != nil || !os.SameFile(before, after) {
		t.Errorf("%s was written anew (%v)", kept, err)
	}
}

func TestExtractFails(t *testing.T) {
	dir := t.TempDir()
	// A folder stands where a file belongs: it cannot be replaced.
	if err := os.MkdirAll(filepath.Join(dir, "config.json", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Extract(nil, dir); err == nil {
		t.Error("no error")
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
