// Package mnnconv converts, checks, cuts and runs ONNX graphs over devices whose
// memories are apart. The command line is a shell around it.
//
// What flows in: a model folder of any exporter family that Options.Models know,
// or one .onnx file; placement rules; backends. What flows out: plans, which say
// what runs where and what is copied, and programs, which run them.
package mnnconv

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/passes/quantize"
	"mnnconv/runtime"
	"mnnconv/runtime/trace"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/pack"
)

// ErrSource: the path is no model that mnnconv can read; the message says what it
// looks like and what to export instead.
var ErrSource = errors.New("not a model mnnconv reads")

// loadLabel says, in traces, that a model is read.
var loadLabel = trace.HostLabel("load")

// Options for loading, planning and opening.
type Options struct {
	Load     models.Options
	Models   []models.Kind     // architectures to recognise folders by
	Backends []runtime.Backend // devices that may be placed on; "cpu" must be among them
	Place    string            // placement rules, see partition.ParseRules; @FILE, see partition.LoadRules
	Fallback string            // a device for operators that others lack; empty: such are errors
	// Quantize is how weights will be stored, see [Quantize]; nil: as they are.
	Quantize *quantize.Spec
	// Devices describe devices to plan for that need not be here.
	Devices []partition.Profile
	// Note, unless nil, is told what people should know of a plan.
	Note     func(string)
	Schedule string           // see runtime.ParseSchedule
	Memory   partition.Policy // limits of spaces, and what they release
	// Session bounds what sessions will be asked for; its zero value is a default.
	Session models.SessionOptions
	// Planned, unless nil, is told what will run before any device is opened.
	Planned func([]*partition.Plan, *partition.Budget, models.SessionOptions)
	Check   string // of boundary tensors at each run, see runtime.ParseChecks
	// Trace, unless nil, takes down what happens from loading on.
	Trace *trace.Recorder
}

// Source is a loaded model: a folder of a known architecture, or one graph.
type Source struct {
	Path   string
	Model  models.Model // nil for a bare graph
	Phases []models.Phase
	Info   models.Info

	Package *pack.Opened // nil: the source is no package
	// Widened are the stages that compute in a type that was chosen for them.
	Widened []Widened

	retyped     bool        // graphs of a package compute in other types than it was written with
	types       string      // asked for, as --dtype takes them
	file        *onnx.Model // of a bare graph
	chosen, why string      // by auto
}

// Load reads a model folder or an .onnx file and raises its graphs, or opens a
// package, whose graphs are raised. Close it after everything made from it.
func Load(path string, o Options) (*Source, error) {
	defer o.Trace.Begin(loadLabel).End()
	if pack.Is(path) {
		return loadPackage(path, o)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return loadFile(path, o)
	}
	var errs []error
	for _, k := range o.Models {
		m, err := k.Load(path, o.Load)
		if err == nil {
			s := &Source{Path: path, Model: m, Phases: m.Phases(), Info: m.Info(), types: o.Load.Types.String()}
			if err := s.widen(o); err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.Close())
			}
			return s, nil
		}
		errs = append(errs, err)
	}
	if alone := loneGraph(path); alone != "" && onlyMissing(errs) {
		return loadFile(alone, o)
	}
	return nil, errors.Join(errs...)
}

// onlyMissing reports whether every error says that a file is missing: then the
// folder is no model folder, rather than a broken one.
func onlyMissing(errs []error) bool {
	for _, err := range errs {
		if !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// loneGraph returns the only .onnx file of a folder.
func loneGraph(dir string) string {
	found, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil || len(found) != 1 {
		return ""
	}
	return found[0]
}

// loadFile reads one graph.
func loadFile(path string, o Options) (*Source, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".mnn":
		return nil, fmt.Errorf("%s: %w: a converted MNN model; export ONNX instead: python llmexport.py --path MODEL --export onnx", path, ErrSource)
	case ".gguf":
		return nil, fmt.Errorf("%s: %w: a GGUF file holds weights without a graph; export ONNX from the original checkpoint instead", path, ErrSource)
	case ".safetensors", ".pt", ".pth", ".bin":
		return nil, fmt.Errorf("%s: %w: a checkpoint holds weights without a graph; export ONNX first (see the README)", path, ErrSource)
	}
	m, err := onnx.Load(path, o.Load.ONNX)
	if err != nil {
		return nil, err
	}
	if m.Meta[caseMark] != "" { // raised when it was taken out
		if err := m.Close(); err != nil {
			return nil, err
		}
		return loadCase(path, o)
	}
	report, err := passes.Run(m.Graph, o.Load.Table, passes.Knowledge{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), m.Close())
	}
	s := &Source{Path: path, file: m, Phases: []models.Phase{{Name: "graph", Graph: m.Graph, Report: report}},
		Info: models.Info{Architecture: bareGraph, Family: m.Producer, Stages: []models.Stage{{Name: "graph", File: filepath.Base(path)}}}, types: o.Load.Types.String()}
	if err := s.retype(o); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), m.Close())
	}
	return s, nil
}

// retype has nodes of a bare graph compute in other types of float.
func (s *Source) retype(o Options) error {
	for _, ph := range s.Phases {
		notes, err := o.Load.Types.Apply(ph.Graph, o.Load.Table)
		if err != nil {
			return err
		}
		s.Info.Notes = append(s.Info.Notes, notes...)
	}
	return o.Load.Types.Check()
}

// Close unmaps the files.
func (s *Source) Close() error {
	switch {
	case s.Model != nil:
		return s.Model.Close()
	case s.Package != nil:
		return s.Package.Close()
	}
	return s.file.Close()
}

// Plan places and cuts every phase by the rules. It opens no device. The source's
// graphs are changed: plan once. A package without rules has its plans already.
func Plan(s *Source, o Options) ([]*partition.Plan, error) {
	if s.Package != nil && !s.Recut(o) {
		return planPackage(s, o)
	}
	d, err := o.directions(s)
	if err != nil {
		return nil, err
	}
	targets, err := o.targetsOf(d.rules)
	if err != nil {
		return nil, err
	}
	var plans []*partition.Plan
	var errs []error // of all phases at once
	for _, ph := range s.Phases {
		if s.Package != nil {
			partition.Unplace(ph.Graph)
		}
		p, err := build(ph.Name, ph.Graph, d.rules, targets)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: phase %s: %w", s.Path, ph.Name, err))
			continue
		}
		plans = append(plans, p)
		for _, reason := range slices.Sorted(maps.Keys(p.Fallbacks())) {
			d.notes = append(d.notes, fmt.Sprintf("phase %s: %s: %d of its nodes", p.Phase, reason, p.Fallbacks()[reason]))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := partition.CheckRules(d.rules, plans); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	}
	if o.Note != nil {
		for _, n := range d.notes {
			o.Note(n)
		}
	}
	return plans, nil
}
