package mnnconv

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/trace"
)

// What the host does around runs, in traces.
var (
	planLabel    = trace.HostLabel("plan")
	weightsLabel = trace.HostLabel("make weights")
	openLabel    = trace.HostLabel("open devices")
	sessionLabel = trace.HostLabel("allocate session")
	closeLabel   = trace.HostLabel("close devices")
)

// Program is a model planned, with its devices opened and its partitions
// compiled. Several sessions may run it at once.
type Program struct {
	Source *Source
	Plans  []*partition.Plan

	schedule  runtime.Schedule
	session   models.SessionOptions
	checks    runtime.Checks
	trace     *trace.Recorder
	devices   map[string]runtime.Device
	executors map[string]*runtime.Executor
}

// Open plans the source and opens the devices of the plan. Close the program
// before its source.
func Open(s *Source, o Options) (*Program, error) {
	schedule, err := runtime.ParseSchedule(o.Schedule)
	if err != nil {
		return nil, err
	}
	checks, err := runtime.ParseChecks(o.Check)
	if err != nil {
		return nil, err
	}
	planning := o.Trace.Begin(planLabel)
	plans, err := Plan(s, o)
	if err != nil {
		return nil, err
	}
	budget, session, err := Fit(s, plans, o)
	planning.End()
	if err != nil {
		return nil, err
	}
	if o.Planned != nil {
		o.Planned(plans, budget, session)
	}
	if err := Short(s, plans, budget, o); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	}
	making := o.Trace.Begin(weightsLabel)
	err = s.MakeWeights()
	making.End()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	}
	p := &Program{Source: s, Plans: plans, schedule: schedule, session: session, checks: checks, trace: o.Trace, devices: map[string]runtime.Device{}, executors: map[string]*runtime.Executor{}}
	opening := o.Trace.Begin(openLabel)
	targets, err := s.targets(o)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if p.devices[t.Profile.Name], err = o.open(t); err != nil {
			delete(p.devices, t.Profile.Name)
			return nil, errors.Join(err, p.Close())
		}
	}
	opening.End()
	d, err := o.directions(s)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	for _, plan := range plans {
		e, err := runtime.NewExecutorWith(plan, p.devices, runtime.ExecutorOptions{Policy: d.memory, Trace: o.Trace})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: phase %s: %w", s.Path, plan.Phase, err), p.Close())
		}
		p.executors[plan.Phase] = e
	}
	return p, nil
}

// Chat makes a session that answers questions, with room for capacity tokens (0:
// what the program was opened for).
func (p *Program) Chat(capacity int) (models.Session, error) {
	defer p.trace.Begin(sessionLabel).End()
	o, err := p.chatting(capacity)
	if err != nil {
		return nil, err
	}
	return p.Source.Model.NewSession(p.executors, o)
}

// Slots makes as many sessions as Options.Session.Slots says, which may be asked at the
// same time; see models.Model.NewSlots.
func (p *Program) Slots(capacity int) ([]models.Session, error) {
	defer p.trace.Begin(sessionLabel).End()
	o, err := p.chatting(capacity)
	if err != nil {
		return nil, err
	}
	return p.Source.Model.NewSlots(p.executors, o)
}

// chatting are the options of sessions that answer questions.
func (p *Program) chatting(capacity int) (o models.SessionOptions, err error) {
	if capacity == 0 {
		capacity = p.session.Capacity
	}
	if p.Source.Model == nil {
		return o, fmt.Errorf("%s: %w: one graph answers no questions; give a model folder, or --input NAME=FILE.npy", p.Source.Path, ErrSource)
	}
	set, err := Contracts(p.Source, p.Plans, capacity)
	if err != nil {
		return o, err
	}
	return models.SessionOptions{Capacity: capacity, Images: p.session.Images, Frames: p.session.Frames, Slots: p.session.Slots, Lanes: p.session.Lanes,
		Schedule: p.schedule, Checks: p.checks.With(set), Trace: p.trace, Wrap: p.session.Wrap}, nil
}

// Graph makes a session over the phase of a bare graph.
func (p *Program) Graph() (*runtime.Session, error) {
	defer p.trace.Begin(sessionLabel).End()
	e := p.executors["graph"]
	if e == nil {
		return nil, fmt.Errorf("%s: %w: a model folder, not one graph; give one of its .onnx files", p.Source.Path, ErrSource)
	}
	set, err := Contracts(p.Source, p.Plans, 0)
	if err != nil {
		return nil, err
	}
	session := e.NewSession(nil, nil, p.schedule)
	session.Check(p.checks.With(set))
	return session, nil
}

// Close releases programs and devices. Sessions must be closed before.
func (p *Program) Close() error {
	defer p.trace.Begin(closeLabel).End()
	var errs []error
	for _, e := range p.executors {
		errs = append(errs, e.Close())
	}
	for _, d := range p.devices {
		errs = append(errs, d.Close())
	}
	p.executors, p.devices = nil, nil
	return errors.Join(errs...)
}

// Devices names the devices that the program runs on, each with its vendor's name for it.
func (p *Program) Devices() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.devices)) {
		for _, plan := range p.Plans {
			if profile, ok := plan.Profile(name); ok {
				name += " (" + profile.Vendor + ")"
				break
			}
		}
		out = append(out, name)
	}
	return out
}
