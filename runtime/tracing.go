package runtime

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime/trace"
)

// Kinds of memory that are counted in each space.
const (
	constantsMemory = "constants"
	stateMemory     = "state"
	arenaMemory     = "arena"
	stagingMemory   = "staging"
	apartMemory     = "unplanned" // of a size that only running tells, and outputs of a few bytes
)

// What a session does before a run, in traces: lay out and record for new shapes.
var prepareLabel = trace.HostLabel("prepare run")

// KernelTimer is a launch that tells when its kernels ran, where Bindings.TimeKernels
// asked for it.
type KernelTimer interface {
	// KernelTimes calls f for the kernels of the last run that were timed, by their
	// index into the partition's Kernels. It is called after the event of Submit has
	// been waited for, and before the next Submit.
	KernelTimes(f func(kernel int, start, end time.Time))
}

// part is what the session's runs are part of.
type part struct {
	name    string // empty: the phase itself
	context int64
}

// Part says what the session's next runs are part of, in traces and sums: prefill or
// decode, say; and how many keys Attention finds in a state, which its cost depends
// on.
func (s *Session) Part(name string, context int64) { s.part = part{name, context} }

// tracing is what a frame takes down in one part. Labels are made once, so that a
// run allocates nothing for it.
type tracing struct {
	rec                  *trace.Recorder
	run                  int
	context              float64
	whole, inputs, fetch *trace.Label
	start, end, work     []*trace.Label // of each command
	kernels              [][]*trace.Label
	counted              []bool // the label of work says which kernels were launched
}

// compileLabel names the compilation of a partition, which uploads its weights.
func compileLabel(rec *trace.Recorder, phase string, p *partition.Partition) *trace.Label {
	if rec == nil {
		return nil
	}
	return trace.HostLabel(fmt.Sprintf("compile and upload %s partition %d on %s", phase, p.Index, p.Target))
}

// traced prepares a frame for taking down its next run; without a recorder it does
// nothing.
func (f *frame) traced(inputs []*graph.Tensor) error {
	rec := f.s.e.trace
	if rec == nil {
		return nil
	}
	name := cmp.Or(f.s.part.name, f.s.e.plan.Phase)
	t := f.parts[name]
	if t == nil {
		env, err := f.s.symbols(inputs)
		if err != nil {
			return err
		}
		t = f.newTracing(name, env)
		if f.parts == nil {
			f.parts = map[string]*tracing{}
		}
		f.parts[name] = t
	}
	t.run, t.context = rec.Run(), float64(f.s.part.context)
	f.trace = t
	return nil
}

func (f *frame) newTracing(name string, env graph.Env) *tracing {
	plan, cmds := f.s.e.plan, f.l.commands
	t := &tracing{rec: f.s.e.trace, whole: trace.HostLabel(name), inputs: trace.HostLabel("bind inputs"), fetch: trace.HostLabel("read outputs"),
		start: make([]*trace.Label, len(cmds)), end: make([]*trace.Label, len(cmds)), work: make([]*trace.Label, len(cmds)), kernels: make([][]*trace.Label, len(cmds)), counted: make([]bool, len(cmds))}
	for _, symbol := range slices.Sorted(maps.Keys(env)) {
		t.whole.Args = append(t.whole.Args, trace.Arg{Name: symbol, Value: env[symbol]})
	}
	t.rec.Sum(name, plan.Phase, t.whole)
	makers := map[*graph.Value]int{} // number of the command that makes a value
	for i, c := range cmds {
		s := f.l.steps[i]
		var l *trace.Label
		if s.Partition != nil {
			l = partitionLabel(plan, s.Partition, env)
			for _, v := range s.Partition.Inputs {
				l.After = after(l.After, makers, v)
			}
			for _, v := range s.Partition.Outputs {
				makers[v] = i + 1
			}
			if t.rec.Nodes() {
				for _, k := range s.Partition.Kernels {
					kl := kernelLabel(s.Partition, k, env)
					kl.Command = i + 1
					t.kernels[i] = append(t.kernels[i], kl)
				}
			}
		} else {
			l = f.copyLabel(s.Copy, c, env)
			l.After = after(nil, makers, s.Copy.Inputs[0])
			makers[s.Copy.Outputs[0]] = i + 1
		}
		l.Command = i + 1
		t.work[i] = l
		t.rec.Sum(name, plan.Phase, l)
		t.start[i], t.end[i] = trace.HostLabel("start "+l.Name), trace.HostLabel("wait for "+l.Name)
	}
	return t
}

// after adds the command that makes a value, once.
func after(list []int, makers map[*graph.Value]int, v *graph.Value) []int {
	if n := makers[v]; n > 0 && !slices.Contains(list, n) {
		list = append(list, n)
	}
	return list
}

