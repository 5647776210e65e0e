package partition

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
)

// ErrMemory: plans need more memory than a limit, a device or the machine has.
var ErrMemory = errors.New("not enough memory")

// Budget is what a session over plans needs of every memory space, known before
// anything is loaded.
type Budget struct {
	Spaces []SpaceBudget `json:"spaces"`
}

// SpaceBudget is the need of one space. Phases share the state and lie over each
// other in one arena, and share their staging memory.
type SpaceBudget struct {
	Space   graph.Space   `json:"space"`
	Phases  []PhaseBudget `json:"phases"`
	Peak    int64         `json:"peak"`    // bytes allocated at most, weights included
	Largest int64         `json:"largest"` // bytes of the largest single allocation
	Limits  []Limit       `json:"limits"`
	Unknown int           `json:"unknown,omitempty"` // values whose size only running tells; not counted

	constants int64 // the most that any phase holds
}

// PhaseBudget is what is there while a phase runs, in bytes. Scratch and Crossing
// add up to the phase's arena: Crossing is the most that inputs, outputs and what
// copies bring take at once, Scratch is the rest.
type PhaseBudget struct {
	Phase     string `json:"phase"`
	Constants int64  `json:"constants"` // weights in the space, each once, however often it is read
	State     int64  `json:"state"`
	Scratch   int64  `json:"scratch"`
	Crossing  int64  `json:"crossing"`
	Staging   int64  `json:"staging"` // pinned host memory for copies between two devices
}

// Total is the sum of the columns.
func (p PhaseBudget) Total() int64 {
	return p.Constants + p.State + p.Scratch + p.Crossing + p.Staging
}

// Limit is a number of bytes that a space must not need more of.
type Limit struct {
	Bytes int64  `json:"bytes"`
	What  string `json:"what"`          // "limit of --memory sim:0=limit:1GiB", "memory of sim:0"
	Alloc bool   `json:"single"`        // of a single allocation
	Now   bool   `json:"now,omitempty"` // free memory, which is another a moment later
	// Mapped: weights are read where their file is mapped and do not count.
	Mapped bool `json:"mapped,omitempty"`
}

// NewBudget adds up what plans in the order in which they run need. bounds gives
// the symbols of each phase their largest values; values of a phase without bounds
// are not counted. The order of spaces is that of the plans' targets.
func NewBudget(plans []*Plan, bounds map[string]graph.Env, policy Policy) (*Budget, error) {
	b := &Budget{}
	if len(plans) == 0 {
		return b, nil
	}
	weights := newWeights(plans, policy)
	memories := map[*Plan]*Memory{}
	for _, p := range plans {
		m, err := p.Layout(bounds[p.Phase])
		if err != nil {
			return nil, err
		}
		memories[p] = m
	}
	for _, t := range plans[0].targets {
		s := SpaceBudget{Space: t.Profile.Space(), Limits: limits(t.Profile, policy[t.Profile.Space()])}
		arena, staging, used := int64(0), int64(0), false
		state, largest, err := stateOf(plans, bounds, s.Space)
		if err != nil {
			return nil, err
		}
		s.Largest = largest
		for _, p := range plans {
			row := PhaseBudget{Phase: p.Phase, State: state, Constants: weights.of(s.Space, p)}
			if a := memories[p].Arena(s.Space); a != nil {
				row.Crossing = crossing(a)
				row.Scratch = a.Size - row.Crossing
				arena = max(arena, a.Size)
			}
			if s.Space == graph.Host {
				row.Staging = staged(p, bounds[p.Phase])
				staging = max(staging, row.Staging)
			}
			for _, v := range memories[p].Unknown {
				if v.Type.Space == s.Space {
					s.Unknown++
				}
			}
			s.constants = max(s.constants, row.Constants)
			used = used || row.Total() > 0
			s.Phases = append(s.Phases, row)
		}
		s.Peak = s.constants + state + arena + staging
		s.Largest = max(s.Largest, arena, weights.largest[s.Space])
		if used {
			b.Spaces = append(b.Spaces, s)
		}
	}
	return b, nil
}

// Times makes it the budget of n sessions at the same time, which share the weights.
func (b *Budget) Times(n int64) {
	for i := range b.Spaces {
		s := &b.Spaces[i]
		s.Peak = s.constants + n*(s.Peak-s.constants)
		for j := range s.Phases {
			p := &s.Phases[j]
			p.State, p.Scratch, p.Crossing, p.Staging = n*p.State, n*p.Scratch, n*p.Crossing, n*p.Staging
		}
	}
}

