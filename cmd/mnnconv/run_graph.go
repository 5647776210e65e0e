package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/npy"
)

// runGraph runs a bare graph once on arrays, and writes or describes its outputs.
func runGraph(ctx context.Context, o *runOptions, p *mnnconv.Program) (err error) {
	g := p.Plans[0].Graph
	reading := o.trace.recorder.Begin(arraysLabel)
	ins, err := readInputs(g, o.inputs)
	reading.End()
	if err != nil {
		return err
	}
	if o.outputDir != "" {
		if err := o.disk.MakeAll(o.outputDir); err != nil {
			return err
		}
	}
	s, err := p.Graph()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	outs, err := s.Run(ctx, ins)
	if err != nil {
		return err
	}
	var report *statsReport
	if o.stats {
		report = o.report()
		_ = report.table().write(o.err, "")
	}
	return o.writeOutputs(outputNames(g), outs, report)
}

// outputNames returns the names that a graph's outputs had before copies to the
// host took their place.
func outputNames(g *graph.Graph) []string {
	var names []string
	for _, v := range g.Outputs {
		names = append(names, partition.Source(v).Name)
	}
	return names
}

// readInputs reads the arrays NAME=FILE for a graph's inputs and reports all that
// is missing, unknown or of another type at once.
func readInputs(g *graph.Graph, given []string) ([]*graph.Tensor, error) {
	ins := make([]*graph.Tensor, len(g.Inputs))
	var errs []error
	env := graph.Env{}
	for _, text := range given {
		name, file, ok := cutInput(g, text)
		if !ok {
			errs = append(errs, usagef("--input %q is not NAME=FILE.npy", text))
			continue
		}
		i := slices.IndexFunc(g.Inputs, func(v *graph.Value) bool { return v.Name == name })
		if i < 0 && isConst(g, name) {
			errs = append(errs, usagef("--input %q: the model has a value for it (an initializer), which stays; give %s", name, describe(g.Inputs)))
			continue
		}
		if i < 0 {
			errs = append(errs, usagef("--input %q: no such input; there are %s", name, describe(g.Inputs)))
			continue
		}
		if ins[i] != nil {
			errs = append(errs, usagef("--input %q is given twice", name))
			continue
		}
		t, err := npy.Read(file)
		if err == nil {
			ins[i] = t
			err = fits(env, g.Inputs[i], t, file)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i, v := range g.Inputs {
		if ins[i] == nil {
			errs = append(errs, usagef("input %q is missing: give --input %s=FILE.npy with %s", v.Name, printable(v.Name), typeText(v)))
		}
	}
	return ins, errors.Join(errs...)
}

// isConst reports whether a node reads a constant of that name.
func isConst(g *graph.Graph, name string) bool {
	return slices.ContainsFunc(g.Nodes, func(n *graph.Node) bool {
		return slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool { return v != nil && v.Const != nil && v.Name == name })
	})
}

// cutInput splits NAME=FILE; a name of the graph may hold "=" itself.
func cutInput(g *graph.Graph, text string) (name, file string, ok bool) {
	for _, v := range g.Inputs {
		if file, ok := strings.CutPrefix(text, v.Name+"="); ok && file != "" {
			return v.Name, file, true
		}
	}
	name, file, ok = strings.Cut(text, "=")
	return name, file, ok && name != "" && file != ""
}

func describe(values []*graph.Value) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf("%q %s", v.Name, typeText(v)))
	}
	return strings.Join(out, ", ")
}

// typeText is a value's type without its space: arrays come from the host.
func typeText(v *graph.Value) string {
	t := v.Type
	t.Space = ""
	return t.String()
}

// fits checks an array against an input's type. env holds the values that
// symbols got from the inputs before.
func fits(env graph.Env, v *graph.Value, t *graph.Tensor, file string) error {
	if t.DType != v.Type.DType {
		return fmt.Errorf("%s: %w: input %q takes %s, the file holds %s; save it with .astype(%q)", file, graph.ErrType, v.Name, v.Type.DType, t.DType, v.Type.DType)
	}
	if !v.Type.Shape.Ranked() {
		return nil
	}
	wrong := func(why string) error {
		return fmt.Errorf("%s: %w: input %q takes %s, the file holds %s%s", file, graph.ErrType, v.Name, typeText(v), t.Type(), why)
	}
	if len(t.Shape) != len(v.Type.Shape) {
		return wrong("")
	}
	for i, d := range v.Type.Shape {
		n := t.Shape[i]
		symbol, scale, rest, linear := d.Linear()
		if _, known := env[symbol]; linear && !known {
			if n < rest || (n-rest)%scale != 0 {
				return wrong(fmt.Sprintf(": extent %d is not %s", i, d))
			}
			env[symbol] = (n - rest) / scale
			continue
		}
		if want, err := d.Eval(env); err == nil && want != n {
			return wrong(fmt.Sprintf(": extent %d is %d here, %s by what came before", i, want, d))
		}
	}
	return nil
}

// outputRow describes one output of a graph.
type outputRow struct {
	Name  string  `json:"name"`
	DType string  `json:"dtype"`
	Shape []int64 `json:"shape"`
	File  string  `json:"file,omitempty"`

	kind     string // dtype and shape
	min, max float32
	mean     float64
}

func (o *runOptions) writeOutputs(names []string, outs []*graph.Tensor, report *statsReport) error {
	defer o.trace.recorder.Begin(answerLabel).End()
	rows := []outputRow{}
	files := map[string]string{}
	for i, t := range outs {
		row := outputRow{Name: names[i], DType: t.DType.String(), Shape: append([]int64{}, t.Shape...), kind: t.Type().String()}
		if o.outputDir != "" {
			name := fileName(row.Name)
			other, twice := files[name]
			if twice && other != row.Name {
				return fmt.Errorf("outputs %q and %q would both be %s: %w", other, row.Name, name, disk.ErrWrite)
			}
			files[name] = row.Name
			row.File = filepath.Join(o.outputDir, name)
			if !twice { // an exporter may list an output again
				if err := npy.Write(o.disk, row.File, t); err != nil {
					return fmt.Errorf("output %q: %w", row.Name, err)
				}
			}
		}
		row.min, row.max, row.mean = spread(t)
		rows = append(rows, row)
	}
	if o.json {
		return writeJSON(o.out, struct {
			SchemaVersion int          `json:"schema_version"`
			Outputs       []outputRow  `json:"outputs"`
			Stats         *statsReport `json:"stats,omitempty"`
		}{schemaVersion, rows, report})
	}
	t := table{{"output", "type", "min", "max", "mean", "file"}}
	for _, r := range rows {
		t.add(printable(r.Name), r.kind, fmt.Sprintf("%.6g", r.min), fmt.Sprintf("%.6g", r.max), fmt.Sprintf("%.6g", r.mean), printable(r.File))
	}
	return t.write(o.out, "")
}

// fileName is the file of an output: no part of a name leads out of the folder.
func fileName(output string) string {
	return strings.NewReplacer("/", "_", `\`, "_", "\x00", "_").Replace(output) + ".npy"
}

// spread returns the least, largest and mean element; zeros where there is none
// or it is no number.
func spread(t *graph.Tensor) (least, most float32, mean float64) {
	v, err := t.Float32s()
	if err != nil || len(v) == 0 {
		return 0, 0, 0
	}
	for _, x := range v {
		mean += float64(x) / float64(len(v))
	}
	return slices.Min(v), slices.Max(v), mean
}
