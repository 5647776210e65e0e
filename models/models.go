// Package models says what a model is to the rest of the module: graphs per
// phase, and a session that answers questions. Each architecture is a package
// below this one; the list of them is the command line's.
package models

import (
	"context"
	"errors"
	"time"

	"mnnconv/graph"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/runtime"
	"mnnconv/runtime/trace"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
	"mnnconv/schemas/pack"
)

// Kind opens model folders of one architecture.
type Kind struct {
	Name string
	Load func(dir string, o Options) (Model, error)
	// Open makes a model from a package that was written of one. The model owns
	// the package, unless there is an error.
	Open func(p *pack.Opened, o Options) (Model, error)
}

// Options for loading a model folder.
type Options struct {
	Table                op.Table
	ONNX                 onnx.Options
	MinPixels, MaxPixels int // override the image processor's limits; 0: as the folder says
	// Lookup is how many tokens are drafted from what was said before, and checked in
	// one run; 0: none. Answers are the same.
	Lookup int
	// Batched has graphs take several sequences a run where the export allows it, for
	// sessions of several slots. A package is as it was written.
	Batched bool
	// Batchable asks for Info.Batchable: graphs are raised once more to see.
	Batchable bool
	// State is how the state keeps keys and values; Undefined: as the model computes
	// them, or as a package does.
	State graph.DType
	// Types says which parts compute in another type of float than the exporter's graphs,
	// or a package's; nil: none do.
	Types *passes.Types
}

// Model is a loaded model folder. It owns mapped files: close it last.
type Model interface {
	Info() Info
	// Phases returns the raised graphs in the order they run. The caller may place
	// and cut them, once.
	Phases() []Phase
	// Terms are what the model demands of its boundary tensors, for sessions of
	// capacity tokens (0: a default).
	Terms(capacity int) partition.Terms
	// Bounds gives every symbol of each phase's graph its largest value in sessions of
	// these options, and the capacity in tokens that this takes for granted.
	Bounds(o SessionOptions) (bounds map[string]graph.Env, capacity int, err error)
	// Settings are what a package keeps for Open besides graphs and side files. A
	// model that cannot be opened from a package is an error.
	Settings() (map[string]int64, error)
	// NewSession makes a session over executors by phase, which outlive it. All its
	// memory is allocated here.
	NewSession(executors map[string]*runtime.Executor, o SessionOptions) (Session, error)
	// NewSlots makes o.Slots sessions, which may be asked at the same time, and which
	// take their decode steps together if Batches says that the graphs can. Their
	// answers are those of one session. Close all of them.
	NewSlots(executors map[string]*runtime.Executor, o SessionOptions) ([]Session, error)
	Batches() bool
	Close() error
}

// Phase is one graph of a model and what raising did to it.
type Phase struct {
	Name   string
	Graph  *graph.Graph
	Report *passes.Report
	// Meanings says what the graph's inputs and outputs are, by their names.
	Meanings map[string]string
}

// Info describes a model for people and programs.
type Info struct {
	Architecture string // "qwen2.5-vl"
	Family       string // the exporter family
	Stages       []Stage
	Notes        []string // what a user should know of how the folder was read
	Vocabulary   int
	Context      int // tokens the model was made for; 0: not said
	// Batchable: the graphs take several sequences a run, or would had Options.Batched
	// been set, if Options.Batchable asked.
	Batchable bool
	Generate  generate.Config
	Wishes    []Wish // where the folder's own settings want its parts to run
	// Overflows lists stages whose numbers, in published models, may be too large for
	// float16.
	Overflows []string
}

// Wish is a placement rule of a model folder's own settings.
type Wish struct {
	Rule   string // as after --place
	Source string // the setting and its file
}

// Stage is a part of the model and the file it came from.
type Stage struct {
	Name string
	File string
}

// SessionOptions are the bounds and the manner of a session.
type SessionOptions struct {
	Capacity int  // tokens of a conversation, pictures and answer included; 0: a default
	Images   int  // pictures and videos of a question at most; 0: as many as the capacity holds
	Frames   int  // of one video at most, 1: pictures alone; 0: as many as the capacity holds
	Slots    int  // conversations that are held at a time, see Model.NewSlots; 0: one
	Lanes    int  // batches of slots that run at the same time at most, see LanesOf; 0: one
	Reduced  bool // Capacity is less than the default, which does not fit
	Schedule runtime.Schedule
	Checks   runtime.Checks  // of boundary tensors, at each run
	Trace    *trace.Recorder // nil: nobody wants to know
	// Runners, by phase, run the phases in the executors' place; the session then
	// allocates nothing. It does not close them.
	Runners map[string]Runner
	// Wrap, unless nil, returns what runs a phase in the place of the session's own
	// runner of it, which it may call.
	Wrap func(phase string, own Runner) Runner
}

