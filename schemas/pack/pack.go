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
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/onnx"
)

// Suffix is what the name of a package ends with.
const Suffix = ".mnnc"

// Files of a package, beside PHASE.onnx and the side files.
const (
	planFile    = "plan.json"
	weightsFile = "weights.bin"
)

const (
	// align is what the offsets of weights are multiples of: a page, so that a
	// reader may map each alone.
	align = 4096
	// threshold is the size in bytes from which a weight goes to the weights' file.
	threshold = 1024
	// irVersion is ONNX's file format of opset 24.
	irVersion = 12
)

var (
	// ErrExists: the target is there already and may not be replaced.
	ErrExists = errors.New("exists already")
	// ErrWrite: the disk, or who may write where, ended the writing.
	ErrWrite = errors.New("cannot write")
)

// failed wraps an error of writing.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrWrite, err)
}

// Package is what Write writes.
type Package struct {
	Tool      string            // name and version of the writing program
	Source    Source            // where the plans come from
	Plans     []*partition.Plan // one a phase; they are not changed
	Functions []onnx.Function   // bodies of operators that ONNX lacks
	Side      []string          // paths of files to carry along under their own names
}

// Source says what a package was made from.
type Source struct {
	Dir          string // the files' folder
	Files        []string
	Architecture string
	Family       string
}

// Options for writing.
type Options struct {
	Force bool        // replace a package that is there
	Wrote func(int64) // is told of bytes written; nil: nobody is
}

// Is reports whether path is a package.
func Is(path string) bool {
	_, err := readPlan(filepath.Join(path, planFile))
	return err == nil
}

// Write writes the package into the folder dir: into a temporary one beside it
// first, which is synced and renamed. If ctx ends or an error comes first, dir is
// as before and the temporary folder is gone. A folder that is no package is
// never replaced.
func Write(ctx context.Context, dir string, p Package, o Options) error {
	if err := replaceable(dir, o.Force); err != nil {
		return err
	}
	t, err := newTemp(dir)
	if err != nil {
		return err
	}
	defer t.discard()
	if err := write(ctx, t.dir, p, o); err != nil {
		return err
	}
	return t.rename(dir, o.Force)
}

func write(ctx context.Context, dir string, p Package, o Options) error {
	plan, err := newPlan(ctx, p)
	if err != nil {
		return err
	}
	weights, err := create(ctx, filepath.Join(dir, weightsFile), o.Wrote)
	if err != nil {
		return err
	}
	defer weights.close()
	data := onnx.NewData(weightsFile, weights, align)
	for i, phase := range p.Plans {
		g, opsets, err := atOpset(phase.Graph)
		if err != nil {
			return fmt.Errorf("phase %s: %w", phase.Phase, err)
		}
		plan.Phases[i].Opsets = opsets
		m := &onnx.Model{Graph: g, IRVersion: irVersion, Opsets: maps.Clone(opsets), Producer: "mnnconv", ProducerVersion: p.Tool}
		file, err := create(ctx, filepath.Join(dir, plan.Phases[i].File), o.Wrote)
		if err != nil {
			return err
		}
		err = onnx.Write(file, m, onnx.SaveOptions{Data: data, Threshold: threshold, Annotate: true, Functions: used(p.Functions, g)})
		if err := errors.Join(err, file.close()); err != nil {
			return fmt.Errorf("phase %s: %w", phase.Phase, err)
		}
	}
	plan.Weights = fileInfo{Name: weightsFile, Bytes: data.Size()}
	if err := weights.close(); err != nil {
		return err
	}
	for _, path := range p.Side {
		if err := copyFile(ctx, filepath.Join(dir, filepath.Base(path)), path, o.Wrote); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	file, err := create(ctx, filepath.Join(dir, planFile), o.Wrote)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	return errors.Join(err, file.close())
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

// output is a file on its way to disk.
type output struct {
	ctx   context.Context
	f     *os.File
	w     *bufio.Writer
	wrote func(int64)
}

func create(ctx context.Context, path string, wrote func(int64)) (*output, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, failed(err)
	}
	return &output{ctx, f, bufio.NewWriterSize(f, 1<<20), wrote}, nil
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
		k, err := o.w.Write(b[n:min(len(b), n+chunk)])
		n += k
		if o.wrote != nil {
			o.wrote(int64(k))
		}
		if err != nil {
			return n, failed(err)
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
	return failed(errors.Join(o.w.Flush(), f.Sync(), f.Close()))
}

func copyFile(ctx context.Context, to, from string, wrote func(int64)) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := create(ctx, to, wrote)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.close())
}
