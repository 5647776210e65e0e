package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/cmd/mnnconv/internal/report"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/runtime/compare"
	"mnnconv/runtime/trace"
)

// reportOptions are the flags of report. A question or inputs are optional.
type reportOptions struct {
	compareOptions
	file    string
	compare bool
}

func newReportCmd(a *app) *cobra.Command {
	o := &reportOptions{compareOptions: compareOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "report SRC -o FILE.html",
		Short: "Write all that is known of a cut model as one HTML page",
		Long: "report writes a page that needs nothing from elsewhere: a drawing of partitions and copies,\n" +
			"the contract of every tensor that crosses, memory over time, and the commands that repeat\n" +
			"it. With a question or inputs, the model also runs: the page has where the time went, and\n" +
			"how far each boundary tensor lies from a reference, as `compare` finds it. What is wrong\n" +
			"is in the page, and the exit code is that of validate, inspect or compare.",
		Example: "  mnnconv report FOLDER -o report.html --place vision=sim:0,llm=sim:1\n" +
			"  mnnconv report FOLDER -o report.html --place llm=sim:0 --image picture.png -p \"What is it?\"",
		Args: args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.src = args[0]
			return runReport(cmd.Context(), o, repeating(cmd, o.src))
		},
	}
	o.add(cmd)
	cmd.Flags().StringVarP(&o.file, "output", "o", "", "write the page to `FILE`")
	cmd.Flags().BoolVar(&o.compare, "compare", true, "compare what runs with a reference, which takes long for large models")
	return cmd
}

// asks reports whether something is to run.
func (o *reportOptions) asks() bool {
	return o.prompt != "" || len(o.inputs) > 0 || o.recorded != ""
}

func runReport(ctx context.Context, o *reportOptions, commands []string) error {
	if o.file == "" {
		return usagef("name the page with -o FILE")
	}
	if o.asks() || len(o.media) > 0 {
		if err := o.check(); err != nil {
			return err
		}
	}
	err := errors.Join(o.idle(), refuseIdle(o.flags,
		idle{"compare", !o.asks(), "without -p, --input or --inputs"},
		idle{"reference", !o.asks(), "without -p, --input or --inputs"},
		idle{"reference", o.asks() && !o.compare, "with --compare=false"},
	))
	if err != nil {
		return err
	}
	if err := writable("-o", o.file); err != nil {
		return err
	}
	describe := o.planned
	if o.asks() {
		describe = o.measured
	}
	d, found, err := describe(ctx)
	if err != nil {
		return err
	}
	d.Sections = append(d.Sections, report.Section{ID: "repeat", Title: "To repeat it", Commands: commands})
	if err := o.writeWhole("-o", o.file, d.Write); err != nil {
		return err
	}
	return found
}

// planned reports what is known without a device. found is what is wrong with that:
// contracts and memory.
func (o *reportOptions) planned(context.Context) (_ *report.Document, found, err error) {
	w, err := o.wire(o.app)
	if err != nil {
		return nil, nil, err
	}
	if err := o.bound(&w, 1); err != nil {
		return nil, nil, err
	}
	s, err := o.load(o.app, o.src, w)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	x := newInspection(s) // before planning, which adds copies
	plans, err := mnnconv.Plan(s, w)
	if err != nil {
		return nil, nil, err
	}
	budget, session, err := mnnconv.Fit(s, plans, w)
	if err != nil {
		return nil, nil, err
	}
	return o.described(s, w, x, plans, budget, session)
}

// described reports what is known of a source that is planned.
func (o *reportOptions) described(s *mnnconv.Source, w mnnconv.Options, x *inspection, plans []*partition.Plan, budget *partition.Budget, session models.SessionOptions) (_ *report.Document, found, err error) {
	x.addPlans(plans)
	budget.Elsewhere()
	x.addBudget(budget, session)
	set, violations := mnnconv.Contracts(s, plans, session.Capacity)
	var bounds map[string]graph.Env
	if s.Model != nil {
		if bounds, _, err = s.Model.Bounds(session); err != nil {
			return nil, nil, err
		}
	}
	spaces, err := report.Spaces(plans, bounds, budget)
	if err != nil {
		return nil, nil, err
	}
	short := mnnconv.Short(s, plans, budget, w)
	return &report.Document{Title: "mnnconv report: " + filepath.Base(o.src), Tool: readVersion().String(), Sections: []report.Section{
		overview(x, o),
		drawn(x, report.Draw(plans)),
		agreed(set, violations),
		remembered(x, spaces, short),
	}}, errors.Join(violations, short), nil
}

