// Package tinyvl holds the bundled model: a Qwen2.5-VL of 3.9 million
// parameters, trained on drawn pictures, as transformers.js lays it out with
// float16 weights. Its folder is the model folder itself, for commands that take
// one; this package embeds it, with five questions about pictures, so that the
// demo needs only the binary.
package tinyvl

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"mnnconv/schemas/disk"
)

//go:embed *.json merges.txt onnx/*.onnx
var model embed.FS

//go:embed demo
var demo embed.FS

// Model returns the model folder, read only: config.json and its like at the
// top, the graphs under onnx/.
func Model() fs.FS { return model }

// Extract writes the model folder into dir, which is made if it is not there:
// graphs are mapped from files, never from the binary. Each file appears whole
// or not at all, and one that is there already with the same bytes stays, so that
// dir may be a cache that several processes share.
func Extract(d *disk.Disk, dir string) error {
	return fs.WalkDir(model, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if e.IsDir() {
			return d.MakeAll(to)
		}
		data, err := model.ReadFile(name)
		if err != nil {
			return err
		}
		if have, err := os.ReadFile(to); err == nil && string(have) == string(data) {
			return nil
		}
		return d.WriteFile(to, data)
	})
}

// Item is a question of the demo.
type Item struct {
	Name     string
	Question string
	Want     string // the model's answer in float32, as PyTorch gives it
	Files    []File // pictures, or the frames of one video
	Video    bool   // two frames a second
}

// File is an encoded picture.
type File struct {
	Name string
	Data []byte
}

// Demo returns the demo's questions in the order in which they are asked.
func Demo() ([]Item, error) {
	const manifest = "demo/manifest.json"
	data, err := demo.ReadFile(manifest)
	if err != nil {
		return nil, err
	}
	var list []struct {
		Name, Question, Want string
		Files                []string
		Video                bool
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", manifest, err)
	}
	items := make([]Item, len(list))
	for i, m := range list {
		items[i] = Item{Name: m.Name, Question: m.Question, Want: m.Want, Video: m.Video}
		for _, name := range m.Files {
			data, err := demo.ReadFile(path.Join("demo", name))
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", manifest, m.Name, err)
			}
			items[i].Files = append(items[i].Files, File{name, data})
		}
	}
	return items, nil
}
