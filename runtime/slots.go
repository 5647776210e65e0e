package runtime

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
