package mnnconv

import (
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
	budget := func(capacity int) (*partition.Budget, int, error) {
		bounded := session
		bounded.Capacity = capacity
		bounds, capacity, err := s.Model.Bounds(bounded)
		if err != nil {
			return nil, 0, err
		}
		b, err := partition.NewBudget(plans, bounds, memory)
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
