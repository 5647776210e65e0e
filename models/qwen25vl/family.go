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
var families = []Family{mnn, olive, transformersJS, torch, transformers5, genai, visionAlone}

// ErrFamily: the folder's graphs are those of no known exporter family.
var ErrFamily = errors.New("unknown exporter family")

// ErrFixedGrid: a vision graph takes one size of picture alone.
var ErrFixedGrid = errors.New("vision graph of a fixed grid")

// parts are the graphs of a model, with their inputs bound by meaning.
type parts struct {
	family  string
	vision  *visionPart  // nil: the folder has no vision tower
	embed   *embedPart   // nil: the decoder takes token ids itself, or embeddings made elsewhere
	decoder *decoderPart // nil: the folder has a vision tower alone
	notes   []string     // what a user should know of the folder
}

// stages names the parts and their files.
func (p *parts) stages() []models.Stage {
	var out []models.Stage
	if p.vision != nil {
		out = append(out, models.Stage{Name: "vision", File: p.vision.file.path})
	}
	d := p.decoder
	if d == nil {
		return out
	}
	switch {
	case p.embed != nil && p.embed.file != nil:
		out = append(out, models.Stage{Name: "embed", File: p.embed.file.path})
	case p.embed != nil && p.embed.codes != nil:
		out = append(out, models.Stage{Name: "embed", File: p.embed.codes.codes.Source.File})
	case p.embed != nil:
		out = append(out, models.Stage{Name: "embed", File: p.embed.table.Source.File})
	case d.ids:
		out = append(out, models.Stage{Name: "embed", File: d.file.path})
	}
	head := d.file
	if d.head != nil {
		head = d.head
	}
	return append(out, models.Stage{Name: "llm", File: d.file.path}, models.Stage{Name: "head", File: head.path})
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
	within   bool          // the graph goes on after the embeddings, and is cut behind them
	ids      string        // input of the graph
	features string        // input for image rows, which the graph merges itself; or empty
	output   string        // output of the graph
	table    *graph.Tensor // [vocabulary, width] instead of a graph
	codes    *mnnCodes     // likewise
}

// decoderPart is the language model.
type decoderPart struct {
	file      *file
	input     string // embeddings, or token ids
	ids       bool   // input is int64 [batch, tokens], not float [batch, tokens, width]
	rowsFirst bool   // embeddings are [tokens, batch, width]
	positions string // input [3 or 4, batch, tokens], or [3, tokens]; of four rows the first counts tokens
	mask      string // attention mask: int64 [batch, past+tokens], or float [1, 1, tokens, past+tokens]; or empty
	keep      string // scalar input that says how many logits are wanted; or empty
	index     string // input that says from which row logits are wanted; or empty
	logits    string // output; with a head, that of the head
	hidden    string // output that the head reads
	state     string // how the names of outputs that are new keys and values begin; or empty
	head      *file  // a graph of its own from hidden states to logits; or nil
}

// folder is a model's directory with its ONNX files opened.
type folder struct {
	dir   string
	o     onnx.Options
	files []*file
	deep  bool           // folders in the folder are opened too
	unmap []func() error // of tables without a graph
}

type file struct {
	path  string // relative to the folder
	model *onnx.Model
}

// openFolder loads every .onnx file of dir and dir/onnx.
func openFolder(dir string, o onnx.Options) (*folder, error) {
	f := &folder{dir: dir, o: o}
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
			if err := f.open(filepath.Join(sub, e.Name())); err != nil {
				return nil, errors.Join(err, f.Close())
			}
		}
	}
	if len(f.files) == 0 {
		return nil, fmt.Errorf("%s: %w: no .onnx file here or in onnx/", dir, fs.ErrNotExist)
	}
	return f, nil
}

// open loads one file, by its path in the folder.
func (f *folder) open(path string) error {
	m, err := onnx.Load(filepath.Join(f.dir, path), f.o)
	if err == nil {
		f.files = append(f.files, &file{path, m})
	}
	return err
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
			p.trim()
			return p, nil
		}
		tried = append(tried, fam.Name)
	}
	if err := f.incomplete(); err != nil {
		return nil, err
	}
	var have []string
	for _, x := range f.files {
		have = append(have, x.signature())
	}
	return nil, fmt.Errorf("%s: %w: its graphs are %s; known families: %s. A single graph runs with `run FILE.onnx --input NAME=FILE.npy`",
		f.dir, ErrFamily, strings.Join(have, "; "), strings.Join(tried, ", "))
}

// signature is the file's path with its inputs, the past apart.
func (f *file) signature() string {
	var ins []string
	for _, v := range f.model.Graph.Inputs {
		if !strings.Contains(v.Name, "past_key_values") {
			ins = append(ins, v.Name)
		}
	}
	return fmt.Sprintf("%s(%s)", f.path, strings.Join(ins, ", "))
}
