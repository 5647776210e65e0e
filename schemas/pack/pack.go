// Package pack writes the package on disk: a folder NAME.mnnc with the cut graph
// of each phase as ONNX, their weights in one file aligned for mapping, the plan
// as JSON, and the side files that travel with a model.
//
// What flows in: the plans of a model's phases. What flows out: a folder that
// appears whole or not at all. Any ONNX runtime can load the graphs: operators
// that ONNX lacks carry their body in standard ones, copies are such operators,
// and placement is metadata.
package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/onnx"
)

// Suffix is what the name of a package ends with.
const Suffix = ".mnnc"

// Files of a package, beside PHASE.onnx and the side files.
const (
	planFile     = "plan.json"
	contractFile = "contract.json"
	weightsFile  = "weights.bin"
)

// Reserved reports whether a side file would take the name of a package's own.
func Reserved(name string) bool {
	return name == planFile || name == contractFile || name == weightsFile
}

const (
	// align is what the offsets of weights are multiples of: a page, so that a
	// reader may map each alone.
	align = 4096
	// threshold is the size in bytes from which a weight goes to the weights' file.
	threshold = 1024
	// irVersion is ONNX's file format of opset 24.
	irVersion = 12
)

// ErrExists: the target is there already and may not be replaced.
var ErrExists = errors.New("exists already")

// Package is what Write writes.
type Package struct {
	Tool      string            // name and version of the writing program
	Source    Source            // where the plans come from
	Rules     string            // the placement rules that the plans were made by
	Types     string            // rules for types of float that were asked for
	Widened   map[string]string // by stage, the export's type of float where another one was chosen
	Memory    partition.Policy  // of the sessions that will run the plans
	Plans     []*partition.Plan // one a phase; they are not changed
	Contracts any               // written as contract.json; nil: none
	Functions []onnx.Function   // bodies of operators that ONNX lacks
	Side      []string          // paths of files to carry along under their own names
	Early     []*graph.Tensor   // weights that are written first, in this order
	Reports   []Report          // of what was done to the weights
	Made      []Made            // in the place of files of the same names among Side
}

// Made is a file that is made from others.
type Made struct {
	Name string
	Make func() ([]byte, error)
}

// Report is a JSON file about the weights.
type Report struct {
	Name string
	Make func() any // is called when the weights are written
}

// Options for writing.
type Options struct {
	Force bool        // replace a package that is there
	Wrote func(int64) // is told of bytes written; nil: nobody is
	Disk  *disk.Disk  // nil: the system's
}

// Is reports whether path is a package, if only a damaged one: a folder with the
// suffix of one, or with a plan.
func Is(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	_, err = os.Lstat(filepath.Join(path, planFile))
	return err == nil || filepath.Ext(filepath.Clean(path)) == Suffix
}

// Write writes the package into the folder dir: into a temporary one beside it
// first, which is synced and renamed. If ctx ends or an error comes first, dir is
// as before and the temporary folder is gone. A folder that is no package is
// never replaced.
func Write(ctx context.Context, dir string, p Package, o Options) error {
	if err := replaceable(dir, o.Force); err != nil {
		return err
	}
	folder, err := o.Disk.NewFolder(dir)
	if err != nil {
		return err
	}
	defer folder.Discard()
	if err := (&writer{ctx, folder, o.Wrote}).write(p); err != nil {
		return err
	}
	if err := replaceable(dir, o.Force); err != nil {
		return err
	}
	err = folder.Commit(o.Force)
	if errors.Is(err, fs.ErrExist) { // since it was looked for
		err = fmt.Errorf("%s: %w: give --force to replace it", dir, ErrExists)
	}
	return err
}

// writer writes the files of a package.
type writer struct {
	ctx    context.Context
	folder *disk.Folder
	wrote  func(int64)
}

func (w *writer) write(p Package) error {
	plan := newPlan(p)
	weights, err := w.create(weightsFile)
	if err != nil {
		return err
	}
	defer weights.close()
	data := onnx.NewData(weightsFile, weights, align)
	for _, t := range p.Early {
		if t.Size() < threshold {
			continue // it goes into the graph
		}
		if _, err := data.Add(t); err != nil {
			return err
		}
	}
	for i, phase := range p.Plans {
		g, opsets, err := atOpset(phase.Graph)
		if err != nil {
			return fmt.Errorf("phase %s: %w", phase.Phase, err)
		}
		plan.Phases[i].Opsets = opsets
		m := &onnx.Model{Graph: g, IRVersion: irVersion, Opsets: maps.Clone(opsets), Producer: "mnnconv", ProducerVersion: p.Tool,
			Meta: map[string]string{metaModel: plan.Model}}
		file, err := w.create(plan.Phases[i].Graph.Name)
		if err != nil {
			return err
		}
		err = onnx.Write(file, m, onnx.SaveOptions{Data: data, Threshold: threshold, Annotate: true, Functions: used(p.Functions, g)})
		if err := first(err, file.close()); err != nil {
			return fmt.Errorf("phase %s: %w", phase.Phase, err)
		}
		plan.Phases[i].Graph = file.info()
	}
	if err := weights.close(); err != nil {
		return err
	}
	plan.Weights = weights.info()
	for _, r := range p.Reports {
		info, err := w.json(r.Name, r.Make())
		if err != nil {
			return err
		}
		plan.Side = append(plan.Side, info)
	}
	for _, m := range p.Made {
		info, err := w.made(m)
		if err != nil {
			return err
		}
		plan.Side = append(plan.Side, info)
	}
	for _, path := range p.Side {
		if slices.ContainsFunc(plan.Side, func(f File) bool { return f.Name == filepath.Base(path) }) {
			continue
		}
		info, err := w.copy(path)
		if err != nil {
			return err
		}
		plan.Side = append(plan.Side, info)
	}
	if p.Contracts != nil {
		info, err := w.json(contractFile, p.Contracts)
		if err != nil {
			return err
		}
		plan.Side = append(plan.Side, info)
	}
	_, err = w.json(planFile, plan)
	return err
}

