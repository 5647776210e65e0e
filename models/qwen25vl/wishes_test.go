package qwen25vl

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWishes(t *testing.T) {
	for _, c := range []struct {
		json   string
		vision bool
		want   []string
		err    error
	}{
		{`{"llm_model": "llm.mnn", "backend_type": "opencl", "mllm": {"backend_type": "cuda"}}`, true,
			[]string{"vision=cuda (mllm.backend_type in config.json)", "llm=opencl (backend_type in config.json)"}, nil},
		{`{"backend_type": "opencl", "mllm": {"backend_type": "cuda"}}`, false, []string{"llm=opencl (backend_type in config.json)"}, nil},
		{`{"backend_type": "cpu"}`, true, []string{"llm=cpu (backend_type in config.json)"}, nil},
		{`{"llm_model": "llm.mnn"}`, true, nil, nil},
		{`{"model_type": "qwen2_5_vl", "backend_type": "metal"}`, true, nil, nil}, // Hugging Face's
		{`{"backend_type": 3}`, true, nil, ErrConfig},
		{`{"backend_type": ""}`, true, nil, ErrConfig},
		{`{"backend_type"`, true, nil, ErrConfig},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.json), 0o644); err != nil {
			t.Fatal(err)
		}
		wishes, err := readWishes(dir, c.vision)
		if !errors.Is(err, c.err) || len(wishes) != len(c.want) {
			t.Errorf("%s: %v, %v", c.json, wishes, err)
			continue
		}
		for i, w := range wishes {
			if got := w.Rule + " (" + w.Source + ")"; got != c.want[i] {
				t.Errorf("%s: %s, want %s", c.json, got, c.want[i])
			}
		}
	}
	if wishes, err := readWishes(t.TempDir(), true); wishes != nil || err != nil {
		t.Errorf("no file: %v, %v", wishes, err)
	}
}
