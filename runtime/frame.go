package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/runtime/trace"
)

// frame is a plan recorded for one set of input shapes. A launch is recorded once
// its inputs' shapes are known, and again where data changed them. Queues may start
// commands at once: what a command writes, here as well as in memory, is read by those
// alone that come after it in its queue or wait for it.
type frame struct {
	s      *Session
	l      *laidOut
	inputs []*graph.Tensor // shapes only
	slots  slots           // whose states it works on
	own    bool            // inputs and outputs have memory of their own on the host: see Session.Start
	fed    Event           // of the number that an input was fed; nil: none
	bound  []Bound         // of each value, by its number
	apart  []Buffer        // values that crossed and have memory of their own, by number
	seen   [][]int64       // of each copy: the value's shape that fits its types
	launch []recorded      // of each command, but for copies
	outs   []*graph.Tensor
	flat   []graph.Tensor // what outs points to, but for constants and held values
	events []Event        // of the commands of this run; nil: not started, or nothing to wait for
	waits  [][]Event      // of each command, rewritten in place
	env    graph.Env      // the symbols' values
	trace  *tracing       // of this run; nil: nobody wants to know
	parts  map[string]*tracing
}

type recorded struct {
	launch Launch // nil: none
	inputs []Bound
}

func (r *recorded) close() error {
	if r.launch == nil {
		return nil
	}
	old := r.launch
	r.launch = nil
	return old.Close()
}

func newFrame(s *Session, inputs []*graph.Tensor, own bool) (*frame, error) {
	l := s.arenas.phases[s.e.plan.Phase]
	values, commands, outputs := len(l.values), len(l.commands), len(l.outputs)
	f := &frame{s: s, slots: s.slots, own: own, l: l, inputs: make([]*graph.Tensor, len(inputs)),
		bound: make([]Bound, values), apart: make([]Buffer, values), seen: make([][]int64, commands), launch: make([]recorded, commands),
		outs: make([]*graph.Tensor, outputs), flat: make([]graph.Tensor, outputs), events: make([]Event, commands), waits: make([][]Event, commands)}
	for i, s := range l.steps {
		f.launch[i].inputs = make([]Bound, len(s.in))
	}
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
	s := f.s
	for i, v := range s.e.plan.Graph.Inputs {
		t, k := inputs[i], f.l.inputs[i]
		if b, ok := s.state(v.Name); ok && t == nil {
			f.bound[k] = b
			continue
		}
		if t == nil {
			return fmt.Errorf("%w: input %q is missing", graph.ErrType, v.Name)
		}
		f.inputs[i] = &graph.Tensor{Kind: t.Kind, DType: t.DType, Shape: slices.Clone(t.Shape)}
		if !t.Flat() {
			continue // handed over in each run
		}
		view, ok, err := f.l.view(k, int64(len(t.Data)))
		if err != nil {
			return err
		}
		d := s.e.devices[string(graph.Host)] // which every plan has
		if f.own && len(t.Data) > 0 {
			ok, d = false, s.e.devices[s.ahead.queue]
		}
		if !ok { // or a rank that is not declared: memory of its own
			if view, err = f.allocate(k, d, int64(len(t.Data)), PinnedHost); err != nil {
				return fmt.Errorf("input %q: %w", v.Name, err)
			}
		}
		f.bound[k] = Bound{View: view, DType: t.DType, Shape: f.inputs[i].Shape}
	}
	return nil
}

// allocate gives value k memory of its own.
func (f *frame) allocate(k int, d Device, size int64, kind MemoryKind) (View, error) {
	b, err := d.Alloc(size, kind)
	if err != nil {
		return View{}, err
	}
	f.grow(k, size)
	f.apart[k] = b
	return View{b, 0, size}, nil
}

// release takes from value k the memory of its own, if it has any.
func (f *frame) release(k int) error {
	b := f.apart[k]
	if b == nil {
		return nil
	}
	f.apart[k] = nil
	f.grow(k, -b.Size())
	return b.Close()
}

// grow counts memory of value k that was allocated beside its arena, or released.
func (f *frame) grow(k int, bytes int64) {
	f.s.e.trace.Grow(string(f.l.values[k].Type.Space), apartMemory, bytes)
}

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
			f.bound[f.l.inputs[i]] = Bound{Held: t, DType: t.DType, Shape: t.Shape}
			continue
		}
		v := f.bound[f.l.inputs[i]].View
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
	s, waits := &f.l.steps[i], f.waits[i][:0]
	if s.before >= 0 && f.events[s.before] == nil { // it held back nobody behind it, who may rely on that
		waits = f.since(waits, s.before)
	}
	f.waits[i] = waits
	if f.leaves(i) {
		return nil
	}
	defer f.span(func(t *tracing) *trace.Label { return t.start[i] }).End()
	for _, w := range f.l.commands[i].Waits {
		waits = f.since(waits, w)
	}
	f.waits[i] = waits
	var err error
	if s.Partition != nil {
		f.events[i], err = f.partition(ctx, i, waits)
	} else {
		f.events[i], err = f.copy(i, waits)
	}
	if f.events[i] == nil {
		f.waits[i] = f.since(waits, s.before)
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
	s := &f.l.steps[i]
	if s.Partition != nil {
		return fmt.Errorf("partition %d on %s: %w", s.Partition.Index, s.Partition.Target, err)
	}
	src, dst := s.Copy.Inputs[0], s.Copy.Outputs[0]
	return fmt.Errorf("%s: value %q from %s to %s: %w", s.Copy.ID(), src.Name, src.Type.Space, dst.Type.Space, err)
}