// measured reports that of the session that runs, runs what was asked for as `run`
// does, with the time taken down, and then beside the reference. found is also what
// differs there.
func (o *reportOptions) measured(ctx context.Context) (d *report.Document, found, err error) {
	w, err := o.options()
	if err != nil {
		return nil, nil, err
	}
	recorder := trace.New(time.Now(), trace.Options{})
	w.Trace = recorder
	var x *inspection
	var budget *partition.Budget
	var session models.SessionOptions
	w.Planned = func(_ []*partition.Plan, b *partition.Budget, s models.SessionOptions) { budget, session = b, s }
	c, closeAll, err := o.open(w, func(s *mnnconv.Source) { x = newInspection(s) })
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	if d, found, err = o.described(c.Program.Source, w, x, c.Program.Plans, budget, session); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(found, err)
		}
	}()
	if o.recorded == "" { // recorded calls are of phases alone
		text, err := o.answer(ctx, c.Program)
		if err != nil {
			return nil, found, err
		}
		d.Sections = append(d.Sections, timed(newStatsReport(recorder.Totals(), c.Program.Plans, nil), text))
	}
	if !o.compare {
		return d, found, nil
	}
	if err := o.feed(ctx, c); err != nil {
		return nil, found, err
	}
	r := c.Report()
	if r.Verdict != compare.Same {
		found = errors.Join(found, fmt.Errorf("%w: %s", errDiffer, r.Sentence))
	}
	d.Sections = append(d.Sections, compared(r))
	return d, found, nil
}

// answer runs the question or the graph once, and returns the answer's text.
func (o *reportOptions) answer(ctx context.Context, p *mnnconv.Program) (answer string, err error) {
	if p.Source.Model == nil {
		ins, err := readInputs(p.Plans[0].Graph, o.inputs)
		if err != nil {
			return "", err
		}
		s, err := p.Graph()
		if err != nil {
			return "", err
		}
		_, err = s.Run(ctx, ins)
		return "", errors.Join(err, s.Close())
	}
	text, tagged := cutImageTags(o.prompt)
	media, err := loadMedia(append(o.media, tagged...), o.fps, o.maxImages)
	if err != nil {
		return "", err
	}
	s, err := p.Chat(0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	a, err := s.Ask(ctx, models.Asking(text, media...), models.Settings{Most: o.tokens, Sampling: p.Source.Info.Generate.Sampling})
	if err != nil {
		return "", err
	}
	return a.Text, nil
}

// detailOf is all that a contract says.
func detailOf(c *partition.Contract) report.Detail {
	d := report.Detail{Title: c.Name()}
	fact := func(name, text string) {
		if text != "" {
			d.Facts = append(d.Facts, [2]string{name, text})
		}
	}
	for _, side := range []struct {
		name string
		partition.Side
	}{{"from", c.From}, {"to", c.To}} {
		text := sideText(side.Side) + ": " + side.Value + " " + side.Type
		if side.Exporter != "" {
			text += ", the exporter's " + side.Exporter
		}
		fact(side.name, text)
	}
	fact("layout", fmt.Sprintf("%s, strides %v elements, aligned to %d bytes", c.Layout, c.Strides, c.Align))
	fact("quantisation", c.Quantisation)
	size := c.Bytes + " bytes"
	if c.MostBytes > 0 {
		size += ", at most " + bytesText(c.MostBytes)
	}
	if c.Largest > 0 {
		size += "; the largest allocation there is " + bytesText(c.Largest)
	}
	fact("size", size)
	for _, r := range c.Relations {
		fact("demands", r.Text+" ("+r.Source+")")
	}
	if c.Order != nil {
		fact("order", c.Order.Text+" ("+c.Order.Source+")")
	}
	fact("owner", c.Owner)
	fact("last reader", c.LastReader)
	fact("release", c.Release)
	fact("tolerance", fmt.Sprintf("%g absolute, %g relative", c.Tolerance.Absolute, c.Tolerance.Relative))
	for _, v := range c.Violations {
		fact("violation", v)
	}
	return d
}
