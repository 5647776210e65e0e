package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/onnx"
)

// Opened is a package with its graphs decoded and its weights mapped. Close it
// after everything made from it.
type Opened struct {
	Dir   string
	Tool  string // that wrote it
	Rules string // the placement rules that it was made by
	Types string // rules for types of float that were asked for
	// Widened has, by stage, the export's type of float where another one was chosen.
	Widened map[string]string
	Memory  partition.Policy // of sessions that run it
	Source  Source
	Phases  []Phase

	plan    *plan
	models  []*onnx.Model
	version *Version
}

// Phase is one placed and cut graph of a package.
type Phase struct {
	Name  string
	Graph *graph.Graph

	states map[string]bool // names of states' values in the graph as it was read
}

// Open reads a package. Graphs and side files are compared with the hashes in the
// plan; of the weights, which may be larger than memory, only the size is, see
// [Opened.CheckWeights]. Nothing is converted, and no weight is read.
func Open(dir string, o onnx.Options) (*Opened, error) {
	v, err := Look(dir)
	if err != nil {
		return nil, err
	}
	p, err := readPlan(filepath.Join(dir, planFile))
	if err != nil {
		err = errors.Join(err, v.Close())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: %s is missing: %s", dir, ErrDamaged, planFile, remake)
	}
	if err != nil {
		return nil, err
	}
	x := &Opened{Dir: dir, Tool: p.Tool, Rules: p.Rules, Types: p.Types, Widened: p.Widened, Memory: partition.Policy{}, Source: p.Source, plan: p, version: v}
	for _, text := range p.Memory {
		if err := x.Memory.Parse(text); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w: %s: %w", dir, ErrDamaged, planFile, err), x.Close())
		}
	}
	for space, s := range x.Memory {
		s.Source = planFile + " of the package"
		x.Memory[space] = s
	}
	if err := x.open(o); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

func (x *Opened) open(o onnx.Options) error {
	o.Annotations, o.ExternalDir = true, ""
	if err := x.checkSize(x.plan.Weights); err != nil {
		return err
	}
	sides := make(chan error, 1)
	go func() { sides <- x.checkSide() }() // takes half as long as decoding the graphs
	err := x.openGraphs(o)
	return first(<-sides, err)
}

// checkSide compares side files with the hashes in the plan.
func (x *Opened) checkSide() error {
	for _, f := range x.plan.Side {
		if err := x.check(f); err != nil {
			return err
		}
	}
	return nil
}

func (x *Opened) openGraphs(o onnx.Options) error {
	for i, ph := range x.plan.Phases {
		if slices.ContainsFunc(x.plan.Phases[:i], func(other phaseInfo) bool { return other.Name == ph.Name }) {
			return fmt.Errorf("%s: %w: its plan has two phases %q", x.Dir, ErrDamaged, ph.Name)
		}
		changed := x.check(ph.Graph)
		if changed != nil && !errors.Is(changed, errChanged) {
			return changed
		}
		m, err := onnx.Load(filepath.Join(x.Dir, ph.Graph.Name), o)
		if err == nil {
			x.models = append(x.models, m)
			if of := m.Meta[metaModel]; of != "" && of != x.plan.Model {
				return fmt.Errorf("%s: %w: %s is of the model %.12s, %s of the model %.12s (%s): %s",
					x.Dir, ErrMixed, ph.Graph.Name, of, planFile, x.plan.Model, x.Source.Architecture, remake)
			}
		}
		if err := first(changed, err); err != nil {
			return err
		}
		restoreOutputNames(m.Graph)
		x.Phases = append(x.Phases, Phase{ph.Name, m.Graph, stateNames(m.Graph, map[string]bool{})})
	}
	return nil
}

// stateNames adds the names of the values of a graph's states.
func stateNames(g *graph.Graph, to map[string]bool) map[string]bool {
	for _, s := range g.States {
		to[s.In.Name], to[s.Out.Name] = true, true
	}
	return to
}

// first returns the first error that there is.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// errChanged: a file has other bytes than the plan says.
var errChanged = fmt.Errorf("%w: a file was changed", ErrDamaged)

// checkSize compares a file of the package with the size in its plan.
func (x *Opened) checkSize(f File) error {
	if f.Name == "" || f.Name != filepath.Base(f.Name) || !filepath.IsLocal(f.Name) || strings.ContainsAny(f.Name, `/\`) {
		return fmt.Errorf("%s: %w: its plan names %q, which is no file beside it", x.Dir, ErrDamaged, f.Name)
	}
	info, err := os.Lstat(filepath.Join(x.Dir, f.Name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: %s is missing: %s", x.Dir, ErrDamaged, f.Name, remake)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %w: %s is not a regular file: %s", x.Dir, ErrDamaged, f.Name, remake)
	case info.Size() != f.Bytes:
		return fmt.Errorf("%s: %w: %s has %d bytes, it was written with %d: %s", x.Dir, errChanged, f.Name, info.Size(), f.Bytes, remake)
	}
	return nil
}

// check compares a file of the package with the hash in its plan.
func (x *Opened) check(f File) error {
	if err := x.checkSize(f); err != nil {
		return err
	}
	return x.checkHash(context.Background(), f)
}

func (x *Opened) checkHash(ctx context.Context, f File) error {
	got, err := Hash(ctx, x.Dir, f.Name)
	if err == nil && got.SHA256 != f.SHA256 {
		err = fmt.Errorf("%s: %w: %s has the hash %.12s, it was written with %.12s: %s", x.Dir, errChanged, f.Name, got.SHA256, f.SHA256, remake)
	}
	return err
}

// CheckWeights reads all weights and compares them with the hash in the plan.
func (x *Opened) CheckWeights(ctx context.Context) error {
	err := x.checkHash(ctx, x.plan.Weights)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return first(x.version.Check(), err)
}

// CheckPlans compares plans made from the package's graphs with its own: they
// must have the same partitions and copies in the same order. What is kept of a state
// may have been changed since the graphs were read: a state of codes has another one of
// scales.
func (x *Opened) CheckPlans(plans []*partition.Plan) error {
	for i, p := range plans {
		states := stateNames(p.Graph, maps.Clone(x.Phases[i].states))
		if !newPhaseInfo(p).without(states).sameCut(x.plan.Phases[i].without(states)) {
			return fmt.Errorf("%s: %w: phase %s of %s is cut otherwise than its graph: %s", x.Dir, ErrMixed, p.Phase, planFile, remake)
		}
	}
	return nil
}

// Files lists the files of the package, the plan apart.
func (x *Opened) Files() []File {
	var out []File
	for _, ph := range x.plan.Phases {
		out = append(out, ph.Graph)
	}
	return append(append(out, x.plan.Weights), x.plan.Side...)
}

// Sum returns the SHA-256 in hexadecimal of a side file, "" if there is none of that name.
func (x *Opened) Sum(name string) string {
	for _, f := range x.plan.Side {
		if f.Name == name {
			return f.SHA256
		}
	}
	return ""
}

// Side lists the paths of the side files that came with the model.
func (x *Opened) Side() []string {
	var out []string
	for _, f := range x.plan.Side {
		if f.Name != contractFile {
			out = append(out, filepath.Join(x.Dir, f.Name))
		}
	}
	return out
}

// Close unmaps the files.
func (x *Opened) Close() error {
	errs := []error{x.version.Close()}
	for _, m := range x.models {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
