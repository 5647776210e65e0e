package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
	"mnnconv/schemas/pack"
)

// convertOptions are the flags of convert.
type convertOptions struct {
	*app
	modelOptions
	src   string
	out   string
	force bool
	json  bool
}

func newConvertCmd(a *app) *cobra.Command {
	o := &convertOptions{app: a}
	cmd := &cobra.Command{
		Use:   "convert SRC -o NAME" + pack.Suffix,
		Short: "Write a model's raised and cut graphs as a package",
		Long: "convert writes a folder with the raised and cut graph of each phase as ONNX, their weights\n" +
			"in one file, the plan as JSON, and the model's side files. The folder appears whole or not\n" +
			"at all. Operators that ONNX lacks carry their body in standard ones, for other runtimes.",
		Example: "  mnnconv convert FOLDER -o model.mnnc --place vision=sim:0",
		Args:    args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.src = args[0]
			return runConvert(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "output", "o", "", "write the package `NAME"+pack.Suffix+"`")
	f.BoolVar(&o.force, "force", false, "replace a package that is there")
	f.BoolVar(&o.json, "json", false, "print one line of JSON")
	o.addPlace(cmd)
	return cmd
}

func runConvert(ctx context.Context, o *convertOptions) (err error) {
	if o.out == "" || !strings.HasSuffix(filepath.Clean(o.out), pack.Suffix) {
		return usagef("name the package with -o NAME%s", pack.Suffix)
	}
	w, err := o.wire()
	if err != nil {
		return err
	}
	s, err := o.load(o.src, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	o.note(s)
	plans, err := mnnconv.Plan(s, w)
	if err != nil {
		return err
	}
	if err := checkRules(o.place, plans); err != nil {
		return err
	}
	p := pack.Package{Tool: readVersion().tool(), Plans: plans, Functions: functions(), Source: newSource(s)}
	if s.Model != nil {
		if p.Side, err = sideFiles(o.src); err != nil {
			return err
		}
	}
	bar := o.progress("writing", measure(s.Phases).Weights, true)
	defer bar.end()
	if err := pack.Write(ctx, o.out, p, pack.Options{Force: o.force, Wrote: bar.add}); err != nil {
		return err
	}
	bar.end()
	return o.tell(plans)
}

// newSource names the files that a package is made from.
func newSource(s *mnnconv.Source) pack.Source {
	out := pack.Source{Dir: sourceDir(s), Architecture: s.Info.Architecture, Family: s.Info.Family}
	for _, st := range s.Info.Stages {
		if !slices.Contains(out.Files, st.File) {
			out.Files = append(out.Files, st.File)
		}
	}
	return out
}

// tell prints what was written.
func (o *convertOptions) tell(plans []*partition.Plan) error {
	partitions, copies := 0, 0
	phases := []string{}
	for _, p := range plans {
		phases = append(phases, p.Phase)
		partitions += len(p.Partitions())
		copies += len(p.Copies())
	}
	if o.json {
		return writeJSON(o.app.out, struct {
			SchemaVersion int      `json:"schema_version"`
			Package       string   `json:"package"`
			Phases        []string `json:"phases"`
			Partitions    int      `json:"partitions"`
			Copies        int      `json:"copies"`
		}{schemaVersion, o.out, phases, partitions, copies})
	}
	_, err := fmt.Fprintf(o.app.out, "%s: phases %s; %s, %d copies\n", printable(o.out), strings.Join(phases, ", "), plural(partitions, "partition"), copies)
	return err
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
			if e.Type().IsRegular() && e.Name() != "plan.json" {
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
