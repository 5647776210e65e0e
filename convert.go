package mnnconv

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"mnnconv/graph"
	"mnnconv/models/tokenizer"
	"mnnconv/partition"
	"mnnconv/passes/quantize"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
	"mnnconv/schemas/pack"
)

// ConvertOptions say how a package is written.
type ConvertOptions struct {
	Tool  string // name and version of the program, "mnnconv 1.2"
	Rules string // the placement rules that the plans were made by
	// Memory is the policy of sessions that run the package, see [Policy].
	Memory partition.Policy
	Force  bool        // replace a package that is there
	Wrote  func(int64) // is told of bytes written; nil: nobody is
	Disk   *disk.Disk  // that is written to; nil: the system's
	// Quantized is what was done to the source's weights; nil: nothing.
	Quantized *quantize.Result
}

// QuantizeFile is the report of quantisation in a package.
const QuantizeFile = "quantize.json"

// Convert writes the plans of a source as the package dir, once their contracts
// hold. The folder appears whole or not at all.
func Convert(ctx context.Context, s *Source, plans []*partition.Plan, dir string, o ConvertOptions) error {
	contracts, err := Contracts(s, plans, 0)
	if err != nil {
		return err
	}
	p := pack.Package{Tool: o.Tool, Rules: o.Rules, Types: s.types, Memory: o.Memory, Plans: plans, Contracts: contracts, Functions: functions()}
	for _, w := range s.Widened {
		if p.Widened == nil {
			p.Widened = map[string]string{}
		}
		p.Widened[w.Stage] = w.From.String()
	}
	if q := o.Quantized; q != nil {
		p.Early = asRead(q.Weights, plans)
		p.Reports = append(p.Reports, pack.Report{Name: QuantizeFile, Make: func() any { return q.Finish() }})
	}
	if s.Package != nil {
		p.Source, p.Side = s.Package.Source, s.Package.Side()
	} else {
		if p.Source, err = origin(ctx, s); err != nil {
			return err
		}
		if s.Model != nil {
			if p.Side, err = sideFiles(s.Path); err != nil {
				return err
			}
		}
	}
	for _, path := range p.Side {
		if filepath.Base(path) == tokenizer.JSONName {
			p.Made = append(p.Made, pack.Made{Name: tokenizer.TablesName, Make: func() ([]byte, error) { return tokenizer.Tables(path) }})
		}
	}
	return pack.Write(ctx, dir, p, pack.Options{Force: o.Force, Wrote: o.Wrote, Disk: o.Disk})
}

// asRead returns the weights that plans read, those in another type in the place of what
// they are made of.
func asRead(weights []*graph.Tensor, plans []*partition.Plan) (out []*graph.Tensor) {
	read, made := map[*graph.Later]bool{}, map[*graph.Later]*graph.Tensor{}
	for _, p := range plans {
		for _, n := range p.Graph.Nodes {
			n.Reads(func(v *graph.Value) {
				if v.Const == nil || v.Const.Later == nil {
					return
				}
				read[v.Const.Later] = true
				if of := v.Const.Of; of != nil && of.Later != nil {
					made[of.Later] = v.Const
				}
			})
		}
	}
	for _, t := range weights {
		if read[t.Later] {
			out = append(out, t)
		}
		if m := made[t.Later]; m != nil {
			out = append(out, m)
		}
	}
	return out
}

// origin names the files that a package is made from, with their hashes, and what
// of the model no graph holds.
func origin(ctx context.Context, s *Source) (pack.Source, error) {
	out := pack.Source{Architecture: s.Info.Architecture, Family: s.Info.Family, Settings: map[string]int64{}, Files: []pack.File{}}
	dir := s.Path
	if s.Model == nil {
		dir = filepath.Dir(s.Path)
	}
	for _, st := range s.Info.Stages {
		out.Stages = append(out.Stages, pack.Stage(st))
		if slices.ContainsFunc(out.Files, func(f pack.File) bool { return f.Name == filepath.ToSlash(st.File) }) {
			continue
		}
		f, err := pack.Hash(ctx, dir, st.File)
		if err != nil {
			return out, err
		}
		out.Files = append(out.Files, f)
	}
	var err error
	if s.Model != nil {
		out.Settings, err = s.Model.Settings()
	}
	return out, err
}

// sideFiles lists what travels with a model beside its graphs: settings,
// tokenizer, template.
func sideFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".json", ".jinja", ".txt", ".mtok":
			if e.Type().IsRegular() && !pack.Reserved(e.Name()) {
				out = append(out, filepath.Join(dir, e.Name()))
			}
		}
	}
	return out, nil
}

// functions are the bodies of operators that ONNX lacks.
func functions() []onnx.Function {
	var out []onnx.Function
	for _, f := range op.Functions() {
		g, _ := f.Body.Clone()
		for _, n := range g.Nodes {
			for i, a := range n.Attrs {
				if r, ok := a.Value.(op.Ref); ok {
					n.Attrs[i] = graph.Attr{Name: a.Name, Value: onnx.Ref{Name: r.Attr, Like: r.Like}}
				}
			}
		}
		out = append(out, onnx.Function{Domain: f.Op.Domain, Name: f.Op.Name, Attrs: f.Op.Attrs, Graph: g})
	}
	return out
}
