package mnnconv

import (
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/partition"
)

// leastCapacity is the smallest context, in tokens, that Fit chooses by itself.
const leastCapacity = 256

// Fit adds up what a session over the plans needs of every memory space, and
// returns the session's options with the context chosen: the one asked for, or
// else the model's default, halved until it fits. The budget is not checked where
// nothing fits or the context was asked for. No device is opened.
func Fit(s *Source, plans []*partition.Plan, o Options) (*partition.Budget, models.SessionOptions, error) {
	session := o.Session
	memory, err := Policy(s, plans, o)
	if err != nil {
		return nil, session, err
	}
	if s.Model == nil {
		b, err := partition.NewBudget(plans, nil, memory)
		return b, session, err
	}
	if session.Lanes, err = lanes(s, plans, session, memory); err != nil {
		return nil, session, err
	}
	budget := func(capacity int) (*partition.Budget, int, error) {
		bounded := session
		bounded.Capacity = capacity
		bounds, capacity, err := s.Model.Bounds(bounded)
		if err != nil {
			return nil, 0, err
		}
		b, err := partition.NewBudget(plans, bounds, memory)
		if err == nil {
			b.Times(int64(bounded.LanesOf()))
		}
		return b, capacity, err
	}
	first, capacity, err := budget(session.Capacity)
	if err != nil {
		return nil, session, err
	}
	asked := session.Capacity
	session.Capacity = capacity
	if asked > 0 || first.Check() == nil {
		return first, session, nil
	}
	for c := capacity / 2; c >= leastCapacity; c /= 2 {
		b, _, err := budget(c)
		if err != nil {
			return nil, session, err
		}
		if b.Check() == nil {
			session.Capacity, session.Reduced = c, true
			return b, session, nil
		}
	}
	return first, session, nil
}

// cached is how many bytes of weights a processor may have at hand without reading
// them from memory.
const cached = 32 << 20

// lanes is how many lanes the slots of a session have, of those asked for. A step of a
// model whose weights stay in a cache waits for its processors more than for memory, so
// that as many steps as there are processors, each on one, are faster than one on all. Larger
// weights are read once for all slots; and a device takes one run after the other.
func lanes(s *Source, plans []*partition.Plan, o models.SessionOptions, memory partition.Policy) (int, error) {
	if o.LanesOf() == 1 || !s.Model.Batches() {
		return 1, nil
	}
	b, err := partition.NewBudget(plans, nil, memory)
	if err != nil {
		return 0, err
	}
	for _, space := range b.Spaces {
		for _, phase := range space.Phases {
			if space.Space != graph.Host || phase.Constants > cached {
				return 1, nil
			}
		}
	}
	return o.LanesOf(), nil
}