// partition starts command i, a partition. Where the shapes of its outputs depend on data
// it ends it too, since what follows is recorded for them.
func (f *frame) partition(ctx context.Context, i int, waits []Event) (Event, error) {
	s, r := &f.l.steps[i], &f.launch[i]
	p, fresh := s.Partition, r.launch == nil
	for j, v := range p.Inputs {
		b := f.bound[s.in[j]]
		if unknown(b) {
			return nil, fmt.Errorf("%w: value %q has not been made", graph.ErrInvalid, v.Name)
		}
		if b.Held == nil || p.Space != graph.Host {
			if err := b.View.Check(p.Space, v.Name); err != nil {
				return nil, err
			}
		}
		if !fresh && (b.View != r.inputs[j].View || b.Held != r.inputs[j].Held || !slices.Equal(b.Shape, r.inputs[j].Shape)) {
			fresh = true
		}
		r.inputs[j] = b
	}
	if fresh {
		if err := r.close(); err != nil {
			return nil, err
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
	for j, k := range s.out {
		f.bound[k] = outs[j]
	}
	return ev, f.checkMade(p, outs, ev)
}

// unknown reports whether a value has not been made yet.
func unknown(b Bound) bool { return b.View.Buffer == nil && b.Held == nil }

// copy starts command i, which moves a value from its space to another. Of an empty
// tensor there is nothing to move.
func (f *frame) copy(i int, waits []Event) (Event, error) {
	s := &f.l.steps[i]
	src, dst := s.Copy.Inputs[0], s.Copy.Outputs[0]
	from := f.bound[s.in[0]]
	if unknown(from) {
		return nil, fmt.Errorf("%w: it has not been made", graph.ErrInvalid)
	}
	if err := from.View.Check(src.Type.Space, src.Name); err != nil {
		return nil, err
	}
	if err := f.checkCrossing(i, src, dst, from); err != nil {
		return nil, err
	}
	if err := f.checkCrossingValues(src, dst, from, waits); err != nil {
		return nil, err
	}
	to, err := f.crossed(i, from.View.Size)
	if err != nil {
		return nil, err
	}
	f.bound[s.out[0]] = Bound{View: to, DType: from.DType, Shape: from.Shape}
	if from.View.Size == 0 {
		return nil, nil
	}
	switch {
	case s.link != nil:
		return f.linked(i, to, from.View, waits)
	case s.stage != nil:
		return s.stage.copy(to, from.View, waits)
	}
	return s.by.Transfer(to, from.View, waits)
}

// linked moves bytes between two arenas directly. What lies elsewhere, because only
// running told its size, goes through the host: then all that the queue did before has
// ended, and so has this when it returns, since the queue's order says nothing of it.
func (f *frame) linked(i int, dst, src View, waits []Event) (Event, error) {
	s := &f.l.steps[i]
	if f.l.places[s.out[0]].arena == dst.Buffer && f.l.places[s.in[0]].arena == src.Buffer {
		far := &dst
		if s.link.by == dst.Buffer.Space() {
			far = &src
		}
		far.Buffer = s.link.far
		return s.by.Transfer(dst, src, waits)
	}
	for j := s.before; j >= 0; j = f.l.steps[j].before {
		if e := f.events[j]; e != nil {
			if err := e.Wait(context.Background()); err != nil {
				return nil, err
			}
		}
	}
	e, err := s.stage.copy(dst, src, waits)
	if err != nil {
		return nil, err
	}
	return e, e.Wait(context.Background())
}

// few is how many bytes of an output are brought to memory of its own, which the device
// copies to by itself: nobody waits for them before the next output is on its way.
const few = 4 << 10

// crossed returns where the value goes that command i copies: its slot, or memory of its
// own.
func (f *frame) crossed(i int, size int64) (View, error) {
	s := &f.l.steps[i]
	k, d, kind := s.out[0], s.target, DeviceMemory
	host := f.l.values[k].Type.Space == graph.Host
	if host {
		kind = PinnedHost
	}
	switch {
	case host && (f.own || f.l.fetches[i] >= 0 && size <= few):
		d = s.source
	case f.own && i == f.s.ahead.feeds:
		return f.s.ahead.place(size)
	default:
		if view, ok, err := f.l.view(k, size); ok || err != nil {
			return view, err
		}
	}
	if b := f.apart[k]; b != nil && b.Size() == size {
		return View{b, 0, size}, nil
	}
	if err := f.release(k); err != nil {
		return View{}, err
	}
	return f.allocate(k, d, size, kind)
}

// output reads graph output i, which lives on the host; a state has none.
func (f *frame) output(i int, v *graph.Value) error {
	k := f.l.outputs[i]
	if k < 0 {
		return nil
	}
	if v.Const != nil {
		f.outs[i] = v.Const
		return nil
	}
	b := f.bound[k]
	if unknown(b) {
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
	for i := range f.launch {
		errs = append(errs, f.launch[i].close())
	}
	for k := range f.apart {
		errs = append(errs, f.release(k))
	}
	return errors.Join(errs...)
}
