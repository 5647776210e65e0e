package qwen25vl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/schemas/onnx"
)

// Family is one exporter's way of writing the model. It is recognised by the
// names of inputs and outputs alone, never by a producer string.
type Family struct {
	Name string
	// match finds the family's parts among a folder's graphs; nil if it is not
	// this one.
	match func(f *folder) (*parts, error)
}

// families lists what Load tries, in order.
var families = []Family{mnn, olive, transformersJS, torch}

// ErrFamily: the folder's graphs are those of no known exporter family.
var ErrFamily = errors.New("unknown exporter family")

// ErrFixedGrid: a vision graph takes one size of picture alone.
var ErrFixedGrid = errors.New("vision graph of a fixed grid")

// parts are the graphs of a model, with their inputs bound by meaning.
type parts struct {
	family  string
	vision  *visionPart // nil: the folder has no vision tower
	embed   embedPart
	decoder decoderPart
}

// stages names the parts and their files.
func (p *parts) stages() []models.Stage {
	var out []models.Stage
	if p.vision != nil {
		out = append(out, models.Stage{Name: "vision", File: p.vision.file.path})
	}
	file := "embeddings_bf16.bin"
	if p.embed.file != nil {
		file = p.embed.file.path
	}
	return append(out, models.Stage{Name: "embed", File: file}, models.Stage{Name: "llm", File: p.decoder.file.path},
		models.Stage{Name: "head", File: p.decoder.file.path})
}

// visionPart is a vision tower. Every input is pixels, an index of a known
// meaning, a mask, or the grid itself.
type visionPart struct {
	file   *file
	inputs map[string]visionInput
	output string // image rows; 2 or 3 extents, the last is the width
}

// visionInput says what one input of a vision tower is.
type visionInput struct {
	meaning string // "pixels", "grid", "masks" (full, window) or a name of meanings
	shape   graph.Shape
}

// embedPart turns token ids into embeddings: a graph, or a bare table.
type embedPart struct {
	file     *file
	ids      string        // input of the graph
	features string        // input for image rows, which the graph merges itself; or empty
	output   string        // output of the graph
	table    *graph.Tensor // [vocabulary, width] instead of a graph
}

// decoderPart is the language model.
type decoderPart struct {
	file      *file
	embeds    string
	rowsFirst bool   // embeddings are [tokens, batch, width]
	positions string // input [3, batch, tokens], or [3, tokens]
	mask      string // attention mask: int64 [batch, past+tokens], or float [1, 1, tokens, past+tokens]
	keep      string // scalar input that says how many logits are wanted; or empty
	index     string // input that says from which row logits are wanted; or empty
	logits    string
}

// folder is a model's directory with its ONNX files opened.
type folder struct {
	dir   string
	files []*file
	unmap []func() error // of tables without a graph
}

type file struct {
	path  string // relative to the folder
	model *onnx.Model
}

// openFolder loads every .onnx file of dir and dir/onnx.
func openFolder(dir string, o onnx.Options) (*folder, error) {
	f := &folder{dir: dir}
	for _, sub := range []string{"", "onnx"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if errors.Is(err, fs.ErrNotExist) && sub != "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() || !strings.HasSuffix(e.Name(), ".onnx") {
				continue
			}
			path := filepath.Join(sub, e.Name())
			m, err := onnx.Load(filepath.Join(dir, path), o)
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			f.files = append(f.files, &file{path, m})
		}
	}
	if len(f.files) == 0 {
		return nil, fmt.Errorf("%s: %w: no .onnx file here or in onnx/", dir, fs.ErrNotExist)
	}
	return f, nil
}

// Close unmaps the files.
func (f *folder) Close() error {
	var errs []error
	for _, x := range f.files {
		errs = append(errs, x.model.Close())
	}
	for _, unmap := range f.unmap {
		errs = append(errs, unmap())
	}
	return errors.Join(errs...)
}

// has reports whether the file's graph has all the named inputs, and an output.
func (f *file) has(names ...string) bool {
	return len(f.model.Graph.Outputs) > 0 && !slices.ContainsFunc(names, func(n string) bool { return f.input(n) == nil })
}

func (f *file) input(name string) *graph.Value  { return named(f.model.Graph.Inputs, name) }
func (f *file) output(name string) *graph.Value { return named(f.model.Graph.Outputs, name) }

func named(vs []*graph.Value, name string) *graph.Value {
	for _, v := range vs {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// find returns the only file that pick accepts, or nil. Where a folder holds
// several variants of one part, the names' suffixes must decide.
func (f *folder) find(part string, pick func(*file) bool) (*file, error) {
	var found []*file
	for _, x := range f.files {
		if pick(x) {
			found = append(found, x)
		}
	}
	if len(found) > 1 {
		var names []string
		for _, x := range found {
			names = append(names, x.path)
		}
		return nil, fmt.Errorf("%s: %w: %d graphs could be the %s (%s); leave one variant in the folder",
			f.dir, ErrFamily, len(found), part, strings.Join(names, ", "))
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

// recognise tries the families in order.
func (f *folder) recognise() (*parts, error) {
	var tried []string
	for _, fam := range families {
		p, err := fam.match(f)
		if err != nil {
			return nil, err
		}
		if p != nil {
			p.family = fam.Name
			return p, nil
		}
		tried = append(tried, fam.Name)
	}
	var have []string
	for _, x := range f.files {
		var ins []string
		for _, v := range x.model.Graph.Inputs {
			if !strings.Contains(v.Name, "past_key_values") {
				ins = append(ins, v.Name)
			}
		}
		have = append(have, fmt.Sprintf("%s(%s)", x.path, strings.Join(ins, ", ")))
	}
	return nil, fmt.Errorf("%s: %w: its graphs are %s; known families: %s. A single graph runs with `run FILE.onnx --input NAME=FILE.npy`",
		f.dir, ErrFamily, strings.Join(have, "; "), strings.Join(tried, ", "))
}

// decoder binds the decoder that torch.onnx exports, transformers.js and
// onnxruntime-genai share: inputs_embeds, attention_mask, position_ids [3, batch,
// tokens], past_key_values.N.key and .value.
func (f *folder) decoder() (*decoderPart, error) {
	x, err := f.find("decoder", func(x *file) bool {
		return x.has("inputs_embeds", "attention_mask", "position_ids", "past_key_values.0.key") && x.output("logits") != nil
	})
	if x == nil || err != nil {
		return nil, err
	}
	d := &decoderPart{file: x, embeds: "inputs_embeds", positions: "position_ids", mask: "attention_mask", logits: "logits"}
	if x.has("num_logits_to_keep") {
		d.keep = "num_logits_to_keep"
	}
	return d, nil
}

// embedding binds a graph from input_ids to inputs_embeds.
func (f *folder) embedding(features string) (*embedPart, error) {
	x, err := f.find("embedding", func(x *file) bool {
		return x.has("input_ids") && x.output("inputs_embeds") != nil && (x.input(features) != nil) == (features != "")
	})
	if x == nil || err != nil {
		return nil, err
	}
	return &embedPart{file: x, ids: "input_ids", features: features, output: "inputs_embeds"}, nil
}
