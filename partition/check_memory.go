package partition

import (
	"errors"
	"fmt"

	"mnnconv/graph"
)

// CheckMemory proves a layout and its commands right for the plan: every value
// that a step reads lies in its space, from the tick that makes it to the last that
// reads it, nowhere over another that is alive then; and every two commands that
// touch the same memory are ordered. Violations wrap ErrContract and name the
// values.
func (p *Plan) CheckMemory(m *Memory, cmds []Command) error {
	var errs []error
	fresh := &layout{plan: p, bounds: m.Bounds, root: map[*graph.Value]*graph.Value{}, slots: map[*graph.Value]*Slot{}}
	fresh.lifetimes()
	used := &Memory{at: m.at}
	bySpace := map[graph.Space]*Arena{}
	for _, want := range fresh.order {
		v := want.Value
		have := m.Slot(v)
		if have == nil {
			errs = append(errs, contractf("%s: %s in %s: it has no memory; lay the plan out again", p.Phase, Source(v).Name, v.Type.Space))
			continue
		}
		if have.First > want.First || have.Last < want.Last {
			errs = append(errs, contractf("%s: %s in %s: its memory is kept from tick %d to %d, it is made in %d and read until %d: it is released too early; lay the plan out again",
				p.Phase, Source(v).Name, v.Type.Space, have.First, have.Last, want.First, want.Last))
		}
		if have.Size < want.Size {
			errs = append(errs, contractf("%s: %s in %s: %d bytes of memory for %d; lay the plan out again", p.Phase, Source(v).Name, v.Type.Space, have.Size, want.Size))
		}
		a := bySpace[v.Type.Space]
		if a == nil {
			a = &Arena{Space: v.Type.Space}
			if laid := m.Arena(v.Type.Space); laid != nil {
				a.Size = laid.Size
			}
			bySpace[v.Type.Space] = a
			used.Arenas = append(used.Arenas, a)
		}
		a.Slots = append(a.Slots, Slot{v, have.Kind, have.Offset, have.Size, min(have.First, want.First), max(have.Last, want.Last)})
	}
	for _, err := range []error{used.Verify(), p.VerifyCommands(m, cmds)} {
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %w", ErrContract, p.Phase, err))
		}
	}
	return errors.Join(errs...)
}
