package qwen25vl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// genai is the onnxruntime-genai builder's text decoder alone, and any other
// decoder of its signature without the parts around it. It takes token ids, or
// embeddings: those of a checkpoint's table beside it, or made elsewhere.
var genai = Family{Name: "decoder alone", match: func(f *folder) (*parts, error) {
	d, err := f.decoder()
	if d == nil || err != nil {
		return nil, err
	}
	for _, x := range f.files {
		if x != d.file {
			return nil, nil // parts of a model: incomplete says which are missing
		}
	}
	if err := f.declared(); err != nil {
		return nil, err
	}
	p := &parts{decoder: d, notes: []string{"a decoder alone: there is no vision tower, so pictures are refused"}}
	if d.ids {
		return p, nil
	}
	width, _ := lastExtent(d.file.input(d.input))
	table, err := f.tableBeside(width)
	if err != nil {
		return nil, err
	}
	if table != nil {
		p.embed = &embedPart{table: table}
		p.notes = append(p.notes, fmt.Sprintf("token embeddings are those of %s", table.Source.File))
	} else {
		p.notes = append(p.notes, fmt.Sprintf("%s takes embeddings and the folder has no table of them: it runs over embeddings made elsewhere, and cannot read words; the checkpoint's model.safetensors beside it mends that", d.file.path))
	}
	return p, nil
}}

// declared checks that the files which genai_config.json names for other stages
// are there.
func (f *folder) declared() error {
	const name = "genai_config.json"
	m, err := readJSON(filepath.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	model, _ := m["model"].(map[string]any)
	for _, part := range []struct{ key, name string }{{"vision", "vision tower"}, {"embedding", "embedding"}} {
		section, _ := model[part.key].(map[string]any)
		file, _ := section["filename"].(string)
		if file == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(f.dir, filepath.Base(file))); err != nil {
			return fmt.Errorf("%s: %w: %w: its %s is %q in %s: %w", f.dir, ErrFamily, ErrMissing, part.name, file, name, err)
		}
	}
	return nil
}
