// Package trace takes down what a program does when: slices of time on tracks
// (the host, each device's queue, copies), counters, and which slice feeds which.
//
// What flows in: labels, made once for what happens again and again, and times on
// the host's clock. What flows out: sums by label (Totals) and a file that
// Perfetto and Chrome draw (Write). A nil *Recorder is one that is off: it takes
// nothing down and costs a comparison.
package trace

import (
	"math"
	"sync"
	"time"
)

// Tracks that are no device's queue.
const (
	Host   = "host"
	Copies = "copies"
)

// Label is what slices of one kind have in common. It is made once and not changed
// after its first use.
type Label struct {
	Track string // Host, Copies, or the device whose queue it runs on
	Name  string
	Args  []Arg // shown with each slice
	// Bytes that a slice moves, or reads and writes, and operations on floats it
	// does: for rates and sums. Each number of the context, see Recorder.Slice, adds
	// ContextBytes and ContextFLOPs.
	Bytes, FLOPs               float64
	ContextBytes, ContextFLOPs float64
	// Command numbers the slice among those of its run, from 1; 0: it has no arrows.
	// After are the commands whose slices it has arrows from.
	Command int
	After   []int
	Kernel  bool // within the slice of the same command

	total *Total
}

// Arg is a name and a string, an int64 or a float64.
type Arg struct {
	Name  string
	Value any
}

// HostLabel is the label of something the host does, without sums.
func HostLabel(name string) *Label { return &Label{Track: Host, Name: name} }

// Total sums up the slices of one name on a track, in one part of a phase: prefill
// and decode are parts of extend, say.
type Total struct {
	Part, Phase, Track, Name string
	Count                    int
	Time                     time.Duration
	Bytes, FLOPs             float64
}

// Options of a Recorder.
type Options struct {
	Slices bool // keep single slices, for Write; else sums alone
	Nodes  bool // slices of kernels too
}

// Recorder takes down what happens. It may be used by several goroutines.
type Recorder struct {
	options Options
	begin   time.Time

	mu     sync.Mutex
	chunks []*[chunkSize]record // a ring, once there are maxChunks
	count  int                  // records taken down, overwritten ones included
	runs   int
	totals map[totalKey]*Total
	order  []*Total
	memory map[memoryKey]*memory
}

// The newest maxChunks·chunkSize records are kept: some 40 MB, which are written
// within the grace that an interrupted program has.
const (
	chunkSize = 1 << 12
	maxChunks = 1 << 7
)

type record struct {
	label    *Label
	from, to int64 // nanoseconds since the beginning; of a counter: to holds the value's bits
	run      int
	counter  bool
}

type totalKey struct{ part, phase, track, name string }

type memoryKey struct{ space, kind string }

type memory struct {
	label     *Label
	now, most int64
}

// New starts a recorder at begin, where its clock's zero is.
func New(begin time.Time, o Options) *Recorder {
	return &Recorder{options: o, begin: begin, totals: map[totalKey]*Total{}, memory: map[memoryKey]*memory{}}
}

// Nodes reports whether slices of kernels are wanted.
func (r *Recorder) Nodes() bool { return r != nil && r.options.Nodes }

// Run returns a number that tells the slices of one run of commands from others'.
func (r *Recorder) Run() int {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
	return r.runs
}

// Sum has the slices of a label summed up under a part of a phase.
func (r *Recorder) Sum(part, phase string, l *Label) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := totalKey{part, phase, l.Track, l.Name}
	t := r.totals[key]
	if t == nil {
		t = &Total{Part: part, Phase: phase, Track: l.Track, Name: l.Name}
		r.totals[key] = t
		r.order = append(r.order, t)
	}
	l.total = t
}

// Slice takes down that what the label says ran from start to end, in a run (0:
// none). context scales the label's ContextBytes and ContextFLOPs.
func (r *Recorder) Slice(l *Label, start, end time.Time, run int, context float64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := l.total; t != nil {
		t.Count++
		t.Time += end.Sub(start)
		t.Bytes += l.Bytes + float64(context*l.ContextBytes)
		t.FLOPs += l.FLOPs + float64(context*l.ContextFLOPs)
	}
	if r.options.Slices {
		r.add(record{label: l, from: int64(start.Sub(r.begin)), to: int64(end.Sub(r.begin)), run: run})
	}
}

// Span is a slice that has begun.
type Span struct {
	r     *Recorder
	label *Label
	start time.Time
}

// Begin starts a slice on the host.
func (r *Recorder) Begin(l *Label) Span {
	if r == nil {
		return Span{}
	}
	return Span{r, l, time.Now()}
}

// End ends it.
func (s Span) End() {
	if s.r != nil {
		s.r.Slice(s.label, s.start, time.Now(), 0, 0)
	}
}

// Count takes down the value of a counter, of which the label gives the name.
func (r *Recorder) Count(l *Label, value float64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counter(l, value)
}

// Grow takes down that a kind of memory in a space became larger by some bytes.
func (r *Recorder) Grow(space, kind string, bytes int64) {
	if r == nil || bytes == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := memoryKey{space, kind}
	m := r.memory[key]
	if m == nil {
		m = &memory{label: &Label{Name: "memory " + space, Track: kind}}
		r.memory[key] = m
	}
	m.now += bytes
	m.most = max(m.most, m.now)
	r.counter(m.label, float64(m.now))
}

func (r *Recorder) counter(l *Label, value float64) {
	if r.options.Slices {
		r.add(record{label: l, from: int64(time.Since(r.begin)), to: int64(math.Float64bits(value)), counter: true})
	}
}

// add appends a record, over the oldest one where the ring is full.
func (r *Recorder) add(x record) {
	i := r.count % (maxChunks * chunkSize)
	if i/chunkSize == len(r.chunks) {
		r.chunks = append(r.chunks, new([chunkSize]record))
	}
	r.chunks[i/chunkSize][i%chunkSize] = x
	r.count++
}

// Totals returns the sums, in the order in which their labels came.
func (r *Recorder) Totals() []Total {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Total, len(r.order))
	for i, t := range r.order {
		out[i] = *t
	}
	return out
}

// Lost returns how many of the slices and counters taken down were overwritten by
// newer ones.
func (r *Recorder) Lost() int {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.count-maxChunks*chunkSize)
}

// records returns those that are kept, the oldest first.
func (r *Recorder) records() []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := min(r.count, maxChunks*chunkSize)
	out := make([]record, 0, kept)
	for i := r.count - kept; i < r.count; i++ {
		k := i % (maxChunks * chunkSize)
		out = append(out, r.chunks[k/chunkSize][k%chunkSize])
	}
	return out
}
