package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime/trace"
)

// Executor holds a plan's compiled programs on opened devices. Several sessions
// may run it at once.
type Executor struct {
	plan     *partition.Plan
	devices  map[string]Device
	released []*partition.Partition // their programs go after each run
	trace    *trace.Recorder        // nil: nobody wants to know

	mu       sync.Mutex // of what follows
	programs map[*partition.Partition]Program
	running  int // runs under way
}

// NewExecutor compiles every partition of a plan. devices maps target names to
// opened devices, which the caller closes after the executor.
func NewExecutor(plan *partition.Plan, devices map[string]Device) (*Executor, error) {
	return NewExecutorWith(plan, devices, ExecutorOptions{})
}

// ExecutorOptions are what an executor need not have.
type ExecutorOptions struct {
	// Policy: partitions whose weights it releases after each run are compiled for
	// each run.
	Policy partition.Policy
	// Trace takes down what is compiled, allocated and run.
	Trace *trace.Recorder
}

// NewExecutorWith is NewExecutor with options.
func NewExecutorWith(plan *partition.Plan, devices map[string]Device, o ExecutorOptions) (*Executor, error) {
	e := &Executor{plan: plan, devices: devices, trace: o.Trace, programs: map[*partition.Partition]Program{}}
	for _, p := range plan.Partitions() {
		if o.Policy[p.Space].Releases(p) && devices[p.Target] != nil {
			e.released = append(e.released, p)
			continue
		}
		if _, err := e.program(p); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	return e, nil
}

// Plan returns the plan the executor runs.
func (e *Executor) Plan() *partition.Plan { return e.plan }

// Close releases the programs, the last first.
func (e *Executor) Close() error {
	var errs []error
	for _, p := range slices.Backward(e.plan.Partitions()) {
		if prog := e.programs[p]; prog != nil {
			errs = append(errs, prog.Close())
			e.trace.Grow(string(p.Space), constantsMemory, -e.plan.ConstantBytes(p))
		}
	}
	e.programs = nil
	return errors.Join(errs...)
}

// States is the memory of a session's states, by the name of the state's input
// value: one buffer each, in one space. It is shared by the phases that name
// the same states.
type States map[string]Bound

// NewStates allocates zeroed states for a plan; bounds gives the symbols in their
// shapes their values.
func (e *Executor) NewStates(bounds graph.Env) (States, error) {
	states := States{}
	for _, s := range e.plan.Graph.States {
		shape, err := s.In.Type.Shape.Eval(bounds)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("state %q: %w", s.In.Name, err), states.Close())
		}
		n, err := graph.Elements(shape)
		size, ok := s.In.Type.DType.Bytes(n)
		if err != nil || !ok {
			return nil, errors.Join(fmt.Errorf("state %q: shape %v has no size", s.In.Name, shape), states.Close())
		}
		d := e.devices[string(s.In.Type.Space)]
		if d == nil {
			return nil, errors.Join(fmt.Errorf("%w: state %q lives in %s, which was not opened", ErrUnavailable, s.In.Name, s.In.Type.Space), states.Close())
		}
		b, err := d.Alloc(size, DeviceMemory)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("state %q, %d bytes: %w", s.In.Name, size, err), states.Close())
		}
		e.trace.Grow(string(s.In.Type.Space), stateMemory, size)
		states[s.In.Name] = Bound{View: View{b, 0, size}, DType: s.In.Type.DType, Shape: shape}
	}
	return states, nil
}

// Close releases the states' memory.
func (s States) Close() error {
	var errs []error
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(s))) {
		errs = append(errs, s[name].View.Buffer.Close())
	}
	clear(s)
	return errors.Join(errs...)
}

// Session runs an executor for one user at a time. It keeps the launches of the
// shapes it ran last, so that a decode loop records once and allocates nothing.
type Session struct {
	e        *Executor
	states   States
	arenas   *Arenas
	own      bool // arenas were made here, for the inputs at hand
	schedule Schedule
	frames   []*frame // most recently used first
	ahead    ahead    // runs that Start started
	last     *frame   // that ran; nil: none
	part     part
	checks   checkLevel
	demands  map[string][]partition.Relation // on values, by the canonical name
	observer Observer                        // nil: nobody looks
	passed   map[*graph.Value]bool           // values that go from one partition to another in one space
	want     []bool                          // which outputs runs bring, see Want
	slots    slots                           // whose states runs work on, see Slots
}

