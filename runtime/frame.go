package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime/trace"
)

// frame is a plan recorded for one set of input shapes. A launch is recorded once
// its inputs' shapes are known, and again where data changed them.
type frame struct {
	s      *Session
	l      *laidOut
	inputs []*graph.Tensor         // shapes only
	slots  slots                   // whose states it works on
	own    bool                    // inputs and outputs have memory of their own on the host: see Session.Start
	fed    Event                   // of the number that an input was fed; nil: none
	apart  map[*graph.Value]Buffer // values that crossed and have memory of their own
	launch map[*partition.Partition]*recorded
	outs   []*graph.Tensor
	flat   []graph.Tensor // what outs points to, but for constants and held values
	events []Event        // of the commands of this run; nil: not started, or nothing to wait for
	waits  [][]Event      // of each command, rewritten in place
	env    graph.Env      // the symbols' values
	trace  *tracing       // of this run; nil: nobody wants to know
	parts  map[string]*tracing

	mu    sync.Mutex               // of the maps and bound: queues may start commands at once
	seen  map[*graph.Value][]int64 // shapes of copied values that fit their types
	bound map[*graph.Value]Bound
}

type recorded struct {
	launch Launch
	inputs []Bound
}

func newFrame(s *Session, inputs []*graph.Tensor, own bool) (*frame, error) {
	plan := s.e.plan
	f := &frame{s: s, slots: s.slots, own: own, l: s.arenas.phases[plan.Phase], inputs: make([]*graph.Tensor, len(inputs)),
		apart: map[*graph.Value]Buffer{}, launch: map[*partition.Partition]*recorded{},
		outs: make([]*graph.Tensor, len(plan.Graph.Outputs)), flat: make([]graph.Tensor, len(plan.Graph.Outputs)), bound: map[*graph.Value]Bound{}, seen: map[*graph.Value][]int64{}}
	f.events, f.waits = make([]Event, len(f.l.commands)), make([][]Event, len(f.l.commands))
	if err := f.checkInputs(inputs); err != nil {
		return nil, err
	}
	if err := f.bind(inputs); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// bind gives the graph's inputs their memory: states where they lie, others in the
// host's arena.
func (f *frame) bind(inputs []*graph.Tensor) error {
	s, plan := f.s, f.s.e.plan
	for i, v := range plan.Graph.Inputs {
		t := inputs[i]
		if b, ok := s.state(v.Name); ok && t == nil {
			f.bound[v] = b
			continue
		}
		if t == nil {
			return fmt.Errorf("%w: input %q is missing", graph.ErrType, v.Name)
		}
		f.inputs[i] = &graph.Tensor{Kind: t.Kind, DType: t.DType, Shape: slices.Clone(t.Shape)}
		if !t.Flat() {
			continue // handed over in each run
		}
		view, ok, err := s.arenas.view(plan.Phase, v, int64(len(t.Data)))
		if err != nil {
			return err
		}
		d := s.e.host()
		if f.own && len(t.Data) > 0 {
			ok, d = false, s.e.devices[s.ahead.queue]
		}
		if !ok { // or a rank that is not declared: memory of its own
			b, err := d.Alloc(int64(len(t.Data)), PinnedHost)
			if err != nil {
				return fmt.Errorf("input %q: %w", v.Name, err)
			}
			f.grow(graph.Host, apartMemory, b.Size())
			f.apart[v] = b
			view = View{b, 0, b.Size()}
		}
		f.bound[v] = Bound{View: view, DType: t.DType, Shape: f.inputs[i].Shape}
	}
	return nil
}

// host returns the device whose space is the host's, which every plan has:
// graph inputs and outputs live there.
func (e *Executor) host() Device { return e.devices[string(graph.Host)] }

func (f *frame) fits(inputs []*graph.Tensor) bool {
	if f.slots != f.s.slots {
		return false
	}
	for i, t := range inputs {
		have := f.inputs[i]
		if (t == nil) != (have == nil) {
			return false
		}
		if t != nil && (t.Kind != have.Kind || t.DType != have.DType || !slices.Equal(t.Shape, have.Shape)) {
			return false
		}
	}
	return true
}

func (f *frame) run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error) {
	defer f.span(func(t *tracing) *trace.Label { return t.whole }).End()
	if err := f.put(inputs); err != nil {
		return nil, err
	}
	clear(f.events)
	if err := f.s.schedule.run(ctx, f.l.commands, f); err != nil {
		return nil, err
	}
	return f.results()
}

