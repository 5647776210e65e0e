package mnnconv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/runtime/compare"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
	"mnnconv/schemas/pack"
)

// Files of a saved case.
const (
	caseModel  = "model.onnx"
	caseInputs = "inputs"
)

// caseMark is the metadata of a saved case: what it was taken out of.
const caseMark = "mnnconv.case"

// Bisect runs feed, which gives the comparison its calls, until a partition is
// wrong, and returns the first wrong node in it; nil: none is.
func (c *Comparison) Bisect(feed func() error) (*compare.Found, error) {
	c.comparer.StopAtFirst()
	if err := feed(); err != nil && !errors.Is(err, compare.ErrFound) {
		return nil, err
	}
	return c.comparer.Found(), nil
}

// SaveCase writes a found fault into a new folder: model.onnx, the nodes of the wrong
// kernel with their weights, and inputs, the smallest that still show it.
func SaveCase(ctx context.Context, f *compare.Found, dir string) (*compare.Case, error) {
	k, err := f.Case(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := pack.WriteGraph(filepath.Join(dir, caseModel), k.Graph, map[string]string{caseMark: f.Phase + " " + f.First}, functions()); err != nil {
		return nil, err
	}
	return k, Record(filepath.Join(dir, caseInputs), k.Call)
}

// loadCase reads the model of a saved case, whose graph is raised and may have
// states.
func loadCase(path string, o Options) (*Source, error) {
	o.Load.ONNX.Annotations = true
	m, err := onnx.Load(path, o.Load.ONNX)
	if err != nil {
		return nil, err
	}
	partition.Unplace(m.Graph)
	if err := op.NewFacts(o.Load.Table).Graph(m.Graph); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), m.Close())
	}
	return &Source{Path: path, file: m, Phases: []models.Phase{{Name: "graph", Graph: m.Graph}},
		Info: models.Info{Architecture: bareGraph, Family: "a saved case", Stages: []models.Stage{{Name: "graph", File: filepath.Base(path)}}}}, nil
}
