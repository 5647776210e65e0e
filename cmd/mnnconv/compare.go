package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/runtime/compare"
	"mnnconv/runtime/compare/onnxruntime"
)

// compareOptions are the flags of compare and bisect.
type compareOptions struct {
	*app
	modelOptions
	memoryOptions

	src       string
	prompt    string
	media     []medium
	fps       float64
	tokens    int
	inputs    []string
	recorded  string
	record    string
	reference string
	checks    string
	json      bool
}

func newCompareCmd(a *app) *cobra.Command {
	o := &compareOptions{app: a}
	cmd := &cobra.Command{
		Use:   "compare SRC (-p TEXT | --input NAME=FILE.npy... | --inputs DIR)",
		Short: "Compare a cut model with a reference, and say which partition is wrong",
		Long: "compare runs the whole model on a reference. Then each partition runs alone on its device\n" +
			"over what the reference has at its boundary, state included, and each of its kernels alone;\n" +
			"and the cut model runs as it would. So it says which partition is wrong by itself, first at\n" +
			"which node, and which only inherits an error. A question is compared from its pictures to\n" +
			"the first tokens of the answer. Exit code 10: something differs.",
		Example: "  mnnconv compare FOLDER --place vision=sim:0,llm=sim:1 --image picture.png -p \"What is it?\"\n" +
			"  mnnconv compare model.onnx --place sim:0 --input x=x.npy",
		Args: args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.src = args[0]
			return runCompare(cmd.Context(), o)
		},
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.checks, "check", "shapes", "check boundary tensors of the cut model as it runs: shapes, values (their values too, where they lie) or none")
	cmd.Flags().StringVar(&o.record, "record", "", "keep the inputs of each call in `DIR`, for --inputs")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the report as one line of JSON")
	return cmd
}

// add defines the flags that compare and bisect share.
func (o *compareOptions) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.prompt, "prompt", "p", "", "a question; <img>FILE</img> in it shows a picture")
	f.Var(mediaFlag{&o.media, false}, "image", "show a picture (JPEG, PNG, WebP, BMP, GIF); may be repeated")
	f.Var(mediaFlag{&o.media, true}, "video", "show a video: a folder of frames, in the order of the numbers in their names; may be repeated")
	f.Float64Var(&o.fps, "fps", videoFPS, "frames a second that videos hold")
	f.IntVarP(&o.tokens, "max-tokens", "n", 4, "follow the answer for `N` tokens")
	f.Var(list{&o.inputs, "NAME=FILE.npy"}, "input", "an array for a graph's input; may be repeated")
	f.StringVar(&o.recorded, "inputs", "", "take the inputs from `DIR`, where --record or bisect --save-case wrote them")
	f.StringVar(&o.reference, "reference", "cpu", "what is right: `cpu`, the operators' definitions in plain code; onnxruntime, whose library is looked for; or onnxruntime=FILE, its library")
	o.addPlace(cmd)
	o.addState(cmd)
	o.addLinks(cmd)
	o.addMemory(cmd)
	o.addThreads(cmd)
	o.addTimeout(cmd)
	o.addPixels(cmd)
}

// check finds flags that contradict each other or are out of range.
func (o *compareOptions) check() error {
	sources := 0
	for _, given := range []bool{o.prompt != "", len(o.inputs) > 0, o.recorded != ""} {
		if given {
			sources++
		}
	}
	switch {
	case sources != 1:
		return usagef("give one of -p, --input and --inputs")
	case len(o.media) > 0 && o.prompt == "":
		return usagef("pictures need a question: give one with -p")
	case o.tokens < 1:
		return usagef("--max-tokens %d: want 1 or more", o.tokens)
	case !(o.fps > 0 && o.fps <= 1000):
		return usagef("--fps %v: want a number above 0, at most 1000", o.fps)
	case !knownReference(o.reference):
		return usagef("--reference %q: want cpu, onnxruntime or onnxruntime=FILE", o.reference)
	}
	return o.idle()
}

// idle refuses flags of questions where none is asked.
func (o *compareOptions) idle() error {
	return refuseIdle(o.flags,
		idle{"fps", !showsVideo(o.media), "without --video FOLDER"},
		idle{"max-tokens", o.prompt == "", "without -p TEXT"},
	)
}

func knownReference(text string) bool {
	name, library, named := strings.Cut(text, "=")
	return text == "cpu" || name == "onnxruntime" && (library != "") == named
}

// options checks the flags and hands them to the library.
func (o *compareOptions) options() (mnnconv.Options, error) {
	if err := o.check(); err != nil {
		return mnnconv.Options{}, err
	}
	w, err := o.wire(o.app)
	if err != nil {
		return w, err
	}
	w.Check = o.checks
	return w, o.bound(&w, o.frames())
}

// frames bounds videos: what was recorded may hold some.
func (o *compareOptions) frames() int {
	if o.recorded != "" {
		return 0
	}
	return mostFrames(o.media)
}