// results reads the outputs that are wanted.
func (f *frame) results() ([]*graph.Tensor, error) {
	defer f.span(func(t *tracing) *trace.Label { return t.fetch }).End()
	for i, v := range f.s.e.plan.Graph.Outputs {
		if f.outs[i] = nil; !f.s.wants(i) {
			continue
		}
		if err := f.output(i, v); err != nil {
			return nil, err
		}
	}
	return f.outs, nil
}

// put checks the inputs' values and writes them where the plan has them.
func (f *frame) put(inputs []*graph.Tensor) error {
	defer f.span(func(t *tracing) *trace.Label { return t.inputs }).End()
	if err := f.checkInputValues(inputs); err != nil {
		return err
	}
	for i, t := range inputs {
		if t == nil {
			continue
		}
		if !t.Flat() {
			f.bound[f.s.e.plan.Graph.Inputs[i]] = Bound{Held: t, DType: t.DType, Shape: t.Shape}
			continue
		}
		v := f.bound[f.s.e.plan.Graph.Inputs[i]].View
		b, err := v.Buffer.(HostBuffer).Bytes()
		if err != nil {
			return err
		}
		copy(b[v.Offset:v.Offset+v.Size], t.Data)
	}
	return nil
}

// start starts command i, after the events of the commands that it waits for: all
// of them have been started.
func (f *frame) start(ctx context.Context, i int) error {
	waits, before := f.waits[i][:0], f.before(i)
	if before >= 0 && f.events[before] == nil { // it held back nobody behind it, who may rely on that
		waits = f.since(waits, before)
	}
	f.waits[i] = waits
	if f.leaves(i) {
		return nil
	}
	defer f.span(func(t *tracing) *trace.Label { return t.start[i] }).End()
	c := f.l.commands[i]
	for _, w := range c.Waits {
		waits = f.since(waits, w)
	}
	f.waits[i] = waits
	var err error
	if s := f.s.e.plan.Steps[c.Step]; s.Partition != nil {
		f.events[i], err = f.partition(ctx, s.Partition, waits)
	} else {
		f.events[i], err = f.copy(i, s.Copy, waits)
	}
	if f.events[i] == nil {
		f.waits[i] = f.since(waits, before)
	}
	return f.where(i, err)
}

// since adds what tells that command w has ended: its event or, where it had nothing to
// do, the events of what came before it, which who waits for w may rely on as well.
func (f *frame) since(events []Event, w int) []Event {
	if w < 0 {
		return events
	}
	if e := f.events[w]; e != nil {
		return append(events, e)
	}
	for _, e := range f.waits[w] {
		if !slices.Contains(events, e) {
			events = append(events, e)
		}
	}
	return events
}

// before returns the command that the queue of command i has before it, or -1.
func (f *frame) before(i int) int {
	j := i - 1
	for ; j >= 0 && f.l.commands[j].Queue != f.l.commands[i].Queue; j-- {
	}
	return j
}

// watched reports whether somebody looks at what each command made.
func (f *frame) watched() bool { return f.s.observer != nil }

// end waits for the end of command i, whatever becomes of the context: what is
// under way touches memory that is about to be used or released. Devices look at
// the context themselves.
func (f *frame) end(i int) error {
	if e := f.events[i]; e != nil {
		if err := f.await(i, e); err != nil {
			return err
		}
	}
	if f.s.observer != nil {
		return f.where(i, f.observe(i))
	}
	return nil
}

// await waits for the event of command i.
func (f *frame) await(i int, e Event) error {
	defer f.span(func(t *tracing) *trace.Label { return t.end[i] }).End()
	if err := e.Wait(context.Background()); err != nil {
		return f.where(i, err)
	}
	f.ended(i, e)
	return nil
}

// where says which command an error is of.
func (f *frame) where(i int, err error) error {
	if err == nil {
		return nil
	}
	s := f.s.e.plan.Steps[f.l.commands[i].Step]
	if s.Partition != nil {
		return fmt.Errorf("partition %d on %s: %w", s.Partition.Index, s.Partition.Target, err)
	}
	src, dst := s.Copy.Inputs[0], s.Copy.Outputs[0]
	return fmt.Errorf("%s: value %q from %s to %s: %w", s.Copy.ID(), src.Name, src.Type.Space, dst.Type.Space, err)
}

