package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/partition"
	"mnnconv/passes/quantize"
	"mnnconv/schemas/pack"
)

// convertOptions are the flags of convert.
type convertOptions struct {
	*app
	modelOptions
	memoryOptions
	quantizeOptions
	src     string
	out     string
	batched bool
	force   bool
	json    bool
}

func newConvertCmd(a *app) *cobra.Command {
	o := &convertOptions{app: a}
	cmd := &cobra.Command{
		Use:   "convert SRC -o NAME" + pack.Suffix,
		Short: "Write a model's raised and cut graphs as a package",
		Long: "convert writes a folder with the raised and cut graph of each phase as ONNX, their weights\n" +
			"in one file, the plan as JSON, and the model's side files. The folder appears whole or not\n" +
			"at all. Operators that ONNX lacks carry their body in standard ones, for other runtimes.\n\n" + quantizeHelp,
		Example: "  mnnconv convert FOLDER -o model.mnnc --place vision=sim:0\n" +
			"  mnnconv convert FOLDER -o small.mnnc --quantize llm=int4:32,vision=int8,head=int8,embed=int8\n" +
			"  mnnconv convert FOLDER -o small.mnnc --quantize int4 --calibrate QUESTIONS.jsonl --quantize-budget error=0.1",
		Args: args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.src = args[0]
			return ofQuestion(runConvert(cmd.Context(), o))
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "output", "o", "", "write the package `NAME"+pack.Suffix+"`")
	f.BoolVar(&o.batched, "batched", false, "write graphs that take several sequences a run, for serve and run with --slots")
	f.BoolVar(&o.force, "force", false, "replace a package that is there")
	f.BoolVar(&o.json, "json", false, "print one line of JSON")
	o.addPlace(cmd)
	o.addState(cmd)
	o.addPolicy(cmd, "keep in the package how a memory is bound, SPACE=limit:6GiB, and what lets go of it, SPACE=release:STAGE; may be repeated. What runs the package does so, unless its own --memory says otherwise")
	o.addLinks(cmd)
	o.addTimeout(cmd)
	o.addQuantize(cmd)
	return cmd
}

func runConvert(ctx context.Context, o *convertOptions) (err error) {
	switch {
	case o.out == "":
		return usagef("name the package with -o NAME%s", pack.Suffix)
	case !strings.HasSuffix(filepath.Clean(o.out), pack.Suffix):
		return usagef("-o %s: the name of a package ends with %s", o.out, pack.Suffix)
	}
	// Before a large model is read.
	if err := inFolder("-o", o.out); err != nil {
		return err
	}
	err = errors.Join(o.idle(o.flags), refuseIdle(o.flags, idle{"device-timeout", o.calibrate == "", "without --calibrate: no device runs anything"}))
	if err != nil {
		return err
	}
	asked, err := o.parse(o.flags)
	if err != nil {
		return err
	}
	w, err := o.wire(o.app)
	if err != nil {
		return err
	}
	if asked != nil {
		w.Quantize = asked.Spec
	}
	if err := o.policy(&w); err != nil {
		return err
	}
	w.Load.Batched = o.batched
	s, err := o.load(o.app, o.src, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if o.batched && (s.Model == nil || !s.Model.Batches()) {
		return usagef("--batched: the graphs of %s take one sequence at a time; write the package without it", printable(o.src))
	}
	o.note(s)
	o.noteWidened(s)
	quantized, err := o.quantize(ctx, s, w)
	if err != nil {
		return err
	}
	plans, err := mnnconv.Plan(s, w)
	if err != nil {
		return err
	}
	memory, err := mnnconv.Policy(s, plans, w)
	if err != nil {
		return err
	}
	rules := o.place
	if s.Package != nil && !s.Recut(w) {
		rules = s.Package.Rules
	}
	bar := o.progress("writing", measure(s.Phases).Weights, true)
	defer bar.end()
	if err := mnnconv.Convert(ctx, s, plans, o.out, mnnconv.ConvertOptions{Tool: readVersion().tool(), Rules: rules, Memory: memory, Force: o.force, Wrote: bar.add, Disk: o.disk, Quantized: quantized}); err != nil {
		return err
	}
	bar.end()
	return o.tell(plans, quantized)
}

// tell prints what was written.
func (o *convertOptions) tell(plans []*partition.Plan, quantized *quantize.Result) error {
	var report *quantize.Report
	if quantized != nil {
		report = quantized.Report
	}
	partitions, copies := 0, 0
	phases := []string{}
	for _, p := range plans {
		phases = append(phases, p.Phase)
		partitions += len(p.Partitions())
		copies += len(p.Copies())
	}
	if o.json {
		return writeJSON(o.app.out, struct {
			SchemaVersion int              `json:"schema_version"`
			Package       string           `json:"package"`
			Phases        []string         `json:"phases"`
			Partitions    int              `json:"partitions"`
			Copies        int              `json:"copies"`
			Quantized     *quantize.Report `json:"quantized,omitempty"`
		}{schemaVersion, o.out, phases, partitions, copies, report})
	}
	_, err := fmt.Fprintf(o.app.out, "%s: phases %s; %s, %d copies\n", printable(o.out), strings.Join(phases, ", "), plural(partitions, "partition"), copies)
	if err == nil && report != nil {
		err = writeQuantized(o.app.out, report)
	}
	return err
}