func partitionLabel(plan *partition.Plan, p *partition.Partition, env graph.Env) *trace.Label {
	l := &trace.Label{Track: p.Target, Name: fmt.Sprintf("partition %d", p.Index), Args: []trace.Arg{{Name: "phase", Value: plan.Phase},
		{Name: "nodes", Value: int64(len(p.Nodes))}, {Name: "kernels", Value: int64(len(p.Kernels))}}}
	for _, k := range p.Kernels {
		costs(l, k, env)
	}
	return l
}

func kernelLabel(p *partition.Partition, k partition.Kernel, env graph.Env) *trace.Label {
	var covers []string
	for _, n := range k.Nodes {
		covers = append(covers, n.Label())
	}
	l := &trace.Label{Track: p.Target, Name: k.Name, Kernel: true, Args: []trace.Arg{{Name: "node", Value: covers[len(covers)-1]}}}
	if len(covers) > 1 {
		l.Args = append(l.Args, trace.Arg{Name: "covers", Value: strings.Join(covers, " ")})
	}
	costs(l, k, env)
	return l
}

// costs adds what a kernel does to a label.
func costs(l *trace.Label, k partition.Kernel, env graph.Env) {
	c := k.Cost(env)
	l.Bytes += c.Bytes
	l.FLOPs += c.FLOPs
	l.ContextBytes += c.ContextBytes
	l.ContextFLOPs += c.ContextFLOPs
}

// copyLabel names a copy and its way, with the bytes that the plan has for it.
func (f *frame) copyLabel(n *graph.Node, c partition.Command, env graph.Env) *trace.Label {
	src, dst := n.Inputs[0], n.Outputs[0]
	size, err := partition.SizeOf(src.Type, env)
	if err != nil {
		size = 0 // only running tells: the copy itself will say
	}
	from, to := string(src.Type.Space), string(dst.Type.Space)
	leg := from + " → " + to
	route, why := f.s.arenas.route(n)
	if route == partition.Staged {
		leg = from + " → pinned memory → " + to
	}
	l := &trace.Label{Track: trace.Copies, Name: fmt.Sprintf("copy %s, %s", src.Name, leg), Bytes: float64(size), Args: []trace.Arg{
		{Name: "value", Value: src.Name}, {Name: "from", Value: from}, {Name: "to", Value: to}, {Name: "route", Value: string(route)},
		{Name: "queue", Value: c.Queue}, {Name: "bytes", Value: size}, {Name: "plan", Value: partition.BytesOf(src.Type).String()}}}
	if why != nil {
		l.Name += " (not direct, as planned: " + why.Error() + ")"
	}
	return l
}

// span begins a slice of the host's.
func (f *frame) span(pick func(*tracing) *trace.Label) trace.Span {
	if f.trace == nil {
		return trace.Span{}
	}
	return f.trace.rec.Begin(pick(f.trace))
}

// ended takes down when command i ran, after its event.
func (f *frame) ended(i int, e Event) {
	t := f.trace
	if t == nil {
		return
	}
	start, end, ok := e.Times()
	if !ok {
		return
	}
	l := t.work[i]
	if s := &f.l.steps[i]; s.Copy != nil {
		l = t.moved(i, f.bound[s.in[0]].View.Size)
	} else {
		f.count(t, i)
	}
	t.rec.Slice(l, start, end, t.run, t.context)
	if t.kernels[i] == nil {
		return
	}
	if k, ok := f.launch[i].launch.(KernelTimer); ok {
		k.KernelTimes(func(kernel int, from, to time.Time) {
			if !from.Before(start) && !to.After(end) {
				t.rec.Slice(t.kernels[i][kernel], from, to, t.run, t.context)
			}
		})
	}
}

// count adds to the label of command i which kernels it launches, once.
func (f *frame) count(t *tracing, i int) {
	if t.counted[i] {
		return
	}
	t.counted[i] = true
	if c, ok := f.launch[i].launch.(LaunchCounter); ok {
		for _, k := range c.LaunchCounts() {
			t.work[i].Args = append(t.work[i].Args, trace.Arg{Name: k.Kernel, Value: int64(k.Count)})
		}
	}
}

// moved returns the label of copy command i for the bytes that it really moved,
// another one where they are not those of the last time.
func (t *tracing) moved(i int, bytes int64) *trace.Label {
	l := t.work[i]
	if l.Bytes == float64(bytes) {
		return l
	}
	other := *l
	other.Args = slices.Clone(l.Args)
	for k, a := range other.Args {
		if a.Name == "bytes" {
			other.Args[k].Value = bytes
		}
	}
	other.Bytes = float64(bytes)
	t.work[i] = &other
	return &other
}
