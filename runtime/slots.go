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

// CopySlot gives slot to what slot from of another session of the same executor, or of
// this one, holds at first to last-1 of the axis whose extent is symbol, in all states.
// Nothing is copied, and ok is false, unless all states lie in memory that the host may
// touch and have that axis. No run of this session may be under way, and none of the other
// that writes what is copied.
func (s *Session) CopySlot(of *Session, from, to int, symbol string, first, last int64) (ok bool, err error) {
	type stretch struct {
		src, dst    []byte
		rows, inner int64 // extent of the axis, and bytes of one step along it
	}
	var all []stretch
	for _, st := range s.e.plan.Graph.States {
		axis := slices.IndexFunc(st.In.Type.Shape, func(d graph.Dim) bool { return d.Equal(graph.Sym(symbol)) })
		src, held, err := of.slotBytes(st.In.Name, from)
		if err != nil {
			return false, err
		}
		dst, room, err := s.slotBytes(st.In.Name, to)
		if err != nil {
			return false, err
		}
		if axis < 1 || src == nil || dst == nil || !slices.Equal(held[1:], room[1:]) {
			return false, nil
		}
		x := stretch{src, dst, room[axis], int64(len(dst))}
		for _, n := range room[1 : axis+1] {
			x.inner /= n
		}
		all = append(all, x)
	}
	for _, x := range all {
		for at := int64(0); at < int64(len(x.src)); at += x.rows * x.inner {
			copy(x.dst[at+first*x.inner:at+last*x.inner], x.src[at+first*x.inner:])
		}
	}
	return true, nil
}

// slotBytes returns what a state has for a slot, and the state's shape; nil: no memory
// that the host may touch.
func (s *Session) slotBytes(state string, slot int) ([]byte, []int64, error) {
	b, bound := s.states[state]
	memory, host := b.View.Buffer.(HostBuffer)
	if !bound || !host {
		return nil, nil, nil
	}
	bytes, err := memory.Bytes()
	if err != nil {
		return nil, nil, fmt.Errorf("state %q: %w", state, err)
	}
	each := b.View.Size / b.Shape[0]
	return bytes[b.View.Offset+int64(slot)*each:][:each], b.Shape, nil
}
