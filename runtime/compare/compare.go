// Package compare says which part of a cut model is wrong.
//
// What flows in: plans with their devices, the same graphs without placement, and,
// call by call, the inputs of their phases. What flows out: a [Report]. Each call is
// evaluated by the reference, which tells every tensor; each partition then runs
// alone on its device over the reference's tensors, state included, and within it
// each kernel alone; and the whole plan runs as it would, the cascade, in which
// every boundary tensor is looked at and every copy compared bit for bit.
package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/schemas/op"
)

// Setup is what is compared.
type Setup struct {
	Table     op.Table
	Plans     []*partition.Plan
	Graphs    map[string]*graph.Graph // by phase, not placed
	Devices   map[string]runtime.Device
	Executors map[string]*runtime.Executor // by phase
	Reference Reference
	Name      string         // of the reference
	Bounds    graph.Env      // of the symbols in the shapes of states
	Checks    runtime.Checks // of the plan's runs as it is
	// Record, unless nil, is told of each call before it runs.
	Record func(Call) error
}

// Call is one run of a phase.
type Call struct {
	Phase  string
	Inputs Trace // by name; of states, what they hold before
}

// Comparer compares call after call. It is used by one goroutine.
type Comparer struct {
	s      Setup
	phases map[string]*phase
	states Trace             // the reference's, by the name of the state's input
	links  map[string][]link // what phases put out, until a later phase took it
	seen   collected

	stop  bool // at the first wrong partition
	runs  int  // on a device, of pieces of the partition at hand
	found *Found
}

// phase is one plan under comparison.
type phase struct {
	plan    *partition.Plan
	graph   *graph.Graph           // not placed
	makers  map[string]*graph.Node // of the values of graph, by name
	order   map[*graph.Node]int    // of the plan's nodes
	session *runtime.Session
	states  runtime.States
	held    Trace // what the cascade's states hold
	depth   map[string]int
	reached precisions // of the cascade's values, from the first call on
}

