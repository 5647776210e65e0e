package runtime

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
)

// laidOut is a phase's layout with the commands that follow from it, and what their runs
// would look up again and again. The values that commands hand on have numbers, from 0 on.
type laidOut struct {
	plan     *partition.Plan
	memory   *partition.Memory
	commands []partition.Command
	fetches  []int  // of each command, see partition.Plan.Fetches
	steps    []step // of each command

	values  []*graph.Value // by number
	places  []place        // of each value
	inputs  []int          // the graph's, by number
	outputs []int          // the graph's, by number; -1: a state
}

// place is where a value lies in an arena; none: it is not in one.
type place struct {
	arena Buffer
	slot  *partition.Slot
}

// step is what a command does.
type step struct {
	partition.Step
	before  int   // the command that its queue has before it, or -1
	in, out []int // the numbers of what the partition or the copy reads and makes

	source, target Device // of a copy
	by             Device // that copies without the other
	link           *link  // between two devices: the direct way; nil: there is none
	stage          *stage // and the way through the host
}

// number gives values numbers and finds what each command needs of the arenas and the
// devices.
func (l *laidOut) number(a *Arenas, devices map[graph.Space]Device) {
	numbers := map[*graph.Value]int{}
	list := func(values []*graph.Value) []int {
		out := make([]int, len(values))
		for i, v := range values {
			if _, ok := numbers[v]; !ok {
				numbers[v] = len(l.values)
				at := place{slot: l.memory.Slot(v)}
				if at.slot != nil {
					at.arena = a.buffers[at.slot.Value.Type.Space]
				}
				l.values, l.places = append(l.values, v), append(l.places, at)
			}
			out[i] = numbers[v]
		}
		return out
	}
	g := l.plan.Graph
	l.inputs, l.outputs = list(g.Inputs), list(g.Outputs)
	for i, v := range g.Outputs {
		if slices.ContainsFunc(g.States, func(s graph.State) bool { return s.Out == v }) {
			l.outputs[i] = -1
		}
	}
	next := map[string]int{} // of each queue: the number behind its last command's
	for i, c := range l.commands {
		s := step{Step: l.plan.Steps[c.Step], before: next[c.Queue] - 1}
		next[c.Queue] = i + 1
		if p := s.Partition; p != nil {
			s.in, s.out = list(p.Inputs), list(p.Outputs)
		} else {
			s.in, s.out = list(s.Copy.Inputs), list(s.Copy.Outputs)
			s.way(a, devices)
		}
		l.steps = append(l.steps, s)
	}
}

// way finds out who copies.
func (s *step) way(a *Arenas, devices map[graph.Space]Device) {
	from, to := s.Copy.Inputs[0].Type.Space, s.Copy.Outputs[0].Type.Space
	s.source, s.target = devices[from], devices[to]
	switch {
	case from == graph.Host:
		s.by = s.target
	case to == graph.Host:
		s.by = s.source
	default:
		ring := [2]graph.Space{from, to}
		if a.stages[ring] == nil {
			a.stages[ring] = newStage(s.source, s.target, func(n int64) { a.trace.Grow(string(to), stagingMemory, n) })
		}
		s.stage = a.stages[ring]
		if l := a.links[partition.SpacesOf(s.Copy)]; l != nil && l.err == nil {
			s.link, s.by = l, devices[l.by]
		}
	}
}

// view returns the memory of value k in its arena, for a tensor of size bytes; ok is
// false if the value is not in an arena.
func (l *laidOut) view(k int, size int64) (v View, ok bool, err error) {
	at := l.places[k]
	if at.arena == nil {
		return View{}, false, nil
	}
	if size > at.slot.Size {
		return View{}, false, fmt.Errorf("%w: value %q needs %d bytes, the session was opened for %d (%v)", partition.ErrLimit, l.values[k].Name, size, at.slot.Size, l.memory.Bounds)
	}
	return View{at.arena, at.slot.Offset, size}, true, nil
}