func (f *frame) get(v *graph.Value) (Bound, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.bound[v]
	return b, ok
}

func (f *frame) set(v *graph.Value, b Bound) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bound[v] = b
}

// partition starts one partition. Where the shapes of its outputs depend on data it
// ends it too, since what follows is recorded for them.
func (f *frame) partition(ctx context.Context, p *partition.Partition, waits []Event) (Event, error) {
	f.mu.Lock()
	r := f.launch[p]
	if r == nil {
		r = &recorded{inputs: make([]Bound, len(p.Inputs))}
		f.launch[p] = r
	}
	f.mu.Unlock()
	fresh := r.launch == nil
	for i, v := range p.Inputs {
		b, ok := f.get(v)
		if !ok {
			return nil, fmt.Errorf("%w: value %q has not been made", graph.ErrInvalid, v.Name)
		}
		if b.Held == nil || p.Space != graph.Host {
			if err := b.View.Check(p.Space, v.Name); err != nil {
				return nil, err
			}
		}
		if !fresh && (b.View != r.inputs[i].View || b.Held != r.inputs[i].Held || !slices.Equal(b.Shape, r.inputs[i].Shape)) {
			fresh = true
		}
		r.inputs[i] = b
	}
	if fresh {
		if old := r.launch; old != nil {
			r.launch = nil
			if err := old.Close(); err != nil {
				return nil, err
			}
		}
		prog, err := f.s.e.program(p)
		if err != nil {
			return nil, err
		}
		launch, err := prog.Record(Bindings{Inputs: r.inputs, Memory: f.l.memory, Arena: f.s.arenas.buffers[p.Space], TimeKernels: f.s.e.trace.Nodes()})
		if err != nil {
			return nil, err
		}
		r.launch = launch
	}
	ev, err := r.launch.Submit(ctx, waits)
	if err != nil {
		return nil, err
	}
	outs, err := r.launch.Outputs()
	if err == nil && slices.ContainsFunc(outs, unknown) {
		if err := ev.Wait(context.Background()); err != nil {
			return nil, err
		}
		outs, err = r.launch.Outputs()
	}
	if err != nil {
		return ev, err
	}
	for i, v := range p.Outputs {
		f.set(v, outs[i])
	}
	return ev, f.checkMade(p, outs, ev)
}

func unknown(b Bound) bool { return b.View.Buffer == nil && b.Held == nil }

// copy starts moving one value from its space to another. Of an empty tensor there is
// nothing to move.
func (f *frame) copy(i int, n *graph.Node, waits []Event) (Event, error) {
	src, dst := n.Inputs[0], n.Outputs[0]
	from, ok := f.get(src)
	if !ok {
		return nil, fmt.Errorf("%w: it has not been made", graph.ErrInvalid)
	}
	if err := from.View.Check(src.Type.Space, src.Name); err != nil {
		return nil, err
	}
	if err := f.checkCrossing(src, dst, from); err != nil {
		return nil, err
	}
	if err := f.checkCrossingValues(src, dst, from, waits); err != nil {
		return nil, err
	}
	to, err := f.crossed(i, n, from.View.Size)
	if err != nil {
		return nil, err
	}
	f.set(dst, Bound{View: to, DType: from.DType, Shape: from.Shape})
	if from.View.Size == 0 {
		return nil, nil
	}
	switch {
	case src.Type.Space == graph.Host:
		return f.move(dst.Type.Space, to, from.View, waits)
	case dst.Type.Space == graph.Host:
		return f.move(src.Type.Space, to, from.View, waits)
	}
	if l := f.s.arenas.links[partition.SpacesOf(n)]; l != nil && l.err == nil {
		return f.linked(i, l, to, from.View, waits)
	}
	return f.staged(to, from.View, waits)
}

// move has the device of a space transfer.
func (f *frame) move(by graph.Space, dst, src View, waits []Event) (Event, error) {
	d := f.s.e.devices[string(by)]
	if d == nil {
		return nil, fmt.Errorf("%w: it was not opened", ErrUnavailable)
	}
	return d.Transfer(dst, src, waits)
}