// Check compares every space with its limits and returns all that are exceeded,
// each with both numbers.
func (b *Budget) Check() error {
	var errs []error
	for i := range b.Spaces {
		errs = append(errs, b.Spaces[i].Check())
	}
	return errors.Join(errs...)
}

// Check is [Budget.Check] of one space.
func (s *SpaceBudget) Check() error {
	var errs []error
	for _, l := range s.Limits {
		if l.Alloc {
			if s.Largest > l.Bytes {
				errs = append(errs, fmt.Errorf("%w: %s: one allocation of %d bytes is needed, the %s is %d bytes", ErrMemory, s.Space, s.Largest, l.What, l.Bytes))
			}
			continue
		}
		need, mapped := s.Peak, ""
		if l.Mapped {
			need, mapped = need-s.constants, ", mapped weights not counted"
		}
		if need <= l.Bytes {
			continue
		}
		r := slices.MaxFunc(s.Phases, func(x, y PhaseBudget) int { return cmp.Compare(x.Total(), y.Total()) })
		errs = append(errs, fmt.Errorf("%w: %s: %d bytes are needed%s, the %s is %d bytes; phase %s takes the most: constants %d, state %d, scratch %d, crossing %d, staging %d",
			ErrMemory, s.Space, need, mapped, l.What, l.Bytes, r.Phase, r.Constants, r.State, r.Scratch, r.Crossing, r.Staging))
	}
	return errors.Join(errs...)
}

// Elsewhere drops what only says how busy this machine is now: free memory.
func (b *Budget) Elsewhere() {
	for i := range b.Spaces {
		s := &b.Spaces[i]
		s.Limits = slices.DeleteFunc(s.Limits, func(l Limit) bool { return l.Now })
	}
}

// limits are what a space is compared with.
func limits(p Profile, policy SpacePolicy) []Limit {
	out := []Limit{}
	if policy.Limit > 0 {
		out = append(out, Limit{Bytes: policy.Limit, What: "limit of " + policy.Source})
	}
	if p.Memory > 0 {
		out = append(out, Limit{Bytes: p.Memory, What: "memory of " + p.Name, Mapped: p.Mapped})
	}
	if p.Free > 0 {
		out = append(out, Limit{Bytes: p.Free, What: "free memory of " + p.Name, Now: true, Mapped: p.Mapped})
	}
	if p.MaxAlloc > 0 {
		out = append(out, Limit{Bytes: p.MaxAlloc, What: "largest allocation of " + p.Name, Alloc: true})
	}
	return out
}

// crossing is the most that slots other than scratch take at one tick.
func crossing(a *Arena) int64 {
	at := map[int]int64{} // changes by tick
	for _, s := range a.Slots {
		if s.Kind != Scratch {
			at[s.First] += s.Size
			at[s.Last+1] -= s.Size
		}
	}
	ticks := make([]int, 0, len(at))
	for t := range at {
		ticks = append(ticks, t)
	}
	slices.Sort(ticks)
	most, live := int64(0), int64(0)
	for _, t := range ticks {
		live += at[t]
		most = max(most, live)
	}
	return most
}

// staged is the pinned memory through which copies between two devices may go: a ring
// for each way that a plan has, also where it is to be direct.
func staged(p *Plan, bounds graph.Env) int64 {
	largest := map[[2]graph.Space]int64{}
	for _, n := range p.Copies() {
		way := [2]graph.Space{n.Inputs[0].Type.Space, n.Outputs[0].Type.Space}
		if slices.Contains(way[:], graph.Host) {
			continue
		}
		if size, err := SizeOf(n.Inputs[0].Type, bounds); err == nil {
			largest[way] = max(largest[way], min(size, StageSlots*StageBytes))
		}
	}
	sum := int64(0)
	for _, size := range largest {
		sum += size
	}
	return sum
}

// stateOf adds up the states of a space; phases that name the same one share it.
func stateOf(plans []*Plan, bounds map[string]graph.Env, space graph.Space) (sum, largest int64, err error) {
	seen := map[string]bool{}
	for _, p := range plans {
		for _, s := range p.Graph.States {
			if s.In.Type.Space != space || seen[s.In.Name] {
				continue
			}
			seen[s.In.Name] = true
			size, err := SizeOf(s.In.Type, bounds[p.Phase])
			if err != nil {
				if len(bounds[p.Phase]) == 0 {
					continue
				}
				return 0, 0, fmt.Errorf("phase %s: state %q: %w", p.Phase, s.In.Name, err)
			}
			sum, largest = sum+size, max(largest, size)
		}
	}
	return sum, largest, nil
}
