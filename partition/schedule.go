package partition

import (
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
)

// Command is one entry of a queue: a partition, or a copy.
type Command struct {
	Step  int    // index into Plan.Steps
	Queue string // the device whose in-order queue runs it: of a copy between devices the target, or who does the direct ones
	Waits []int  // commands of other queues that must have ended before
}

// Commands writes the plan as queues with explicit waits. Two commands are ordered
// by a wait where one writes what the other reads or writes, be it a value or the
// same bytes of an arena, unless their queue or earlier waits order them already.
// links are the direct ways that there are. Any order of the commands that keeps each queue's order and the waits gives the
// same bits.
func (p *Plan) Commands(m *Memory, links Links) []Command {
	var cmds []Command
	for i, s := range p.Steps {
		if s.Partition != nil {
			cmds = append(cmds, Command{Step: i, Queue: s.Partition.Target})
		} else {
			cmds = append(cmds, Command{Step: i, Queue: links.queueOf(s.Copy)})
		}
	}
	touch := make([]access, len(cmds))
	for i, c := range cmds {
		touch[i] = p.access(c, m)
	}
	before := make([]map[int]bool, len(cmds)) // everything ordered before a command
	last := map[string]int{}
	for i := range cmds {
		before[i] = map[int]bool{}
		inherit := func(j int) {
			before[i][j] = true
			for k := range before[j] {
				before[i][k] = true
			}
		}
		if j, ok := last[cmds[i].Queue]; ok {
			inherit(j)
		}
		last[cmds[i].Queue] = i
		for j := i - 1; j >= 0; j-- {
			if !before[i][j] && touch[i].conflicts(&touch[j]) {
				cmds[i].Waits = append(cmds[i].Waits, j)
				inherit(j)
			}
		}
	}
	return cmds
}

// Fetches returns, for each command, the graph output that it does nothing but bring
// to the host, or -1: such a command may be left out, or run when all others have
// ended. What it brings, and what it reads, lives to the end of the phase.
func (p *Plan) Fetches(cmds []Command) []int {
	uses := p.Graph.Uses()
	waited := map[int]bool{}
	for _, c := range cmds {
		for _, w := range c.Waits {
			waited[w] = true
		}
	}
	out := make([]int, len(cmds))
	for i, c := range cmds {
		out[i] = -1
		s := p.Steps[c.Step]
		if s.Copy == nil || waited[i] || len(uses[s.Copy.Outputs[0]]) != 1 {
			continue
		}
		out[i] = slices.Index(p.Graph.Outputs, s.Copy.Outputs[0])
	}
	return out
}

// VerifyCommands checks that every two commands that touch the same memory, one of
// them writing, are ordered by queues and waits, and that no wait points forward.
func (p *Plan) VerifyCommands(m *Memory, cmds []Command) error {
	touch := make([]access, len(cmds))
	before := make([]map[int]bool, len(cmds))
	last := map[string]int{}
	for i, c := range cmds {
		touch[i] = p.access(c, m)
		before[i] = map[int]bool{}
		deps := append([]int{}, c.Waits...)
		if j, ok := last[c.Queue]; ok {
			deps = append(deps, j)
		}
		last[c.Queue] = i
		for _, j := range deps {
			if j < 0 || j >= i {
				return fmt.Errorf("%w: %s waits for a later command", graph.ErrInvalid, p.nameOf(c))
			}
			before[i][j] = true
			for k := range before[j] {
				before[i][k] = true
			}
		}
	}
	var errs []error
	for i := range cmds { // the nearest command is what a wait was for
		for j := i - 1; j >= 0; j-- {
			if !before[i][j] && touch[i].conflicts(&touch[j]) {
				errs = append(errs, fmt.Errorf("%w: %s and %s touch the same memory and nothing orders them: a wait is missing", graph.ErrInvalid, p.nameOf(cmds[j]), p.nameOf(cmds[i])))
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (p *Plan) nameOf(c Command) string {
	s := p.Steps[c.Step]
	if s.Partition != nil {
		return fmt.Sprintf("partition %d on %s", s.Partition.Index, s.Partition.Target)
	}
	return fmt.Sprintf("copy of %q from %s to %s", s.Copy.Inputs[0].Name, s.Copy.Inputs[0].Type.Space, s.Copy.Outputs[0].Type.Space)
}

// access is what a command reads and writes: values, and stretches of arenas.
type access struct {
	reads, writes map[*graph.Value]bool
	read, write   []stretch
}

type stretch struct {
	space    graph.Space
	from, to int64
}

func (p *Plan) access(c Command, m *Memory) access {
	a := access{reads: map[*graph.Value]bool{}, writes: map[*graph.Value]bool{}}
	add := func(v *graph.Value, write bool) {
		if v == nil || v.Const != nil {
			return
		}
		if write {
			a.writes[v] = true
		} else {
			a.reads[v] = true
		}
		if s := m.Slot(v); s != nil && s.Size > 0 {
			x := stretch{s.Value.Type.Space, s.Offset, s.Offset + s.Size}
			if write {
				a.write = append(a.write, x)
			} else {
				a.read = append(a.read, x)
			}
		}
	}
	s := p.Steps[c.Step]
	if s.Copy != nil {
		add(s.Copy.Inputs[0], false)
		add(s.Copy.Outputs[0], true)
		return a
	}
	for _, n := range s.Partition.Nodes {
		n.Reads(func(v *graph.Value) { add(v, false) })
		for _, v := range n.Outputs {
			add(v, true)
		}
	}
	for _, st := range s.Partition.States { // both names of a state are one memory
		a.writes[st.In] = true
	}
	return a
}

func (a *access) conflicts(b *access) bool {
	return hits(a.writes, b.writes) || hits(a.writes, b.reads) || hits(a.reads, b.writes) ||
		overlap(a.write, b.write) || overlap(a.write, b.read) || overlap(a.read, b.write)
}

func hits(a, b map[*graph.Value]bool) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for v := range a {
		if b[v] {
			return true
		}
	}
	return false
}

func overlap(a, b []stretch) bool {
	for _, x := range a {
		for _, y := range b {
			if x.space == y.space && x.from < y.to && y.from < x.to {
				return true
			}
		}
	}
	return false
}