// open loads the source and opens a comparison with the reference. closeAll closes
// all of it. loaded, unless nil, is told the source before it is planned.
func (o *compareOptions) open(w mnnconv.Options, loaded func(*mnnconv.Source)) (_ *mnnconv.Comparison, closeAll func() error, err error) {
	var opened []io.Closer
	closeOpened := func() error {
		var errs []error
		for _, x := range slices.Backward(opened) {
			errs = append(errs, x.Close())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeOpened())
		}
	}()
	co := mnnconv.CompareOptions{Record: o.record, Disk: o.disk}
	if o.reference != "cpu" {
		_, library, _ := strings.Cut(o.reference, "=")
		r, err := onnxruntime.Open(library, mnnconv.EncodeGraph)
		if err != nil {
			return nil, nil, err
		}
		opened = append(opened, r)
		co.Reference, co.Name = r, "onnxruntime "+r.Version()
	}
	s, err := o.load(o.app, o.src, w)
	if err != nil {
		return nil, nil, err
	}
	opened = append(opened, s)
	switch {
	case s.Model == nil && o.prompt != "":
		err = usagef("%s is one graph and answers no questions: give --input NAME=FILE.npy or --inputs DIR", o.src)
	case s.Model != nil && len(o.inputs) > 0:
		err = usagef("%s is a model folder: give a question with -p, or --inputs DIR", o.src)
	}
	if err != nil {
		return nil, nil, err
	}
	o.note(s)
	o.noteWidened(s)
	if loaded != nil {
		loaded(s)
	}
	c, err := mnnconv.NewComparison(s, w, co)
	if err != nil {
		return nil, nil, err
	}
	opened = append(opened, c)
	return c, closeOpened, nil
}

// feed runs all calls.
func (o *compareOptions) feed(ctx context.Context, c *mnnconv.Comparison) error {
	switch {
	case o.prompt != "":
		text, tagged := cutImageTags(o.prompt)
		media, err := loadMedia(append(o.media, tagged...), o.fps, o.maxImages)
		if err != nil {
			return err
		}
		return c.Ask(ctx, models.Asking(text, media...), o.tokens)
	case o.recorded != "":
		calls, err := mnnconv.Recorded(o.recorded)
		if err != nil {
			return err
		}
		for _, call := range calls {
			if err := c.Run(ctx, call); err != nil {
				return err
			}
		}
		return nil
	}
	g := c.Program.Plans[0].Graph
	ins, err := readInputs(g, o.inputs)
	if err != nil {
		return err
	}
	call := compare.Call{Phase: c.Program.Plans[0].Phase, Inputs: compare.Trace{}}
	for i, v := range g.Inputs {
		call.Inputs[v.Name] = ins[i]
	}
	return c.Run(ctx, call)
}

func runCompare(ctx context.Context, o *compareOptions) (err error) {
	w, err := o.options()
	if err != nil {
		return err
	}
	c, closeAll, err := o.open(w, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	if err := o.feed(ctx, c); err != nil {
		return err
	}
	r := c.Report()
	if o.json {
		err = writeJSON(o.out, r)
	} else {
		err = writeComparison(o, r)
	}
	if err == nil && r.Verdict != compare.Same {
		err = fmt.Errorf("%w: %s", errDiffer, r.Sentence)
	}
	return err
}

// comparisonTables are one of partitions and one of boundary tensors.
func comparisonTables(r *compare.Report) (parts, tensors table) {
	parts = table{{"partition", "verdict", "first"}}
	for _, p := range r.Partitions {
		parts.add(printable(p.Name), p.Verdict, printable(p.First))
	}
	tensors = table{{"tensor", "dtype", "of", "alone: max", "mean", "cosine", "ulp", "tolerance", "cascade: max", "cosine", "nan", "inf", "verdict"}}
	for _, x := range r.Tensors {
		tensors.add(printable(x.Phase+" "+x.Name), x.DType, fmt.Sprint(x.Partition), figure(x.Max), figure(x.Mean), fmt.Sprintf("%.6f", x.Cosine), figure(x.ULP), figure(x.Tolerance),
			figure(x.Cascade.Max), fmt.Sprintf("%.6f", x.Cascade.Cosine), fmt.Sprint(x.NaN+x.Cascade.NaN), fmt.Sprint(x.Inf+x.Cascade.Inf), x.Verdict)
	}
	return parts, tensors
}

// writeComparison prints tables of partitions and of boundary tensors, and the
// sentence.
func writeComparison(o *compareOptions, r *compare.Report) error {
	parts, tensors := comparisonTables(r)
	if err := parts.write(o.out, ""); err != nil {
		return err
	}
	fmt.Fprintln(o.out)
	if err := tensors.write(o.out, ""); err != nil {
		return err
	}
	_, err := fmt.Fprintf(o.out, "\n%s\n", printable(r.Sentence))
	return err
}

func figure(x float64) string { return fmt.Sprintf("%.3g", x) }