// maxFrames is how many input shapes a session keeps recorded: a prefill, and decode
// steps of one to sixteen slots, of which each is twice as long as the one before; and
// one to spare for the next picture's size.
const maxFrames = 7

// NewSession starts a session over states and arenas, which the caller owns and
// which other phases of the same session may share. Without arenas the session lays
// out memory for the inputs it gets, anew when larger ones come.
func (e *Executor) NewSession(states States, arenas *Arenas, schedule Schedule) *Session {
	return &Session{e: e, states: states, arenas: arenas, own: arenas == nil, schedule: schedule}
}

// Close releases the session's launches and buffers.
func (s *Session) Close() error {
	errs := []error{s.drop()}
	if s.own && s.arenas != nil {
		errs = append(errs, s.arenas.Close())
		s.arenas = nil
	}
	return errors.Join(errs...)
}

func (s *Session) drop() error {
	errs := []error{s.Settle()}
	for _, f := range append(s.frames, s.ahead.frames[:]...) {
		if f != nil {
			errs = append(errs, f.close())
		}
	}
	s.frames, s.ahead, s.last = nil, ahead{}, nil
	return errors.Join(errs...)
}

// Run executes the plan once. inputs is aligned with the graph's Inputs; entries
// of states are nil. The returned tensors, aligned with Outputs (nil for states),
// are valid until the next run of this session or of one that shares its arenas.
// Outputs that are not wanted are nil, see [Session.Want].
func (s *Session) Run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error) {
	if err := s.takes(inputs); err != nil {
		return nil, err
	}
	if err := s.Settle(); err != nil {
		return nil, err
	}
	preparing := s.e.trace.Begin(prepareLabel)
	f, err := s.frame(inputs)
	if err == nil {
		err = f.traced(inputs)
	}
	preparing.End()
	if err != nil {
		return nil, err
	}
	s.last = f
	s.e.begin()
	outs, err := f.run(ctx, inputs)
	err = f.blamed(ctx, inputs, err)
	if ended := s.e.end(s); ended != nil {
		return nil, errors.Join(err, ended)
	}
	return outs, err
}

// takes checks how many inputs there are.
func (s *Session) takes(inputs []*graph.Tensor) error {
	if n := len(s.e.plan.Graph.Inputs); len(inputs) != n {
		return fmt.Errorf("phase %s takes %d inputs, got %d", s.e.plan.Phase, n, len(inputs))
	}
	return nil
}

// frame returns the launches for the inputs' shapes.
func (s *Session) frame(inputs []*graph.Tensor) (*frame, error) {
	for i, f := range s.frames {
		if f.fits(inputs) {
			if i > 0 {
				s.frames = slices.Insert(slices.Delete(s.frames, i, i+1), 0, f)
			}
			return f, nil
		}
	}
	if err := s.layOut(inputs); err != nil {
		return nil, err
	}
	f, err := newFrame(s, inputs, false)
	if err != nil {
		return nil, err
	}
	s.frames = slices.Insert(s.frames, 0, f)
	if len(s.frames) > maxFrames {
		old := s.frames[maxFrames]
		s.frames = s.frames[:maxFrames]
		if err := old.close(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// layOut makes arenas for the inputs where the session has none that fit.
func (s *Session) layOut(inputs []*graph.Tensor) error {
	if !s.own {
		return nil
	}
	env, err := s.symbols(inputs)
	if err != nil {
		return err
	}
	if s.arenas != nil {
		fits := true
		for name, n := range env {
			fits = fits && n <= s.arenas.phases[s.e.plan.Phase].memory.Bounds[name]
		}
		if fits {
			return nil
		}
		err := errors.Join(s.drop(), s.arenas.Close())
		s.arenas = nil
		if err != nil {
			return err
		}
	}
	s.arenas, err = NewArenas(map[string]graph.Env{s.e.plan.Phase: env}, s.e)
	return err
}

// symbols gives the symbols of the plan's inputs their values.
func (s *Session) symbols(inputs []*graph.Tensor) (graph.Env, error) {
	env := graph.Env{}
	for i, v := range s.e.plan.Graph.Inputs {
		t := inputs[i]
		if t == nil {
			b, ok := s.state(v.Name)
			if !ok {
				return nil, fmt.Errorf("%w: input %q is missing", graph.ErrType, v.Name)
			}
			t = &graph.Tensor{DType: b.DType, Shape: b.Shape}
		}
		if err := env.Bind(v, t); err != nil {
			return nil, err
		}
	}
	return env, nil
}