// linked moves bytes between two arenas directly. What lies elsewhere, because only
// running told its size, goes through the host: then all that the queue did before has
// ended, and so has this when it returns, since the queue's order says nothing of it.
func (f *frame) linked(i int, l *link, dst, src View, waits []Event) (Event, error) {
	far := &dst
	if l.by == dst.Buffer.Space() {
		far = &src
	}
	if a := f.s.arenas.buffers; a[dst.Buffer.Space()] == dst.Buffer && a[src.Buffer.Space()] == src.Buffer {
		far.Buffer = l.far
		return f.move(l.by, dst, src, waits)
	}
	for j, c := range f.l.commands[:i] {
		if e := f.events[j]; c.Queue == f.l.commands[i].Queue && e != nil {
			if err := e.Wait(context.Background()); err != nil {
				return nil, err
			}
		}
	}
	e, err := f.staged(dst, src, waits)
	if err != nil {
		return nil, err
	}
	return e, e.Wait(context.Background())
}

// staged moves bytes through the ring between two devices.
func (f *frame) staged(dst, src View, waits []Event) (Event, error) {
	from, to := src.Buffer.Space(), dst.Buffer.Space()
	source, target := f.s.e.devices[string(from)], f.s.e.devices[string(to)]
	if source == nil || target == nil {
		return nil, fmt.Errorf("%w: it was not opened", ErrUnavailable)
	}
	f.mu.Lock()
	s := f.s.arenas.stages[[2]graph.Space{from, to}]
	if s == nil {
		s = newStage(source, target, func(n int64) { f.s.e.trace.Grow(string(to), stagingMemory, n) })
		f.s.arenas.stages[[2]graph.Space{from, to}] = s
	}
	f.mu.Unlock()
	return s.copy(dst, src, waits)
}

// few is how many bytes of an output are brought to memory of its own, which the device
// copies to by itself: nobody waits for them before the next output is on its way.
const few = 4 << 10

// crossed returns where the value goes that command i copies: its slot, or memory of its
// own.
func (f *frame) crossed(i int, n *graph.Node, size int64) (View, error) {
	v := n.Outputs[0]
	by, kind := v.Type.Space, DeviceMemory
	if by == graph.Host {
		kind = PinnedHost
	}
	switch {
	case by == graph.Host && (f.own || f.l.fetches[i] >= 0 && size <= few):
		by = n.Inputs[0].Type.Space
	case f.own && i == f.s.ahead.feeds:
		return f.s.ahead.place(size)
	default:
		if view, ok, err := f.s.arenas.view(f.s.e.plan.Phase, v, size); ok || err != nil {
			return view, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.apart[v]; b != nil {
		if b.Size() == size {
			return View{b, 0, size}, nil
		}
		delete(f.apart, v)
		f.grow(v.Type.Space, apartMemory, -b.Size())
		if err := b.Close(); err != nil {
			return View{}, err
		}
	}
	d := f.s.e.devices[string(by)]
	if d == nil {
		return View{}, fmt.Errorf("%w: %s was not opened", ErrUnavailable, by)
	}
	b, err := d.Alloc(size, kind)
	if err != nil {
		return View{}, err
	}
	f.grow(v.Type.Space, apartMemory, size)
	f.apart[v] = b
	return View{b, 0, size}, nil
}

// output reads graph output i, which lives on the host; a state has none.
func (f *frame) output(i int, v *graph.Value) error {
	for _, s := range f.s.e.plan.Graph.States {
		if s.Out == v {
			return nil
		}
	}
	if v.Const != nil {
		f.outs[i] = v.Const
		return nil
	}
	b, ok := f.bound[v]
	if !ok {
		return fmt.Errorf("%w: output %q has not been made", graph.ErrInvalid, v.Name)
	}
	if b.Held != nil {
		f.outs[i] = b.Held
		return nil
	}
	h, ok := b.View.Buffer.(HostBuffer)
	if !ok || b.View.Buffer.Space() != graph.Host {
		return fmt.Errorf("%w: output %q lies in %s, a copy to %s is missing", ErrAddress, v.Name, b.View.Buffer.Space(), graph.Host)
	}
	bytes, err := h.Bytes()
	if err != nil {
		return err
	}
	f.outs[i] = &f.flat[i]
	f.flat[i] = graph.Tensor{DType: b.DType, Shape: b.Shape, Data: bytes[b.View.Offset : b.View.Offset+b.View.Size]}
	return f.checkOutput(v, f.outs[i])
}

func (f *frame) close() error {
	var errs []error
	for _, r := range f.launch {
		if r.launch != nil {
			errs = append(errs, r.launch.Close())
		}
	}
	for v, b := range f.apart {
		f.grow(v.Type.Space, apartMemory, -b.Size())
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
