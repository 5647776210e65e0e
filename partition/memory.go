package partition

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
)

// Slot is the memory of one value in its space, at the bounds of a layout.
// Smaller shapes use the front of it.
type Slot struct {
	Value  *graph.Value
	Kind   SlotKind
	Offset int64 // bytes in the arena of its space
	Size   int64 // bytes
	First  int   // tick at which it is written
	Last   int   // tick at which it is read for the last time, views and copies included
}

// SlotKind says what a slot is for.
type SlotKind string

// The kinds of slots.
const (
	Input    SlotKind = "input"    // a graph input, on the host
	Crossing SlotKind = "crossing" // what a copy brings into a space
	Scratch  SlotKind = "scratch"  // made and used within a phase
	Output   SlotKind = "output"   // a graph output, kept until the phase ends
)

// Arena is the memory that a phase needs in one space.
type Arena struct {
	Space graph.Space
	Size  int64 // bytes
	Live  int64 // bytes: the largest sum of slots alive at one tick
	Slots []Slot
}

// Memory lays a plan's values out for the bounds of its symbols. A tick is one
// kernel or copy, in the order of the plan.
type Memory struct {
	Bounds  graph.Env
	Arenas  []*Arena
	Unknown []*graph.Value // values whose size only running tells; they are not in an arena

	at map[*graph.Value]*Slot
}

// ErrLimit: a plan does not fit a limit or the bounds it was laid out for.
var ErrLimit = errors.New("over the limit")

// defaultAlign is the alignment of slots where a profile names none, in bytes.
const defaultAlign = 64

// Slot returns where a value lies, or nil if it is not in an arena: a constant, a
// state, or of unknown size. Views lie where their source does.
func (m *Memory) Slot(v *graph.Value) *Slot { return m.at[v] }

// Arena returns the arena of a space, or nil.
func (m *Memory) Arena(s graph.Space) *Arena {
	for _, a := range m.Arenas {
		if a.Space == s {
			return a
		}
	}
	return nil
}

// Layout assigns every value of known size an offset in its space, so that no
// two values that are alive at once overlap. bounds gives each symbol its largest
// value; extents must not shrink when a symbol grows, which holds for the sums and
// products that extents are.
func (p *Plan) Layout(bounds graph.Env) (*Memory, error) {
	l := &layout{plan: p, bounds: bounds, root: map[*graph.Value]*graph.Value{}, slots: map[*graph.Value]*Slot{}}
	l.lifetimes()
	m := &Memory{Bounds: bounds, Unknown: l.unknown, at: map[*graph.Value]*Slot{}}
	bySpace := map[graph.Space][]*Slot{}
	var spaces []graph.Space
	for _, s := range l.order {
		space := s.Value.Type.Space
		if bySpace[space] == nil {
			spaces = append(spaces, space)
		}
		bySpace[space] = append(bySpace[space], s)
	}
	for _, space := range spaces {
		a := &Arena{Space: space}
		a.place(bySpace[space], p.Align(space), l.tick)
		m.Arenas = append(m.Arenas, a)
	}
	for v, root := range l.root {
		if s := l.slots[root]; s != nil {
			m.at[v] = s
		}
	}
	return m, m.Verify()
}

