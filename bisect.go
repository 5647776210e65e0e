package mnnconv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/runtime/compare"
	"mnnconv/schemas/disk"
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
// kernel with their weights, and inputs, the smallest that still show it. The folder
// appears whole or not at all.
func SaveCase(ctx context.Context, d *disk.Disk, f *compare.Found, dir string) (*compare.Case, error) {
	k, err := f.Case(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, cmp.Or(err, fmt.Errorf("%s: %w", dir, fs.ErrExist))
	}
	folder, err := d.NewFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Discard()
	if err := pack.WriteGraph(d, filepath.Join(folder.Path(), caseModel), k.Graph, map[string]string{caseMark: f.Phase + " " + f.First}, functions()); err != nil {
		return nil, err
	}
	if err := (&recorder{disk: d, dir: filepath.Join(folder.Path(), caseInputs)}).add(k.Call); err != nil {
		return nil, err
	}
	return k, folder.Commit(false)
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
