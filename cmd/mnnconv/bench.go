package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/runtime"
	"mnnconv/runtime/trace"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	*app
	modelOptions
	memoryOptions

	prompts, answers string
	depth            int // tokens before those of an answer
	repeats          int
	sizes            []string
	schedule, checks string
	format           string
	json             bool
	against          string
	failSlower       float64
}

func newBenchCmd(a *app) *cobra.Command {
	o := &benchOptions{app: a}
	cmd := &cobra.Command{
		Use:   "bench SRC",
		Short: "Measure a model: load, prefill, decode, pictures, copies",
		Long: "bench measures, each after a warm-up: load (open the model, upload its weights), pp N (a\n" +
			"prompt of N tokens), tg N (N tokens one by one, from an empty context, or behind -d others),\n" +
			"vis WxH (encode a picture), and every copy between two memories meanwhile. Rates are those of the median.\n\n" +
			"--against compares with a file of --format json, by the Mann-Whitney U test at 5 %: what\n" +
			"it does not tell apart is no difference.",
		Example: "  mnnconv bench FOLDER -p 128,512 -n 64\n" +
			"  mnnconv bench FOLDER --format json > before.json\n" +
			"  mnnconv bench FOLDER --against before.json --fail-slower 5",
		Args: args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error { return runBench(cmd.Context(), o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.prompts, "prompt-tokens", "p", "512", "lengths of prompts: `N,N,...`, or FIRST-LAST+STEP; 0: none")
	f.StringVarP(&o.answers, "max-tokens", "n", "128", "lengths of answers, likewise")
	f.IntVarP(&o.depth, "depth", "d", 0, "measure answers behind `N` other tokens")
	f.IntVarP(&o.repeats, "repeats", "r", 5, "measure each `N` times")
	f.Var(list{&o.sizes, "WxH"}, "image-size", "encode a picture of that many pixels; may be repeated; 448x448 unless given, 0x0: none")
	f.StringVar(&o.schedule, "schedule", "serial", "`ORDER` of work on several devices: serial, overlap, or random:SEED")
	f.StringVar(&o.checks, "check", "shapes", "check boundary tensors at each run: shapes, values or none")
	f.StringVar(&o.format, "format", "md", "`FORM` of the result: md, csv or json")
	f.BoolVar(&o.json, "json", false, "the same as --format json")
	f.StringVar(&o.against, "against", "", "compare with `FILE`, which --format json wrote before")
	f.Float64Var(&o.failSlower, "fail-slower", 0, "with --against: exit with 10 where a median is certainly slower, by more than `PERCENT`; 0: never")
	o.addPlace(cmd)
	o.addState(cmd)
	o.addLinks(cmd)
	o.addMemory(cmd)
	o.addThreads(cmd)
	o.addTimeout(cmd)
	o.addPixels(cmd)
	return cmd
}

// lengths reads "128,512" or "64-256+64" without zeros.
func lengths(flag, text string) ([]int, error) {
	var out []int
	for _, part := range strings.Split(text, ",") {
		first, rest, ranged := strings.Cut(part, "-")
		last, step, stepped := strings.Cut(rest, "+")
		if !ranged {
			last, step = first, "1"
		} else if !stepped {
			step = "1"
		}
		var n [3]int
		for i, s := range []string{first, last, step} {
			var err error
			if n[i], err = strconv.Atoi(s); err != nil || n[i] < 0 || n[i] > 1<<20 {
				return nil, usagef("%s %q: want lengths such as 128,512 or 64-256+64, up to %d", flag, text, 1<<20)
			}
		}
		if n[1] < n[0] || n[2] < 1 || (n[1]-n[0])/n[2] >= 100 {
			return nil, usagef("%s %q: the range %q has no lengths, or more than 100", flag, text, part)
		}
		for k := n[0]; k <= n[1]; k += n[2] {
			if k > 0 && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// pictureSizes reads WIDTHxHEIGHT.
func pictureSizes(texts []string) ([][2]int, error) {
	if len(texts) == 0 {
		texts = []string{"448x448"}
	}
	var out [][2]int
	for _, text := range texts {
		w, h, _ := strings.Cut(text, "x")
		width, err := strconv.Atoi(w)
		height, err2 := strconv.Atoi(h)
		if errors.Join(err, err2) != nil || width < 0 || height < 0 || (width == 0) != (height == 0) || width > 1<<14 || height > 1<<14 {
			return nil, usagef("--image-size %q: want WIDTHxHEIGHT in pixels, up to %d each", text, 1<<14)
		}
		if width > 0 {
			out = append(out, [2]int{width, height})
		}
	}
	return out, nil
}

func runBench(ctx context.Context, o *benchOptions, src string) (err error) {
	b := &bench{o: o}
	if b.prompts, err = lengths("-p", o.prompts); err != nil {
		return err
	}
	if b.answers, err = lengths("-n", o.answers); err != nil {
		return err
	}
	if b.sizes, err = pictureSizes(o.sizes); err != nil {
		return err
	}
	json := o.json && (given(o.flags, "json") || !given(o.flags, "format"))
	err = refuseIdle(o.flags,
		idle{"format", json && o.format != "json", "with --json"},
		idle{"depth", len(b.answers) == 0, "without lengths of answers (-n)"},
		idle{"fail-slower", o.against == "", "without --against FILE"},
	)
	if err != nil {
		return err
	}
	if json {
		o.format = "json"
	}
	switch {
	case o.depth < 0 || o.depth > 1<<20:
		return usagef("--depth %d: want 0 to %d", o.depth, 1<<20)
	case o.repeats < 1 || o.repeats > 10000:
		return usagef("--repeats %d: want 1 to 10000", o.repeats)
	case !slices.Contains([]string{"md", "csv", "json"}, o.format):
		return usagef("--format %q: want md, csv or json", o.format)
	case o.failSlower < 0:
		return usagef("--fail-slower %g: want 0 or a percentage above it", o.failSlower)
	}
	var before *benchReport
	if o.against != "" { // before anything is measured
		if before, err = readBench(o.against); err != nil {
			return err
		}
	}
	w, err := o.wire(o.app)
	if err != nil {
		return err
	}
	if o.context == 0 { // room for the longest
		o.context = max(256, slices.Max(append([]int{0}, b.prompts...)), slices.Max(append([]int{0}, b.answers...))+o.depth)
	}
	if err := o.bound(&w, 1); err != nil {
		return err
	}
	w.Schedule, w.Check = o.schedule, o.checks
	if _, err := runtime.ParseSchedule(o.schedule); err != nil {
		return err
	}
	if _, err := runtime.ParseChecks(o.checks); err != nil {
		return usagef("--check: %w", err)
	}
	if err := b.measure(ctx, src, w); err != nil {
		return err
	}
	b.report.describe(o, src)
	if before == nil {
		return b.report.write(o.out, o.format)
	}
	return against(o, before, &b.report)
}

// bench measures one model.
type bench struct {
	o                *benchOptions
	prompts, answers []int
	sizes            [][2]int
	report           benchReport

	recorder *trace.Recorder
	seen     map[[3]string]trace.Total // what copies had come to
}

// measure fills the report. The model is loaded as often as all else is repeated,
// and stays the last time.
func (b *bench) measure(ctx context.Context, src string, w mnnconv.Options) (err error) {
	bar := b.o.progress("measuring", -1, false)
	defer bar.end()
	load := benchRow{Test: "load", Work: 1, Unit: "loads"}
	for i := 0; i < b.o.repeats; i++ {
		b.recorder = trace.New(time.Now(), trace.Options{})
		w.Trace = b.recorder
		start := time.Now()
		m, err := open(src, w, &b.o.modelOptions)
		if err != nil {
			return err
		}
		load.Seconds = append(load.Seconds, time.Since(start).Seconds())
		w.Note = nil // once is enough
		if i+1 < b.o.repeats {
			if err := m.close(); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		}
		b.report.Rows = append(b.report.Rows, load)
		b.report.Devices = m.program.Devices()
		if b.report.placed = w.Place; w.Place == "" {
			b.report.placed = placement(m.program.Plans)
		}
		return errors.Join(b.parts(ctx, m), m.close())
	}
	return nil
}

// loaded is a model with a session.
type loaded struct {
	source  *mnnconv.Source
	program *mnnconv.Program
	session models.Session
}

func open(src string, w mnnconv.Options, o *modelOptions) (*loaded, error) {
	m := &loaded{}
	var err error
	if m.source, err = mnnconv.Load(src, w); err != nil {
		return nil, err
	}
	if m.source.Model == nil {
		return nil, errors.Join(usagef("%s is one graph and answers no questions: give a model folder", src), m.close())
	}
	if err := o.unheeded(m.source, w); err != nil {
		return nil, errors.Join(err, m.close())
	}
	if m.program, err = mnnconv.Open(m.source, w); err != nil {
		return nil, errors.Join(err, m.close())
	}
	if m.session, err = m.program.Chat(0); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *loaded) close() error {
	var errs []error
	if m.session != nil {
		errs = append(errs, m.session.Close())
	}
	if m.program != nil {
		errs = append(errs, m.program.Close())
	}
	return errors.Join(append(errs, m.source.Close())...)
}

// parts measures what a loaded model does.
func (b *bench) parts(ctx context.Context, m *loaded) error {
	meter, ok := m.session.(models.Meter)
	if !ok {
		return usagef("a model of this kind (%s) cannot be measured in parts", m.source.Info.Architecture)
	}
	for _, n := range b.prompts {
		row := benchRow{Test: fmt.Sprintf("pp%d", n), Work: n, Unit: "tokens"}
		if err := b.repeat(ctx, row, func() error { return meter.Prefill(ctx, n) }); err != nil {
			return err
		}
	}
	if b.o.depth > 0 && len(b.answers) > 0 { // a state that nobody wrote is one page of zeros, and read from the cache
		if err := meter.Prefill(ctx, b.o.depth); err != nil {
			return fmt.Errorf("--depth %d: %w", b.o.depth, err)
		}
	}
	for _, n := range b.answers {
		row := benchRow{Test: fmt.Sprintf("tg%d", n), Work: n, Unit: "tokens"}
		if b.o.depth > 0 {
			row.Test += fmt.Sprintf(" @ d%d", b.o.depth)
		}
		steps := benchRow{Test: row.Test + ": each token", Work: 1, Unit: "tokens", Steps: true}
		err := b.repeat(ctx, row, func() error {
			start := time.Now()
			return meter.Steps(ctx, b.o.depth, n, func() {
				now := time.Now()
				steps.Seconds = append(steps.Seconds, now.Sub(start).Seconds())
				start = now
			})
		})
		if err != nil {
			return err
		}
		steps.Seconds = steps.Seconds[n:] // without those that warmed up
		b.report.Rows = append(b.report.Rows, steps)
	}
	if !slices.ContainsFunc(m.source.Phases, func(p models.Phase) bool { return p.Name == "encode" }) && len(b.o.sizes) == 0 {
		return nil // it sees nothing, and nobody asked
	}
	for _, size := range b.sizes {
		encode, tokens, err := meter.Look(size[0], size[1])
		if err != nil {
			return err
		}
		row := benchRow{Test: fmt.Sprintf("vis%dx%d", size[0], size[1]), Work: tokens, Unit: "image tokens"}
		if err := b.repeat(ctx, row, func() error { return encode(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// repeat runs something once to warm up, and then as often as it is asked for, with
// rows for the copies that it makes.
func (b *bench) repeat(ctx context.Context, row benchRow, do func() error) error {
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", row.Test, err)
	}
	b.copies(row.Test, nil)
	copies := map[string]*benchRow{}
	for range b.o.repeats {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", row.Test, err)
		}
		row.Seconds = append(row.Seconds, time.Since(start).Seconds())
		b.copies(row.Test, copies)
	}
	b.report.Rows = append(b.report.Rows, row)
	for _, name := range sortedKeys(copies) {
		b.report.Rows = append(b.report.Rows, *copies[name])
	}
	return nil
}

// copies adds what each copy took since the last call: the time and bytes of all its
// runs together.
func (b *bench) copies(test string, rows map[string]*benchRow) {
	if b.seen == nil {
		b.seen = map[[3]string]trace.Total{}
	}
	for _, t := range b.recorder.Totals() {
		if t.Track != trace.Copies {
			continue
		}
		key := [3]string{t.Part, t.Phase, t.Name}
		old := b.seen[key]
		b.seen[key] = t
		if rows == nil || t.Count == old.Count || t.Bytes == old.Bytes {
			continue
		}
		name := test + ": " + t.Name
		if rows[name] == nil {
			rows[name] = &benchRow{Test: name, Work: int(t.Bytes - old.Bytes), Unit: "bytes"}
		}
		rows[name].Seconds = append(rows[name].Seconds, (t.Time - old.Time).Seconds())
	}
}