// Verify checks that no two slots of a space that are alive at once overlap.
func (m *Memory) Verify() error {
	var errs []error
	for _, a := range m.Arenas {
		slots := slices.Clone(a.Slots)
		slices.SortFunc(slots, func(x, y Slot) int { return cmp.Compare(x.Offset, y.Offset) })
		for i, s := range slots {
			if s.Offset < 0 || s.Offset+s.Size > a.Size {
				errs = append(errs, fmt.Errorf("%w: value %q: bytes %d to %d of an arena of %d in %s", graph.ErrInvalid, s.Value.Name, s.Offset, s.Offset+s.Size, a.Size, a.Space))
			}
			for _, t := range slots[i+1:] {
				if t.Offset >= s.Offset+s.Size {
					break
				}
				if s.Size > 0 && t.Size > 0 && s.First <= t.Last && t.First <= s.Last {
					errs = append(errs, fmt.Errorf("%w: values %q and %q share bytes %d to %d of %s while both are alive", graph.ErrInvalid,
						s.Value.Name, t.Value.Name, t.Offset, min(s.Offset+s.Size, t.Offset+t.Size), a.Space))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// layout is the state of one Layout.
type layout struct {
	plan    *Plan
	bounds  graph.Env
	tick    int
	root    map[*graph.Value]*graph.Value // the value whose memory a value lies in
	slots   map[*graph.Value]*Slot
	order   []*Slot
	unknown []*graph.Value
}

// lifetimes walks the plan tick by tick.
func (l *layout) lifetimes() {
	g := l.plan.Graph
	state := g.StateValues()
	for _, v := range g.Inputs {
		if !state[v] {
			l.define(v, Input)
		}
	}
	for _, s := range l.plan.Steps {
		if s.Copy != nil {
			l.tick++
			l.read(s.Copy.Inputs[0])
			l.define(s.Copy.Outputs[0], Crossing)
			continue
		}
		for _, k := range s.Partition.Kernels {
			l.tick++
			for _, n := range k.Nodes {
				n.Reads(l.read)
			}
			for i, v := range k.Out {
				switch {
				case v == nil || state[v]:
				case (i == 0 && k.View || i < k.InPlace) && k.In[i] != nil && k.In[i].Const == nil:
					l.root[v] = l.rootOf(k.In[i])
					l.read(v)
				case i == 0 && k.View: // of a constant
				default:
					l.define(v, Scratch)
				}
			}
			for _, v := range k.Work {
				l.define(v, Scratch)
			}
		}
	}
	for _, v := range g.Outputs {
		if s := l.slots[l.rootOf(v)]; s != nil && !state[v] {
			s.Last = l.tick + 1
			if s.Kind == Scratch {
				s.Kind = Output
			}
		}
		if v.Def.IsCopy() { // what nobody wanted may be fetched when all has run
			if s := l.slots[l.rootOf(v.Def.Inputs[0])]; s != nil {
				s.Last = l.tick + 1
			}
		}
	}
}

func (l *layout) rootOf(v *graph.Value) *graph.Value {
	if r := l.root[v]; r != nil {
		return r
	}
	return v
}

func (l *layout) read(v *graph.Value) {
	if s := l.slots[l.rootOf(v)]; s != nil {
		s.Last = max(s.Last, l.tick)
	}
}

func (l *layout) define(v *graph.Value, kind SlotKind) {
	size, err := SizeOf(v.Type, l.bounds)
	if err != nil {
		l.unknown = append(l.unknown, v)
		return
	}
	l.root[v] = v
	s := &Slot{Value: v, Kind: kind, Size: size, First: l.tick, Last: l.tick}
	l.slots[v] = s
	l.order = append(l.order, s)
}

// SizeOf returns the bytes of a tensor type under env.
func SizeOf(t graph.Type, env graph.Env) (int64, error) {
	if t.Kind != graph.TensorKind || t.DType == graph.String || !t.Shape.Ranked() {
		return 0, fmt.Errorf("%s has no fixed size", t)
	}
	shape, err := t.Shape.Eval(env)
	if err != nil {
		return 0, err
	}
	n, err := graph.Elements(shape)
	if err != nil {
		return 0, err
	}
	size, ok := t.DType.Bytes(n)
	if !ok {
		return 0, fmt.Errorf("%s with shape %v has more bytes than fit in 64 bits", t, shape)
	}
	return size, nil
}

// Align returns what offsets in a space are multiples of.
func (p *Plan) Align(space graph.Space) int64 {
	for _, t := range p.targets {
		if t.Profile.Space() == space && t.Profile.Align > 0 {
			return t.Profile.Align
		}
	}
	return defaultAlign
}

// orders in which slots are placed: the largest first (greedy by size, Pisarchyk
// and Lee 2020) is best most of the time; the longest-lived or the earliest first
// is where many small values lie between large ones.
var orders = [...]func(x, y *Slot) int{
	func(x, y *Slot) int { return cmp.Compare(y.Size, x.Size) },
	func(x, y *Slot) int { return cmp.Compare(y.Last-y.First, x.Last-x.First) },
	func(x, y *Slot) int { return cmp.Or(cmp.Compare(x.First, y.First), cmp.Compare(y.Size, x.Size)) },
}

// place gives slots offsets, in the order that makes the smallest arena.
func (a *Arena) place(slots []*Slot, align int64, ticks int) {
	live := make([]int64, ticks+2)
	for _, s := range slots {
		for t := s.First; t <= s.Last; t++ {
			live[t] += s.Size
		}
	}
	a.Live = slices.Max(live)
	a.Size = math.MaxInt64
	var best []int64
	for _, order := range orders {
		if size := fit(slots, order, align); size < a.Size {
			a.Size, best = size, best[:0]
			for _, s := range slots {
				best = append(best, s.Offset)
			}
		}
	}
	for i, s := range slots {
		s.Offset = best[i]
		a.Slots = append(a.Slots, *s)
	}
}

// fit gives each slot the lowest place that no slot alive at the same time takes,
// and returns the bytes that all of them need.
func fit(slots []*Slot, order func(x, y *Slot) int, align int64) int64 {
	sorted := slices.Clone(slots)
	slices.SortStableFunc(sorted, order)
	size := int64(0)
	var placed []*Slot // by offset
	for _, s := range sorted {
		off := int64(0)
		for _, t := range placed {
			if t.Last < s.First || s.Last < t.First || t.Size == 0 {
				continue
			}
			if off+s.Size <= t.Offset {
				break
			}
			off = max(off, (t.Offset+t.Size+align-1)/align*align)
		}
		s.Offset = off
		size = max(size, off+s.Size)
		i, _ := slices.BinarySearchFunc(placed, s, func(x, y *Slot) int { return cmp.Compare(x.Offset, y.Offset) })
		placed = slices.Insert(placed, i, s)
	}
	return size
}
