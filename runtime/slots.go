package runtime

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// slots is a stretch of the leading axis of all states; its zero value is all of it.
type slots struct{ first, count int }

// Slots says whose states the runs that follow work on: those of count slots from
// first on, where the leading axis of each state counts slots. A graph's symbol for
// that axis gets the value count. Without a call, runs work on all of them.
func (s *Session) Slots(first, count int) { s.slots = slots{first, count} }

// state returns the stretch of a state that runs work on.
func (s *Session) state(name string) (Bound, bool) {
	b, ok := s.states[name]
	if !ok || s.slots.count == 0 {
		return b, ok
	}
	each := b.View.Size / b.Shape[0]
	b.View.Offset += int64(s.slots.first) * each
	b.View.Size = int64(s.slots.count) * each
	b.Shape = append([]int64{int64(s.slots.count)}, b.Shape[1:]...)
	return b, ok
}

// CopySlot gives slot to what slot from holds at first to last-1 of the axis whose extent
// is symbol, in all states. Nothing is copied, and ok is false, unless all states lie in
// memory that the host may touch and have that axis. No run may be under way.
func (s *Session) CopySlot(from, to int, symbol string, first, last int64) (ok bool, err error) {
	type stretch struct {
		src, dst    []byte
		rows, inner int64 // extent of the axis, and bytes of one step along it
	}
	var all []stretch
	for _, st := range s.e.plan.Graph.States {
		axis := slices.IndexFunc(st.In.Type.Shape, func(d graph.Dim) bool { return d.Equal(graph.Sym(symbol)) })
		b, bound := s.states[st.In.Name]
		memory, host := b.View.Buffer.(HostBuffer)
		if axis < 1 || !bound || !host {
			return false, nil
		}
		bytes, err := memory.Bytes()
		if err != nil {
			return false, fmt.Errorf("state %q: %w", st.In.Name, err)
		}
		bytes = bytes[b.View.Offset : b.View.Offset+b.View.Size]
		each, inner := b.View.Size/b.Shape[0], b.View.Size
		for _, n := range b.Shape[:axis+1] {
			inner /= n
		}
		slot := func(i int) []byte { return bytes[int64(i)*each:][:each] }
		all = append(all, stretch{slot(from), slot(to), b.Shape[axis], inner})
	}
	for _, x := range all {
		for at := int64(0); at < int64(len(x.src)); at += x.rows * x.inner {
			copy(x.dst[at+first*x.inner:at+last*x.inner], x.src[at+first*x.inner:])
		}
	}
	return true, nil
}
