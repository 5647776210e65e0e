package qwen25vl

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"mnnconv/models"
)

// readWishes reads where MNN's runtime configuration, config.json beside its
// export, wants the parts of the model to run: mllm.backend_type names the vision
// tower's backend, backend_type that of all else. Other exporters' config.json has
// neither.
func readWishes(dir string, vision bool) ([]models.Wish, error) {
	const name = "config.json"
	path := filepath.Join(dir, name)
	m, err := readJSON(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !isMNN(m) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	mllm, _ := m["mllm"].(map[string]any)
	var out []models.Wish
	for _, f := range []struct {
		value            any
		setting, pattern string
	}{{mllm["backend_type"], "mllm.backend_type", "vision"}, {m["backend_type"], "backend_type", "llm"}} {
		if f.value == nil || f.pattern == "vision" && !vision {
			continue
		}
		backend, ok := f.value.(string)
		if !ok || backend == "" {
			return nil, fmt.Errorf("%s: %w: %s is %v, expected the name of a backend", path, ErrConfig, f.setting, f.value)
		}
		out = append(out, models.Wish{Rule: f.pattern + "=" + backend, Source: f.setting + " in " + name})
	}
	return out, nil
}

// isMNN reports whether a config.json is that of MNN's runtime, which shares the
// name with Hugging Face's.
func isMNN(m map[string]any) bool {
	return m["model_type"] == nil && (m["backend_type"] != nil || m["mllm"] != nil || m["llm_model"] != nil)
}