// LanesOf is into how many lanes the slots are divided: each has memory for its share of
// them and runs their steps by itself.
func (o *SessionOptions) LanesOf() int { return max(1, min(o.Lanes, o.Slots)) }

// Runner runs one phase, as a runtime.Session does.
type Runner interface {
	// Run takes tensors aligned with the graph's inputs, nil for states, and returns
	// its outputs, nil for states.
	Run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error)
	// Part says what the next runs are part of, see runtime.Session.Part.
	Part(name string, context int64)
	// Want says which outputs the next runs return, and Fetch returns one of the last
	// run that was not wanted, see runtime.Session.Want.
	Want(outputs []bool)
	Fetch(ctx context.Context, output int) (*graph.Tensor, error)
}

// Feeder is a Runner that can start a run before the host has seen what the one in front
// of it makes, see runtime.Session.Feed, Start, Await and Settle.
type Feeder interface {
	Runner
	Feed(input, output int, size int64) bool
	Start(ctx context.Context, inputs []*graph.Tensor, fed bool) error
	Await() ([]*graph.Tensor, error)
	Settle() error
}

// Session answers questions, one at a time.
type Session interface {
	// Memory lists what the session's phases need in each space, weights apart.
	Memory() []runtime.Need
	Ask(ctx context.Context, q Question, s Settings) (*Answer, error)
	Close() error
}

// Question is a conversation that awaits its next turn.
type Question struct {
	Turns []Turn
}

// HasMedia tells whether any turn shows a picture or video.
func (q Question) HasMedia() bool {
	for _, t := range q.Turns {
		for _, p := range t.Parts {
			if p.Media != nil {
				return true
			}
		}
	}
	return false
}

// Turn is what one side says: text, pictures and videos in their order. Role is
// "system", "user", "assistant", or what else the model's template knows.
type Turn struct {
	Role  string
	Parts []Part
}

// Part is a medium, or a stretch of text.
type Part struct {
	Text  string
	Media *Media // nil: text
}

// Asking is the question of one text about media, which stand before it.
func Asking(text string, media ...Media) Question {
	var parts []Part
	for i := range media {
		parts = append(parts, Part{Media: &media[i]})
	}
	return Question{[]Turn{{Role: "user", Parts: append(parts, Part{Text: text})}}}
}

// Media is one picture, or one video of frames.
type Media struct {
	Frames []*picture.RGB
	Video  bool
	FPS    float64 // frames a second of a video
}

// Settings say how an answer is made.
type Settings struct {
	Most     int                // tokens at most; 0: as the context allows
	Sampling generate.Options   // how tokens are chosen
	OnText   func(string) error // gets the answer as it grows, and ends it by ErrEnough; nil: nobody listens
	// Reuse lets the session go on from what it still holds of this conversation, the
	// answers before among it, instead of reading all of it again.
	Reuse bool
}

// ErrEnough: whoever listens has heard enough of an answer, which ends there.
var ErrEnough = errors.New("enough of this answer")

// Answer is a finished answer.
type Answer struct {
	Text         string
	Tokens       []int32 // without the token that ended it
	PromptTokens int
	Cut          bool // it ended for want of room, or of tokens allowed
	Stats        Stats
}

// Stats say where the time of an answer went.
type Stats struct {
	Preprocess, Encode, Prefill, Decode time.Duration
	FirstToken                          time.Duration // from the question to its first token
	ImageTokens, PromptTokens, Tokens   int
	ReusedTokens                        int // of the prompt, which the session still held
	Decoded                             int // tokens that Decode took: those behind the first, and the one that ended the answer
	Drafted, Accepted                   int // tokens of drafts, and those that were right
}

// Meter is a session whose parts can be run apart, to be measured. What they compute
// is of no use.
type Meter interface {
	// Prefill runs a prompt of n tokens from an empty state.
	Prefill(ctx context.Context, n int) error
	// Steps runs n tokens behind past others, one after the other as those of an answer
	// that takes the likeliest, and calls each, unless nil, when what follows one is there.
	Steps(ctx context.Context, past, n int, each func()) error
	// Look prepares a picture of a size, in pixels, and returns what encodes it, and
	// its tokens.
	Look(width, height int) (encode func(context.Context) error, tokens int, err error)
}
