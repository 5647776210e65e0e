package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// runOptions are the flags of run.
type runOptions struct {
	talkOptions

	src       string
	prompt    string
	hasPrompt bool
	media     []medium
	fps       float64
	lookup    int
	batch     string
	slots     int
	inputs    []string
	outputDir string
	json      bool
	stats     bool
	schedule  string
	checks    string
	trace     traceOptions

	source  *mnnconv.Source  // once it is loaded
	program *mnnconv.Program // once it is open
	budget  *partition.Budget
}

func newRunCmd(a *app) *cobra.Command {
	o := &runOptions{talkOptions: talkOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "run SRC (-p TEXT | --batch FILE | --input NAME=FILE.npy...)",
		Short: "Answer questions about pictures, or run any graph",
		Long: "run answers a question with the model in a folder, about pictures and videos or none;\n" +
			"or many questions of a file; or runs any .onnx graph on arrays.\n\n" +
			"A questions file has a line of JSON for each: {\"id\", \"images\": [FILES], \"video\":\n" +
			"[FRAME FILES], \"question\"}, its files relative to its own folder. Each line is answered\n" +
			"by a line {\"id\", \"text\", \"tokens\", \"prompt_tokens\"} or {\"id\", \"error\"}.",
		Example: "  mnnconv run FOLDER --image picture.png -p \"Describe the image.\"\n" +
			"  mnnconv run FOLDER -p \"<img>picture.png</img>What is it?\" --place vision=sim:0\n" +
			"  mnnconv run FOLDER --batch questions.jsonl > answers.jsonl\n" +
			"  mnnconv run model.onnx --input x=x.npy --output-dir out",
		Args: args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.src, o.hasPrompt = args[0], cmd.Flags().Changed("prompt")
			return runRun(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.prompt, "prompt", "p", "", "the question; <img>FILE</img> in it shows a picture")
	f.Var(mediaFlag{&o.media, false}, "image", "show a picture (JPEG, PNG, WebP, BMP, GIF); may be repeated")
	f.Var(mediaFlag{&o.media, true}, "video", "show a video: a folder of frames, in the order of the numbers in their names; may be repeated")
	f.Float64Var(&o.fps, "fps", videoFPS, "frames a second that videos hold")
	f.IntVar(&o.lookup, "prompt-lookup-num-tokens", 0, "draft `N` tokens, up to 15, from what was said before, and check them in one run: the same answer, sooner where it quotes or repeats; 0: none")
	f.StringVar(&o.batch, "batch", "", "answer the questions of `FILE.jsonl`, - for stdin")
	f.IntVar(&o.slots, "slots", 4, "questions of --batch that are answered at a time; one with --stats, --trace or --prompt-lookup-num-tokens")
	f.Var(list{&o.inputs, "NAME=FILE.npy"}, "input", "an array for a graph's input; may be repeated")
	f.StringVar(&o.outputDir, "output-dir", "", "write a graph's outputs to `DIR`, one NAME.npy each (/ in a name is written _)")
	f.BoolVar(&o.json, "json", false, "print the result as one line of JSON")
	f.BoolVar(&o.stats, "stats", false, "print what memory is needed, before loading, and where the time went, to stderr; with --json, in the result")
	f.StringVar(&o.schedule, "schedule", "serial", "`ORDER` of work on several devices: serial, overlap, or random:SEED")
	f.StringVar(&o.checks, "check", "shapes", "check boundary tensors at each run: shapes, values (their values too, where they lie) or none")
	o.trace.add(f)
	o.addTalk(cmd)
	return cmd
}

func runRun(ctx context.Context, o *runOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	w, err := o.wire(o.app)
	if err != nil {
		return err
	}
	if err := o.bound(&w, o.frames()); err != nil {
		return err
	}
	w.Session.Slots = o.slots
	if o.alone() {
		w.Session.Slots = 1
	}
	w.Load.Batched = w.Session.Slots > 1
	w.Planned = o.planned
	w.Load.Lookup = o.lookup
	w.Schedule = o.schedule
	if _, err := runtime.ParseSchedule(o.schedule); err != nil {
		return err
	}
	w.Check = o.checks
	if _, err := runtime.ParseChecks(o.checks); err != nil {
		return usagef("--check: %w", err)
	}
	if err := o.trace.start(o.stats); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.trace.write(o.app, "mnnconv run")) }()
	w.Trace = o.trace.recorder
	s, err := o.load(o.app, o.src, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	o.source = s
	asks := o.hasPrompt || o.batch != ""
	switch {
	case s.Model == nil && asks:
		return usagef("%s is one graph and answers no questions: give a model folder, or --input NAME=FILE.npy", o.src)
	case s.Model != nil && !asks && len(o.inputs) > 0:
		return usagef("%s is a model folder: give one of its .onnx files with --input, or a question with -p", o.src)
	case s.Model != nil && !asks:
		return usagef("give a question with -p, or a file of them with --batch")
	}
	if err := o.sampling.idle(s); err != nil {
		return err
	}
	o.note(s)
	p, err := mnnconv.Open(s, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	o.program = p
	switch {
	case o.batch != "":
		o.noteAlone(o.src, w.Session.Slots, s)
		return runBatch(ctx, o, p)
	case asks:
		return runQuestion(ctx, o, p)
	}
	return runGraph(ctx, o, p)
}

// check finds flags that contradict each other or are out of range.
func (o *runOptions) check() error {
	graph := len(o.inputs) > 0 || o.outputDir != ""
	switch {
	case o.hasPrompt && o.batch != "":
		return usagef("-p and --batch exclude each other")
	case graph && (o.hasPrompt || o.batch != ""):
		return usagef("--input and --output-dir run a graph, -p and --batch ask a model: give one or the other")
	case len(o.media) > 0 && !o.hasPrompt:
		return usagef("pictures need a question: give one with -p")
	case o.slots < 1 || o.slots > mostSlots:
		return usagef("--slots %d: want 1 to %d", o.slots, mostSlots)
	case o.lookup < 0 || o.lookup > 15:
		return usagef("--prompt-lookup-num-tokens %d: want 0 (none) to 15", o.lookup)
	case !(o.fps > 0 && o.fps <= 1000):
		return usagef("--fps %v: want a number above 0, at most 1000", o.fps)
	}
	return errors.Join(o.sampling.check(), refuseIdle(o.flags,
		idle{"fps", !showsVideo(o.media), "without --video FOLDER"},
		idle{"slots", o.batch == "", "without --batch FILE.jsonl"},
		idle{"slots", o.batch != "" && o.slots > 1 && o.alone(), "with --stats, --trace or --prompt-lookup-num-tokens, which take one question at a time"},
		idle{"trace-nodes", o.trace.file == "", "without --trace FILE"},
	))
}

// alone reports whether one question is answered at a time: times are of one then, and
// drafts of one sequence.
func (o *runOptions) alone() bool {
	return o.stats || o.trace.file != "" || o.lookup > 0 || o.batch == ""
}

// frames bounds the videos that will be asked about: pictures alone are one frame
// each; 0: not known.
func (o *runOptions) frames() int {
	if o.batch != "" {
		return 0
	}
	return mostFrames(o.media)
}

// planned tells what memory is needed where that is not the usual.
func (o *runOptions) planned(_ []*partition.Plan, b *partition.Budget, s models.SessionOptions) {
	if s.Reduced {
		fmt.Fprintf(o.err, "mnnconv: note: a context of %d tokens is what fits; ask for more with -c\n", s.Capacity)
	}
	o.budget = b
	if o.stats {
		o.noteWidened(o.source)
		_ = budgetTable(b.Spaces).write(o.err, "")
	}
}
