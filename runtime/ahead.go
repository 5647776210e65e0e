package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime/trace"
)

// ahead is what a session has of runs that are started before the run in front of them
// has ended.
type ahead struct {
	queue  string     // that all commands are of; empty: no run is started so
	feeds  int        // command that brings the input to the device
	from   int        // the number of the value that the output is there
	bytes  int64      // of the number
	room   View       // of the input on the device: its slot, as far as it is not the output's
	frames [2]*frame  // they take turns, so that what the host reads of one run is left alone by the next
	turn   int        // whose it is
	under  []*frame   // way, the oldest first
	span   trace.Span // of the oldest, since the one before it ended
}

// Feed reports whether runs can be started with Start, and has those that are fed take the
// first number of an input of size bytes from where the run before left the first of an
// output. That needs a plan whose commands are all of one device's queue, beginning with
// its inputs, a serial schedule, and nobody who looks at values or has weights released in
// between. It is asked after Check and Observe.
func (s *Session) Feed(input, output int, size int64) bool {
	plan := s.e.plan
	g := plan.Graph
	if s.own || s.observer != nil || s.checks == checkValues || len(s.e.released) > 0 || !s.schedule.serial() {
		return false
	}
	l := s.arenas.phases[plan.Phase]
	a := ahead{feeds: -1}
	var from, to *graph.Value
	for i, c := range l.commands {
		if a.queue = c.Queue; a.queue != l.commands[0].Queue || a.queue == string(graph.Host) {
			return false
		}
		n := l.steps[i].Copy
		switch {
		case n == nil && a.feeds < 0: // it may write where the number is
			return false
		case n == nil:
		case n.Inputs[0] == g.Inputs[input]:
			a.feeds, to = i, n.Outputs[0]
		case n.Outputs[0] == g.Outputs[output]:
			from, a.from = n.Inputs[0], l.steps[i].in[0]
		}
	}
	if a.feeds < 0 || from == nil || from.Type.DType != to.Type.DType {
		return false
	}
	a.bytes, _ = to.Type.DType.Bytes(1)
	dst, src := l.memory.Slot(to), l.memory.Slot(from)
	if a.bytes == 0 || dst == nil || src == nil {
		return false
	}
	align, end := plan.Align(to.Type.Space), dst.Offset+dst.Size
	behind := max(dst.Offset, (src.Offset+src.Size+align-1)/align*align)
	a.room = View{s.arenas.buffers[to.Type.Space], dst.Offset, min(end, src.Offset) - dst.Offset}
	if end-behind > a.room.Size {
		a.room.Offset, a.room.Size = behind, end-behind
	}
	if a.room.Size < size {
		return false
	}
	s.ahead = a
	return true
}

// place is where the input lies on the device.
func (a *ahead) place(size int64) (View, error) {
	if size > a.room.Size {
		return View{}, fmt.Errorf("%w: an input of %d bytes that is fed, there is room for %d", partition.ErrLimit, size, a.room.Size)
	}
	return View{a.room.Buffer, a.room.Offset, size}, nil
}

// Start starts a run and does not wait for it. One other may be under way; with fed, one
// is, and gives the input that Feed named its first number on the device. What is started
// runs to its end, whatever becomes of ctx. A run's outputs come from Await.
func (s *Session) Start(ctx context.Context, inputs []*graph.Tensor, fed bool) error {
	a := &s.ahead
	if a.queue == "" || len(a.under) > 1 || fed && len(a.under) == 0 {
		return fmt.Errorf("%w: phase %s cannot start a run (fed: %v) behind %d others", graph.ErrInvalid, s.e.plan.Phase, fed, len(a.under))
	}
	if err := s.takes(inputs); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := s.next(inputs)
	if err != nil {
		return err
	}
	var from *frame
	if fed {
		from = a.under[0]
	}
	begun := f.span(wholeLabel)
	if err := f.begin(inputs, from); err != nil {
		return err
	}
	if a.under = append(a.under, f); len(a.under) == 1 {
		a.span = begun
	}
	return nil
}

// Await waits for the oldest run under way and returns its outputs as Run does. They are
// valid until the next run is started.
func (s *Session) Await() ([]*graph.Tensor, error) {
	a := &s.ahead
	if len(a.under) == 0 {
		return nil, fmt.Errorf("%w: no run of phase %s is under way", graph.ErrInvalid, s.e.plan.Phase)
	}
	f := a.under[0]
	a.under = slices.Delete(a.under, 0, 1)
	s.last = f
	err := f.settle()
	a.span.End()
	if len(a.under) > 0 {
		a.span = a.under[0].span(wholeLabel)
	}
	if err != nil {
		return nil, err
	}
	return f.results()
}

func wholeLabel(t *tracing) *trace.Label { return t.whole }

// Settle waits for all runs under way, whose outputs nobody wants any more.
func (s *Session) Settle() error {
	var errs []error
	for _, f := range s.ahead.under {
		errs = append(errs, f.settle())
		s.ahead.span.End()
		s.ahead.span = trace.Span{}
	}
	s.ahead.under = s.ahead.under[:0]
	return errors.Join(errs...)
}

// next returns the launches for the inputs' shapes that are not under way.
func (s *Session) next(inputs []*graph.Tensor) (*frame, error) {
	a := &s.ahead
	defer s.e.trace.Begin(prepareLabel).End()
	f := a.frames[a.turn]
	if f != nil && !f.fits(inputs) {
		a.frames[a.turn] = nil
		if err := f.close(); err != nil {
			return nil, err
		}
		f = nil
	}
	if f == nil {
		var err error
		if f, err = newFrame(s, inputs, true); err != nil {
			return nil, err
		}
		a.frames[a.turn] = f
	}
	a.turn = 1 - a.turn
	return f, f.traced(inputs)
}

// begin starts all commands. Those that were started have ended if there is an error.
func (f *frame) begin(inputs []*graph.Tensor, from *frame) (err error) {
	if err := f.put(inputs); err != nil {
		return err
	}
	clear(f.events)
	f.fed = nil
	begun := false
	defer func() {
		if !begun { // after a panic too
			err = errors.Join(err, f.settle())
		}
	}()
	for i := range f.l.commands {
		if err := f.start(context.Background(), i); err != nil {
			return err
		}
		if from != nil && i == f.s.ahead.feeds {
			if err := f.feed(i, from); err != nil {
				return err
			}
		}
	}
	begun = true
	return nil
}

// feed copies a number from where another frame's run leaves it, behind command i.
func (f *frame) feed(i int, from *frame) (err error) {
	a := &f.s.ahead
	s := &f.l.steps[i]
	src, dst := from.bound[a.from].View, f.bound[s.out[0]].View
	if src.Size < a.bytes || dst.Size < a.bytes {
		return f.where(i, fmt.Errorf("%w: there is no number of %q to feed it", graph.ErrInvalid, f.l.values[a.from].Name))
	}
	f.fed, err = s.by.Transfer(View{dst.Buffer, dst.Offset, a.bytes}, View{src.Buffer, src.Offset, a.bytes}, nil)
	return f.where(i, err)
}

// settle waits for all that was started.
func (f *frame) settle() error {
	var errs []error
	for i := range f.l.commands {
		errs = append(errs, f.end(i))
	}
	if f.fed != nil {
		errs = append(errs, f.fed.Wait(context.Background()))
	}
	return errors.Join(errs...)
}
