package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime/trace"
)

// Arenas is the memory of one session: one buffer for each space, in which the
// phases lie over each other, since a session runs one phase at a time; and the ways
// between these buffers.
type Arenas struct {
	phases  map[string]*laidOut
	buffers map[graph.Space]Buffer
	links   map[partition.Between]*link
	stages  map[[2]graph.Space]*stage
	trace   *trace.Recorder
}

// Need is what a phase needs in one space.
type Need struct {
	Phase string
	Space graph.Space
	Bytes int64 // of the arena
	Live  int64 // the largest sum of values alive at once
}

// NewArenas lays out the phases of executors on the same devices for the bounds
// of each (by phase name), allocates what they need, and opens the ways between their
// devices.
func NewArenas(bounds map[string]graph.Env, executors ...*Executor) (*Arenas, error) {
	a := &Arenas{phases: map[string]*laidOut{}, buffers: map[graph.Space]Buffer{}, links: map[partition.Between]*link{}, stages: map[[2]graph.Space]*stage{}}
	sizes := map[graph.Space]int64{}
	devices := map[graph.Space]Device{}
	for _, e := range executors {
		a.trace = e.trace
		m, err := e.plan.Layout(bounds[e.plan.Phase])
		if err != nil {
			return nil, err
		}
		a.phases[e.plan.Phase] = &laidOut{plan: e.plan, memory: m}
		for _, r := range m.Arenas {
			sizes[r.Space] = max(sizes[r.Space], r.Size)
			devices[r.Space] = e.devices[string(r.Space)]
		}
		for _, n := range e.plan.Copies() {
			for _, space := range partition.SpacesOf(n) {
				devices[space] = e.devices[string(space)]
			}
		}
	}
	shared := a.promised(devices)
	for _, space := range slices.Sorted(maps.Keys(devices)) {
		d := devices[space]
		if d == nil {
			return nil, errors.Join(fmt.Errorf("%w: %s was planned and not opened", ErrUnavailable, space), a.Close())
		}
		size, used := sizes[space]
		if !used {
			continue
		}
		kind := DeviceMemory
		if shared[space] {
			kind = SharedMemory
		}
		b, err := d.Alloc(size, kind)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("memory of %s, %d bytes: %w", space, size, err), a.Close())
		}
		a.trace.Grow(string(space), arenaMemory, size)
		a.buffers[space] = b
	}
	a.openLinks(devices)
	if err := a.order(devices); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// order writes the commands of all phases, for the ways that there are.
func (a *Arenas) order(devices map[graph.Space]Device) error {
	links := partition.Links{}
	for between, l := range a.links {
		if l.err == nil {
			links[between] = string(l.by)
		}
	}
	for _, l := range a.phases {
		l.commands = l.plan.Commands(l.memory, links)
		l.fetches = l.plan.Fetches(l.commands)
		if err := l.plan.VerifyCommands(l.memory, l.commands); err != nil {
			return err
		}
		l.number(a, devices)
	}
	return nil
}

// Needs lists what every phase needs where, for tables.
func (a *Arenas) Needs() []Need {
	var out []Need
	for phase, l := range a.phases {
		for _, r := range l.memory.Arenas {
			out = append(out, Need{phase, r.Space, r.Size, r.Live})
		}
	}
	slices.SortFunc(out, func(x, y Need) int {
		return cmp.Or(cmp.Compare(x.Phase, y.Phase), cmp.Compare(x.Space, y.Space))
	})
	return out
}

// Layout returns where a phase's values lie and the commands that run it, for
// reports and for tests, which alone may change them.
func (a *Arenas) Layout(phase string) (*partition.Memory, []partition.Command) {
	l := a.phases[phase]
	return l.memory, l.commands
}

// Close releases the buffers.
func (a *Arenas) Close() error {
	var errs []error
	for _, s := range a.stages {
		errs = append(errs, s.close())
	}
	clear(a.stages)
	for _, l := range a.links {
		errs = append(errs, l.close())
	}
	clear(a.links)
	for _, space := range slices.Backward(slices.Sorted(maps.Keys(a.buffers))) {
		a.trace.Grow(string(space), arenaMemory, -a.buffers[space].Size())
		errs = append(errs, a.buffers[space].Close())
	}
	clear(a.buffers)
	return errors.Join(errs...)
}