// WriteGraph writes one graph, which is not placed, as a model at [Opset], with what
// ONNX has no field for in its metadata.
func WriteGraph(d *disk.Disk, path string, g *graph.Graph, meta map[string]string, functions []onnx.Function) error {
	m, err := modelOf(g)
	if err != nil {
		return err
	}
	m.Meta = meta
	return onnx.Save(path, m, onnx.SaveOptions{Disk: d, Annotate: true, Functions: used(functions, m.Graph)})
}

// EncodeGraph returns one graph as a model at [Opset] for any runtime.
func EncodeGraph(g *graph.Graph, functions []onnx.Function) ([]byte, error) {
	m, err := modelOf(g)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = onnx.Write(&b, m, onnx.SaveOptions{Functions: used(functions, m.Graph)})
	return b.Bytes(), err
}

func modelOf(g *graph.Graph) (*onnx.Model, error) {
	g, opsets, err := atOpset(g)
	return &onnx.Model{Graph: g, IRVersion: irVersion, Opsets: opsets, Producer: "mnnconv"}, err
}

// used returns the functions that the graph calls.
func used(functions []onnx.Function, g *graph.Graph) []onnx.Function {
	var out []onnx.Function
	for _, f := range functions {
		if calls(g, f.Domain, f.Name) {
			out = append(out, f)
		}
	}
	return out
}

func calls(g *graph.Graph, domain, name string) bool {
	for _, n := range g.Nodes {
		if n.Domain == domain && n.Op == name {
			return true
		}
		for _, b := range n.Bodies {
			if calls(b.Graph, domain, name) {
				return true
			}
		}
	}
	return false
}

// output is a file of the package.
type output struct {
	*writer
	name string
	f    *disk.File // nil once closed
	hash hash.Hash
	size int64
}

func (w *writer) create(name string) (*output, error) {
	f, err := w.folder.New(name)
	if err != nil {
		return nil, err
	}
	return &output{writer: w, name: name, f: f, hash: sha256.New()}, nil
}

// chunk is how many bytes are written between looks at the context.
const chunk = 8 << 20

// Write implements io.Writer. It ends with the context.
func (o *output) Write(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		if o.ctx.Err() != nil {
			return n, context.Cause(o.ctx)
		}
		k, err := o.f.Write(b[n:min(len(b), n+chunk)])
		o.hash.Write(b[n : n+k])
		n += k
		o.size += int64(k)
		if o.wrote != nil {
			o.wrote(int64(k))
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// close brings the file to disk; a second call does nothing.
func (o *output) close() error {
	if o.f == nil {
		return nil
	}
	f := o.f
	o.f = nil
	return f.Finish()
}

// info describes what was written.
func (o *output) info() File {
	return File{Name: o.name, Bytes: o.size, SHA256: hex.EncodeToString(o.hash.Sum(nil))}
}

// copy takes a file into the package, under its own name.
func (w *writer) copy(from string) (File, error) {
	in, err := os.Open(from)
	if err != nil {
		return File{}, err
	}
	defer in.Close()
	out, err := w.create(filepath.Base(from))
	if err != nil {
		return File{}, err
	}
	_, err = io.Copy(out, in)
	if err := first(err, out.close()); err != nil {
		return File{}, err
	}
	return out.info(), nil
}

func (w *writer) json(name string, v any) (File, error) {
	return w.made(Made{name, func() ([]byte, error) {
		text, err := json.MarshalIndent(v, "", "  ")
		return append(text, '\n'), err
	}})
}

func (w *writer) made(m Made) (File, error) {
	data, err := m.Make()
	if err != nil {
		return File{}, err
	}
	out, err := w.create(m.Name)
	if err != nil {
		return File{}, err
	}
	_, err = out.Write(data)
	if err := first(err, out.close()); err != nil {
		return File{}, err
	}
	return out.info(), nil
}
