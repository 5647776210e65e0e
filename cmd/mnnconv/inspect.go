package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/cmd/mnnconv/internal/report"
	"mnnconv/models"
	"mnnconv/partition"
)

// inspectOptions are the flags of inspect.
type inspectOptions struct {
	*app
	modelOptions
	memoryOptions
	src   string
	nodes bool
	json  bool

	dot, svg string // files for the drawing

	splits bool
	named  []string // paths to split before
}

func newInspectCmd(a *app) *cobra.Command {
	o := &inspectOptions{app: a}
	cmd := &cobra.Command{
		Use:   "inspect SRC",
		Short: "Describe a model: stages, operators, partitions, copies, memory",
		Long: "inspect reads a model, raises and cuts it as run would, and describes the result.\n" +
			"Weights are not read, so that large models take no longer than small ones. A memory that\n" +
			"is too small for a session is an error, after all else is said.",
		Example: "  mnnconv inspect FOLDER --place vision=sim:0\n  mnnconv inspect model.onnx --nodes",
		Args:    args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.src = args[0]
			return runInspect(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.nodes, "nodes", false, "list every node")
	cmd.Flags().BoolVar(&o.splits, "splits", false, "list every place where the model may be cut, and what would cross there")
	cmd.Flags().Var(list{&o.named, "PATH"}, "split", "list a cut before the first node of a path too; may be repeated")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one line of JSON")
	cmd.Flags().StringVar(&o.dot, "dot", "", "write a drawing of partitions, copies and what flows between them to `FILE`, for Graphviz")
	cmd.Flags().StringVar(&o.svg, "svg", "", "write the drawing to `FILE` as a picture")
	o.addPlace(cmd)
	o.addState(cmd)
	o.addLinks(cmd)
	o.addPixels(cmd)
	o.addMemory(cmd)
	return cmd
}

func runInspect(_ context.Context, o *inspectOptions) (err error) {
	if o.dot != "" && filepath.Clean(o.dot) == filepath.Clean(o.svg) {
		return usagef("--dot and --svg both name %s: give each a file of its own", o.dot)
	}
	if err := errors.Join(writable("--dot", o.dot), writable("--svg", o.svg)); err != nil {
		return err
	}
	w, err := o.wire(o.app)
	if err != nil {
		return err
	}
	if err := o.bound(&w, 1); err != nil {
		return err
	}
	w.Load.Batchable = true
	s, err := o.load(o.app, o.src, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	inspected := newInspection(s) // before planning, which adds copies
	inspected.Slots = slots(s)
	if o.splits || len(o.named) > 0 {
		if inspected.Splits, err = newSplits(s, o.named); err != nil {
			return err
		}
	}
	plans, err := mnnconv.Plan(s, w)
	if err != nil {
		return err
	}
	inspected.addPlans(plans)
	if err := o.draw(plans); err != nil {
		return err
	}
	budget, session, err := mnnconv.Fit(s, plans, w)
	if err != nil {
		return err
	}
	policy, err := mnnconv.Policy(s, plans, w)
	if err != nil {
		return err
	}
	inspected.Memory.Policy = policy.Texts()
	budget.Elsewhere()
	inspected.addBudget(budget, session)
	if o.json {
		err = writeJSON(o.out, inspected)
	} else {
		err = inspected.write(o.out, o.nodes)
	}
	return errors.Join(mnnconv.Short(s, plans, budget, w), err)
}

// slots tells whether slots would share their steps: a package's graphs take what they
// take, an export's would if they were raised so. nil: it decodes nothing.
func slots(s *mnnconv.Source) *slotsInfo {
	if s.Model == nil || !slices.ContainsFunc(s.Phases, func(ph models.Phase) bool { return len(ph.Graph.States) > 0 }) {
		return nil
	}
	return &slotsInfo{s.Info.Batchable}
}

// draw writes the drawings that were asked for.
func (o *inspectOptions) draw(plans []*partition.Plan) error {
	if o.dot == "" && o.svg == "" {
		return nil
	}
	d := report.Draw(plans)
	for _, f := range []struct {
		flag, file string
		write      func(io.Writer) error
	}{{"--dot", o.dot, d.WriteDOT}, {"--svg", o.svg, d.WriteSVG}} {
		if f.file == "" {
			continue
		}
		if err := o.writeWhole(f.flag, f.file, f.write); err != nil {
			return err
		}
	}
	return nil
}