// New prepares a comparison. Close it before the executors.
func New(s Setup) (*Comparer, error) {
	c := &Comparer{s: s, phases: map[string]*phase{}, states: Trace{}, links: map[string][]link{}, seen: newCollected()}
	for _, plan := range s.Plans {
		p := &phase{plan: plan, graph: s.Graphs[plan.Phase], makers: map[string]*graph.Node{}, order: map[*graph.Node]int{}, held: Trace{}}
		c.phases[plan.Phase] = p
		for _, n := range p.graph.Nodes {
			for _, v := range n.Outputs {
				if v != nil {
					p.makers[v.Name] = n
				}
			}
		}
		for i, n := range plan.Graph.Nodes {
			p.order[n] = i
		}
		for _, part := range plan.Partitions() {
			c.seen.partition(plan.Phase, part)
		}
		if err := c.start(p); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// start makes the cascade's session, with empty states.
func (c *Comparer) start(p *phase) error {
	e := c.s.Executors[p.plan.Phase]
	var err error
	if p.states, err = e.NewStates(c.s.Bounds); err != nil {
		return err
	}
	for _, s := range p.plan.Graph.States {
		b := p.states[s.In.Name]
		zero, err := graph.NewTensor(b.DType, b.Shape...)
		if err != nil {
			return fmt.Errorf("state %q: %w", s.In.Name, err)
		}
		c.states[s.In.Name] = zero
		if err := p.hold(c.s.Devices, s.In, zero); err != nil {
			return err
		}
	}
	p.session = e.NewSession(p.states, nil, runtime.Schedule{})
	p.session.Check(c.s.Checks)
	return nil
}

// hold gives a state of the cascade its content.
func (p *phase) hold(devices map[string]runtime.Device, v *graph.Value, t *graph.Tensor) error {
	p.held[v.Name] = t
	if err := runtime.Store(devices[string(v.Type.Space)], p.states[v.Name].View, t.Data); err != nil {
		return fmt.Errorf("state %q: %w", v.Name, err)
	}
	return nil
}

// Close releases what the comparison holds on devices.
func (c *Comparer) Close() error {
	var errs []error
	for _, p := range c.phases {
		if p.session != nil {
			errs = append(errs, p.session.Close())
		}
		errs = append(errs, p.states.Close())
	}
	clear(c.phases)
	return errors.Join(errs...)
}

// Report says what was found so far.
func (c *Comparer) Report() *Report { return c.seen.report(c.s) }

// Runner returns what stands for a phase in a model's session: each run is
// compared, and returns what the reference has.
func (c *Comparer) Runner(name string) *Runner {
	if c.phases[name] == nil {
		return nil
	}
	return &Runner{c: c, p: c.phases[name]}
}

// Runner compares the runs of one phase.
type Runner struct {
	c    *Comparer
	p    *phase
	outs []*graph.Tensor // of the last run
}

// Part says what the next runs are part of, for reports; how many keys they find
// does not matter here.
func (r *Runner) Part(name string, _ int64) { r.c.seen.part = name }

// Want does nothing: all that a run makes is compared and returned.
func (r *Runner) Want([]bool) {}

// Fetch returns an output of the last run.
func (r *Runner) Fetch(_ context.Context, output int) (*graph.Tensor, error) {
	if output < 0 || output >= len(r.outs) {
		return nil, fmt.Errorf("%w: output %d of a run that made %d", graph.ErrInvalid, output, len(r.outs))
	}
	return r.outs[output], nil
}

// Run compares one run. inputs and outputs are aligned with the graph's, nil for
// states.
func (r *Runner) Run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error) {
	in := Trace{}
	for i, v := range r.p.plan.Graph.Inputs {
		if inputs[i] != nil {
			in[v.Name] = inputs[i]
		}
	}
	trace, err := r.c.Run(ctx, Call{r.p.plan.Phase, in})
	if err != nil {
		return nil, err
	}
	outs := make([]*graph.Tensor, len(r.p.graph.Outputs))
	state := r.p.graph.StateValues()
	for i, v := range r.p.graph.Outputs {
		if !state[v] {
			outs[i] = trace.of(v)
		}
	}
	r.outs = outs
	return outs, nil
}

// Run compares one call and returns all that the reference made of it. States that
// the call does not bring are those that the call before left.
func (c *Comparer) Run(ctx context.Context, call Call) (Trace, error) {
	p := c.phases[call.Phase]
	if p == nil {
		return nil, fmt.Errorf("%w: there is no phase %q", graph.ErrInvalid, call.Phase)
	}
	in := maps.Clone(call.Inputs)
	for _, s := range p.plan.Graph.States {
		if t := in[s.In.Name]; t != nil {
			if err := p.hold(c.s.Devices, s.In, t); err != nil {
				return nil, err
			}
		} else {
			in[s.In.Name] = c.states[s.In.Name]
		}
	}
	if c.s.Record != nil {
		if err := c.s.Record(call); err != nil {
			return nil, err
		}
	}
	trace, err := c.s.Reference.Run(ctx, p.graph, in)
	if err != nil {
		return nil, fmt.Errorf("reference %s: phase %s: %w", c.s.Name, call.Phase, err)
	}
	c.seen.calls++
	p.measureDepth(trace)
	for _, part := range p.plan.Partitions() {
		if err := c.alone(ctx, p, part, trace); err != nil {
			return nil, fmt.Errorf("phase %s: partition %d on %s alone: %w", call.Phase, part.Index, part.Target, err)
		}
		if err := c.stopAt(p, part, trace); err != nil {
			return nil, err
		}
	}
	if err := c.cascade(ctx, p, in, trace); err != nil {
		return nil, fmt.Errorf("phase %s: %w", call.Phase, err)
	}
	for _, part := range p.plan.Partitions() {
		if err := c.stopAt(p, part, trace); err != nil {
			return nil, err
		}
	}
	for _, s := range p.graph.States {
		c.states[s.In.Name] = trace.of(s.Out)
	}
	return trace, nil
}

// measureDepth finds, for each value, the deepest reduction on the way to it.
func (p *phase) measureDepth(t Trace) {
	p.depth = map[string]int{}
	for _, n := range p.graph.Nodes {
		d := depth(n, t)
		n.Reads(func(v *graph.Value) { d = max(d, p.depth[v.Name]) })
		for _, v := range n.Outputs {
			if v != nil {
				p.depth[v.Name] = d
			}
		}
	}
}

// alone runs a partition, and each of its kernels, over the reference's tensors.
func (c *Comparer) alone(ctx context.Context, p *phase, part *partition.Partition, trace Trace) error {
	c.runs = 0
	outs, x, err := c.run(ctx, p, [][]*graph.Node{part.Nodes}, trace)
	if t := (transferError{}); errors.As(err, &t) {
		c.seen.moved(p, part, t)
		return nil
	}
	if err != nil {
		return err
	}
	by := precisionsOf(part.Nodes) // what the partition is given is what the reference has
	var off *graph.Value
	for i, v := range x.Out {
		m, err := measure(outs[i], trace.of(v))
		if err != nil {
			return fmt.Errorf("value %q: %w", v.Name, err)
		}
		tolerance, ok := p.boundary(v, m, by)
		if !ok && off == nil {
			off = v
		}
		c.seen.tensor(p, part, v).isolated(m.Figures, tolerance, ok)
	}
	found, err := c.kernels(ctx, p, part, trace)
	if err != nil {
		return err
	}
	switch {
	case found != nil:
		c.seen.wrong(p, part, found.nodes, found.why)
	case off != nil && c.stop:
		if found, err = c.prefix(ctx, p, part, trace); err == nil {
			c.seen.wrong(p, part, found.nodes, found.why)
		}
	case off != nil:
		c.seen.wrong(p, part, []*graph.Node{off.Def}, "each of its kernels is right alone, together they are not")
	}
	return err
}

// run takes groups of a plan's nodes out and runs them over the reference's tensors.
func (c *Comparer) run(ctx context.Context, p *phase, groups [][]*graph.Node, trace Trace) ([]*graph.Tensor, *partition.Extract, error) {
	x, err := p.plan.Extract(groups, trace.symbols(p.graph))
	if err != nil {
		return nil, nil, err
	}
	outs, err := c.runExtract(ctx, x, trace)
	return outs, x, err
}

func (c *Comparer) runExtract(ctx context.Context, x *partition.Extract, trace Trace) ([]*graph.Tensor, error) {
	in := make([]*graph.Tensor, len(x.In))
	for i, v := range x.In {
		if in[i] = trace.of(v); in[i] == nil {
			return nil, fmt.Errorf("%w: the reference has no value %q", graph.ErrInvalid, v.Name)
		}
	}
	c.runs++
	return isolate(ctx, c.s.Devices[x.Partition().Target], x, in)
}
